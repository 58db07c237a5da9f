// Claims of a spec held against its fits: every claim is evaluated at the fitted values and at those of every resample.
// It is held when it is true in nearly all resamples, not held when it is true in hardly any, else undecided.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fit_internal.h"

struct claim {
  const struct spec_claim *spec;
  const struct fit_result *fits;
  size_t fit_count;
  struct claim_term {
    const struct fit_result *fit;
    bool derived;
    size_t place;     // among the coefficients or the derived quantities
    double constant;  // fit == NULL: a number of the whole fit (residual_rms, holdout_error, objective)
  } * terms;          // one a name
};

// Finds `name` ("alpha", "eff" with its category, "a", "residual_rms") in one fit.
static bool find_in_fit(const struct fit_result *fit, const char *name, const char *category, struct claim_term *term) {
  const struct {
    const char *name;
    double value;
  } numbers[] = {
      {"residual_rms", fit->residual_rms}, {"holdout_error", fit->holdout_error}, {"objective", fit->objective}};
  for (size_t i = 0; i < fit->coefficient_count; i++) {
    const struct coefficient *c = &fit->coefficients[i];
    if (strcmp(c->parameter, name) != 0 || !c->category != !category) continue;
    if (category && strcmp(c->category, category) != 0) continue;
    *term = (struct claim_term){.fit = fit, .place = i};
    return true;
  }
  for (size_t i = 0; i < fit->derived_count && !category; i++)
    if (strcmp(fit->derived[i].name, name) == 0) {
      *term = (struct claim_term){.fit = fit, .derived = true, .place = i};
      return true;
    }
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !category; i++)
    if (strcmp(numbers[i].name, name) == 0) {
      *term = (struct claim_term){.constant = numbers[i].value};
      return true;
    }
  return false;
}

// A name is looked for in the fit it begins with ("chinchilla.alpha"), or in all fits.
static bool find_term(const struct claim *claim, const struct expression_name *name, struct claim_term *term,
                      struct text *trouble) {
  size_t found = 0;
  for (size_t f = 0; f < claim->fit_count; f++) {
    const struct fit_result *fit = &claim->fits[f];
    size_t length = strlen(fit->name);
    bool named = strncmp(name->name, fit->name, length) == 0 && name->name[length] == '.';
    if (named && find_in_fit(fit, name->name + length + 1, name->index, term)) return true;
    struct claim_term other;
    if (!find_in_fit(fit, name->name, name->index, &other)) continue;
    if (!found++) *term = other;
  }
  const char *open = name->index ? "[" : "", *close = name->index ? "]" : "", *index = name->index ? name->index : "";
  if (!found) text_format(trouble, "no fit has %s%s%s%s", name->name, open, index, close);
  if (found > 1)
    text_format(trouble, "%zu fits have %s%s%s%s; write FIT.%s", found, name->name, open, index, close, name->name);
  return found == 1;
}

// The value of a term at the fit (resample -1) or in a resample; NAN where that has none.
static double term_value(const struct claim_term *term, long resample) {
  const struct fit_result *fit = term->fit;
  if (!fit) return term->constant;
  if (resample < 0) return term->derived ? fit->derived[term->place].value : fit->coefficients[term->place].value;
  if (resample >= fit->bootstrap) return NAN;
  if (term->derived) return fit->derived_replicates[(size_t)resample * fit->derived_count + term->place];
  return fit->replicates[(size_t)resample * fit->coefficient_count + term->place];
}

// 1, 0, or -1 where a value is missing.
static int truth_at(const struct claim *claim, long resample, struct error *error) {
  const struct expression *expression = claim->spec->expression;
  struct value *slots = memory_get((size_t)(expression->name_count + 1) * sizeof *slots);
  bool truth = false, missing = false;
  for (int i = 0; i < expression->name_count; i++) {
    slots[i] = (struct value){.kind = VALUE_NUMBER, .number = term_value(&claim->terms[i], resample)};
    missing |= isnan(slots[i].number);
  }
  bool fine = !missing && expression_condition(expression, slots, &truth, error);
  free(slots);
  return fine ? truth : -1;
}

// Resamples of the fits that the claim speaks of.
static long resample_count(const struct claim *claim) {
  long count = 0;
  for (int i = 0; i < claim->spec->expression->name_count; i++) {
    const struct fit_result *fit = claim->terms[i].fit;
    if (fit && fit->replicates && (!count || fit->bootstrap < count)) count = fit->bootstrap;
  }
  return count;
}

static void say_values(const struct claim *claim, struct text *detail) {
  const struct expression *expression = claim->spec->expression;
  for (int i = 0; i < expression->name_count; i++) {
    const struct expression_name *name = &expression->names[i];
    text_format(detail, "%s%s%s%s%s = %.4g", i ? ", " : "", name->name, name->index ? "[" : "",
                name->index ? name->index : "", name->index ? "]" : "", term_value(&claim->terms[i], -1));
  }
}

static const char *judge(struct claim *claim, struct text *detail) {
  const struct expression *expression = claim->spec->expression;
  for (int i = 0; i < expression->name_count; i++)
    if (!find_term(claim, &expression->names[i], &claim->terms[i], detail)) return "undecided";
  struct error error = {0};
  int truth = truth_at(claim, -1, &error);
  say_values(claim, detail);
  if (truth < 0) {
    text_format(detail, "%s%s", detail->length ? ": " : "", error.code ? error.text : "a value is missing");
    return "undecided";
  }
  long total = resample_count(claim), counted = 0, held = 0;
  for (long b = 0; b < total; b++) {
    int there = truth_at(claim, b, &error);
    counted += there >= 0;
    held += there > 0;
  }
  if (!counted) {
    text_format(detail, "; %s at the fit, but without resamples there is no telling how surely",
                truth ? "true" : "false");
    return "undecided";
  }
  text_format(detail, "; true in %ld of %ld resamples", held, counted);
  double share = (double)held / (double)counted;
  return share >= 0.975 && truth ? "held" : share <= 0.025 && !truth ? "not held" : "undecided";
}

bool fit_claims(const struct spec *spec, const struct fit_result *fits, size_t fit_count, struct store *store,
                FILE *report, size_t *not_held, struct error *error) {
  struct arena arena = {0};
  struct claim_record *records = arena_array(&arena, spec->claim_count + 1, sizeof *records);
  for (size_t i = 0; i < spec->claim_count; i++) {
    struct claim claim = {.spec = &spec->claims[i], .fits = fits, .fit_count = fit_count};
    claim.terms = arena_array(&arena, (size_t)claim.spec->expression->name_count + 1, sizeof *claim.terms);
    struct text detail = {0};
    records[i].claim = claim.spec->text;
    records[i].outcome = judge(&claim, &detail);
    records[i].detail = arena_string(&arena, text_string(&detail));
    text_free(&detail);
    *not_held += strcmp(records[i].outcome, "not held") == 0;
    if (report) fprintf(report, "claim %s: %s (%s)\n", records[i].claim, records[i].outcome, records[i].detail);
  }
  bool fine = store_claims_set(store, spec->name, records, spec->claim_count, error);
  arena_free(&arena);
  return fine;
}
