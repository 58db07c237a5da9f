// Cholesky factors by LAPACK's C interface. A row-major matrix is a column-major one transposed: the upper triangle
// here is the lower one there. See internal.h.
#include "kernels/lapack.h"

#include <lapacke.h>
#include <string.h>

#include "trainer/compress/internal.h"

const char *compress_library(struct arena *arena) { return lapack_library(arena); }

static bool not_positive(lapack_int info, int64_t n, struct error *error) {
  if (info < 0) return error_set(error, EXIT_ENVIRONMENT, "LAPACK refused its argument %d", (int)-info);
  return error_set(error, EXIT_USAGE_ERROR,
                   "the Hessian of %lld inputs is singular (its Cholesky factorization stops at row %d): give more "
                   "calibration tokens or more damping",
                   (long long)n, (int)info);
}

static void clear_below(double *a, int64_t n) {
  for (int64_t i = 1; i < n; i++) memset(a + i * n, 0, (size_t)i * sizeof *a);
}

bool lapack_cholesky(double *a, int64_t n, struct error *error) {
  lapack_use_one_thread();
  lapack_int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', (lapack_int)n, a, (lapack_int)n);
  if (info) return not_positive(info, n, error);
  clear_below(a, n);
  return true;
}

// (i, j) -> (n - 1 - i, n - 1 - j): the array backwards.
static void reverse(double *a, int64_t n) {
  for (int64_t i = 0, j = n * n - 1; i < j; i++, j--) {
    double other = a[i];
    a[i] = a[j];
    a[j] = other;
  }
}

// H = A A^T with A upper is a Cholesky factorization from the last row on, and U = A^-1: the inverse itself is not
// needed.
bool lapack_inverse_cholesky(double *a, int64_t n, struct error *error) {
  lapack_use_one_thread();
  reverse(a, n);  // the upper triangle is the lower one now: column-major, the upper one
  lapack_int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, a, (lapack_int)n);
  if (!info) info = LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'U', 'N', (lapack_int)n, a, (lapack_int)n);
  if (info) return not_positive(info, n, error);
  reverse(a, n);
  clear_below(a, n);
  return true;
}
