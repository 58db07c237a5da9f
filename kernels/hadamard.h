// The fast Walsh-Hadamard transform on the host, of plain arrays and without a factor; formats transform theirs by
// vectors (kernels/formats/pass_transform.h).
//
// hadamard_float, hadamard_double (x [n], n, block): in place, block by block, x -> H x with H(i, j) = (-1)^(bits that
// i and j share); `block` is a power of two that divides n. H H = block times the identity.
#pragma once
#include <stdint.h>

#define DEFINE_HADAMARD(type)                                             \
  static inline void hadamard_##type(type *x, int64_t n, int64_t block) { \
    for (int64_t distance = 1; distance < block; distance *= 2)           \
      for (int64_t at = 0; at < n; at += 2 * distance)                    \
        for (int64_t i = at; i < at + distance; i++) {                    \
          const type a = x[i], b = x[i + distance];                       \
          x[i] = a + b;                                                   \
          x[i + distance] = a - b;                                        \
        }                                                                 \
  }
DEFINE_HADAMARD(float)
DEFINE_HADAMARD(double)
