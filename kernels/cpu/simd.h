// Vectors of floats for one instruction set level. A file that includes this is compiled once per level with
// SIMD_LEVEL set to the level's number (enum isa_level); everything here is static, so the levels do not meet.
// Multiply-add is written `fma_add` where it may fuse: contraction is off elsewhere, so a level's results depend on
// nothing but its source.
#pragma once
#include <stdint.h>
#include <string.h>

#include "kernels/ops.h"

#if SIMD_LEVEL >= 2
#define LANES 16
#elif SIMD_LEVEL == 1
#define LANES 8
#else
#define LANES 4
#endif
#if SIMD_LEVEL > 0
#include <immintrin.h>
#endif

typedef float vfloat __attribute__((vector_size(LANES * 4)));
typedef int32_t vint __attribute__((vector_size(LANES * 4)));
typedef uint32_t vuint __attribute__((vector_size(LANES * 4)));
typedef uint16_t vhalf __attribute__((vector_size(LANES * 2)));
// The same, as found in memory: any alignment of its elements.
typedef float vfloat_memory __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint16_t vhalf_memory __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline, unused))

INLINE size_t dtype_size(enum dtype dtype) { return dtype == DTYPE_FLOAT32 ? 4 : 2; }
INLINE vfloat splat(float value) { return value - (vfloat){0}; }
INLINE vfloat load(const float *from) { return *(const vfloat_memory *)from; }
INLINE void store(float *to, vfloat value) { *(vfloat_memory *)to = value; }

// The first `count` (1 .. LANES - 1) elements, zeroes behind them; memory past them is not touched.
INLINE vfloat load_part(const float *from, int64_t count) {
#if SIMD_LEVEL >= 2
  return (vfloat)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
#elif SIMD_LEVEL == 1
  return (vfloat)_mm256_maskload_ps(from, (__m256i)((vint){0, 1, 2, 3, 4, 5, 6, 7} < (int32_t)count));
#else
  vfloat value = {0};
  memcpy(&value, from, (size_t)count * sizeof(float));
  return value;
#endif
}

INLINE void store_part(float *to, vfloat value, int64_t count) {
#if SIMD_LEVEL >= 2
  _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)value);
#elif SIMD_LEVEL == 1
  _mm256_maskstore_ps(to, (__m256i)((vint){0, 1, 2, 3, 4, 5, 6, 7} < (int32_t)count), (__m256)value);
#else
  memcpy(to, &value, (size_t)count * sizeof(float));
#endif
}

// a * b + c, rounded once where the level has the instruction.
INLINE vfloat fma_add(vfloat a, vfloat b, vfloat c) {
#if SIMD_LEVEL >= 2
  return (vfloat)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif SIMD_LEVEL == 1
  return (vfloat)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// a where the condition's lane is all ones, b where it is 0.
INLINE vfloat select_lanes(vint condition, vfloat a, vfloat b) {
  return (vfloat)((condition & (vint)a) | (~condition & (vint)b));
}

// Both give b where either is a NaN.
INLINE vfloat vector_max(vfloat a, vfloat b) {
#if SIMD_LEVEL >= 2
  return (vfloat)_mm512_max_ps((__m512)a, (__m512)b);
#elif SIMD_LEVEL == 1
  return (vfloat)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return select_lanes(a > b, a, b);
#endif
}

INLINE vfloat vector_min(vfloat a, vfloat b) {
#if SIMD_LEVEL >= 2
  return (vfloat)_mm512_min_ps((__m512)a, (__m512)b);
#elif SIMD_LEVEL == 1
  return (vfloat)_mm256_min_ps((__m256)a, (__m256)b);
#else
  return select_lanes(a < b, a, b);
#endif
}

INLINE vfloat vector_sqrt(vfloat a) {
#if SIMD_LEVEL >= 2
  return (vfloat)_mm512_sqrt_ps((__m512)a);
#elif SIMD_LEVEL == 1
  return (vfloat)_mm256_sqrt_ps((__m256)a);
#else
  for (int lane = 0; lane < LANES; lane++) a[lane] = __builtin_sqrtf(a[lane]);
  return a;
#endif
}

// Sum and maximum over lanes, pairwise in a fixed order.
#if SIMD_LEVEL >= 2
INLINE float lane_sum(vfloat value) {
  __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)value), _mm512_extractf32x8_ps((__m512)value, 1));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INLINE float lane_max(vfloat value) {
  __m256 eight = _mm256_max_ps(_mm512_castps512_ps256((__m512)value), _mm512_extractf32x8_ps((__m512)value, 1));
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
#else
INLINE float lane_sum(vfloat value) {
  float lanes[LANES];
  memcpy(lanes, &value, sizeof lanes);
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

INLINE float lane_max(vfloat value) {
  float lanes[LANES];
  memcpy(lanes, &value, sizeof lanes);
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; lane++)
      lanes[lane] = lanes[lane] > lanes[lane + half] ? lanes[lane] : lanes[lane + half];
  return lanes[0];
}
#endif

// bfloat16 is the upper half of a float32; rounding is to nearest, ties to even; a NaN stays one.
INLINE vfloat bfloat16_widen(vhalf half) {
#if SIMD_LEVEL >= 2  // the compiler would do it by halves
  return (vfloat)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)half), 16);
#else
  return (vfloat)(__builtin_convertvector(half, vuint) << 16);
#endif
}

INLINE vhalf bfloat16_round(vfloat value) {
#if SIMD_LEVEL >= 3
  return (vhalf)_mm512_cvtneps_pbh((__m512)value);  // the same, but for subnormals, which become zeroes
#else
  vuint bits = (vuint)value;
  vuint rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  vuint quiet = (bits >> 16) | 0x40;
  vint number = value == value;
  rounded = (rounded & (vuint)number) | (quiet & ~(vuint)number);
  return __builtin_convertvector(rounded, vhalf);
#endif
}

// Elements index .. index + LANES - 1 of an array of `dtype`, as floats. With a constant dtype the test is compiled
// away.
INLINE vfloat load_as(enum dtype dtype, const void *array, int64_t index) {
  if (dtype == DTYPE_FLOAT32) return load((const float *)array + index);
  return bfloat16_widen(*(const vhalf_memory *)((const uint16_t *)array + index));
}

INLINE void store_as(enum dtype dtype, void *array, int64_t index, vfloat value) {
  if (dtype == DTYPE_FLOAT32)
    store((float *)array + index, value);
  else
    *(vhalf_memory *)((uint16_t *)array + index) = bfloat16_round(value);
}

// The first `count` (1 .. LANES) of them.
INLINE vfloat load_as_part(enum dtype dtype, const void *array, int64_t index, int64_t count) {
  if (count >= LANES) return load_as(dtype, array, index);
  if (dtype == DTYPE_FLOAT32) return load_part((const float *)array + index, count);
  vhalf half = {0};
  memcpy(&half, (const uint16_t *)array + index, (size_t)count * 2);
  return bfloat16_widen(half);
}

INLINE void store_as_part(enum dtype dtype, void *array, int64_t index, vfloat value, int64_t count) {
  if (count >= LANES) {
    store_as(dtype, array, index, value);
  } else if (dtype == DTYPE_FLOAT32) {
    store_part((float *)array + index, value, count);
  } else {
    vhalf half = bfloat16_round(value);
    memcpy((uint16_t *)array + index, &half, (size_t)count * 2);
  }
}

// e^x for x <= 88 (larger arguments give e^88), 0 below -87.3; a NaN stays one. Within 1.5 units in the last place:
// x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial of degree 6 for e^r (Cephes' coefficients), and n into the
// exponent.
INLINE vfloat vector_exp(vfloat x) {
  const vfloat low = splat(-87.3f), high = splat(88.0f), shift = splat(12582912.0f);  // 1.5 * 2^23: rounds to integer
  vint vanishes = x < low;
  vfloat argument = vector_min(high, vector_max(low, x));
  vfloat shifted = fma_add(argument, splat(1.44269504088896341f), shift);
  vfloat n = shifted - shift;
  vfloat r = fma_add(n, splat(-0.693359375f), argument);
  r = fma_add(n, splat(2.12194440e-4f), r);
  vfloat p = splat(1.9875691500e-4f);
  p = fma_add(p, r, splat(1.3981999507e-3f));
  p = fma_add(p, r, splat(8.3334519073e-3f));
  p = fma_add(p, r, splat(4.1665795894e-2f));
  p = fma_add(p, r, splat(1.6666665459e-1f));
  p = fma_add(p, r, splat(5.0000001201e-1f));
  p = fma_add(p, r * r, r) + 1.0f;
  vint scale = ((vint)shifted - (vint)shift + 127) << 23;
  vfloat result = p * (vfloat)scale;
  return (vfloat)((vint)result & ~vanishes);
}

#if SIMD_LEVEL >= 2
// The transpose of 16 vectors of 16 words, by exchanging ever smaller blocks.
INLINE void transpose_words(__m512i rows[16]) {
#pragma GCC unroll 4
  for (int half = 8; half > 0; half /= 2) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __mmask16 upper = _mm512_test_epi32_mask(lanes, _mm512_set1_epi32(half));
    // Of the pair (a, b): lanes of the lower halves of both, and of the upper halves. Index bit 16 picks b.
    __m512i low = _mm512_mask_add_epi32(lanes, upper, lanes, _mm512_set1_epi32(16 - half));
    __m512i high =
        _mm512_mask_add_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(half)), upper, lanes, _mm512_set1_epi32(16));
#pragma GCC unroll 16
    for (int row = 0; row < 16; row++) {
      if (row & half) continue;
      __m512i a = rows[row], b = rows[row + half];
      rows[row] = _mm512_permutex2var_epi32(a, low, b);
      rows[row + half] = _mm512_permutex2var_epi32(a, high, b);
    }
  }
}
#endif
