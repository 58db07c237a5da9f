// What the tests of kernels and of the CUDA backend share: numbers at random, types, and how values are compared.
#pragma once
#include <stdlib.h>

#include "kernels/bfloat16.h"
#include "kernels/kernels.h"
#include "tests/check.h"

static uint64_t random_state = 88172645463325252u;
static inline double random_number(void) {  // uniform in (-1, 1)
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (double)(int64_t)random_state / 9223372036854775808.0;
}

static inline double rounded(enum dtype dtype, double value) {
  return dtype == DTYPE_FLOAT32 ? (float)value : bfloat16_value(bfloat16_nearest((float)value));
}
// Values to and from memory that holds `dtype`.
static inline void values_store(enum dtype dtype, int64_t count, const double *values, void *memory) {
  for (int64_t i = 0; i < count; i++)
    if (dtype == DTYPE_FLOAT32)
      ((float *)memory)[i] = (float)values[i];
    else
      ((uint16_t *)memory)[i] = bfloat16_nearest((float)values[i]);
}
static inline void values_load(enum dtype dtype, int64_t count, const void *memory, double *values) {
  for (int64_t i = 0; i < count; i++)
    values[i] = dtype == DTYPE_FLOAT32 ? ((const float *)memory)[i] : bfloat16_value(((const uint16_t *)memory)[i]);
}

// Of values beside the right ones: what they are off by, and where most.
struct distance {
  double largest, square;  // of the right ones: magnitude, sum of squares
  double worst, off_square;
  int64_t at;
};
static inline struct distance distance_of(const double *got, const double *want, int64_t count) {
  struct distance d = {0};
  for (int64_t i = 0; i < count; i++) {
    double off = fabs(got[i] - want[i]);
    d.largest = fmax(d.largest, fabs(want[i]));
    d.square += want[i] * want[i];
    d.off_square += off * off;
    if (!(off <= d.worst)) d.worst = off, d.at = i;
  }
  return d;
}
// The root mean square of the difference is within `tolerance` of that of the right ones, and no element off by more
// than 8 times as much of the largest. `cancelled` is allowed to each element besides: what is left where terms cancel.
static inline bool distance_within(const struct distance *d, int64_t count, double tolerance, double cancelled) {
  cancelled += 1e-30;
  return sqrt(d->off_square) <= tolerance * sqrt(d->square) + cancelled * sqrt((double)count) &&
         d->worst <= 8 * (tolerance * d->largest + cancelled);
}
static inline bool values_check(const double *got, const double *want, int64_t count, double tolerance,
                                double cancelled, const char *what) {
  struct distance d = distance_of(got, want, count);
  if (distance_within(&d, count, tolerance, cancelled)) return true;
  check_failures++;
  printf("# %s: element %lld of %lld is %.9g, want %.9g; rms off %.3g of %.3g, allowed relative %.3g\n", what,
         (long long)d.at, (long long)count, got[d.at], want[d.at], sqrt(d.off_square), sqrt(d.square), tolerance);
  return false;
}
