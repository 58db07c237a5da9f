// Philox4x32-10 in vectors; the same words as base/philox.h.
#pragma once
#include "base/philox.h"
#include "kernels/cpu/simd.h"

typedef uint64_t vlong __attribute__((vector_size(LANES * 4)));  // half as many

// Products of the even lanes with a 32-bit number, as 64 bits.
INLINE vlong multiply_even(vlong a, uint32_t b) {
#if SIMD_LEVEL == 2
  return (vlong)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif SIMD_LEVEL == 1
  return (vlong)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
  return (a & 0xFFFFFFFFu) * (uint64_t)b;
#endif
}

// High and low halves of a * b for every lane.
INLINE void multiply_wide(vuint a, uint32_t b, vuint *high, vuint *low) {
  vlong even = multiply_even((vlong)a, b), odd = multiply_even((vlong)a >> 32, b);
  *low = (vuint)((even & 0xFFFFFFFFu) | odd << 32);
  *high = (vuint)(even >> 32 | (odd & ~(uint64_t)0xFFFFFFFFu));
}

INLINE vint lane_numbers(void) {
  vint lanes;
  for (int lane = 0; lane < LANES; lane++) lanes[lane] = lane;
  return lanes;
}

// Blocks index .. index + LANES - 1.
INLINE void philox_lanes(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index, vuint words[4]) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  vuint zero = {0}, c0 = (vuint)lane_numbers() + (uint32_t)index;
  vuint carry = (vuint)(c0 < (uint32_t)index);  // all ones where the low word ran over
  vuint c1 = zero + (uint32_t)(index >> 32) - carry;
  vuint c2 = zero + (uint32_t)step;
  vuint c3 = zero + ((uint32_t)(step >> 32) << 24 | (stream & 0xFFFFFFu));
  for (int round = 0; round < 10; round++) {
    vuint high0, low0, high2, low2;
    multiply_wide(c0, 0xD2511F53u, &high0, &low0);
    multiply_wide(c2, 0xCD9E8D57u, &high2, &low2);
    c0 = high2 ^ c1 ^ k0;
    c1 = low2;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

INLINE void store_words(uint32_t *to, vuint words) { memcpy(to, &words, sizeof words); }

static void random_words_pass(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index, int64_t count,
                              uint32_t *out) {
  for (int64_t block = 0; block < count; block++)
    for (int part = 0; part < 16; part += LANES) {
      vuint words[4];
      philox_lanes(seed, stream, step, index + (uint64_t)(block * 16 + part), words);
      for (int word = 0; word < 4; word++) store_words(out + block * 64 + word * 16 + part, words[word]);
    }
}

// Uniform in [0, 1) with 24 bits.
INLINE vfloat uniform_lanes(const uint32_t *words) {
  vuint bits;
  memcpy(&bits, words, sizeof bits);
  return __builtin_convertvector((vint)(bits >> 8), vfloat) * 0x1p-24f;
}
