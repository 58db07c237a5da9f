// Fits: coefficients with their uncertainty, the diagnosis, the document of the contract for scripts. Part of the
// public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fitting/fit_options.h"
#include "fitting/law.h"
#include "fitting/range.h"
#include "fitting/rollout.h"
#include "fitting/table.h"

struct comparison;

enum coefficient_status {
  COEFFICIENT_FITTED,     // and determined
  COEFFICIENT_ONE_SIDED,  // the data set a limit on one side only
  COEFFICIENT_FIXED,      // by the law or the options
  COEFFICIENT_BASELINE,   // of a per-category parameter
  COEFFICIENT_TIED,
  COEFFICIENT_AT_LOW,  // at its bound (a positive parameter's 0 counts: its term has vanished)
  COEFFICIENT_AT_HIGH,
  COEFFICIENT_BY_PRIOR,      // fitted, but its interval is its prior's
  COEFFICIENT_UNFITTED,      // of a category that no fitted row has; its value is NAN
  COEFFICIENT_UNIDENTIFIED,  // the data do not determine it: a direction through it leaves the predictions unchanged
};
// "determined", "one-sided", "fixed", "baseline", "tied", "at bound", "set by its prior", "not fitted",
// "not determined"
const char *coefficient_status_name(enum coefficient_status status);
// The same of a derived quantity, for people.
const char *derived_status_name(enum coefficient_status status);

// All kinds of interval, and which of them is in low and high: the one asked for, or percentile where that one does not
// exist (BCa: every resample lies on one side of the estimate, as at a bound).
struct intervals {
  enum interval_kind kind;
  double percentile_low, percentile_high, bca_low, bca_high, t_low, t_high;  // NAN without
  double robust_se;  // from refits without each group (or row): the jackknife's, which holds whatever the errors'
                     // variances and whatever their dependence within groups (CR3, Bell and McCaffrey 2002)
};

struct coefficient {
  const char *name;       // "A", "eff[w4a4]"
  const char *parameter;  // "A", "eff"
  const char *category;   // "w4a4", or NULL
  enum coefficient_status status;
  double value;
  double low, high, se;  // interval and standard error; NAN without, and on a side where the data set no limit
  struct intervals intervals;
  const char *tied_to;  // the coefficient whose value it has, or NULL
  const char *note;     // what its status means here: "not determined: any value below 0.053 fits within 2 %"; or NULL
};

struct fit_derived {
  const char *name;  // "a", "parameters_optimal[flops=1e+21]"
  const char *about;
  double value, low, high, se;
  struct intervals intervals;
  enum coefficient_status status;  // determined, one-sided or not determined
  // How many times outside the fitted range it lies, by the value of a column that it is worked out at or by being a
  // value of a column; of quantities worked out at one place the largest. NAN: of no column.
  double outside;
  const char *outside_of;  // the column that is left farthest; NULL: within
};

enum row_use { ROW_FITTED, ROW_HELD_OUT, ROW_UNUSED };  // unused: selected, but in no stage of the law
const char *row_use_name(enum row_use use);             // "fitted", "held out", "unused"

struct fit_row {
  const char *name;
  size_t place;  // row of the table
  enum row_use use;
  double observed, predicted;
  double residual;    // ln(observed / predicted) or observed - predicted
  double scale;       // the objective's argument is residual times this (--std); 1 without
  double influence;   // weight of the row in the last reweighting (1 inside Huber's delta, below 1 for outliers)
  double leverage;    // share of the row in its own prediction, 0 to 1; NAN where it was not computed
  double distance;    // Cook's: how far the coefficients move without the row (one step), 1 is a lot; NAN likewise
  const char *group;  // categories of the row, "w4a4", or ""
};

struct fit_exclusion {
  const char *row, *reason;  // "db012", "loss is missing"
};

struct fit_stage_result {
  const char *name;
  size_t rows, parameters;
  double objective;
};

// What rows of equal settings (seeds) tell of the noise and of the law.
struct fit_replication {
  const char *columns;      // "parameters, tokens": what settings are equal in
  size_t settings, rows;    // with several rows each; and those rows, or the rows averaged into them
  double spread;            // pooled standard deviation within settings, of the residual; NAN: no row repeats another
  double f, lack, pure, p;  // the test of lack of fit: F with lack and pure degrees of freedom; NAN: not made
  double miss;              // root mean square by which the law misses the settings' means; NAN likewise
  const char *untested;     // why it was not made, or NULL
};

// The profile of a coefficient: the lowest objective with the coefficient held at each value.
struct fit_profile_point {
  double value;
  double objective;
  double ratio;  // likelihood-ratio statistic over its threshold: 1 at the ends of the interval
};
struct fit_profile {
  size_t coefficient;                // in result->coefficients
  double low, high;                  // ends of the interval; infinite (or the bound) on an open side
  bool low_open, high_open;          // the threshold is not reached on this side
  const char *words;                 // "not identified: no upper bound", or NULL
  double threshold;                  // rise of the objective at the ends
  struct fit_profile_point *points;  // by ascending value
  size_t point_count;
};

// How far the rows let a coefficient go where they do not limit it, the others refitted.
struct fit_open_end {
  size_t coefficient;  // that was moved
  bool step;           // values are a small step along a direction that changes no prediction, not an end of a profile
  const double *values;  // [coefficient_count]
};

// A direction in which the coefficients can move together while the fit hardly suffers.
struct fit_direction {
  size_t coefficient;        // the one that moves most
  double low, high;          // its range over which the objective grows by at most 2 %, the others refitted
  bool low_open, high_open;  // no end was met
  double eigenvalue;         // of the scaled information matrix, over the largest one
  const char *words;         // a sentence
  const char *advice;        // what in the design would close it
};

// Rows kept out of a refit and predicted by it.
struct fit_left_out {
  const char *value;              // of the column; of a rollout: the largest value fitted
  size_t fitted_rows, predicted;  // rows
  double error;                   // mean |predicted - observed| / |observed|, see fit_errors_absolute
  double bias;                    // mean (predicted - observed) / |observed|
  double largest;                 // largest relative error, signed
  const char *trouble;            // why there is no prediction, or NULL
};
struct fit_leave_out {
  const char *column;
  const char *note;             // how its values were binned, or NULL
  struct fit_left_out *values;  // each value left out
  size_t value_count;
  struct fit_left_out *rollout;  // of a numeric column: the k smallest values fitted, the rest predicted, for every k
  size_t rollout_count;
  double error, bias;  // over all rows that were predicted while left out
};

// The same fit under another objective, from the same minima.
struct fit_sensitivity {
  char objective[OBJECTIVE_TEXT];
  double *values;  // [coefficient_count], NAN where the refit failed
};

// Residuals against a numeric column, or against tokens per parameter ("D/N").
struct fit_trend {
  const char *column;
  double slope;           // of the residual per unit of log10(column), or of the column where it is not positive
  bool logarithmic;       // the former
  double correlation, p;  // Spearman's, of the residual; two-sided significance by itself
  double spread_correlation, spread_p;   // of the residual's size
  bool significant, spread_significant;  // at 5 % over all columns together (Holm)
};

// A row and what the coefficients would be without it.
struct fit_influential {
  size_t row;          // in result->table
  double *without;     // [coefficient_count]
  bool exact;          // refitted, not one step
  size_t coefficient;  // that moves most, in standard errors
  double moves;        // by so many, signed; infinite where no other row tells of it
};

// A row whose residual normal errors of the residuals' robust scale would give once in a hundred such tables.
struct fit_outlier {
  size_t row;         // in result->table
  double deviations;  // residual in standard deviations of a residual at its leverage
};

// Where a result comes from: enough to make it again. Filled in by whoever calls fit_run.
struct fit_setting {
  const char *name, *value;  // "where", "N > 1e6"
};
struct fit_data {
  const char *name;    // "runs.csv", "runs of quickstart"
  const char *digest;  // XXH3-128: of a file's bytes, else of the rows' names and cells that the law uses
  size_t rows;         // read
};
struct fit_made {
  const char *version;     // of isoloss; NULL: nothing is known
  const char *command;     // for a shell
  const char **arguments;  // of `isoloss fit`
  size_t argument_count;
  struct fit_setting *settings;  // of the fit, given or by default
  size_t setting_count;
  struct fit_data *data;
  size_t data_count;
};

// Coefficients from elsewhere on the rows of a fit.
struct fit_score {
  const char *name;                          // as given
  double *values;                            // [coefficient_count]
  double objective;                          // the plain sum over fitted rows
  double bias, rms;                          // mean and root mean square of the fitted rows' residuals
  double statistic, degrees, error_degrees;  // F against the fit, whose coefficients are free; NAN: not tested
  double p;
  const char *untested;  // why it was not, or NULL
};

// A normal prior, and what the rows say beside it.
struct fit_prior {
  size_t coefficient;
  bool of_logarithm;       // it is on ln(coefficient)
  double mean, sd;         // of it
  double alone, alone_se;  // the coefficient by the rows alone; NAN: they do not determine it
  enum coefficient_status alone_status;
  double moved;     // from the prior's mean to the estimate, in its standard deviations
  double narrowed;  // the estimate's standard deviation over the prior's: 1 is the prior itself
  double distance;  // of the rows alone from the prior's mean, over the root of both variances; NAN likewise
};

// Partial pooling of a parameter's categories.
struct fit_pooled {
  size_t coefficient;
  double alone, alone_se;  // by the rows, without pooling
  enum coefficient_status alone_status;
  double weight;  // of its own rows against the others: 1 is no pooling
};
struct fit_pool {
  const char *parameter, *column;
  bool logarithmic;  // the spread is of logarithms
  double mean;       // of the categories; of logarithms that mean's exponential
  double spread;     // standard deviation between categories
  double low, high;  // its interval; infinite where the rows set no limit
  struct fit_pooled *members;
  size_t member_count;
};

// The search for a lower minimum on a grid over the coefficients in which the law is not linear.
struct fit_global_axis {
  const char *name;
  double low, high;
};
struct fit_global {
  const char *stage, *reason;  // why it was not made, or NULL
  size_t points, followed;     // of the grid; its minima that were followed down
  struct fit_global_axis axes[3];
  int axis_count;
  double before,
      lowest;  // objectives: of the search, after the check; NAN for absolute deviations and an estimated scale
  bool lower;  // one was found
};

// A coefficient over another one.
struct fit_ratio {
  struct fit_derived quantity;  // its name is the ratio as given
  size_t above, below;          // in result->coefficients
  double p;        // two-sided significance of its being 1, by the kind of interval that quantity has; NAN without
  double p_least;  // no smaller p can be told from so many resamples; NAN: any
};

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
// Whether errors of predictions (held out, left out) are differences, not shares of what was observed: where the
// residual is plain and some row observed is not positive, a share says nothing.
bool fit_errors_absolute(const struct fit_result *result);
// Whether a setting (of key tie, low, high, ratio, score, prior, partial_pooling or profile) is of its form and names
// parameters of the law; other keys are fine. Categories are not looked at. False with an error, whose offset is the
// place in the text.
bool fit_setting_check(const struct law *law, const char *key, const char *text, struct error *error);
// Whether the law can be fitted under an objective (NULL: its own), with or without partial pooling.
bool fit_objective_check(const struct law *law, const char *text, bool pooled, struct error *error);
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
