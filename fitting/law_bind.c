// See law_bind.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/law_bind_internal.h"
#include "fitting/table_internal.h"

static int find_coefficient(const struct coefficient *coefficients, size_t count, const char *parameter,
                            const char *category) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(coefficients[i].parameter, parameter) == 0 && !coefficients[i].category == !category &&
        (!category || strcmp(coefficients[i].category, category) == 0))
      return (int)i;
  return -1;
}

static const struct value *find_input(const struct law_input *inputs, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(column_canonical(inputs[i].name), name) == 0 && inputs[i].value.kind != VALUE_MISSING)
      return &inputs[i].value;
  return NULL;
}

static bool no_category(const struct coefficient *coefficients, size_t count, const struct expression_name *name,
                        const char *category, struct error *error) {
  struct text list = {0};
  for (size_t i = 0; i < count; i++)
    if (strcmp(coefficients[i].parameter, name->name) == 0 && coefficients[i].category)
      text_format(&list, "%s%s", list.length ? ", " : "", coefficients[i].category);
  error_set(error, EXIT_USAGE_ERROR, "%s has no value for %s; there are: %.1500s", name->name, category,
            text_string(&list));
  text_free(&list);
  return false;
}

static bool bind_parameter(const struct coefficient *coefficients, size_t count, const struct law_input *inputs,
                           size_t input_count, const struct expression_name *name, int *place, struct error *error) {
  const char *category = name->index_quoted ? name->index : NULL;
  char number[32];
  if (name->index && !name->index_quoted) {
    const struct value *value = find_input(inputs, input_count, name->index);
    if (!value) return error_set(error, EXIT_USAGE_ERROR, "%s is not given", name->index);
    category = value->kind == VALUE_TEXT ? value->text : number;
    if (value->kind != VALUE_TEXT) number_shortest(value->number, number);
  }
  *place = find_coefficient(coefficients, count, name->name, category);
  if (*place >= 0) return true;
  if (category) return no_category(coefficients, count, name, category, error);
  return error_set(error, EXIT_USAGE_ERROR, "the parameter %s has no value", name->name);
}

bool law_bind(struct arena *arena, const struct law *law, const struct coefficient *coefficients, size_t count,
              const struct law_input *inputs, size_t input_count, bool open, struct law_binding *binding,
              struct error *error) {
  const struct expression *formula = law->formula;
  size_t names = (size_t)formula->name_count + 1;
  *binding = (struct law_binding){.law = law};
  binding->slots = arena_array(arena, names, sizeof *binding->slots);
  binding->kind = arena_array(arena, names, sizeof *binding->kind);
  binding->coefficient = arena_array(arena, names, sizeof *binding->coefficient);
  const char *size = law_size_column(law);
  for (int i = 0; i < formula->name_count; i++) {
    const struct expression_name *name = &formula->names[i];
    if (law_find_parameter(law, name->name) >= 0) {
      binding->kind[i] = BOUND_COEFFICIENT;
      if (!bind_parameter(coefficients, count, inputs, input_count, name, &binding->coefficient[i], error))
        return false;
    } else if (open && strcmp(name->name, size) == 0) {
      binding->kind[i] = BOUND_PARAMETERS;
      binding->has_parameters = true;
    } else if (open && strcmp(name->name, "tokens") == 0) {
      binding->kind[i] = BOUND_TOKENS;
      binding->has_tokens = true;
    } else if (open && strcmp(name->name, "flops") == 0) {
      binding->kind[i] = BOUND_FLOPS;
      binding->has_flops = true;
    } else {
      const struct value *value = find_input(inputs, input_count, name->name);
      if (!value) return error_set(error, EXIT_USAGE_ERROR, "%s is not given", name->name);
      binding->slots[i] = *value;
    }
  }
  return true;
}

double law_bound_value(const struct law_binding *binding, const double *values, double parameters, double tokens,
                       double flops) {
  const struct expression *formula = binding->law->formula;
  for (int i = 0; i < formula->name_count; i++) {
    double number;
    switch (binding->kind[i]) {
      case BOUND_FIXED:
        continue;
      case BOUND_COEFFICIENT:
        number = values[binding->coefficient[i]];
        if (isnan(number)) return NAN;
        break;
      case BOUND_PARAMETERS:
        number = parameters;
        break;
      case BOUND_TOKENS:
        number = tokens;
        break;
      default:
        number = flops;
        break;
    }
    binding->slots[i] = (struct value){.kind = VALUE_NUMBER, .number = number};
  }
  struct error missing = {0};
  double value;
  return expression_number(formula, binding->slots, &value, &missing) ? value : NAN;
}
