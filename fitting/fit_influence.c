// Rows that the fit hangs on, and rows that do not belong: leverage, Cook's distance (one Newton step without the row),
// the coefficients without the most influential rows (refitted), outliers.
//
// With M = sum w J J', the leverage of a row is h = w J' M^-1 J; without it the coordinates move by about
// M^-1 J w psi / (mean psi' (1 - h)), and Cook's distance is that step's length in the metric M, per parameter and unit
// of the errors' scale (Cook 1977; Belsley, Kuh and Welsch 1980, equations 2.1 and 2.19).
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { MOST = 8 };                         // rows whose absence is looked into
static const double outlier_level = 0.01;  // over all rows together

struct leaving {
  struct fit *fit;
  struct refit *refits;
  size_t rows[MOST];  // of the table
};

// One step of the kept coordinates without stage row i: into step [scale->n]. Returns Cook's distance.
static double one_step(const struct fit_stage *stage, const struct stage_scale *scale, size_t i, double *step,
                       double *leverage) {
  int n = scale->n;
  const double *jacobian = scale->jacobian + i * (size_t)stage->free_count;
  double w = stage->weight[i], r = scale->residual[i], h = 0, length = 0, psi = problem_slope(&stage->problem, r);
  for (int k = 0; k < n; k++) {
    step[k] = 0;
    for (int j = 0; j < n; j++) step[k] += scale->inverse[k * n + j] * jacobian[scale->of[j]];
    h += w * step[k] * jacobian[scale->of[k]];
  }
  *leverage = fmin(h, 1);
  double factor = w * psi / (scale->slope * fmax(1 - h, 1e-12));
  for (int k = 0; k < n; k++) step[k] *= factor;
  for (int k = 0; k < n; k++)
    for (int j = 0; j < n; j++) length += step[k] * scale->matrix[k * n + j] * step[j];
  return scale->ratio > 0 ? length * scale->slope / (n * scale->ratio) : 0;
}

static void measure_stage(const struct fit *fit, const struct fit_stage *stage, const size_t *place_of) {
  const struct stage_scale *scale = stage->scale;
  double *step = memory_get((size_t)(scale->n + 1) * sizeof *step), leverage;
  for (size_t i = 0; i < stage->row_count; i++) {
    struct fit_row *row = &fit->result->table[place_of[stage->rows[i]]];
    double distance = one_step(stage, scale, i, step, &leverage);
    if (!(row->leverage >= leverage)) row->leverage = leverage;
    if (!(row->distance >= distance)) row->distance = distance;
  }
  free(step);
}

// Residuals of all stages in standard deviations; a row of several stages keeps the largest that is too large.
static void find_outliers(const struct fit *fit, const struct fit_stage *stage, const size_t *place_of, double *off) {
  const struct stage_scale *scale = stage->scale;
  double limit = gsl_cdf_ugaussian_Qinv(0.5 * outlier_level / (double)stage->row_count);
  for (size_t i = 0; i < stage->row_count; i++) {
    const struct fit_row *row = &fit->result->table[place_of[stage->rows[i]]];
    double h = isnan(row->leverage) ? 0 : fmin(row->leverage, 0.999), weight = sqrt(stage->weight[i]);
    double deviations = -scale->residual[i] * weight / (scale->deviation * sqrt(1 - h));
    double *kept = &off[place_of[stage->rows[i]]];
    if (fabs(deviations) > fmax(limit, fabs(*kept))) *kept = deviations;
  }
}

static void leave_one(void *context, size_t index, int thread) {
  struct leaving *leaving = context;
  const struct fit *fit = leaving->fit;
  struct refit *refit = &leaving->refits[thread];
  struct fit_influential *out = &fit->result->influential[index];
  refit->factor[leaving->rows[index]] = 0;
  refit_rows(fit, refit, out->without);
  refit->factor[leaving->rows[index]] = 1;
  out->exact = true;
}

static void step_without(const struct fit *fit, size_t table_row, double *without) {
  for (int e = 0; e < fit->element_count; e++) without[e] = fit->result->coefficients[e].value;
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count || !stage->scale->inverse || !stage->scale->jacobian) continue;
    double *step = memory_get((size_t)(stage->scale->n + 1) * sizeof *step), leverage;
    for (size_t i = 0; i < stage->row_count; i++) {
      if (stage->rows[i] != table_row) continue;
      one_step(stage, stage->scale, i, step, &leverage);
      for (int k = 0; k < stage->scale->n; k++) {
        int place = stage->scale->of[k], e = stage->free[place];
        without[e] = element_value(&fit->elements[e], stage->x[place] + step[k]);
      }
    }
    free(step);
  }
  fit_copy_ties(fit, without);
}

// The standard error of a kept coordinate: from its bootstrap interval, else from the curvature.
static double standard_error(const struct fit *fit, const struct fit_stage *stage, int k) {
  int e = stage->free[stage->scale->of[k]];
  const struct coefficient *c = &fit->result->coefficients[e];
  double width = element_internal(&fit->elements[e], c->intervals.percentile_high) -
                 element_internal(&fit->elements[e], c->intervals.percentile_low);
  double z = gsl_cdf_ugaussian_Pinv((1 + fit->result->confidence) / 2);
  return isfinite(width) && width > 0 ? 0.5 * width / z : stage_scale_se(stage->scale, k);
}

// The coefficient that moves most, in standard errors.
static void find_move(const struct fit *fit, struct fit_influential *out) {
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    for (int k = 0; stage->free_count && k < stage->scale->n; k++) {
      int place = stage->scale->of[k], e = stage->free[place];
      double move =
          (element_internal(&fit->elements[e], out->without[e]) - stage->x[place]) / standard_error(fit, stage, k);
      if (isnan(out->without[e])) move = INFINITY;  // the category has no other row
      if (!(fabs(move) > fabs(out->moves))) continue;
      out->moves = move;
      out->coefficient = (size_t)e;
    }
  }
}

static int by_move(const void *a, const void *b) {
  const struct fit_influential *x = a, *y = b;
  double left = fabs(x->moves), right = fabs(y->moves);
  if (left != right) return left < right ? 1 : -1;
  return (x->row > y->row) - (x->row < y->row);
}

static void pick_influential(struct fit *fit, const size_t *row_of, struct leaving *leaving) {
  struct fit_result *result = fit->result;
  result->influential = arena_array(&result->arena, MOST, sizeof *result->influential);
  for (size_t i = 0; i < result->table_count; i++) {  // kept by falling distance
    double distance = result->table[i].distance;
    if (result->table[i].use != ROW_FITTED || isnan(distance)) continue;
    size_t at = result->influential_count;
    while (at > 0 && result->table[result->influential[at - 1].row].distance < distance) at--;
    if (at == MOST) continue;
    if (result->influential_count < MOST) result->influential_count++;
    for (size_t k = result->influential_count - 1; k > at; k--) result->influential[k] = result->influential[k - 1];
    result->influential[at] = (struct fit_influential){.row = i};
  }
  for (size_t k = 0; k < result->influential_count; k++) {
    leaving->rows[k] = row_of[result->influential[k].row];
    result->influential[k].without = arena_array(&result->arena, (size_t)fit->element_count + 1, sizeof(double));
  }
}

void fit_influence(struct fit *fit) {
  struct fit_result *result = fit->result;
  const struct table *table = fit->table;
  size_t *place_of = arena_array(&fit->arena, table->row_count + 1, sizeof *place_of), place = 0;
  size_t *row_of = arena_array(&fit->arena, table->row_count + 1, sizeof *row_of);
  double *off = arena_array(&fit->arena, table->row_count + 1, sizeof *off);
  for (size_t row = 0; row < table->row_count; row++)
    if (fit->selected[row]) {
      row_of[place] = row;
      place_of[row] = place++;
    }
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count || !(stage->scale->deviation > 1e-12)) continue;  // passes through its points
    if (stage->scale->inverse && stage->scale->jacobian) measure_stage(fit, stage, place_of);
    find_outliers(fit, stage, place_of, off);
  }
  result->outliers = arena_array(&result->arena, result->table_count + 1, sizeof *result->outliers);
  for (size_t i = 0; i < result->table_count; i++)
    if (off[i] != 0) result->outliers[result->outlier_count++] = (struct fit_outlier){i, off[i]};
  struct leaving leaving = {.fit = fit};
  pick_influential(fit, row_of, &leaving);
  for (size_t k = 0; k < result->influential_count; k++)
    step_without(fit, leaving.rows[k], result->influential[k].without);
  if (fit_is_small(fit) && result->influential_count) {
    leaving.refits = refits_new(&fit->arena, fit, threads_wanted(fit->options->threads));
    threads_each(result->influential_count, fit->options->threads, leave_one, &leaving);
  }
  for (size_t k = 0; k < result->influential_count; k++) find_move(fit, &result->influential[k]);
  if (result->influential_count)
    qsort(result->influential, result->influential_count, sizeof *result->influential, by_move);
}
