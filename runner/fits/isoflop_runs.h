// Compute-optimal sizes (fitting/isoflop.h) of an experiment's runs: what `isoloss isoflop SPEC`, the entries of a
// spec's `fit` with `method: isoflop`, and the report share.
#pragma once
#include <stdio.h>

#include "fitting/fitting.h"
#include "plots/plot_isoflop.h"
#include "results/store.h"
#include "runner/spec/spec.h"

// Of the finished runs that `rows` (its where, averages and parameter_count) and `where` (or NULL) leave. Validation
// curves are read where the options need them: for the envelope, and for budgets that are given. isoflop_free in either
// case.
bool isoflop_of_runs(const struct spec *spec, const struct spec_fit *rows, const char *where, struct store *store,
                     const struct isoflop_options *options, struct isoflop *result, struct error *error);
// Of an entry of the spec.
bool isoflop_of_entry(const struct spec *spec, const struct spec_isoflop *entry, const char *where, struct store *store,
                      struct isoflop *result, struct error *error);

void isoflop_print(const struct isoflop *result, FILE *out);
// For the figures; points into the result.
struct plot_isoflop isoflop_drawing(const struct isoflop *result, struct arena *arena);
