// Fits: coefficients with their uncertainty, the diagnosis, the document of the contract for scripts. Part of the
// public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fitting/fit_coefficient.h"
#include "fitting/fit_diagnosis.h"
#include "fitting/fit_options.h"
#include "fitting/law.h"
#include "fitting/range.h"
#include "fitting/rollout.h"
#include "fitting/table.h"

struct comparison;

struct fit_result {
  struct arena arena;
  struct fit_made made;
  const char *name, *law, *formula, *source, *target;
  const char *by, *part;        // the column and its value that this fit is of; NULL: all rows
  const char *parameter_count;  // what N counts
  const char *answer;           // a sentence: what the law is fitted for, with its interval and status
  enum law_residual residual;
  struct objective objective_kind;
  bool scale_estimated;  // that of Student's t, from the residuals
  size_t rows, excluded_count, held_out, unused;
  size_t duplicates;  // rows that repeat others, left out before the fit
  double objective;   // the plain sum over fitted rows, and the penalty
  double penalty;     // of priors and partial pooling
  struct fit_stage_result *stages;
  int stage_count;
  struct coefficient *coefficients;
  size_t coefficient_count;
  struct fit_derived *derived;
  size_t derived_count;
  int64_t starts, starts_descended, starts_agreeing;  // of the stage with most free parameters
  int64_t starts_elsewhere;                           // reach the lowest objective at other coefficients
  int64_t starts_not_stationary;                      // reach no stationary point
  double runner_up_objective;                         // of the next distinct minimum; NAN when every start agrees
  double *runner_up;                                  // its coefficients, in the same order; NULL without
  bool stationary;                                    // the stationarity test was passed
  double stationarity;                                // largest |sum of psi J| / sum of |psi J| over free parameters
  double trust_region_objective, bfgs_objective;      // what GSL's two minimizers reach; NAN when not run
  double residual_rms;                                // of the residual (of logarithms, or plain), over fitted rows
  double holdout_error;  // mean |predicted - observed| / |observed| over held-out rows, or not divided, see
                         // fit_errors_absolute; NAN without
  double condition;      // of the scaled information matrix
  int bootstrap, bootstrap_failed;
  double confidence;
  enum interval_kind interval;  // as asked for, or by default
  const char *interval_reason;  // why t intervals are the default here; NULL: they are not
  double interval_degrees;      // of freedom of t intervals
  const char *grouped_by;       // column whose equal rows were resampled together, or NULL
  const char *grouping;         // a sentence: how that column was found; NULL where the options name it
  size_t group_count;           // groups of rows; rows where there are none
  double *replicates;           // [bootstrap][coefficient_count], NAN rows for failed ones
  double *derived_replicates;   // [bootstrap][derived_count]
  double *jackknife;            // [jackknife_count][coefficient_count]: without each group (or block of groups) of rows
  size_t jackknife_count;
  struct fit_ranges ranges;  // of the fitted rows
  // Coefficients that these rows allow as well, on the sides of coefficients that they do not limit; none where `bare`.
  struct fit_open_end *open_ends;
  size_t open_count;
  struct fit_rollouts rollouts;
  // Diagnosis; empty where `bare` or the table's size forbids it.
  struct fit_profile *profiles;
  size_t profile_count;
  struct fit_contour *contours;
  size_t contour_count;
  struct fit_direction *directions;
  size_t direction_count;
  struct fit_leave_out *leave_out;
  size_t leave_out_count;
  struct fit_sensitivity *sensitivity;
  size_t sensitivity_count;
  struct fit_trend *trends;
  size_t trend_count;
  struct fit_influential *influential;  // the rows of largest distance
  size_t influential_count;
  struct fit_outlier *outliers;
  size_t outlier_count;
  struct fit_score *scores;
  size_t score_count;
  struct fit_prior *priors;
  size_t prior_count;
  struct fit_pool *pools;
  size_t pool_count;
  struct fit_global *globals;
  size_t global_count;
  struct fit_ratio *ratios;
  size_t ratio_count;
  const char *std;    // the expression of the rows' standard deviations, or NULL
  double std_median;  // of the residual's standard deviation; NAN without
  struct fit_replication replication;
  const char **correlated;  // [correlation_size]: coefficients
  double *correlation;      // [correlation_size][correlation_size]; of logarithms where coefficients are positive
  size_t correlation_size;
  struct fit_row *table;  // fitted, held-out and unused rows in the table's order
  size_t table_count;
  struct fit_exclusion *exclusions;  // excluded_count of them
  const char **warnings;
  size_t warning_count;
  struct comparison *comparison;  // with other laws, released with the result; NULL: none
  double seconds;
};

// Fits the law. False with an error when it cannot be done honestly: a column the law needs is not there, fewer rows
// than parameters + 1, a per-category parameter whose baseline no row has, an expression that does not parse.
// fit_result_free in either case.
bool fit_run(const struct law *law, const struct table *table, const struct fit_options *options,
             struct fit_result *result, struct error *error);
void fit_result_free(struct fit_result *result);

// Fits of one law by the values of a column.
struct fit_parts {
  struct fit_result *results;  // numbers ascending, texts as they come; named "chinchilla[w4a4]"
  size_t count;
  struct fit_exclusion *left_out;  // values whose rows cannot be fitted, and why
  size_t left_out_count;
  struct arena arena;
};
// Fits the law to the rows of each value of options->by that takes part (`where`) by themselves. Values whose rows
// cannot be fitted are left out; false with the first one's error when none can, and when the column is not there or
// has too many values. fit_parts_free in either case.
bool fit_run_by(const struct law *law, const struct table *table, const struct fit_options *options,
                struct fit_parts *parts, struct error *error);
void fit_parts_free(struct fit_parts *parts);
// What the fits of all values say of the quantities that the law is fitted for: "alpha by format: none 0.33 (0.30 to
// 0.36); w4a4 not determined". In the arena; NULL where there is nothing to say.
const char *fit_parts_answer(struct arena *arena, const struct fit_parts *parts, const struct law *law);
// Whether errors of predictions (held out, left out) are differences, not shares of what was observed: where the
// residual is plain and some row observed is not positive, a share says nothing.
bool fit_errors_absolute(const struct fit_result *result);
// Whether a setting (of key tie, low, high, ratio, score, prior, partial_pooling, profile or contour) is of its form
// and names parameters of the law; other keys are fine. Categories are not looked at. False with an error, whose offset
// is the place in the text.
bool fit_setting_check(const struct law *law, const char *key, const char *text, struct error *error);
// Whether the law can be fitted under an objective (NULL: its own), with or without partial pooling.
bool fit_objective_check(const struct law *law, const char *text, bool pooled, struct error *error);
// Whether residuals are a few units in the last place of what is predicted: their signs and sizes come from the order
// of additions, and say nothing of the noise.
bool fit_residuals_are_rounding(const struct fit_result *result);
// Adds to what the result says: a warning; a row that was left out before the table was made ("run 3f2a", "diverged").
void fit_result_warn(struct fit_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fit_result_exclude(struct fit_result *result, const char *row, const char *reason);
// One object of the contract for scripts: {"name","law","rows","excluded","objective","parameters":{...},...}.
void fit_result_json(const struct fit_result *result, struct json_writer *writer);
// Reads such a document, or an array of one: written again it gives the same bytes. It does not hold what nobody
// prints: replicates, places of rows in the table (the place among the residuals is taken), what derived quantities
// are, seconds. Members that older documents lack are empty, 0 or NAN. False with a short reason ("'rows' is no count")
// when it is damaged. fit_result_free in either case.
bool fit_result_read(struct fit_result *result, const char *document, struct error *error);
// The same of the first fit in an array of those that one command made by the values of a column.
bool fit_result_read_part(struct fit_result *result, const char *document, struct error *error);
