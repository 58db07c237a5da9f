// Directions of matrices: Adam's moments carried over to others, rows made orthonormal, eigenvectors.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cases/operations.h"

enum { ROTATION, M, V, BY, SYMMETRIC, M_TO, V_TO, ROWS, ORDERED, ORDER, ROOT, DIAGONAL, VECTORS, WORK, COUNT };

// Rank, side, elements of each moment.
static const struct case_shape shapes[] = {{{4, 16, 48}}, {{7, 7, 33}}, {{1, 5, 3}}, {{20, 40, 300}}};

static const double c1 = 0.3, c2 = 0.06, exponent = -0.125, damping = 0.05;

static void declare(struct op_case *c) {
  int64_t rank = c->size[0], side = c->size[1], count = c->size[2];
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[ROTATION] = case_input("rotation", CASE_FLOAT32, rank * rank, 1);
  a[M] = case_input("m", CASE_FLOAT32, rank * count, 1);
  a[V] = case_input("v", CASE_FLOAT32, rank * count, 1);
  a[BY] = case_input("by", CASE_FLOAT32, rank * side, 1);
  a[SYMMETRIC] = case_input("symmetric", CASE_FLOAT32, side * side, 1);
  a[M_TO] = case_result("m", CASE_FLOAT32, rank * count, 2e-6);
  a[V_TO] = case_result("v", CASE_FLOAT32, rank * count, 2e-6);
  a[ROWS] = case_result("orthonormal", CASE_FLOAT32, rank * side, 1e-5);
  a[ORDERED] = case_result("in order", CASE_FLOAT32, rank * side, 1e-5);
  a[ORDER] = case_result("order", CASE_IDS, rank, 0);
  a[ROOT] = case_result("root", CASE_FLOAT32, side * side, 1e-5);
  a[DIAGONAL] = case_result("in its eigenvectors", CASE_FLOAT32, side * side, 1e-5);
  a[VECTORS] = case_result("vectors times their transpose", CASE_FLOAT32, side * side, 1e-5);
  a[WORK] = case_result("work", CASE_FLOAT32, 2 * side * side, 0);
  a[ROWS].kept = a[ORDERED].kept = true;
  a[ROWS].scale = a[ORDERED].scale = 1;
}

// x [rank, side] by Gram and Schmidt, twice for what cancels.
static void orthonormal(int64_t rank, int64_t side, double *x) {
  for (int64_t i = 0; i < rank; i++) {
    double norm = 0, *row = x + i * side;
    for (int again = 0; again < 2; again++)
      for (int64_t j = 0; j < i; j++) {
        double along = 0;
        for (int64_t l = 0; l < side; l++) along += row[l] * x[j * side + l];
        for (int64_t l = 0; l < side; l++) row[l] -= along * x[j * side + l];
      }
    for (int64_t l = 0; l < side; l++) norm += row[l] * row[l];
    for (int64_t l = 0; l < side; l++) row[l] /= sqrt(norm);
  }
}

// An eigenvalue of the symmetric matrix, by decreasing size.
static double eigenvalue(int64_t i) { return 1 / (1 + 0.4 * (double)i); }

// to = sum over the vectors, rows of known directions, of vector vector^T times (lambda + shift)^power.
static void symmetric_of(int64_t side, double shift, double power, double *to) {
  double *vectors = memory_get((size_t)(side * side) * sizeof *vectors);
  for (int64_t i = 0; i < side * side; i++) vectors[i] = sin((double)(i * i % 997)) + (i % (side + 1) == 0);
  orthonormal(side, side, vectors);
  memset(to, 0, (size_t)(side * side) * sizeof *to);
  for (int64_t v = 0; v < side; v++)
    for (int64_t i = 0; i < side * side; i++)
      to[i] += pow(eigenvalue(v) + shift, power) * vectors[v * side + i / side] * vectors[v * side + i % side];
  free(vectors);
}

static void adjust(struct op_case *c) {
  double *symmetric = case_values(c, SYMMETRIC);
  symmetric_of(c->size[1], 0, 1, symmetric);
  for (int64_t i = 0; i < c->arguments[SYMMETRIC].count; i++) symmetric[i] = (float)symmetric[i];
  for (int64_t i = 0; i < c->arguments[V].count; i++) case_values(c, V)[i] = fabs(case_values(c, V)[i]);
  memcpy(c->arguments[ORDERED].start, c->arguments[ROWS].start, (size_t)c->arguments[ROWS].count * sizeof(double));
}

static void exact_order(const struct op_case *c) {
  int64_t rank = c->size[0], side = c->size[1];
  const double *x = c->arguments[ORDERED].start, *by = case_values(c, BY);
  double *scores = memory_get((size_t)rank * sizeof *scores), *ordered = case_values(c, ORDERED);
  for (int64_t row = 0; row < rank; row++) {
    scores[row] = 0;
    for (int64_t i = 0; i < side; i++) scores[row] += x[row * side + i] * by[row * side + i];
  }
  for (int64_t place = 0; place < rank; place++) {
    int64_t best = 0;
    for (int64_t row = 1; row < rank; row++)
      if (scores[row] > scores[best]) best = row;
    scores[best] = -INFINITY;
    case_values(c, ORDER)[place] = (double)best;
    memcpy(ordered + place * side, x + best * side, (size_t)side * sizeof *x);
  }
  orthonormal(rank, side, ordered);
  free(scores);
}

static double forward(const struct op_case *c) {
  int64_t rank = c->size[0], side = c->size[1], count = c->size[2];
  const double *m = case_values(c, M), *v = case_values(c, V), *p = case_values(c, ROTATION);
  for (int64_t at = 0; at < rank * count; at++) {
    double mean = 0, spread = 0;
    for (int64_t k = 0; k < rank; k++) {
      double one = p[at / count * rank + k], old = m[k * count + at % count];
      mean += one * old;
      spread += one * one * (v[k * count + at % count] / c2 - old / c1 * (old / c1));
    }
    case_values(c, M_TO)[at] = mean;
    case_values(c, V_TO)[at] = fabs(c2 * (spread + mean / c1 * (mean / c1)));
  }
  memcpy(case_values(c, ROWS), c->arguments[ROWS].start, (size_t)(rank * side) * sizeof(double));
  orthonormal(rank, side, case_values(c, ROWS));
  exact_order(c);
  symmetric_of(side, damping * eigenvalue(0), 2 * exponent, case_values(c, ROOT));
  for (int64_t at = 0; at < side * side; at++) {
    bool diagonal = at / side == at % side;
    case_values(c, DIAGONAL)[at] = diagonal ? eigenvalue(at / side) : 0;
    case_values(c, VECTORS)[at] = diagonal;
  }
  return 0;
}

static void run_rotate(struct case_run *run) {
  void *const *d = run->data;
  run->ops->rotate_moments(run->device, run->c->size[0], run->c->size[2], d[ROTATION], c1, c2, d[M], d[V], d[M_TO],
                           d[V_TO]);
}

static void run_orthonormalize(struct case_run *run) {
  void *const *d = run->data;
  run->ops->orthonormalize(run->device, run->c->size[0], run->c->size[1], d[ROWS], NULL, NULL);
  run->ops->orthonormalize(run->device, run->c->size[0], run->c->size[1], d[ORDERED], d[BY], d[ORDER]);
}

// Signs of eigenvectors are nobody's: what is compared is what they make of the matrix.
static void run_eigenvectors(struct case_run *run) {
  void *const *d = run->data;
  int64_t n = run->c->size[1];
  size_t bytes = (size_t)(n * n) * sizeof(float);
  float *work = d[WORK], *second = work + n * n;
  run->ops->copy(run->device, work, d[SYMMETRIC], bytes);
  run->ops->eigenvectors(run->device, n, work, exponent, damping);
  run->ops->product(run->device, GEMM_TN, n, n, n, work, work, d[ROOT], false);
  run->ops->copy(run->device, work, d[SYMMETRIC], bytes);
  run->ops->eigenvectors(run->device, n, work, 0, damping);
  run->ops->product(run->device, GEMM_NT, n, n, n, work, work, d[VECTORS], false);
  run->ops->product(run->device, GEMM_NN, n, n, n, work, d[SYMMETRIC], second, false);
  run->ops->product(run->device, GEMM_NT, n, n, n, second, work, d[DIAGONAL], false);
  run->ops->clear(run->device, work, 2 * bytes);
}

static const struct case_pass passes[] = {{"rotate moments", run_rotate, NULL, false, NULL},
                                          {"orthonormalize", run_orthonormalize, NULL, false, NULL},
                                          {"eigenvectors", run_eigenvectors, NULL, false, NULL}};

const struct operation operation_directions = {.name = "directions",
                                               .sizes = "rank, side, count",
                                               .shapes = shapes,
                                               .shape_count = CASE_COUNT_OF(shapes),
                                               .one_dtype = true,
                                               .declare = declare,
                                               .adjust = adjust,
                                               .forward = forward,
                                               .passes = passes,
                                               .pass_count = CASE_COUNT_OF(passes)};
