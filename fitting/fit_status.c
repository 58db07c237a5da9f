// What the data say of each coefficient: determined, one-sided, not determined, at a bound. A profile follows ridges
// that curvature at the minimum and resamples from it do not see, so whatever looks loose gets one, and its ends settle
// what is said.
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

static const double loose_factor = 2.5;  // ends of an interval farther apart than this ask for a profile

static bool wide(double low, double high, double value) {
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

// Whether an interval ends where the law does, other than at 0.
static bool ends_at_bound(const struct element *element, double low, double high) {
  double least = element_value(element, element->low), most = element_value(element, element->high);
  bool bounded_low = isfinite(least) && least != 0 && !(element->logarithmic && element->low <= -149);
  bool bounded_high = isfinite(most) && !(element->logarithmic && element->high >= 149);
  return (bounded_low && low <= least + 1e-6 * fabs(least)) || (bounded_high && high >= most - 1e-6 * fabs(most));
}

bool fit_looks_loose(const struct fit *fit, int e) {
  const struct coefficient *c = &fit->result->coefficients[e];
  const struct intervals *i = &c->intervals;
  if (fit->options->bare || !fit_is_small(fit) || !fit->elements[e].free_ever) return false;
  if (fit->row_choice && fit->result->bootstrap) return false;  // a profile knows nothing of rounding to a grid
  if (c->status == COEFFICIENT_AT_LOW || c->status == COEFFICIENT_AT_HIGH || c->status == COEFFICIENT_UNIDENTIFIED)
    return true;
  if (beside_bound(fit, e)) return true;
  if (fit->result->bootstrap)
    return ends_at_bound(&fit->elements[e], c->low, c->high) || wide(c->low, c->high, c->value) ||
           wide(i->percentile_low, i->percentile_high, c->value);
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

static void settle(struct fit *fit, struct coefficient *c, const struct fit_profile *profile, bool loose) {
  struct arena *arena = &fit->result->arena;
  char end[32];
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
    forget(c, true, true);
  } else if (profile->low_open || profile->high_open) {
    c->status = COEFFICIENT_ONE_SIDED;
    c->low = profile->low;
    c->high = profile->high;
    forget(c, profile->low_open, profile->high_open);
    c->intervals.kind = INTERVAL_PROFILE;
    c->note = arena_format(arena, "one-sided: %s %s", profile->low_open ? "at most" : "at least",
                           number_digits(profile->low_open ? profile->high : profile->low, 3, end));
  } else if (loose) {
    c->low = profile->low;
    c->high = profile->high;
    c->intervals.kind = INTERVAL_PROFILE;
  }
}

void fit_settle(struct fit *fit, const bool *loose) {
  struct fit_result *result = fit->result;
  for (size_t p = 0; p < result->profile_count; p++) {
    const struct fit_profile *profile = &result->profiles[p];
    settle(fit, &result->coefficients[profile->coefficient], profile, loose[profile->coefficient]);
  }
  for (size_t i = 0; i < result->coefficient_count; i++)
    if (result->coefficients[i].status == COEFFICIENT_UNIDENTIFIED) {
      forget(&result->coefficients[i], true, true);
      result->coefficients[i].intervals = intervals_none;  // none of the kinds
    }
}

// "any value below 0.053 fits within 2 %", of the direction that moves the coefficient most.
static const char *range_words(struct arena *arena, const struct fit_result *result, size_t coefficient) {
  char low[32], high[32];
  for (size_t i = 0; i < result->direction_count; i++) {
    const struct fit_direction *d = &result->directions[i];
    if (d->coefficient != coefficient) continue;
    number_digits(d->low, 3, low);
    number_digits(d->high, 3, high);
    if (d->low_open && d->high_open) return "every value fits within 2 %";
    if (d->low_open) return arena_format(arena, "any value below %s fits within 2 %%", high);
    if (d->high_open) return arena_format(arena, "any value above %s fits within 2 %%", low);
    return arena_format(arena, "no limit is reached; any value from %s to %s fits within 2 %%", low, high);
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
      const char *words = range_words(&result->arena, result, i);
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

void fit_settle_derived(struct fit_derived *derived, const double *ends, size_t count) {
  bool below = false, above = false;
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
}
