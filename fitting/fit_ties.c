// Coefficients that have another one's value, and bounds in place of the law's: "beta=alpha", "E=1".
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/setting_internal.h"

bool fit_unknown_coefficient(const struct fit *fit, const char *option, const char *name, struct error *error) {
  const char **names = memory_get(((size_t)fit->element_count + 1) * sizeof(char *));
  for (int e = 0; e < fit->element_count; e++) names[e] = fit->elements[e].name;
  error_set(error, EXIT_USAGE_ERROR, "%s: the law %s has no coefficient '%s' on these rows", option, fit->law->name,
            name);
  bool fine = error_hint(error, nearest_name(name, names, (size_t)fit->element_count), NULL);
  free(names);
  return fine;
}

static int find_coefficient(const struct fit *fit, const char *name) {
  for (int e = 0; e < fit->element_count; e++)
    if (strcmp(fit->elements[e].name, name) == 0) return e;
  return -1;
}

// ---- ties ----

static const char *held_as(const struct element *element) {
  return element->baseline ? "the baseline" : element->tied ? "tied already" : "fixed";
}

static bool tie_one(struct fit *fit, int from, int to, struct error *error) {
  struct element *element = &fit->elements[from];
  const struct element *other = &fit->elements[to];
  bool fixed_here = element->fixed && !fit->law->parameters[element->parameter].fixed;  // by --fix
  if (from == to) return error_set(error, EXIT_USAGE_ERROR, "tie: %s is tied to itself", element->name);
  if (element->baseline || element->tied || fixed_here)
    return error_set(error, EXIT_USAGE_ERROR, "tie: %s is %s; it cannot have the value of %s", element->name,
                     held_as(element), other->name);
  if (element->category && element->logarithmic != other->logarithmic)
    return error_set(error, EXIT_USAGE_ERROR, "tie: %s and %s cannot be tied: only one of them is positive by the law",
                     element->name, other->name);
  element->tied = true;
  element->tied_to = to;
  element->fixed = false;
  return true;
}

// Of a tie to a tied one, the last; false where they go round.
static bool follow_ties(struct fit *fit, struct error *error) {
  for (int e = 0; e < fit->element_count; e++) {
    struct element *element = &fit->elements[e];
    for (int steps = 0; element->tied && fit->elements[element->tied_to].tied; steps++) {
      element->tied_to = fit->elements[element->tied_to].tied_to;
      if (steps > fit->element_count || element->tied_to == e)
        return error_set(error, EXIT_USAGE_ERROR, "tie: %s is tied to itself by way of others", element->name);
    }
  }
  return true;
}

bool fit_tie(struct fit *fit, struct error *error) {
  for (size_t i = 0; i < fit->options->tie_count; i++) {
    struct setting tie;
    if (!setting_tie(fit->options->ties[i], &tie, error)) return false;
    const char *name = arena_copy(&fit->arena, tie.name, tie.length), *to_name = tie.what;
    int from = find_coefficient(fit, name), to = find_coefficient(fit, to_name);
    if (from < 0) return fit_unknown_coefficient(fit, "tie", name, error);
    if (to < 0) return fit_unknown_coefficient(fit, "tie", to_name, error);
    if (!tie_one(fit, from, to, error)) return false;
  }
  return follow_ties(fit, error);
}

static int stage_of(const struct fit *fit, int e) {
  const char *name = fit->law->parameters[fit->elements[e].parameter].name;
  for (int s = 0; s < fit->stage_count; s++)
    for (int i = 0; i < fit->stages[s].law_stage->free_count; i++)
      if (strcmp(fit->stages[s].law_stage->free[i], name) == 0) return s;
  return 0;
}

bool fit_check_tied_stages(const struct fit *fit, struct error *error) {
  for (int e = 0; e < fit->element_count; e++) {
    int to = fit->elements[e].tied_to;
    if (!fit->elements[e].tied || fit->elements[to].fixed || fit->elements[to].baseline ||
        stage_of(fit, e) >= stage_of(fit, to))
      continue;
    return error_set(error, EXIT_USAGE_ERROR,
                     "tie: the law %s fits %s in an earlier stage than %s; tie them the other "
                     "way round",
                     fit->law->name, fit->elements[e].name, fit->elements[to].name);
  }
  return true;
}

void fit_copy_ties(const struct fit *fit, double *values) {
  for (int e = 0; e < fit->element_count; e++)
    if (fit->elements[e].tied) values[e] = values[fit->elements[e].tied_to];
}

void fit_copy_tied_intervals(struct fit *fit) {
  for (int e = 0; e < fit->element_count; e++) {
    if (!fit->elements[e].tied) continue;
    struct coefficient *tied = &fit->result->coefficients[e];
    const struct coefficient *other = &fit->result->coefficients[fit->elements[e].tied_to];
    tied->value = other->value;
    tied->low = other->low;
    tied->high = other->high;
    tied->se = other->se;
    tied->intervals = other->intervals;
  }
}

// ---- bounds ----

static bool bound_one(struct fit *fit, struct element *element, bool low, double value, struct error *error) {
  if (element->baseline) return true;
  double bound = element->logarithmic ? fmin(fmax(log(fmax(value, 0)), -150), 150) : value;
  if (element->logarithmic && value < 0 && !low)
    return error_set(error, EXIT_USAGE_ERROR, "high: %s is positive; it cannot lie below %g", element->name, value);
  *(low ? &element->low : &element->high) = bound;
  if (element->fixed && !(element->value >= element->low && element->value <= element->high))
    return error_set(error, EXIT_USAGE_ERROR, "%s: %s is held at %g, which is beyond %g", low ? "low" : "high",
                     element->name, element_value(element, element->value), value);
  return true;
}

static bool bound_named(struct fit *fit, const char *text, bool low, struct error *error) {
  const char *option = low ? "low" : "high";
  struct setting bound;
  bool found = false;
  if (!setting_bound(option, text, &bound, error)) return false;
  const char *name = arena_copy(&fit->arena, bound.name, bound.length);
  for (int e = 0; e < fit->element_count; e++) {
    struct element *element = &fit->elements[e];
    if (strcmp(element->name, name) != 0 && strcmp(fit->law->parameters[element->parameter].name, name) != 0) continue;
    found = true;
    if (element->tied)
      return error_set(error, EXIT_USAGE_ERROR, "%s: %s is tied to %s; bound that one", option, element->name,
                       fit->elements[element->tied_to].name);
    if (!bound_one(fit, element, low, bound.number, error)) return false;
  }
  return found ? true : fit_unknown_coefficient(fit, option, name, error);
}

// The bounds of a tied coefficient hold for the one that it is tied to.
static bool narrow_by_ties(struct fit *fit, struct error *error) {
  for (int e = 0; e < fit->element_count; e++) {
    const struct element *tied = &fit->elements[e];
    if (!tied->tied) continue;
    struct element *other = &fit->elements[tied->tied_to];
    double low = tied->low, high = tied->high;
    if (tied->logarithmic != other->logarithmic) {
      low = other->logarithmic ? fmax(log(fmax(low, 0)), -150) : exp(low);
      high = other->logarithmic ? fmin(log(high), 150) : exp(high);
    }
    other->low = fmax(other->low, low);
    other->high = fmin(other->high, high);
    if (other->fixed && !(other->value >= other->low && other->value <= other->high))
      return error_set(error, EXIT_USAGE_ERROR, "tie: %s is held at a value that the law forbids %s", other->name,
                       tied->name);
  }
  return true;
}

bool fit_bound(struct fit *fit, struct error *error) {
  for (size_t i = 0; i < fit->options->low_count; i++)
    if (!bound_named(fit, fit->options->lows[i], true, error)) return false;
  for (size_t i = 0; i < fit->options->high_count; i++)
    if (!bound_named(fit, fit->options->highs[i], false, error)) return false;
  if (!narrow_by_ties(fit, error)) return false;
  for (int e = 0; e < fit->element_count; e++) {
    const struct element *element = &fit->elements[e];
    if (element->tied || element->low < element->high) continue;
    return error_set(error, EXIT_USAGE_ERROR, "%s has no value to take: it is at least %g and at most %g%s",
                     element->name, element_value(element, element->low), element_value(element, element->high),
                     element->low == element->high ? " (--fix holds it)" : "");
  }
  return true;
}
