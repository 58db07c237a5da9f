// What a fit says of itself in words. Each sentence has its author here: the terminal, the page of a report and JSON
// documents quote it. Sentences begin in lower case and have no full stop, so that they can be items of a list; texts
// are in the arena that is given. Part of the public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "fitting/fit.h"
#include "fitting/predict.h"

// The row's name, a run's id by its first eight characters, and its categories: "3f2a1b9c (w4a4)".
const char *fit_row_label(struct arena *arena, const struct fit_row *row);

// What the table of coefficients says next to a coefficient, and next to a derived quantity: its state, an interval of
// another kind than the one asked for, what N counts next to an exponent, what the quantity is. `law` may be NULL.
const char *fit_coefficient_note(struct arena *arena, const struct fit_result *result, const struct law *law,
                                 const struct coefficient *coefficient);
const char *fit_derived_note(struct arena *arena, const struct fit_result *result, const struct law *law,
                             const struct fit_derived *derived);

// "huber:0.001 on the difference of logarithms", and what else is to be known of the loss.
const char *fit_loss_sentence(struct arena *arena, const struct fit_result *result);
// "24 rows of runs.csv, 3 excluded, 6 held out".
const char *fit_rows_sentence(struct arena *arena, const struct fit_result *result);
// "3 rows excluded: loss is missing (line 4, line 9); D is 0 (line 7)"; NULL where none is. Rows that are left out for
// their outcome, whose reason ends with fit_by_outcome, are a warning's of their own: "line 4, line 9" are these.
extern const char fit_by_outcome[];
const char *fit_outcome_rows(struct arena *arena, const struct fit_result *result);
const char *fit_exclusions_sentence(struct arena *arena, const struct fit_result *result);
// "objective 0.0123; residual rms of ln(loss) 0.31 %".
const char *fit_objective_sentence(struct arena *arena, const struct fit_result *result);
// Whether a value at a lower bound is 0 to every digit that is printed: a positive coefficient whose term has vanished.
// high: of its interval, or NAN.
bool fit_is_zero(enum coefficient_status status, double value, double high);
// The value as tables print it: "0.31", "(0.31)" of what is not determined, "0 (bound)" where a term has vanished,
// "1.9 (bound)". high: as above.
const char *fit_value_words(struct arena *arena, enum coefficient_status status, double value, double high, int digits);
// A size of residuals: "0.31 %" of differences of logarithms, else a number.
const char *fit_residual_words(struct arena *arena, const struct fit_result *result, double size);
// Whether a warning is of a column of one value, and the advice on what the design leaves open says so too.
bool fit_warning_is_told(const struct fit_result *result, const char *warning);
// A coefficient's value elsewhere (other objectives, without a row) with so many digits: "0" where its term has
// vanished.
const char *fit_value_elsewhere(struct arena *arena, const struct coefficient *coefficient, double elsewhere,
                                int digits);
// Whether so many resamples say so little that a warning says how many.
bool fit_many_resamples_failed(const struct fit_result *result);
// "intervals: BCa, 1000 bootstrap resamples", with the groups of rows that are resampled together; NULL without any.
const char *fit_interval_sentence(struct arena *arena, const struct fit_result *result);
// "60 of the 128 most promising of 3000 starts agree", "54 of the 54 descents from 45 starts agree"; and the same with
// "; the next minimum is 0.0345".
const char *fit_agreement_sentence(struct arena *arena, const struct fit_result *result);
const char *fit_starts_sentence(struct arena *arena, const struct fit_result *result);
// "the next minimum, 25 % higher, has A 1.1e+05 instead of 7.46, alpha 0.66 instead of 0.052": where the runner-up
// lies, by the coefficients farthest from the fit's. NULL where no other minimum was met.
const char *fit_runner_up_sentence(struct arena *arena, const struct fit_result *result);

// "made by: isoloss fit runs.csv (isoloss 0.3.0; 245 rows, XXH3 0123456789ab)"; NULL where nobody said it.
const char *fit_made_sentence(struct arena *arena, const struct fit_result *result);
// "settings: law chinchilla; where N > 1e6; objective huber:0.001; ...; seed 0", given and by default; or NULL.
const char *fit_settings_sentence(struct arena *arena, const struct fit_result *result);
// "each residual is in units of its row's standard deviation (std), times their median, 0.31 %"; NULL without --std.
const char *fit_std_sentence(struct arena *arena, const struct fit_result *result);
// "rows of equal parameters, tokens (12 settings, 36 rows) differ by 0.31 % (rms); the law misses their means by 0.9 %:
// it lacks something (F(7, 24) = 6.1, p = 3e-4)". NULL where no row repeats another.
const char *fit_replication_sentence(struct arena *arena, const struct fit_result *result);
// "condition number 3e+05; A and alpha go together (correlation +0.99)"; NULL where the curvature has no inverse.
const char *fit_correlation_sentence(struct arena *arena, const struct fit_result *result);

// "they rise with tokens by 0.01 a decade (rank correlation +0.62, p = 0.001)": residuals along a column, where that is
// significant, else NULL; and the same of their size.
const char *fit_trend_sentence(struct arena *arena, const struct fit_trend *trend);
const char *fit_spread_sentence(struct arena *arena, const struct fit_trend *trend);
// "without 3f2a1b9c, alpha is 0.36 instead of 0.34 (+1.2 standard errors)".
const char *fit_influence_sentence(struct arena *arena, const struct fit_result *result,
                                   const struct fit_influential *influential);
// "3f2a1b9c: observed 3.1, predicted 2.9 (+4.2 standard deviations)".
const char *fit_outlier_sentence(struct arena *arena, const struct fit_result *result,
                                 const struct fit_outlier *outlier);
// "without each tokens in turn, its runs are predicted with a mean error of 1.2 % (bias +0.3 %)", or NULL where none
// was predicted.
const char *fit_leave_out_sentence(struct arena *arena, const struct fit_result *result,
                                   const struct fit_leave_out *leave_out);
// "held out: 6 rows, mean error 1.2 %"; for fits with held-out rows.
const char *fit_holdout_sentence(struct arena *arena, const struct fit_result *result);
// "1.2 %", or "0.012" where errors are differences (fit_errors_absolute); with `sign`, "+1.2 %".
const char *fit_error_words(struct arena *arena, const struct fit_result *result, double error, int digits, bool sign);
// "E=1.69,...: objective 0.012 (the fit's 0.01); predictions are 0.2 % too low on average, ...; these rows reject it
// (F(5, 235) = 40, p = 1e-30)".
const char *fit_score_sentence(struct arena *arena, const struct fit_result *result, const struct fit_score *score);
// "alpha: prior 0.34 +- 0.05; the rows alone give 0.41 (se 0.03); with both it lies 0.9 prior standard deviations from
// the prior's mean, and is known 1.9 times as well as by the prior".
const char *fit_prior_sentence(struct arena *arena, const struct fit_result *result, const struct fit_prior *prior);
// "eff over 6 categories of format: mean 0.71, spread of ln eff 0.12 (95 %: 0.05 .. 0.4)"; "eff[w4a4]: 0.7, by its own
// rows 0.66 (se 0.05), which have a weight of 0.8".
const char *fit_pool_sentence(struct arena *arena, const struct fit_result *result, const struct fit_pool *pool);
const char *fit_pooled_sentence(struct arena *arena, const struct fit_result *result, const struct fit_pooled *member);
// "no lower minimum on a grid of 1089 points over alpha (0.05 to 1.6) and beta (0.05 to 1.6), ..."; or the lower one
// that was found; or why there is no such check.
const char *fit_global_sentence(struct arena *arena, const struct fit_result *result, const struct fit_global *global);
// "eff[w4a4]/eff[w3a3] = 1.23 (95 %: 1.1 .. 1.4); it is not 1 (p = 0.003)".
const char *fit_contour_sentence(struct arena *arena, const struct fit_result *result,
                                 const struct fit_contour *contour);
const char *fit_ratio_sentence(struct arena *arena, const struct fit_result *result, const struct fit_ratio *ratio);
// "w4a4, w3a3 cannot be left out: no fitted row has its category: nothing predicts it", each reason once; NULL where
// all can.
const char *fit_not_left_out_sentence(struct arena *arena, const struct fit_leave_out *leave_out);
// An end of a profile's interval: "0.34", "0 (open)", "none".
const char *fit_profile_end(struct arena *arena, double value, bool open);

// The diagnosis as sentences under titles: coefficients from elsewhere, ratios, joint regions, priors, partial pooling,
// what the design leaves open, rows that the fit hangs on, outliers, trends of the residuals. A title without items is
// a sentence by itself.
struct fit_remarks {
  const char *title;
  const char **items;
  size_t count;
  bool advice;        // the brief is what would help; else what is wrong
  bool asked;         // options asked for it; the others are found unasked
  const char *brief;  // all of what is not asked for in one sentence, the problem first; NULL: nothing is wrong
};
enum { FIT_REMARKS = 9 };
// Fills remarks[] and returns how many there are.
size_t fit_remarks(struct arena *arena, const struct fit_result *result, struct fit_remarks remarks[FIT_REMARKS]);

// ---- predictions ----

// "N = 3e+09 lies 3.2 times outside the fitted range (1e+06 .. 9.4e+08)".
const char *outside_sentence(struct arena *arena, const struct outside *outside);
// The same for a cell of a table: "N 3.2 times outside, D 2 times outside"; empty where nothing is.
const char *outside_mark(struct arena *arena, const struct outside *outside, size_t count);
// "it hangs on alpha (not determined: ...)", or that it moves with it within its interval; NULL for what hangs on
// nothing of the kind.
const char *hangs_on_sentence(struct arena *arena, const struct estimate *estimate);
// "these runs cannot tell: N = 1e+12 lies 1e+04 times outside the fitted range (...); what would: runs of N = 1e+11 or
// more"; NULL where they can. estimate: what the answer is, or NULL. result: for the advice, or NULL.
const char *cannot_tell_sentence(struct arena *arena, const struct estimate *estimate, const struct outside *outside,
                                 size_t count, const struct fit_result *result);
// "held back: 4 cuts along N, 15 rows 2 to 4 times outside: mean error 1.2 %, the largest -3.1 %; 14 of 15 intervals
// held": how far off the law was so far outside along the column.
const char *held_back_sentence(struct arena *arena, const struct fit_rollouts *rollouts, const struct outside *outside);
const char *rollout_errors_sentence(struct arena *arena, const struct rollout_errors *errors);
// "N up to 8e+07".
const char *rollout_cut_label(struct arena *arena, const struct rollout *cut);
// "C 10 times outside", of a derived quantity worked out at a value outside the rows; NULL within.
const char *derived_outside_sentence(struct arena *arena, const struct fit_derived *derived);
// How far off the law was at the distance of the farthest of them that these runs tell; NULL where none is outside.
const char *derived_held_back_sentence(struct arena *arena, const struct fit_result *result);
// "12 rows of known loss: mean error 0.8 % (mean absolute error 0.021), ..."; NULL without such rows.
const char *prediction_score_sentence(struct arena *arena, const struct prediction_score *score);
