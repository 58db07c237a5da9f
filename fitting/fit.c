// fit_run: from a law and a table to coefficients, intervals, residuals and warnings.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

static const char *copy(struct fit_result *result, const char *text) {
  return text ? arena_string(&result->arena, text) : NULL;
}

static void fill_coefficients(struct fit *fit) {
  struct fit_result *result = fit->result;
  result->coefficients = arena_array(&result->arena, (size_t)fit->element_count + 1, sizeof *result->coefficients);
  for (int e = 0; e < fit->element_count; e++) {
    const struct element *element = &fit->elements[e];
    struct coefficient *coefficient = &result->coefficients[result->coefficient_count++];
    *coefficient = (struct coefficient){.name = copy(result, element->name),
                                        .parameter = copy(result, fit->law->parameters[element->parameter].name),
                                        .category = copy(result, element->category),
                                        .value = element_value(element, element->value),
                                        .low = NAN,
                                        .high = NAN,
                                        .se = NAN,
                                        .intervals = intervals_none};
    if (element->tied) {
      const struct element *other = &fit->elements[element->tied_to];
      coefficient->tied_to = copy(result, other->name);
      coefficient->note = arena_format(&result->arena, "tied to %s", coefficient->tied_to);
      coefficient->value = element_value(other, other->value);
      coefficient->status =
          other->free_ever || other->fixed || other->baseline ? COEFFICIENT_TIED : COEFFICIENT_UNFITTED;
      if (coefficient->status == COEFFICIENT_UNFITTED) coefficient->value = NAN;
      continue;
    }
    coefficient->status = element->baseline    ? COEFFICIENT_BASELINE
                          : element->fixed     ? COEFFICIENT_FIXED
                          : element->free_ever ? COEFFICIENT_FITTED
                                               : COEFFICIENT_UNFITTED;
    if (coefficient->status == COEFFICIENT_UNFITTED) coefficient->value = NAN;
  }
}

static void fill_stages(struct fit *fit) {
  struct fit_result *result = fit->result;
  const struct fit_stage *main_stage = &fit->stages[0];
  result->stages = arena_array(&result->arena, (size_t)fit->stage_count + 1, sizeof *result->stages);
  result->stationary = true;
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count) continue;
    result->stages[result->stage_count++] = (struct fit_stage_result){
        copy(result, stage->law_stage->name), stage->row_count, (size_t)stage->free_count, stage->objective};
    result->stationary &= stage->stationary;
    result->stationarity = fmax(result->stationarity, stage->stationarity);
    if (stage->free_count > main_stage->free_count) main_stage = stage;
  }
  result->starts = main_stage->starts;
  result->starts_descended = main_stage->descended;
  result->starts_agreeing = main_stage->agreeing;
  result->starts_elsewhere = main_stage->elsewhere;
  result->starts_not_stationary = main_stage->unsettled;
  result->trust_region_objective = main_stage->trust_region_objective;
  result->bfgs_objective = main_stage->bfgs_objective;
  result->replication.spread = NAN;
  result->runner_up_objective = NAN;
  if (main_stage->other_count) {
    result->runner_up_objective = main_stage->other_objectives[0];
    result->runner_up = arena_array(&result->arena, (size_t)fit->element_count, sizeof *result->runner_up);
    for (int e = 0; e < fit->element_count; e++) result->runner_up[e] = result->coefficients[e].value;
    for (int i = 0; i < main_stage->free_count; i++)
      result->runner_up[main_stage->free[i]] =
          element_value(&fit->elements[main_stage->free[i]], main_stage->others[0][i]);
    fit_copy_ties(fit, result->runner_up);
  }
  if (!result->stationary)
    fit_result_warn(result,
                    "the minimum did not pass the stationarity test (%.2g): the coefficients may not be the best",
                    result->stationarity);
  if (!main_stage->agreeing && !main_stage->elsewhere && main_stage->descended > 1)
    fit_result_warn(result,
                    "no start reached the lowest objective, only a search around another minimum: there may be "
                    "a lower one");
  if (main_stage->agreeing == 1 && !main_stage->elsewhere && main_stage->descended > 1)
    fit_result_warn(result, "only one start reached the lowest objective: there may be a lower one");
}

// The categories of a row, for reading the residual table: "w4a4" or "QuEST / BF16".
static const char *row_categories(struct fit *fit, size_t row) {
  struct text text = {0};
  for (int i = 0; i < fit->law->column_count; i++) {
    int column = table_find(fit->table, fit->law->columns[i]);
    struct value value = table_value(fit->table, (size_t)column, row);
    const char *schedule, *step;
    if (law_schedule(fit->law, &schedule, &step) && strcmp(schedule, fit->law->columns[i]) == 0) continue;
    if (value.kind == VALUE_TEXT) text_format(&text, "%s%s", text.length ? " / " : "", value.text);
  }
  const char *made = arena_string(&fit->result->arena, text_string(&text));
  text_free(&text);
  return made;
}

static void fill_row(struct fit *fit, size_t row, double predicted, struct fit_row *out) {
  double observed = fit->observed[row];
  *out = (struct fit_row){.name = copy(fit->result, fit->table->row_names[row]),
                          .place = row,
                          .leverage = NAN,
                          .distance = NAN,
                          .use = fit->use[row],
                          .observed = observed,
                          .predicted = predicted,
                          .group = row_categories(fit, row)};
  out->residual = fit->residual == RESIDUAL_LOG ? log(observed / predicted) : observed - predicted;
  out->scale = fit->row_scale ? fit->row_scale[row] : 1;
  out->influence = objective_influence(fit->objective, out->residual * out->scale);
}

// Predictions for all rows, the objective over the fitted ones, errors over both kinds.
static bool fill_rows(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  size_t rows = fit->table->row_count, held_out = 0;
  double *predictions = memory_get((rows + 1) * sizeof *predictions), squares = 0, errors = 0, shares = 0;
  bool fine = law_predict(fit->law, result->coefficients, result->coefficient_count, fit->table, predictions, error);
  result->table = arena_array(&result->arena, rows + 1, sizeof *result->table);
  for (size_t row = 0; row < rows && fine; row++) {
    if (!fit->selected[row]) continue;
    struct fit_row *out = &result->table[result->table_count++];
    fill_row(fit, row, predictions[row], out);
    if (out->use == ROW_FITTED) {
      result->rows++;
      result->objective += fit->row_weight[row] * objective_loss(fit->objective, out->residual * out->scale);
      squares += out->residual * out->residual;
    } else if (out->use == ROW_HELD_OUT) {
      result->held_out++;
      if (isnan(predictions[row])) continue;  // a category that no fitted row has
      held_out++;
      errors += fabs(out->predicted - out->observed);
      shares += fabs(out->predicted - out->observed) / fabs(out->observed);
    } else {
      result->unused++;
    }
  }
  if (fit->alone) {
    double *values = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *values);
    for (int e = 0; e < fit->element_count; e++) values[e] = result->coefficients[e].value;
    result->penalty = fit_penalty_at(fit, values);
    result->objective += result->penalty;
  }
  result->residual_rms = sqrt(squares / (double)result->rows);
  result->holdout_error = held_out ? (fit_errors_absolute(result) ? errors : shares) / (double)held_out : NAN;
  if (held_out < result->held_out)
    fit_result_warn(result, "%zu held-out rows have a category that no fitted row has; they count in no error",
                    result->held_out - held_out);
  free(predictions);
  return fine;
}

static bool begin(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  const struct law *law = fit->law;
  const struct fit_options *options = fit->options;
  fit->residual = law->residual;
  fit->objective = law->objective;
  if (options->residual && !residual_parse(options->residual, &fit->residual, error)) return false;
  if (options->objective && !objective_parse(options->objective, &fit->objective, error)) return false;
  if (!fit_objective_check(law, options->objective, false, error)) return false;
  result->scale_estimated = fit->objective.kind == OBJECTIVE_STUDENT_T && isnan(fit->objective.scale);
  result->name = copy(result, options->name ? options->name : law->name);
  result->by = copy(result, options->part ? options->by : NULL);
  result->part = copy(result, options->part);
  result->law = copy(result, law->name);
  result->formula = copy(result, law->formula_text);
  result->source = copy(result, fit->table->source);
  result->target = copy(result, law->target);
  result->residual = fit->residual;
  result->objective_kind = fit->objective;
  result->bootstrap = options->bootstrap < 0 ? 1000 : options->bootstrap;
  result->interval = options->interval;
  result->confidence = options->confidence > 0 ? options->confidence : 0.95;
  result->parameter_count = copy(result, options->parameter_count);
  int parameters = table_find(fit->table, "parameters");
  if (!options->parameter_count && parameters >= 0)
    result->parameter_count = arena_format(&result->arena, "as in column %s", fit->table->columns[parameters].original);
  return true;
}

// What is next to the coefficients.
static bool diagnose(struct fit *fit, struct error *error) {
  const struct fit_options *options = fit->options;
  if (options->bare && !options->profile_all && !options->profile_count && !options->leave_out_count &&
      !options->contour_count)
    return true;
  for (int s = 0; s < fit->stage_count; s++)
    if (fit->stages[s].free_count) fit->stages[s].scale = stage_scale_new(fit, &fit->arena, &fit->stages[s]);
  fit_profile(fit);
  fit_contours(fit);
  if (!options->bare) {
    fit_direct(fit);
    if (!fit->rounding) {
      fit_influence(fit);
      fit_sensitivity(fit);
      fit_trends(fit);
      fit_doubt_tails(fit);
    }
    fit_replicates(fit);
    fit_correlate(fit);
    fit_roll_out(fit);
  }
  fit_status_notes(fit);
  if (!fit_derive_open(fit, error)) return false;
  return fit_leave_out(fit, error);
}

// Intervals of every kind, and errors that would make one, end where the rows set a limit, and only there.
static void open_kinds(enum coefficient_status status, double low, double high, struct intervals *kinds) {
  bool limited = status != COEFFICIENT_ONE_SIDED && status != COEFFICIENT_AT_LOW && status != COEFFICIENT_AT_HIGH;
  if (limited) return;
  if (isnan(low)) kinds->percentile_low = kinds->bca_low = kinds->t_low = NAN;
  if (isnan(high)) kinds->percentile_high = kinds->bca_high = kinds->t_high = NAN;
  kinds->robust_se = NAN;
}

static void open_all_kinds(struct fit_result *result) {
  for (size_t i = 0; i < result->coefficient_count; i++) {
    struct coefficient *c = &result->coefficients[i];
    open_kinds(c->status, c->low, c->high, &c->intervals);
  }
  for (size_t i = 0; i < result->derived_count; i++) {
    struct fit_derived *d = &result->derived[i];
    open_kinds(d->status, d->low, d->high, &d->intervals);
  }
}

bool fit_find(struct fit *fit, struct error *error) {
  bool fine = begin(fit, error) && fit_setup(fit, error) && fit_check_part(fit, error) && fit_prior_read(fit, error) &&
              fit_pool_read(fit, error) && fit_profile_names(fit, error) && fit_score_read(fit, error) &&
              fit_ratio_read(fit, error) && fit_contour_read(fit, error);
  if (fine && (fit->prior_count || fit->pool_count)) {
    fine = fit_stand_alone(fit, error);
    if (fine) fit_penalize(fit);
    if (fine) fit_spread(fit);
  }
  for (int s = 0; s < fit->stage_count && fine; s++)
    if (fit->stages[s].free_count) fine = fit_search(fit, &fit->stages[s], error);
  if (!fine) return false;
  fit->result->objective_kind = fit->objective;  // with the scale, where that was estimated
  fill_coefficients(fit);
  fill_stages(fit);
  if (!fill_rows(fit, error)) return false;
  fit_choice(fit);
  fit_doubt_outcomes(fit);
  fit->dependence_warnings[0] = fit->result->warning_count;
  if (fit->alone)
    fit_take_groups(fit);
  else
    fit_depend(fit);
  fit->dependence_warnings[1] = fit->result->warning_count;
  fit_choose_interval(fit);
  fit_identify(fit);
  return true;
}

bool fit_run(const struct law *law, const struct table *table, const struct fit_options *options,
             struct fit_result *result, struct error *error) {
  static const struct fit_options none = {.bootstrap = -1};
  *result = (struct fit_result){0};
  struct fit fit = {.law = law, .table = table, .options = options ? options : &none, .result = result};
  double started = clock_seconds();
  bool fine = fit_find(&fit, error);
  if (fine && law->note) fit_result_warn(result, "%s", law->note);
  if (fine) {
    fit_bootstrap(&fit);
    fine = fit_derive(&fit, error) && diagnose(&fit, error) && fit_score(&fit, error);
    if (fine) fit_ratios(&fit);
    if (fine) fit_tell_priors(&fit);
    if (fine) fit_tell_pools(&fit);
    open_all_kinds(result);
    fit_doubt_minimum(&fit);
    fit_copy_tied_intervals(&fit);
    if (fine) fit_answer(&fit);
  }
  arena_free(&fit.arena);
  result->seconds = clock_seconds() - started;
  return fine;
}
