// Packing with AVX-512: two rows are joined to words of pairs, or words turned 16 by 16.
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/simd.h"

// The first `count` (of 16; none or fewer: zeroes) elements of two rows as words.
INLINE __m512i join(const uint16_t *even, const uint16_t *odd, int64_t count) {
  if (count <= 0) return _mm512_setzero_si512();
  __mmask16 mask = (__mmask16)(count >= 16 ? 0xFFFF : (1u << count) - 1);
  __m512i lower = even ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, even)) : _mm512_setzero_si512();
  __m512i upper = odd ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, odd)) : _mm512_setzero_si512();
  return _mm512_or_si512(lower, _mm512_slli_epi32(upper, 16));
}
// The row of a matrix of k rows, or NULL.
INLINE const uint16_t *row_or_null(const uint16_t *matrix, int64_t row, int64_t k, int64_t stride) {
  return row < k ? matrix + row * stride : NULL;
}

static void panel(bool transposed, int64_t k, int64_t pairs, int columns, const uint16_t *b, int64_t stride,
                  uint16_t *panel) {
  if (!transposed) {
    for (int64_t pair = 0; pair < pairs; pair++) {
      const uint16_t *even = row_or_null(b, 2 * pair, k, stride), *odd = row_or_null(b, 2 * pair + 1, k, stride);
      for (int half = 0; half < 2; half++)
        _mm512_storeu_si512(panel + (pair * 2 + half) * 32,
                            join(even ? even + half * 16 : NULL, odd ? odd + half * 16 : NULL, columns - half * 16));
    }
    return;
  }
  for (int64_t pair = 0; pair < pairs; pair += 16)
    for (int half = 0; half < 2; half++) {
      __m512i words[16];
      int64_t left = k - 2 * pair;
      __mmask32 mask = left >= 32 ? 0xFFFFFFFF : left > 0 ? (1u << left) - 1 : 0;
#pragma GCC unroll 16
      for (int column = 0; column < 16; column++)
        words[column] = half * 16 + column < columns
                            ? _mm512_maskz_loadu_epi16(mask, b + (half * 16 + column) * stride + 2 * pair)
                            : _mm512_setzero_si512();
      transpose_words(words);
#pragma GCC unroll 16
      for (int step = 0; step < 16; step++) _mm512_storeu_si512(panel + ((pair + step) * 2 + half) * 32, words[step]);
    }
}

// Two rows' words in blocks of `rows` (8 to 16). They are written 16 at a time: what is too much is overwritten by the
// next pair's, except behind the last pair, where only what is `wanted` is written.
INLINE void turn_pair(const uint16_t *even, const uint16_t *odd, int64_t m, int rows, int64_t block_elements,
                      __mmask16 wanted, uint16_t *to) {
  const __mmask16 whole = (__mmask16)((1u << rows) - 1);
  int64_t row = 0;
  if (odd)
    for (; row + rows <= m; row += rows, to += block_elements) {
      __m512i lower = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(whole, even + row));
      __m512i upper = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(whole, odd + row));
      _mm512_mask_storeu_epi32(to, wanted, _mm512_or_si512(lower, _mm512_slli_epi32(upper, 16)));
    }
  for (; row < m; row += rows, to += block_elements)
    _mm512_mask_storeu_epi32(to, wanted, join(even + row, odd ? odd + row : NULL, m - row < rows ? m - row : rows));
}
static void turn_words(int64_t k, int64_t pairs, int64_t m, int rows, const uint16_t *a, int64_t stride, uint16_t *to) {
  __mmask16 wanted = (__mmask16)((1u << rows) - 1);
  for (int64_t pair = 0; pair < pairs; pair++)
    turn_pair(a + 2 * pair * stride, row_or_null(a, 2 * pair + 1, k, stride), m, rows, pairs * rows * 2, wanted,
              to + pair * rows * 2);
}

static void turn_rows(int64_t k, int64_t pairs, int64_t m, const uint16_t *a, int64_t stride, uint16_t *to) {
  for (int64_t pair = 0; pair < pairs; pair += 16)
    for (int64_t row = 0; row < m; row += 16) {
      __m512i words[16];
      for (int step = 0; step < 16; step++) {
        const uint16_t *even = row_or_null(a, 2 * (pair + step), k, stride);
        const uint16_t *odd = row_or_null(a, 2 * (pair + step) + 1, k, stride);
        words[step] = join(even ? even + row : NULL, odd ? odd + row : NULL, m - row);
      }
      transpose_words(words);
#pragma GCC unroll 16
      for (int column = 0; column < 16; column++)
        _mm512_storeu_si512(to + ((row + column) * pairs + pair) * 2, words[column]);
    }
}

const struct bfloat16_packing bfloat16_packing_avx512 = {
    .panel = panel, .turn_words = turn_words, .turn_rows = turn_rows};
