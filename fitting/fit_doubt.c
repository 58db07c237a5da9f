// What makes all numbers of a fit doubtful: a minimum that is none, and least squares on residuals of heavy tails.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

#include "fitting/fit_internal.h"

// ---- no stationary point ----

static const char *reason_of(const struct fit_stage *stage) {
  return stage->unsettled >= stage->descended
             ? "not determined (no start reached a stationary point)"
             : "not determined (the lowest point that a start reached is not stationary)";
}

void fit_doubt_minimum(struct fit *fit) {
  struct fit_result *result = fit->result;
  const char *reason = NULL;
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count || stage->stationary) continue;
    reason = reason_of(stage);
    for (int i = 0; i < stage->free_count; i++) {
      struct coefficient *c = &result->coefficients[stage->free[i]];
      c->status = COEFFICIENT_UNIDENTIFIED;
      c->low = c->high = c->se = NAN;
      c->intervals = intervals_none;
      c->note = reason;
    }
  }
  for (size_t i = 0; reason && i < result->derived_count; i++) {
    struct fit_derived *derived = &result->derived[i];
    if (derived->status == COEFFICIENT_FIXED) continue;
    fit_forget_derived(derived);
    derived->note = reason;
  }
}

// ---- heavy tails ----

enum { LEAST_ROWS = 20 };
static const double level = 0.01;

// One-sided significance of a kurtosis above that of n normal values (Anscombe and Glynn 1983, equations 2 to 6).
static double kurtosis_p(double kurtosis, double n) {
  double mean = 3 * (n - 1) / (n + 1), variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) * (n + 1) * (n + 3) * (n + 5)),
         x = (kurtosis - mean) / sqrt(variance),
         skew = 6 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9)) * sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3))),
         a = 6 + 8 / skew * (2 / skew + sqrt(1 + 4 / (skew * skew))), root = (1 - 2 / a) / (1 + x * sqrt(2 / (a - 4))),
         z = (1 - 2 / (9 * a) - cbrt(root)) / sqrt(2 / (9 * a));
  return gsl_cdf_ugaussian_Q(z);
}

// The row's residual in the unit of one that nothing was fitted to: a row with leverage has a smaller one, and unequal
// variances look like heavy tails.
static double studentized(const struct fit_row *row) {
  double left = isnan(row->leverage) ? 1 : 1 - row->leverage;
  return row->residual * row->scale / sqrt(fmax(left, 0));
}

void fit_doubt_tails(struct fit *fit) {
  struct fit_result *result = fit->result;
  if (result->objective_kind.kind != OBJECTIVE_LEAST_SQUARES || result->rows < LEAST_ROWS) return;
  double *sizes = memory_get((result->table_count + 1) * sizeof *sizes), mean = 0, second = 0, fourth = 0;
  size_t count = 0;
  for (size_t i = 0; i < result->table_count; i++) {
    const struct fit_row *row = &result->table[i];
    double size = studentized(row);
    if (row->use == ROW_FITTED && isfinite(size)) sizes[count++] = size;
  }
  double n = (double)count;
  for (size_t i = 0; i < count; i++) mean += sizes[i] / n;
  for (size_t i = 0; i < count; i++) {
    double square = (sizes[i] - mean) * (sizes[i] - mean);
    second += square / n;
    fourth += square * square / n;
    sizes[i] = fabs(sizes[i]);
  }
  qsort(sizes, count, sizeof *sizes, compare_numbers);
  // Huber's constant 1.345 on the scale that normal residuals of this median size have
  double delta = count ? 1.345 * sizes[count / 2] / 0.6745 : 0, kurtosis = fourth / (second * second);
  free(sizes);
  if (!(second > 0) || !(delta > 0) || count < LEAST_ROWS) return;
  double p = kurtosis_p(kurtosis, n);
  if (!(p < level)) return;
  char tail[32], huber[32];
  fit_result_warn(
      result,
      "residuals have heavy tails (kurtosis %s, and 3 for normal errors; p = %.1g): under least squares few "
      "rows pull the coefficients, and %g %% intervals hold the truth less often than that; --objective "
      "huber:%s limits the pull of each",
      number_digits(kurtosis, 3, tail), p, 100 * result->confidence, number_digits(delta, 2, huber));
}
