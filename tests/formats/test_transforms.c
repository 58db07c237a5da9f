// Hadamard transforms and transposition at every instruction set level.
#include "tests/formats/passes.h"

static void transforms(const struct format_level *level) {
  for (int block = 2; block <= 256; block *= 2)
    for (int with_signs = 0; with_signs < 2; with_signs++) {
      int64_t columns = block >= 64 ? 512 : 3 * block;
      struct matrix m = matrix(3, columns, 17);
      uint32_t signs[MOST_COLUMNS];
      hadamard_signs(5, 6, 7, columns, signs);
      struct transform_call call = {.columns = columns,
                                    .block = block,
                                    .signs = with_signs ? signs : NULL,
                                    .from = m.x,
                                    .to = m.y,
                                    .scratch = m.scratch};
      level->transform(&call, 0, 3, 0);
      double worst = 0;
      for (int64_t i = 0; i < 3 * columns; i++) {
        // Entry (a, b) of Sylvester's matrix is (-1)^(number of common bits).
        int64_t row = i / columns, column = i % columns, first = column - column % block;
        double sum = 0;
        for (int b = 0; b < block; b++) {
          double value = (double)m.x[row * columns + first + b];
          if (with_signs && signs[first + b]) value = -value;
          sum += __builtin_popcount((unsigned)(b & (column - first))) % 2 ? -value : value;
        }
        worst = fmax(worst, fabs(sum / sqrt(block) - (double)m.y[i]));
      }
      CHECK(worst < 5e-6);
      struct transform_call back = call;
      back.from = m.y;
      level->inverse(&back, 0, 3, 0);
      worst = 0;
      for (int64_t i = 0; i < 3 * columns; i++) worst = fmax(worst, fabs((double)m.x[i] - (double)m.y[i]));
      CHECK(worst < 5e-6);
      matrix_free(&m);
    }
}

// Both operands transformed: the product does not change.
static void products_unchanged(const struct format_level *level) {
  enum { ROWS = 6, OUTPUTS = 5, COLUMNS = 96 };
  struct matrix x = matrix(ROWS, COLUMNS, 1), w = matrix(OUTPUTS, COLUMNS, 2);
  uint32_t signs[COLUMNS];
  hadamard_signs(1, 2, 3, COLUMNS, signs);
  struct transform_call call = {
      .columns = COLUMNS, .block = 32, .signs = signs, .from = x.x, .to = x.y, .scratch = x.scratch};
  level->transform(&call, 0, ROWS, 0);
  call.from = w.x;
  call.to = w.y;
  level->transform(&call, 0, OUTPUTS, 0);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < OUTPUTS; j++) {
      double plain = 0, transformed = 0;
      for (int k = 0; k < COLUMNS; k++) {
        plain += (double)x.x[i * COLUMNS + k] * (double)w.x[j * COLUMNS + k];
        transformed += (double)x.y[i * COLUMNS + k] * (double)w.y[j * COLUMNS + k];
      }
      CHECK_NEAR(transformed, plain, 2e-6);
    }
  matrix_free(&x);
  matrix_free(&w);
}

// The transform inside the pass is the transform beside it; masks go through the inverse.
static void transform_within(const struct format_level *level) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse("int3[hadamard(32)]", &arena);
  struct quantizer q;
  struct matrix m = matrix(8, 96, 23), other = matrix(8, 96, 23);
  CHECK(quantizer_make(&q, &r, 96, &arena, &error) && q.hadamard_block == 32);
  struct quantize_call call = {.quantizer = &q, .from = m.x, .to = m.y, .mask = m.mask, .scratch = m.scratch};
  level->quantize(&call, 0, 8, 0);
  struct transform_call transform = {
      .columns = 96, .block = 32, .from = other.x, .to = other.x, .scratch = other.scratch};
  level->transform(&transform, 0, 8, 0);
  struct quantize_call second = {.quantizer = &q,
                                 .from = other.x,
                                 .to = other.y,
                                 .mask = other.mask,
                                 .transformed = true,
                                 .scratch = other.scratch};
  level->quantize(&second, 0, 8, 0);
  CHECK(memcmp(m.y, other.y, 8 * 96 * sizeof(float)) == 0);
  CHECK(memcmp(m.mask, other.mask, (size_t)(8 * mask_stride(96))) == 0);
  // Gradient through the represented operand: H^T (mask * d_y).
  struct matrix d = matrix(8, 96, 29), wanted = matrix(8, 96, 29);
  for (int64_t row = 0; row < 8; row++)
    for (int64_t column = 0; column < 96; column++)
      if (!mask_bit(&m, row, column)) wanted.x[row * 96 + column] = 0;
  struct transform_call backward = {
      .columns = 96, .block = 32, .from = d.x, .to = d.y, .mask = m.mask, .scratch = d.scratch};
  level->inverse(&backward, 0, 8, 0);
  transform.from = wanted.x;
  transform.to = wanted.y;
  level->transform(&transform, 0, 8, 0);  // its own inverse
  CHECK(memcmp(d.y, wanted.y, 8 * 96 * sizeof(float)) == 0);
  matrix_free(&m);
  matrix_free(&other);
  matrix_free(&d);
  matrix_free(&wanted);
  arena_free(&arena);
}

static void transposes(const struct format_level *level) {
  struct matrix m = matrix(37, 21, 3);
  struct transpose_call call = {.rows = 37, .columns = 21, .dtype = DTYPE_FLOAT32, .from = m.x, .to = m.y};
  level->transpose(&call, 0, 21, 0);
  bool same = true;
  for (int i = 0; i < 37; i++)
    for (int j = 0; j < 21; j++) same &= m.y[j * 37 + i] == m.x[i * 21 + j];
  CHECK(same);
  matrix_free(&m);
}

static void run_transforms(void) { each_level(transforms); }
static void run_products_unchanged(void) { each_level(products_unchanged); }
static void run_transform_within(void) { each_level(transform_within); }
static void run_transposes(void) { each_level(transposes); }

int main(void) {
  check_run(run_transforms, "Hadamard transforms and their inverses");
  check_run(run_products_unchanged, "transforms in both operands leave products unchanged");
  check_run(run_transform_within, "the transform inside a pass");
  check_run(run_transposes, "transposition");
  return check_end();
}
