// Packing in plain C: what bfloat16_packing_avx512.c does faster.
#include <string.h>

#include "kernels/cpu/bfloat16.h"

static void panels(bool transposed, int64_t k, int64_t pairs, int64_t columns, const uint16_t *b, int64_t stride,
                   int64_t panel, uint16_t *to) {
  for (int64_t column = 0; column < columns; column += PANEL_COLUMNS)
    memset(to + column / PANEL_COLUMNS * panel, 0, (size_t)(pairs * PANEL_COLUMNS) * 2 * sizeof *to);
  for (int64_t row = 0; row < k; row++)
    for (int64_t column = 0; column < columns; column++) {
      uint16_t *pairs_of_panel = to + column / PANEL_COLUMNS * panel;
      pairs_of_panel[(row / 2 * PANEL_COLUMNS + column % PANEL_COLUMNS) * 2 + row % 2] =
          transposed ? b[column * stride + row] : b[row * stride + column];
    }
}

static void turn_words(int64_t k, int64_t pairs, int64_t m, int rows, const uint16_t *a, int64_t stride, int64_t block,
                       uint16_t *to) {
  for (int64_t pair = 0; pair < pairs; pair++)
    for (int64_t row = 0; row < m; row++) {
      uint16_t *word = to + row / rows * block + (pair * rows + row % rows) * 2;
      word[0] = 2 * pair < k ? a[2 * pair * stride + row] : 0;
      word[1] = 2 * pair + 1 < k ? a[(2 * pair + 1) * stride + row] : 0;
    }
}

static void turn_rows(int64_t k, int64_t pairs, int64_t m, const uint16_t *a, int64_t stride, uint16_t *to) {
  for (int64_t row = 0; row < (m + 15) / 16 * 16; row++)
    for (int64_t step = 0; step < 2 * pairs; step++)
      to[row * 2 * pairs + step] = row < m && step < k ? a[step * stride + row] : 0;
}

const struct bfloat16_packing bfloat16_packing_plain = {
    .panels = panels, .turn_words = turn_words, .turn_rows = turn_rows};
