// See spectrum.h.
#include "trainer/spectrum.h"

#include <math.h>
#include <stdlib.h>

#include "base/philox.h"
#include "kernels/lapack.h"

// Element (i, j) of x with its smaller side first.
static double at(int64_t rows, int64_t columns, const float *x, int64_t i, int64_t j) {
  return rows <= columns ? x[i * columns + j] : x[j * columns + i];
}

// The products of all pairs of lines of the smaller side.
static double *squares_of(int64_t rows, int64_t columns, const float *x) {
  int64_t side = rows <= columns ? rows : columns, length = rows <= columns ? columns : rows;
  double *gram = memory_get((size_t)(side * side) * sizeof *gram), *line = memory_get((size_t)side * sizeof *line);
  for (int64_t j = 0; j < length; j++) {
    for (int64_t i = 0; i < side; i++) line[i] = at(rows, columns, x, i, j);
    for (int64_t i = 0; i < side; i++)
      for (int64_t k = 0; k <= i; k++) gram[i * side + k] += line[i] * line[k];
  }
  for (int64_t i = 0; i < side; i++)
    for (int64_t k = 0; k < i; k++) gram[k * side + i] = gram[i * side + k];
  free(line);
  return gram;
}

bool spectrum_of_squares(int64_t n, double *squares, int64_t rank, struct spectrum *s, struct error *error) {
  *s = (struct spectrum){0};
  for (int64_t i = 0; i < n * n; i++)
    if (!isfinite(squares[i])) return error_set(error, EXIT_RUNS_FAILED, "a matrix is not finite");
  double *values = memory_get((size_t)n * sizeof *values), entropy = 0, largest = 0;
  bool fine = lapack_eigenvalues(n, squares, values, error);
  for (int64_t i = 0; i < n && fine; i++) {
    values[i] = fmax(values[i], 0);
    s->squares += values[i];
    if (i >= n - rank) largest += values[i];
  }
  for (int64_t i = 0; i < n && fine && s->squares > 0; i++) {
    double share = values[i] / s->squares;
    if (share > 0) entropy -= share * log(share);
  }
  if (fine && s->squares > 0) {
    s->stable_rank = s->squares / values[n - 1];
    s->effective_rank = exp(entropy);
    s->largest_share = largest / s->squares;
  }
  free(values);
  return fine;
}

bool spectrum_of(int64_t rows, int64_t columns, const float *x, int64_t rank, struct spectrum *spectrum,
                 struct error *error) {
  double *gram = squares_of(rows, columns, x);
  bool fine = spectrum_of_squares(rows <= columns ? rows : columns, gram, rank, spectrum, error);
  free(gram);
  return fine;
}

static int by_size(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a < b) - (a > b);
}

// Along each of `count` directions [count, side], sums of squares.
static void along(int64_t rows, int64_t columns, const float *x, int64_t count, const float *directions, double *held) {
  int64_t side = rows <= columns ? rows : columns, length = rows <= columns ? columns : rows;
  for (int64_t d = 0; d < count; d++) {
    held[d] = 0;
    for (int64_t j = 0; j < length; j++) {
      double sum = 0;
      for (int64_t i = 0; i < side; i++) sum += (double)directions[d * side + i] * at(rows, columns, x, i, j);
      held[d] += sum * sum;
    }
  }
}

static double share_of(int64_t rows, int64_t columns, const float *x, int64_t count, const double *held) {
  double all = 0, some = 0;
  for (int64_t i = 0; i < rows * columns; i++) all += (double)x[i] * x[i];
  for (int64_t d = 0; d < count; d++) some += held[d];
  return all > 0 ? some / all : 0;
}

double spectrum_dct_share(int64_t rows, int64_t columns, const float *x, int64_t rank) {
  int64_t n = rows <= columns ? rows : columns;
  float *basis = memory_get((size_t)(n * n) * sizeof *basis);
  double *held = memory_get((size_t)n * sizeof *held);
  for (int64_t k = 0; k < n; k++)
    for (int64_t i = 0; i < n; i++)
      basis[k * n + i] = (float)(sqrt((k ? 2 : 1) / (double)n) *
                                 cos(acos(-1) * (double)(k * (2 * i + 1) % (4 * n)) / (2 * (double)n)));
  along(rows, columns, x, n, basis, held);
  qsort(held, (size_t)n, sizeof *held, by_size);
  double share = share_of(rows, columns, x, rank < n ? rank : n, held);
  free(basis), free(held);
  return share;
}

bool spectrum_random_share(int64_t rows, int64_t columns, const float *x, int64_t rank, uint64_t seed, double *share,
                           struct error *error) {
  int64_t n = rows <= columns ? rows : columns, count = rank < n ? rank : n;
  float *basis = memory_get((size_t)(count * n) * sizeof *basis);
  double *held = memory_get((size_t)count * sizeof *held), normals[2];
  for (int64_t i = 0; i < count * n; i++) {
    random_normal_pair(seed, RANDOM_STREAM_SENSITIVITY, UINT32_MAX, (uint64_t)i, normals);
    basis[i] = (float)normals[0];
  }
  bool fine = lapack_orthonormalize(count, n, basis, NULL, NULL, error);
  if (fine) along(rows, columns, x, count, basis, held);
  if (fine) *share = share_of(rows, columns, x, count, held);
  free(basis), free(held);
  return fine;
}
