// Where a fit comes from, so that anybody can make it again: the command, the settings given or taken by default, the
// data by their digests.
#pragma once
#include "runner/fits/arguments.h"

struct fit_source {
  const char *source;                     // the argument of `isoloss fit`: "runs.csv", "sweep.yaml:chinchilla"
  const struct fit_arguments *arguments;  // of the command line; NULL: none
  const struct spec_fit *entry;           // with what the command line changed
  const struct fit_data *data;
  size_t data_count;
};
// Fills in result->made.
void fit_made_fill(struct fit_result *result, const struct fit_options *options, const struct fit_source *source);
// Whether an option ("--where") changes what a fit is, and not only how it is shown or kept.
bool fit_option_matters(const char *option);

// False with an error when the data are not those that were expected; another version is reported on standard error.
bool fit_made_compare(const struct fit_made *expected, const struct fit_made *made, struct error *error);

// What the fit sees of a table, as a digest: names of rows, and their cells in these columns (those that are there).
struct digest table_digest_of(const struct table *table, const char *const *columns, size_t count);
