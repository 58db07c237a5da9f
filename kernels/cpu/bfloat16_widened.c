// The kernel for CPUs without instructions for bfloat16: operands become float32 in registers. A product of two
// bfloat16 is exact in float32, and an element's products are added one by one in the order of k, so that every level
// gives the same bits. 4 rows by two vectors of columns are 8 sums in registers.
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/simd.h"

typedef uint32_t word __attribute__((aligned(2), may_alias));
typedef vuint words_memory __attribute__((aligned(4), may_alias));

enum { ROWS = 8, AT_A_TIME = 4, COLUMNS = 2 * LANES };

// The two bfloat16 of each word as floats.
INLINE vfloat even_of(vuint words) { return (vfloat)(words << 16); }
INLINE vfloat odd_of(vuint words) { return (vfloat)(words & 0xFFFF0000); }

// C [rows, COLUMNS] from `row` and `column` on. a: the first pair of the first row, rows `a_row` bytes apart.
INLINE void few_rows(const int rows, const struct bfloat16_block *block, const char *a, int64_t a_row,
                     const uint16_t *b, int64_t row, int64_t column) {
  vfloat sums[AT_A_TIME][2] = {0};
  for (int64_t pair = 0; pair < block->pairs; pair++, a += block->a_pair, b += PANEL_COLUMNS * 2) {
    vuint b0 = *(const words_memory *)b, b1 = *(const words_memory *)(b + COLUMNS);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
      vuint words = *(const word *)(a + r * a_row) + (vuint){0};
      sums[r][0] = fma_add(even_of(words), even_of(b0), sums[r][0]);
      sums[r][1] = fma_add(even_of(words), even_of(b1), sums[r][1]);
      sums[r][0] = fma_add(odd_of(words), odd_of(b0), sums[r][0]);
      sums[r][1] = fma_add(odd_of(words), odd_of(b1), sums[r][1]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      int64_t at = column + half * LANES, count = block->columns - at;
      if (count <= 0) continue;
      const float *from = block->sums;
      if (from) sums[r][half] += load_as_part(DTYPE_FLOAT32, from, (row + r) * block->sums_row + at, count);
      store_as_part(block->out, block->c, (row + r) * block->c_row + at, sums[r][half], count);
    }
}

static void multiply(const struct bfloat16_block *block) {
  for (int64_t column = 0; column < block->columns; column += COLUMNS) {
    const uint16_t *b = block->b + column / PANEL_COLUMNS * block->b_panel + column % PANEL_COLUMNS * 2;
    for (int64_t row = 0; row < block->rows; row += AT_A_TIME) {
      const char *a = block->a + row / ROWS * block->a_block + row % ROWS * block->a_row;
      if (block->rows - row >= AT_A_TIME)
        few_rows(AT_A_TIME, block, a, block->a_row, b, row, column);
      else
        for (int64_t r = row; r < block->rows; r++, a += block->a_row)
          few_rows(1, block, a, block->a_row, b, r, column);
    }
  }
}

static bool available(void) { return isa_available((enum isa_level)SIMD_LEVEL); }

#if SIMD_LEVEL == 1
const struct bfloat16_kernel bfloat16_widened_avx2 = {
#else
const struct bfloat16_kernel bfloat16_widened = {
#endif
    .name = "widened", .rows = ROWS, .tiles = false, .stretch = 512, .available = available, .multiply = multiply};
