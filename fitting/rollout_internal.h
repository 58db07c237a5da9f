// Between the files of rollouts.
#pragma once
#include "fitting/fit_internal.h"

// What is known after a refit of the stages so far: the elements fitted in them and the covariance of their errors.
struct staged {
  int *elements, count;
  double *covariance;  // [count][count], of internal coordinates
  double degrees;      // the fewest of a stage
  bool unknown;        // a stage before had no degrees of freedom
};
// Adds a stage of the refit, whose rows are those kept[row], and the intervals of all of its rows: half[row], on the
// fit's scale. False where the rows kept leave one of its coefficients open. Memory comes from the arena.
bool staged_intervals(const struct fit *fit, const struct refit *refit, const struct fit_stage *stage, const bool *kept,
                      struct staged *staged, double *half, struct arena *arena);
