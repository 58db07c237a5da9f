// Sparsity: which values are kept, how the density goes over a training, and how the gradient passes.
#pragma once
#include <stdint.h>

#include "kernels/formats/format.h"

// ---- schedules: pure functions of the step ----
// Steps [0, steps) of a training. With fractions of compute (a step costs its density), the first and last pruning
// stand where those shares of the whole training's compute are spent: with q1 = start, q2 = end - start, q3 = 1 - end
// and final density d, a training of T0 dense steps' compute has T0 (q1 + q2 ln(1/d) / (1 - d) + q3 / d) steps.

// Steps of the first and of the last pruning.
void sparsity_span(const struct sparsity *sparsity, int64_t steps, int64_t *first, int64_t *last);
// A schedule in fewer steps down than this is coarse: its shares of compute and its mean density are others.
enum { SPARSITY_FEW_PRUNINGS = 20 };
// Steps between prunings: the format's N of every(N), or fewer where a training is too short for SPARSITY_FEW_PRUNINGS
// with it: as many as give these; at least 1.
int64_t sparsity_interval(const struct sparsity *sparsity, int64_t steps);
// Share of values kept during `step`. Structured patterns have n / m throughout.
double sparsity_density(const struct sparsity *sparsity, int64_t step, int64_t steps);
// Prunings of a training of that many steps: how often the density steps down; 0 without a schedule.
int64_t sparsity_prunings(const struct sparsity *sparsity, int64_t steps);
// Whether the density of this step differs from the last one's (true at step 0 when it is below 1).
bool sparsity_prunes(const struct sparsity *sparsity, int64_t step, int64_t steps);
// Mean density over the steps: average active parameters over prunable ones.
double sparsity_average_density(const struct sparsity *sparsity, int64_t steps);
// Steps that cost as much as `dense_steps` without sparsity.
double sparsity_equal_compute_steps(const struct sparsity *sparsity, double dense_steps);
// Final share of zeroes.
double sparsity_amount(const struct sparsity *sparsity);

// ---- selection ----

struct float_span {
  const float *data;
  int64_t count;
};
// What is kept of a list of arrays: |x| > threshold, and of those equal to it the ones up to place `last_tie` of array
// `last_tie_span` (counting from 0; all arrays before it).
struct selection {
  float threshold;
  int last_tie_span;
  int64_t last_tie;
};
// Chooses the `keep` values of largest magnitude over all arrays together, exactly that many; among equal magnitudes
// earlier ones win. By counting the bits of the magnitudes, in three passes. NaN counts as the largest.
struct selection select_largest(const struct float_span *spans, int count, int64_t keep);

// ---- backward thresholds (Unified Scaling Laws for Compressed Representations 2025, section on masks) ----
// Magnitudes between which the gradient is blocked: |x| in [low, high). `threshold` is the forward one, rms that of the
// values.
struct blocked_band {
  float low, high;
};
struct blocked_band sparsity_blocked_band(const struct sparsity *sparsity, double threshold, double rms);

// ---- exact errors on Gaussian data ----
// Mean squared error on N(0, 1) when the pattern is applied and what is kept is rounded to grid times scale (grid NULL:
// left alone). False when there is no closed form.
bool sparsity_gaussian_error(const struct sparsity *sparsity, const struct grid *grid, double scale, double *error);
