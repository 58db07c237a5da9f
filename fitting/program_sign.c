// The signs of a formula's parts: whether a value is positive in every row, whatever the parameters are.
#include <string.h>

#include "fitting/program_builder.h"

bool node_is_call(const struct expression_node *node, const char *name) {
  return node->kind == EXPRESSION_CALL && strcmp(node->text, name) == 0;
}

static enum sign lowest_sign(struct builder *builder, const struct expression_node *node, int from) {
  enum sign lowest = SIGN_POSITIVE;
  for (int i = from; i < node->count && lowest; i++) {
    enum sign sign = builder_sign(builder, node->arguments[i]);
    if (sign < lowest) lowest = sign;
  }
  return lowest;
}

static enum sign highest_sign(struct builder *builder, const struct expression_node *node) {
  enum sign highest = SIGN_UNKNOWN;
  for (int i = 0; i < node->count; i++) {
    enum sign sign = builder_sign(builder, node->arguments[i]);
    if (sign > highest) highest = sign;
  }
  return highest;
}

static enum sign sign_of_data(struct builder *builder, const struct expression_node *node) {
  struct error error = {0}, *outer = builder->error;
  builder->error = &error;  // what cannot be computed is reported when it is compiled
  int reg = node->kind == EXPRESSION_TEXT ? -1 : builder_data(builder, node);
  builder->error = outer;
  if (reg < 0) return SIGN_UNKNOWN;
  const struct program *program = builder->program;
  enum sign lowest = SIGN_POSITIVE;
  for (size_t i = 0; i < program->rows; i++) {
    double value = program->constant[reg] ? program->constants[reg] : program->columns[reg][i];
    if (!(value >= 0)) return SIGN_UNKNOWN;
    if (value == 0) lowest = SIGN_NOT_NEGATIVE;
  }
  return lowest;
}

// 1 - exp(-x) and 1 - exp(-x / y), the shape of saturation.
static bool saturates(struct builder *builder, const struct expression_node *node) {
  if (node->kind != EXPRESSION_SUBTRACT || node->arguments[0]->kind != EXPRESSION_NUMBER ||
      node->arguments[0]->number < 1 || !node_is_call(node->arguments[1], "exp") || node->arguments[1]->count != 1)
    return false;
  const struct expression_node *exponent = node->arguments[1]->arguments[0];
  if (exponent->kind == EXPRESSION_NEGATE) return builder_sign(builder, exponent->arguments[0]) != SIGN_UNKNOWN;
  return (exponent->kind == EXPRESSION_DIVIDE || exponent->kind == EXPRESSION_MULTIPLY) &&
         exponent->arguments[0]->kind == EXPRESSION_NEGATE &&
         builder_sign(builder, exponent->arguments[0]->arguments[0]) != SIGN_UNKNOWN &&
         builder_sign(builder, exponent->arguments[1]) != SIGN_UNKNOWN;
}

static enum sign sign_of_parameter(const struct builder *builder, const struct expression_node *node) {
  const struct law_parameter *parameter = &builder->law->parameters[law_find_parameter(builder->law, node->text)];
  return parameter->positive || parameter->low > 0 ? SIGN_POSITIVE
         : parameter->low >= 0                     ? SIGN_NOT_NEGATIVE
                                                   : SIGN_UNKNOWN;
}

static enum sign find_sign(struct builder *builder, const struct expression_node *node) {
  if (!builder_has_parameter(builder, node)) return sign_of_data(builder, node);
  switch (node->kind) {
    case EXPRESSION_NAME:
    case EXPRESSION_INDEXED:
      return sign_of_parameter(builder, node);
    case EXPRESSION_ADD:
      return lowest_sign(builder, node, 0) ? highest_sign(builder, node) : SIGN_UNKNOWN;
    case EXPRESSION_MULTIPLY:
      return lowest_sign(builder, node, 0);
    case EXPRESSION_DIVIDE:
      return lowest_sign(builder, node, 0);
    case EXPRESSION_SUBTRACT:
      return saturates(builder, node) ? SIGN_NOT_NEGATIVE : SIGN_UNKNOWN;
    case EXPRESSION_POWER:
      return builder_sign(builder, node->arguments[0]);
    case EXPRESSION_CONDITION:
      return lowest_sign(builder, node, 1);
    default:
      break;
  }
  if (node_is_call(node, "exp")) return SIGN_POSITIVE;
  if (node_is_call(node, "pow") && node->count == 2) return builder_sign(builder, node->arguments[0]);
  if (node_is_call(node, "sqrt") || node_is_call(node, "tanh") || node_is_call(node, "min"))
    return lowest_sign(builder, node, 0);
  if (node_is_call(node, "max")) return highest_sign(builder, node);
  if (node_is_call(node, "sum") || node_is_call(node, "mean"))
    return lowest_sign(builder, node, 0) ? highest_sign(builder, node) : SIGN_UNKNOWN;
  return SIGN_UNKNOWN;
}

enum sign builder_sign(struct builder *builder, const struct expression_node *node) {
  if (builder_is_outside(builder, node)) return builder_sign(builder->outer, node);
  struct facts *facts = builder_facts(builder, node);
  if (!facts->sign_known) {
    facts->sign = find_sign(builder, node);
    facts->sign_known = true;
  }
  return facts->sign;
}
