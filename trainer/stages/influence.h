// Arithmetic of choosing windows by influence, on numbers alone: sketches of gradients, what landmarks say of the rest,
// which windows follow. seed: keys what is drawn. Source: Influence Distillation (arXiv 2505.19051).
#pragma once
#include <stdint.h>

#include "base/base.h"

// Random projections of vectors of `count` elements to `dimensions`, which keep inner products on average: signs drawn
// by the seed, a Hadamard transform over the next power of two, and so many of its coordinates (all, where there are no
// more: inner products are then exact).
struct sketcher {
  int64_t count, padded, dimensions;
  uint64_t seed;
  float *work;  // [padded]
};
struct sketcher sketcher_make(int64_t count, int64_t dimensions, uint64_t seed);
void sketcher_free(struct sketcher *sketcher);
// `x` [count] to `out` [sketcher->dimensions], times `scale`.
void sketch(struct sketcher *sketcher, const float *x, double scale, float *out);

// Kernel ridge regression with the kernel exp(-d^2 / (2 b^2)), b the median distance between landmarks, and `damping`
// of the kernel's mean diagonal: predicts `values` [landmarks, columns] at `at` [points, dimensions] from those of the
// landmarks `x` [landmarks, dimensions]. out [points, columns]. False with an error of LAPACK's.
bool ridge_predict(const float *x, int64_t landmarks, int64_t dimensions, const double *values, int64_t columns,
                   double damping, const float *at, int64_t points, double *out, struct error *error);

// The `count` windows of largest p [windows], largest first; of equal ones the earlier.
void choose_largest(const double *p, int64_t windows, int64_t count, int64_t *chosen);
// Round robin: targets, in an order drawn by the seed, take in turn the window of largest influence on them that is not
// taken yet. p is [windows, targets].
void choose_round_robin(const double *p, int64_t windows, int64_t targets, int64_t count, uint64_t seed,
                        int64_t *chosen);
// Weights w >= 0 with sum `count` that minimise -p.w + lambda/2 |w|^2, w = max(0, (p - tau) / lambda), for the lambda
// at which `count` windows have one, found by bisection. Of chosen windows, in the order of choose_largest, which they
// are; p, chosen as there. Returns lambda.
double linear_weights(const double *p, int64_t windows, int64_t count, int64_t *chosen, double *weights);
