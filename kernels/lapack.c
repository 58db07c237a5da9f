// See lapack.h. A row-major matrix is a column-major one transposed: rows here are columns there, as LAPACK wants what
// it makes orthonormal.
#include "kernels/lapack.h"

#include <dlfcn.h>
#include <lapacke.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void limit_threads(void) {
  static const char *const setters[] = {"openblas_set_num_threads", "bli_thread_set_num_threads",
                                        "MKL_Set_Num_Threads"};
  for (size_t i = 0; i < sizeof setters / sizeof *setters; i++) {
    void *found = dlsym(RTLD_DEFAULT, setters[i]);
    void (*set_int)(int);
    void (*set_long)(int64_t);
    if (found && i == 1) {  // BLIS counts in its dim_t
      memcpy(&set_long, &found, sizeof found);
      set_long(1);
    } else if (found) {
      memcpy(&set_int, &found, sizeof found);
      set_int(1);
    }
  }
}

void lapack_use_one_thread(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, limit_threads);
}

const char *lapack_library(struct arena *arena) {
  lapack_int major = 0, minor = 0, patch = 0;
  lapack_use_one_thread();
  LAPACKE_ilaver(&major, &minor, &patch);
  char *(*openblas)(void);
  void *found = dlsym(RTLD_DEFAULT, "openblas_get_config");
  if (!found) return arena_format(arena, "LAPACK %d.%d.%d", (int)major, (int)minor, (int)patch);
  memcpy(&openblas, &found, sizeof found);
  return arena_format(arena, "LAPACK %d.%d.%d (%s)", (int)major, (int)minor, (int)patch, openblas());
}

static bool refused(const char *what, lapack_int info, struct error *error) {
  return error_set(error, EXIT_ENVIRONMENT, "LAPACK cannot %s (it returned %d)", what, (int)info);
}

// Diverged trainings end here first: what LAPACK makes of infinities need not come to an end.
static bool all_finite(const float *x, int64_t count, struct error *error) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(x[i]))
      return error_set(error, EXIT_RUNS_FAILED,
                       "the optimizer's matrices are no longer finite: the training has diverged; a lower train.lr "
                       "may help");
  return true;
}

struct scored {
  double score;
  int32_t number;
};
static int by_score(const void *left, const void *right) {
  const struct scored *a = left, *b = right;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return a->number - b->number;
}

static void put_in_order(int64_t rank, int64_t side, const float *x, const float *by, int32_t *order) {
  struct scored *all = memory_get((size_t)rank * sizeof *all);
  for (int64_t row = 0; row < rank; row++) {
    all[row] = (struct scored){.number = (int32_t)row};
    for (int64_t i = 0; i < side; i++) all[row].score += (double)x[row * side + i] * by[row * side + i];
  }
  qsort(all, (size_t)rank, sizeof *all, by_score);
  for (int64_t row = 0; row < rank; row++) order[row] = all[row].number;
  free(all);
}

bool lapack_orthonormalize(int64_t rank, int64_t side, float *x, const float *by, int32_t *order, struct error *error) {
  lapack_use_one_thread();
  if (!all_finite(x, rank * side, error)) return false;
  double *a = memory_get((size_t)(rank * side) * sizeof *a), *tau = memory_get((size_t)rank * sizeof *tau);
  double *diagonal = memory_get((size_t)rank * sizeof *diagonal), wanted[2] = {0};
  if (by) put_in_order(rank, side, x, by, order);
  for (int64_t row = 0; row < rank; row++)
    for (int64_t i = 0; i < side; i++) a[row * side + i] = x[(by ? order[row] : row) * side + i];
  lapack_int m = (lapack_int)side, n = (lapack_int)rank;
  LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, m, n, a, m, tau, &wanted[0], -1);
  LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, m, n, n, a, m, tau, &wanted[1], -1);
  lapack_int size = (lapack_int)fmax(fmax(wanted[0], wanted[1]), 1);
  double *work = memory_get((size_t)size * sizeof *work);
  lapack_int info = LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, m, n, a, m, tau, work, size);
  for (int64_t row = 0; row < rank; row++) diagonal[row] = a[row * side + row];
  if (!info) info = LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, m, n, n, a, m, tau, work, size);
  for (int64_t row = 0; row < rank && !info; row++)
    for (int64_t i = 0; i < side; i++)
      x[row * side + i] = (float)(diagonal[row] < 0 ? -a[row * side + i] : a[row * side + i]);
  free(a), free(tau), free(diagonal), free(work);
  return info == 0 || refused("make the rows of a matrix orthonormal", info, error);
}

bool lapack_eigenvectors(int64_t n, float *x, double exponent, double damping, struct error *error) {
  lapack_use_one_thread();
  if (!all_finite(x, n * n, error)) return false;
  double *a = memory_get((size_t)(n * n) * sizeof *a), *values = memory_get((size_t)n * sizeof *values), wanted = 0;
  lapack_int order = (lapack_int)n, integers = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) a[i * n + j] = 0.5 * ((double)x[i * n + j] + x[j * n + i]);
  LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'L', order, a, order, values, &wanted, -1, &integers, -1);
  lapack_int size = (lapack_int)fmax(wanted, 1);
  if (integers < 1) integers = 1;
  double *work = memory_get((size_t)size * sizeof *work);
  lapack_int *more = memory_get((size_t)integers * sizeof *more);
  lapack_int info =
      LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'L', order, a, order, values, work, size, more, integers);
  double largest = fmax(values[n - 1], 0);
  for (int64_t row = 0; row < n && !info; row++) {
    const double *vector = a + (n - 1 - row) * n;  // LAPACK's are ascending
    double value = fmax(values[n - 1 - row], 0) + damping * largest;
    double factor = exponent == 0 ? 1 : value > 0 ? pow(value, exponent) : 0;
    for (int64_t i = 0; i < n; i++) x[row * n + i] = (float)(factor * vector[i]);
  }
  free(a), free(values), free(work), free(more);
  return info == 0 || refused("find the eigenvectors of a symmetric matrix", info, error);
}

bool lapack_eigenvalues(int64_t n, double *a, double *values, struct error *error) {
  lapack_use_one_thread();
  double wanted = 0;
  lapack_int order = (lapack_int)n;
  LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'N', 'L', order, a, order, values, &wanted, -1);
  lapack_int size = (lapack_int)fmax(wanted, 1);
  double *work = memory_get((size_t)size * sizeof *work);
  lapack_int info = LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'N', 'L', order, a, order, values, work, size);
  free(work);
  return info == 0 || refused("find the eigenvalues of a symmetric matrix", info, error);
}

bool lapack_solve_positive(int64_t n, double *a, int64_t columns, double *b, struct error *error) {
  lapack_use_one_thread();
  lapack_int order = (lapack_int)n;
  lapack_int info = LAPACKE_dposv_work(LAPACK_COL_MAJOR, 'L', order, (lapack_int)columns, a, order, b, order);
  return info == 0 || refused("solve for a positive definite matrix", info, error);
}
