// Designs for people.
#pragma once
#include "runner/fits/design_specs.h"

// One fit of one spec: intervals to expect, what cannot be separated, the run to add.
void design_print(const struct design_result *result, const char *fit, const struct design_truth *truth,
                  const char *noise_source, const char *target, FILE *out);
// The line above it: rows, noise, what is assumed.
void design_print_head(const struct design_result *result, const char *fit, const struct design_truth *truth,
                       const char *noise_source, FILE *out);
void design_print_cost(const struct design_spec *spec, FILE *out);
// Which of several designs of the same fit is better, per parameter and over all.
void design_print_comparison(const struct design_result *results, const struct design_spec *specs, size_t count,
                             FILE *out);
// The design with the smallest error of a quantity of the first one, or -1 when none identifies it.
int design_best_of(const struct design_result *results, size_t count, const char *quantity, double *error);
int design_best_overall(const struct design_result *results, size_t count);
