// The inner loop of the sweeps, compiled with optimization whatever the build type. See internal.h.
#include "trainer/compress/internal.h"

void subtract_rows(double *restrict to, const double *const *rows, const double *coefficients, int count, int64_t n) {
  int k = 0;
  for (; k + 4 <= count; k += 4) {
    const double *restrict a = rows[k], *restrict b = rows[k + 1], *restrict c = rows[k + 2], *restrict d = rows[k + 3];
    double p = coefficients[k], q = coefficients[k + 1], r = coefficients[k + 2], s = coefficients[k + 3];
    for (int64_t i = 0; i < n; i++) to[i] -= (p * a[i] + q * b[i]) + (r * c[i] + s * d[i]);
  }
  for (; k < count; k++)
    for (int64_t i = 0; i < n; i++) to[i] -= coefficients[k] * rows[k][i];
}
