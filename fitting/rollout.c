// See rollout.h. Every cut is one refit from the minima that the whole fit found, so that rollouts cost little; the
// intervals come from the curvature at the refit's minimum: t sqrt(s^2 (1 + J' M^-1 J)), s^2 the mean square of the
// residuals left over the degrees of freedom. Where rows are grouped, t sqrt(s^2 + J' M^-1 B M^-1 J) for B the sum over
// groups of squared sums of w r J (Liang and Zeger 1986, "Longitudinal data analysis using generalized linear models",
// Biometrika 73), both times G / (G - n) for G groups and n coefficients, with G - n degrees of freedom. A cut whose
// rows do not determine the law is reported as such: the refit would stay where the whole fit was, which knows the rows
// left out.
#include "fitting/rollout.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/rollout_internal.h"

enum { CUTS = 5, AXES = 8, BINS = 6, LEAST_VALUES = 3 };
static const double shares[CUTS] = {0.5, 0.6, 0.7, 0.8, 0.9};
static const double bins[BINS] = {1, 2, 4, 8, 16, INFINITY};  // none is within the range, but for rounding
static const double singular = 1e-12;  // eigenvalue over the largest, of the scaled information matrix

struct rolling {
  struct fit *fit;
  struct refit *refit;
  struct coefficient *coefficients;  // of the refit
  double *predictions;               // [table rows]
  double *half;                      // [table rows]: half the interval of the residual, on the fit's scale; NAN without
  bool *kept;                        // [table rows]: fitted in this cut
  struct fit_range range;            // of the rows kept, of the column that is cut
  const char *no_interval;           // why this cut's predictions have no intervals, or NULL
};

const struct rollout_errors *rollout_errors_at(const struct fit_rollouts *rollouts, const char *column, double factor,
                                               bool *there) {
  const struct rollout_errors *last = NULL;
  *there = false;
  for (size_t i = 0; i < rollouts->error_count && !*there; i++) {
    const struct rollout_errors *errors = &rollouts->errors[i];
    if (strcmp(errors->column, column) != 0) continue;
    *there = factor > errors->above && factor <= errors->to;
    last = errors;
  }
  return last;
}

static bool is_fitted(const struct fit *fit, size_t row) { return fit->selected[row] && fit->use[row] == ROW_FITTED; }

// ---- one cut ----

// The information matrix of the rows kept, scaled to a unit diagonal; false where they leave a direction open.
static bool determined(const struct fit_stage *stage, const double *matrix, int *of, int *kept) {
  int n = stage->free_count;
  *kept = 0;
  for (int i = 0; i < n; i++)
    if (matrix[i * n + i] > 0) of[(*kept)++] = i;
  double *scaled = memory_get((size_t)(n * n + 1) * sizeof *scaled),
         *values = memory_get((size_t)(n + 1) * sizeof *values),
         *vectors = memory_get((size_t)(n * n + 1) * sizeof *vectors);
  for (int i = 0; i < *kept; i++)
    for (int j = 0; j < *kept; j++)
      scaled[i * *kept + j] = matrix[of[i] * n + of[j]] / sqrt(matrix[of[i] * n + of[i]] * matrix[of[j] * n + of[j]]);
  bool fine = *kept && symmetric_eigen(scaled, *kept, values, vectors) && values[0] > singular * values[*kept - 1];
  free(scaled);
  free(values);
  free(vectors);
  return fine;
}

// What a refit's rows say of how far off its predictions are.
struct cut_errors {
  const struct fit_stage *stage;
  int *of, kept;             // coordinates that the rows kept tell of: places in stage->free
  const double *matrix;      // [free_count][free_count]: sum of w J J'
  double *factor;            // [kept][kept]: of the matrix over what is kept
  double *groups;            // [kept][kept]: B, with its factor; NULL where every row is by itself
  double *jacobian;          // [rows][free_count]
  double variance, degrees;  // of a row
};

const char *too_few_groups(struct arena *arena, int groups, int coefficients) {
  return arena_format(arena, "too few groups of rows (%d) for %d coefficients", groups, coefficients);
}

// B, and the variance of a row; false where there are no more groups than coefficients.
static bool add_groups(struct rolling *rolling, struct arena *arena, const double *residual,
                       struct cut_errors *errors) {
  const struct fit *fit = rolling->fit;
  const struct fit_stage *stage = errors->stage;
  size_t n = (size_t)errors->kept;
  double *sums = arena_array(arena, (size_t)fit->group_count * n + 1, sizeof *sums), square = 0, count = 0;
  bool *seen = arena_array(arena, (size_t)fit->group_count + 1, sizeof *seen);
  int groups = 0;
  for (size_t i = 0; i < stage->row_count; i++) {
    size_t row = stage->rows[i];
    if (!rolling->kept[row]) continue;
    int group = fit->row_group[row];
    groups += !seen[group];
    seen[group] = true;
    square += stage->weight[i] * residual[i] * residual[i];
    count++;
    for (size_t a = 0; a < n; a++)
      sums[(size_t)group * n + a] +=
          stage->weight[i] * residual[i] * errors->jacobian[i * (size_t)stage->free_count + (size_t)errors->of[a]];
  }
  if (groups <= errors->kept) {
    rolling->no_interval = too_few_groups(&fit->result->arena, groups, errors->kept);
    return false;
  }
  double factor = (double)groups / (groups - errors->kept);
  errors->groups = arena_array(arena, n * n + 1, sizeof *errors->groups);
  for (int g = 0; g < fit->group_count; g++)
    for (size_t a = 0; a < n; a++)
      for (size_t b = 0; b < n; b++)
        errors->groups[a * n + b] += factor * sums[(size_t)g * n + a] * sums[(size_t)g * n + b];
  errors->variance = factor * square / count;
  errors->degrees = groups - errors->kept;
  return true;
}

static bool add_rows(const struct rolling *rolling, const double *residual, struct cut_errors *errors) {
  const struct fit_stage *stage = errors->stage;
  double square = 0, count = 0;
  for (size_t i = 0; i < stage->row_count; i++) {
    if (!rolling->kept[stage->rows[i]]) continue;
    square += stage->weight[i] * residual[i] * residual[i];
    count++;
  }
  errors->degrees = count - errors->kept;
  errors->variance = square / errors->degrees;
  return errors->degrees > 0;
}

// The factor of the matrix over what is kept; false where it has none.
static bool factor_matrix(struct cut_errors *errors, struct arena *arena) {
  int n = errors->stage->free_count, kept = errors->kept;
  errors->factor = arena_array(arena, (size_t)(kept * kept) + 1, sizeof *errors->factor);
  for (int a = 0; a < kept; a++)
    for (int b = 0; b < kept; b++) errors->factor[a * kept + b] = errors->matrix[errors->of[a] * n + errors->of[b]];
  return cholesky_factor(errors->factor, kept);
}

// The variance of a prediction with this gradient, of the law alone. Scratch [kept].
static double law_variance(const struct cut_errors *errors, const double *gradient, double *solution) {
  int kept = errors->kept;
  double along = 0;
  for (int a = 0; a < kept; a++) solution[a] = gradient[errors->of[a]];
  cholesky_back(errors->factor, kept, solution);
  for (int a = 0; a < kept; a++) {
    if (!errors->groups) along += errors->variance * solution[a] * gradient[errors->of[a]];
    for (int b = 0; errors->groups && b < kept; b++) along += solution[a] * errors->groups[a * kept + b] * solution[b];
  }
  return along;
}

// Half the interval of each row of the stage, from the curvature at the refit's minimum. False where the rows kept
// leave a direction open.
static bool find_intervals(struct rolling *rolling, struct arena *arena, const struct fit_stage *stage,
                           struct staged *staged) {
  struct fit *fit = rolling->fit;
  struct refit *refit = rolling->refit;
  struct workspace *workspace = refit->spaces[stage - fit->stages];
  size_t n = (size_t)stage->free_count, rows = stage->row_count;
  struct cut_errors errors = {.stage = stage, .matrix = workspace->matrix};
  struct problem squares = stage->problem;
  squares.delta = INFINITY;
  squares.start = refit->elements;
  workspace_use(workspace, &squares);
  double *x = arena_array(arena, n + 1, sizeof *x),
         *factor = arena_array(arena, stage->program->padded, sizeof *factor);
  for (size_t i = 0; i < n; i++) x[i] = refit->elements[stage->free[i]];
  for (size_t i = 0; i < rows; i++) factor[i] = rolling->kept[stage->rows[i]];
  problem_evaluate(workspace, x, factor, WANT_REWEIGHTED);
  errors.of = arena_array(arena, n + 1, sizeof *errors.of);
  if (!determined(stage, workspace->matrix, errors.of, &errors.kept)) return false;
  if (fit->stage_count > 1)
    return staged_intervals(fit, refit, &(struct staged_part){stage, errors.of, errors.kept, rolling->kept}, staged,
                            rolling->half, arena);
  double *residual = arena_array(arena, rows + 1, sizeof *residual),
         *scratch = arena_array(arena, (size_t)errors.kept + 1, sizeof *scratch);
  errors.jacobian = arena_array(arena, rows * n + 1, sizeof *errors.jacobian);
  if (!problem_jacobian(workspace, x, residual, errors.jacobian)) return true;
  bool known = fit->grouped ? add_groups(rolling, arena, residual, &errors) : add_rows(rolling, residual, &errors);
  if (!known && !rolling->no_interval) rolling->no_interval = "there are no more rows than coefficients";
  if (!known || !factor_matrix(&errors, arena)) return true;
  double t = gsl_cdf_tdist_Pinv((1 + fit->result->confidence) / 2, errors.degrees);
  for (size_t i = 0; i < rows; i++)
    rolling->half[stage->rows[i]] =
        t * sqrt(errors.variance / stage->weight[i] + law_variance(&errors, errors.jacobian + i * n, scratch));
  return true;
}

static const char *refit_cut(struct rolling *rolling, struct arena *arena) {
  struct fit *fit = rolling->fit;
  size_t n = (size_t)fit->element_count, rows = fit->table->row_count;
  double *values = arena_array(arena, n + 1, sizeof *values);
  struct error error = {0};
  struct staged staged = {0};
  rolling->no_interval = NULL;
  for (size_t row = 0; row < rows; row++) {
    rolling->refit->factor[row] = rolling->kept[row];
    rolling->half[row] = NAN;
  }
  if (!refit_rows(fit, rolling->refit, values)) return "too few rows are left for the law";
  for (int s = 0; s < fit->stage_count; s++)
    if (fit->stages[s].free_count && !find_intervals(rolling, arena, &fit->stages[s], &staged))
      return "the rows left do not determine the law";
  if (staged.unknown) rolling->no_interval = staged.unknown;
  for (size_t e = 0; e < n; e++) {
    rolling->coefficients[e] = fit->result->coefficients[e];
    if (fit->elements[e].free_ever || fit->elements[e].tied) rolling->coefficients[e].value = values[e];
  }
  return law_predict(fit->law, rolling->coefficients, n, fit->table, rolling->predictions, &error)
             ? NULL
             : arena_string(&fit->result->arena, error.text);
}

// The range of the column among the rows kept.
static struct fit_range kept_range(const struct rolling *rolling, const char *column) {
  struct fit_range range = {column, INFINITY, -INFINITY};
  for (size_t row = 0; row < rolling->fit->table->row_count; row++) {
    if (!rolling->kept[row]) continue;
    double value = fit_column_value(rolling->fit, column, row);
    range.low = fmin(range.low, value);
    range.high = fmax(range.high, value);
  }
  return range;
}

static void count_error(struct rollout_errors *errors, bool first, double off, bool judged, bool held) {
  errors->cuts += first;
  errors->rows++;
  errors->judged += judged;
  errors->held += held;
  errors->error += fabs(off);  // a sum, until all are in
  if (fabs(off) > fabs(errors->largest)) errors->largest = off;
}

static void judge_row(struct rolling *rolling, size_t row, struct rollout *out, struct rollout_errors *errors,
                      bool *seen) {
  struct fit *fit = rolling->fit;
  double observed = fit->observed[row], predicted = rolling->predictions[row];
  double factor = range_factor(fit_column_value(fit, out->column, row), rolling->range.low, rolling->range.high);
  double off = (predicted - observed) / fabs(observed), scale = fit->row_scale ? fit->row_scale[row] : 1;
  double residual = scale * (fit->residual == RESIDUAL_LOG ? log(observed / predicted) : observed - predicted);
  bool judged = !isnan(rolling->half[row]), held = judged && fabs(residual) <= rolling->half[row];
  int bin = 0;
  while (factor > bins[bin]) bin++;
  count_error(&errors[bin], !seen[bin], off, judged, held);
  seen[bin] = true;
  if (!out->predicted || factor < out->nearest) out->nearest = factor;
  out->farthest = fmax(out->farthest, factor);
  out->predicted++;
  out->error += fabs(off);
  out->bias += off;
  if (fabs(off) > fabs(out->largest)) out->largest = off;
  out->judged += judged;
  out->held += held;
}

static void make_cut(struct rolling *rolling, const char *column, double cut, struct rollout *out,
                     struct rollout_errors *errors) {
  struct fit *fit = rolling->fit;
  struct arena scratch = {0};
  bool seen[BINS] = {false};
  *out = (struct rollout){.column = arena_string(&fit->result->arena, column), .cut = cut};
  for (size_t row = 0; row < fit->table->row_count; row++) {
    rolling->kept[row] = is_fitted(fit, row) && fit_column_value(fit, column, row) <= cut;
    out->fitted_rows += rolling->kept[row];
  }
  out->trouble = refit_cut(rolling, &scratch);
  rolling->range = kept_range(rolling, column);
  for (size_t row = 0; row < fit->table->row_count && !out->trouble; row++)
    if (is_fitted(fit, row) && !rolling->kept[row] && isfinite(rolling->predictions[row]))
      judge_row(rolling, row, out, errors, seen);
  if (!out->trouble && !out->judged) out->no_interval = rolling->no_interval;
  for (int b = 0; b < BINS; b++)
    if (seen[b]) errors[b].no_interval = out->no_interval;
  if (!out->trouble && !out->predicted) out->trouble = "no row left out has a category that is left";
  double count = (double)out->predicted;
  out->error = out->predicted ? out->error / count : NAN;
  out->bias = out->predicted ? out->bias / count : NAN;
  if (!out->predicted) out->largest = out->nearest = out->farthest = NAN;
  arena_free(&scratch);
}

// ---- all cuts ----

// The law's sizes and tokens, and compute where it reads both; a law of neither is cut along what it reads.
static size_t find_axes(const struct fit *fit, const char *axes[AXES]) {
  const struct fit_ranges *all = &fit->result->ranges;
  const char *size = law_size_column(fit->law);
  size_t count = 0;
  bool n = false, d = false, c = false;
  for (size_t i = 0; i < all->column_count; i++) {
    const char *column = all->columns[i].column;
    bool is_n = strcmp(column, size) == 0, is_d = strcmp(column, "tokens") == 0, is_c = strcmp(column, "flops") == 0;
    n |= is_n;
    d |= is_d;
    c |= is_c;
    if (is_n || is_d || is_c) axes[count++] = column;
  }
  if (n && d && !c && strcmp(size, "parameters") == 0) axes[count++] = "flops";
  for (size_t i = 0; i < all->column_count && !n && !d && !c && count < AXES; i++)
    axes[count++] = all->columns[i].column;
  return count;
}

// Places to cut at: the largest value of the lowest 50 to 90 % of the rows; all rows of a value stay together.
static size_t find_cuts(const struct fit *fit, const char *column, double cuts[CUTS]) {
  size_t rows = 0, distinct = 0, count = 0;
  double *sorted = memory_get((fit->table->row_count + 1) * sizeof *sorted);
  for (size_t row = 0; row < fit->table->row_count; row++) {
    double value = is_fitted(fit, row) ? fit_column_value(fit, column, row) : NAN;
    if (!isnan(value)) sorted[rows++] = value;
  }
  qsort(sorted, rows, sizeof *sorted, compare_numbers);
  for (size_t i = 0; i < rows; i++) distinct += !i || sorted[i] != sorted[i - 1];
  for (int k = 0; k < CUTS && distinct >= LEAST_VALUES; k++) {
    double cut = sorted[(size_t)fmax(0, ceil(shares[k] * (double)rows) - 1)];
    if (cut < sorted[rows - 1] && (!count || cut > cuts[count - 1])) cuts[count++] = cut;
  }
  free(sorted);
  return count;
}

static void gather_errors(struct fit_rollouts *rollouts, const char *column, struct rollout_errors errors[BINS]) {
  for (int b = 0; b < BINS; b++) {
    if (!errors[b].rows) continue;
    errors[b].column = column;
    errors[b].above = b ? bins[b - 1] : 0;
    errors[b].to = bins[b];
    errors[b].error /= (double)errors[b].rows;
    if (errors[b].judged) errors[b].no_interval = NULL;
    rollouts->errors[rollouts->error_count++] = errors[b];
  }
}

void fit_roll_out(struct fit *fit) {
  struct fit_rollouts *rollouts = &fit->result->rollouts;
  struct arena *arena = &fit->result->arena;
  size_t rows = fit->table->row_count;
  if (!fit_is_small(fit)) {
    rollouts->none = "the table is too large for rollouts that nobody asks for";
    return;
  }
  if (fit->rounding) {
    rollouts->none = "residuals are rounding, which says nothing of the error of a prediction";
    return;
  }
  struct rolling rolling = {.fit = fit, .refit = refits_new(&fit->arena, fit, 1)};
  rolling.coefficients = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *rolling.coefficients);
  rolling.predictions = arena_array(&fit->arena, rows + 1, sizeof *rolling.predictions);
  rolling.half = arena_array(&fit->arena, rows + 1, sizeof *rolling.half);
  rolling.kept = arena_array(&fit->arena, rows + 1, sizeof *rolling.kept);
  const char *axes[AXES];
  size_t axis_count = find_axes(fit, axes);
  rollouts->cuts = arena_array(arena, AXES * CUTS, sizeof *rollouts->cuts);
  rollouts->errors = arena_array(arena, AXES * BINS, sizeof *rollouts->errors);
  for (size_t a = 0; a < axis_count; a++) {
    double cuts[CUTS];
    struct rollout_errors errors[BINS] = {{0}};
    size_t count = find_cuts(fit, axes[a], cuts), first = rollouts->cut_count;
    for (size_t k = 0; k < count; k++)
      make_cut(&rolling, axes[a], cuts[k], &rollouts->cuts[rollouts->cut_count++], errors);
    if (count) gather_errors(rollouts, rollouts->cuts[first].column, errors);
  }
  if (rollouts->error_count) return;
  rollouts->none = rollouts->cut_count ? "no lower part of the rows determines the law"
                                       : "no size, token count or compute of the rows has three values to cut at";
}
