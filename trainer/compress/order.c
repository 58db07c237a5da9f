// The Hessian as methods take it, and the order in which inputs are rounded. See internal.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/compress/internal.h"

double *damped_hessian(struct compress_call *call, const struct input_transform *transform, struct error *error) {
  const float *from = call->layer->hessian;
  int64_t n = call->layer->inputs;
  double *h = arena_array(call->arena, (size_t)(n * n), sizeof *h), trace = 0;
  for (int64_t i = 0; i < n * n; i++) h[i] = (double)from[i];
  for (int64_t i = 0; i < n; i++) trace += h[i * n + i];
  for (int64_t i = 0; i < n * n; i++)
    if (!isfinite(h[i])) {
      error_set(error, EXIT_USAGE_ERROR, "the Hessian of %lld inputs has a value that is not finite", (long long)n);
      return NULL;
    }
  if (!(trace > 0)) {
    error_set(error, EXIT_USAGE_ERROR, "the Hessian of %lld inputs is zero: no calibration token reached them",
              (long long)n);
    return NULL;
  }
  transform_hessian(transform, h);
  for (int64_t i = 0; i < n; i++) h[i * n + i] += call->settings->damping * trace / (double)n;
  return h;
}

struct sized {
  double size;
  int64_t unit;
};

static int largest_first(const void *a, const void *b) {
  const struct sized *x = a, *y = b;
  if (x->size != y->size) return x->size > y->size ? -1 : 1;
  return (x->unit > y->unit) - (x->unit < y->unit);
}

// Largest diagonal first: of vectors, the sum over their inputs.
static void act_order(const double *h, int64_t n, int dimension, int64_t *units, struct arena *arena) {
  int64_t count = n / dimension;
  struct sized *sized = arena_array(arena, (size_t)count, sizeof *sized);
  for (int64_t unit = 0; unit < count; unit++) {
    sized[unit].unit = unit;
    for (int64_t i = unit * dimension; i < (unit + 1) * dimension; i++) sized[unit].size += h[i * n + i];
  }
  qsort(sized, (size_t)count, sizeof *sized, largest_first);
  for (int64_t unit = 0; unit < count; unit++) units[unit] = sized[unit].unit;
}

// At each step of a factorization the smallest remaining pivot; what is factored first is rounded last. LAPACK's
// pivoted Cholesky (dpstrf) takes the largest ones, so the Schur complements are followed here.
static void min_pivot_order(const double *h, int64_t n, int64_t *sequence, struct arena *arena) {
  double *s = arena_array(arena, (size_t)(n * n), sizeof *s);
  memcpy(s, h, (size_t)(n * n) * sizeof *s);
  int64_t *left = arena_array(arena, (size_t)n, sizeof *left);  // inputs of the rows that remain
  for (int64_t i = 0; i < n; i++) left[i] = i;
  double *column = arena_array(arena, (size_t)n, sizeof *column);
  for (int64_t m = n; m > 0; m--) {  // the first m rows and columns of s are the complement
    int64_t least = 0;
    for (int64_t i = 1; i < m; i++) {
      double a = s[i * n + i], b = s[least * n + least];
      if (a < b || (a == b && left[i] < left[least])) least = i;
    }
    sequence[m - 1] = left[least];
    // The last row takes its place.
    int64_t last = m - 1;
    double pivot = s[least * n + least];
    for (int64_t i = 0; i < m; i++) column[i] = s[least * n + i];
    for (int64_t i = 0; i < last; i++) s[least * n + i] = s[last * n + i];
    for (int64_t i = 0; i < last; i++) s[i * n + least] = s[i * n + last];
    s[least * n + least] = s[last * n + last];
    left[least] = left[last];
    column[least] = column[last];
    if (!(pivot > 0)) continue;  // singular: the factorization will say so
    for (int64_t i = 0; i < last; i++) {
      double factor = column[i] / pivot;
      for (int64_t j = 0; j < last; j++) s[i * n + j] -= factor * column[j];
    }
  }
}

bool rounding_order(const char *order, const double *h, int64_t n, int dimension, int64_t *sequence,
                    struct arena *arena, struct error *error) {
  int64_t count = n / dimension, *units = arena_array(arena, (size_t)count, sizeof *units);
  if (strcmp(order, "min-pivot") == 0) {
    if (dimension > 1)
      return error_set(error, EXIT_USAGE_ERROR, "order min-pivot is of single inputs: a vector grid rounds %d together",
                       dimension);
    min_pivot_order(h, n, sequence, arena);
    return true;
  }
  for (int64_t unit = 0; unit < count; unit++) units[unit] = unit;
  if (strcmp(order, "act") == 0) act_order(h, n, dimension, units, arena);
  if (strcmp(order, "reversed") == 0)
    for (int64_t unit = 0; unit < count; unit++) units[unit] = count - 1 - unit;
  for (int64_t unit = 0; unit < count; unit++)
    for (int d = 0; d < dimension; d++) sequence[unit * dimension + d] = units[unit] * dimension + d;
  return true;
}
