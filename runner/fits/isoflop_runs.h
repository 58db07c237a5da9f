// Compute-optimal sizes (fitting/isoflop.h) of an experiment's runs: what `isoloss isoflop SPEC`, the entries of a
// spec's `fit` with `method: isoflop`, and the report share.
#pragma once
#include <stdio.h>

#include "fitting/fitting.h"
#include "plots/plot_isoflop.h"
#include "results/store.h"
#include "runner/spec/spec.h"

// What an entry says as options of isoflop_run; its noise, where it names any, is kept in `noise`.
bool isoflop_entry_options(const struct spec_isoflop *entry, struct isoflop_noise *noise,
                           struct isoflop_options *options, struct error *error);
// Of the finished runs that the entry's and `where` (or NULL) leave, with N as the entry counts it. Validation curves
// are read where the options need them: for the envelope, and for budgets that are given. isoflop_free in either case.
bool isoflop_of_runs(const struct spec *spec, const struct spec_isoflop *entry, const char *where, struct store *store,
                     const struct isoflop_options *options, struct isoflop *result, struct error *error);
// Of an entry of the spec.
bool isoflop_of_entry(const struct spec *spec, const struct spec_isoflop *entry, const char *where, struct store *store,
                      struct isoflop *result, struct error *error);

// A table in a CSV file: its columns by other names (--map), a condition on its rows, both or none.
struct isoflop_table {
  const char *path, *map, *where;
  bool keep_duplicates;  // else rows that repeat others count once
};
// Of its rows; what the reader notes and doubtful units are warnings of the result. isoflop_free in either case.
bool isoflop_of_table(const struct isoflop_table *given, const struct isoflop_options *options, struct isoflop *result,
                      struct error *error);

void isoflop_print(const struct isoflop *result, FILE *out);
// For the figures; points into the result.
struct plot_isoflop isoflop_drawing(const struct isoflop *result, struct arena *arena);
// Writes the figures of budgets to the folder and tells their paths on standard error.
bool isoflop_draw(const struct isoflop *result, const char *folder, struct error *error);
