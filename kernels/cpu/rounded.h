// Exponentials and reciprocals for values that are rounded to bfloat16 next, or summed by the thousand: cheaper than
// float32 needs them, where the level has instructions for it. For float32 results use simd.h's.
#pragma once
#include "kernels/cpu/simd.h"

// 2^x = 2^(x - floor x) by a polynomial (minimax in the relative error, 7.5e-8), scaled by 2^floor x. 2^-inf is 0,
// 2^inf inf; a NaN stays one.
INLINE vfloat rounded_exp2(vfloat x) {
#if SIMD_LEVEL >= 2
  vfloat r = (vfloat)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF);
  vfloat p = splat(1.87757667e-3f);
  p = fma_add(p, r, splat(8.98934009e-3f));
  p = fma_add(p, r, splat(5.58263181e-2f));
  p = fma_add(p, r, splat(2.40153617e-1f));
  p = fma_add(p, r, splat(6.93153073e-1f));
  p = fma_add(p, r, splat(9.99999925e-1f));
  return (vfloat)_mm512_scalef_ps((__m512)p, (__m512)x);
#else
  return vector_exp(x * splat(6.93147182e-1f));
#endif
}

// e^x, with the rounding of x log2(e) within 3 + |x| units in the last place of float32. e^-inf is 0; a NaN stays one.
INLINE vfloat rounded_exp(vfloat x) {
#if SIMD_LEVEL >= 2
  return rounded_exp2(x * splat(1.44269504088896341f));
#else
  return vector_exp(x);
#endif
}

// 1 / x for x >= 1, within 2^-14 of it, a thirty-second of what rounding to bfloat16 does at most; 0 for inf.
INLINE vfloat rounded_reciprocal(vfloat x) {
#if SIMD_LEVEL >= 2
  return (vfloat)_mm512_rcp14_ps((__m512)x);
#else
  return 1.0f / x;
#endif
}
