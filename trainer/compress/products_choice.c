// Which instructions sums of rows take: the widest of this CPU, for all give the same bits. See products.h.
#include "kernels/cpu/isa.h"
#include "trainer/compress/products.h"

void subtract_rows(double *to, const double *const *rows, const double *coefficients, int count, int64_t n) {
#if defined(__x86_64__)
  if (isa_available(ISA_AVX512)) {
    subtract_rows_avx512(to, rows, coefficients, count, n);
    return;
  }
  if (isa_available(ISA_AVX2)) {
    subtract_rows_avx2(to, rows, coefficients, count, n);
    return;
  }
#endif
  subtract_rows_portable(to, rows, coefficients, count, n);
}
