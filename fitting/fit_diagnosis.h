// What is next to the coefficients of a fit: its rows, profiles, directions, tests, where it comes from. Part of the
// public face (fit.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fitting/fit_coefficient.h"
#include "fitting/fit_options.h"
#include "fitting/law.h"

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

// The joint profile of two coefficients: lines on which the likelihood-ratio statistic of both reaches the threshold of
// a confidence region, around the estimate; and the resamples' values of both.
enum { FIT_CONTOUR_LINES = 2 };
struct fit_contour_point {
  double x, y;
  bool open;  // of a line: the threshold is not reached in this direction as far as it can be followed, which is here
};
struct fit_contour {
  size_t x, y;                                         // in result->coefficients
  double levels[FIT_CONTOUR_LINES];                    // confidence of the regions, ascending: 0.68, 0.95
  struct fit_contour_point *lines[FIT_CONTOUR_LINES];  // [point_count], once around; none where the fit has no errors
  size_t point_count;
  struct fit_contour_point *resamples;  // the first ones, where there are many
  size_t resample_count;
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
  double moves;        // by that many, signed; infinite where no other row tells of it
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

// A normal prior, and what the rows say next to it.
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
  double p_least;  // no smaller p can be told from that many resamples; NAN: any
};
