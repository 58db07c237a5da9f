// Predictions of runs that were not made. A spec's entry or a table is fitted (the same fit as `isoloss fit` makes,
// resamples and all), or the coefficients are given with --fix; then points, budgets and formats are worked out from
// the law and its resamples.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/predict_internal.h"

// ---- the law and its coefficients ----

// Coefficients as --fix gives them ("A", "eff[w4a4]") or the law holds them; a baseline category comes by itself.
static bool given_coefficients(struct predict_report *report, const struct fit_options *options, struct error *error) {
  const struct law *law = report->law;
  struct coefficient *all =
      arena_array(&report->arena, options->fix_count + 2 * (size_t)law->parameter_count + 1, sizeof *all);
  size_t count = 0;
  for (int p = 0; p < law->parameter_count; p++) {
    const struct law_parameter *parameter = &law->parameters[p];
    size_t before = count, length = strlen(parameter->name);
    if (parameter->tied) continue;
    if (parameter->by && parameter->baseline_count)
      all[count++] = (struct coefficient){
          .category = parameter->baselines[0], .value = parameter->baseline_value, .status = COEFFICIENT_BASELINE};
    for (size_t i = 0; i < options->fix_count; i++) {
      const char *name = options->fixes[i].name;
      size_t whole = strlen(name);
      if (strncmp(name, parameter->name, length) != 0 || isnan(options->fixes[i].value)) continue;
      bool plain = !parameter->by && whole == length;
      bool indexed = parameter->by && whole > length + 2 && name[length] == '[' && name[whole - 1] == ']';
      if (!plain && !indexed) continue;
      all[count++] = (struct coefficient){.value = options->fixes[i].value, .status = COEFFICIENT_FIXED};
      if (indexed) all[count - 1].category = arena_copy(&report->arena, name + length + 1, whole - length - 2);
    }
    if (before == count && parameter->fixed)
      all[count++] = (struct coefficient){.value = parameter->fixed_value, .status = COEFFICIENT_FIXED};
    if (before == count && !parameter->by)
      return error_set(error, EXIT_USAGE_ERROR,
                       "predict: %s of the law %s has no value: name what to fit, or give it with --fix %s=NUMBER",
                       parameter->name, law->name, parameter->name);
    for (size_t i = before; i < count; i++) {
      all[i].name = all[i].parameter = parameter->name;
      all[i].low = all[i].high = all[i].se = NAN;
      if (all[i].category) all[i].name = arena_format(&report->arena, "%s[%s]", parameter->name, all[i].category);
    }
  }
  for (size_t i = 0; i < options->fix_count; i++) {
    bool used = false;
    for (size_t c = 0; c < count; c++) used |= strcmp(all[c].name, options->fixes[i].name) == 0;
    if (!used)
      return error_set(error, EXIT_USAGE_ERROR, "predict: the law %s has no parameter '%s'", law->name,
                       options->fixes[i].name);
  }
  report->fitted = (struct fitted_law){
      .law = law, .coefficients = all, .coefficient_count = count, .confidence = 0.95, .residual = law->residual};
  return true;
}

// ---- what is asked ----

static bool has_sizes(const struct law *law, const struct law_input *inputs, size_t count) {
  return input_given(inputs, count, "parameters", NULL) || input_given(inputs, count, "tokens", NULL) ||
         input_given(inputs, count, "flops", NULL) || input_given(inputs, count, law_size_column(law), NULL);
}

// What the law predicts is no input of it.
static void drop_outcome(const struct law *law, struct law_input *inputs, size_t *count) {
  size_t kept = 0;
  for (size_t i = 0; i < *count; i++)
    if (strcmp(inputs[i].name, law->target) != 0) inputs[kept++] = inputs[i];
  *count = kept;
}

static bool add_points(struct predict_report *report, const struct predict_arguments *arguments,
                       const struct table *table, bool contexts_too, struct error *error) {
  report->points = arena_grow(&report->arena, report->points, report->point_count,
                              report->point_count + table->row_count + 1, sizeof *report->points);
  for (size_t row = 0; row < table->row_count; row++) {
    struct law_input *inputs;
    size_t count;
    if (!predict_inputs(report, table, row, &inputs, &count, error)) return false;
    if (!contexts_too && !has_sizes(report->law, inputs, count)) continue;
    drop_outcome(report->law, inputs, &count);
    struct predict_point *point = &report->points[report->point_count++];
    *point = (struct predict_point){.inputs = inputs, .input_count = count, .observed = NAN};
    if (table->row_names[row] && *table->row_names[row])
      point->name = arena_string(&report->arena, table->row_names[row]);
    fitted_law_predict(&report->arena, &report->fitted, inputs, count, &point->prediction);
    if (!arguments->overtraining || point->prediction.missing) continue;
    if (!fitted_law_overtraining(&report->arena, &report->fitted, inputs, count, &point->cost, error)) return false;
    point->has_cost = true;
  }
  return true;
}

double predict_outside(struct predict_report *report, const struct law_input *inputs, size_t count, double parameters,
                       double tokens, const struct outside **outside, size_t *outside_count) {
  struct law_input *at = arena_array(&report->arena, count + 3, sizeof *at);
  if (count) memcpy(at, inputs, count * sizeof *at);
  at[count++] = (struct law_input){law_size_column(report->law), {.kind = VALUE_NUMBER, .number = parameters}};
  at[count++] = (struct law_input){"tokens", {.kind = VALUE_NUMBER, .number = tokens}};
  return fitted_law_outside(&report->arena, &report->fitted, at, count, outside, outside_count);
}

const struct estimate *predict_loosest(const struct allocation *a) {
  const struct estimate *const all[] = {&a->parameters, &a->tokens, &a->tokens_per_parameter, &a->loss};
  for (int status = COEFFICIENT_UNIDENTIFIED;; status = COEFFICIENT_ONE_SIDED) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      if (all[i]->status == (enum coefficient_status)status) return all[i];
    if (status == COEFFICIENT_ONE_SIDED) return all[0];
  }
}

void predict_withhold(struct estimate *estimate) {
  estimate->status = COEFFICIENT_UNIDENTIFIED;
  estimate->low = estimate->high = NAN;
}

static bool allocate(struct predict_report *report, const struct table *contexts, size_t row, double flops,
                     struct error *error) {
  struct law_input *inputs;
  size_t count;
  if (!predict_inputs(report, contexts, row, &inputs, &count, error)) return false;
  struct predict_allocation *made = &report->allocations[report->allocation_count];
  *made = (struct predict_allocation){.inputs = inputs, .input_count = count};
  if (!fitted_law_allocate(&report->arena, &report->fitted, inputs, count, flops, INFINITY, &made->allocation, error))
    return error_context(error, "predict");
  struct allocation *a = &made->allocation;
  predict_outside(report, inputs, count, a->parameters.value, a->tokens.value, &made->outside, &made->outside_count);
  made->far = outside_hides(made->outside, made->outside_count);
  struct estimate *const all[] = {&a->parameters, &a->tokens, &a->tokens_per_parameter, &a->loss};
  for (size_t i = 0; i < sizeof all / sizeof *all && made->far; i++) predict_withhold(all[i]);
  report->allocation_count++;
  return true;
}

static bool add_allocations(struct predict_report *report, const struct table *budgets, const struct table *points,
                            struct error *error) {
  size_t contexts = 0;
  int column = table_find(budgets, "flops");
  bool *context = arena_array(&report->arena, points->row_count + 1, sizeof *context);
  for (size_t row = 0; row < points->row_count; row++) {
    context[row] = true;
    for (size_t c = 0; c < points->column_count; c++) {
      const char *name = points->columns[c].name;
      bool size = strcmp(name, "tokens") == 0 || strcmp(name, "flops") == 0 || starts_with(name, "parameters");
      if (size && table_value(points, c, row).kind != VALUE_MISSING) context[row] = false;
    }
    contexts += context[row];
  }
  report->allocations =
      arena_array(&report->arena, budgets->row_count * (contexts ? contexts : 1) + 1, sizeof *report->allocations);
  for (size_t b = 0; b < budgets->row_count; b++) {
    double flops = budgets->columns[column].numbers[b];
    if (!contexts && !allocate(report, NULL, 0, flops, error)) return false;
    for (size_t row = 0; row < points->row_count; row++)
      if (context[row] && !allocate(report, points, row, flops, error)) return false;
  }
  return true;
}

// ---- budget 1e21, --budget C=1e20..1e22:3log ----
static bool read_budgets(struct predict_report *report, const struct predict_arguments *arguments,
                         struct table *budgets, struct error *error) {
  const struct option_list *list = &arguments->budgets;
  const char **texts = arena_array(&report->arena, list->count + 1, sizeof *texts);
  for (size_t i = 0; i < list->count; i++)
    texts[i] = strchr(list->items[i], '=') ? list->items[i] : arena_format(&report->arena, "C=%s", list->items[i]);
  if (!points_parse(budgets, texts, list->count, error)) return error_context(error, "predict: --budget");
  int column = table_find(budgets, "flops");
  bool fine = budgets->column_count <= 1 && (!list->count || (column >= 0 && budgets->columns[column].numbers));
  for (size_t row = 0; row < budgets->row_count && fine; row++) fine = budgets->columns[column].numbers[row] >= 1e3;
  return fine || error_set(error, EXIT_USAGE_ERROR,
                           "predict: --budget takes FLOPs: --budget 1e21 or --budget C=1e20..1e22:3log");
}

static bool read_at(struct predict_report *report, const struct predict_arguments *arguments, struct table *points,
                    struct table *file, struct error *error) {
  if (!points_parse(points, arguments->at.items, arguments->at.count, error))
    return error_context(error, "predict: --at");
  return predict_read_table(report, arguments, file, error);
}

static bool answer(struct predict_report *report, const struct predict_arguments *arguments, struct error *error) {
  struct table points = {0}, budgets = {0}, file = {0}, curves = {0};
  bool contest = arguments->formats || !isnan(arguments->memory);
  bool fine = read_at(report, arguments, &points, &file, error);
  predict_keep_part(report, &points);
  predict_keep_part(report, &file);
  fine = fine && predict_check_questions(report, &points, error) && read_budgets(report, arguments, &budgets, error);
  bool along = arguments->schedules.count || arguments->best_schedule;
  fine = fine && predict_schedules(report, arguments, &points, &curves, error);
  if (fine && along)
    fine = add_points(report, arguments, &curves, true, error);
  else if (fine && !isnan(arguments->inference_tokens))
    fine = predict_serving(report, arguments, &budgets, &points, error);
  else if (fine && contest)
    fine = predict_formats(report, arguments, &budgets, &points, error);
  else if (fine)
    fine = add_points(report, arguments, &points, !budgets.row_count, error) && predict_check_answers(report, error) &&
           add_allocations(report, &budgets, &points, error);
  size_t first = report->point_count;
  if (fine && arguments->table) fine = add_points(report, arguments, &file, true, error);
  if (fine && arguments->table) predict_score(report, &file, first);
  table_free(&points);
  table_free(&budgets);
  table_free(&curves);
  table_free(&file);
  return fine;
}

// ---- what to predict from ----

static bool fit_source(struct predict_report *report, const struct predict_arguments *arguments,
                       const struct fit_options *options, struct error *error) {
  struct fit_input *input = &report->input;
  struct law *law = &report->own_law;
  struct fit_result *result = &report->own_result;
  bool fine = fit_input_begin(input, report->source, &arguments->fit, options, error) &&
              law_open(law, input->law, error) && fit_input_read(input, law, 1, error);
  if (!fine) return false;
  input->options.profile_all = false;
  input->options.profile_count = input->options.leave_out_count = input->options.contour_count = 0;
  predict_take_part(report, arguments);
  if (!fit_run(law, &input->table, &input->options, result, error)) return false;
  bool counted = !arguments->cost || strcmp(arguments->cost, "6nd") != 0;
  fitted_law_of(&report->arena, law, &input->table, result, counted, options->seed, &report->fitted);
  if (arguments->cost && counted && !report->fitted.cost.count)
    return error_set(error, EXIT_USAGE_ERROR, "predict: %s has no counted FLOPs that differ from 6ND", report->source);
  fit_input_tell(input, result);
  report->result = result;
  return true;
}

static bool take_coefficients(struct predict_report *report, const struct predict_arguments *arguments,
                              const struct fit_options *options, struct error *error) {
  if (!arguments->fit.entry.law)
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: name what to predict from: a spec, a table, an imported table; or a --law with all its "
                     "parameters given by --fix");
  return law_open(&report->own_law, arguments->fit.entry.law, error) && given_coefficients(report, options, error);
}

bool predict(struct predict_report *report, const char *source, const struct predict_arguments *arguments,
             const struct fit_options *options, struct error *error) {
  *report = (struct predict_report){.law = &report->own_law, .source = source, .arguments = arguments};
  return (source ? fit_source(report, arguments, options, error)
                 : take_coefficients(report, arguments, options, error)) &&
         answer(report, arguments, error);
}

void predict_free(struct predict_report *report) {
  fit_result_free(&report->own_result);
  law_free(&report->own_law);
  fit_input_free(&report->input);
  arena_free(&report->arena);
}
