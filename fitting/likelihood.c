// The likelihood whose maximum a fit is: the density of residuals that belongs to the objective, with a free scale.
#include <math.h>
#include <stdlib.h>

#include "fitting/fitting.h"
#include "fitting/problem_internal.h"

static const double pi = 3.14159265358979323846;

// Of Huber's loss, or of squares where delta is infinite.
static double huber_log_normalizer(double delta, double precision) {
  if (!isfinite(delta)) return 0.5 * log(2 * pi / precision);
  // the normal part within delta, two exponential tails beyond: integral of exp(-(k t - k^2/2)) from k
  double scale = 1 / sqrt(precision), k = delta / scale;
  return log(scale) + log(sqrt(2 * pi) * erf(k / sqrt(2)) + 2 / k * exp(-0.5 * k * k));
}

// Of (1 + r^2 / (n s^2))^-k with k = precision n s^2 / 2: k = (n + 1) / 2 is Student's density. NAN below 1/2.
static double student_log_normalizer(struct objective objective, double precision) {
  double width = objective.degrees * objective.scale * objective.scale, k = 0.5 * precision * width;
  return k > 0.5 ? 0.5 * log(pi * width) + lgamma(k - 0.5) - lgamma(k) : NAN;
}

double objective_log_normalizer(struct objective objective, double precision) {
  switch (objective.kind) {
    case OBJECTIVE_LEAST_SQUARES:
      return 0.5 * log(2 * pi / precision);
    case OBJECTIVE_LAD:
      return log(2 / precision);
    case OBJECTIVE_STUDENT_T:
      return student_log_normalizer(objective, precision);
    case OBJECTIVE_ASYMMETRIC: {  // half of each side's
      double below = huber_log_normalizer(objective.delta, precision),
             above = huber_log_normalizer(objective.delta, precision * objective.ratio);
      return log(0.5 * (exp(below) + exp(above)));
    }
    default:
      return huber_log_normalizer(objective.delta, precision);
  }
}

static double log_likelihood(struct objective objective, double sum, size_t rows, const double *weights,
                             double precision) {
  double total = -precision * sum;
  if (!weights) return total - (double)rows * objective_log_normalizer(objective, precision);
  for (size_t i = 0; i < rows; i++) total -= objective_log_normalizer(objective, precision * weights[i]);
  return total;
}

double objective_log_likelihood(struct objective objective, double sum, size_t rows, const double *weights,
                                double *scale) {
  double n = (double)rows, precision;
  if (scale) *scale = NAN;
  if (!rows || !(sum > 0)) return NAN;  // residuals of zero: no scale
  precision = objective.kind == OBJECTIVE_LAD ? n / sum : 0.5 * n / sum;
  if (objective.kind == OBJECTIVE_STUDENT_T) {  // its scale is part of the loss
    precision = (objective.degrees + 1) / (objective.degrees * objective.scale * objective.scale);
    if (scale) *scale = objective.scale;
    return log_likelihood(objective, sum, rows, weights, precision);
  }
  if (isfinite(objective.delta) && objective.kind != OBJECTIVE_LEAST_SQUARES && objective.kind != OBJECTIVE_LAD) {
    // Unimodal in the precision (Z is the Laplace transform of a density, so its logarithm is convex): golden section.
    // Huber's loss is at most r^2/2, so n / (2 sum) lies near the maximum or, with long tails, within some powers of e.
    double low = log(precision) - 30, high = log(precision) + 30;
    const double golden = 0.61803398874989484820;
    double a = high - golden * (high - low), b = low + golden * (high - low);
    double at_a = log_likelihood(objective, sum, rows, weights, exp(a));
    double at_b = log_likelihood(objective, sum, rows, weights, exp(b));
    while (high - low > 1e-10) {
      if (at_a > at_b) {
        high = b;
        b = a;
        at_b = at_a;
        a = high - golden * (high - low);
        at_a = log_likelihood(objective, sum, rows, weights, exp(a));
      } else {
        low = a;
        a = b;
        at_a = at_b;
        b = low + golden * (high - low);
        at_b = log_likelihood(objective, sum, rows, weights, exp(b));
      }
    }
    precision = exp(0.5 * (low + high));
  }
  if (scale) *scale = objective.kind == OBJECTIVE_LAD ? 1 / precision : 1 / sqrt(precision);
  return log_likelihood(objective, sum, rows, weights, precision);
}
