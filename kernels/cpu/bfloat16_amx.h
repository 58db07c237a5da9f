// The kernel for CPUs with AMX, written against a small interface of tiles: registers of 16 rows of 64 bytes, all
// configured alike, so that edges are the packing's affair. 32 rows by one panel are 2 x 2 tiles of sums; each step
// over 32 of k loads two tiles of A and two of B and multiplies four times.
//
// A file that includes this defines first, as `INLINE` functions of a constant tile number 0 .. 7:
//   struct tile_registers;                                    what they work on; empty for the real ones
//   tile_configure(registers), tile_release(registers)       around all others
//   tile_zero(registers, t)
//   tile_load(registers, t, from, stride), tile_store(...)   16 rows of 64 bytes, `stride` bytes apart in memory
//   tile_multiply(registers, c, a, b)                        TDPBF16PS: c += a b, a 16 x 16 pairs, b 16 pairs x 16
#pragma once
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/simd.h"

enum { SUMS = 0, OF_A = 4, OF_B = 6 };  // tile numbers: sums row by row

// One tile of sums in memory that holds only some of its rows and columns, by way of 16 x 16 floats.
INLINE void edge_load(struct tile_registers *registers, const int tile, const float *from, int64_t stride, int64_t rows,
                      int64_t columns) {
  float whole[16 * 16] = {0};
  for (int64_t row = 0; row < rows; row++)
    memcpy(whole + row * 16, from + row * stride, (size_t)columns * sizeof(float));
  tile_load(registers, tile, whole, 64);
}

INLINE void edge_store(struct tile_registers *registers, const int tile, enum dtype out, void *to, int64_t index,
                       int64_t stride, int64_t rows, int64_t columns) {
  float whole[16 * 16];
  tile_store(registers, tile, whole, 64);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t column = 0; column < columns; column += LANES)
      store_as_part(out, to, index + row * stride + column, load(whole + row * 16 + column), columns - column);
}

// 16 * `high` rows from `row` on by one panel.
INLINE void tiles(const int high, struct tile_registers *registers, const struct bfloat16_block *block, const char *a,
                  const uint16_t *b, int64_t row, int64_t column) {
#pragma GCC unroll 4
  for (int tile = 0; tile < 2 * high; tile++) {
    int64_t r = row + tile / 2 * 16, c = column + tile % 2 * 16;
    int64_t rows = block->rows - r, columns = block->columns - c;
    if (!block->sums || columns <= 0)
      tile_zero(registers, SUMS + tile);
    else if (rows >= 16 && columns >= 16)
      tile_load(registers, SUMS + tile, block->sums + r * block->sums_row + c, block->sums_row * 4);
    else
      edge_load(registers, SUMS + tile, block->sums + r * block->sums_row + c, block->sums_row, rows < 16 ? rows : 16,
                columns < 16 ? columns : 16);
  }
  for (int64_t pair = 0; pair < block->pairs; pair += 16) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++)
      tile_load(registers, OF_B + half, b + (pair * 2 + half) * 32, PANEL_COLUMNS * 4);
#pragma GCC unroll 2
    for (int half = 0; half < high; half++)
      tile_load(registers, OF_A + half, a + half * 16 * block->a_row + pair * 4, block->a_row);
#pragma GCC unroll 4
    for (int tile = 0; tile < 2 * high; tile++) tile_multiply(registers, SUMS + tile, OF_A + tile / 2, OF_B + tile % 2);
  }
#pragma GCC unroll 4
  for (int tile = 0; tile < 2 * high; tile++) {
    int64_t r = row + tile / 2 * 16, c = column + tile % 2 * 16, index = r * block->c_row + c;
    int64_t rows = block->rows - r, columns = block->columns - c;
    if (columns <= 0) continue;
    if (rows >= 16 && columns >= 16 && block->out == DTYPE_FLOAT32)
      tile_store(registers, SUMS + tile, (float *)block->c + index, block->c_row * 4);
    else
      edge_store(registers, SUMS + tile, block->out, block->c, index, block->c_row, rows < 16 ? rows : 16,
                 columns < 16 ? columns : 16);
  }
}

static void multiply(const struct bfloat16_block *block) {
  struct tile_registers registers;
  tile_configure(&registers);
  const uint16_t *b = block->b;
  for (int64_t column = 0; column < block->columns; column += PANEL_COLUMNS, b += block->b_panel) {
    const char *a = block->a;
    for (int64_t row = 0; row < block->rows; row += 32, a += block->a_block)
      if (block->rows - row > 16)
        tiles(2, &registers, block, a, b, row, column);
      else
        tiles(1, &registers, block, a, b, row, column);
  }
  tile_release(&registers);
}
