// Which exponents of a law the way of counting parameters can change, found from its tree.
#include <string.h>

#include "fitting/law_internal.h"

static bool has_name(const struct expression_node *node, const char *name) {
  bool own = (node->kind == EXPRESSION_NAME || node->kind == EXPRESSION_INDEXED) && strcmp(node->text, name) == 0;
  for (int i = 0; i < node->count && !own; i++) own = has_name(node->arguments[i], name);
  return own;
}

// Whether a power has the parameter in its exponent, and the size in its base or exponent.
static bool is_power_of_size(const struct expression_node *node, const char *size, const char *parameter) {
  if (node->kind == EXPRESSION_POWER && has_name(node->arguments[1], parameter) && has_name(node, size)) return true;
  for (int i = 0; i < node->count; i++)
    if (is_power_of_size(node->arguments[i], size, parameter)) return true;
  return false;
}

bool law_is_exponent(const struct law *law, const char *name) {
  for (int i = 0; law && i < law->exponent_count; i++)
    if (strcmp(law->exponents[i], name) == 0) return true;
  return false;
}

bool law_exponent_has_size(const struct law *law, const char *name) {
  const char *size = law_size_column(law);
  if (strcmp(law->target, size) == 0) return true;
  if (is_power_of_size(law->formula->root, size, name)) return true;
  for (int d = 0; d < law->derived_count; d++) {
    if (strcmp(law->derived[d].name, name) != 0) continue;
    const struct expression *expression = law->derived[d].expression;
    for (int i = 0; i < expression->name_count; i++)
      if (law_is_exponent(law, expression->names[i].name) && strcmp(expression->names[i].name, name) != 0 &&
          law_exponent_has_size(law, expression->names[i].name))
        return true;
  }
  return false;
}
