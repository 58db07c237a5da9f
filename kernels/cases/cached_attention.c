// Attention of new rows over kept keys and values: the last ones of them, each over those up to its own; and rows that
// see all keys of two caches, one after the other, the second merged into the first. q [sequences, heads, rows,
// head_dim], k and v [sequences, kv_heads, capacity, head_dim], o [sequences * rows, heads * head_dim].
#include <math.h>
#include <stdlib.h>

#include "kernels/cases/operations.h"

enum { Q, K, V, OTHER_K, OTHER_V, O, LOG_SUM, BOTH_O, BOTH_LOG_SUM, COUNT };
enum { SPARE = 3 };  // rows of a cache behind those that are there

static const struct case_shape shapes[] = {
    {{1, 1, 1, 1, 2, 1}},
    {{2, 1, 2, 1, 16, 5}},
    {{1, 3, 2, 2, 6, 3}},
    {{2, 7, 4, 2, 16, 20}},
    // More queries than a tile, more keys than a block.
    {{1, 65, 2, 1, 16, 90}},
    {{2, 33, 2, 2, 32, 300}},
    {{1, 1, 3, 1, 64, 541}},
    {{1, 50, 1, 1, 100, 513}},
};

static struct attention shape_of(const struct op_case *c) {
  return (struct attention){c->size[0], c->size[1], c->size[2], c->size[3], c->size[4], c->dtype};
}
static int64_t keys_of(const struct op_case *c) { return c->size[5]; }
static int64_t capacity_of(const struct op_case *c) { return keys_of(c) + SPARE; }

static struct op_shape op_shape(const struct op_case *c) {
  struct op_shape shape = case_heads_shape(c);
  shape.context = capacity_of(c);
  return shape;
}

static bool is_there(const struct ops *ops) { return ops->attention_cached != NULL; }

static void declare(struct op_case *c) {
  struct attention s = shape_of(c);
  int64_t rows = s.sequences * s.context * s.heads, queries = rows * s.head_dim;
  int64_t keys = s.sequences * s.kv_heads * capacity_of(c) * s.head_dim;
  enum case_type t = case_type_of(c->dtype);
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[Q] = case_input("q", t, queries, 2);
  a[K] = case_input("k", t, keys, 2);
  a[V] = case_input("v", t, keys, 1);
  a[OTHER_K] = case_input("other_k", t, keys, 2);
  a[OTHER_V] = case_input("other_v", t, keys, 1);
  a[O] = case_result("o", t, queries, case_tolerance(c));
  a[LOG_SUM] = case_result("log_sum", CASE_FLOAT32, rows, 2e-6);
  a[BOTH_O] = case_result("both_o", t, queries, 2 * case_tolerance(c));
  a[BOTH_LOG_SUM] = case_result("both_log_sum", CASE_FLOAT32, rows, 2e-6);
}

// Adds exp(score - top) of the first `seen` keys, and these times the values, to sum and o; top is that of all.
static void add_keys(const struct op_case *c, int k, int64_t query, int64_t keys, int64_t seen, double top, double *sum,
                     double *o) {
  int64_t dim = c->size[4];
  for (int64_t j = 0; j < seen; j++) {
    double score = 0, e;
    for (int64_t d = 0; d < dim; d++)
      score += case_values(c, Q)[query + d] * case_values(c, k)[keys + j * dim + d] / sqrt((double)dim);
    *sum += e = exp(score - top);
    for (int64_t d = 0; o && d < dim; d++) o[d] += e * case_values(c, k + 1)[keys + j * dim + d];
  }
}

static double forward(const struct op_case *c) {
  enum { TOP = 30 };  // near enough to any score that nothing overflows
  struct attention s = shape_of(c);
  int64_t dim = s.head_dim;
  for (int64_t item = 0; item < s.sequences * s.heads; item++)
    for (int64_t row = 0; row < s.context; row++) {
      int64_t sequence = item / s.heads, head = item % s.heads, at = item * s.context + row, query = at * dim;
      int64_t keys = (sequence * s.kv_heads + head / (s.heads / s.kv_heads)) * capacity_of(c) * dim;
      int64_t to = ((sequence * s.context + row) * s.heads + head) * dim;
      double *o = case_values(c, O) + to, *both = case_values(c, BOTH_O) + to, sum = 0, all = 0;
      for (int64_t d = 0; d < dim; d++) o[d] = both[d] = 0;
      add_keys(c, K, query, keys, keys_of(c) - s.context + row + 1, TOP, &sum, o);
      add_keys(c, K, query, keys, keys_of(c), TOP, &all, both);
      add_keys(c, OTHER_K, query, keys, capacity_of(c), TOP, &all, both);
      for (int64_t d = 0; d < dim; d++) o[d] /= sum, both[d] /= all;
      case_values(c, LOG_SUM)[at] = log(sum) + TOP;
      case_values(c, BOTH_LOG_SUM)[at] = log(all) + TOP;
    }
  return 0;
}

static void run(struct case_run *run) {
  struct attention shape = shape_of(run->c);
  struct attention_cache last = {.capacity = capacity_of(run->c), .keys = keys_of(run->c)}, all = last, other = last;
  void *const *d = run->data;
  all.all = other.all = other.merge = true;
  other.keys = other.capacity;
  run->ops->attention_cached(run->device, &shape, &last, d[Q], d[K], d[V], d[O], d[LOG_SUM]);
  run->ops->attention_cached(run->device, &shape, &all, d[Q], d[K], d[V], d[BOTH_O], d[BOTH_LOG_SUM]);
  run->ops->attention_cached(run->device, &shape, &other, d[Q], d[OTHER_K], d[OTHER_V], d[BOTH_O], d[BOTH_LOG_SUM]);
}

static const struct case_pass passes[] = {{.name = "cached attention", .run = run, .forward_only = true}};

const struct operation operation_cached_attention = {.name = "cached attention",
                                                     .sizes = "sequences, rows, heads, kv_heads, head_dim, keys",
                                                     .shapes = shapes,
                                                     .shape_count = CASE_COUNT_OF(shapes),
                                                     .kind = OP_ATTENTION,
                                                     .op_shape = op_shape,
                                                     .there = is_there,
                                                     .declare = declare,
                                                     .forward = forward,
                                                     .passes = passes,
                                                     .pass_count = CASE_COUNT_OF(passes)};
