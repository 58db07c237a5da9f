// What is known of a derived quantity that the rows do not determine: its values at the ends of the walks on which the
// objective grows by at most 2 % (fit_direction.c), and where profiles end that have no limit.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_derived_internal.h"

static const double much = 1e3;  // an end that is as many times farther off, and open, is as good as none

// The lowest and the highest of values, and whether the place that they come from is an end at all.
struct reach {
  double low, high;
  bool low_open, high_open;
};

static void take(struct reach *reach, double value, bool open) {
  if (isnan(value)) return;
  if (value < reach->low) reach->low = value, reach->low_open = open || !isfinite(value);
  if (value > reach->high) reach->high = value, reach->high_open = open || !isfinite(value);
}

static const char *digits(struct arena *arena, double value) {
  char text[32];
  return arena_string(arena, number_digits(value, 3, text));
}

// "any value below 0.3 fits within 2 %": of a walk, along which nothing is skipped. NULL where it hardly moves.
static const char *walk_words(struct arena *arena, const struct reach *reach) {
  static const double noticeable = 0.02;
  double low = reach->low, high = reach->high;
  bool below = reach->low_open && (low == -INFINITY || (low >= 0 && low * much < high)),
       above = reach->high_open && (high == INFINITY || (low > 0 && high > low * much));
  if (!(high - low > noticeable * fmax(fabs(low), fabs(high)))) return NULL;
  if (below && above) return "every value fits within 2 %";
  if (below) return arena_format(arena, "any value below %s fits within 2 %%", digits(arena, high));
  if (above) return arena_format(arena, "any value above %s fits within 2 %%", digits(arena, low));
  return arena_format(arena, "any value from %s to %s fits within 2 %%%s", digits(arena, low), digits(arena, high),
                      reach->low_open || reach->high_open ? " (no end met)" : "");
}

// results [1 + open_count + within_count]: the estimate's, those of open ends, those of the walks' ends.
static const char *words_of(struct fit *fit, const double *results) {
  struct arena *arena = &fit->result->arena;
  size_t open = fit->result->open_count;
  struct reach near = {INFINITY, -INFINITY, false, false}, far = {INFINITY, -INFINITY, false, false};
  take(&near, results[0], false);
  take(&far, results[0], false);
  for (size_t k = 0; k < fit->within_count; k++) take(&near, results[1 + open + k], fit->within_open[k]);
  for (size_t k = 0; k < open; k++)
    if (!fit->result->open_ends[k].step) take(&far, results[1 + k], true);
  const char *words = walk_words(arena, &near);
  if (words) return words;
  if (!(far.high > far.low)) return NULL;
  if (!isfinite(far.low) || !isfinite(far.high)) return "the rows exclude no value";
  return arena_format(arena, "profiles that have no end lead from %s to %s", digits(arena, far.low),
                      digits(arena, far.high));
}

bool fit_note_derived(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  const struct law *law = fit->law;
  size_t n = (size_t)fit->element_count, open = result->open_count, count = 1 + open + fit->within_count, place = 0;
  double *estimate = arena_array(&fit->arena, n + 1, sizeof *estimate),
         *values = arena_array(&fit->arena, count * n + 1, sizeof *values);
  for (size_t e = 0; e < n; e++) estimate[e] = result->coefficients[e].value;
  for (size_t k = 0; k < open; k++) memcpy(values + k * n, result->open_ends[k].values, n * sizeof *values);
  if (fit->within_count) memcpy(values + open * n, fit->within, fit->within_count * n * sizeof *values);
  struct value_sets sets = {
      .count = count, .resamples = count - 1, .width = n, .estimate = estimate, .replicates = values};
  double *earlier = memory_get(count * (size_t)(law->derived_count + 1) * sizeof *earlier),
         *results = memory_get(count * sizeof *results);
  bool fine = true;
  for (int d = 0; d < law->derived_count && fine; d++)
    for (int p = 0; p < (law->derived[d].at ? law->derived[d].value_count : 1) && fine; p++) {
      struct fit_derived *derived = &result->derived[place++];
      fine = derive_sets(fit, d, law->derived[d].at ? derived_point(fit, &law->derived[d], p) : NAN, &sets, earlier,
                         results, error);
      if (!fine || derived->status != COEFFICIENT_UNIDENTIFIED) continue;
      const char *words = words_of(fit, results);
      derived->note = words ? arena_format(&result->arena, "not determined: %s", words) : NULL;
    }
  free(earlier);
  free(results);
  return fine;
}
