// The split into queries, keys and values with rotary positions: qkv [rows, (heads + 2 kv_heads) * head_dim] to
// q [sequences, heads, context, head_dim], k and v likewise with kv_heads; the table [context, head_dim].
#include <math.h>

#include "kernels/cases/operations.h"

enum { QKV, D_Q, D_K, D_V, TABLE, Q, K, V, D_QKV, COUNT };

static const double theta = 1000;

static const struct case_shape shapes[] = {
    {{1, 1, 1, 1, 2}}, {{2, 5, 4, 2, 6}}, {{1, 3, 2, 1, 24}}, {{3, 9, 3, 1, 64}}, {{3, 33, 3, 1, 64}, .large = true}};

static struct attention shape_of(const struct op_case *c) {
  return (struct attention){c->size[0], c->size[1], c->size[2], c->size[3], c->size[4], c->dtype};
}

static void declare(struct op_case *c) {
  struct attention s = shape_of(c);
  int64_t positions = s.sequences * s.context * s.head_dim;
  enum case_type t = case_type_of(c->dtype);
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[QKV] = case_input("qkv", t, positions * (s.heads + 2 * s.kv_heads), 1);
  a[D_Q] = case_input("d_q", t, positions * s.heads, 1);
  a[D_K] = case_input("d_k", t, positions * s.kv_heads, 1);
  a[D_V] = case_input("d_v", t, positions * s.kv_heads, 1);
  a[TABLE] = case_result("table", CASE_FLOAT32, s.context * s.head_dim, 1e-7);
  a[Q] = case_result("q", t, positions * s.heads, case_tolerance(c));
  a[K] = case_result("k", t, positions * s.kv_heads, case_tolerance(c));
  a[V] = case_result("v", t, positions * s.kv_heads, 0);
  a[D_QKV] = case_gradient("d_qkv", t, a[QKV].count, case_tolerance(c), QKV);
}

// Turns one head's `dim` numbers by the angles of a position, or back (`sign` -1).
static void turn(const double *from, const double *angles, int64_t dim, double sign, double *to) {
  int64_t half = dim / 2;
  for (int64_t i = 0; i < half; i++) {
    double cosine = angles[i], sine = sign * angles[half + i];
    to[i] = from[i] * cosine - from[half + i] * sine;
    to[half + i] = from[half + i] * cosine + from[i] * sine;
  }
}

// Calls `body` for every head of q, k and v: `packed` is where it is in a row of qkv, `split` where in its own array.
struct head_place {
  int part;  // 0: q, 1: k, 2: v
  int64_t packed, split, position;
};
static void each_head(const struct op_case *c, void (*body)(const struct op_case *, const struct head_place *)) {
  struct attention s = shape_of(c);
  int64_t width = (s.heads + 2 * s.kv_heads) * s.head_dim;
  for (int64_t row = 0; row < s.sequences * s.context; row++)
    for (int64_t all = 0; all < s.heads + 2 * s.kv_heads; all++) {
      int part = all < s.heads ? 0 : all < s.heads + s.kv_heads ? 1 : 2;
      int64_t heads = part == 0 ? s.heads : s.kv_heads, head = part == 0 ? all : (all - s.heads) % s.kv_heads;
      struct head_place place = {.part = part, .packed = row * width + all * s.head_dim, .position = row % s.context};
      place.split = ((row / s.context * heads + head) * s.context + place.position) * s.head_dim;
      body(c, &place);
    }
}

static void split_head(const struct op_case *c, const struct head_place *at) {
  int64_t dim = c->size[4];
  const double *from = case_values(c, QKV) + at->packed;
  double *to = case_values(c, Q + at->part) + at->split;
  turn(from, case_values(c, TABLE) + at->position * dim, dim, 1, to);
  for (int64_t i = 0; i < dim && at->part == 2; i++) to[i] = from[i];
}

static void join_head(const struct op_case *c, const struct head_place *at) {
  int64_t dim = c->size[4];
  const double *from = case_values(c, D_Q + at->part) + at->split;
  double *to = case_values(c, D_QKV) + at->packed;
  turn(from, case_values(c, TABLE) + at->position * dim, dim, -1, to);
  for (int64_t i = 0; i < dim && at->part == 2; i++) to[i] = from[i];
}

static double forward(const struct op_case *c) {
  int64_t dim = c->size[4];
  for (int64_t position = 0; position < c->size[1]; position++)
    for (int64_t i = 0; i < dim; i++) {
      double angle = (double)position * pow(theta, -2.0 * (double)(i % (dim / 2)) / (double)dim);
      case_values(c, TABLE)[position * dim + i] = i < dim / 2 ? cos(angle) : sin(angle);
    }
  each_head(c, split_head);
  double loss = 0;
  for (int part = 0; part < 3; part++)
    for (int64_t i = 0; i < c->arguments[Q + part].count; i++)
      loss += case_values(c, Q + part)[i] * case_values(c, D_Q + part)[i];
  return loss;
}

static void gradients(const struct op_case *c) { each_head(c, join_head); }

static void run_table(struct case_run *run) {
  run->ops->rope_table(run->device, run->c->size[1], run->c->size[4], theta, run->data[TABLE]);
}

static void run_forward(struct case_run *run) {
  struct attention shape = shape_of(run->c);
  void *const *d = run->data;
  run->ops->qkv_forward(run->device, &shape, d[QKV], d[TABLE], d[Q], d[K], d[V]);
}

static void run_backward(struct case_run *run) {
  struct attention shape = shape_of(run->c);
  void *const *d = run->data;
  run->ops->qkv_backward(run->device, &shape, d[D_Q], d[D_K], d[D_V], d[TABLE], d[D_QKV]);
}

static struct case_cost cost(const struct case_run *run) {
  const struct op_case *c = run->c;
  return (struct case_cost){0, 2 * (double)c->arguments[QKV].count * (double)dtype_bytes(c->dtype)};
}

static const struct case_pass passes[] = {
    {"rope table", run_table, NULL, false, NULL},
    {"qkv forward", run_forward, cost, true, NULL},
    {"qkv backward", run_backward, cost, false, NULL},
};

const struct operation operation_qkv = {.name = "qkv",
                                        .sizes = "sequences, context, heads, kv_heads, head_dim",
                                        .shapes = shapes,
                                        .shape_count = CASE_COUNT_OF(shapes),
                                        .kind = OP_QKV,
                                        .op_shape = case_heads_shape,
                                        .declare = declare,
                                        .forward = forward,
                                        .gradients = gradients,
                                        .passes = passes,
                                        .pass_count = CASE_COUNT_OF(passes),
                                        .of_model = case_heads_of_model};
