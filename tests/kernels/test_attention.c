// QKV split with rotary positions, and causal attention, against double precision and finite differences.
#include "tests/kernels/kernel_check.h"

struct causal_case {
  struct attention shape;
  struct tensor q, k, v, d_o;
  double *o, *log_sum;
};
static int64_t queries_of(const struct attention *s) { return s->sequences * s->heads * s->context * s->head_dim; }
static int64_t keys_of(const struct attention *s) { return s->sequences * s->kv_heads * s->context * s->head_dim; }

static double attention_double(const void *argument) {
  const struct causal_case *c = argument;
  const struct attention *s = &c->shape;
  int64_t dim = s->head_dim, context = s->context;
  double loss = 0, *p = malloc((size_t)context * sizeof *p);
  for (int64_t sequence = 0; sequence < s->sequences; sequence++)
    for (int64_t head = 0; head < s->heads; head++)
      for (int64_t i = 0; i < context; i++) {
        int64_t kv = (sequence * s->kv_heads + head / (s->heads / s->kv_heads)) * context;
        const double *q = c->q.values + ((sequence * s->heads + head) * context + i) * dim;
        double maximum = -INFINITY, sum = 0;
        for (int64_t j = 0; j <= i; j++) {
          p[j] = 0;
          for (int64_t d = 0; d < dim; d++) p[j] += q[d] * c->k.values[(kv + j) * dim + d];
          p[j] /= sqrt((double)dim);
          if (p[j] > maximum) maximum = p[j];
        }
        for (int64_t j = 0; j <= i; j++) sum += p[j] = exp(p[j] - maximum);
        c->log_sum[(sequence * s->heads + head) * context + i] = maximum + log(sum);
        for (int64_t d = 0; d < dim; d++) {
          double total = 0;
          for (int64_t j = 0; j <= i; j++) total += p[j] / sum * c->v.values[(kv + j) * dim + d];
          int64_t at = ((sequence * context + i) * s->heads + head) * dim + d;
          c->o[at] = total;
          loss += total * c->d_o.values[at];
        }
      }
  free(p);
  return loss;
}

static void attention_case(int64_t sequences, int64_t context, int64_t heads, int64_t kv_heads, int64_t dim,
                           enum dtype dtype) {
  struct causal_case c = {.shape = {sequences, context, heads, kv_heads, dim, dtype}};
  const struct attention *s = &c.shape;
  int64_t queries = queries_of(s), keys = keys_of(s), statistics = sequences * heads * context;
  c.q = tensor_random(dtype, queries, 2);
  c.k = tensor_random(dtype, keys, 2);
  c.v = tensor_random(dtype, keys, 1);
  c.d_o = tensor_random(dtype, queries, 1);
  c.o = calloc((size_t)queries, sizeof(double));
  c.log_sum = calloc((size_t)statistics, sizeof(double));
  struct tensor o = tensor_empty(dtype, queries), log_sum = tensor_empty(DTYPE_FLOAT32, statistics);
  struct tensor d_q = tensor_empty(dtype, queries), d_k = tensor_empty(dtype, keys), d_v = tensor_empty(dtype, keys);
  struct op_shape shape = {.rows = sequences * context,
                           .context = context,
                           .heads = heads,
                           .kv_heads = kv_heads,
                           .head_dim = dim,
                           .dtype = dtype};
  int before = check_failures;
  double tolerance = tolerance_of(dtype);

  attention_double(&c);
  workspace_for(OP_ATTENTION, shape);
  ops->attention_forward(device, s, c.q.data, c.k.data, c.v.data, o.data, log_sum.data);
  tensor_check(&o, c.o, tolerance, "o");
  tensor_check(&log_sum, c.log_sum, 2e-6, "log_sum");
  shape.training = true;
  workspace_for(OP_ATTENTION, shape);
  ops->attention_backward(device, s, c.q.data, c.k.data, c.v.data, o.data, log_sum.data, c.d_o.data, d_q.data, d_k.data,
                          d_v.data);
  gradient_check(attention_double, &c, &c.q, &d_q, 2 * tolerance, "d_q");
  gradient_check(attention_double, &c, &c.k, &d_k, 2 * tolerance, "d_k");
  gradient_check(attention_double, &c, &c.v, &d_v, 2 * tolerance, "d_v");
  if (check_failures > before)
    printf("# ... sequences %lld, context %lld, heads %lld / %lld, head_dim %lld, %s\n", (long long)sequences,
           (long long)context, (long long)heads, (long long)kv_heads, (long long)dim, dtype_name(dtype));
  free(c.o), free(c.log_sum);
  struct tensor *all[] = {&c.q, &c.k, &c.v, &c.d_o, &o, &log_sum, &d_q, &d_k, &d_v};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
}
static void attention_shapes(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    attention_case(1, 1, 1, 1, 2, dtype);
    attention_case(2, 1, 2, 1, 16, dtype);
    attention_case(1, 3, 1, 1, 16, dtype);
    attention_case(2, 7, 4, 2, 6, dtype);
    attention_case(1, 49, 3, 3, 20, dtype);
    attention_case(2, 65, 4, 1, 32, dtype);
    attention_case(1, 97, 2, 2, 64, dtype);
  }
  attention_case(1, 50, 1, 1, 256, DTYPE_FLOAT32);
}
static void attention(void) { on_every_level(attention_shapes); }
// More keys than one block holds: the running maximum and sum.
static void long_contexts(void) {
  attention_case(1, 300, 1, 1, 16, DTYPE_FLOAT32);
  attention_case(1, 541, 2, 1, 4, DTYPE_FLOAT32);
}
static void long_attention(void) { on_every_level(long_contexts); }

// Scores far apart: no overflow, the row's winner takes it all.
static void extreme_scores(void) {
  struct attention shape = {1, 4, 1, 1, 2, DTYPE_FLOAT32};
  struct tensor q = tensor_empty(DTYPE_FLOAT32, 8), k = tensor_empty(DTYPE_FLOAT32, 8);
  struct tensor v = tensor_random(DTYPE_FLOAT32, 8, 1), o = tensor_empty(DTYPE_FLOAT32, 8);
  struct tensor log_sum = tensor_empty(DTYPE_FLOAT32, 4);
  for (int i = 0; i < 8; i++) q.values[i] = 300, k.values[i] = i < 2 ? 300 : -300;
  tensor_write(&q);
  tensor_write(&k);
  workspace_for(OP_ATTENTION, (struct op_shape){.context = 4, .heads = 1, .kv_heads = 1, .head_dim = 2});
  ops->attention_forward(device, &shape, q.data, k.data, v.data, o.data, log_sum.data);
  double want[8];
  for (int i = 0; i < 8; i++) want[i] = v.values[i % 2];
  tensor_check(&o, want, 1e-6, "o of extreme scores");
  struct tensor *all[] = {&q, &k, &v, &o, &log_sum};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
}
static void extremes(void) { on_every_level(extreme_scores); }

// A head rotated by hand; and backward is the transpose of forward.
static void rotary_case(int64_t sequences, int64_t context, int64_t heads, int64_t kv_heads, int64_t dim,
                        enum dtype dtype) {
  struct attention s = {sequences, context, heads, kv_heads, dim, dtype};
  const double theta = 1000;
  int64_t rows = sequences * context, packed = (heads + 2 * kv_heads) * dim;
  struct tensor table = tensor_empty(DTYPE_FLOAT32, context * dim), qkv = tensor_random(dtype, rows * packed, 1);
  struct tensor q = tensor_empty(dtype, queries_of(&s)), k = tensor_empty(dtype, keys_of(&s));
  struct tensor v = tensor_empty(dtype, keys_of(&s));
  ops->rope_table(device, context, dim, theta, table.data);
  ops->qkv_forward(device, &s, qkv.data, table.data, q.data, k.data, v.data);
  double *want = calloc((size_t)(rows * packed), sizeof *want);
  struct tensor *parts[] = {&q, &k, &v};
  for (int part = 0, first = 0; part < 3; part++) {
    int64_t count = part == 0 ? heads : kv_heads;
    for (int64_t row = 0; row < rows; row++)
      for (int64_t head = 0; head < count; head++)
        for (int64_t i = 0; i < dim; i++) {
          int64_t position = row % context, half = dim / 2;
          const double *from = qkv.values + row * packed + first + head * dim;
          double angle = (double)position * pow(theta, -2.0 * (double)(i % half) / (double)dim);
          double turned = i < half ? from[i] * cos(angle) - from[i + half] * sin(angle)
                                   : from[i] * cos(angle) + from[i - half] * sin(angle);
          want[((row / context * count + head) * context + position) * dim + i] = part < 2 ? turned : from[i];
        }
    tensor_check(parts[part], want, part < 2 ? tolerance_of(dtype) : 0, part == 0 ? "q" : part == 1 ? "k" : "v");
    first += (int)(count * dim);
  }
  // <forward(x), y> = <x, backward(y)>
  struct tensor d_q = tensor_random(dtype, q.count, 1), d_k = tensor_random(dtype, k.count, 1);
  struct tensor d_v = tensor_random(dtype, v.count, 1), d_qkv = tensor_empty(dtype, qkv.count);
  ops->qkv_backward(device, &s, d_q.data, d_k.data, d_v.data, table.data, d_qkv.data);
  tensor_read(&d_qkv);
  double left = 0, right = 0;
  for (int64_t i = 0; i < q.count; i++) left += q.values[i] * d_q.values[i];
  for (int64_t i = 0; i < k.count; i++) left += k.values[i] * d_k.values[i] + v.values[i] * d_v.values[i];
  for (int64_t i = 0; i < qkv.count; i++) right += qkv.values[i] * d_qkv.values[i];
  CHECK_NEAR(left / sqrt((double)qkv.count), right / sqrt((double)qkv.count), tolerance_of(dtype));
  free(want);
  struct tensor *all[] = {&table, &qkv, &q, &k, &v, &d_q, &d_k, &d_v, &d_qkv};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
}
static void rotary_shapes(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    rotary_case(1, 1, 1, 1, 2, dtype);
    rotary_case(2, 5, 4, 2, 6, dtype);
    rotary_case(3, 33, 3, 1, 64, dtype);
  }
}
static void rotary(void) { on_every_level(rotary_shapes); }

// Several threads give the bits of one.
static void threads_agree(void) {
  enum { DIM = 16, CONTEXT = 70, HEADS = 6, KV = 3, COUNT = 2 * HEADS * CONTEXT * DIM };
  static float results[2][4][COUNT];
  for (int run = 0; run < 2; run++) {
    device_begin(isa_best(), "onednn", run == 0 ? 1 : 3);
    random_state = 12345;
    struct attention s = {2, CONTEXT, HEADS, KV, DIM, DTYPE_FLOAT32};
    struct tensor q = tensor_random(DTYPE_FLOAT32, COUNT, 1), k = tensor_random(DTYPE_FLOAT32, COUNT / 2, 1);
    struct tensor v = tensor_random(DTYPE_FLOAT32, COUNT / 2, 1), d_o = tensor_random(DTYPE_FLOAT32, COUNT, 1);
    struct tensor log_sum = tensor_empty(DTYPE_FLOAT32, 2 * HEADS * CONTEXT);
    workspace_for(
        OP_ATTENTION,
        (struct op_shape){.context = CONTEXT, .heads = HEADS, .kv_heads = KV, .head_dim = DIM, .training = true});
    ops->attention_forward(device, &s, q.data, k.data, v.data, results[run][0], log_sum.data);
    ops->attention_backward(device, &s, q.data, k.data, v.data, results[run][0], log_sum.data, d_o.data,
                            results[run][1], results[run][2], results[run][3]);
    struct tensor *all[] = {&q, &k, &v, &d_o, &log_sum};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
    device_end();
  }
  CHECK(memcmp(results[0], results[1], sizeof results[0]) == 0);
}

int main(void) {
  RUN(rotary);
  RUN(attention);
  RUN(long_attention);
  RUN(extremes);
  RUN(threads_agree);
  return check_end();
}
