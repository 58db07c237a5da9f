// A quantizer of vectors for what workers exchange: a vector by its norm, signs, and magnitudes over the norm rounded
// at random, without bias, to a neighbour among levels 0 = l_0 < l_1 < ... < l_n = 1 (Alistarh et al. 2017, QSGD),
// which may be fitted to what is sent so that the rounding's variance is least (Faghri et al. 2020, ALQ; arXiv
// 2505.14371).
#pragma once
#include <stdint.h>

#include "base/base.h"

enum { LEVELS_MOST = 128 };
struct levels {
  int count;                       // of levels above 0
  double values[LEVELS_MOST + 1];  // ascending, from 0 to 1
};

struct levels levels_uniform(int count);      // k / count
struct levels levels_exponential(int count);  // 2^(k - count), and 0

// The summed variance of rounding magnitudes u [count], each between 0 and 1: for u between neighbours a and b it is
// (u - a) (b - u).
double levels_variance(const struct levels *levels, const double *u, size_t count);
// Levels of less summed variance, or the same, than these and uniform ones: each in turn is moved to where it is best
// between its neighbours, until none moves. u is sorted.
struct levels levels_fit(const struct levels *from, double *u, size_t count);

// out [count] = x represented, each element's draw by Philox (seed, stream, step, first + its number). The expectation
// over draws is x. x and out may be the same. A norm of 0 or one that is not finite: out is x.
void levels_round(const struct levels *levels, const double *x, size_t count, uint64_t seed, uint32_t stream,
                  uint64_t step, uint64_t first, double *out);
// Bytes of such a vector: the norm in float32, and a symbol of equal length for each element.
int64_t levels_bytes(const struct levels *levels, int64_t count);
