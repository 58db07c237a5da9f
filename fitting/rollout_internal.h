// Between the files of rollouts.
#pragma once
#include "fitting/fit_internal.h"

// What is known after a refit of the stages so far: the elements fitted in them and the covariance of their errors.
struct staged {
  int *elements, count;
  double *covariance;   // [count][count], of internal coordinates
  double *influences;   // [groups][count]: what each group of rows moves them by; NULL where every row is by itself
  double degrees;       // the fewest of a stage
  const char *unknown;  // why there are no intervals from a stage on, or NULL
};
// A stage of a refit: `of` [own] are the places in stage->free of the coefficients that the rows kept tell of.
struct staged_part {
  const struct fit_stage *stage;
  const int *of;
  int own;
  const bool *kept;  // [table rows]
};
// Adds a stage of the refit, and the intervals of all of its rows: half[row], on the fit's scale. False where the rows
// kept leave one of its coefficients open. Memory comes from the arena.
bool staged_intervals(const struct fit *fit, const struct refit *refit, const struct staged_part *part,
                      struct staged *staged, double *half, struct arena *arena);
// "too few groups of rows (4) for 5 coefficients", in the arena.
const char *too_few_groups(struct arena *arena, int groups, int coefficients);
