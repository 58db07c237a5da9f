// The fit by its rows alone, next to which priors are weighed and told of: how large the errors are, in the units of
// the objective, and where the coefficients lie without priors.
//
// A prior's penalty (v - m)^2 / (2 sd^2) is of the logarithm of a density, and so is the rows' part only when it is
// divided by the scale of their errors: with tau such that twice the rise of the objective over tau is chi-squared
// (fit_scale.c), the objective with priors is the sum of losses + tau sum (v - m)^2 / (2 sd^2). tau is that of the fit
// without priors, by groups of rows where these depend on each other (stage_groups_ratio).
#include <math.h>

#include "fitting/fit_internal.h"

static double scale_of(const struct fit *fit, const struct fit_stage *stage, const struct stage_scale *scale) {
  double ratio = scale->ratio;
  if (fit->grouped && scale->inverse && scale->jacobian && fit->group_count > scale->n)
    ratio = stage_groups_ratio(fit, stage, scale);
  if (stage->problem.absolute) ratio /= stage->problem.delta;
  return isfinite(ratio) ? fmax(ratio, 1e-18) : 1e-18;
}

static const char *copy(struct fit *fit, const char *text) {
  return text ? arena_string(&fit->result->arena, text) : NULL;
}

static void keep_groups(struct fit *fit, const struct fit *other, struct fit_alone *alone) {
  size_t rows = fit->table->row_count, from = other->dependence_warnings[0], to = other->dependence_warnings[1];
  alone->row_group = arena_array(&fit->arena, rows + 1, sizeof *alone->row_group);
  for (size_t row = 0; row < rows; row++) alone->row_group[row] = other->row_group[row];
  alone->group_count = other->group_count;
  alone->grouped = other->grouped;
  alone->grouped_by = copy(fit, other->result->grouped_by);
  alone->grouping = copy(fit, other->result->grouping);
  alone->warnings = arena_array(&fit->arena, to - from + 1, sizeof *alone->warnings);
  for (size_t i = from; i < to; i++) alone->warnings[alone->warning_count++] = copy(fit, other->result->warnings[i]);
}

static void keep(struct fit *fit, const struct fit *other) {
  size_t n = (size_t)fit->element_count + 1;
  struct fit_alone *alone = arena_alloc(&fit->arena, sizeof *alone);
  alone->objective = other->objective;
  alone->slope = arena_array(&fit->arena, (size_t)fit->stage_count + 1, sizeof *alone->slope);
  alone->scale = arena_array(&fit->arena, (size_t)fit->stage_count + 1, sizeof *alone->scale);
  alone->value = arena_array(&fit->arena, n, sizeof *alone->value);
  alone->se = arena_array(&fit->arena, n, sizeof *alone->se);
  alone->status = arena_array(&fit->arena, n, sizeof *alone->status);
  for (int e = 0; e < fit->element_count; e++) {
    alone->value[e] = other->result->coefficients[e].value;
    alone->status[e] = other->result->coefficients[e].status;
    alone->se[e] = NAN;
  }
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &other->stages[s];
    if (!stage->free_count) continue;
    const struct stage_scale *scale = stage_scale_new(other, &fit->arena, stage);
    alone->scale[s] = scale_of(other, stage, scale);
    alone->slope[s] = scale->slope;
    double unit = stage->problem.absolute ? stage->problem.delta : 1;
    for (int k = 0; k < scale->n; k++) {
      int e = stage->free[scale->of[k]];
      if (scale->inverse && alone->status[e] == COEFFICIENT_FITTED)
        alone->se[e] = sqrt(alone->scale[s] * unit / scale->slope * scale->inverse[k * scale->n + k]);
    }
  }
  keep_groups(fit, other, alone);
  fit->alone = alone;
}

void fit_take_groups(struct fit *fit) {
  const struct fit_alone *alone = fit->alone;
  fit->row_group = alone->row_group;
  fit->group_count = alone->group_count;
  fit->grouped = alone->grouped;
  fit->result->grouped_by = alone->grouped_by;
  fit->result->grouping = alone->grouping;
  for (size_t i = 0; i < alone->warning_count; i++) fit_result_warn(fit->result, "%s", alone->warnings[i]);
}

bool fit_stand_alone(struct fit *fit, struct error *error) {
  struct fit_options options = *fit->options;
  struct fit_result result = {0};
  struct fit other = {.law = fit->law, .table = fit->table, .options = &options, .result = &result};
  options.prior_count = options.pooled_count = options.profile_count = options.score_count = options.ratio_count = 0;
  options.contour_count = 0;
  options.bootstrap = 0;
  options.bare = true;
  options.global_check = false;
  options.profile_all = false;
  bool fine = fit_find(&other, error);
  if (fine) keep(fit, &other);
  if (!fine)
    error_context(error, "%s", "the fit by the rows alone, from which the noise next to the priors is estimated");
  arena_free(&other.arena);
  fit_result_free(&result);
  return fine;
}
