// See fitted_levels.h.
#include "kernels/formats/fitted_levels.h"

#include <math.h>
#include <stdlib.h>

struct levels levels_uniform(int count) {
  struct levels l = {.count = count};
  for (int k = 0; k <= count; k++) l.values[k] = (double)k / count;
  return l;
}

struct levels levels_exponential(int count) {
  struct levels l = {.count = count};
  for (int k = 1; k <= count; k++) l.values[k] = ldexp(1, k - count);
  return l;
}

// The place of u: values[place] <= u <= values[place + 1].
static int place_of(const struct levels *l, double u) {
  int low = 0, high = l->count;
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (l->values[middle] <= u)
      low = middle;
    else
      high = middle;
  }
  return low;
}

double levels_variance(const struct levels *l, const double *u, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    int k = place_of(l, u[i]);
    sum += (u[i] - l->values[k]) * (l->values[k + 1] - u[i]);
  }
  return sum;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static size_t first_above(const double *u, size_t count, double value) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (u[middle] <= value)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// Where a level between a and b is best: the variance's derivative, sum of (u - a) below it less sum of (b - u) above
// it, rises with the level and changes its sign at one of the u. NAN: there is none between them. sums [count + 1].
static double best_between(const double *u, const double *sums, size_t count, double a, double b) {
  size_t from = first_above(u, count, a), to = first_above(u, count, b), low = from, high = to;
  if (from >= to) return NAN;
  while (low < high) {
    size_t middle = (low + high) / 2;
    double below = sums[middle + 1] - sums[from] - a * (double)(middle + 1 - from),
           above = b * (double)(to - middle - 1) - (sums[to] - sums[middle + 1]);
    if (below >= above)
      high = middle;
    else
      low = middle + 1;
  }
  return u[low < to ? low : to - 1];
}

static struct levels descend(struct levels l, const double *u, const double *sums, size_t count) {
  for (int pass = 0; pass < 200; pass++) {
    bool moved = false;
    for (int k = 1; k < l.count; k++) {
      double best = best_between(u, sums, count, l.values[k - 1], l.values[k + 1]);
      if (isnan(best) || best == l.values[k] || best <= l.values[k - 1] || best >= l.values[k + 1]) continue;
      l.values[k] = best;
      moved = true;
    }
    if (!moved) break;
  }
  return l;
}

struct levels levels_fit(const struct levels *from, double *u, size_t count) {
  double *sums = memory_get((count + 1) * sizeof *sums);
  const struct levels starts[] = {*from, levels_uniform(from->count)};
  struct levels best = *from;
  double least = INFINITY;
  qsort(u, count, sizeof *u, ascending);
  sums[0] = 0;
  for (size_t i = 0; i < count; i++) sums[i + 1] = sums[i] + u[i];
  for (int s = 0; s < 2; s++) {
    struct levels fitted = descend(starts[s], u, sums, count);
    const struct levels *const both[] = {&starts[s], &fitted};  // what rounding of sums made worse is not taken
    for (int i = 0; i < 2; i++) {
      double variance = levels_variance(both[i], u, count);
      if (!(variance < least)) continue;
      least = variance;
      best = *both[i];
    }
  }
  free(sums);
  return best;
}

void levels_round(const struct levels *l, const double *x, size_t count, uint64_t seed, uint32_t stream, uint64_t step,
                  uint64_t first, double *out) {
  double square = 0;
  for (size_t i = 0; i < count; i++) square += x[i] * x[i];
  double norm = sqrt(square);
  bool none = !(norm > 0) || !isfinite(norm);
  for (size_t i = 0; i < count; i++) {
    double u = none ? 0 : fmin(fabs(x[i]) / norm, 1);
    int k = place_of(l, u);
    double low = l->values[k], high = l->values[k + 1];
    double up = random_uniform(seed, stream, step, first + i) * (high - low) < u - low ? high : low;
    out[i] = none ? x[i] : copysign(norm * up, x[i]);
  }
}

int64_t levels_bytes(const struct levels *l, int64_t count) {
  int bits = 1;
  while (1 << bits < 2 * l->count + 1) bits++;
  return 4 + (count * bits + 7) / 8;
}
