// What the data say of each coefficient: determined, one-sided, not determined, at a bound. A profile follows ridges
// that curvature at the minimum and resamples from it do not see, so whatever looks loose gets one, and its ends settle
// what is said.
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

static const double loose_factor = 2.5;  // ends of an interval farther apart than this ask for a profile
static const double most_se = 0.5;       // of an interval's width; a normal distribution's is a quarter of it

bool interval_is_wide(double low, double high, double value) {
  if (isnan(low) || isnan(high)) return false;
  if (low > 0) return high > loose_factor * low;
  return high - low > (loose_factor - 1) * fabs(value);
}

// Whether a coefficient that is fitted together with this one lies at a bound: resamples, whose coefficient lies there
// too, then know nothing of what it could be.
static bool beside_bound(const struct fit *fit, int e) {
  for (int s = 0; s < fit->stage_count; s++) {
    bool mine = false, bound = false;
    for (int i = 0; i < fit->stages[s].free_count; i++) {
      enum coefficient_status status = fit->result->coefficients[fit->stages[s].free[i]].status;
      mine |= fit->stages[s].free[i] == e;
      bound |= status == COEFFICIENT_AT_LOW || status == COEFFICIENT_AT_HIGH;
    }
    if (mine && bound) return true;
  }
  return false;
}

// The lowest and the highest value of the coefficient where other starts reached the same objective: places in
// stage->same, or -1 where none is farther out than the minimum by more than it is known to.
struct elsewhere {
  const struct fit_stage *stage;
  int64_t lowest, highest;
  double low, high;  // values there
};

static struct elsewhere elsewhere_of(const struct fit *fit, int e) {
  struct elsewhere found = {NULL, -1, -1, NAN, NAN};
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    int i = 0;
    while (i < stage->free_count && stage->free[i] != e) i++;
    if (i == stage->free_count) continue;
    double unit = 1e-3 * problem_unit(&stage->problem, i, stage->x[i]), low = stage->x[i] - unit,
           high = stage->x[i] + unit;
    found.stage = stage;
    for (int64_t k = 0; k < stage->elsewhere; k++) {
      double x = stage->same[k][i];
      if (x < low) found.lowest = k;
      if (x > high) found.highest = k;
      low = fmin(low, x);
      high = fmax(high, x);
    }
    if (found.lowest >= 0) found.low = element_value(&fit->elements[e], low);
    if (found.highest >= 0) found.high = element_value(&fit->elements[e], high);
  }
  return found;
}

// Whether an interval ends where the law does, other than at 0.
static bool ends_at_bound(const struct element *element, double low, double high) {
  double least = element_value(element, element->low), most = element_value(element, element->high);
  bool bounded_low = isfinite(least) && least != 0 && !(element->logarithmic && element->low <= -149);
  bool bounded_high = isfinite(most) && !(element->logarithmic && element->high >= 149);
  return (bounded_low && low <= least + 1e-6 * fabs(least)) || (bounded_high && high >= most - 1e-6 * fabs(most));
}

bool tells_nothing(double low, double high, double least, double most) {
  static const double nearly_all = 0.9;
  if (isnan(low) && isnan(high)) return false;
  if (isnan(low)) low = least;
  if (isnan(high)) high = most;
  return isfinite(most - least) && high - low >= nearly_all * (most - least);
}

// The same of a coefficient, which is not determined then. Between bounds above 0 a logarithm is looked at as that.
static void settle_between_bounds(struct fit *fit, size_t e) {
  struct coefficient *c = &fit->result->coefficients[e];
  const struct element *element = &fit->elements[e];
  bool limited = c->status == COEFFICIENT_FITTED || c->status == COEFFICIENT_ONE_SIDED;
  double least = element->low, most = element->high, low = c->low, high = c->high;
  if (!element->free_ever || !limited || (element->logarithmic && most >= 149)) return;
  if (element->logarithmic && least > -149) {
    low = log(low);
    high = log(high);
  } else {
    least = element->logarithmic ? 0 : least;
    most = element_value(element, most);
  }
  if (!tells_nothing(low, high, least, most)) return;
  char from[32], to[32];
  c->status = COEFFICIENT_UNIDENTIFIED;
  number_digits(isnan(c->low) ? element_value(element, element->low) : c->low, 3, from);
  number_digits(isnan(c->high) ? element_value(element, element->high) : c->high, 3, to);
  c->note = arena_format(&fit->result->arena, "not determined: %s to %s is nearly all that it can be", from, to);
}

bool fit_looks_loose(const struct fit *fit, int e) {
  const struct coefficient *c = &fit->result->coefficients[e];
  const struct intervals *i = &c->intervals;
  if (fit->options->bare || !fit_is_small(fit) || !fit->elements[e].free_ever) return false;
  if (fit->row_choice && fit->result->bootstrap) return false;  // a profile knows nothing of rounding to a grid
  if (c->status == COEFFICIENT_AT_LOW || c->status == COEFFICIENT_AT_HIGH || c->status == COEFFICIENT_UNIDENTIFIED)
    return true;
  if (beside_bound(fit, e)) return true;
  struct elsewhere elsewhere = elsewhere_of(fit, e);
  if (elsewhere.lowest >= 0 || elsewhere.highest >= 0) return true;
  if (fit->result->bootstrap)
    return ends_at_bound(&fit->elements[e], c->low, c->high) || interval_is_wide(c->low, c->high, c->value) ||
           interval_is_wide(i->percentile_low, i->percentile_high, c->value);
  for (int s = 0; s < fit->stage_count; s++) {
    const struct stage_scale *scale = fit->stages[s].scale;
    for (int k = 0; scale && k < scale->n; k++) {
      if (fit->stages[s].free[scale->of[k]] != e) continue;
      double se = stage_scale_se(scale, k), reach = 2 * (fit->elements[e].logarithmic ? se : se / fabs(c->value));
      return !(exp(2 * reach) < loose_factor);
    }
  }
  return false;
}

static void forget(struct coefficient *c, bool low, bool high) {
  if (low) c->low = NAN;
  if (high) c->high = NAN;
  c->se = NAN;
}

// Whether the objective stays as low as at the bound over a good part of the interval: the data then ask for nothing
// beyond the bound, they do not tell. A parabola about the bound reaches `flat` at a seventh of the interval.
static bool flat_from_bound(const struct fit_profile *profile, bool at_low) {
  static const double flat = 0.02, part = 0.3;
  if (!profile->point_count) return false;
  double bound = profile->points[at_low ? 0 : profile->point_count - 1].value,
         end = at_low ? profile->high : profile->low;
  double reach = 0;
  for (size_t i = 0; i < profile->point_count; i++)
    if (profile->points[i].ratio < flat) reach = fmax(reach, fabs(profile->points[i].value - bound));
  return reach > part * fabs(end - bound) || !isfinite(end);
}

static void say_one_sided(struct arena *arena, struct coefficient *c) {
  char end[32];
  c->status = COEFFICIENT_ONE_SIDED;
  c->note = arena_format(arena, "one-sided: %s %s", isnan(c->low) ? "at most" : "at least",
                         number_digits(isnan(c->low) ? c->high : c->low, 3, end));
}

static void settle(struct fit *fit, struct coefficient *c, const struct fit_profile *profile, bool loose) {
  if (c->status == COEFFICIENT_AT_LOW || c->status == COEFFICIENT_AT_HIGH) {
    bool at_low = c->status == COEFFICIENT_AT_LOW;
    if (flat_from_bound(profile, at_low)) c->status = COEFFICIENT_FITTED;
  }
  if (c->status == COEFFICIENT_AT_LOW || c->status == COEFFICIENT_AT_HIGH) {
    bool at_low = c->status == COEFFICIENT_AT_LOW;
    c->low = at_low || profile->low_open ? NAN : profile->low;
    c->high = !at_low || profile->high_open ? NAN : profile->high;
    c->se = NAN;
    c->intervals.kind = INTERVAL_PROFILE;
    return;
  }
  if (profile->low_open && profile->high_open) {
    c->status = COEFFICIENT_UNIDENTIFIED;
    c->note = NULL;  // it may have been limited on one side, while fewer ends were known to be open
    forget(c, true, true);
  } else if (profile->low_open || profile->high_open) {
    c->low = profile->low;
    c->high = profile->high;
    forget(c, profile->low_open, profile->high_open);
    c->intervals.kind = INTERVAL_PROFILE;
    say_one_sided(&fit->result->arena, c);
  } else if (loose) {
    c->low = profile->low;
    c->high = profile->high;
    c->intervals.kind = INTERVAL_PROFILE;
    if (c->se > most_se * (c->high - c->low)) c->se = NAN;  // of resamples that go where no profile does
  }
}

static void keep_elsewhere(struct fit *fit, int e, const struct elsewhere *elsewhere, int64_t place) {
  const struct fit_stage *stage = elsewhere->stage;
  double *values = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *values);
  for (int k = 0; k < fit->element_count; k++) values[k] = fit->result->coefficients[k].value;
  for (int i = 0; i < stage->free_count; i++)
    values[stage->free[i]] = element_value(&fit->elements[stage->free[i]], stage->same[place][i]);
  fit_copy_ties(fit, values);
  fit_keep_open(fit, e, false, values);
}

// A profile follows the minimum it starts from. What lies outside its ends and fits as well is no less likely.
static void settle_elsewhere(struct fit *fit, int e) {
  struct coefficient *c = &fit->result->coefficients[e];
  struct elsewhere elsewhere = elsewhere_of(fit, e);
  bool none = isnan(c->low) && isnan(c->high);
  bool below = elsewhere.lowest >= 0 && (none || elsewhere.low < c->low),
       above = elsewhere.highest >= 0 && (none || elsewhere.high > c->high);
  if (below) keep_elsewhere(fit, e, &elsewhere, elsewhere.lowest);
  if (above) keep_elsewhere(fit, e, &elsewhere, elsewhere.highest);
  if ((!below && !above) || c->status == COEFFICIENT_UNIDENTIFIED) return;
  below |= c->status == COEFFICIENT_AT_LOW;  // a limit at the law's bound says nothing
  above |= c->status == COEFFICIENT_AT_HIGH;
  forget(c, below, above);
  if (isnan(c->low) && isnan(c->high)) {
    c->status = COEFFICIENT_UNIDENTIFIED;
    c->note = NULL;
  } else {
    say_one_sided(&fit->result->arena, c);
  }
}

void fit_settle(struct fit *fit, const bool *loose) {
  struct fit_result *result = fit->result;
  for (size_t p = 0; p < result->profile_count; p++) {
    const struct fit_profile *profile = &result->profiles[p];
    settle(fit, &result->coefficients[profile->coefficient], profile, loose[profile->coefficient]);
  }
  for (int e = 0; e < fit->element_count; e++)
    if (fit->elements[e].free_ever) settle_elsewhere(fit, e);
  for (size_t i = 0; i < result->coefficient_count; i++) {
    settle_between_bounds(fit, i);
    if (result->coefficients[i].status == COEFFICIENT_UNIDENTIFIED) {
      forget(&result->coefficients[i], true, true);
      result->coefficients[i].intervals = intervals_none;  // none of the kinds
    }
  }
}

// "any value below 0.053 fits within 2 %", of the direction that moves the coefficient most; or what other starts
// found, where that lies outside.
static const char *range_words(struct fit *fit, size_t coefficient) {
  const struct fit_result *result = fit->result;
  struct arena *arena = &fit->result->arena;
  struct elsewhere elsewhere = elsewhere_of(fit, (int)coefficient);
  char low[32], high[32];
  for (size_t i = 0; i < result->direction_count; i++) {
    const struct fit_direction *d = &result->directions[i];
    if (d->coefficient != coefficient) continue;
    if ((!d->low_open && elsewhere.low < d->low) || (!d->high_open && elsewhere.high > d->high)) break;
    number_digits(d->low, 3, low);
    number_digits(d->high, 3, high);
    if (d->low_open && d->high_open) return "every value fits within 2 %";
    if (d->low_open) return arena_format(arena, "any value below %s fits within 2 %%", high);
    if (d->high_open) return arena_format(arena, "any value above %s fits within 2 %%", low);
    return arena_format(arena, "the rows exclude no value; any from %s to %s fits within 2 %%", low, high);
  }
  if (elsewhere.lowest < 0 && elsewhere.highest < 0) return NULL;
  double value = result->coefficients[coefficient].value;
  return arena_format(arena, "other starts fit as well with values from %s to %s",
                      number_digits(elsewhere.lowest < 0 ? value : elsewhere.low, 3, low),
                      number_digits(elsewhere.highest < 0 ? value : elsewhere.high, 3, high));
}

// The same where no direction was walked: what its profile says.
static const char *open_words(const struct fit_result *result, size_t coefficient) {
  for (size_t p = 0; p < result->profile_count; p++) {
    const struct fit_profile *profile = &result->profiles[p];
    if (profile->coefficient == coefficient && profile->low_open && profile->high_open)
      return "the rows exclude no value";
  }
  return NULL;
}

void fit_status_notes(struct fit *fit) {
  struct fit_result *result = fit->result;
  for (size_t i = 0; i < result->coefficient_count; i++) {
    struct coefficient *c = &result->coefficients[i];
    const struct element *element = &fit->elements[i];
    bool at_low = c->status == COEFFICIENT_AT_LOW;
    char bound[32];
    if (c->status == COEFFICIENT_UNIDENTIFIED) {
      if (c->note) continue;
      const char *words = range_words(fit, i);
      if (!words) words = open_words(result, i);
      c->note = words ? arena_format(&result->arena, "not determined: %s", words) : "not determined";
    } else if (at_low || c->status == COEFFICIENT_AT_HIGH) {
      double end = element->logarithmic && at_low && element->low <= -149
                       ? 0
                       : element_value(element, at_low ? element->low : element->high);
      c->note = arena_format(&result->arena, "at bound %s: the data ask for a value %s it",
                             number_digits(end, 4, bound), at_low ? "below" : "above");
    }
  }
}

// ---- derived quantities ----

// Without an interval (no resamples): whether what the rows allow as well moves it noticeably.
static bool moves_anyway(const struct fit_derived *derived, const double *ends, size_t count) {
  static const double noticeable = 0.1;
  for (size_t k = 0; k < count; k++)
    if (!(fabs(ends[k] - derived->value) <= noticeable * fabs(derived->value))) return true;
  return false;
}

void fit_settle_derived(struct fit_derived *derived, const double *ends, size_t count) {
  bool below = false, above = false;
  if (isnan(derived->low) && isnan(derived->high) && moves_anyway(derived, ends, count)) fit_forget_derived(derived);
  for (size_t k = 0; k < count; k++) {
    below |= !(ends[k] >= derived->low);
    above |= !(ends[k] <= derived->high);
  }
  if (isnan(derived->low) || (!below && !above)) return;
  derived->status = below && above ? COEFFICIENT_UNIDENTIFIED : COEFFICIENT_ONE_SIDED;
  if (below) derived->low = NAN;
  if (above) derived->high = NAN;
  derived->se = NAN;
  if (below && above) derived->intervals = intervals_none;
  if (derived->low == 0 && above) fit_forget_derived(derived);  // what is never negative is at least 0 anyway
}
