// Claims of a spec held against its fits and runs: every claim is evaluated at the fitted values and the runs' means,
// and again at those of every resample of the fits and at means as other seeds would have made them (claim_runs.h).
// It is held when it is true in nearly all of these, not held when it is true in hardly any, else undecided.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/measures.h"
#include "runner/fits/chain_ends.h"
#include "runner/fits/claim_matched.h"
#include "runner/fits/claim_names.h"
#include "runner/fits/claim_runs.h"
#include "runner/fits/internal.h"

enum { SEED_DRAWS = 4000 };  // of a claim that speaks of runs alone

enum term_kind { TERM_COEFFICIENT, TERM_DERIVED, TERM_HOLDOUT, TERM_NUMBER, TERM_RUNS };
struct claim {
  const struct spec_claim *spec;
  const struct fitted *fits;
  size_t fit_count;
  struct claim_runs runs;
  struct claim_term {
    enum term_kind kind;
    const struct fitted *fit;  // NULL: of runs
    size_t place;              // among the coefficients, the derived quantities or the terms over runs
    double constant;           // TERM_NUMBER: of the whole fit, without resamples (residual_rms, objective)
  } * terms;                   // one a name
};

// Finds `name` ("alpha", "eff" with its category, "a", "residual_rms") in one fit. Of a fit made by a column, the
// category says which of its values: "alpha" with "w4a4".
static bool find_in_fit(const struct fitted *fitted, const char *name, const char *category, struct claim_term *term) {
  const struct fit_result *fit = &fitted->result;
  if (fit->part) {
    if (!category || strcmp(category, fit->part) != 0) return false;
    category = NULL;
  }
  const struct {
    const char *name;
    double value;
  } numbers[] = {{"residual_rms", fit->residual_rms}, {"objective", fit->objective}};
  for (size_t i = 0; i < fit->coefficient_count; i++) {
    const struct coefficient *c = &fit->coefficients[i];
    if (strcmp(c->parameter, name) != 0 || !c->category != !category) continue;
    if (category && strcmp(c->category, category) != 0) continue;
    *term = (struct claim_term){TERM_COEFFICIENT, .fit = fitted, .place = i};
    return true;
  }
  for (size_t i = 0; i < fit->derived_count && !category; i++)
    if (strcmp(fit->derived[i].name, name) == 0) {
      *term = (struct claim_term){TERM_DERIVED, .fit = fitted, .place = i};
      return true;
    }
  if (!category && strcmp(name, "holdout_error") == 0) {
    *term = (struct claim_term){TERM_HOLDOUT, .fit = fitted};
    return true;
  }
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !category; i++)
    if (strcmp(numbers[i].name, name) == 0) {
      *term = (struct claim_term){TERM_NUMBER, .fit = fitted, .constant = numbers[i].value};
      return true;
    }
  return false;
}

// "fit X is made by format: alpha[...] is of w4a4 or none": where fits by a column have the name, but not this value.
static bool say_parts(const struct claim *claim, const struct expression_name *name, struct text *trouble) {
  struct claim_term ignored;
  size_t told = 0;
  for (size_t f = 0; f < claim->fit_count; f++) {
    const struct fit_result *fit = &claim->fits[f].result;
    if (!fit->part) continue;
    size_t length = strlen(fit->name) - strlen(fit->part) - 2;
    bool named = strncmp(name->name, fit->name, length) == 0 && name->name[length] == '.';
    if (!find_in_fit(&claim->fits[f], named ? name->name + length + 1 : name->name, fit->part, &ignored)) continue;
    if (told++)
      text_format(trouble, ", %s", fit->part);
    else
      text_format(trouble, "fit %.*s is made by %s, and has %s for %s", (int)length, fit->name, fit->by, name->name,
                  fit->part);
  }
  if (told) text_format(trouble, "; write one of them in [ ]");
  return told > 0;
}

// A name is looked for in the fit it begins with ("chinchilla.alpha"), or in all fits, then among the runs' columns.
static bool find_term(struct claim *claim, const struct expression_name *name, struct claim_term *term,
                      struct text *trouble) {
  size_t found = 0;
  for (size_t f = 0; f < claim->fit_count; f++) {
    const struct fitted *fit = &claim->fits[f];
    size_t length = strlen(fit->result.name);  // of a fit by a column, without its "[VALUE]"
    if (fit->result.part) length -= strlen(fit->result.part) + 2;
    bool named = strncmp(name->name, fit->result.name, length) == 0 && name->name[length] == '.';
    if (named && find_in_fit(fit, name->name + length + 1, name->index, term)) return true;
    struct claim_term other;
    if (!find_in_fit(fit, name->name, name->index, &other)) continue;
    if (!found++) *term = other;
  }
  const char *open = name->index ? "[" : "", *close = name->index ? "]" : "", *index = name->index ? name->index : "";
  if (!found && say_parts(claim, name, trouble)) return false;
  if (!found && name->index) {
    *term = (struct claim_term){TERM_RUNS};
    return claim_runs_add(&claim->runs, name, &term->place, trouble);
  }
  if (!found) {
    const char *difference;
    text_format(trouble, "no fit has %s", name->name);
    for (size_t f = 0; f < claim->fit_count; f++)
      if ((difference = claim_difference(claim->runs.arena, claim->fits[f].result.name, name->name))) {
        text_format(trouble, "; %s", difference);
        break;
      }
    if (table_find(claim->runs.table, name->name) >= 0)
      text_format(trouble, "; of runs, write %s[FORMAT] or %s[\"condition\"]", name->name, name->name);
  }
  if (found > 1)
    text_format(trouble, "%zu fits have %s%s%s%s; write FIT.%s", found, name->name, open, index, close, name->name);
  return found == 1;
}

// A resample's value, as far from the estimate as makes the 95 % interval of all of them the one that the fit prints:
// Student's t, a profile and BCa's are others than the resamples' own, and a claim is no surer than its coefficients.
// Of positive values by their logarithms. The same for all that is of the fit, so that what goes together stays so.
static double stretched(double drawn, double value, double low, double high, const struct intervals *own) {
  bool below = drawn < value;
  double end = below ? low : high, from = below ? own->percentile_low : own->percentile_high;
  if (value > 0 && drawn > 0 && end > 0 && from > 0) {
    double ratio = log(end / value) / log(from / value);
    return ratio > 0 && isfinite(ratio) ? value * exp(ratio * log(drawn / value)) : drawn;
  }
  double ratio = (end - value) / (from - value);
  return ratio > 0 && isfinite(ratio) ? value + ratio * (drawn - value) : drawn;
}

// The value of a term at the fit and as observed (resample -1) or in a resample; NAN where that has none.
static double term_value(const struct claim *claim, const struct claim_term *term, long resample) {
  if (term->kind == TERM_RUNS) return claim_runs_value(&claim->runs, term->place, resample);
  const struct fit_result *fit = &term->fit->result;
  const struct coefficient *c;
  const struct fit_derived *d;
  size_t row = (size_t)resample;
  if (fit->part && resample >= 0 && fit->bootstrap)  // fits of other rows draw them independently of each other
    row = (row + 7919 * (size_t)(term->fit - claim->fits)) % (size_t)fit->bootstrap;
  bool there = resample < fit->bootstrap;
  switch (term->kind) {
    case TERM_COEFFICIENT:
      c = &fit->coefficients[term->place];
      if (resample < 0) return c->value;
      return there ? stretched(fit->replicates[row * fit->coefficient_count + term->place], c->value, c->low, c->high,
                               &c->intervals)
                   : NAN;
    case TERM_DERIVED:
      d = &fit->derived[term->place];
      if (resample < 0) return d->value;
      return there ? stretched(fit->derived_replicates[row * fit->derived_count + term->place], d->value, d->low,
                               d->high, &d->intervals)
                   : NAN;
    case TERM_HOLDOUT:
      if (resample < 0) return fit->holdout_error;
      return there && term->fit->holdout_replicates ? term->fit->holdout_replicates[row] : NAN;
    default:
      return term->constant;
  }
}

// 1, 0, or -1 where a value is missing. Name `held` (-1: none) has the given value.
static int truth_at(const struct claim *claim, long resample, int held, double value, struct error *error) {
  const struct expression *expression = claim->spec->expression;
  struct value *slots = memory_get((size_t)(expression->name_count + 1) * sizeof *slots);
  bool truth = false, missing = false;
  for (int i = 0; i < expression->name_count; i++) {
    slots[i] = (struct value){.kind = VALUE_NUMBER,
                              .number = i == held ? value : term_value(claim, &claim->terms[i], resample)};
    missing |= isnan(slots[i].number);
  }
  bool fine = !missing && expression_condition(expression, slots, &truth, error);
  free(slots);
  return fine ? truth : -1;
}

static const double nearly_zero = 1e-300;  // a positive coefficient may be as small as one likes, but not 0

// What the data allow a term besides its estimate: the ends of what they limit on one side, or of what lies at a bound.
// Returns how many; *status and *note say what it is.
static int allowed_ends(const struct claim_term *term, double ends[2], enum coefficient_status *status,
                        const char **note) {
  double value = NAN, low = NAN, high = NAN;
  *status = COEFFICIENT_FITTED;
  *note = NULL;
  if (term->kind == TERM_COEFFICIENT) {
    const struct coefficient *c = &term->fit->result.coefficients[term->place];
    value = c->value, low = c->low, high = c->high, *status = c->status, *note = c->note;
  } else if (term->kind == TERM_DERIVED) {
    const struct fit_derived *d = &term->fit->result.derived[term->place];
    value = d->value, low = d->low, high = d->high, *status = d->status;
  }
  if (*status == COEFFICIENT_AT_LOW || *status == COEFFICIENT_AT_HIGH) {
    ends[0] = isnan(high) ? low : high;
    return !isnan(ends[0]);
  }
  if (*status != COEFFICIENT_ONE_SIDED) return 0;
  ends[0] = isnan(low) ? high : low;
  ends[1] = !isnan(low) ? HUGE_VAL : value > 0 ? nearly_zero : -HUGE_VAL;
  return 2;
}

// False where a term is not determined, or where the data allow one a value at which the claim is not as it stands;
// detail then says so.
static bool determined(const struct claim *claim, int truth, struct text *detail) {
  const struct expression *expression = claim->spec->expression;
  for (int i = 0; i < expression->name_count; i++) {
    const struct expression_name *name = &expression->names[i];
    enum coefficient_status status;
    const char *note, *open = name->index ? "[" : "", *close = name->index ? "]" : "",
                      *index = name->index ? name->index : "";
    double ends[2];
    int count = allowed_ends(&claim->terms[i], ends, &status, &note);
    bool told = status == COEFFICIENT_UNIDENTIFIED || status == COEFFICIENT_UNFITTED;
    for (int k = 0; k < count && !told; k++) {
      struct error unused = {0};
      told = truth_at(claim, -1, i, ends[k], &unused) != truth;
    }
    if (!told) continue;
    text_format(detail, "; the data do not tell: %s%s%s%s is %s", name->name, open, index, close,
                note ? note : coefficient_status_name(status));
    return false;
  }
  return true;
}

// How often the claim can be tried: resamples of the fits that it speaks of, else draws of other seeds.
static long trial_count(const struct claim *claim) {
  long count = 0;
  bool fits = false;
  for (int i = 0; i < claim->spec->expression->name_count; i++) {
    const struct claim_term *term = &claim->terms[i];
    if (term->kind == TERM_RUNS || term->kind == TERM_NUMBER) continue;
    const struct fit_result *fit = &term->fit->result;
    fits = true;
    if (fit->replicates && (!count || fit->bootstrap < count)) count = fit->bootstrap;
  }
  return fits || !claim->runs.count ? count : SEED_DRAWS;
}

// " nats/token" of a term over runs; "" of others.
static const char *unit_of(const struct claim *claim, const struct claim_term *term, struct arena *arena) {
  if (term->kind != TERM_RUNS) return "";
  const char *column = claim->runs.table->columns[claim->runs.terms[term->place].column].name;
  struct measure measure = measure_of(column, claim->runs.spec ? claim->runs.spec->task : NULL);
  return measure_behind(&measure, arena);
}

static void say_values(const struct claim *claim, struct text *detail) {
  const struct expression *expression = claim->spec->expression;
  struct arena scratch = {0};
  for (int i = 0; i < expression->name_count; i++) {
    const struct expression_name *name = &expression->names[i];
    text_format(detail, "%s%s%s%s%s = %.4g%s", i ? ", " : "", name->name, name->index ? "[" : "",
                name->index ? name->index : "", name->index ? "]" : "", term_value(claim, &claim->terms[i], -1),
                unit_of(claim, &claim->terms[i], &scratch));
  }
  arena_free(&scratch);
}

// What the noise of the runs is, for the detail.
static void say_noise(const struct claim *claim, struct text *detail) {
  struct arena scratch = {0};
  for (size_t t = 0; t < claim->runs.count; t++) {
    const struct run_term *term = &claim->runs.terms[t];
    bool told = false;
    for (size_t k = 0; k < t; k++) told |= claim->runs.terms[k].column == term->column;
    if (told || isnan(term->noise)) continue;
    text_format(detail, "; seed noise of a run %.2g%s, %zu degree%s of freedom",
                term->logarithm ? 100 * term->noise : term->noise,
                term->logarithm ? " %" : unit_of(claim, &(struct claim_term){.kind = TERM_RUNS, .place = t}, &scratch),
                term->degrees, term->degrees == 1 ? "" : "s");
  }
  arena_free(&scratch);
}

static const char *judge(struct claim *claim, struct text *detail) {
  const struct expression *expression = claim->spec->expression;
  for (int i = 0; i < expression->name_count; i++)
    if (!find_term(claim, &expression->names[i], &claim->terms[i], detail)) return "undecided";
  if (claim->runs.count && !claim_runs_match(&claim->runs, detail)) return "undecided";
  struct error error = {0};
  int truth = truth_at(claim, -1, -1, NAN, &error);
  say_values(claim, detail);
  if (truth < 0) {
    text_format(detail, "%s%s", detail->length ? ": " : "", error.code ? error.text : "a value is missing");
    return "undecided";
  }
  if (!determined(claim, truth, detail)) return "undecided";
  long total = trial_count(claim), counted = 0, held = 0;
  for (long b = 0; b < total; b++) {
    int there = truth_at(claim, b, -1, NAN, &error);
    counted += there >= 0;
    held += there > 0;
  }
  if (!counted) {
    bool seedless = false;
    for (size_t t = 0; t < claim->runs.count; t++) seedless |= isnan(claim->runs.terms[t].noise);
    text_format(detail, "; %s as it is, but without %s there is no telling how surely", truth ? "true" : "false",
                seedless ? "several seeds of a configuration" : "resamples");
    return "undecided";
  }
  text_format(detail, "; true in %ld of %ld %s", held, counted,
              total == SEED_DRAWS && claim->runs.count ? "draws of the seeds" : "resamples");
  say_noise(claim, detail);
  double share = (double)held / (double)counted;
  return share >= 0.975 && truth ? "held" : share <= 0.025 && !truth ? "not held" : "undecided";
}

bool fit_claims(const struct spec *spec, const struct fitted *fits, size_t fit_count, struct store *store, FILE *report,
                size_t *not_held, struct error *error) {
  struct arena arena = {0};
  struct table table = {0};
  if (!finished_runs_table(spec, store, &table, error)) {
    table_free(&table);
    return false;
  }
  bool *ends = arena_array(&arena, table.row_count + 1, sizeof *ends);
  mark_chain_ends(spec, &table, ends);
  struct claim_record *records = arena_array(&arena, spec->claim_count + 1, sizeof *records);
  for (size_t i = 0; i < spec->claim_count; i++) {
    struct claim claim = {.spec = &spec->claims[i], .fits = fits, .fit_count = fit_count};
    claim.runs = (struct claim_runs){.table = &table, .spec = spec, .ends = ends, .arena = &arena};
    claim.terms = arena_array(&arena, (size_t)claim.spec->expression->name_count + 1, sizeof *claim.terms);
    struct text detail = {0};
    records[i].claim = claim.spec->text;
    records[i].outcome =
        claim.spec->matched ? claim_matched_judge(claim.spec, spec->name, store, &detail) : judge(&claim, &detail);
    records[i].detail = arena_string(&arena, text_string(&detail));
    text_free(&detail);
    *not_held += strcmp(records[i].outcome, "not held") == 0;
    if (report) fprintf(report, "claim %s: %s (%s)\n", records[i].claim, records[i].outcome, records[i].detail);
  }
  bool fine = store_claims_set(store, spec->name, records, spec->claim_count, error);
  table_free(&table);
  arena_free(&arena);
  return fine;
}
