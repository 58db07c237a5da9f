// Straight lines in logarithms.
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_fit.h>
#include <math.h>
#include <stdlib.h>

#include "fitting/isoflop.h"

bool power_regression(const double *x, const double *y, const double *weight, size_t count, double confidence,
                      struct power_regression *result, struct error *error) {
  *result = (struct power_regression){.points = count};
  if (count < 3)
    return error_set(error, EXIT_USAGE_ERROR, "a power law needs at least 3 points, there %s %zu",
                     count == 1 ? "is" : "are", count);
  double *u = memory_get(3 * count * sizeof *u), *v = u + count, *w = v + count;
  double total = 0, mean = 0, squares = 0, low = INFINITY, high = -INFINITY;
  bool fine = true;
  for (size_t i = 0; i < count; i++) {
    u[i] = log(x[i]);
    v[i] = log(y[i]);
    w[i] = weight ? weight[i] : 1;
    fine &= isfinite(u[i]) && isfinite(v[i]) && isfinite(w[i]) && w[i] > 0;
    total += w[i];
    mean += w[i] * v[i];
    low = fmin(low, u[i]);
    high = fmax(high, u[i]);
  }
  if (!fine) error_set(error, EXIT_USAGE_ERROR, "a power law needs positive values and weights");
  if (fine && !(high > low)) fine = error_set(error, EXIT_USAGE_ERROR, "a power law needs points of different x");
  if (fine) {
    double intercept, slope, c00, c01, c11, chi;
    gsl_fit_wlinear(u, 1, w, 1, v, 1, count, &intercept, &slope, &c00, &c01, &c11, &chi);
    mean /= total;
    for (size_t i = 0; i < count; i++) squares += w[i] * (v[i] - mean) * (v[i] - mean);
    double degrees = (double)count - 2, t = gsl_cdf_tdist_Pinv((1 + confidence) / 2, degrees);
    result->coefficient = exp(intercept);
    result->exponent = slope;
    result->exponent_se = sqrt(c11 * chi / degrees);
    result->low = slope - t * result->exponent_se;
    result->high = slope + t * result->exponent_se;
    result->r2 = squares > 0 ? 1 - chi / squares : NAN;
  }
  free(u);
  return fine;
}

bool power_regression_pinned(const double *x, const double *y, const double *weight, size_t count, double exponent,
                             struct power_regression *result, struct error *error) {
  *result = (struct power_regression){
      .points = count, .exponent = exponent, .exponent_se = NAN, .low = NAN, .high = NAN, .pinned = true};
  double total = 0, mean = 0, level = 0, chi = 0, squares = 0;
  for (size_t i = 0; i < count; i++) {
    double w = weight ? weight[i] : 1;
    if (!(x[i] > 0 && y[i] > 0 && w > 0) || !isfinite(x[i]) || !isfinite(y[i]) || !isfinite(w))
      return error_set(error, EXIT_USAGE_ERROR, "a power law needs positive values and weights");
    total += w;
    level += w * (log(y[i]) - exponent * log(x[i]));
    mean += w * log(y[i]);
  }
  if (!count) return error_set(error, EXIT_USAGE_ERROR, "a power law needs a point");
  level /= total;
  mean /= total;
  for (size_t i = 0; i < count; i++) {
    double w = weight ? weight[i] : 1, off = log(y[i]) - exponent * log(x[i]) - level;
    chi += w * off * off;
    squares += w * (log(y[i]) - mean) * (log(y[i]) - mean);
  }
  result->coefficient = exp(level);
  result->r2 = squares > 0 ? 1 - chi / squares : NAN;
  return true;
}
