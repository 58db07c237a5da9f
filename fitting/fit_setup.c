// What a fit is made on: which rows take part, which scalars are fitted in which stage, the compiled programs.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/table_internal.h"

double element_value(const struct element *element, double internal) {
  return element->logarithmic ? exp(internal) : internal;
}

double element_internal(const struct element *element, double value) {
  return element->logarithmic ? log(value) : value;
}

// ---- rows ----

static const char *row_category(struct fit *fit, int column, size_t row) {
  struct value value = table_value(fit->table, (size_t)column, row);
  if (value.kind == VALUE_TEXT) return value.text;
  if (value.kind != VALUE_NUMBER) return NULL;
  char number[32];
  number_shortest(value.number, number);
  return arena_string(&fit->arena, number);
}

static void exclude(struct fit *fit, size_t row, const char *reason) {
  fit->selected[row] = false;
  fit_result_exclude(fit->result, fit->table->row_names[row], reason);
}

// Why a cell cannot be used, or NULL.
static const char *cell_problem(struct fit *fit, size_t column, size_t row) {
  const struct table_column *cells = &fit->table->columns[column];
  struct value value = table_value(fit->table, column, row);
  if (value.kind == VALUE_MISSING) return arena_format(&fit->result->arena, "%s is missing", cells->name);
  if (value.kind == VALUE_NUMBER && !isfinite(value.number))
    return arena_format(&fit->result->arena, "%s is not finite", cells->name);
  return NULL;
}

// A cell of zero or below may leave the law without a number whatever its parameters (N = 0 in A / N^alpha): the law is
// evaluated near two of its own starts (a little off, so
// that no exponent is whole: a negative number has whole powers).
static const char *law_problem(struct fit *fit, const int *columns, size_t row) {
  const struct law *law = fit->law;
  const char *suspect = NULL;
  double cell = 0;
  for (int i = 0; i < law->column_count; i++) {
    const struct table_column *column = &fit->table->columns[columns[i]];
    if (suspect || column->kind != COLUMN_NUMBER || column->numbers[row] > 0) continue;
    suspect = column->name;
    cell = column->numbers[row];
  }
  if (!suspect) return NULL;
  for (int i = 0; i < law->formula->name_count; i++)
    if (law->formula->names[i].index_quoted) return NULL;  // a category of its own, whatever the row
  size_t count = (size_t)law->parameter_count, inputs = (size_t)law->column_count;
  struct coefficient *coefficients = memory_get((count + 1) * sizeof *coefficients);
  struct law_input *input = memory_get((inputs + 1) * sizeof *input);
  bool finite = false;
  for (size_t i = 0; i < inputs; i++)
    input[i] = (struct law_input){law->columns[i], table_value(fit->table, (size_t)columns[i], row)};
  for (int last = 0; last < 2 && !finite; last++) {
    for (size_t p = 0; p < count; p++) {
      const struct law_parameter *parameter = &law->parameters[p];
      int starts = parameter->start_count, by = parameter->by ? table_find(fit->table, parameter->by) : -1;
      coefficients[p] = (struct coefficient){.parameter = parameter->name,
                                             .category = by >= 0 ? row_category(fit, by, row) : NULL,
                                             .value = parameter->fixed_value};
      if (starts) coefficients[p].value = 0.0071 + 1.0137 * parameter->starts[last ? starts - 1 : starts / 2];
    }
    finite = isfinite(law_evaluate(law, coefficients, count, input, inputs));
  }
  free(coefficients);
  free(input);
  if (finite) return NULL;
  return arena_format(&fit->result->arena, "%s is %g, where the law gives no finite %s", suspect, cell, law->target);
}

static const char *row_problem(struct fit *fit, const int *columns, size_t row) {
  const char *reason = cell_problem(fit, (size_t)fit->target_column, row);
  if (reason) return reason;
  double observed = fit->table->columns[fit->target_column].numbers[row];
  if (fit->residual == RESIDUAL_LOG && !(observed > 0)) {
    fit->left_out_by_outcome++;
    return arena_format(&fit->result->arena, "%s is %s%s", fit->law->target, observed == 0 ? "zero" : "negative",
                        fit_by_outcome);
  }
  for (int i = 0; i < fit->law->column_count && !reason; i++) reason = cell_problem(fit, (size_t)columns[i], row);
  return reason ? reason : law_problem(fit, columns, row);
}

static bool select_rows(struct fit *fit, struct error *error) {
  const struct table *table = fit->table;
  fit->selected = arena_array(&fit->arena, table->row_count + 1, sizeof *fit->selected);
  fit->use = arena_array(&fit->arena, table->row_count + 1, sizeof *fit->use);
  fit->observed = arena_array(&fit->arena, table->row_count + 1, sizeof *fit->observed);
  fit->target_column = table_find(table, fit->law->target);
  if (fit->target_column < 0)
    return unknown_column(table, fit->law->target, "the law predicts it, but there is", error);
  if (table->columns[fit->target_column].kind != COLUMN_NUMBER)
    return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s' holds texts, not numbers", table->source,
                     fit->law->target);
  int *columns = arena_array(&fit->arena, (size_t)fit->law->column_count + 1, sizeof *columns);
  for (int i = 0; i < fit->law->column_count; i++) {
    columns[i] = table_find(table, fit->law->columns[i]);
    if (columns[i] >= 0) continue;
    struct error inner = {0};
    unknown_column(table, fit->law->columns[i],
                   arena_format(&fit->arena, "the law %s needs the column, but there is", fit->law->name), &inner);
    const char *schedule, *step;
    if (law_schedule(fit->law, &schedule, &step) && table_find(table, schedule) < 0)
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s: the law %s is of points along loss curves, with the schedule of each run's learning rate "
                       "(of the runs of a spec: --curves eval or --curves train)",
                       table->source, fit->law->name);
    return error_set(error, EXIT_USAGE_ERROR, "%s (--map %s=COLUMN gives it another)", inner.text,
                     fit->law->columns[i]);
  }
  for (size_t row = 0; row < table->row_count; row++) fit->selected[row] = true;
  if (fit->options->where && !table_where(table, fit->options->where, fit->selected, error)) return false;
  for (size_t row = 0; row < table->row_count && fit->options->part_rows; row++)
    fit->selected[row] &= fit->options->part_rows[row];
  bool *held_out = arena_array(&fit->arena, table->row_count + 1, sizeof *held_out);
  if (fit->options->holdout && !table_where(table, fit->options->holdout, held_out, error)) return false;
  for (size_t row = 0; row < table->row_count; row++) {
    if (!fit->selected[row]) continue;
    const char *reason = row_problem(fit, columns, row);
    if (reason) exclude(fit, row, reason);
    if (fit->options->held_out_rows) held_out[row] |= fit->options->held_out_rows[row];
    fit->use[row] = held_out[row] ? ROW_HELD_OUT : ROW_UNUSED;
    fit->observed[row] = table->columns[fit->target_column].numbers[row];
  }
  return true;
}

// The value of an expression in every selected row; rows where it is not positive are excluded for `reason`.
static bool positive_of_rows(struct fit *fit, const char *text, const char *what, const char *reason, double *values,
                             struct error *error) {
  const struct table *table = fit->table;
  struct expression *expression = table_expression(table, &fit->arena, text, error);
  if (!expression) return error_context(error, "%s '%s'", what, text);
  int *columns = arena_array(&fit->arena, (size_t)expression->name_count + 1, sizeof *columns);
  struct value *slots = arena_array(&fit->arena, (size_t)expression->name_count + 1, sizeof *slots);
  if (!table_columns_of(table, expression, what, columns, error)) return false;
  for (size_t row = 0; row < table->row_count; row++) {
    if (!fit->selected[row]) continue;
    table_slots(table, expression, columns, row, slots);
    if (!expression_number(expression, slots, &values[row], error)) return error_context(error, "%s", what);
    if (!(values[row] > 0) || !isfinite(values[row])) exclude(fit, row, reason);
  }
  return true;
}

static bool weigh_rows(struct fit *fit, struct error *error) {
  fit->row_weight = arena_array(&fit->arena, fit->table->row_count + 1, sizeof *fit->row_weight);
  for (size_t row = 0; row < fit->table->row_count; row++) fit->row_weight[row] = 1;
  return !fit->options->weight ||
         positive_of_rows(fit, fit->options->weight, "weight", "its weight is not positive", fit->row_weight, error);
}

// Residuals in units of their rows' standard deviations, which the median turns back into those of a typical row: a row
// of twice the noise is taken for an outlier at twice the residual. A weight would leave that point where it is.
static bool scale_rows(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  size_t rows = fit->table->row_count, count = 0;
  result->std_median = NAN;
  if (!fit->options->std) return true;
  double *scale = arena_array(&fit->arena, rows + 1, sizeof *scale),
         *sorted = arena_array(&fit->arena, rows + 1, sizeof *sorted);
  if (!positive_of_rows(fit, fit->options->std, "std", "its standard deviation is not positive", scale, error))
    return false;
  for (size_t row = 0; row < rows; row++) {
    if (!fit->selected[row]) continue;
    if (fit->residual == RESIDUAL_LOG) scale[row] /= fit->observed[row];
    if (fit->use[row] != ROW_HELD_OUT) sorted[count++] = scale[row];
  }
  qsort(sorted, count, sizeof *sorted, compare_numbers);
  result->std = arena_string(&result->arena, fit->options->std);
  result->std_median = quantile(sorted, count, 0.5);
  for (size_t row = 0; row < rows; row++) scale[row] = fit->selected[row] ? result->std_median / scale[row] : 1;
  fit->row_scale = scale;
  return true;
}

static bool group_rows(struct fit *fit, struct error *error) {
  const struct table *table = fit->table;
  fit->row_group = arena_array(&fit->arena, table->row_count + 1, sizeof *fit->row_group);
  if (!fit->options->group || strcmp(fit->options->group, "none") == 0) {
    for (size_t row = 0; row < table->row_count; row++)
      fit->row_group[row] = fit->use[row] == ROW_FITTED ? fit->group_count++ : -1;
    return true;
  }
  int *columns, count;
  if (!table_columns_listed(table, fit->options->group, &fit->arena, &columns, &count, error)) return false;
  bool *fitted = arena_array(&fit->arena, table->row_count + 1, sizeof *fitted);
  for (size_t row = 0; row < table->row_count; row++) fitted[row] = fit->use[row] == ROW_FITTED;
  fit->group_count = table_partition(table, columns, count, fitted, fit->row_group);
  fit->grouped = true;
  fit->result->grouped_by = arena_string(&fit->result->arena, fit->options->group);
  return true;
}

// ---- elements ----

static int find_element(const struct fit *fit, int parameter, const char *category) {
  for (int e = 0; e < fit->element_count; e++)
    if (fit->elements[e].parameter == parameter && !fit->elements[e].category == !category &&
        (!category || strcmp(fit->elements[e].category, category) == 0))
      return e;
  return -1;
}

static void add_element(struct fit *fit, int p, const char *category) {
  const struct law_parameter *parameter = &fit->law->parameters[p];
  fit->elements = arena_grow(&fit->arena, fit->elements, (size_t)fit->element_count, (size_t)fit->element_count + 1,
                             sizeof *fit->elements);
  struct element *element = &fit->elements[fit->element_count++];
  *element = (struct element){.parameter = p, .category = category, .logarithmic = parameter->positive};
  element->name = category ? arena_format(&fit->arena, "%s[%s]", parameter->name, category) : parameter->name;
  // A positive parameter is kept within e^-150 and e^150 of 1: beyond lies nothing but overflow.
  element->low = parameter->positive ? fmax(log(parameter->low), -150) : parameter->low;
  element->high = parameter->positive ? fmin(log(parameter->high), 150) : parameter->high;
  if (parameter->fixed) {
    element->fixed = true;
    element->value = element_internal(element, parameter->fixed_value);
  }
  bool baseline = category && fit->pinned[p] && strcmp(category, fit->pinned[p]) == 0;
  if (baseline) {
    element->baseline = true;
    element->fixed = false;
    element->value = element_internal(element, parameter->baseline_value);
  }
}

// Whether all that could take up a factor of parameter p is held: then its values need no baseline.
static bool rest_is_held(const struct fit *fit, int p) {
  if (fit->law->stage_count > 1) return false;
  for (int q = 0; q < fit->law->parameter_count; q++) {
    const struct law_parameter *other = &fit->law->parameters[q];
    bool held = other->fixed || other->tied;
    for (size_t i = 0; i < fit->options->fix_count; i++)
      if (strcmp(fit->options->fixes[i].name, other->name) == 0) held = !isnan(fit->options->fixes[i].value);
    if (q != p && !held) return false;
  }
  return true;
}

// The category that the options or the law pin, of those that the rows have.
static bool choose_baseline(struct fit *fit, int p, int column, struct error *error) {
  const struct law_parameter *parameter = &fit->law->parameters[p];
  const char *const *wanted = (const char *const *)parameter->baselines;
  int count = parameter->baseline_count;
  for (size_t i = 0; i < fit->options->baseline_count; i++)
    if (strcmp(column_canonical(fit->options->baselines[i].column), parameter->by) == 0) {
      wanted = &fit->options->baselines[i].category;
      count = 1;
    }
  if (!count) return true;
  for (int i = 0; i < count; i++)
    for (size_t row = 0; row < fit->table->row_count; row++) {
      if (!fit->selected[row] || fit->use[row] == ROW_HELD_OUT) continue;
      const char *category = row_category(fit, column, row);
      if (strcmp(category, wanted[i]) != 0) continue;
      fit->pinned[p] = category;
      return true;
    }
  struct text list = {0};
  for (int i = 0; i < count; i++) text_format(&list, "%s'%s'", i ? ", " : "", wanted[i]);
  if (rest_is_held(fit, p)) {
    fit_result_warn(fit->result, "no row has %s = %s: %s is relative to what the other parameters are held at",
                    parameter->by, text_string(&list), parameter->name);
    text_free(&list);
    return true;
  }
  error_set(error, EXIT_USAGE_ERROR,
            "%s: no row has %s = %s, to which %s is relative; add such runs, or name another category with --baseline "
            "%s=CATEGORY, or hold all other parameters (--fix)",
            fit->table->source, parameter->by, text_string(&list), parameter->name, parameter->by);
  text_free(&list);
  return false;
}

static bool make_elements(struct fit *fit, struct error *error) {
  const struct law *law = fit->law;
  fit->pinned = arena_array(&fit->arena, (size_t)law->parameter_count + 1, sizeof *fit->pinned);
  for (int p = 0; p < law->parameter_count; p++) {
    const struct law_parameter *parameter = &law->parameters[p];
    if (parameter->tied) continue;
    if (!parameter->by) {
      add_element(fit, p, NULL);
      continue;
    }
    int column = table_find(fit->table, parameter->by);
    if (!choose_baseline(fit, p, column, error)) return false;
    if (fit->pinned[p]) add_element(fit, p, fit->pinned[p]);
    for (size_t row = 0; row < fit->table->row_count; row++) {
      if (!fit->selected[row]) continue;
      const char *category = row_category(fit, column, row);
      if (find_element(fit, p, category) < 0) add_element(fit, p, category);
      if (fit->element_count > 2000)
        return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s' has too many categories for a parameter each",
                         fit->table->source, parameter->by);
    }
  }
  for (size_t i = 0; i < fit->options->fix_count; i++) {
    const struct fit_fix *fix = &fit->options->fixes[i];
    int found = 0;
    for (int e = 0; e < fit->element_count; e++) {
      struct element *element = &fit->elements[e];
      bool whole = strcmp(law->parameters[element->parameter].name, fix->name) == 0;
      if (strcmp(element->name, fix->name) != 0 && !whole) continue;
      found++;
      if (element->baseline) continue;
      element->fixed = !isnan(fix->value);
      element->value = element->fixed ? element_internal(element, fix->value) : 0;
      if (element->fixed && !(element->value >= element->low && element->value <= element->high))
        return error_set(error, EXIT_USAGE_ERROR, "%s cannot be %g: the law %s bounds it", fix->name, fix->value,
                         law->name);
    }
    if (!found)
      return error_set(error, EXIT_USAGE_ERROR, "the law %s has no parameter '%s' here to fix or free", law->name,
                       fix->name);
  }
  return fit_tie(fit, error) && fit_bound(fit, error);
}

// ---- stages ----

static const char *pinned_category(const void *context, const char *column) {
  const struct fit *fit = context;
  for (int p = 0; p < fit->law->parameter_count; p++)
    if (fit->law->parameters[p].by && strcmp(fit->law->parameters[p].by, column) == 0 && fit->pinned[p])
      return fit->pinned[p];
  return NULL;
}

static bool stage_rows(struct fit *fit, struct fit_stage *stage, struct error *error) {
  const struct table *table = fit->table;
  bool *keep = arena_array(&fit->arena, table->row_count + 1, sizeof *keep);
  for (size_t row = 0; row < table->row_count; row++) keep[row] = true;
  if (stage->law_stage->where) {
    const char *what = arena_format(&fit->arena, "stage %s of law %s", stage->law_stage->name, fit->law->name);
    struct expression *where = table_expression(table, &fit->arena, stage->law_stage->where, error);
    where = where ? expand_baselines(&fit->arena, where, pinned_category, fit, error) : NULL;
    if (!where) return error_context(error, "%s", what);
    if (!table_where_expression(table, where, what, keep, error)) return false;
  }
  stage->rows = arena_array(&fit->arena, table->row_count + 1, sizeof *stage->rows);
  for (size_t row = 0; row < table->row_count; row++) {
    if (!fit->selected[row] || fit->use[row] == ROW_HELD_OUT || !keep[row]) continue;
    fit->use[row] = ROW_FITTED;
    stage->rows[stage->row_count++] = row;
  }
  return true;
}

static bool category_in_stage(struct fit *fit, const struct fit_stage *stage, const struct element *element) {
  int column = table_find(fit->table, fit->law->parameters[element->parameter].by);
  for (size_t i = 0; i < stage->row_count; i++)
    if (strcmp(row_category(fit, column, stage->rows[i]), element->category) == 0) return true;
  for (int e = 0; e < fit->element_count; e++)  // rows of a category that is tied to it tell of it too
    if (fit->elements[e].tied && &fit->elements[fit->elements[e].tied_to] == element &&
        (!fit->elements[e].category || category_in_stage(fit, stage, &fit->elements[e])))
      return true;
  return false;
}

static bool freed(const struct fit *fit, const struct fit_stage *stage, const struct element *element) {
  const char *name = fit->law->parameters[element->parameter].name;
  if (element->fixed || element->baseline || element->tied) return false;
  for (int i = 0; i < stage->law_stage->free_count; i++)
    if (strcmp(stage->law_stage->free[i], name) == 0) return true;
  // A parameter that the law fixes and the options free belongs to the only stage.
  return fit->law->parameters[element->parameter].fixed && fit->stage_count == 1;
}

// The coordinates' units, and in which of them the formula is linear.
static void stage_coordinates(struct fit *fit, struct fit_stage *stage) {
  const struct law *law = fit->law;
  size_t parameters = (size_t)law->parameter_count + 1, elements = (size_t)fit->element_count + 1;
  bool *candidates = arena_array(&fit->arena, parameters, sizeof *candidates),
       *linear = arena_array(&fit->arena, parameters, sizeof *linear);
  for (int i = 0; i < stage->free_count; i++) candidates[fit->elements[stage->free[i]].parameter] = true;
  law_linear(law, candidates, linear);
  bool scaled = fit->row_scale && fit->residual == RESIDUAL_LOG;  // logarithms times a number: nothing is linear
  stage->linear = arena_array(&fit->arena, elements, sizeof *stage->linear);
  for (int i = 0; i < stage->free_count; i++)
    stage->linear[stage->free[i]] = !scaled && linear[fit->elements[stage->free[i]].parameter];
  if (fit->unit) return;
  fit->unit = arena_array(&fit->arena, elements, sizeof *fit->unit);
  for (int e = 0; e < fit->element_count; e++) {
    const struct law_parameter *parameter = &law->parameters[fit->elements[e].parameter];
    if (parameter->positive) continue;
    double largest = parameter->fixed ? fabs(parameter->fixed_value) : 0;
    for (int k = 0; k < parameter->start_count; k++) largest = fmax(largest, fabs(parameter->starts[k]));
    fit->unit[e] = largest > 0 ? largest : 1;
  }
}

static void stage_problem(struct fit *fit, struct fit_stage *stage) {
  size_t padded = stage->program->padded;
  stage->target = arena_array(&fit->arena, padded + 1, sizeof *stage->target);
  stage->weight = arena_array(&fit->arena, padded + 1, sizeof *stage->weight);
  for (size_t i = 0; i < padded; i++) {
    size_t row = stage->rows[i < stage->row_count ? i : 0];
    stage->target[i] = fit->residual == RESIDUAL_LOG ? log(fit->observed[row]) : fit->observed[row];
    if (fit->row_scale) stage->target[i] *= fit->row_scale[row];
    stage->weight[i] = i < stage->row_count ? fit->row_weight[row] : 0;
  }
  stage->low = arena_array(&fit->arena, (size_t)stage->free_count + 1, sizeof *stage->low);
  stage->high = arena_array(&fit->arena, (size_t)stage->free_count + 1, sizeof *stage->high);
  for (int i = 0; i < stage->free_count; i++) {
    stage->low[i] = fit->elements[stage->free[i]].low;
    stage->high[i] = fit->elements[stage->free[i]].high;
  }
  stage->problem = (struct problem){.program = stage->program,
                                    .target = stage->target,
                                    .weight = stage->weight,
                                    .free_count = stage->free_count,
                                    .free = stage->free,
                                    .free_of = stage->free_of,
                                    .low = stage->low,
                                    .high = stage->high,
                                    .unit = fit->unit,
                                    .linear = stage->linear,
                                    .logarithmic = fit->residual == RESIDUAL_LOG,
                                    .absolute = fit->objective.kind == OBJECTIVE_LAD};
  problem_take(&stage->problem, fit->objective);
}

static bool make_stage(struct fit *fit, struct fit_stage *stage, struct error *error) {
  if (!stage_rows(fit, stage, error)) return false;
  stage->free = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *stage->free);
  stage->free_of = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *stage->free_of);
  for (int e = 0; e < fit->element_count; e++) {
    struct element *element = &fit->elements[e];
    stage->free_of[e] = -1;
    if (!freed(fit, stage, element) || (element->category && !category_in_stage(fit, stage, element))) continue;
    element->free_ever = true;
    stage->free_of[e] = stage->free_count;
    stage->free[stage->free_count++] = e;
  }
  bool single = fit->stage_count == 1;
  const char *of = single ? "" : arena_format(&fit->arena, "stage %s: ", stage->law_stage->name);
  if (!stage->free_count && single)
    return error_set(error, EXIT_USAGE_ERROR, "%s: nothing is left to fit: every parameter is fixed",
                     fit->table->source);
  if (!stage->free_count || (!single && !stage->row_count)) {
    fit_result_warn(fit->result, "%s%s", of,
                    stage->row_count ? "nothing to fit" : "no row; its parameters are not fitted");
    stage->free_count = 0;
    return true;
  }
  if (stage->row_count < (size_t)stage->free_count + 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s: %s%zu row%s cannot determine %d parameter%s of the law %s; at least %d are needed%s",
                     fit->table->source, of, stage->row_count, stage->row_count == 1 ? "" : "s", stage->free_count,
                     stage->free_count == 1 ? "" : "s", fit->law->name, stage->free_count + 1,
                     fit->left_out_by_outcome      ? "; --residual plain takes rows that are not above 0"
                     : fit->result->excluded_count ? " (rows were excluded: see the list)"
                                                   : "");
  if (fit->row_scale) {
    stage->row_scale = arena_array(&fit->arena, stage->row_count + 1, sizeof *stage->row_scale);
    for (size_t i = 0; i < stage->row_count; i++) stage->row_scale[i] = fit->row_scale[stage->rows[i]];
  }
  struct row_list rows = {stage->rows, stage->row_count, stage->row_scale};
  stage->program =
      program_compile(&fit->arena, fit->law, fit->table, rows, fit->elements, fit->element_count, fit->residual, error);
  if (!stage->program) return false;
  stage->row_cost = program_row_cost(stage->program);
  stage_coordinates(fit, stage);
  stage_problem(fit, stage);
  return true;
}

bool fit_setup(struct fit *fit, struct error *error) {
  if (!select_rows(fit, error) || !weigh_rows(fit, error) || !scale_rows(fit, error) || !make_elements(fit, error))
    return false;
  fit->stage_count = fit->law->stage_count;
  fit->stages = arena_array(&fit->arena, (size_t)fit->stage_count + 1, sizeof *fit->stages);
  for (int s = 0; s < fit->stage_count; s++) {
    fit->stages[s].law_stage = &fit->law->stages[s];
    if (!make_stage(fit, &fit->stages[s], error)) return false;
  }
  fit_find_ranges(fit);
  return fit_check_tied_stages(fit, error) && group_rows(fit, error);
}

bool fit_is_small(const struct fit *fit) {
  static const double limit = 1e6, dear_limit = 1e5;  // of laws that sum over schedules
  for (int s = 0; s < fit->stage_count; s++)
    if ((double)fit->stages[s].row_count * fit->stages[s].row_cost * fit->stages[s].free_count >
        (fit->stages[s].row_cost > 1 ? dear_limit : limit))
      return false;
  return true;
}
