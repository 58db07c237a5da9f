// See influence.h.
#include "trainer/stages/influence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "kernels/hadamard.h"
#include "kernels/lapack.h"
#include "trainer/data/permutation.h"

// ---- sketches ----

struct sketcher sketcher_make(int64_t count, int64_t dimensions, uint64_t seed) {
  struct sketcher s = {.count = count, .padded = 1, .dimensions = dimensions, .seed = seed};
  while (s.padded < count) s.padded *= 2;
  if (s.dimensions > s.padded) s.dimensions = s.padded;
  s.work = memory_get((size_t)s.padded * sizeof *s.work);
  return s;
}

void sketcher_free(struct sketcher *s) {
  free(s->work);
  *s = (struct sketcher){0};
}

void sketch(struct sketcher *s, const float *x, double scale, float *out) {
  for (int64_t i = 0; i < s->count; i += 64) {
    const uint64_t signs = hash64(&i, sizeof i, s->seed);
    for (int64_t j = i; j < i + 64 && j < s->count; j++) s->work[j] = signs >> (j - i) & 1 ? x[j] : -x[j];
  }
  memset(s->work + s->count, 0, (size_t)(s->padded - s->count) * sizeof *s->work);
  hadamard_float(s->work, s->padded, s->padded);
  struct permutation order = permutation(mix64(s->seed), (uint64_t)s->padded);
  const double factor = scale / sqrt((double)s->dimensions);
  for (int64_t i = 0; i < s->dimensions; i++)
    out[i] = (float)(factor * s->work[s->dimensions < s->padded ? permute(&order, (uint64_t)i) : (uint64_t)i]);
}

// ---- kernel ridge regression ----

static double square_distance(const float *a, const float *b, int64_t dimensions) {
  double sum = 0;
  for (int64_t i = 0; i < dimensions; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
  return sum;
}

static int rising(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// 1 / (2 b^2).
static double rate_of(const float *x, int64_t landmarks, int64_t dimensions) {
  int64_t pairs = landmarks * (landmarks - 1) / 2, k = 0;
  if (!pairs) return 1;
  double *squares = memory_get((size_t)pairs * sizeof *squares);
  for (int64_t i = 0; i < landmarks; i++)
    for (int64_t j = 0; j < i; j++) squares[k++] = square_distance(x + i * dimensions, x + j * dimensions, dimensions);
  qsort(squares, (size_t)pairs, sizeof *squares, rising);
  const double median = squares[pairs / 2];
  free(squares);
  return median > 0 ? 1 / (2 * median) : 1;
}

bool ridge_predict(const float *x, int64_t landmarks, int64_t dimensions, const double *values, int64_t columns,
                   double damping, const float *at, int64_t points, double *out, struct error *error) {
  const double rate = rate_of(x, landmarks, dimensions);
  double *kernel = memory_get((size_t)(landmarks * landmarks) * sizeof *kernel);
  double *solved = memory_get((size_t)(landmarks * columns) * sizeof *solved);  // a column after the other
  for (int64_t i = 0; i < landmarks; i++) {
    for (int64_t j = 0; j < landmarks; j++)
      kernel[i * landmarks + j] = exp(-rate * square_distance(x + i * dimensions, x + j * dimensions, dimensions));
    kernel[i * landmarks + i] += damping;
    for (int64_t c = 0; c < columns; c++) solved[c * landmarks + i] = values[i * columns + c];
  }
  bool fine = lapack_solve_positive(landmarks, kernel, columns, solved, error);
  for (int64_t p = 0; p < points && fine; p++) {
    double *to = out + p * columns, *near = kernel;  // the kernel itself has done its work
    for (int64_t i = 0; i < landmarks; i++)
      near[i] = exp(-rate * square_distance(at + p * dimensions, x + i * dimensions, dimensions));
    for (int64_t c = 0; c < columns; c++) {
      to[c] = 0;
      for (int64_t i = 0; i < landmarks; i++) to[c] += near[i] * solved[c * landmarks + i];
    }
  }
  free(kernel), free(solved);
  return fine;
}

// ---- which windows ----

struct ranked {
  double p;
  int64_t window;
};

static int falling(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->p != y->p) return x->p > y->p ? -1 : 1;
  return x->window < y->window ? -1 : x->window > y->window;
}

// Windows in the order of falling p + i * stride.
static struct ranked *rank(const double *p, int64_t windows, int64_t stride) {
  struct ranked *order = memory_get((size_t)windows * sizeof *order);
  for (int64_t i = 0; i < windows; i++) order[i] = (struct ranked){p[i * stride], i};
  qsort(order, (size_t)windows, sizeof *order, falling);
  return order;
}

void choose_largest(const double *p, int64_t windows, int64_t count, int64_t *chosen) {
  struct ranked *order = rank(p, windows, 1);
  for (int64_t i = 0; i < count; i++) chosen[i] = order[i].window;
  free(order);
}

void choose_round_robin(const double *p, int64_t windows, int64_t targets, int64_t count, uint64_t seed,
                        int64_t *chosen) {
  struct ranked **orders = memory_get((size_t)targets * sizeof *orders);
  int64_t *next = memory_get((size_t)targets * sizeof *next);
  bool *taken = memory_get((size_t)windows * sizeof *taken);
  struct permutation turns = permutation(mix64(seed), (uint64_t)targets);
  for (int64_t t = 0; t < targets; t++) orders[t] = rank(p + t, windows, targets);
  for (int64_t i = 0; i < count; i++) {
    const int64_t t = (int64_t)permute(&turns, (uint64_t)(i % targets));
    while (taken[orders[t][next[t]].window]) next[t]++;
    chosen[i] = orders[t][next[t]].window;
    taken[chosen[i]] = true;
  }
  for (int64_t t = 0; t < targets; t++) free(orders[t]);
  free(orders), free(next), free(taken);
}

// Of p in falling order: how many have a weight at this lambda, where the weights have the sum `sum`; *tau with it.
static int64_t weighted_at(const struct ranked *order, int64_t windows, double sum, double lambda, double *tau) {
  double total = 0;
  int64_t n = 0;
  while (n < windows) {
    // With the n + 1 largest: sum (p - tau) = lambda sum.
    const double with = (total + order[n].p - lambda * sum) / (double)(n + 1);
    if (n && order[n].p <= with) break;
    total += order[n++].p;
    *tau = with;
  }
  return n;
}

double linear_weights(const double *p, int64_t windows, int64_t count, int64_t *chosen, double *weights) {
  struct ranked *order = rank(p, windows, 1);
  const double sum = (double)count, spread = order[0].p - order[windows - 1].p;
  double low = 0, high = spread > 0 ? spread * (double)windows : 1, lambda = high, tau = 0;
  for (int i = 0; i < 200; i++) {
    lambda = (low + high) / 2;
    const int64_t n = weighted_at(order, windows, sum, lambda, &tau);
    if (n == count) break;
    if (n < count)
      low = lambda;
    else
      high = lambda;
  }
  for (int64_t i = 0; i < count; i++) {
    chosen[i] = order[i].window;
    weights[i] = fmax(0, (order[i].p - tau) / lambda);
  }
  free(order);
  return lambda;
}
