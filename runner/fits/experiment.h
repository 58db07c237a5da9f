// The fit entries of a spec, fitted on the finished runs of its experiment and kept in the store: `isoloss fit SPEC`.
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "base/base.h"
#include "fitting/fitting.h"
#include "results/store.h"
#include "runner/fits/arguments.h"
#include "runner/spec/spec.h"

// How much of a fit is printed. A screen of it by default.
struct fit_print_options {
  bool residuals;  // every row
  bool details;    // the diagnosis whole: profiles, other objectives, the largest residuals
  bool profiles;   // profiles that were asked for
};

struct fit_experiment_options {
  const struct fit_options *overrides;  // of the command line; NULL: none. Its NULL and zero members leave the entry's
  const struct fit_arguments *arguments;  // what they were made from; NULL: none
  const char *entry;                      // fit only this one; NULL: every entry
  const char *law;                        // put this law on the entry's runs, or an entry's name or law; NULL: its own
  bool ad_hoc;                            // another fit than the spec's: printed, not kept, and claims are not judged
  const char *as;                         // keep it under this name all the same
  const struct fit_made *expected;        // --again: what the data must be; NULL: anything
  bool as_file;                           // see the experiment as the spec's file has it (standing.h)
  FILE *report;                           // coefficients, intervals and residuals for people; NULL: nothing is printed
  struct text *json;                      // gets the array of the contract for scripts; NULL: none
  size_t *claims_not_held;                // gets the number of claims that do not hold; NULL: not asked
  struct fit_print_options print;         // how much of it
};

// Fits every entry of spec->fits on the runs of experiment spec->name that are done (diverged and failed ones are
// counted as excluded), puts each document into the store, and judges the
// spec's claims when all entries were asked for. A spec without fit entries is no error: nothing is
// fitted. An entry that cannot be fitted (too few runs are done) stops nothing: the others are fitted, and the first
// error is returned in the end.
bool fit_experiment(const struct spec *spec, struct store *store, const struct fit_experiment_options *options,
                    struct error *error);

// The table that a fit entry sees: one row a finished run of the experiment, with every run column of the store
// (settings, quantities, outcomes), `parameters` counted as the entry says,
// after the entry's `where`, best_over and average_over.
// table_free in either case.
bool fit_experiment_table(const struct spec *spec, const struct spec_fit *entry, struct store *store,
                          struct table *table, struct error *error);
