// What deriving quantities (fit_derived.c) and asking whether the rows determine them (fit_derived_open.c) share.
#pragma once
#include "fitting/fit_internal.h"

// The coefficient values that derived quantities are computed at: the estimate, every resample, every jackknife
// value, every one with another choice from a grid.
struct value_sets {
  size_t count, resamples, left_out, width;
  const double *estimate, *replicates, *jackknife, *choice;  // [width], [resamples][width], [left_out][width], ...
};
// Quantity d at one point, for every set of values: into results [sets->count]. earlier [sets->count][derived_count].
bool derive_sets(const struct fit *fit, int d, double point, const struct value_sets *sets, double *earlier,
                 double *results, struct error *error);
// The point-th value of a quantity's `at`, to two digits where it follows from the data.
double derived_point(const struct fit *fit, const struct law_derived *what, int point);
// What is known of quantities that are not determined: their notes. After all statuses.
bool fit_note_derived(struct fit *fit, struct error *error);
// Whether it is p / (p + q) of coefficients that are not negative, and so lies between 0 and 1.
bool derived_is_share(const struct fit *fit, const struct expression *expression);
