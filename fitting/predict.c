// Predictions of a law at given coefficients.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/law_internal.h"
#include "fitting/table_internal.h"

static double find_value(const struct coefficient *coefficients, size_t count, const char *parameter,
                         const char *category) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(coefficients[i].parameter, parameter) == 0 && !coefficients[i].category == !category &&
        (!category || strcmp(coefficients[i].category, category) == 0))
      return coefficients[i].value;
  return NAN;
}

static struct value number_value(double number) {
  struct value value = {.kind = VALUE_NUMBER, .number = number};
  if (isnan(number)) value.kind = VALUE_MISSING;
  return value;
}

// The parameter's value where its column has this value.
static struct value indexed_value(const struct coefficient *coefficients, size_t count, const char *parameter,
                                  struct value index) {
  char number[32];
  if (index.kind == VALUE_NUMBER) number_shortest(index.number, number);
  if (index.kind != VALUE_NUMBER && index.kind != VALUE_TEXT) return (struct value){.kind = VALUE_MISSING};
  return number_value(find_value(coefficients, count, parameter, index.kind == VALUE_TEXT ? index.text : number));
}

bool law_predict(const struct law *law, const struct coefficient *coefficients, size_t count, const struct table *table,
                 double *predictions, struct error *error) {
  const struct expression *formula = law->formula;
  size_t names = (size_t)formula->name_count + 1;
  struct value *slots = memory_get(names * sizeof *slots);
  int *columns = memory_get(names * sizeof *columns);
  bool fine = true;
  for (int i = 0; i < formula->name_count && fine; i++) {
    const struct expression_name *name = &formula->names[i];
    bool parameter = law_find_parameter(law, name->name) >= 0;
    columns[i] = -1;
    if (parameter && !name->index)
      slots[i] = number_value(find_value(coefficients, count, name->name, NULL));
    else if (parameter && name->index_quoted)
      slots[i] = number_value(find_value(coefficients, count, name->name, name->index));
    else
      columns[i] = table_find(table, parameter ? name->index : name->name);
    if (parameter && (!name->index || name->index_quoted)) continue;
    if (columns[i] < 0) fine = unknown_column(table, parameter ? name->index : name->name, "there is", error);
  }
  for (size_t row = 0; row < table->row_count && fine; row++) {
    for (int i = 0; i < formula->name_count; i++) {
      if (columns[i] < 0) continue;
      slots[i] = table_value(table, (size_t)columns[i], row);
      if (formula->names[i].index) slots[i] = indexed_value(coefficients, count, formula->names[i].name, slots[i]);
    }
    struct error missing = {0};  // a row without a value has no prediction
    if (!expression_number(formula, slots, &predictions[row], &missing)) predictions[row] = NAN;
  }
  free(slots);
  free(columns);
  return fine;
}

static struct value find_input(const struct law_input *inputs, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(column_canonical(inputs[i].name), name) == 0) return inputs[i].value;
  return (struct value){.kind = VALUE_MISSING};
}

double law_evaluate(const struct law *law, const struct coefficient *coefficients, size_t count,
                    const struct law_input *inputs, size_t input_count) {
  const struct expression *formula = law->formula;
  struct value *slots = memory_get((size_t)(formula->name_count + 1) * sizeof *slots);
  for (int i = 0; i < formula->name_count; i++) {
    const struct expression_name *name = &formula->names[i];
    if (law_find_parameter(law, name->name) < 0)
      slots[i] = find_input(inputs, input_count, name->name);
    else if (!name->index || name->index_quoted)
      slots[i] = number_value(find_value(coefficients, count, name->name, name->index));
    else
      slots[i] = indexed_value(coefficients, count, name->name, find_input(inputs, input_count, name->index));
  }
  struct error missing = {0};
  double prediction = NAN;
  if (!expression_number(formula, slots, &prediction, &missing)) prediction = NAN;
  free(slots);
  return prediction;
}
