// Sequential design: of runs that could be made, those that say most for their cost, one after the other. Part of the
// public face (fitting.h includes it).
#pragma once
#include "fitting/design.h"

// What a run costs comes in parts, each paid once: a row may stand for several runs (an average over seeds), and stages
// share the training before them.
struct design_costs {
  const size_t *begin;  // [rows + 1]: the parts of row r are part[begin[r]] .. part[begin[r + 1] - 1]
  const size_t *part;
  const double *flops;  // [part_count]
  const bool *paid;     // [part_count]: they are there already
  size_t part_count;
};

struct design_next_options {
  const bool *present, *candidate;  // [rows]: measured already; could be
  struct design_costs costs;
  // What the criterion is: the variance of this quantity (V-optimal), or that of the law's value at this row, which
  // need be neither present nor a candidate; without both the determinant of the covariance of all coefficients
  // (D-optimal).
  const char *target;
  size_t at;     // SIZE_MAX: none
  double until;  // stop when the 95 % interval of the target (without one: of every coefficient) is this wide, with a
                 // row more than there are coefficients
  bool share;    // `until` is a share of the value
  size_t limit;  // runs at most; 0: any number
};

// What is known with some of the runs, linearised.
struct design_standing {
  bool determined;              // every coefficient
  double log_determinant;       // of the covariance; INFINITY where not every coefficient is determined
  const char *quantity;         // the target; without one the coefficient with the widest interval for its value
  double value, se, low, high;  // of it; se INFINITY where it is not determined
  double width;                 // of the interval, over the value
};

struct design_step {
  size_t row;
  double flops, total;  // of this run, without what was paid before; of all up to it
  bool prior;           // chosen with the help of the prior
  struct design_standing after;
};

struct design_next_result {
  struct arena arena;
  const char *law;
  double noise;
  struct design_standing now, all;  // with what is present; with every candidate too
  double all_flops;                 // of every candidate
  size_t candidates;
  struct design_step *steps;
  size_t count;
  bool reached;  // what `until` asks
};

// Chooses among the candidate rows of the table: each time the one with the largest gain per FLOP of the criterion,
// which is worked out from the covariance A^-1 B A^-1 of the M-estimator at the assumptions (design_linear.c), all
// stages taken as one. While the target (without one: any coefficient) is not determined the gain is that of the
// determinant, and a prior makes it finite: the standard deviation of each coefficient is 100 % of its value (of a
// positive one, 1 in its logarithm). Where `until` is given the same is done with the gain per root of the FLOPs and
// with the gain alone too; from each list the runs are dropped, dearest first, without which `until` is reached all the
// same, and the cheapest list is returned. What stands in the steps is of the estimator itself, stages and all. Errors:
// as design_run; a row `at` in no stage of the law. design_next_free in either case.
bool design_next(const struct law *law, const struct table *table, const struct fit_options *fit,
                 const struct design_options *options, const struct design_next_options *next,
                 struct design_next_result *result, struct error *error);
void design_next_free(struct design_next_result *result);
