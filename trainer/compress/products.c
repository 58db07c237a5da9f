// The inner loop of the sweeps, compiled with optimization whatever the build type and once per instruction set, as
// SUBTRACT_ROWS. Each sum has its own lane and no multiplication is fused with an addition, so that all of them give
// the same bits. See internal.h.
#include "trainer/compress/products.h"

#include <stdint.h>

void SUBTRACT_ROWS(double *restrict to, const double *const *rows, const double *coefficients, int count, int64_t n) {
  int k = 0;
  for (; k + 8 <= count; k += 8) {
    const double *restrict a = rows[k], *restrict b = rows[k + 1], *restrict c = rows[k + 2], *restrict d = rows[k + 3];
    const double *restrict e = rows[k + 4], *restrict f = rows[k + 5], *restrict g = rows[k + 6],
                           *restrict h = rows[k + 7], *w = coefficients + k;
    double w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7];
    for (int64_t i = 0; i < n; i++)
      to[i] -=
          ((w0 * a[i] + w1 * b[i]) + (w2 * c[i] + w3 * d[i])) + ((w4 * e[i] + w5 * f[i]) + (w6 * g[i] + w7 * h[i]));
  }
  for (; k < count; k++) {
    const double *restrict a = rows[k];
    double w = coefficients[k];
    for (int64_t i = 0; i < n; i++) to[i] -= w * a[i];
  }
}
