// Which derived quantities of a law cannot be negative, found from their trees.
#include <string.h>

#include "fitting/law_internal.h"

// Whether a name stands for what is never negative: a parameter that is not, a count, an earlier quantity of this kind.
static bool is_positive_name(const struct law *law, const char *name) {
  static const char *const counts[] = {"parameters", "tokens", "flops", "N", "D", "C"};
  int parameter = law_find_parameter(law, name);
  if (parameter >= 0) return law->parameters[parameter].positive || law->parameters[parameter].low >= 0;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    if (strcmp(counts[i], name) == 0) return true;
  for (int d = 0; d < law->derived_count; d++)
    if (strcmp(law->derived[d].name, name) == 0) return law_derived_is_positive(law, d);
  return false;
}

static bool is_positive(const struct law *law, const struct expression_node *node) {
  switch (node->kind) {
    case EXPRESSION_NUMBER:
      return node->number >= 0;
    case EXPRESSION_NAME:
    case EXPRESSION_INDEXED:
      return is_positive_name(law, node->text);
    case EXPRESSION_ADD:
    case EXPRESSION_MULTIPLY:
    case EXPRESSION_DIVIDE:
      return is_positive(law, node->arguments[0]) && is_positive(law, node->arguments[1]);
    case EXPRESSION_POWER:
      return is_positive(law, node->arguments[0]);
    case EXPRESSION_CONDITION:
      return is_positive(law, node->arguments[1]) && is_positive(law, node->arguments[2]);
    case EXPRESSION_CALL:
      return strcmp(node->text, "exp") == 0 || strcmp(node->text, "abs") == 0 || strcmp(node->text, "sqrt") == 0;
    default:
      return false;
  }
}

bool law_derived_is_positive(const struct law *law, int derived) {
  return is_positive(law, law->derived[derived].expression->root);
}
