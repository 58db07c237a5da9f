// Packing with AVX-512: two rows are joined to words of pairs, or words turned 16 by 16.
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/simd.h"

// The row of a matrix of k rows, or NULL.
INLINE const uint16_t *row_or_null(const uint16_t *matrix, int64_t row, int64_t k, int64_t stride) {
  return row < k ? matrix + row * stride : NULL;
}

// The first `count` (of 32; none or fewer: zeroes) elements of a row; of no row: zeroes.
INLINE __m512i elements(const uint16_t *row, int64_t count) {
  if (!row || count <= 0) return _mm512_setzero_si512();
  return count >= 32 ? _mm512_loadu_si512(row) : _mm512_maskz_loadu_epi16((1u << count) - 1, row);
}

// Which elements of two rows make 16 words from column `first` on, the even row's in the lower half.
INLINE __m512i words_from(int first) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512i even = _mm512_and_si512(_mm512_add_epi32(lanes, _mm512_set1_epi32(first)), _mm512_set1_epi32(31));
  return _mm512_or_si512(even, _mm512_slli_epi32(_mm512_or_si512(even, _mm512_set1_epi32(32)), 16));
}

// Of a B [k, columns]: a pair of rows is read from end to end.
static void pack_rows(int64_t k, int64_t pairs, int64_t columns, const uint16_t *b, int64_t stride, int64_t panel,
                      uint16_t *to) {
  const __m512i lower = words_from(0), upper = words_from(16);
  for (int64_t pair = 0; pair < pairs; pair++) {
    const uint16_t *even = row_or_null(b, 2 * pair, k, stride), *odd = row_or_null(b, 2 * pair + 1, k, stride);
    uint16_t *at = to + pair * 64;
    for (int64_t column = 0; column < columns; column += PANEL_COLUMNS, at += panel) {
      __m512i evens = elements(even ? even + column : NULL, columns - column);
      __m512i odds = elements(odd ? odd + column : NULL, columns - column);
      _mm512_storeu_si512(at, _mm512_permutex2var_epi16(evens, lower, odds));
      _mm512_storeu_si512(at + 32, _mm512_permutex2var_epi16(evens, upper, odds));
    }
  }
}

// Of a B [columns, k]: columns 0 .. 15 or fewer of one half of a panel.
static void pack_columns(int64_t k, int64_t pairs, int64_t columns, const uint16_t *b, int64_t stride, uint16_t *to) {
  for (int64_t pair = 0; pair < pairs; pair += 16) {
    __m512i words[16];
#pragma GCC unroll 16
    for (int column = 0; column < 16; column++)
      words[column] = elements(column < columns ? b + column * stride + 2 * pair : NULL, k - 2 * pair);
    transpose_words(words);
#pragma GCC unroll 16
    for (int step = 0; step < 16; step++) _mm512_storeu_si512(to + (pair + step) * 64, words[step]);
  }
}

static void panels(bool transposed, int64_t k, int64_t pairs, int64_t columns, const uint16_t *b, int64_t stride,
                   int64_t panel, uint16_t *to) {
  if (!transposed) {
    pack_rows(k, pairs, columns, b, stride, panel, to);
    return;
  }
  for (int64_t column = 0; column < columns; column += PANEL_COLUMNS, to += panel)
    for (int half = 0; half < 2; half++)
      pack_columns(k, pairs, columns - column - half * 16, b + (column + half * 16) * stride, stride, to + half * 32);
}

// Blocks of `rows` (8 to 16) words, two at a time. They are written 16 words at a time: what is too much is overwritten
// by the next pair's, except behind the `last` pair, where only what is wanted is written.
INLINE void store_words(bool last, int rows, uint16_t *to, __m512i words) {
  if (last)
    _mm512_mask_storeu_epi32(to, (__mmask16)((1u << rows) - 1), words);
  else
    _mm512_storeu_si512(to, words);
}

static void turn_words(int64_t k, int64_t pairs, int64_t m, int rows, const uint16_t *a, int64_t stride, int64_t block,
                       uint16_t *to) {
  const __m512i first = words_from(0), second = words_from(rows);
  for (int64_t pair = 0; pair < pairs; pair++) {
    const uint16_t *even = a + 2 * pair * stride, *odd = row_or_null(a, 2 * pair + 1, k, stride);
    bool last = pair == pairs - 1;
    uint16_t *at = to + pair * rows * 2;
    for (int64_t row = 0; row < m; row += 2 * rows, at += 2 * block) {
      __m512i lower = elements(even + row, m - row), upper = elements(odd ? odd + row : NULL, m - row);
      store_words(last, rows, at, _mm512_permutex2var_epi16(lower, first, upper));
      if (m - row > rows) store_words(last, rows, at + block, _mm512_permutex2var_epi16(lower, second, upper));
    }
  }
}

// The first `count` (of 16; none or fewer: zeroes) elements of two rows as words.
INLINE __m512i join(const uint16_t *even, const uint16_t *odd, int64_t count) {
  return _mm512_permutex2var_epi16(elements(even, count < 16 ? count : 16), words_from(0),
                                   elements(odd, count < 16 ? count : 16));
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
    .panels = panels, .turn_words = turn_words, .turn_rows = turn_rows};
