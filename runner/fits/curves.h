// Loss curves as the rows of a fit: points of tables and of the store's runs, with the runs' schedules of the learning
// rate, for laws that sum over these (fitting/curves.h).
#pragma once
#include "runner/fits/input.h"

// Completes the input's table for the first of the laws that sums over a schedule: schedules (of --schedules, or of
// logged learning rates), the rows of --where, and at most --points of each run. Other laws change nothing; options of
// curves are an error with them.
bool curves_prepare(struct fit_input *input, const struct law *laws, size_t law_count, struct error *error);
// The points of the curves of the spec's finished runs, of `kind` "train" or "eval" (logged losses of batches, or of
// evaluations): the run's columns, with loss, tokens, step and lr of the point and its run's name in `run`.
bool curves_of_runs(const struct spec *spec, struct store *store, const char *kind, struct table *table,
                    struct error *error);
// What pieces of schedules and points left out change, as warnings of the fit.
void curves_tell(const struct fit_input *input, struct fit_result *result);
