// A matrix brought near an orthogonal one, and rows brought to one size.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cases/operations.h"

enum { X, Y, V, COUNT };

// Rows, columns, steps. Wide, tall, square, one row; sizes of whole and broken vectors; matrices that are nothing but
// one entry (size[3] 1), or all 0 (2), which have no rows' size to go by but the smallest.
static const struct case_shape shapes[] = {{{16, 48, 5, 0}}, {{48, 16, 5, 0}}, {{33, 33, 4, 0}}, {{1, 40, 5, 0}},
                                           {{21, 5, 1, 0}},  {{16, 32, 5, 1}}, {{16, 16, 2, 2}}, {{80, 96, 5, 0}}};

static const double beta2 = 0.95;

static void declare(struct op_case *c) {
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[X] = case_result("orthogonal", CASE_FLOAT32, c->size[0] * c->size[1], 1e-4);
  a[Y] = case_result("of equal rows", CASE_FLOAT32, c->size[0] * c->size[1], 1e-6);
  a[V] = case_result("v", CASE_FLOAT32, c->size[0], 1e-6);
  a[X].kept = a[Y].kept = a[V].kept = true;
  a[X].scale = a[Y].scale = a[V].scale = 1;
}

static void adjust(struct op_case *c) {
  for (int64_t i = 0; i < c->size[0] * c->size[1]; i++) {
    if (c->size[3] == 0 || (c->size[3] == 1 && i == 5)) continue;
    c->arguments[X].start[i] = 0;
    if (c->size[3] == 2) c->arguments[Y].start[i] = 0;
  }
  for (int64_t row = 0; row < c->size[0]; row++) {
    double *v = &c->arguments[V].start[row];
    *v = row % 5 == 0 ? 0 : fabs(*v);
  }
}

// to [m, n] = a [m, k] b [k, n]
static void product(int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *to) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = 0;
      for (int64_t l = 0; l < k; l++) sum += a[i * k + l] * b[l * n + j];
      to[i * n + j] = sum;
    }
}

// By the formula from the left, of whichever is wide: the matrix or its transpose.
static void exact_orthogonal(const struct op_case *c, double *x) {
  int64_t rows = c->size[0], columns = c->size[1], count = rows * columns;
  bool wide = rows <= columns;
  int64_t m = wide ? rows : columns, n = wide ? columns : rows;
  double *a = memory_get((size_t)count * sizeof *a), *turned = memory_get((size_t)count * sizeof *turned);
  double *gram = memory_get((size_t)(m * m) * sizeof *gram), *square = memory_get((size_t)(m * m) * sizeof *square);
  double norm = 0;
  for (int64_t i = 0; i < count; i++) norm += x[i] * x[i];
  norm = fmax(sqrt(norm), ORTHOGONALIZE_LEAST_NORM);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) a[i * n + j] = (wide ? x[i * columns + j] : x[j * columns + i]) / norm;
  for (int64_t step = 0; step < c->size[2]; step++) {
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < n; j++) turned[j * m + i] = a[i * n + j];
    product(m, m, n, a, turned, gram);
    product(m, m, m, gram, gram, square);
    for (int64_t i = 0; i < m * m; i++) square[i] = ORTHOGONALIZE_B * gram[i] + ORTHOGONALIZE_C * square[i];
    product(m, n, m, square, a, turned);
    for (int64_t i = 0; i < count; i++) a[i] = ORTHOGONALIZE_A * a[i] + turned[i];
  }
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) x[wide ? i * columns + j : j * columns + i] = a[i * n + j];
  free(a), free(turned), free(gram), free(square);
}

static void exact_rows(const struct op_case *c, double *v, double *y) {
  int64_t rows = c->size[0], columns = c->size[1];
  double before = 0, after = 0;
  for (int64_t i = 0; i < rows * columns; i++) before += y[i] * y[i];
  for (int64_t row = 0; row < rows; row++) {
    double sum = 0;
    for (int64_t i = 0; i < columns; i++) sum += y[row * columns + i] * y[row * columns + i];
    v[row] = beta2 * v[row] + (1 - beta2) * sum / (double)columns;
    for (int64_t i = 0; i < columns; i++) y[row * columns + i] /= sqrt(v[row]) + NORMALIZE_ROWS_EPSILON;
  }
  for (int64_t i = 0; i < rows * columns; i++) after += y[i] * y[i];
  for (int64_t i = 0; i < rows * columns; i++) y[i] *= sqrt(before) / (sqrt(after) + NORMALIZE_ROWS_EPSILON);
}

static double forward(const struct op_case *c) {
  for (int which = X; which <= V; which++)
    memcpy(case_values(c, which), c->arguments[which].start, (size_t)c->arguments[which].count * sizeof(double));
  exact_orthogonal(c, case_values(c, X));
  exact_rows(c, case_values(c, V), case_values(c, Y));
  return 0;
}

static void run_orthogonalize(struct case_run *run) {
  run->ops->orthogonalize(run->device, run->c->size[0], run->c->size[1], (int)run->c->size[2], run->data[X]);
}

static void run_rows(struct case_run *run) {
  run->ops->normalize_rows(run->device, run->c->size[0], run->c->size[1], beta2, run->data[V], run->data[Y]);
}

static const struct case_pass passes[] = {
    {"orthogonalize", run_orthogonalize, NULL, false, NULL},
    {"normalize rows", run_rows, NULL, false, NULL},
};

const struct operation operation_orthogonal = {.name = "orthogonal",
                                               .sizes = "rows, columns, steps, what is 0",
                                               .shapes = shapes,
                                               .shape_count = CASE_COUNT_OF(shapes),
                                               .one_dtype = true,
                                               .kind = OP_ORTHOGONALIZE,
                                               .op_shape = case_rows_shape,
                                               .declare = declare,
                                               .adjust = adjust,
                                               .forward = forward,
                                               .passes = passes,
                                               .pass_count = CASE_COUNT_OF(passes)};
