// What a fit is made on, by the name that the command line gives it: the runs of a spec (SPEC.yaml or an experiment's
// name, with :ENTRY for one of its fit entries), a table (TABLE.csv), or an imported table (its name); with the rows of
// further ones
// (--pool) below it.
#pragma once
#include "runner/fits/arguments.h"
#include "runner/fits/internal.h"
#include "runner/fits/standing.h"

struct fit_input {
  struct arena arena;
  const char *source;  // as given
  const char *name;    // of the source, as messages and the store's table of fits call it
  const char *law;     // of --law, else the entry's, else chinchilla
  struct fit_options options;
  struct table table;
  struct fit_notes notes;
  struct table left_out;        // points of curves that are not fitted (runner/fits/curves.h)
  const struct law *curve_law;  // of the caller's laws, the one that sums over schedules; NULL: none does
  bool runs;                    // the table's rows are runs of the store, with costs counted per operation
  // of a spec
  bool has_spec;
  struct spec spec;
  struct spec_fit merged;        // the spec's entry with what the arguments change
  const struct spec_fit *entry;  // that one; of a table, what the arguments say
  struct standing standing;
  struct fit_data *data;  // what was read
  size_t data_count;
  const struct fit_arguments *arguments;
};

// Finds out what `source` is, opens the spec and its entry (the one that is named, else the one of the law, else the
// only one), and completes the fit's options from the entry. fit_input_free in either case.
bool fit_input_begin(struct fit_input *input, const char *source, const struct fit_arguments *arguments,
                     const struct fit_options *options, struct error *error);
// Reads the rows, reduced as the entry or the arguments say; the columns of the laws tell which rows are alike.
bool fit_input_read(struct fit_input *input, const struct law *laws, size_t law_count, struct error *error);
// Puts what happened to the rows into the fit's result: warnings, duplicates, runs of different arithmetic.
void fit_input_tell(const struct fit_input *input, struct fit_result *result);
void fit_input_free(struct fit_input *input);

// "sweep.yaml:entry" in two, in the arena; *entry is NULL without one.
const char *source_split(const char *source, struct arena *arena, const char **entry);

// Whether `source` names a spec, with or without :ENTRY: a file, or an experiment of the store. False with an error
// when the store cannot be read or has an experiment and an imported table of that name.
bool source_find(const char *source, bool *is_spec, struct error *error);
