// Causal attention: q, o and their gradients with `heads`, k and v with `kv_heads`; q [sequences, heads, context,
// head_dim], o [rows, heads * head_dim], log_sum [sequences, heads, context].
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cases/operations.h"

enum { Q, K, V, D_O, O, LOG_SUM, D_Q, D_K, D_V, COUNT };

#define IN_BFLOAT16 .only = true, .dtype = DTYPE_BFLOAT16

static const struct case_shape shapes[] = {
    {{1, 1, 1, 1, 2}},
    {{2, 1, 2, 1, 16}},
    {{1, 3, 1, 1, 16}},
    {{2, 7, 4, 2, 6}},
    {{1, 65, 2, 1, 16}, .large = true},
    {{1, 33, 1, 1, 64}, .large = true},
    {{1, 35, 1, 1, 100}, .large = true},
    {{1, 33, 1, 1, 128}, .large = true},
    {{1, 49, 3, 3, 20}, .large = true, .slow = true},
    {{2, 65, 4, 1, 32}, .large = true, .slow = true},
    {{1, 97, 2, 2, 64}, .large = true, .slow = true},
    {{1, 50, 1, 1, 256}, .large = true, .slow = true},
    // More keys than a CPU's block holds: the running maximum and sum.
    {{1, 300, 1, 1, 16}, .large = true, .slow = true},
    {{1, 541, 2, 1, 4}, .large = true, .slow = true},
    // Products in bfloat16. On a CPU: dimensions below and above a panel, two blocks of keys, one key, groups of heads.
    {{2, 1, 2, 1, 2}, IN_BFLOAT16},
    {{1, 61, 4, 2, 2}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 257, 1, 1, 2}, IN_BFLOAT16, .large = true, .slow = true},
    {{2, 1, 2, 1, 8}, IN_BFLOAT16},
    {{1, 61, 4, 2, 8}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 257, 1, 1, 8}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 61, 4, 2, 16}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 257, 1, 1, 16}, IN_BFLOAT16, .large = true, .slow = true},
    {{2, 1, 2, 1, 24}, IN_BFLOAT16},
    {{1, 61, 4, 2, 24}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 257, 1, 1, 24}, IN_BFLOAT16, .large = true, .slow = true},
    {{2, 1, 2, 1, 64}, IN_BFLOAT16},
    {{1, 61, 4, 2, 64}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 257, 1, 1, 64}, IN_BFLOAT16, .large = true, .slow = true},
    {{2, 1, 2, 1, 128}, IN_BFLOAT16},
    {{1, 61, 4, 2, 128}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 257, 1, 1, 128}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 290, 6, 2, 40}, IN_BFLOAT16, .large = true, .slow = true},
    {{1, 530, 2, 1, 16}, IN_BFLOAT16, .large = true, .slow = true},
    // On a GPU's tensor cores: dimensions below its kernels', ends of tiles of 16, 32 and 64 rows.
    {{1, 1, 1, 1, 16}, IN_BFLOAT16},
    {{2, 17, 2, 2, 24}, IN_BFLOAT16, .large = true},
    {{1, 64, 1, 1, 32}, IN_BFLOAT16, .large = true},
    {{2, 65, 6, 2, 16}, IN_BFLOAT16, .large = true},
    {{1, 129, 2, 1, 64}, IN_BFLOAT16, .large = true},
    {{1, 97, 2, 1, 128}, IN_BFLOAT16, .large = true},
    {{1, 65, 1, 1, 80}, IN_BFLOAT16, .large = true},
};

static struct attention shape_of(const struct op_case *c) {
  return (struct attention){c->size[0], c->size[1], c->size[2], c->size[3], c->size[4], c->dtype};
}

static void declare(struct op_case *c) {
  struct attention s = shape_of(c);
  int64_t positions = s.sequences * s.context, queries = positions * s.heads * s.head_dim;
  int64_t keys = positions * s.kv_heads * s.head_dim;
  enum case_type t = case_type_of(c->dtype);
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[Q] = case_input("q", t, queries, 2);
  a[K] = case_input("k", t, keys, 2);
  a[V] = case_input("v", t, keys, 1);
  a[D_O] = case_input("d_o", t, queries, 1);
  a[O] = case_result("o", t, queries, 2e-6);
  a[LOG_SUM] = case_result("log_sum", CASE_FLOAT32, positions * s.heads, 2e-6);
  a[D_Q] = case_gradient("d_q", t, queries, 4e-6, Q);
  a[D_K] = case_gradient("d_k", t, keys, 4e-6, K);
  a[D_V] = case_gradient("d_v", t, keys, 4e-6, V);
  static const int rounded[] = {O, D_Q, D_K, D_V};
  for (size_t i = 0; i < CASE_COUNT_OF(rounded) && c->dtype == DTYPE_BFLOAT16; i++)
    a[rounded[i]].rounded_squares = arena_array(&c->arena, (size_t)a[rounded[i]].count, sizeof(double));
}

// A query: where its row of q, its output and its key head are.
struct query {
  int64_t row, output, keys;
};

static struct query query_of(const struct attention *s, int64_t item, int64_t position) {
  int64_t sequence = item / s->heads, head = item % s->heads;
  return (struct query){(item * s->context + position) * s->head_dim,
                        ((sequence * s->context + position) * s->heads + head) * s->head_dim,
                        (sequence * s->kv_heads + head / (s->heads / s->kv_heads)) * s->context * s->head_dim};
}

static double dot_of(const double *a, const double *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}

static double square(double x) { return x * x; }

// Probabilities of keys 0 .. position; returns the logarithm of their sum before they were divided by it.
static double probabilities(const struct op_case *c, struct query at, int64_t position, double *p) {
  int64_t dim = c->size[4];
  double maximum = -INFINITY, sum = 0;
  for (int64_t j = 0; j <= position; j++) {
    p[j] = dot_of(case_values(c, Q) + at.row, case_values(c, K) + at.keys + j * dim, dim) / sqrt((double)dim);
    maximum = fmax(maximum, p[j]);
  }
  for (int64_t j = 0; j <= position; j++) sum += p[j] = exp(p[j] - maximum);
  for (int64_t j = 0; j <= position; j++) p[j] /= sum;
  return maximum + log(sum);
}

static void add_square(const struct op_case *c, int argument, int64_t at, double value) {
  double *squares = c->arguments[argument].rounded_squares;
  if (squares) squares[at] += value;
}

// o = sum of p v, where p is rounded and then o.
static double forward(const struct op_case *c) {
  struct attention s = shape_of(c);
  int64_t dim = s.head_dim;
  double loss = 0, *p = memory_get((size_t)s.context * sizeof *p);
  if (c->arguments[O].rounded_squares) memset(c->arguments[O].rounded_squares, 0, (size_t)c->arguments[O].count * 8);
  for (int64_t item = 0; item < s.sequences * s.heads; item++)
    for (int64_t i = 0; i < s.context; i++) {
      struct query at = query_of(&s, item, i);
      case_values(c, LOG_SUM)[item * s.context + i] = probabilities(c, at, i, p);
      for (int64_t d = 0; d < dim; d++) {
        double total = 0;
        for (int64_t j = 0; j <= i; j++) {
          double term = p[j] * case_values(c, V)[at.keys + j * dim + d];
          total += term;
          add_square(c, O, at.output + d, square(term));
        }
        add_square(c, O, at.output + d, square(total));
        case_values(c, O)[at.output + d] = total;
        loss += total * case_values(c, D_O)[at.output + d];
      }
    }
  free(p);
  return loss;
}

// The gradients through one query. Rounded are p, dS, in it the o of the dot product with d_o, and the results.
static void query_gradients(const struct op_case *c, struct query at, int64_t position, double *p, double *of_dot) {
  int64_t dim = c->size[4];
  const double *d_o = case_values(c, D_O) + at.output, *o = case_values(c, O) + at.output;
  double dot = dot_of(d_o, o, dim), dot_squares = 0;
  probabilities(c, at, position, p);
  for (int64_t d = 0; d < dim; d++) dot_squares += square(d_o[d] * o[d]), of_dot[d] = 0;
  for (int64_t j = 0; j <= position; j++) {
    int64_t key = at.keys + j * dim;
    double through_dot = p[j] / sqrt((double)dim),
           d_s = through_dot * (dot_of(d_o, case_values(c, V) + key, dim) - dot);
    for (int64_t d = 0; d < dim; d++) {
      double k = case_values(c, K)[key + d], q = case_values(c, Q)[at.row + d];
      case_values(c, D_V)[key + d] += p[j] * d_o[d];
      case_values(c, D_Q)[at.row + d] += d_s * k;
      case_values(c, D_K)[key + d] += d_s * q;
      of_dot[d] += through_dot * k;
      add_square(c, D_V, key + d, square(p[j] * d_o[d]));
      add_square(c, D_Q, at.row + d, square(d_s * k));
      add_square(c, D_K, key + d, square(d_s * q) + dot_squares * square(through_dot * q));
    }
  }
  for (int64_t d = 0; d < dim; d++) add_square(c, D_Q, at.row + d, dot_squares * square(of_dot[d]));
}

static void gradients(const struct op_case *c) {
  struct attention s = shape_of(c);
  double *p = memory_get((size_t)s.context * sizeof *p), *of_dot = memory_get((size_t)s.head_dim * sizeof *of_dot);
  for (int64_t item = 0; item < s.sequences * s.heads; item++)
    for (int64_t i = 0; i < s.context; i++) query_gradients(c, query_of(&s, item, i), i, p, of_dot);
  for (int which = D_Q; which <= D_V; which++)
    for (int64_t i = 0; i < c->arguments[which].count; i++) add_square(c, which, i, square(case_values(c, which)[i]));
  free(p);
  free(of_dot);
}

static void run_forward(struct case_run *run) {
  struct attention shape = shape_of(run->c);
  void *const *d = run->data;
  run->ops->attention_forward(run->device, &shape, d[Q], d[K], d[V], d[O], d[LOG_SUM]);
}

static void run_backward(struct case_run *run) {
  struct attention shape = shape_of(run->c);
  void *const *d = run->data;
  run->ops->attention_backward(run->device, &shape, d[Q], d[K], d[V], d[O], d[LOG_SUM], d[D_O], d[D_Q], d[D_K], d[D_V]);
}

// Two products forward, four backward, over the context (context + 1) / 2 pairs that causal attention has; the inputs
// and outputs (backward also o and the gradients), not the scores.
static struct case_cost cost(const struct case_run *run, double products, double arrays) {
  const struct op_case *c = run->c;
  double context = (double)c->size[1], pairs = (double)(c->size[0] * c->size[2]) * context * (context + 1) / 2;
  double elements = (double)(c->arguments[Q].count + c->arguments[K].count);
  return (struct case_cost){products * 2 * pairs * (double)c->size[4],
                            arrays * elements * (double)dtype_bytes(c->dtype)};
}

static struct case_cost forward_cost(const struct case_run *run) { return cost(run, 2, 2); }

static struct case_cost backward_cost(const struct case_run *run) { return cost(run, 4, 4); }

// Of each head, not causal: scores and weighted values.
static int forward_products(const struct case_shape *shape, struct case_product *products) {
  int64_t context = shape->size[1], dim = shape->size[4];
  double heads = (double)(shape->size[0] * shape->size[2]);
  products[0] = (struct case_product){GEMM_NT, context, context, dim, heads};
  products[1] = (struct case_product){GEMM_NN, context, dim, context, heads};
  return 2;
}

// Gradients of the probabilities and of queries; of values and of keys. Bare products would keep the scores.
static int backward_products(const struct case_shape *shape, struct case_product *products) {
  int count = forward_products(shape, products);
  products[count] =
      (struct case_product){GEMM_TN, shape->size[1], shape->size[4], shape->size[1], 2 * products[0].count};
  return count + 1;
}

static const struct case_pass passes[] = {
    {"attention forward", run_forward, forward_cost, true, forward_products},
    {"attention backward", run_backward, backward_cost, false, backward_products},
};

const struct operation operation_attention = {.name = "attention",
                                              .sizes = "sequences, context, heads, kv_heads, head_dim",
                                              .shapes = shapes,
                                              .shape_count = CASE_COUNT_OF(shapes),
                                              .kind = OP_ATTENTION,
                                              .op_shape = case_heads_shape,
                                              .declare = declare,
                                              .forward = forward,
                                              .gradients = gradients,
                                              .passes = passes,
                                              .pass_count = CASE_COUNT_OF(passes),
                                              .of_model = case_heads_of_model};
