// From a matrix on its grid to a result: the order, the Hessian and its factor, a sweep, and back. See internal.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/compress/internal.h"

// What a sweep works on, put together from a gridded matrix.
struct problem {
  struct compress_call *call;
  const struct gridded *gridded;  // NULL: no grid, no transform
  int64_t *rows;                  // [inputs]: the input of each row of the sweep
  struct sweep sweep;
  double *factor;
};

// The order of rounding by its name: the nearest plane goes from the last input to the first.
static const char *order_of(const struct compress_settings *settings, enum sweep_kind kind, bool pruning) {
  bool backwards = kind == SWEEP_NEAREST_PLANE;
  if (pruning) return "natural";
  if (strcmp(settings->order, "natural") == 0) return backwards ? "reversed" : "natural";
  if (strcmp(settings->order, "reversed") == 0) return backwards ? "natural" : "reversed";
  return settings->order;
}

static int dimension_of(const struct problem *p) { return p->gridded ? p->gridded->nearest.dimension : 1; }

// The rows of a sweep, and the Hessian in their order.
static bool order_rows(struct problem *p, enum sweep_kind kind, const char *order, struct error *error) {
  int64_t n = p->sweep.inputs;
  struct arena *arena = p->call->arena;
  static const struct input_transform none = {.block = 1};
  p->rows = arena_array(arena, (size_t)n, sizeof *p->rows);
  for (int64_t i = 0; i < n; i++) p->rows[i] = i;
  if (kind == SWEEP_PLAIN) return true;
  double *h = damped_hessian(p->call, p->gridded ? &p->gridded->transform : &none, error);
  if (!h || !rounding_order(order, h, n, dimension_of(p), p->rows, arena, error)) return false;
  if (kind == SWEEP_NEAREST_PLANE) {  // from the last one on; neighbours of a vector keep their places
    int64_t *sequence = p->rows;
    int d = dimension_of(p);
    p->rows = arena_array(arena, (size_t)n, sizeof *p->rows);
    for (int64_t i = 0; i < n; i++) p->rows[i] = sequence[(n / d - 1 - i / d) * d + i % d];
  }
  p->factor = arena_array(arena, (size_t)(n * n), sizeof *p->factor);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) p->factor[i * n + j] = h[p->rows[i] * n + p->rows[j]];
  return true;
}

static void fill(struct problem *p, const float *values) {
  struct sweep *s = &p->sweep;
  const struct gridded *g = p->gridded;
  int64_t n = s->inputs, outputs = s->outputs;
  struct arena *arena = p->call->arena;
  s->w = arena_array(arena, (size_t)(n * outputs), sizeof *s->w);
  s->q = arena_array(arena, (size_t)(n * outputs), sizeof *s->q);
  for (int64_t i = 0; i < n; i++)
    for (int64_t o = 0; o < outputs; o++) s->w[i * outputs + o] = (double)values[o * n + p->rows[i]];
  if (!g) return;
  s->nearest = &g->nearest;
  int64_t *unit = arena_array(arena, (size_t)n, sizeof *unit);
  float *scales = arena_array(arena, (size_t)(g->units * outputs), sizeof *scales);
  for (int64_t i = 0; i < n; i++) unit[i] = p->rows[i] / g->group;
  for (int64_t o = 0; o < outputs; o++)
    for (int64_t i = 0; i < g->units; i++) scales[i * outputs + o] = g->scales[o * g->units + i];
  s->unit = unit;
  s->scales = scales;
  s->codes = arena_array(arena, (size_t)(n / dimension_of(p) * outputs), sizeof *s->codes);
}

// Represented values and codes where they belong, transformed back.
static void put_back(const struct problem *p) {
  const struct sweep *s = &p->sweep;
  struct compress_result *result = p->call->result;
  int64_t n = s->inputs, outputs = s->outputs, d = dimension_of(p);
  double *row = arena_array(p->call->arena, (size_t)n, sizeof *row);
  for (int64_t o = 0; o < outputs; o++) {
    for (int64_t i = 0; i < n; i++) row[p->rows[i]] = s->q[i * outputs + o];
    if (p->gridded) transform_rows_back(&p->gridded->transform, row, 1);
    for (int64_t i = 0; i < n; i++) result->represented[o * n + i] = (float)row[i];
    for (int64_t i = 0; i < n && result->codes && s->codes; i += d)
      result->codes[o * (n / d) + p->rows[i] / d] = s->codes[i / d * outputs + o];
  }
  result->has_codes = s->codes != NULL;
}

static int ascending(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

// Bits per code by how often each occurs.
static double entropy(const int32_t *codes, int64_t count) {
  int32_t *sorted = memory_get((size_t)count * sizeof *sorted);
  memcpy(sorted, codes, (size_t)count * sizeof *sorted);
  qsort(sorted, (size_t)count, sizeof *sorted, ascending);
  double bits = 0;
  for (int64_t i = 0, j; i < count; i = j) {
    for (j = i; j < count && sorted[j] == sorted[i];) j++;
    double share = (double)(j - i) / (double)count;
    bits -= share * log2(share);
  }
  free(sorted);
  return bits;
}

bool sweep_call(struct compress_call *call, const struct gridded *gridded, enum sweep_kind kind,
                const struct pruning *pruning, struct error *error) {
  const struct compress_layer *layer = call->layer;
  struct compress_result *result = call->result;
  struct problem p = {.call = call,
                      .gridded = gridded,
                      .sweep = {.outputs = layer->outputs, .inputs = layer->inputs, .pruning = pruning}};
  if (!order_rows(&p, kind, order_of(call->settings, kind, pruning != NULL), error)) return false;
  fill(&p, gridded ? gridded->values : layer->weights);
  switch (kind) {
    case SWEEP_PLAIN:
      sweep_plain(&p.sweep, call->arena);
      break;
    case SWEEP_INVERSE:
      if (!lapack_inverse_cholesky(p.factor, layer->inputs, error)) return false;
      sweep_inverse(&p.sweep, p.factor, call->arena);
      break;
    case SWEEP_NEAREST_PLANE:
      if (!lapack_cholesky(p.factor, layer->inputs, error)) return false;
      sweep_nearest_plane(&p.sweep, p.factor, call->arena);
      break;
  }
  put_back(&p);
  double values = (double)(layer->outputs * layer->inputs);
  result->clipped = (double)p.sweep.clipped / values;
  if (kind != SWEEP_PLAIN) {
    result->method_error = p.sweep.error;
    result->bound = p.sweep.bound;
    result->pivot_trace = p.sweep.trace;
  }
  if (gridded && gridded->nearest.unbounded)
    result->bits_per_weight = entropy(p.sweep.codes, layer->outputs * layer->inputs);
  return true;
}
