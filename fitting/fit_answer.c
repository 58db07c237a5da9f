// What a fit says first: the quantities that its law is fitted for (the law's `answers`, else its exponents, else its
// first parameter), each with its interval and whether the data determine it.
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { SHOWN = 6 };  // categories of one parameter

struct answered {
  const char *name, *category, *note;
  double value, low, high;
  enum coefficient_status status;
};

static const char *digits(struct arena *arena, double value, int count) {
  char text[32];
  return arena_string(arena, number_digits(value, count, text));
}

// What an interval says whose ends are far apart.
static const char *loosely(struct arena *arena, const struct answered *e) {
  if (!interval_is_wide(e->low, e->high, e->value)) return "";
  if (e->low <= 0) return " only loosely";
  return arena_format(arena, " only loosely: its ends differ by a factor of %s", digits(arena, e->high / e->low, 2));
}

// "a = 0.504 (95 % interval 0.46 to 0.55), determined".
static const char *estimate_words(const struct fit *fit, const struct answered *e) {
  struct arena *arena = &fit->result->arena;
  int count = interval_digits(e->low, e->high, 4);
  const char *value = digits(arena, e->value, count), *interval = "";
  switch (e->status) {
    case COEFFICIENT_FITTED:
      if (!isnan(e->low) && !isnan(e->high))
        interval = arena_format(arena, " (%g %% interval %s to %s), determined%s", 100 * fit->result->confidence,
                                digits(arena, e->low, count), digits(arena, e->high, count), loosely(arena, e));
      else
        interval = fit->rounding            ? " (residuals are rounding, so no interval)"
                   : fit->result->bootstrap ? " (no interval)"
                                            : " (no resamples, so no interval)";
      return arena_format(arena, "%s = %s%s", e->name, value, interval);
    case COEFFICIENT_BY_PRIOR:
      return arena_format(arena, "%s = %s, %s", e->name, value, e->note ? e->note : coefficient_status_name(e->status));
    case COEFFICIENT_ONE_SIDED:
      return arena_format(arena, "%s is limited on one side only: %s %s", e->name,
                          isnan(e->low) ? "at most" : "at least", digits(arena, isnan(e->low) ? e->high : e->low, 4));
    case COEFFICIENT_UNIDENTIFIED:
      if (e->note && starts_with(e->note, "not determined (")) return arena_format(arena, "%s is %s", e->name, e->note);
      return arena_format(
          arena, "%s is not determined by these rows%s", e->name,
          e->note && starts_with(e->note, "not determined: ") ? e->note + strlen("not determined") : "");
    case COEFFICIENT_AT_LOW:
    case COEFFICIENT_AT_HIGH:
      return arena_format(arena, "%s is %s", e->name, e->note ? e->note : "at its bound");
    case COEFFICIENT_UNFITTED:
      return arena_format(arena, "%s is not fitted", e->name);
    default:
      return arena_format(arena, "%s = %s (%s)", e->name, value,
                          e->status == COEFFICIENT_FIXED && e->note ? e->note : coefficient_status_name(e->status));
  }
}

// All that have this name: a coefficient, its categories (without baselines), or a derived quantity.
static size_t estimates_of(const struct fit_result *result, const char *name, struct answered *found, size_t most) {
  size_t count = 0;
  for (size_t i = 0; i < result->coefficient_count && count < most; i++) {
    const struct coefficient *c = &result->coefficients[i];
    if (strcmp(c->parameter, name) == 0 && c->status != COEFFICIENT_BASELINE)
      found[count++] = (struct answered){c->name, c->category, c->note, c->value, c->low, c->high, c->status};
  }
  for (size_t i = 0; i < result->derived_count && count < most; i++) {
    const struct fit_derived *d = &result->derived[i];
    if (strcmp(d->name, name) == 0)
      found[count++] = (struct answered){
          d->name, NULL, d->note ? d->note : derived_status_name(d->status), d->value, d->low, d->high, d->status};
  }
  return count;
}

static const char *about_of(const struct law *law, const char *name) {
  int parameter = law_find_parameter(law, name);
  if (parameter >= 0) return law->parameters[parameter].about;
  for (int d = 0; d < law->derived_count; d++)
    if (strcmp(law->derived[d].name, name) == 0) return law->derived[d].about;
  return NULL;
}

static bool is_held(enum coefficient_status status) {
  return status == COEFFICIENT_FIXED || status == COEFFICIENT_BASELINE;
}

// Whether all that the law is fitted for are coefficients that are given: then the answer is what is fitted in their
// place. A quantity that follows from what is held is an answer.
static bool all_held(const struct fit *fit, const char *const *names, int count) {
  for (int i = 0; i < count; i++) {
    if (law_find_parameter(fit->law, names[i]) < 0) return false;
    struct answered found[SHOWN + 1];
    size_t there = estimates_of(fit->result, names[i], found, SHOWN + 1);
    for (size_t k = 0; k < there; k++)
      if (!is_held(found[k].status)) return false;
  }
  return true;
}

// The parameter of the first coefficient that is not held, or NULL.
static const char *first_fitted(const struct fit *fit) {
  for (size_t i = 0; i < fit->result->coefficient_count; i++)
    if (!is_held(fit->result->coefficients[i].status)) return fit->result->coefficients[i].parameter;
  return NULL;
}

void fit_answer(struct fit *fit) {
  const struct law *law = fit->law;
  struct arena *arena = &fit->result->arena;
  const char *first = law->parameter_count ? law->parameters[0].name : NULL, *text = "";
  const char *const *names = law->answer_count ? law->answers : law->exponent_count ? law->exponents : &first;
  int count = law->answer_count ? law->answer_count : law->exponent_count ? law->exponent_count : first != NULL;
  const char *fitted = all_held(fit, names, count) ? first_fitted(fit) : NULL;
  if (fitted) {
    names = &fitted;
    count = 1;
  }
  for (int i = 0; i < count; i++) {
    struct answered found[SHOWN + 1];
    size_t there = estimates_of(fit->result, names[i], found, SHOWN + 1);
    for (size_t k = 0; k < there && k < SHOWN; k++)
      text = arena_format(arena, "%s%s%s", text, *text ? "; " : "", estimate_words(fit, &found[k]));
    if (there > SHOWN) text = arena_format(arena, "%s; and further %s", text, names[i]);
    const char *about = about_of(law, names[i]);
    if (there && about) text = arena_format(arena, "%s (%s: %s)", text, names[i], about);
  }
  fit->result->answer = *text ? text : NULL;
}

// ---- a fit for each value of a column ----

enum { PARTS = 12, QUANTITIES = 3 };

// "0.31 (0.28 to 0.34)", "at most 0.4", "not determined".
static const char *brief_words(struct arena *arena, const struct answered *e) {
  int count = interval_digits(e->low, e->high, 4);
  const char *value = digits(arena, e->value, count);
  switch (e->status) {
    case COEFFICIENT_FITTED:
      if (isnan(e->low) || isnan(e->high)) return arena_format(arena, "%s (no interval)", value);
      return arena_format(arena, "%s (%s to %s%s)", value, digits(arena, e->low, count), digits(arena, e->high, count),
                          interval_is_wide(e->low, e->high, e->value) ? ", only loosely" : "");
    case COEFFICIENT_ONE_SIDED:
      return arena_format(arena, "%s %s", isnan(e->low) ? "at most" : "at least",
                          digits(arena, isnan(e->low) ? e->high : e->low, 4));
    case COEFFICIENT_UNIDENTIFIED:
    case COEFFICIENT_UNFITTED:
      return coefficient_status_name(e->status);
    default:
      return arena_format(arena, "%s (%s)", value, coefficient_status_name(e->status));
  }
}

const char *fit_parts_answer(struct arena *arena, const struct fit_parts *parts, const struct law *law) {
  const char *first = law->parameter_count ? law->parameters[0].name : NULL, *text = "";
  const char *const *names = law->answer_count ? law->answers : law->exponent_count ? law->exponents : &first;
  int count = law->answer_count ? law->answer_count : law->exponent_count ? law->exponent_count : first != NULL;
  for (int i = 0; i < count && i < QUANTITIES; i++) {
    const char *about = about_of(law, names[i]), *values = "";
    for (size_t p = 0; p < parts->count && p < PARTS; p++) {
      const struct fit_result *result = &parts->results[p];
      struct answered found[SHOWN + 1];
      size_t there = estimates_of(result, names[i], found, SHOWN + 1);
      for (size_t k = 0; k < there && k < SHOWN; k++)
        values = arena_format(arena, "%s%s%s%s%s %s", values, *values ? "; " : "", result->part,
                              found[k].category ? " " : "", found[k].category ? found[k].category : "",
                              brief_words(arena, &found[k]));
    }
    if (!*values) continue;
    if (parts->count > PARTS) values = arena_format(arena, "%s; and %zu more", values, parts->count - PARTS);
    text = arena_format(arena, "%s%s%s%s%s%s by %s: %s", text, *text ? ". " : "", names[i], about ? " (" : "",
                        about ? about : "", about ? ")" : "", parts->results[0].by, values);
  }
  if (!*text) return NULL;
  return arena_format(arena, "%s. In brackets: %g %% intervals.", text, 100 * parts->results[0].confidence);
}
