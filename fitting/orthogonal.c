// Least squares by orthogonal factors: Householder reflections (Golub 1965, "Numerical methods for solving linear least
// squares problems"), and the shortest solution of what they leave by GSL's complete orthogonal decomposition, which
// pivots columns and so tells rank.
#include <float.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "fitting/orthogonal_internal.h"
#include "fitting/vector_math_internal.h"

enum { LANES = 8 };

// Sums run over eight lanes in a fixed order, whatever the machine's vectors.
FOR_EVERY_MACHINE static double dot(const double *restrict a, const double *restrict b, size_t n) {
  double lane[LANES] = {0}, rest = 0;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int k = 0; k < LANES; k++) lane[k] += a[i + (size_t)k] * b[i + (size_t)k];
  for (; i < n; i++) rest += a[i] * b[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7])) + rest;
}

FOR_EVERY_MACHINE static void subtract(double *restrict to, const double *restrict from, double factor, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] -= factor * from[i];
}

void orthogonal_reflect(double *columns, double *b, size_t rows, int count) {
  for (int k = 0; k < count && (size_t)k < rows; k++) {
    size_t left = rows - (size_t)k;
    double *column = columns + (size_t)k * rows + k, norm = sqrt(dot(column, column, left));
    if (!(norm > 0)) continue;
    double diagonal = column[0] > 0 ? -norm : norm;
    double half = norm * (norm + fabs(column[0]));  // of v'v, where v is the column less the diagonal
    column[0] -= diagonal;
    for (int j = k + 1; j <= count; j++) {
      double *other = (j < count ? columns + (size_t)j * rows : b) + k;
      subtract(other, column, dot(column, other, left) / half, left);
    }
    column[0] = diagonal;
  }
}

bool orthogonal_scale(double *columns, size_t rows, int count, double *length) {
  for (int k = 0; k < count; k++) {
    double *column = columns + (size_t)k * rows, square = dot(column, column, rows);
    if (!isfinite(square)) return false;
    length[k] = sqrt(square);
    for (size_t row = 0; row < rows && square > 0; row++) column[row] /= length[k];
  }
  return true;
}

int orthogonal_shortest(const double *r, const double *b, int n, const int *of, int count, double cut, double *x) {
  if (!count) return 0;
  size_t rows = (size_t)n, columns = (size_t)count, rank = 0;
  struct arena arena = {0};
  double *a = arena_array(&arena, rows * columns, sizeof *a), *side = arena_array(&arena, rows, sizeof *side),
         *work = arena_array(&arena, 3 * rows + 3, sizeof *work), *residual = arena_array(&arena, rows, sizeof *a);
  for (size_t k = 0; k < columns; k++)
    for (int i = 0; i <= of[k]; i++) a[(size_t)i * columns + k] = r[(size_t)of[k] * rows + (size_t)i];
  memcpy(side, b, rows * sizeof *side);
  gsl_permutation *order = gsl_permutation_alloc(columns);
  gsl_matrix_view matrix = gsl_matrix_view_array(a, rows, columns);
  gsl_vector_view q = gsl_vector_view_array(work, columns), z = gsl_vector_view_array(work + rows, columns),
                  scratch = gsl_vector_view_array(work + 2 * rows, columns), right = gsl_vector_view_array(side, rows),
                  out = gsl_vector_view_array(x, columns), left = gsl_vector_view_array(residual, rows);
  bool fine = order &&
              gsl_linalg_COD_decomp_e(&matrix.matrix, &q.vector, &z.vector, order, cut, &rank, &scratch.vector) ==
                  GSL_SUCCESS &&
              gsl_linalg_COD_lssolve(&matrix.matrix, &q.vector, &z.vector, order, rank, &right.vector, &out.vector,
                                     &left.vector) == GSL_SUCCESS;
  gsl_permutation_free(order);
  arena_free(&arena);
  for (size_t k = 0; k < columns && fine; k++) fine = isfinite(x[k]);
  return fine ? (int)rank : -1;
}

bool orthogonal_singular(const double *r, int n, double *values, double *vectors) {
  size_t size = (size_t)n;
  struct arena arena = {0};
  double *a = arena_array(&arena, size * size + 1, sizeof *a), *s = arena_array(&arena, size + 1, sizeof *s),
         *v = arena_array(&arena, size * size + 1, sizeof *v);
  for (size_t k = 0; k < size; k++)
    for (size_t i = 0; i <= k; i++) a[i * size + k] = r[k * size + i];
  gsl_matrix_view matrix = gsl_matrix_view_array(a, size, size), right = gsl_matrix_view_array(v, size, size);
  gsl_vector_view singular = gsl_vector_view_array(s, size);
  bool fine = gsl_linalg_SV_decomp_jacobi(&matrix.matrix, &right.matrix, &singular.vector) == GSL_SUCCESS;
  for (size_t k = 0; k < size && fine; k++) {  // GSL's come the largest first
    values[k] = s[size - 1 - k] * s[size - 1 - k];
    for (size_t i = 0; i < size; i++) vectors[i * size + k] = v[i * size + size - 1 - k];
  }
  arena_free(&arena);
  return fine;
}
