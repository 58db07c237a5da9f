// What the files of predictions share.
#pragma once
#include "runner/fits/predict.h"

// The rows of a table as inputs of the law, with what is left unsaid put in: a category column's baseline, the errors
// of a format where the law wants those (gmse_weights, ...).
bool predict_inputs(struct predict_report *report, const struct table *table, size_t row, struct law_input **inputs,
                    size_t *count, struct error *error);
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
