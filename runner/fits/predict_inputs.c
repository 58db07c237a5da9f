// The inputs of a point: what was given, what follows from its format, and baselines where nothing was said.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/columns.h"
#include "runner/fits/format_capacity.h"
#include "runner/fits/predict_internal.h"

bool input_given(const struct law_input *inputs, size_t count, const char *name, double *number) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(inputs[i].name, name) != 0 || inputs[i].value.kind == VALUE_MISSING) continue;
    if (number) *number = inputs[i].value.kind == VALUE_NUMBER ? inputs[i].value.number : NAN;
    return true;
  }
  return false;
}

static const char *given_text(const struct law_input *inputs, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(inputs[i].name, name) == 0 && inputs[i].value.kind == VALUE_TEXT) return inputs[i].value.text;
  return NULL;
}

// Whether a per-category parameter of this column has a value for the category; the baseline one when `category` is
// NULL.
static const char *find_category(const struct predict_report *report, const char *column, const char *category) {
  for (int p = 0; p < report->law->parameter_count; p++) {
    if (!report->law->parameters[p].by || strcmp(report->law->parameters[p].by, column) != 0) continue;
    for (size_t c = 0; c < report->fitted.coefficient_count; c++) {
      const struct coefficient *coefficient = &report->fitted.coefficients[c];
      if (!coefficient->category || strcmp(coefficient->parameter, report->law->parameters[p].name) != 0) continue;
      if (category ? strcmp(coefficient->category, category) == 0 : coefficient->status == COEFFICIENT_BASELINE)
        return coefficient->category;
    }
  }
  return NULL;
}

// Formats have one name in the store: another text of the same format means that.
static const char *canonical_category(struct predict_report *report, const char *column, const char *text) {
  if (find_category(report, column, text)) return text;
  const char *canonical = format_canonical(text, &report->arena);
  return find_category(report, column, canonical) ? canonical : text;
}

static void note_default(struct predict_report *report, const char *column, const char *value) {
  for (size_t i = 0; i < report->default_count; i++)
    if (strcmp(report->defaults[i].column, column) == 0 && strcmp(report->defaults[i].value, value) == 0) return;
  report->defaults = arena_grow(&report->arena, report->defaults, report->default_count, report->default_count + 1,
                                sizeof *report->defaults);
  report->defaults[report->default_count++] = (struct predict_default){column, value};
}

bool number_of_format(const char *column) {
  const struct run_column *known = run_column_find(column);
  return known && known->of_format && known->type == TYPE_REAL;
}

// What follows from a format: its parts, bits and errors, as the store has them next to runs. MISSING for other
// columns.
static bool value_of_format(struct predict_report *report, const char *column, const struct format *format,
                            struct value *value, struct error *error) {
  const struct run_column *known = run_column_find(column);
  if (!known) return true;
  const struct representation *operand = &format->operands[known->operand];
  struct capacity capacity = {0};
  struct capacity_options options = {.threads = threads_wanted(0), .isa = isa_best()};
  switch (known->of_format) {
    case OF_FORMAT_NOTHING:
      break;
    case OF_FORMAT_FORWARD:
      *value = (struct value){.kind = VALUE_TEXT, .text = format_forward(format, &report->arena)};
      break;
    case OF_FORMAT_BACKWARD:
      *value = (struct value){.kind = VALUE_TEXT, .text = format_backward(format, &report->arena)};
      break;
    case OF_FORMAT_BITS:
      *value = (struct value){.kind = VALUE_NUMBER, .number = representation_bits(operand)};
      break;
    case OF_FORMAT_KV_BITS:
      *value = (struct value){.kind = VALUE_NUMBER, .number = 16};
      break;
    case OF_FORMAT_PLAIN:
      *value = (struct value){.kind = VALUE_NUMBER, .number = format_is_none(format) ? 1 : format->after};
      break;
    case OF_FORMAT_ERROR:
      if (!representation_is_none(operand) && !capacity_measure(operand, &options, &capacity, error)) return false;
      *value = (struct value){.kind = VALUE_NUMBER, .number = capacity.gmse};
      break;
  }
  return true;
}

// A column of the law that nothing is said of: of the format given, else of none, which is noted.
static bool fill_column(struct predict_report *report, const char *column, const char *given, struct value *value,
                        struct error *error) {
  const char *baseline = find_category(report, column, NULL);
  struct error unknown = {0};
  const struct format *format = given ? format_read(given, &report->arena, &unknown) : NULL;
  if (format && !value_of_format(report, column, format, value, error)) return false;
  if (value->kind == VALUE_TEXT) value->text = canonical_category(report, column, value->text);
  if (value->kind != VALUE_MISSING) return true;
  if (baseline) {
    *value = (struct value){.kind = VALUE_TEXT, .text = baseline};
    note_default(report, column, baseline);
    return true;
  }
  if (!number_of_format(column) || given) return true;
  format = format_read("none", &report->arena, error);
  if (!format || !value_of_format(report, column, format, value, error)) return false;
  note_default(report, column, value->number == 0 ? "0" : "16");
  return true;
}

bool predict_inputs(struct predict_report *report, const struct table *table, size_t row, struct law_input **inputs,
                    size_t *count, struct error *error) {
  size_t columns = table ? table->column_count : 0;
  *inputs = arena_array(&report->arena, columns + (size_t)report->law->column_count + 4, sizeof **inputs);
  *count = 0;
  for (size_t c = 0; c < columns; c++) {
    struct value value = table_value(table, c, row);
    const char *name = arena_string(&report->arena, table->columns[c].name);
    if (value.kind == VALUE_TEXT)
      value.text = canonical_category(report, name, arena_string(&report->arena, value.text));
    if (value.kind != VALUE_MISSING) (*inputs)[(*count)++] = (struct law_input){name, value};
  }
  const char *format = given_text(*inputs, *count, "format");
  for (int i = 0; i < report->law->column_count; i++) {
    const char *column = report->law->columns[i];
    struct value value = {.kind = VALUE_MISSING};
    if (input_given(*inputs, *count, column, NULL)) continue;
    if (!fill_column(report, column, format, &value, error)) return false;
    if (value.kind != VALUE_MISSING) (*inputs)[(*count)++] = (struct law_input){column, value};
  }
  return true;
}
