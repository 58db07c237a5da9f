// Predictions: what is asked, and what comes out.
#pragma once
#include "runner/fits/input.h"

struct predict_arguments {
  struct fit_arguments fit;
  struct option_list at, budgets, bits, speeds;
  const char *table, *table_where, *formats, *cost;
  const char *part;  // of a law that is fitted by a column: the value whose fit answers; NULL: one fit of all rows
  double memory;     // bytes; NAN: not limited
  // Serving: tokens that the model is to serve, NAN: nothing is asked of that; the loss that it must reach, or money
  // that all may cost, instead of a budget; NAN: not said. FLOPs a second of the machine that is paid by the hour.
  double inference_tokens, loss, money, flops_per_second, price_per_hour;
  struct option_list serving_speeds;  // FORMAT=X, FORMAT=XFLOP/s, FORMAT=Xtokens/s@N; without FORMAT= of all
  struct option_list schedules;
  const char *best_schedule;  // "STEPS:PEAK[:WARMUP]"
  bool overtraining, json, csv;
};

// The schedule of least final loss, of a family that is searched; next to plain shapes of the same length and peak.
struct predict_plain {
  const char *shape;
  double loss;
};
struct predict_best {
  const char *text, *family;  // text: the schedule; NULL: none was asked for
  double loss;                // at its end
  struct predict_plain plain[4];
};

struct predict_point {
  const char *name;  // of a row of --table, or NULL
  const struct law_input *inputs;
  size_t input_count;
  struct prediction prediction;
  double observed;  // of a row of --table whose outcome is known; NAN else
  bool has_cost;
  struct overtraining cost;
};

struct predict_allocation {
  const struct law_input *inputs;  // besides N, D and C
  size_t input_count;
  struct allocation allocation;
  const struct outside *outside;
  size_t outside_count;
  bool far;  // a fitted range is left by more than ten times
};

struct predict_format {
  const char *name, *missing;
  double bits, speed;  // per weight (NAN: unknown), factor on the budget
  struct estimate parameters, tokens, loss;
  bool at_limit;  // N is all that the memory holds
  const struct outside *outside;
  size_t outside_count;
  double outside_most;  // 1: within the fitted ranges
};
// Formats held against each other at one budget, memory or point.
struct predict_contest {
  const char *what;      // "1e+21 FLOPs, 2e+09 bytes"
  double flops, memory;  // NAN: none
  const struct law_input *inputs;
  size_t input_count;
  struct predict_format *formats;
  struct alternative *alternatives;
  size_t count;
  int best;
  bool decided;
  double outside_most;      // of its formats
  const char *cannot_tell;  // why these runs do not tell which is best; NULL: they do, or say that it is undecided
};

// A model to train and serve: one format's.
struct predict_served {
  const char *name;  // of the format, or NULL
  const char *missing;
  double bits, training_speed, serving_speed, memory;  // bytes of its weights; NAN: not known
  double cost;                                         // the same as a number of seconds and of money below, in FLOPs
  double seconds, money;                               // of training and serving; NAN: not asked
  struct served served;
  const struct outside *outside;
  size_t outside_count;
  bool far;
};
struct predict_serve {
  double budget, loss;  // what was asked: one is NAN
  const struct law_input *inputs;
  size_t input_count;
  struct predict_served *candidates;
  struct alternative *alternatives;
  size_t count;
  int best;
  bool decided;
  const char *cannot_tell;
};

// What a column of the law was taken to be where nothing was said of it.
struct predict_default {
  const char *column, *value;
};

struct predict_report {
  struct arena arena;
  const char *source;               // what was fitted, or NULL: coefficients as given
  const struct fit_result *result;  // or NULL
  const struct law *law;
  struct fitted_law fitted;
  struct predict_default *defaults;  // what was taken where nothing was said
  size_t default_count;
  const char *format_column;
  struct predict_point *points;
  size_t point_count;
  struct predict_best best;
  struct prediction_score score;  // of the rows of --table whose outcome is known
  struct predict_allocation *allocations;
  size_t allocation_count;
  struct predict_contest *contests;
  size_t contest_count;
  struct predict_serve *serves;
  size_t serve_count;
  const struct predict_arguments *arguments;
  // What `law` and `result` point to, and what was fitted.
  struct law own_law;
  struct fit_result own_result;
  struct fit_input input;
};

// Answers from a fit of `source` (see fit_input_begin), or with source NULL from the coefficients of the options.
// predict_free in either case; the report must not be copied.
bool predict(struct predict_report *report, const char *source, const struct predict_arguments *arguments,
             const struct fit_options *options, struct error *error);
void predict_free(struct predict_report *report);
// The values of the column that the law is fitted by (--by, or the entry's) of which something is asked, in the arena:
// those that --at and --table name. None where one fit of all rows answers. False with an error where a question says
// none of them, or one that no row has.
bool predict_parts(const char *source, const struct predict_arguments *arguments, const struct fit_options *options,
                   struct arena *arena, const char ***values, size_t *count, struct error *error);
// Whether the options of serving go together.
bool predict_serving_check(const struct predict_arguments *arguments, struct error *error);
void predict_print(const struct predict_report *report, FILE *out);
// The points along schedules as CSV: schedule, step, learning rate, loss and its intervals, how far outside.
void predict_csv(const struct predict_report *report, FILE *out);
void predict_json(const struct predict_report *report, struct json_writer *writer);
