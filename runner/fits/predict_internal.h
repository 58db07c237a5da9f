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
// Whether bits or an error of a format is what the column holds.
bool number_of_format(const char *column);
bool input_given(const struct law_input *inputs, size_t count, const char *name, double *number);
