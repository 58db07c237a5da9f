// Synthetic sources have an irreducible loss in closed form, and zipfmem's exponents follow from its construction: what
// was fitted can be held against what is true. The lesson to show: small residuals do not make right exponents.
#include <math.h>
#include <string.h>

#include "runner/fit_experiment.h"
#include "runner/report_data.h"

// The same value in all runs that have one, or NAN.
static double common(const struct report *report, const char *column) {
  double value = NAN;
  for (size_t i = 0; i < report->count; i++) {
    double here = report_number(report, &report->runs[i], column);
    if (!isfinite(here)) continue;
    if (isfinite(value) && here != value) return NAN;
    value = here;
  }
  return value;
}

static const struct coefficient *coefficient_of(const struct coefficient *all, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(all[i].name, name) == 0) return &all[i];
  return NULL;
}

// Fits the entry once more with E held; fills the exponents' with_known_e.
static bool fit_with_known_e(struct report *report, struct report_fit *fit, struct store *store, double e,
                             struct error *error) {
  struct table table = {0};
  struct fit_result result = {0};
  const struct spec_fit *entry = fit->entry;
  bool fine = fit_experiment_table(report->spec, entry, store, &table, error) &&
              fit_run(&fit->law, &table,
                      &(struct fit_options){.name = fit->name,
                                            .where = entry->where_text,
                                            .holdout = entry->holdout_text,
                                            .objective = entry->objective,
                                            .residual = entry->residual,
                                            .fixes = &(struct fit_fix){"E", e},
                                            .fix_count = 1},
                      &result, error);
  for (size_t i = 0; fine && i < fit->known_count; i++) {
    const struct coefficient *c = coefficient_of(result.coefficients, result.coefficient_count, fit->known[i].name);
    if (c && strcmp(c->name, "E") != 0) fit->known[i].with_known_e = c->value;
  }
  fit_result_free(&result);
  table_free(&table);
  return fine;
}

static void add_known(struct report *report, struct report_fit *fit, const char *name, const char *meaning,
                      double known) {
  const struct coefficient *c = coefficient_of(fit->coefficients, fit->coefficient_count, name);
  if (!c || !isfinite(known)) return;
  fit->known = arena_grow(&report->arena, fit->known, fit->known_count, fit->known_count + 1, sizeof *fit->known);
  fit->known[fit->known_count++] = (struct report_known){.name = name,
                                                         .meaning = meaning,
                                                         .fitted = c->value,
                                                         .low = c->low,
                                                         .high = c->high,
                                                         .known = known,
                                                         .with_known_e = NAN};
}

static void judge(struct report *report, const struct report_fit *fit, double e_used) {
  enum { NOTABLE_PERCENT = 15 };
  for (size_t i = 0; i < fit->known_count; i++) {
    const struct report_known *k = &fit->known[i];
    double off = 100 * (k->fitted / k->known - 1);
    if (strcmp(k->name, "E") == 0) {
      report_say(report, fabs(off) > 3, "fit %s: the fitted E is %.4g, the source's irreducible loss %.4g: %+.1f %%.",
                 fit->name, k->fitted, k->known, off);
      continue;
    }
    double against_refit = 100 * (k->fitted / k->with_known_e - 1);
    bool wrong = fabs(off) > NOTABLE_PERCENT || fabs(against_refit) > NOTABLE_PERCENT;
    if (!wrong) continue;
    const char *covered = isfinite(k->low) && isfinite(k->high) ? k->low <= k->known && k->known <= k->high
                                                                      ? "; its interval holds the true value"
                                                                      : "; its interval does not hold the true value"
                                                                : "";
    const char *again = isfinite(k->with_known_e)
                            ? arena_format(&report->arena, " With E held at %.4g, the same runs give %s = %.3g.",
                                           e_used, k->name, k->with_known_e)
                            : "";
    report_say(
        report, true,
        "fit %s: residuals are small (%.2g %% rms) and yet the exponent %s = %.3g is off by %+.0f %% from the %.3g "
        "that the source's construction gives%s: this design does not tell E and the exponents apart.%s",
        fit->name, 100 * fit->residual_rms, k->name, k->fitted, off, k->known, covered, again);
  }
}

bool report_gather_known(struct report *report, struct store *store, struct error *error) {
  double irreducible = common(report, "irreducible_loss"), oracle = common(report, "oracle_loss");
  if (!isfinite(irreducible)) return true;
  const char *source = report->count ? report_text(report, &report->runs[0], "corpus.source") : NULL;
  double a = common(report, "corpus.zipfmem_exponent");
  bool zipfmem = source && strcmp(source, "zipfmem") == 0 && isfinite(a);
  for (size_t i = 0; i < report->fit_count; i++) {
    struct report_fit *fit = &report->fits[i];
    if (!fit->document || !fit->law_loaded) continue;
    add_known(report, fit, "E", "closed form of the source", irreducible);
    if (zipfmem && strcmp(fit->law_name, "chinchilla") == 0) {
      add_known(report, fit, "alpha", "a: the share of facts that N entries of memory cannot hold falls as N^-a", a);
      add_known(report, fit, "beta",
                "a / (1 + a): the share of facts not yet seen after D tokens falls with this exponent", a / (1 + a));
    }
    if (fit->known_count == 0) continue;
    // The losses were measured on given validation tokens, whose own luck the oracle's loss contains.
    double e = isfinite(oracle) ? oracle : irreducible;
    if (fit->entry && fit->known_count > 1) {
      struct error refit = {0};
      if (!fit_with_known_e(report, fit, store, e, &refit))
        report_say(report, false, "fit %s could not be repeated with E at its known value: %s.", fit->name, refit.text);
    }
    judge(report, fit, e);
  }
  return error->code == EXIT_DONE;
}
