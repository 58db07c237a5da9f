// What the files of the fit commands share.
#pragma once
#include <stdio.h>

#include "base/hash.h"
#include "runner/fits/experiment.h"

enum { FIT_NOTES = 16 };

// What happened to a table before the fit.
struct fit_notes {
  size_t rows_before;  // 0: no reduction
  double noise;        // standard deviation of ln(loss) between the runs averaged, or NAN
  size_t noise_degrees;
  const char *warnings[FIT_NOTES];  // in the table's arena
  size_t warning_count;
  size_t duplicates;     // rows left out because they repeat others
  struct digest digest;  // of the finished runs, see table_digest_of
  size_t rows_read;
};

struct reductions {
  const char *const *best_over, *const *average_over, *const *keys;
  size_t best_over_count, average_over_count, key_count;
  const char *best_by;  // NULL: loss
  bool keep_empty;      // average_over keeps configurations without a target, which best_over leaves out
};

// The columns that best_by (NULL: loss) is made of, in the arena; none where it is no expression.
const char **reduction_outcomes(struct arena *arena, const char *best_by, size_t *count);
// average_over, then best_over. Keys: see table_best_over.
bool reduce_table(struct table *table, const char *target, const struct reductions *reductions, struct fit_notes *notes,
                  struct error *error);
// fit_experiment_table, with a further condition on rows (or NULL), telling what it did; rows of several stages get a
// warning, unless all of the laws that they are for (there may be none) tell stages apart.
bool fit_entry_table(const struct spec *spec, const struct spec_fit *entry, const struct law *laws, size_t law_count,
                     const char *where, struct store *store, struct table *table, struct fit_notes *notes,
                     struct error *error);
// The entry's fit options, where `overrides` (or NULL) says nothing else. An entry may be a spec's or what the command
// line says of one.
struct fit_options fit_entry_options(const struct spec_fit *entry, const struct fit_options *overrides);
// The entry with what the command line says instead: best_over, average_over, the law (NULL: the entry's).
struct spec_fit fit_entry_merged(const struct spec_fit *entry, const struct spec_fit *said, const char *law);
// The spec's entry of this name or law; without a name the only one. NULL with an error that lists them. A spec without
// entries, and a law that is none of several entries' while none is named, are errors too.
const struct spec_fit *fit_entry_find(const struct spec *spec, const char *named, const char *law, struct error *error);
// Loads a law and prints its mistakes on standard error.
bool law_open(struct law *law, const char *name_or_path, struct error *error);

// The finished runs of the spec's experiment, one row each, with every run column. table_free in either case.
bool finished_runs_table(const struct spec *spec, struct store *store, struct table *table, struct error *error);

// A fit, and what claims need of it besides its result.
struct fitted {
  struct fit_result result;
  // [result.bootstrap], in the result's arena: the error on held-out rows of every resample, of coefficients and
  // held-out rows both; fits that hold out the same rows draw the same ones. NULL without held-out rows or resamples.
  const double *holdout_replicates;
};

// Judges the spec's claims by its fits and runs, keeps the outcomes in the store and prints them (report may be NULL);
// adds the number of claims that are not held.
bool fit_claims(const struct spec *spec, const struct fitted *fits, size_t fit_count, struct store *store, FILE *report,
                size_t *not_held, struct error *error);

// What the fit for people says after its coefficients and warnings.
void fit_print_diagnosis(const struct fit_result *result, const struct fit_print_options *options, FILE *out);
// Fits by the values of a column, for people: one table of their coefficients, what each stands on, what is left out.
void fit_parts_print(const struct fit_parts *parts, const struct law *law, FILE *out);
// Warns when the fitted rows differ in dtype, backend or corpus.
void warn_of_mixture(const struct table *table, struct fit_result *result);
// The fit on one screen of at most 100 columns; what has no room is counted.
void fit_print_screen(const struct fit_result *result, const struct law *law, const struct fit_notes *notes, FILE *out);
// The fit for people: first what the law is fitted for.
void fit_print(const struct fit_result *result, const struct law *law, const struct fit_notes *notes,
               const struct fit_print_options *options, FILE *out);
