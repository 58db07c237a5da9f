// Synthetic sources have an irreducible loss in closed form, and zipfmem's exponents follow from its construction: what
// was fitted can be held against what is true. The lesson to show: small residuals do not make right exponents.
#include <math.h>
#include <string.h>

#include "runner/fits/experiment.h"
#include "runner/report/data.h"

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

// The settings of a list that say nothing of E.
static const char *const *but_e(struct arena *arena, const struct option_list *list, size_t *count) {
  const char **kept = arena_array(arena, list->count + 1, sizeof *kept);
  *count = 0;
  for (size_t i = 0; i < list->count; i++) {
    const char *text = list->items[i];
    if (starts_with(text, "E=") || starts_with(text, "log(E)=") || ends_with(text, "=E")) continue;
    kept[(*count)++] = text;
  }
  return kept;
}

// Fits the entry once more with E held; fills the exponents' with_known_e.
static bool fit_with_known_e(struct report *report, struct report_fit *fit, struct store *store, double e,
                             struct error *error) {
  struct table table = {0};
  struct fit_result result = {0};
  const struct spec_fit *entry = fit->entry;
  struct fit_options options = {.name = fit->name,
                                .holdout = entry->holdout.text,
                                .objective = entry->objective,
                                .residual = entry->residual,
                                .fixes = &(struct fit_fix){"E", e},
                                .fix_count = 1};
  options.ties = but_e(&report->arena, &entry->tie, &options.tie_count);
  options.lows = but_e(&report->arena, &entry->low, &options.low_count);
  options.highs = but_e(&report->arena, &entry->high, &options.high_count);
  options.priors = but_e(&report->arena, &entry->prior, &options.prior_count);
  options.pooled = but_e(&report->arena, &entry->partial_pooling, &options.pooled_count);
  bool fine = fit_experiment_table(report->spec, entry, store, &table, error) &&
              fit_run(&fit->law, &table, &options, &result, error);
  for (size_t i = 0; fine && i < fit->known_count; i++) {
    const struct coefficient *c = coefficient_of(result.coefficients, result.coefficient_count, fit->known[i].name);
    if (c && strcmp(c->name, "E") != 0) fit->known[i].with_known_e = c->value;
  }
  fit_result_free(&result);
  table_free(&table);
  return fine;
}

static void add_known(struct report *report, struct report_fit *fit, const char *name, double known, bool exact,
                      const char *meaning) {
  const struct coefficient *c = coefficient_of(fit->result.coefficients, fit->result.coefficient_count, name);
  if (!c || !isfinite(known)) return;
  fit->known = arena_grow(&report->arena, fit->known, fit->known_count, fit->known_count + 1, sizeof *fit->known);
  fit->known[fit->known_count++] = (struct report_known){.name = name,
                                                         .meaning = meaning,
                                                         .exact = exact,
                                                         .fitted = c->value,
                                                         .low = c->low,
                                                         .high = c->high,
                                                         .known = known,
                                                         .with_known_e = NAN};
}

// One exponent: what it is off by, whether the interval says so, and how much of it goes away when E is known.
static void judge_exponent(struct report *report, const struct report_fit *fit, const struct report_known *k,
                           double e_used) {
  enum { NOTABLE_PERCENT = 15 };
  struct arena *arena = &report->arena;
  double off = 100 * (k->fitted / k->known - 1), moved = 100 * (k->fitted / k->with_known_e - 1),
         left = 100 * (k->with_known_e / k->known - 1);
  // A table of N entries loses N^-a; a network of N parameters stores facts its own way, so that only the refit judges.
  bool wrong = k->exact && fabs(off) > NOTABLE_PERCENT, moves = fabs(moved) > NOTABLE_PERCENT;
  if (!wrong && !moves) return;
  bool logarithms = fit->result.residual == RESIDUAL_LOG;
  const char *words =
      arena_format(arena, "fit %s: residuals are small (%.2g%s rms), and yet the exponent %s = %.3g is ", fit->name,
                   (logarithms ? 100 : 1) * fit->result.residual_rms, logarithms ? " %" : "", k->name, k->fitted);
  if (wrong) {
    const char *covered = !isfinite(k->low) || !isfinite(k->high)     ? ""
                          : k->low <= k->known && k->known <= k->high ? "; its interval holds that value"
                                                                      : "; its interval does not hold that value";
    words =
        arena_format(arena, "%s%+.0f %% off the %.3g of the source's construction%s.", words, off, k->known, covered);
    if (isfinite(k->with_known_e))
      words = arena_format(arena, "%s With E held at its true %.4g the same runs give %.3g (%+.0f %%).", words, e_used,
                           k->with_known_e, left);
  } else {
    words = arena_format(arena, "%s%+.0f %% off the %.3g that the same runs give with E held at its true %.4g.", words,
                         moved, k->with_known_e, e_used);
  }
  bool trade = moves || fabs(left) < 0.6 * fabs(off);
  report_say(report, true, "%s %s", words,
             trade
                 ? "E and the exponents trade against each other: this design does not tell them apart."
                 : "Knowing E does not mend it: these sizes and token counts lie outside the range where that exponent "
                   "shows.");
}

static void judge(struct report *report, const struct report_fit *fit, double e_used) {
  for (size_t i = 0; i < fit->known_count; i++) {
    const struct report_known *k = &fit->known[i];
    if (strcmp(k->name, "E") != 0) {
      judge_exponent(report, fit, k, e_used);
      continue;
    }
    double off = 100 * (k->fitted / k->known - 1);
    const char *oracle = e_used == k->known ? ""
                                            : arena_format(&report->arena, " (%.4g on the validation tokens, %+.1f %%)",
                                                           e_used, 100 * (k->fitted / e_used - 1));
    report_say(report, fabs(off) > 3, "fit %s: the fitted E is %.4g, the source's irreducible loss %.4g: %+.1f %%%s.",
               fit->name, k->fitted, k->known, off, oracle);
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
    if (!fit->made || strcmp(fit->target, "loss") != 0) continue;  // E of another law is no loss
    add_known(report, fit, "E", irreducible, true, "closed form of the source");
    if (zipfmem && strcmp(fit->law_name, "chinchilla") == 0) {
      add_known(report, fit, "alpha", a, false,
                "a: what a table of N facts misses falls as N^-a; a network need not store facts as a table does");
      add_known(report, fit, "beta", a / (1 + a), true,
                "a / (1 + a): the share of facts that D tokens have not shown falls with this exponent");
    }
    if (fit->known_count == 0) continue;
    // The losses were measured on given validation tokens, whose own luck the oracle's loss contains.
    double e = isfinite(oracle) ? oracle : irreducible;
    if (fit->entry && fit->law_loaded && fit->known_count > 1) {
      struct error refit = {0};
      if (!fit_with_known_e(report, fit, store, e, &refit))
        report_say(report, false, "fit %s could not be repeated with E at its known value: %s.", fit->name, refit.text);
    }
    judge(report, fit, e);
  }
  return error->code == EXIT_DONE;
}
