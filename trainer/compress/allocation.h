// Which option each layer gets, so that the predicted loss increase is least and the bits are within a budget: the
// multiple-choice knapsack problem, solved exactly.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

struct allocation_option {
  double bits;   // stored, per weight
  double error;  // t^2 of this layer so
};
struct allocation_layer {
  int64_t weights;
  double alpha;  // loss increase per t^2
  const struct allocation_option *options;
  int count;
};
struct allocation {
  int *choice;      // [layers], the caller's: number of the option
  double increase;  // sum of alpha t^2
  double bits;      // per weight, of all layers together
};

// What a relative error t^2 of one layer costs: alpha, in nats per t^2, and its standard error, NAN where it was
// measured at one size alone.
struct sensitivity {
  double alpha, error;
};
// The line through the origin: least squares of rises y [count] on x = t^2 [count]; count at least 1, some x not 0.
struct sensitivity sensitivity_fit(const double *x, const double *y, int count);

// The same with one option for all: of those within the budget the one of least sum alpha t^2, among equals of fewer
// bits. Layers have the same number of options, in the same order. Errors as those of allocate.
bool allocate_uniform(const struct allocation_layer *layers, int count, double budget_bits,
                      struct allocation *allocation, struct error *error);
// The choice of least sum alpha_l t^2_{l, choice} with sum bits weights <= budget_bits * sum weights. Among equals the
// one of fewer bits, then of earlier options. Dynamic programming over undominated (bits, increase) pairs in units of
// the greatest common divisor of what options cost; exact. Errors (EXIT_USAGE_ERROR): a budget below the cheapest
// options (says the least one), alpha or t^2 negative or not finite, a layer without options.
bool allocate(const struct allocation_layer *layers, int count, double budget_bits, struct allocation *allocation,
              struct error *error);
