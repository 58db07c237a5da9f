// A design in the making, as its files see it.
#pragma once
#include "fitting/fit_internal.h"

struct design {
  const struct law *law;
  const struct table *table;  // with losses 1: only which rows take part matters
  const struct fit_options *fit_options;
  const struct design_options *options;
  struct design_result *result;
  struct arena arena;
  struct fit fit;  // set up at the truth
  struct fit_result fit_result;
  double *truth;        // [element_count]: internal values
  double *predicted;    // [table rows]: the target at the truth
  double *noise;        // [table rows]: standard deviation of the residual as fitted
  int count, *element;  // the coefficients fitted in some stage: element numbers
  int *place;           // [element_count]: place in element, or -1
  double *gradients;    // [derived_count][count]: of derived quantities by internal coordinates
};

// The linearised estimator over the rows for which include[row] > 0 (that many copies of it).
struct linear {
  double *covariance;  // [count][count]
  double *score;       // [count][table rows]: change of a coefficient by the psi of a row
  bool *unidentified;  // [count]
  double condition;
};
// Makes `ones` the table with losses of 1 and the design one of it. design_close in either case; `ones` stays until
// then.
bool design_open(struct design *design, const struct law *law, const struct table *table, const struct fit_options *fit,
                 const struct design_options *options, struct design_result *result, struct table *ones,
                 struct error *error);
void design_close(struct design *design);
// Lists coefficients and derived quantities with their truths.
void design_list_quantities(struct design *design);
// E[psi'] and E[psi^2] of a row.
void design_moments(const struct design *design, size_t row, double *slope, double *square);
// log det of a covariance [n][n]: of the correlations and of the scales; INFINITY where it is not positive definite.
double design_log_determinant(const double *covariance, size_t n, struct arena *arena);
// The 95 % interval of a value with this standard error: of a positive one that of its logarithm.
void design_interval(double value, double se, bool positive, double *low, double *high);
// Sets the fit up at the truth: rows, coefficients, predictions, derived quantities. Counts the rows in the result.
bool design_begin(struct design *design, struct error *error);
// The derivative of each row's residual by every coefficient, [table rows][count]; rows of no stage are zero.
double *design_jacobian(struct design *design);
// Fills `linear` (arrays of the caller). With words != NULL, combinations that are not identified are added to the
// result.
bool design_linear(const struct design *design, const double *jacobian, const int *include, struct linear *linear,
                   bool words, struct error *error);
// The best additional run for the target.
bool design_search(struct design *design, struct error *error);
// Simulated fits; fills the quantities' columns.
bool design_simulate(struct design *design, struct error *error);
// The index of the quantity of this name, or -1 with an error.
int design_target(const struct design *design, const char *name, struct error *error);
// Standard error of quantity q under a covariance.
double design_error_of(const struct design *design, const struct linear *linear, size_t quantity);
