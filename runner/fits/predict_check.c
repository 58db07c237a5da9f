// What is asked with --at, held against the law and its rows: names, numbers where numbers are meant, categories where
// categories are, sizes that a run can have.
#include <math.h>
#include <string.h>

#include "results/columns.h"
#include "runner/fits/predict_internal.h"

static bool check_names(struct predict_report *report, const struct table *points, struct error *error) {
  size_t count = 0, room = (size_t)report->law->column_count + run_column_count + run_field_count + 1;
  const char **names = arena_array(&report->arena, room, sizeof *names);
  for (int i = 0; i < report->law->column_count; i++) names[count++] = report->law->columns[i];
  for (size_t i = 0; i < run_column_count; i++)
    if (run_columns[i].axis) names[count++] = run_columns[i].name;
  for (size_t i = 0; i < run_field_count; i++)
    if (run_fields[i].groups & GROUP_FORMAT) names[count++] = run_fields[i].path;
  if (report->own_result.by) names[count++] = report->own_result.by;
  for (size_t c = 0; c < points->column_count; c++) {
    bool known = false;
    for (size_t i = 0; i < count; i++) known |= strcmp(names[i], points->columns[c].name) == 0;
    if (known) continue;
    struct text list = {0};
    for (int i = 0; i < report->law->column_count; i++)
      text_format(&list, "%s%s", i ? ", " : "", report->law->columns[i]);
    error_set(error, EXIT_USAGE_ERROR, "predict: the law %s has no column '%s'", report->law->name,
              points->columns[c].name);
    error_hint(error, nearest_name(points->columns[c].name, names, count), NULL);
    error_add(error, "; it needs: %s", text_string(&list));
    text_free(&list);
    return false;
  }
  return true;
}

// What a run has none of at 0 or below: parameters of whatever count, tokens, FLOPs, tokens per parameter.
static bool is_size(const struct law *law, const char *column) {
  return starts_with(column, "parameters") || strcmp(column, "tokens") == 0 || strcmp(column, "flops") == 0 ||
         strcmp(column, "tokens_per_parameter") == 0 || strcmp(column, law_size_column(law)) == 0;
}

// The categories of a column, "none, w4a4", in the report's arena; NULL where the fit has none, or where some are
// written as numbers, which a number may well mean.
static const char *texts_of(struct predict_report *report, const char *column) {
  const char *list = NULL;
  double number;
  const struct fitted_law *fitted = &report->fitted;
  for (size_t i = 0; i < fitted->ranges.category_count; i++) {
    const struct fit_category *one = &fitted->ranges.categories[i];
    if (strcmp(one->column, column) != 0) continue;
    if (number_parse(one->category, &number)) return NULL;
    list = list ? arena_format(&report->arena, "%s, %s", list, one->category) : one->category;
  }
  return list;
}

// Whether the law reads numbers here: a size, or a column that had numbers in the fitted rows. Without rows (--fix) a
// column of the law that no coefficient has a value for each category of.
static bool is_number(const struct predict_report *report, const char *column) {
  const struct law *law = report->law;
  const struct fit_ranges *ranges = &report->fitted.ranges;
  if (is_size(law, column)) return true;
  for (size_t i = 0; i < ranges->column_count; i++)
    if (strcmp(ranges->columns[i].column, column) == 0) return true;
  if (report->result) return false;
  bool own = false;
  for (int i = 0; i < law->column_count; i++) own |= strcmp(law->columns[i], column) == 0;
  for (int p = 0; p < law->parameter_count; p++) own &= !law->parameters[p].by || strcmp(law->parameters[p].by, column);
  return own && !law_compares_text(law, column);
}

static bool check_value(struct predict_report *report, const struct table *points, size_t c, size_t row,
                        struct error *error) {
  const char *column = points->columns[c].name, *texts;
  struct value value = table_value(points, c, row);
  if (value.kind == VALUE_TEXT && is_number(report, column))
    return error_set(error, EXIT_USAGE_ERROR, "predict: --at %s=%s: %s is a number, and '%s' is a text", column,
                     value.text, column, value.text);
  if (value.kind == VALUE_NUMBER && is_size(report->law, column) && !(value.number > 0))
    return error_set(error, EXIT_USAGE_ERROR, "predict: --at %s=%g: no run has %s of 0 or below; give a number above 0",
                     column, value.number, column);
  if (value.kind == VALUE_NUMBER && !is_number(report, column) && (texts = texts_of(report, column)))
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: --at %s=%g: %s is a text, and %g is a number; there are: %.1500s", column, value.number,
                     column, value.number, texts);
  return true;
}

bool predict_check_questions(struct predict_report *report, const struct table *points, struct error *error) {
  if (!check_names(report, points, error)) return false;
  for (size_t c = 0; c < points->column_count; c++)
    for (size_t row = 0; row < points->row_count; row++)
      if (!check_value(report, points, c, row, error)) return false;
  return true;
}

bool predict_check_answers(const struct predict_report *report, struct error *error) {
  for (size_t i = 0; i < report->point_count; i++) {
    const struct predict_point *point = &report->points[i];
    bool unseen = false;  // a category that no row has: these runs cannot tell, which is an answer
    for (size_t k = 0; k < point->prediction.outside_count; k++) unseen |= point->prediction.outside[k].unseen != NULL;
    if (!point->prediction.missing || unseen) continue;
    struct text at = {0};
    for (size_t k = 0; k < point->input_count; k++) {
      char number[40];
      const struct value *value = &point->inputs[k].value;
      text_format(&at, "%s%s=%s", k ? "," : "", point->inputs[k].name,
                  value->kind == VALUE_TEXT ? value->text : number_digits(value->number, 6, number));
    }
    error_set(error, EXIT_USAGE_ERROR, "predict: --at %.500s: no prediction: %s", text_string(&at),
              point->prediction.missing);
    text_free(&at);
    return false;
  }
  return true;
}
