// What the files of predictions share.
#pragma once
#include "runner/fits/predict.h"

// The rows of a table as inputs of the law, with what is left unsaid put in: a category column's baseline, the errors
// of a format where the law wants those (gmse_weights, ...).
bool predict_inputs(struct predict_report *report, const struct table *table, size_t row, struct law_input **inputs,
                    size_t *count, struct error *error);

// Whether what is asked with --at can be asked: names that the law or the store knows, numbers where the law reads
// numbers, texts where it reads categories, parameters, tokens and FLOPs above 0. Else false with an error that says
// which.
bool predict_check_questions(struct predict_report *report, const struct table *points, struct error *error);
// False with an error when a point of --at has no prediction (a column is missing, the law gives no number there),
// unless that is for a category that no row has: to that the answer is that these runs cannot tell.
bool predict_check_answers(const struct predict_report *report, struct error *error);
// Fills the contests: --formats with --budget, --memory or --at.
bool predict_formats(struct predict_report *report, const struct predict_arguments *arguments,
                     const struct table *budgets, const struct table *points, struct error *error);
// The points along --schedule and the best schedule as a table, with the other columns of --at; empty without.
bool predict_schedules(struct predict_report *report, const struct predict_arguments *arguments,
                       const struct table *contexts, struct table *table, struct error *error);
// Whether bits or an error of a format is what the column holds.
bool number_of_format(const char *column);
bool input_given(const struct law_input *inputs, size_t count, const char *name, double *number);

// --table FILE, its columns by --map as far as it has them, its rows by --table-where; nothing where none is given.
bool predict_read_table(struct predict_report *report, const struct predict_arguments *arguments, struct table *table,
                        struct error *error);
// Holds the points from `first` on, one a row of the table, against what the table says of their outcome.
void predict_score(struct predict_report *report, const struct table *table, size_t first);

// Of a law that is fitted by a column: takes the rows of the part that answers into the fit's options; and of the
// questions of a table those that are its. Without a part they do nothing.
void predict_take_part(struct predict_report *report, const struct predict_arguments *arguments);
void predict_keep_part(const struct predict_report *report, struct table *questions);
// The estimate of an allocation that these runs do not determine, or its N.
const struct estimate *predict_loosest(const struct allocation *allocation);
// What is not told with confidence has no interval.
void predict_withhold(struct estimate *estimate);
// Fills where N and D of an answer (with its other inputs) lie outside the fitted ranges; returns the largest factor.
double predict_outside(struct predict_report *report, const struct law_input *inputs, size_t count, double parameters,
                       double tokens, const struct outside **outside, size_t *outside_count);

// ---- formats, see predict_formats.c ----

// The column that distinguishes formats; takes COLUMN= off the list.
bool predict_format_column(struct predict_report *report, const char **list, struct error *error);
// Every category of that column that has a value, in the arena.
void predict_all_formats(struct predict_report *report, const char ***names, size_t *count);
// FORMAT=NUMBER among the items, or NAN; whether all are of that form.
double predict_setting(const struct option_list *list, const char *format);
bool predict_check_settings(const struct option_list *list, const char *option, struct error *error);
// Bits of a weight; NAN (an error with --memory) where they are not known.
bool predict_format_bits(const struct predict_arguments *arguments, const char *name, double *bits,
                         struct error *error);
// The inputs with the format put in (and its errors, where the law wants those).
bool predict_format_inputs(struct predict_report *report, const struct law_input *base, size_t base_count,
                           const char *name, struct law_input **inputs, size_t *count, struct error *error);

// ---- serving, see predict_serving.c ----

// Fills the serving answers: which N, D and format for each budget (or loss) and this traffic.
bool predict_serving(struct predict_report *report, const struct predict_arguments *arguments,
                     const struct table *budgets, const struct table *points, struct error *error);
void predict_serving_print(const struct predict_report *report, FILE *out);
void predict_serving_json(const struct predict_report *report, struct json_writer *writer);
// Lines of a sentence, further ones set in (predict_print.c); and what is said of where an answer lies.
void predict_add_line(struct text *lines, int indent, const char *sentence);
void predict_add_standing(const struct predict_report *report, struct arena *arena, const struct estimate *estimate,
                          const struct outside *outside, size_t count, int indent, struct text *lines);
// A value with its interval and status, and what lies outside (predict_json.c).
void predict_put_estimate(struct json_writer *writer, const char *key, struct estimate estimate);
void predict_put_inputs(struct json_writer *writer, const struct law_input *inputs, size_t count);
void predict_put_outside(const struct predict_report *report, struct json_writer *writer,
                         const struct estimate *estimate, const struct outside *outside, size_t count);
