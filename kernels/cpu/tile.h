// Small products for operands that sit in cache: C (+)= A B, A read one broadcast element at a time with any strides
// (so a transposed A costs nothing), B by rows of whole vectors, C kept in registers over the whole sum. Causal
// structure is skipped at the granularity of a register block.
#pragma once
#include "kernels/cpu/simd.h"

#if SIMD_LEVEL >= 2
#define PANEL_VECTORS 4  // 32 registers: 6 x 4, 12 x 2 or 12 x 1 accumulators
#define BLOCK_ROWS(vectors) ((vectors) == 4 ? 6 : 12)
#else
#define PANEL_VECTORS 2  // 16 registers: 6 x 2 or 12 x 1
#define BLOCK_ROWS(vectors) ((vectors) == 2 ? 6 : 12)
#endif
#define PANEL (PANEL_VECTORS * LANES)  // columns of a full register block

enum causal {
  CAUSAL_NONE,
  CAUSAL_COLUMNS,    // only columns <= row + diagonal of C are wanted; others may be left unwritten
  CAUSAL_SUM_END,    // A[row, k] is 0 for k > row + diagonal
  CAUSAL_SUM_BEGIN,  // A[row, k] is 0 for k < row - diagonal
};
struct tile {
  int64_t m, n, k;
  const float *a;
  int64_t a_row, a_k;      // strides
  const float *b;          // element (k, column) at b[column / PANEL * b_panel + k * b_row + column % PANEL]
  int64_t b_row, b_panel;  // row-major B: b_panel = PANEL
  float *c;
  int64_t c_row;
  bool accumulate;
  enum causal causal;
  int64_t diagonal;
};

// A block of `rows` x `vectors` of C; the last vector has `tail` columns when tail is not 0. B is `padded` when it may
// be read up to whole vectors all the same.
INLINE void tile_block(const int rows, const int vectors, const bool padded, int64_t k, const float *a, int64_t a_row,
                       int64_t a_k, const float *b, int64_t b_row, float *c, int64_t c_row, bool accumulate,
                       int64_t tail) {
  vfloat sums[12][4];
#pragma GCC unroll 12
  for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
    for (int part = 0; part < vectors; part++) {
      const float *at = c + row * c_row + part * LANES;
      if (!accumulate)
        sums[row][part] = splat(0);
      else
        sums[row][part] = tail && part == vectors - 1 ? load_part(at, tail) : load(at);
    }
  for (int64_t step = 0; step < k; step++) {
    vfloat columns[4];
#pragma GCC unroll 4
    for (int part = 0; part < vectors; part++)
      columns[part] =
          !padded && tail && part == vectors - 1 ? load_part(b + part * LANES, tail) : load(b + part * LANES);
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++) {
      vfloat value = splat(a[row * a_row]);
#pragma GCC unroll 4
      for (int part = 0; part < vectors; part++) sums[row][part] = fma_add(value, columns[part], sums[row][part]);
    }
    a += a_k;
    b += b_row;
  }
#pragma GCC unroll 12
  for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
    for (int part = 0; part < vectors; part++) {
      float *at = c + row * c_row + part * LANES;
      if (tail && part == vectors - 1)
        store_part(at, sums[row][part], tail);
      else
        store(at, sums[row][part]);
    }
}

// All rows of C for `vectors` vectors of columns from `column` on.
INLINE void tile_columns(const struct tile *tile, const int vectors, int64_t column, int64_t tail) {
  const int full = BLOCK_ROWS(vectors);
  const float *b_panel = tile->b + column / PANEL * tile->b_panel + column % PANEL;
  for (int64_t row = 0; row < tile->m;) {
    int64_t left = tile->m - row;
    int rows = left >= full ? full : left >= 6 ? 6 : left >= 3 ? 3 : 1;
    int64_t begin = 0, end = tile->k;
    if (tile->causal == CAUSAL_SUM_END && end > row + rows + tile->diagonal) end = row + rows + tile->diagonal;
    if (tile->causal == CAUSAL_SUM_BEGIN && begin < row - tile->diagonal) begin = row - tile->diagonal;
    if (begin > end) begin = end;
    if (tile->causal != CAUSAL_COLUMNS || column < row + rows + tile->diagonal) {
      const float *a = tile->a + row * tile->a_row + begin * tile->a_k, *b = b_panel + begin * tile->b_row;
      float *c = tile->c + row * tile->c_row + column;
      int64_t k = end > 0 ? end - begin : 0;
      // On the diagonal half a block often holds all that is wanted.
      bool half = vectors == 4 && tile->causal == CAUSAL_COLUMNS && row + rows + tile->diagonal <= column + 2 * LANES;
      if (half && rows == full)
        tile_block(full, 2, false, k, a, tile->a_row, tile->a_k, b, tile->b_row, c, tile->c_row, tile->accumulate, 0);
      else if (rows == full)
        tile_block(full, vectors, false, k, a, tile->a_row, tile->a_k, b, tile->b_row, c, tile->c_row, tile->accumulate,
                   tail);
      else if (rows == 6)
        tile_block(6, vectors, false, k, a, tile->a_row, tile->a_k, b, tile->b_row, c, tile->c_row, tile->accumulate,
                   tail);
      else if (rows == 3)
        tile_block(3, vectors, false, k, a, tile->a_row, tile->a_k, b, tile->b_row, c, tile->c_row, tile->accumulate,
                   tail);
      else
        tile_block(1, vectors, false, k, a, tile->a_row, tile->a_k, b, tile->b_row, c, tile->c_row, tile->accumulate,
                   tail);
    }
    row += rows;
  }
}

static void __attribute__((noinline)) tile_product(const struct tile *tile) {
  int64_t column = 0;
#if PANEL_VECTORS == 4
  for (; column + 4 * LANES <= tile->n; column += 4 * LANES) tile_columns(tile, 4, column, 0);
#endif
  for (; column + 2 * LANES <= tile->n; column += 2 * LANES) tile_columns(tile, 2, column, 0);
  for (; column + LANES <= tile->n; column += LANES) tile_columns(tile, 1, column, 0);
  if (column < tile->n) tile_columns(tile, 1, column, tile->n - column);
}

// The transpose of LANES rows of LANES floats.
INLINE void transpose_block(const float *from, int64_t from_row, float *to, int64_t to_row) {
#if SIMD_LEVEL >= 2
  __m512i rows[16];
#pragma GCC unroll 16
  for (int row = 0; row < 16; row++) rows[row] = _mm512_loadu_si512(from + row * from_row);
  transpose_words(rows);
#pragma GCC unroll 16
  for (int row = 0; row < 16; row++) _mm512_storeu_si512(to + row * to_row, rows[row]);
#else
  for (int row = 0; row < LANES; row++)
    for (int column = 0; column < LANES; column++) to[column * to_row + row] = from[row * from_row + column];
#endif
}

// from [rows, columns] -> to, the transposed matrix [columns, rows] in panels of PANEL rows of `from`: element (column,
// row) at to[row / PANEL * columns * PANEL + column * PANEL + row % PANEL]. The last panel is filled up with zeroes.
static void pack_transposed(const float *from, int64_t rows, int64_t columns, float *to) {
  for (int64_t first = 0; first < rows; first += PANEL) {
    float *panel = to + first * columns;
    int64_t present = rows - first < PANEL ? rows - first : PANEL;
    int64_t whole = present / LANES * LANES, column = 0;
    for (; column + LANES <= columns; column += LANES)
      for (int64_t row = 0; row < whole; row += LANES)
        transpose_block(from + (first + row) * columns + column, columns, panel + column * PANEL + row, PANEL);
    for (int64_t row = 0; row < PANEL; row++)
      for (int64_t rest = row < whole ? column : 0; rest < columns; rest++)
        panel[rest * PANEL + row] = row < present ? from[(first + row) * columns + rest] : 0;
  }
}
