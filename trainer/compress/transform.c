// The orthonormal block Hadamard transform with signs, in double precision: of a matrix's inputs and of their Hessian.
// The same transform as kernels/formats/pass_transform.h. See internal.h.
#include <math.h>

#include "kernels/hadamard.h"
#include "trainer/compress/internal.h"

static void flip(const uint32_t *signs, double *x, int64_t n) {
  for (int64_t i = 0; signs && i < n; i++)
    if (signs[i]) x[i] = -x[i];
}

static void orthonormal(double *x, int64_t n, int block) {
  const double scale = 1 / sqrt((double)block);
  hadamard_double(x, n, block);
  for (int64_t i = 0; i < n; i++) x[i] *= scale;
}

void transform_rows(const struct input_transform *t, double *x, int64_t rows) {
  if (t->block <= 1) return;
  for (int64_t row = 0; row < rows; row++) {
    flip(t->signs, x + row * t->inputs, t->inputs);
    orthonormal(x + row * t->inputs, t->inputs, t->block);
  }
}

void transform_rows_back(const struct input_transform *t, double *x, int64_t rows) {
  if (t->block <= 1) return;
  for (int64_t row = 0; row < rows; row++) {
    orthonormal(x + row * t->inputs, t->inputs, t->block);
    flip(t->signs, x + row * t->inputs, t->inputs);
  }
}

// Rows, then, since it is symmetric, the rows of its transpose.
void transform_hessian(const struct input_transform *t, double *h) {
  if (t->block <= 1) return;
  for (int turn = 0; turn < 2; turn++) {
    transform_rows(t, h, t->inputs);
    for (int64_t i = 0; i < t->inputs; i++)
      for (int64_t j = 0; j < i; j++) {
        double other = h[i * t->inputs + j];
        h[i * t->inputs + j] = h[j * t->inputs + i];
        h[j * t->inputs + i] = other;
      }
  }
}
