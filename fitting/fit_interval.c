// Intervals. From bootstrap replicates: percentile, and bias-corrected and accelerated (BCa; Efron 1987, "Better
// bootstrap confidence intervals", JASA 82, equations 2.3 and 4.4; the acceleration from the jackknife as in Efron and
// Tibshirani 1993, equation 14.15). From the jackknife alone: Student's t times its standard error, which is a
// cluster-robust one where groups are left out (CR3; Bell and McCaffrey 2002), on the logarithm of what is positive and
// the logit of a share. A standard deviation that a few resamples decide is none: it is left out.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

const struct intervals intervals_none = {INTERVAL_PERCENTILE, NAN, NAN, NAN, NAN, NAN, NAN, NAN};

// An interval of no kind is one of a time before there were several.
static const char *const kind_names[] = {"percentile", "percentile", "bca", "profile", "t"};

const char *interval_kind_name(enum interval_kind kind) { return kind_names[kind]; }

bool interval_parse(const char *text, enum interval_kind *kind, struct error *error) {
  for (int k = INTERVAL_PERCENTILE; k <= INTERVAL_T; k++)
    if (k != INTERVAL_PROFILE && strcmp(text, kind_names[k]) == 0) {
      *kind = (enum interval_kind)k;
      return true;
    }
  return error_set(error, EXIT_USAGE_ERROR, "interval '%s' is none of percentile, bca and t", text);
}

// Few groups hold few different resamples, and a resample of them says too little of how far the estimate may be off.
enum { MANY_GROUPS = 50, FEW_ROWS = 10 };

void fit_choose_interval(struct fit *fit) {
  struct fit_result *result = fit->result;
  int freed = 0;
  for (int e = 0; e < fit->element_count; e++) freed += fit->elements[e].free_ever;
  result->group_count = (size_t)fit->group_count;
  result->interval_degrees = fmax(1, fit->grouped ? fit->group_count - 1 : (double)result->rows - freed);
  if ((fit->prior_count || fit->pool_count) && result->interval == INTERVAL_BY_DEFAULT) {
    result->interval = INTERVAL_BCA;
    if ((fit->grouped && fit->group_count < MANY_GROUPS) || (!fit->grouped && result->rows < FEW_ROWS))
      fit_result_warn(
          result,
          "few %s: intervals may be too narrow; next to priors there are no Student's t ones, which are made "
          "of the rows alone",
          fit->grouped ? "groups of rows" : "rows");
  }
  // the ends of the interval are quantiles, of which a few resamples have none
  double least = 2 / (1 - result->confidence);
  bool too_few = result->bootstrap > 0 && result->bootstrap < least - 1e-9;
  if (result->interval != INTERVAL_BY_DEFAULT) {
    if (too_few && result->interval != INTERVAL_T && !fit->options->bare)
      fit_result_warn(result,
                      "%d resample%s say%s nothing of the ends of a %g %% interval: it takes %.0f, and some hundred "
                      "to tell them well (--bootstrap)",
                      result->bootstrap, result->bootstrap == 1 ? "" : "s", result->bootstrap == 1 ? "s" : "",
                      100 * result->confidence, ceil(least));
    return;
  }
  result->interval = INTERVAL_T;
  if (fit->grouped && fit->group_count < MANY_GROUPS)
    result->interval_reason = arena_format(
        &result->arena, "intervals are Student's t's over %d groups of rows: resamples of so few are too narrow",
        fit->group_count);
  else if (!fit->grouped && (result->rows < FEW_ROWS || result->rows < 2 * (size_t)freed))
    result->interval_reason = arena_format(
        &result->arena, "intervals are Student's t's: resamples of %zu rows for %d coefficient%s are too narrow",
        result->rows, freed, freed == 1 ? "" : "s");
  else if (too_few)
    result->interval_reason = arena_format(
        &result->arena, "intervals are Student's t's: %d resample%s say%s nothing of the ends of a %g %% interval",
        result->bootstrap, result->bootstrap == 1 ? "" : "s", result->bootstrap == 1 ? "s" : "",
        100 * result->confidence);
  else
    result->interval = INTERVAL_BCA;
}

double quantile(const double *sorted, size_t count, double p) {
  if (!count) return NAN;
  double place = p * (double)(count - 1);
  size_t below = (size_t)place;
  if (below + 1 >= count) return sorted[count - 1];
  return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

int compare_numbers(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
  return (x > y) - (x < y);
}

// Skewness of the jackknife values over six: sum (mean - t)^3 / (6 (sum (mean - t)^2)^(3/2)). Blocks of groups left out
// together give the same number as single groups: skewness falls with the root of the block, and so does the count.
static double acceleration(const struct replicates *replicates) {
  double mean = 0, squares = 0, cubes = 0;
  size_t kept = 0, stride = replicates->jackknife_stride;
  for (size_t i = 0; i < replicates->jackknife_count; i++)
    if (isfinite(replicates->jackknife[i * stride])) {
      mean += replicates->jackknife[i * stride];
      kept++;
    }
  if (kept < 3) return NAN;
  mean /= (double)kept;
  for (size_t i = 0; i < replicates->jackknife_count; i++) {
    double off = mean - replicates->jackknife[i * stride];
    if (!isfinite(off)) continue;
    squares += off * off;
    cubes += off * off * off;
  }
  return squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
}

struct correction {
  double bias, acceleration;
};

// False where there is none: every replicate lies on one side of the value, or nothing was left out.
static bool correction_of(const struct replicates *replicates, const double *sorted, size_t count, double value,
                          struct correction *correction) {
  double below = 0;
  for (size_t i = 0; i < count; i++) below += sorted[i] < value ? 1 : sorted[i] == value ? 0.5 : 0;
  if (below <= 0 || below >= (double)count) return false;
  *correction = (struct correction){gsl_cdf_ugaussian_Pinv(below / (double)count), acceleration(replicates)};
  return isfinite(correction->acceleration);
}

// The quantile of the replicates that is the BCa one at `level`; NAN where the acceleration leaves no such level.
static double corrected(const struct correction *correction, const double *sorted, size_t count, double level) {
  double z = correction->bias + gsl_cdf_ugaussian_Pinv(level), shrink = 1 - correction->acceleration * z;
  return shrink > 0 ? quantile(sorted, count, gsl_cdf_ugaussian_P(correction->bias + z / shrink)) : NAN;
}

// What t intervals are symmetric on: the value, the logarithm of what is positive, the logit of a share.
enum line { LINE_VALUE, LINE_LOGARITHM, LINE_LOGIT };

static double on_line(enum line line, double value) {
  return line == LINE_LOGIT ? log(value / (1 - value)) : line == LINE_LOGARITHM ? log(value) : value;
}

// How far `to` lies from `from` there.
static double along_line(enum line line, double from, double to) {
  return line == LINE_LOGARITHM ? log(to / from) : on_line(line, to) - on_line(line, from);
}

static double off_line(enum line line, double value, double off) {
  if (line == LINE_LOGARITHM) return value * exp(off);
  if (line == LINE_VALUE) return value + off;
  double other = (1 - value) / value * exp(-off);
  return 1 / (1 + other);
}

// The change of the value for a small step there.
static double line_unit(enum line line, double value) {
  return line == LINE_LOGIT ? value * (1 - value) : line == LINE_LOGARITHM ? value : 1;
}

static bool lies_on(enum line line, double value) {
  return line == LINE_VALUE || (value > 0 && (line == LINE_LOGARITHM || value < 1));
}

// Its square grows by the variance of the values that the error of a choice gives.
static double with_choice(const struct replicates *replicates, double value, double error, enum line line) {
  double squares = 0;
  size_t kept = 0;
  for (size_t i = 0; i < replicates->choice_count; i++) {
    double moved = replicates->choice[i * replicates->choice_stride];
    double off = along_line(line, value, moved);
    if (!isfinite(off)) continue;
    squares += off * off;
    kept++;
  }
  return kept ? sqrt(error * error + squares / (double)kept) : error;
}

// The line that the value and all of the jackknife lie on.
static enum line line_of(const struct replicates *replicates, double value) {
  enum line line = replicates->share ? LINE_LOGIT : LINE_LOGARITHM;
  for (; line != LINE_VALUE; line = line == LINE_LOGIT ? LINE_LOGARITHM : LINE_VALUE) {
    bool all = lies_on(line, value);
    for (size_t i = 0; i < replicates->jackknife_count; i++) {
      double left = replicates->jackknife[i * replicates->jackknife_stride];
      if (isfinite(left)) all &= lies_on(line, left);
    }
    if (all) break;
  }
  return line;
}

// The jackknife's standard error about the value, on its line; NAN with fewer than two.
static double jackknife_error(const struct replicates *replicates, double value, enum line *line) {
  size_t kept = 0, stride = replicates->jackknife_stride;
  double squares = 0;
  *line = line_of(replicates, value);
  for (size_t i = 0; i < replicates->jackknife_count; i++) {
    double left = replicates->jackknife[i * stride];
    if (!isfinite(left)) continue;
    double off = along_line(*line, value, left);
    squares += off * off;
    kept++;
  }
  bool exists = kept >= 2 && isfinite(value);
  return exists ? with_choice(replicates, value, sqrt(squares * (double)(kept - 1) / (double)kept), *line) : NAN;
}

static double t_quantile(double value, double error, enum line line, double degrees, double level) {
  return off_line(line, value, gsl_cdf_tdist_Pinv(level, degrees) * error);
}

static size_t sort_finite(const struct replicates *replicates, double *values) {
  size_t kept = 0, stride = replicates->stride;
  for (size_t i = 0; i < replicates->count; i++)
    if (isfinite(replicates->values[i * stride])) values[kept++] = replicates->values[i * stride];
  qsort(values, kept, sizeof *values, compare_numbers);
  return kept;
}

bool replicates_even(struct replicates replicates, enum interval_kind kind, double value, double *values) {
  double *sorted = memory_get((replicates.count + 1) * sizeof *sorted), error = NAN;
  size_t kept = sort_finite(&replicates, sorted);
  struct correction correction;
  enum line line;
  bool fine;
  if (kind == INTERVAL_T) {
    error = jackknife_error(&replicates, value, &line);
    fine = isfinite(error) && replicates.degrees > 0;
  } else {
    fine = kind == INTERVAL_BCA && kept >= 2 && correction_of(&replicates, sorted, kept, value, &correction);
  }
  for (size_t i = 0; i < replicates.count && fine; i++) {
    double level = ((double)i + 0.5) / (double)replicates.count;
    values[i] = kind == INTERVAL_T ? t_quantile(value, error, line, replicates.degrees, level)
                                   : corrected(&correction, sorted, kept, level);
    fine = isfinite(values[i]);
  }
  free(sorted);
  return fine;
}

// The level of a BCa interval's end that is the given quantile's level: `corrected` the other way round.
static double uncorrected(const struct correction *correction, double below) {
  double w = gsl_cdf_ugaussian_Pinv(below) - correction->bias;
  double z = w / (1 + correction->acceleration * w) - correction->bias;
  return gsl_cdf_ugaussian_P(z);
}

double replicates_p(struct replicates replicates, enum interval_kind kind, double value, double at) {
  enum line line;
  if (kind == INTERVAL_T) {
    double error = jackknife_error(&replicates, value, &line);
    if (!isfinite(error) || !(replicates.degrees > 0)) return NAN;
    if (!lies_on(line, at)) return 0;
    double off = along_line(line, value, at);
    return 2 * gsl_cdf_tdist_Q(fabs(off) / error, replicates.degrees);
  }
  double *sorted = memory_get((replicates.count + 1) * sizeof *sorted), below = 0;
  size_t kept = sort_finite(&replicates, sorted);
  struct correction correction;
  bool bca = kind == INTERVAL_BCA && correction_of(&replicates, sorted, kept, value, &correction);
  for (size_t i = 0; i < kept; i++) below += sorted[i] < at ? 1 : sorted[i] == at ? 0.5 : 0;
  free(sorted);
  if (kept < 2 || (kind == INTERVAL_BCA && !bca)) return NAN;
  double level = below / (double)kept, least = 1 / (double)(kept + 1);
  if (level > 0 && level < 1 && bca) level = uncorrected(&correction, level);
  return fmin(1, 2 * fmax(least, fmin(level, 1 - level)));
}

// Standard deviation of the sorted values. NAN where it is more than twice what the middle 95 % of them have, were they
// normal: then the farthest few values decide it, and it says nothing of how far off the estimate may be. NAN too where
// positive values spread by more than a factor of e, which is no distance that could be added to the value.
static double spread_of(const double *sorted, size_t count) {
  static const double heavy = 2, normal = 1.959964;
  double low = quantile(sorted, count, 0.025), high = quantile(sorted, count, 0.975);
  double mean = 0, squares = 0;
  for (size_t i = 0; i < count; i++) mean += sorted[i] / (double)count;
  for (size_t i = 0; i < count; i++) squares += (sorted[i] - mean) * (sorted[i] - mean);
  double deviation = sqrt(squares / (double)(count - 1)), middle = (high - low) / (2 * normal);
  // where all but a few are equal to rounding there is no middle to go by
  bool decided = deviation > heavy * middle && deviation > 1e-9 * fabs(mean);
  bool factor = sorted[0] > 0 && log(high / low) / (2 * normal) > 1;
  return isfinite(deviation) && !decided && !factor ? deviation : NAN;
}

void interval_of(struct replicates replicates, double value, double confidence, enum interval_kind kind,
                 struct intervals *intervals, double *low, double *high, double *se) {
  double *values = memory_get((replicates.count + 1) * sizeof *values);
  size_t kept = sort_finite(&replicates, values);
  struct correction correction;
  *intervals = intervals_none;
  enum line line;
  double error = jackknife_error(&replicates, value, &line);
  // an error of a factor of e is no distance, as in spread_of
  if (isfinite(error) && (line != LINE_LOGARITHM || error < 1)) intervals->robust_se = error * line_unit(line, value);
  if (isfinite(error) && replicates.degrees > 0) {
    intervals->t_low = t_quantile(value, error, line, replicates.degrees, (1 - confidence) / 2);
    intervals->t_high = t_quantile(value, error, line, replicates.degrees, (1 + confidence) / 2);
  }
  if (replicates.share && lies_on(LINE_LOGIT, value)) {  // where the jackknife has a 0 or 1, and so no logit
    intervals->t_low = fmax(0, intervals->t_low);
    intervals->t_high = isnan(intervals->t_high) ? NAN : fmin(1, intervals->t_high);
    if (isnan(intervals->t_high)) intervals->t_low = NAN;
  }
  *se = NAN;
  if (kept >= 2) {
    *se = spread_of(values, kept);
    intervals->percentile_low = quantile(values, kept, (1 - confidence) / 2);
    intervals->percentile_high = quantile(values, kept, (1 + confidence) / 2);
    if (correction_of(&replicates, values, kept, value, &correction)) {
      intervals->bca_low = corrected(&correction, values, kept, (1 - confidence) / 2);
      intervals->bca_high = corrected(&correction, values, kept, (1 + confidence) / 2);
      if (isnan(intervals->bca_low) || isnan(intervals->bca_high)) intervals->bca_low = intervals->bca_high = NAN;
    }
  }
  if (kind == INTERVAL_BCA && !isnan(intervals->bca_low)) intervals->kind = INTERVAL_BCA;
  if (kind == INTERVAL_T && !isnan(intervals->t_low)) intervals->kind = INTERVAL_T;
  *low = intervals->kind == INTERVAL_T     ? intervals->t_low
         : intervals->kind == INTERVAL_BCA ? intervals->bca_low
                                           : intervals->percentile_low;
  *high = intervals->kind == INTERVAL_T     ? intervals->t_high
          : intervals->kind == INTERVAL_BCA ? intervals->bca_high
                                            : intervals->percentile_high;
  free(values);
}
