// The public face of fitting/: tables of observations, laws as data, fits with their uncertainty, predictions.
//
//   struct table table; struct law law; struct fit_result result;
//   table_read_csv(&table, "runs.csv", NULL, 0, &error)     or table_init, table_add_number, table_add_category ...
//   law_load(&law, "chinchilla", &diagnostics, &error)      a law that ships, or the path of a .yaml file
//   fit_run(&law, &table, &(struct fit_options){.bootstrap = -1}, &result, &error)
//   fit_result_json(&result, &writer)                       the document of the contract for scripts
//
// fitting/ knows nothing of training or of the store: whoever has runs fills a table. Each of the three structs owns an
// arena and is released by its own _free; a result points into neither the table nor the law.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fitting/design.h"
#include "fitting/isoflop.h"

// ---- tables ----

enum column_kind { COLUMN_NUMBER, COLUMN_CATEGORY };

// What a column says about a row. It decides what makes two rows "the same configuration" in best_over and average_over
// (all settings but the axes); a CSV's columns are of unknown role and count there only when a law or a list names
// them.
enum column_role { ROLE_UNKNOWN, ROLE_SETTING, ROLE_QUANTITY, ROLE_OUTCOME };

struct table_column {
  const char *name;  // the store's name: "parameters", "train.lr"
  const char
      *original;  // as written in the source, when --map or a short name (N, D, C) renamed it; else equal to name
  enum column_kind kind;
  enum column_role role;
  double *numbers;          // COLUMN_NUMBER: one a row, NAN where missing
  int *codes;               // COLUMN_CATEGORY: one a row, index into categories, -1 where missing
  const char **categories;  // in order of first appearance
  int category_count;
  struct category_index *index;  // of the table's own code
};

struct table {
  struct arena arena;
  const char *source;  // file name, "runs of quickstart": for messages
  size_t row_count;
  const char **row_names;  // run id, or "line 12"
  int *row_lines;          // line of the file a row begins at, or NULL
  int *row_members;        // rows of the source that were averaged into this one (1 as read)
  struct table_column *columns;
  size_t column_count;
};

// A table of row_count rows without columns; `source` is for messages. table_free in the end.
void table_init(struct table *table, const char *source, size_t row_count);
void table_free(struct table *table);
// Adds a column, all values missing; the caller fills numbers, or codes through table_set_category. Pointers to columns
// stay valid only until the next one is added; column numbers stay.
size_t table_add_number(struct table *table, const char *name, enum column_role role);
size_t table_add_category(struct table *table, const char *name, enum column_role role);
// Sets a category cell; NULL is missing.
void table_set_category(struct table *table, size_t column, size_t row, const char *category);
// Names a row (copied).
void table_name_row(struct table *table, size_t row, const char *name);
// The column of that name (N, D and C are short for parameters, tokens, flops), or -1.
int table_find(const struct table *table, const char *name);
// The column's name nearest to `name`, or NULL.
const char *table_nearest(const struct table *table, const char *name);
// The cell as an expression's value; VALUE_MISSING where it is missing.
struct value table_value(const struct table *table, size_t column, size_t row);

// "store's name=column of the file", as --map a=b,c=d gives it.
struct column_map {
  const char *name, *original;
};
// Splits "parameters=N_total,tokens=D_seen" (texts in the arena). False with an error on a malformed list.
bool column_maps_parse(struct arena *arena, const char *text, struct column_map **maps, size_t *count,
                       struct error *error);
// Reads a CSV file: a header line, then rows of as many cells (RFC 4180 quoting, LF or CRLF, UTF-8, a byte order mark
// is fine). A column is numeric when every cell that is not empty reads as a number; empty, NA, NaN, null and - are
// missing. Errors name line and column: a ragged row, an open quote, two columns of one name, a map to a column that is
// not there. N, D and C become parameters, tokens and flops unless such a column is there already. A column `run_id` or
// `id` names the rows.
bool table_read_csv(struct table *table, const char *path, const struct column_map *maps, size_t map_count,
                    struct error *error);
bool table_parse_csv(struct table *table, const char *name, const char *bytes, size_t length,
                     const struct column_map *maps, size_t map_count, struct error *error);

// Marks in keep[row] the rows for which `condition` holds. A comparison with a missing number is false (as NaN), a
// missing text is "". Unknown columns are errors with the nearest name.
bool table_where(const struct table *table, const char *condition, bool *keep, struct error *error);
// Drops the rows that are not marked.
void table_keep_rows(struct table *table, const bool *keep);

// Begins a pooled table: a column `pool` says `label` in every row. table_pool then puts the rows of another table
// below them, with columns united by name (numbers become texts where the other table has texts) and its rows named
// "LABEL ROW". Pointers to columns do not stay valid.
void table_pool_begin(struct table *table, const char *label);
void table_pool(struct table *table, const struct table *other, const char *label);

// What a reduction did, for the report.
struct reduction {
  size_t rows_before, rows_after;
  const char **warnings;  // in the table's arena: "12 of 40 best train.lr lie on the edge of their grid (...)"
  size_t warning_count;
  double noise;          // average_over: pooled standard deviation of ln(target) within configurations; NAN if unknown
  size_t noise_degrees;  // degrees of freedom of it
};
// Keeps, of the rows that are equal in all key columns, the one with the lowest `target` (rows without target are
// dropped), and warns when the best lies on the edge of the values that an axis takes in its group. Keys are the
// columns of role ROLE_SETTING and the columns named in keys[], without the axes and without the columns in `beside`
// (axes of other reductions: they stay in the key; pass them only when they should not). Unknown axes are errors.
bool table_best_over(struct table *table, const char *target, const char *const *axes, size_t axis_count,
                     const char *const *keys, size_t key_count, struct reduction *reduction, struct error *error);
// Replaces the rows that are equal in all key columns by one: the mean of target and of the other numeric outcomes.
// row_members tells how many there were. A bootstrap then resamples configurations with all their seeds.
bool table_average_over(struct table *table, const char *target, const char *const *axes, size_t axis_count,
                        const char *const *keys, size_t key_count, struct reduction *reduction, struct error *error);

// ---- laws ----

enum law_residual { RESIDUAL_LOG, RESIDUAL_PLAIN };
enum law_objective { OBJECTIVE_HUBER, OBJECTIVE_LEAST_SQUARES, OBJECTIVE_LAD };

// Sum over rows of: Huber_delta(r) = r^2/2 for |r| <= delta, delta (|r| - delta/2) beyond; r^2/2; |r|.
struct objective {
  enum law_objective kind;
  double delta;  // of Huber
};
// Reads "huber:1e-3", "least-squares", "lad"; "log", "plain". False with an error that lists what there is.
bool objective_parse(const char *text, struct objective *objective, struct error *error);
bool residual_parse(const char *text, enum law_residual *residual, struct error *error);
// "huber:0.001"
void objective_text(struct objective objective, char out[48]);

struct law_parameter {
  const char *name, *about;
  const struct node *node;
  bool positive;         // fitted through its logarithm
  double low, high;      // bounds of the value; infinite where there are none
  const double *starts;  // values to start from
  int start_count;
  const char *by;          // column whose categories have a parameter each; NULL: one for all
  const char **baselines;  // categories pinned to `baseline_value`: the first that the table has
  int baseline_count;
  double baseline_value;
  bool fixed;  // held at `fixed_value` unless freed
  double fixed_value;
  const struct expression *tied;  // or follows from other parameters
};

struct law_definition {  // a name, or a function of arguments, that formulas may use
  const char *name;
  const char **arguments;
  int argument_count;
  const struct expression *expression;  // its source is the text as written
};

struct law_stage {
  const char *name;
  const char *where;  // condition on rows, NULL: all
  const char **free;  // parameters fitted here; the others keep what they have
  int free_count;
};

struct law_derived {
  const char *name, *about;
  const char *text;                     // as written
  const struct expression *expression;  // over parameters, earlier derived quantities and `at`
  const char *at;                       // a column's name that gets the values below, or NULL
  const double *values;
  int value_count;
  bool of_data;  // the values are multiples of the largest `at` among the fitted rows
};

struct law {
  struct arena arena;
  const char *name, *path, *about, *source;
  const char *formula_text;
  const struct expression *formula;
  const char *target;  // the column it predicts: "loss"
  enum law_residual residual;
  struct objective objective;
  struct law_parameter *parameters;
  int parameter_count;
  struct law_definition *definitions;
  int definition_count;
  struct law_stage *stages;  // at least one
  int stage_count;
  struct law_derived *derived;
  int derived_count;
  const char **columns;  // that the formula needs, in order of appearance, with the columns of per-category parameters
  int column_count;
  const char **exponents;  // parameters and derived quantities beside which the parameter count is printed
  int exponent_count;
};

// Loads a law: the name of one that ships ("chinchilla"; from isoloss_data("laws")) or the path of a .yaml file. All
// mistakes go to `diagnostics` with their places; false with a summary in `error`. law_free in either case.
bool law_load(struct law *law, const char *name_or_path, struct diagnostics *diagnostics, struct error *error);
bool law_parse(struct law *law, const char *file, const char *bytes, size_t length, struct diagnostics *diagnostics,
               struct error *error);
void law_free(struct law *law);
// Names of the laws that ship, sorted, in the arena.
bool law_names(struct arena *arena, const char ***names, size_t *count, struct error *error);

// ---- fits ----

struct fit_fix {  // --fix A=406.4, --fix "eff[w4a4]=1"; a NaN frees what the law fixes
  const char *name;
  double value;
};
struct fit_baseline {  // --baseline format=BF16: the category that is pinned to the baseline's value
  const char *column, *category;
};

enum interval_kind {
  INTERVAL_BY_DEFAULT,  // BCa
  INTERVAL_PERCENTILE,
  INTERVAL_BCA,  // bias-corrected and accelerated (Efron 1987)
};
const char *interval_kind_name(enum interval_kind kind);  // "percentile", "bca"
bool interval_parse(const char *text, enum interval_kind *kind, struct error *error);

struct fit_options {
  const char *name;             // of the fit; NULL: the law's
  const char *where;            // rows that take part; NULL: all
  const char *holdout;          // rows kept from the fit to test it; NULL: none
  const char *objective;        // NULL: the law's
  const char *residual;         // NULL: the law's
  const char *weight;           // expression over columns: weight of a row in the objective; NULL: 1
  const char *group;            // column whose equal rows are resampled together; NULL: every row by itself
  const char *parameter_count;  // what N counts, for the report: "non-embedding"; NULL: "as in column X of SOURCE"
  int bootstrap;                // resamples; -1: 1000; 0: none
  double confidence;            // of intervals; 0: 0.95
  enum interval_kind interval;  // the kind of `low` and `high`; both kinds are computed
  const char *const *profiles;  // coefficients ("E", "eff[w4a4]", or "eff" for all of them) whose profile is wanted
  size_t profile_count;
  bool profile_all;
  const char *const *leave_out;  // columns: refit without each of their values, predict it
  size_t leave_out_count;
  const bool *held_out_rows;  // [rows of the table]: kept from the fit besides `holdout`; NULL: none
  bool bare;                  // coefficients, intervals and residuals; no diagnosis but what is asked for above
  uint64_t seed;
  int threads;  // 0: as many as cores; the result does not depend on it
  int starts;   // at most; 0: the law's whole grid up to 5000
  const struct fit_fix *fixes;
  size_t fix_count;
  const struct fit_baseline *baselines;
  size_t baseline_count;
};

enum coefficient_status {
  COEFFICIENT_FITTED,
  COEFFICIENT_FIXED,     // by the law or the options
  COEFFICIENT_BASELINE,  // of a per-category parameter
  COEFFICIENT_TIED,
  COEFFICIENT_AT_LOW,  // at its bound (a positive parameter's 0 counts: its term has vanished)
  COEFFICIENT_AT_HIGH,
  COEFFICIENT_UNFITTED,      // of a category that no fitted row has; its value is NAN
  COEFFICIENT_UNIDENTIFIED,  // the data do not determine it: a direction through it leaves the predictions unchanged
};
// "fitted", "fixed", "baseline", "tied", "at lower bound", "at upper bound", "not fitted",
// "not identified"
const char *coefficient_status_name(enum coefficient_status status);

// Both kinds of bootstrap interval, and which of them stands in low and high: the one asked for, or percentile where
// the BCa interval does not exist (every resample lies on one side of the estimate, as at a bound).
struct intervals {
  enum interval_kind kind;
  double percentile_low, percentile_high, bca_low, bca_high;  // NAN without
};

struct coefficient {
  const char *name;       // "A", "eff[w4a4]"
  const char *parameter;  // "A", "eff"
  const char *category;   // "w4a4", or NULL
  enum coefficient_status status;
  double value;
  double low, high, se;  // bootstrap interval and standard error; NAN without
  struct intervals intervals;
};

struct fit_derived {
  const char *name;  // "a", "parameters_optimal[flops=1e+21]"
  const char *about;
  double value, low, high, se;
  struct intervals intervals;
};

enum row_use { ROW_FITTED, ROW_HELD_OUT, ROW_UNUSED };  // unused: selected, but in no stage of the law
struct fit_row {
  const char *name;
  size_t place;  // row of the table
  enum row_use use;
  double observed, predicted;
  double residual;    // ln(observed / predicted) or observed - predicted, as fitted
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

// A direction in which the coefficients can move together while the fit hardly suffers.
struct fit_direction {
  size_t coefficient;        // the one that moves most
  double low, high;          // its range over which the objective grows by at most 2 %, the others refitted
  bool low_open, high_open;  // no end was met
  double eigenvalue;         // of the scaled information matrix, over the largest one
  const char *words;         // a sentence, with advice from the design
};

// Rows kept out of a refit and predicted by it.
struct fit_left_out {
  const char *value;              // of the column; of a rollout: the largest value fitted
  size_t fitted_rows, predicted;  // rows
  double error;                   // mean |predicted - observed| / observed
  double bias;                    // mean (predicted - observed) / observed
  double largest;                 // largest relative error, signed
  const char *trouble;            // why there is no prediction, or NULL
};
struct fit_leave_out {
  const char *column;
  struct fit_left_out *values;  // each value left out
  size_t value_count;
  struct fit_left_out *rollout;  // of a numeric column: the k smallest values fitted, the rest predicted, for every k
  size_t rollout_count;
  double error, bias;  // over all rows that were predicted while left out
};

// The same fit under another objective, from the same minima.
struct fit_sensitivity {
  char objective[48];
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

struct fit_result {
  struct arena arena;
  const char *name, *law, *formula, *source, *target;
  const char *parameter_count;  // what N counts
  enum law_residual residual;
  struct objective objective_kind;
  size_t rows, excluded_count, held_out, unused;
  double objective;  // the plain sum over fitted rows
  struct fit_stage_result *stages;
  int stage_count;
  struct coefficient *coefficients;
  size_t coefficient_count;
  struct fit_derived *derived;
  size_t derived_count;
  int64_t starts, starts_descended, starts_agreeing;  // of the stage with most free parameters
  double runner_up_objective;                         // of the next distinct minimum; NAN when every start agrees
  double *runner_up;                                  // its coefficients, in the same order; NULL without
  bool stationary;                                    // the stationarity test was passed
  double stationarity;                                // largest |sum of psi J| / sum of |psi J| over free parameters
  double trust_region_objective, bfgs_objective;      // what GSL's two minimizers reach; NAN when not run
  double residual_rms;                                // of log loss, over fitted rows
  double holdout_error;  // mean |predicted - observed| / observed over held-out rows; NAN without
  double condition;      // of the scaled information matrix
  int bootstrap, bootstrap_failed;
  double confidence;
  enum interval_kind interval;  // percentile or BCa, as asked for
  double *replicates;           // [bootstrap][coefficient_count], NAN rows for failed ones
  double *derived_replicates;   // [bootstrap][derived_count]
  double *jackknife;            // [jackknife_count][coefficient_count]: without each group (or block of groups) of rows
  size_t jackknife_count;
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
  struct fit_row *table;  // fitted, held-out and unused rows in the table's order
  size_t table_count;
  struct fit_exclusion *exclusions;  // excluded_count of them
  const char **warnings;
  size_t warning_count;
  double seconds;
};

// Fits the law. False with an error when it cannot be done honestly: a column the law needs is not there, fewer rows
// than parameters + 1, a per-category parameter whose baseline no row has, an expression that does not parse.
// fit_result_free in either case.
bool fit_run(const struct law *law, const struct table *table, const struct fit_options *options,
             struct fit_result *result, struct error *error);
void fit_result_free(struct fit_result *result);
// Adds to what the result says: a warning; a row that was left out before the table was made ("run 3f2a", "diverged").
void fit_result_warn(struct fit_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fit_result_exclude(struct fit_result *result, const char *row, const char *reason);
// One object of the contract for scripts: {"name","law","rows","excluded","objective","parameters":{...},...}.
void fit_result_json(const struct fit_result *result, struct json_writer *writer);

// ---- predictions ----

// The law's prediction at given coefficients (names as in struct coefficient) for every row of a table: a row that
// lacks a column or has a category without coefficient gets NAN.
bool law_predict(const struct law *law, const struct coefficient *coefficients, size_t count, const struct table *table,
                 double *predictions, struct error *error);

// One point at a time, for curves: inputs are columns by name. NAN where the law cannot tell.
struct law_input {
  const char *name;
  struct value value;
};
double law_evaluate(const struct law *law, const struct coefficient *coefficients, size_t count,
                    const struct law_input *inputs, size_t input_count);
// Reads the coefficients back from a fit's JSON document (into the arena), for predictions from a stored fit.
bool fit_document_coefficients(struct arena *arena, const char *document, struct coefficient **coefficients,
                               size_t *count, struct error *error);

// ---- predictions from a fit: points with intervals, compute-optimal sizes, formats against each other ----

// Points from texts such as "N=1e9,D=2e10,format=w4a4": NAME=VALUES joined by commas. VALUES are numbers or texts
// joined by |, or a range LOW..HIGH:COUNTlog (or :COUNTlinear); texts may stand in quotes, and commas and | within
// brackets or quotes belong to them. The values of one text are multiplied out, several texts are united. N, D and C
// become parameters, tokens and flops. Errors quote the text and the column (from 1) of what is wrong. table_free in
// either case. At most POINT_LIMIT points.
enum { POINT_LIMIT = 100000 };
bool points_parse(struct table *table, const char *const *texts, size_t count, struct error *error);
// Splits "a,b(c,d),e" at the commas outside brackets and quotes; items are trimmed, quotes around one are taken off.
// False with an error for an empty item or an open bracket or quote.
bool list_split(struct arena *arena, const char *text, const char ***items, size_t *count, struct error *error);

// What a token costs: C = per_token(N) D. 6 N, or what the fitted runs counted per token, interpolated in the
// logarithms of N and continued in proportion to N beyond them.
struct cost_model {
  size_t count;                                  // 0: 6 N
  const double *log_parameters, *log_per_token;  // [count], ascending in log_parameters
};
double cost_per_token(const struct cost_model *cost, double parameters);

struct column_range {
  const char *name;
  double low, high;  // among the fitted rows
};

// What predictions need of a fit: from fitted_law_of, or filled with published coefficients by hand (then without
// replicates, scatter and ranges). Points into what it was made from.
struct fitted_law {
  const struct law *law;
  const struct coefficient *coefficients;
  size_t coefficient_count;
  // [replicate_count + jackknife_count][coefficient_count]: resamples, then fits without each group; or NULL
  const double *replicates;
  size_t replicate_count, jackknife_count;
  enum interval_kind interval;  // of estimates: INTERVAL_BCA, else percentile
  double confidence;
  enum law_residual residual;
  const double *scatter;  // residuals of the fitted rows, widened by sqrt(rows / (rows - free coefficients)); or NULL
  size_t scatter_count;
  const struct column_range *ranges;  // of the law's numeric columns
  size_t range_count;
  struct cost_model cost;
  uint64_t seed;  // of the residuals drawn for prediction intervals
};
// `counted`: costs follow the table's column flops, where it differs from 6ND.
void fitted_law_of(struct arena *arena, const struct law *law, const struct table *table,
                   const struct fit_result *result, bool counted, uint64_t seed, struct fitted_law *fitted);

struct estimate {
  double value, low, high;  // the interval is NAN without replicates
};
// How far a point lies outside what was fitted.
struct outside {
  const char *column;
  double value, low, high;  // of the point; fitted range
  double factor;            // value / high or low / value, above 1; NAN where the range does not allow a ratio
};
struct prediction {
  const char *missing;       // why there is no prediction, or NULL
  struct estimate law;       // of the law's value: how well the law is known
  double run_low, run_high;  // where a new run falls: the law's interval widened by the scatter of the residuals
  const struct outside *outside;
  size_t outside_count;
};
// Completes a point's inputs (tokens from flops or tokens_per_parameter, flops from tokens) and predicts it. What lies
// outside, and the reason of a missing value, are in the arena.
void fitted_law_predict(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                        size_t input_count, struct prediction *prediction);

// The size and duration of least loss for a budget of compute, found by minimizing over N numerically (a scan, then
// Brent's method) at the fit and at every replicate.
struct allocation {
  double flops;
  struct estimate parameters, tokens, tokens_per_parameter, loss;
  bool at_limit;     // N ends at the largest one allowed
  double unbounded;  // share of replicates (or 1 for the fit itself) whose loss falls to the end of the range searched
  const double *losses;  // [replicate_count + jackknife_count], in the arena
};
// inputs: the law's other columns. largest_parameters: N is at most this (INFINITY: any). False with an error when the
// law has no N and D, or an input is missing.
bool fitted_law_allocate(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                         size_t input_count, double flops, double largest_parameters, struct allocation *allocation,
                         struct error *error);

// What a run of (N, D) costs beside the compute-optimal one: the loss that its compute could have reached, and the
// compute that would have reached its loss. Intervals are percentiles over at most 200 resamples.
struct overtraining {
  double flops;
  struct estimate optimal_loss;   // at the same compute
  struct estimate optimal_flops;  // for the same loss
  struct estimate cost_ratio;     // flops / optimal_flops, at least 1
};
bool fitted_law_overtraining(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                             size_t input_count, struct overtraining *cost, struct error *error);

// Losses of alternatives, held against each other replicate by replicate, so that what is uncertain in all of them
// alike drops out.
struct alternative {
  double loss;
  const double *losses;    // [replicate_count + jackknife_count] of the law
  struct estimate behind;  // loss - loss of the best; filled in
  double share_best;       // of the replicates
};
// Returns the best one's index, or -1 when none has a loss; *decided: no other one's interval of `behind` holds 0.
int alternatives_judge(struct alternative *alternatives, size_t count, const struct fitted_law *fitted, bool *decided);

// ---- laws against each other ----

// The largest log-likelihood of independent residuals whose density is that of the objective: exp(-rho(r) w / s^2) / Z,
// with rho = r^2/2 (normal), |r| (Laplace) or Huber's, and the scale s free. The minimum of the objective is the
// maximum of this likelihood at any s, so the coefficients of the fit are the most likely ones. `sum` is the objective,
// `weights` one a row or NULL. *scale (may be NULL) gets s.
double objective_log_likelihood(struct objective objective, double sum, size_t rows, const double *weights,
                                double *scale);
// ln of the integral of exp(-rho(r) precision) over r.
double objective_log_normalizer(struct objective objective, double precision);

struct compare_options {
  struct fit_options
      fit;    // where, holdout, objective, residual, weight, group, seed, threads, starts, fixes, baselines
  int folds;  // of the cross-validation; 0: 5; not used with a holdout, nor when 1
  void (*progress)(void *context, size_t done, size_t total);  // told before every fit; or NULL
  void *context;
};
struct law_standing {
  const char *law, *formula;
  size_t parameters;  // fitted coefficients and the scale
  double objective, residual_rms, log_likelihood, scale, aic, aicc, bic;
  double held_out_error, held_out_rms;  // mean |predicted - observed| / observed; r.m.s. of ln(observed / predicted)
  double held_out_loss;                 // mean of the objective's loss over held-out rows
  // against the law of the lowest AICc
  double aicc_behind, bic_behind;
  double held_out_behind, held_out_behind_se;  // of held_out_loss, row by row; standard error over groups
  bool told_apart, predicts_better;            // see laws_compare
  size_t warning_count;
  const char **warnings;
};
struct comparison {
  struct arena arena;
  const char *source, *target;
  struct law_standing *laws;             // by rising AICc
  size_t count, rows, groups, held_out;  // held_out: rows that every law predicts
  int folds;                             // 0: a holdout, or none
  bool holdout;
  enum law_residual residual;
  struct objective objective;
  const char **warnings;
  size_t warning_count;
};
// Fits every law on the same rows (rows that one of them cannot use are dropped from the table), on one residual and
// one objective: the options' or the first law's. A law is told apart from the best one when its AICc lies at least 4
// behind and its held-out loss is behind by more than two standard errors; without held-out rows AICc decides alone.
// `predicts_better`: its held-out loss is lower than the best one's by more than two standard errors. False with an
// error when the laws predict different columns or one cannot be fitted. comparison_free in either case.
bool laws_compare(const struct law *laws, size_t count, struct table *table, const struct compare_options *options,
                  struct comparison *comparison, struct error *error);
void comparison_free(struct comparison *comparison);
void comparison_json(const struct comparison *comparison, struct json_writer *writer);

// ---- fitted laws as source text ----

enum export_language { EXPORT_C, EXPORT_PYTHON, EXPORT_LATEX };
bool export_parse(const char *text, enum export_language *language, struct error *error);
// Writes the law with these coefficients as a function of its columns (EXPORT_C: C11; EXPORT_PYTHON: no imports but
// math), called by the name of the fit, or as a formula and a table row a coefficient (EXPORT_LATEX). Numbers
// round-trip; a category without coefficient gives NAN. `about` stands in a comment.
bool law_export(const struct law *law, const struct coefficient *coefficients, size_t count,
                enum export_language language, const char *name, const char *about, struct text *out,
                struct error *error);
