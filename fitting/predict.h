// What a fit predicts: points with intervals, compute-optimal sizes, alternatives against each other. Part of the
// public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fitting/fit.h"
#include "fitting/law.h"
#include "fitting/table.h"

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

// What predictions need of a fit: from fitted_law_of, or filled with published coefficients by hand (then without
// replicates, scatter and ranges). Points into what it was made from.
struct fitted_law {
  const struct law *law;
  const struct coefficient *coefficients;
  size_t coefficient_count;
  // [replicate_count + jackknife_count + open_count][coefficient_count]: resamples, fits without each group, what the
  // rows allow as well (open_ends); or NULL
  const double *replicates;
  size_t replicate_count, jackknife_count, open_count;
  const struct fit_open_end *open_ends;
  enum interval_kind interval;  // of estimates
  double degrees;               // of freedom of t intervals
  double confidence;
  enum law_residual residual;
  const double *scatter;  // residuals of the fitted rows, widened by sqrt(rows / (rows - free coefficients)); or NULL
  size_t scatter_count;
  struct fit_ranges ranges;
  struct cost_model cost;
  const struct coefficient
      *unsettled;  // of a fit whose minimum is no stationary point: one that it leaves open; or NULL
  uint64_t seed;   // of the residuals drawn for prediction intervals
};
// `counted`: costs follow the table's column flops, where it differs from 6ND.
void fitted_law_of(struct arena *arena, const struct law *law, const struct table *table,
                   const struct fit_result *result, bool counted, uint64_t seed, struct fitted_law *fitted);

struct estimate {
  double value, low, high;         // the interval is NAN without replicates, and on a side that the rows do not limit
  enum coefficient_status status;  // determined (also without any interval), one-sided, not determined
  const struct coefficient *hangs_on;  // not determined, and the value moves with it; NULL: with none
};
// Rows of replicates: resamples, fits without a group, open ends.
size_t fitted_law_rows(const struct fitted_law *fitted);
struct prediction {
  const char *missing;       // why there is no prediction, or NULL
  struct estimate law;       // of the law's value: how well the law is known
  double run_low, run_high;  // where a new run falls: the law's interval widened by the scatter of the residuals
  const struct outside *outside;
  size_t outside_count;
  double outside_most;  // the largest factor; 1 within the fitted ranges
};
// What of the inputs lies outside, as ranges_outside; columns of one value by which a coefficient is not determined are
// marked open.
double fitted_law_outside(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                          size_t input_count, const struct outside **outside, size_t *count);
// Whether the rows cannot tell: the value is not determined, or a fitted range is left too far (outside_hides).
bool prediction_cannot_tell(const struct prediction *prediction);
// Completes a point's inputs (tokens from flops or tokens_per_parameter, flops from tokens) and predicts it. What lies
// outside, and the reason of a missing value, are in the arena.
void fitted_law_predict(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                        size_t input_count, struct prediction *prediction);

// Predictions against what was observed.
struct prediction_score {
  const char *target;
  size_t rows;             // predicted and observed
  size_t fitted;           // of them rows that the law was fitted to
  size_t judged, held;     // with an interval of a run; within it
  double mean_error, rms;  // of |predicted - observed| / |observed|
  double largest;          // of the same, signed
  double mean_absolute;    // of |predicted - observed|
  double r_squared;        // 1 - sum of squares of predicted - observed over that about the mean; NAN: nothing varies
};
// observed[i] NAN: not known.
void predictions_score(const struct prediction *predictions, const double *observed, size_t count,
                       struct prediction_score *score);

// The size and duration of least loss for a budget of compute, found by minimizing over N numerically (a scan, then
// Brent's method) at the fit and at every replicate.
struct allocation {
  double flops;
  struct estimate parameters, tokens, tokens_per_parameter, loss;
  bool at_limit;     // N ends at the largest one allowed
  double unbounded;  // share of replicates (or 1 for the fit itself) whose loss falls to the end of the range searched
  const double *losses;  // [fitted_law_rows], in the arena
};
// inputs: the law's other columns. largest_parameters: N is at most this (INFINITY: any). False with an error when the
// law has no N and D, or an input is missing.
bool fitted_law_allocate(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                         size_t input_count, double flops, double largest_parameters, struct allocation *allocation,
                         struct error *error);

// A model that is trained and then served: training takes C(N, D) FLOPs (6ND, or as counted), serving 2 N for each
// token (Sardana et al. 2023, "Beyond Chinchilla-Optimal", arXiv 2401.00448). The whole cost is in FLOPs of training at
// speed 1: C / training_speed + 2 N tokens / serving_speed.
struct serving {
  double tokens;        // served in its life
  double budget, loss;  // the whole cost, for the least loss; or a loss, for the least cost: one is NAN
  double training_speed, serving_speed;  // FLOPs for the price of one of training at speed 1
  double largest;                        // N is at most this; INFINITY: any
};
struct served {
  struct estimate parameters, tokens, loss, cost;
  double training_flops, serving_flops;  // of the fit itself, not divided by speeds
  double plain_parameters,
      plain_cost;            // the size that training alone would choose for this loss, and its whole cost; NAN
  bool at_limit;             // N ends at the largest one allowed
  double unbounded;          // share of resamples (1: the fit itself) without a best size
  double score;              // what is least for the best: the loss, or the logarithm of the cost
  const double *scores;      // [fitted_law_rows(&fitted)], in the arena
  struct fitted_law fitted;  // by which the intervals are: of at most 200 resamples for a loss
};
// Least loss for a budget, or least cost for a loss, over N and D, at the fit and at every resample. Errors as
// fitted_law_allocate; a loss that no size and duration reaches.
bool fitted_law_serve(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                      size_t input_count, const struct serving *serving, struct served *served, struct error *error);

// What a run of (N, D) costs next to the compute-optimal one: the loss that its compute could have reached, and the
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
  const double *losses;    // [fitted_law_rows]
  struct estimate behind;  // loss - loss of the best; filled in
  double share_best;       // of the replicates
};
// Returns the best one's index, or -1 when none has a loss; *decided: no other one's interval of `behind` holds 0.
int alternatives_judge(struct alternative *alternatives, size_t count, const struct fitted_law *fitted, bool *decided);
