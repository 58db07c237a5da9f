// What a fit is made on, by the name that the command line gives it: the runs of a spec (SPEC.yaml, or SPEC.yaml:ENTRY
// for one of its fit entries), a table (TABLE.csv), or an imported table (its name); with the rows of further ones
// (--pool) below it.
#pragma once
#include "runner/fits/arguments.h"
#include "runner/fits/internal.h"

struct fit_input {
  struct arena arena;
  const char *name;  // of the source, as messages and the store's table of fits call it
  const char *law;   // of --law, else the entry's, else chinchilla
  struct fit_options options;
  struct table table;
  struct fit_notes notes;
  bool runs;  // the table's rows are runs of the store, with costs counted per operation
  // of a spec
  bool has_spec;
  struct spec spec;
  const struct spec_fit *entry;
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

// True when `source` names a spec's file, with or without :ENTRY.
bool source_is_spec(const char *source);
