// Whether the rows determine derived quantities: what the coefficients may be besides the estimate (the ends of open
// profiles, values beyond a bound, the bounds themselves) says which quantities have no end on a side, or none at all.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_derived_internal.h"

void fit_settle_open(const struct fit_result *result, struct fit_derived *derived, const double *values) {
  size_t count = 0;
  double *ends = memory_get((result->open_count + 1) * sizeof *ends);
  bool moves = false;
  for (size_t k = 0; k < result->open_count; k++)
    if (result->open_ends[k].step)
      moves |= open_step_moves(derived->value, values[k]);
    else
      ends[count++] = values[k];
  fit_settle_derived(derived, ends, count);
  if (moves) fit_forget_derived(derived);
  free(ends);
}

// Whether a quantity is made of what is not determined: where no profile could be walked, a step may not show it.
static bool is_made_of_open(const struct fit *fit, const struct law_derived *what) {
  const struct fit_result *result = fit->result;
  for (size_t k = 0; k < result->open_count; k++)
    if (!result->open_ends[k].step) return false;
  for (int i = 0; i < what->expression->name_count; i++) {
    const char *name = what->expression->names[i].name;
    for (size_t c = 0; c < result->coefficient_count; c++)
      if (result->coefficients[c].status == COEFFICIENT_UNIDENTIFIED &&
          strcmp(result->coefficients[c].parameter, name) == 0)
        return true;
    for (size_t d = 0; d < result->derived_count; d++)
      if (result->derived[d].status == COEFFICIENT_UNIDENTIFIED && strcmp(result->derived[d].name, name) == 0)
        return true;
  }
  return false;
}

// A bound that the law sets, and not the data or the options: the value may lie far beyond it.
static bool is_bound_of_law(const struct fit *fit, int e, double value) {
  const struct element *element = &fit->elements[e];
  const struct law_parameter *parameter = &fit->law->parameters[element->parameter];
  if (element->logarithmic || value == 0) return false;
  return (value == element->high && element->high == parameter->high && value > 0) ||
         (value == element->low && element->low == parameter->low && value < 0);
}

static bool names_exponent(const struct law *law, const char *name) {
  for (int i = 0; i < law->exponent_count; i++)
    if (strcmp(law->exponents[i], name) == 0) return true;
  return false;
}

// An exponent that the rows let, or want to, go beyond an upper bound.
static bool is_open_exponent(const struct fit *fit, int e) {
  const struct coefficient *c = &fit->result->coefficients[e];
  bool open = c->status == COEFFICIENT_AT_HIGH || (c->status == COEFFICIENT_ONE_SIDED && isnan(c->high));
  return open && names_exponent(fit->law, c->parameter);
}

// Values that derived quantities are looked at besides the estimate: the open ends; far beyond those that lie at a
// bound of the law; with open exponents ten times as large, for exponents; where profiles end; and exactly where a
// bound is.
struct looked_at {
  double *values;                                  // [count][elements]
  size_t open, beyond, exponents, reached, count;  // so many of each kind, in this order, and one
};

static double *next_values(const struct fit *fit, struct looked_at *at, const double *from) {
  size_t n = (size_t)fit->element_count;
  double *values = at->values + at->count++ * n;
  memcpy(values, from, n * sizeof *values);
  return values;
}

static struct looked_at looked_at_new(struct fit *fit, const double *estimate) {
  static const double far = 1e3, larger = 10;
  const struct fit_result *result = fit->result;
  size_t n = (size_t)fit->element_count;
  struct looked_at at = {.open = result->open_count};
  at.values = arena_array(&fit->arena, (2 * at.open + n + fit->reached_count + 1) * n + 1, sizeof *at.values);
  for (size_t k = 0; k < at.open; k++) next_values(fit, &at, result->open_ends[k].values);
  for (size_t k = 0; k < at.open; k++) {
    const struct fit_open_end *end = &result->open_ends[k];
    if (end->step || !is_bound_of_law(fit, (int)end->coefficient, end->values[end->coefficient])) continue;
    next_values(fit, &at, end->values)[end->coefficient] *= far;
    at.beyond++;
  }
  for (int e = 0; e < fit->element_count; e++) {
    if (!is_open_exponent(fit, e)) continue;
    double *values = next_values(fit, &at, estimate);
    values[e] *= larger;
    fit_copy_ties(fit, values);
    at.exponents++;
  }
  at.reached = fit->reached_count;
  for (size_t k = 0; k < at.reached; k++) next_values(fit, &at, fit->reached + k * n);
  double *values = next_values(fit, &at, estimate);
  for (size_t e = 0; e < n; e++) {
    const struct element *element = &fit->elements[e];
    enum coefficient_status status = result->coefficients[e].status;
    if (status == COEFFICIENT_AT_LOW)
      values[e] = element->logarithmic && element->low <= -149 ? 0 : element_value(element, element->low);
    else if (status == COEFFICIENT_AT_HIGH)
      values[e] = element_value(element, element->high);
  }
  return at;
}

// A side on which what lies beyond a bound leaves the interval has no end, whatever the other side has.
static void settle_beyond(struct fit_derived *derived, const double *beyond, size_t count) {
  struct fit_derived further = *derived;
  if (derived->status == COEFFICIENT_UNIDENTIFIED) return;
  if (isnan(further.low)) further.low = -INFINITY;
  if (isnan(further.high)) further.high = INFINITY;
  fit_settle_derived(&further, beyond, count);
  if (!isfinite(further.low)) further.low = NAN;
  if (!isfinite(further.high)) further.high = NAN;
  if (further.status != COEFFICIENT_FITTED) *derived = further;
  if (isnan(derived->low) && isnan(derived->high) && derived->status == COEFFICIENT_ONE_SIDED)
    fit_forget_derived(derived);
}

// Resamples know nothing of what a coefficient could be that lies at a bound in all of them. Where a coefficient is not
// plainly determined, an interval holds what the quantity is where profiles end, which fits as well as they ask.
static void widen_to_reached(const struct fit *fit, struct fit_derived *derived, const double *reached, size_t count) {
  bool plain = true;
  for (int e = 0; e < fit->element_count; e++)
    plain &= !fit->elements[e].free_ever || fit->result->coefficients[e].status == COEFFICIENT_FITTED;
  for (size_t k = 0; k < count && !plain; k++) {
    bool below = reached[k]<derived->low, above = reached[k]> derived->high;
    if (below) derived->low = reached[k];
    if (above) derived->high = reached[k];
    if (below || above) derived->intervals.kind = INTERVAL_PROFILE;
  }
}

// results [1 + count]: the estimate's is in front.
static void settle_looked_at(const struct fit *fit, const struct law_derived *what, const struct looked_at *at,
                             const double *results, struct fit_derived *derived) {
  fit_settle_open(fit->result, derived, results + 1);
  bool exponent = !what->at && names_exponent(fit->law, what->name);
  settle_beyond(derived, results + 1 + at->open, at->beyond + (exponent ? at->exponents : 0));
  widen_to_reached(fit, derived, results + 1 + at->open + at->beyond + at->exponents, at->reached);
  bool exists = isfinite(results[0]) && isfinite(results[at->count]);
  bool said = !derived_is_share(fit, what->expression) || !tells_nothing(derived->low, derived->high, 0, 1);
  if (!exists || !said || is_made_of_open(fit, what)) fit_forget_derived(derived);
}

bool fit_derive_open(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  const struct law *law = fit->law;
  size_t place = 0;
  if (!result->derived_count) return true;
  double *estimate = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *estimate);
  for (int e = 0; e < fit->element_count; e++) estimate[e] = result->coefficients[e].value;
  struct looked_at at = looked_at_new(fit, estimate);
  struct value_sets sets = {.count = at.count + 1,  // as if they were resamples
                            .resamples = at.count,
                            .width = (size_t)fit->element_count,
                            .estimate = estimate,
                            .replicates = at.values};
  double *earlier = memory_get(sets.count * (size_t)(law->derived_count + 1) * sizeof *earlier),
         *results = memory_get(sets.count * sizeof *results);
  bool fine = true;
  for (int d = 0; d < law->derived_count && fine; d++) {
    const struct law_derived *what = &law->derived[d];
    for (int p = 0; p < (what->at ? what->value_count : 1) && fine; p++) {
      fine = derive_sets(fit, d, what->at ? derived_point(fit, what, p) : NAN, &sets, earlier, results, error);
      if (!fine) break;
      struct fit_derived *derived = &result->derived[place++];
      if (derived->status != COEFFICIENT_FIXED) settle_looked_at(fit, what, &at, results, derived);
    }
  }
  free(earlier);
  free(results);
  return fine && fit_note_derived(fit, error);
}
