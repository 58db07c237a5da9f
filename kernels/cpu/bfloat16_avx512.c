// The kernel for CPUs with AVX512-BF16: vdpbf16ps adds two products to each of 16 sums. 12 rows by one panel (two
// vectors) are 24 sums in registers; each pair of A is spread from memory over a vector and used for both.
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/simd.h"

typedef int32_t word __attribute__((aligned(2), may_alias));

enum { ROWS = 12 };

// Columns of the panel that are stored: all, or a mask for each half.
struct columns {
  bool all;
  __mmask16 half[2];
};

INLINE __m512 spread(const char *a) { return (__m512)_mm512_set1_epi32(*(const word *)a); }

// `rows` rows, from `a` on. `words`: the rows' words of a pair are adjacent, pairs ROWS words apart; otherwise rows are
// a_row apart, and pairs adjacent. `halves` of the panel are wanted.
INLINE void few_rows(const int rows, const int halves, const bool words, const struct bfloat16_block *block,
                     const char *a, const uint16_t *b, int64_t row, int64_t column, const struct columns *columns,
                     struct ahead *ahead) {
  __m512 sums[ROWS][2];
  const float *from = block->sums ? block->sums + row * block->sums_row + column : NULL;
#pragma GCC unroll 12
  for (int r = 0; r < rows; r++) {
    sums[r][0] = sums[r][1] = _mm512_setzero_ps();
    if (!from) continue;  // what is added at the end is on its way meanwhile
    _mm_prefetch(from + r * block->sums_row, _MM_HINT_T0);
    if (halves > 1) _mm_prefetch(from + r * block->sums_row + 16, _MM_HINT_T0);
  }
  // Three pointers and multiples 1, 2, 3 of the stride reach 12 rows.
  const int64_t stride = words ? 4 : block->a_row, pair_bytes = words ? ROWS * 4 : 4;
  const char *at[3] = {a, a + 4 * stride, a + 8 * stride};
  // Rows of A that are read as they are follow each other in memory: the CPU reads ahead by itself.
  const int64_t most = words ? AHEAD_PAIRS : block->pairs;
  for (int64_t left = block->pairs; left > 0; left -= most) {
    if (words) ahead_some(ahead);
    for (int64_t pair = left < most ? left : most; pair > 0; pair--) {
      // clang 16 has no choice between two __m512bh.
      const __m512 first = _mm512_load_ps(b), second = halves > 1 ? _mm512_load_ps(b + 32) : first;
      const __m512bh b0 = (__m512bh)first, b1 = (__m512bh)second;
#pragma GCC unroll 12
      for (int r = 0; r < rows; r++) {
        __m512bh value = (__m512bh)spread(words ? a + r * 4 : at[r / 4] + r % 4 * stride);
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], value, b0);
        if (halves > 1) sums[r][1] = _mm512_dpbf16_ps(sums[r][1], value, b1);
      }
      b += PANEL_COLUMNS * 2;
      a += pair_bytes;
#pragma GCC unroll 3
      for (int part = 0; part < 3; part++) at[part] += pair_bytes;
    }
  }
  if (from)
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
      for (int half = 0; half < halves; half++)
        sums[r][half] = _mm512_add_ps(
            sums[r][half], _mm512_maskz_loadu_ps(columns->half[half], from + r * block->sums_row + half * 16));
  if (block->out == DTYPE_FLOAT32) {
    float *c = (float *)block->c + row * block->c_row + column;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++, c += block->c_row)
      if (halves == 1) {
        _mm512_mask_storeu_ps(c, columns->half[0], sums[r][0]);
      } else if (columns->all) {
        _mm512_storeu_ps(c, sums[r][0]);
        _mm512_storeu_ps(c + 16, sums[r][1]);
      } else {
        _mm512_mask_storeu_ps(c, columns->half[0], sums[r][0]);
        _mm512_mask_storeu_ps(c + 16, columns->half[1], sums[r][1]);
      }
    return;
  }
  uint16_t *c = (uint16_t *)block->c + row * block->c_row + column;
#pragma GCC unroll 12
  for (int r = 0; r < rows; r++, c += block->c_row) {
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(sums[r][1], sums[r][0]);
    if (columns->all)
      _mm512_storeu_si512(c, both);
    else
      _mm512_mask_storeu_epi16(c, (__mmask32)columns->half[0] | (__mmask32)columns->half[1] << 16, both);
  }
}

INLINE void panel(const int halves, const bool words, const struct bfloat16_block *block, const uint16_t *b,
                  int64_t column, struct ahead *ahead) {
  int64_t present = block->columns - column;
  struct columns columns = {.all = present >= PANEL_COLUMNS};
  columns.half[0] = (__mmask16)(present >= 16 ? 0xFFFF : (1u << present) - 1);
  columns.half[1] = (__mmask16)(columns.all ? 0xFFFF : present > 16 ? (1u << (present - 16)) - 1 : 0);
  const char *a = block->a;
  int64_t row = 0;
  for (; row + ROWS <= block->rows; row += ROWS, a += block->a_block)
    few_rows(ROWS, halves, words, block, a, b, row, column, &columns, ahead);
  int64_t a_row = words ? 4 : block->a_row;
  if (block->rows - row >= 8) {
    few_rows(8, halves, words, block, a, b, row, column, &columns, ahead);
    row += 8;
    a += 8 * a_row;
  }
  if (block->rows - row >= 4) {
    few_rows(4, halves, words, block, a, b, row, column, &columns, ahead);
    row += 4;
    a += 4 * a_row;
  }
  for (; row < block->rows; row++, a += a_row) few_rows(1, halves, words, block, a, b, row, column, &columns, ahead);
}

INLINE void some_panel(const int halves, const struct bfloat16_block *block, const uint16_t *b, int64_t column,
                       struct ahead *ahead) {
  if (block->a_pair == 4)
    panel(halves, false, block, b, column, ahead);
  else
    panel(halves, true, block, b, column, ahead);
}

static void multiply(const struct bfloat16_block *block) {
  int64_t panels = (block->columns + PANEL_COLUMNS - 1) / PANEL_COLUMNS, tiles = (block->rows + ROWS - 1) / ROWS;
  struct ahead ahead = ahead_start(block->ahead, panels * tiles * ((block->pairs + AHEAD_PAIRS - 1) / AHEAD_PAIRS));
  const uint16_t *b = block->b;
  for (int64_t column = 0; column < block->columns; column += PANEL_COLUMNS, b += block->b_panel)
    if (block->columns - column <= PANEL_COLUMNS / 2)
      some_panel(1, block, b, column, &ahead);
    else
      some_panel(2, block, b, column, &ahead);
}

static bool available(void) { return isa_available(ISA_AVX512_BF16); }

const struct bfloat16_kernel bfloat16_avx512 = {
    .name = "avx512-bf16", .rows = ROWS, .tiles = false, .stretch = 1536, .available = available, .multiply = multiply};
