// exp and log over short arrays, written so that compilers vectorise them; the same bits on every machine (no fused
// operations, no table look-ups). Relative error below 4e-16 where the result is normal; n is a multiple of 8.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

// Functions marked so exist for several instruction sets; the machine picks one at start.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // what these weave in does not stand yet when the machine picks
#define FOR_EVERY_MACHINE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_MACHINE
#endif

static inline uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// exp(x) = 2^k exp(r), |r| <= log(2)/2, and the Taylor series of exp(r). Arguments are held within [-708, 709]; a NaN
// stays one.
static inline double exp_one(double x) {
  const double rounder = 0x1.8p52;  // adding it leaves the nearest integer in the low bits
  x = x < -708 ? -708 : x;
  x = x > 709 ? 709 : x;
  double shifted = x * 1.4426950408889634074 + rounder;
  double k = shifted - rounder;
  double r = x - k * 0x1.62e42fefa3800p-1;  // log(2) in two parts: the first times k is exact
  r = r - k * 0x1.ef35793c76730p-45;
  double sum = 1.0 / 6227020800.0;
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  double scale = double_of((bits_of(shifted) << 52) + ((uint64_t)1023 << 52));
  return sum * scale;
}

// log(x) = k log(2) + 2 atanh(s), s = (m - 1) / (m + 1), m in [sqrt(1/2), sqrt(2)). NaN below 0, -inf at 0; what is too
// small for a normal number counts as 0.
static inline double log_one(double x) {
  uint64_t bits = bits_of(x);
  // shifting the exponent's border from 1 to sqrt(1/2)
  uint64_t shifted = bits - bits_of(0.70710678118654752440);
  uint64_t exponent = (shifted >> 52) + ((uint64_t)(0 - (shifted >> 63)) << 12);  // sign carried
  double m = double_of(bits - (exponent << 52));
  double k = double_of((exponent + ((uint64_t)1 << 51)) | 0x4330000000000000u) - (0x1p52 + 0x1p51);
  double s = (m - 1) / (m + 1), z = s * s;
  double sum = 1.0 / 23;
  sum = sum * z + 1.0 / 21;
  sum = sum * z + 1.0 / 19;
  sum = sum * z + 1.0 / 17;
  sum = sum * z + 1.0 / 15;
  sum = sum * z + 1.0 / 13;
  sum = sum * z + 1.0 / 11;
  sum = sum * z + 1.0 / 9;
  sum = sum * z + 1.0 / 7;
  sum = sum * z + 1.0 / 5;
  sum = sum * z + 1.0 / 3;
  // 2 s + 2 s z sum, the small part and the low part of k log(2) first
  double high = k * 0x1.62e42fefa3800p-1, low = k * 0x1.ef35793c76730p-45;
  double result = high + (2 * s + (2 * s * z * sum + low));
  result = x < 0x1p-1022 ? -INFINITY : result;
  result = x > 0x1.fffffffffffffp1023 ? INFINITY : result;
  result = x < 0 ? NAN : result;
  return x != x ? x : result;
}
