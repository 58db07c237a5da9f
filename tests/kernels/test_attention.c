// QKV split with rotary positions, and causal attention, against double precision and finite differences.
#include "tests/kernels/kernel_check.h"

// A result of double precision, and for each element the sum of the squares of all that bfloat16 rounds on the way to
// it, as large as it arrives there.
struct expected {
  double *values, *squares;
};
struct causal_case {
  struct attention shape;
  struct tensor q, k, v, d_o;
  double *log_sum;
  struct expected o, d_q, d_k, d_v;
};
static int64_t queries_of(const struct attention *s) { return s->sequences * s->heads * s->context * s->head_dim; }
static int64_t keys_of(const struct attention *s) { return s->sequences * s->kv_heads * s->context * s->head_dim; }

// A query: where its row of q, its output and its key head are, and its probabilities.
struct query {
  int64_t row, output, keys;
};
static struct query query_of(const struct attention *s, int64_t sequence, int64_t head, int64_t position) {
  return (struct query){((sequence * s->heads + head) * s->context + position) * s->head_dim,
                        ((sequence * s->context + position) * s->heads + head) * s->head_dim,
                        (sequence * s->kv_heads + head / (s->heads / s->kv_heads)) * s->context * s->head_dim};
}
static double dot_of(const double *a, const double *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}
// Probabilities of keys 0 .. position; the logarithm of their sum before they were divided by it.
static double probabilities_double(const struct causal_case *c, struct query at, int64_t position, double *p) {
  int64_t dim = c->shape.head_dim;
  double maximum = -INFINITY, sum = 0;
  for (int64_t j = 0; j <= position; j++) {
    p[j] = dot_of(c->q.values + at.row, c->k.values + at.keys + j * dim, dim) / sqrt((double)dim);
    if (p[j] > maximum) maximum = p[j];
  }
  for (int64_t j = 0; j <= position; j++) sum += p[j] = exp(p[j] - maximum);
  for (int64_t j = 0; j <= position; j++) p[j] /= sum;
  return maximum + log(sum);
}
static double square(double x) { return x * x; }
// o = sum of p v, where p is rounded and then o.
static double attention_double(const void *argument) {
  const struct causal_case *c = argument;
  const struct attention *s = &c->shape;
  int64_t dim = s->head_dim;
  double loss = 0, *p = malloc((size_t)s->context * sizeof *p);
  for (int64_t item = 0; item < s->sequences * s->heads; item++)
    for (int64_t i = 0; i < s->context; i++) {
      struct query at = query_of(s, item / s->heads, item % s->heads, i);
      c->log_sum[item * s->context + i] = probabilities_double(c, at, i, p);
      for (int64_t d = 0; d < dim; d++) {
        double total = 0, squares = 0;
        for (int64_t j = 0; j <= i; j++) {
          double term = p[j] * c->v.values[at.keys + j * dim + d];
          total += term;
          squares += term * term;
        }
        c->o.values[at.output + d] = total;
        c->o.squares[at.output + d] = squares + total * total;
        loss += total * c->d_o.values[at.output + d];
      }
    }
  free(p);
  return loss;
}
// The gradients of that, after it. Rounded are p, dS, in it the o of the dot product with d_o, and the results.
static void gradients_double(const struct causal_case *c) {
  const struct attention *s = &c->shape;
  int64_t dim = s->head_dim;
  double *p = malloc((size_t)s->context * sizeof *p), *of_dot = malloc((size_t)dim * sizeof *of_dot);
  for (int64_t item = 0; item < s->sequences * s->heads; item++)
    for (int64_t i = 0; i < s->context; i++) {
      struct query at = query_of(s, item / s->heads, item % s->heads, i);
      const double *d_o = c->d_o.values + at.output, *o = c->o.values + at.output;
      probabilities_double(c, at, i, p);
      double dot = dot_of(d_o, o, dim), dot_squares = 0;
      for (int64_t d = 0; d < dim; d++) dot_squares += square(d_o[d] * o[d]), of_dot[d] = 0;
      for (int64_t j = 0; j <= i; j++) {
        int64_t key = at.keys + j * dim;
        double through_dot = p[j] / sqrt((double)dim);
        double d_s = through_dot * (dot_of(d_o, c->v.values + key, dim) - dot);
        for (int64_t d = 0; d < dim; d++) {
          double to_v = p[j] * d_o[d], to_q = d_s * c->k.values[key + d], q = c->q.values[at.row + d];
          c->d_v.values[key + d] += to_v;
          c->d_v.squares[key + d] += square(to_v);
          c->d_q.values[at.row + d] += to_q;
          c->d_q.squares[at.row + d] += square(to_q);
          of_dot[d] += through_dot * c->k.values[key + d];
          c->d_k.values[key + d] += d_s * q;
          c->d_k.squares[key + d] += square(d_s * q) + dot_squares * square(through_dot * q);
        }
      }
      for (int64_t d = 0; d < dim; d++) c->d_q.squares[at.row + d] += dot_squares * square(of_dot[d]);
    }
  const struct expected *all[] = {&c->d_q, &c->d_k, &c->d_v};
  for (int which = 0; which < 3; which++) {
    int64_t count = which ? keys_of(s) : queries_of(s);
    for (int64_t i = 0; i < count; i++) all[which]->squares[i] += square(all[which]->values[i]);
  }
  free(p), free(of_dot);
}

static struct expected expected_make(int64_t count) {
  return (struct expected){calloc((size_t)count, sizeof(double)), calloc((size_t)count, sizeof(double))};
}
static void expected_free(struct expected *expected) { free(expected->values), free(expected->squares); }
static struct causal_case case_make(struct attention shape) {
  struct causal_case c = {.shape = shape};
  int64_t queries = queries_of(&shape), keys = keys_of(&shape);
  c.q = tensor_random(shape.dtype, queries, 2);
  c.k = tensor_random(shape.dtype, keys, 2);
  c.v = tensor_random(shape.dtype, keys, 1);
  c.d_o = tensor_random(shape.dtype, queries, 1);
  c.log_sum = calloc((size_t)(shape.sequences * shape.heads * shape.context), sizeof(double));
  c.o = expected_make(queries);
  c.d_q = expected_make(queries);
  c.d_k = expected_make(keys);
  c.d_v = expected_make(keys);
  return c;
}
static void case_free(struct causal_case *c) {
  free(c->log_sum);
  expected_free(&c->o), expected_free(&c->d_q), expected_free(&c->d_k), expected_free(&c->d_v);
  tensor_free(&c->q), tensor_free(&c->k), tensor_free(&c->v), tensor_free(&c->d_o);
}

// The device's results.
struct outcome {
  struct tensor o, log_sum, d_q, d_k, d_v;
};
static struct outcome outcome_make(const struct causal_case *c) {
  const struct attention *s = &c->shape;
  int64_t queries = queries_of(s), keys = keys_of(s);
  struct outcome r = {.o = tensor_empty(s->dtype, queries),
                      .log_sum = tensor_empty(DTYPE_FLOAT32, s->sequences * s->heads * s->context),
                      .d_q = tensor_empty(s->dtype, queries),
                      .d_k = tensor_empty(s->dtype, keys),
                      .d_v = tensor_empty(s->dtype, keys)};
  struct op_shape shape = {.rows = s->sequences * s->context,
                           .context = s->context,
                           .heads = s->heads,
                           .kv_heads = s->kv_heads,
                           .head_dim = s->head_dim,
                           .dtype = s->dtype};
  workspace_for(OP_ATTENTION, shape);
  ops->attention_forward(device, s, c->q.data, c->k.data, c->v.data, r.o.data, r.log_sum.data);
  shape.training = true;
  workspace_for(OP_ATTENTION, shape);
  ops->attention_backward(device, s, c->q.data, c->k.data, c->v.data, r.o.data, r.log_sum.data, c->d_o.data, r.d_q.data,
                          r.d_k.data, r.d_v.data);
  struct tensor *all[] = {&r.o, &r.log_sum, &r.d_q, &r.d_k, &r.d_v};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_read(all[i]);
  return r;
}
static void outcome_free(struct outcome *r) {
  struct tensor *all[] = {&r->o, &r->log_sum, &r->d_q, &r->d_k, &r->d_v};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
}

// Roundings to bfloat16 are off by at most 2^-8 of a value each, a quarter of that as a root mean square, and
// independent of each other: by Hoeffding's inequality their sum seldom exceeds 4 times the root of the sum of squares
// of such bounds (in truth it is 16 standard deviations), and the root mean square of all elements stays below one of
// them. A key too many or too few, or one counted twice, is far beyond: 4 / 2^8 of a term is little of it. float32
// itself adds 1e-6 of the largest value.
static void rounding_check(const struct tensor *tensor, const struct expected *want, const char *what) {
  double off_squares = 0, allowed_squares = 0, largest = 0;
  for (int64_t i = 0; i < tensor->count; i++) largest = fmax(largest, fabs(want->values[i]));
  for (int64_t i = 0; i < tensor->count; i++) {
    double allowed = 0x1p-8 * sqrt(want->squares[i]) + 1e-6 * largest, off = fabs(tensor->values[i] - want->values[i]);
    off_squares += off * off;
    allowed_squares += allowed * allowed;
    if (off <= 4 * allowed) continue;
    check_failures++;
    printf("# %s: element %lld of %lld is %.9g, want %.9g, by rounding within %.3g\n", what, (long long)i,
           (long long)tensor->count, tensor->values[i], want->values[i], 4 * allowed);
    return;
  }
  if (off_squares <= allowed_squares) return;
  check_failures++;
  printf("# %s: root mean square off by %.3g of what rounding allows\n", what, sqrt(off_squares / allowed_squares));
}

static void attention_case(int64_t sequences, int64_t context, int64_t heads, int64_t kv_heads, int64_t dim,
                           enum dtype dtype) {
  struct causal_case c = case_make((struct attention){sequences, context, heads, kv_heads, dim, dtype});
  attention_double(&c);
  gradients_double(&c);
  struct outcome r = outcome_make(&c);
  int before = check_failures;
  struct {
    struct tensor *got;
    struct expected *want;
    const char *name;
  } all[] = {{&r.o, &c.o, "o"}, {&r.d_q, &c.d_q, "d_q"}, {&r.d_k, &c.d_k, "d_k"}, {&r.d_v, &c.d_v, "d_v"}};
  for (int i = 0; i < 4; i++)
    if (dtype == DTYPE_BFLOAT16)
      rounding_check(all[i].got, all[i].want, all[i].name);
    else if (context > 1 || i % 3 == 0)  // one key has the probability 1 whatever q and k are
      tensor_check(all[i].got, all[i].want->values, i ? 4e-6 : 2e-6, all[i].name);
  tensor_check(&r.log_sum, c.log_sum, 2e-6, "log_sum");
  if (check_failures > before)
    printf("# ... sequences %lld, context %lld, heads %lld / %lld, head_dim %lld, %s\n", (long long)sequences,
           (long long)context, (long long)heads, (long long)kv_heads, (long long)dim, dtype_name(dtype));
  outcome_free(&r);
  case_free(&c);
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
    attention_case(1, 50, 1, 1, 256, dtype);
    // More keys than one block holds: the running maximum and sum.
    attention_case(1, 300, 1, 1, 16, dtype);
    attention_case(1, 541, 2, 1, 4, dtype);
  }
}
static void attention(void) { on_every_level(attention_shapes); }

// Runs `body` with everything that multiplies bfloat16 here, and with the float32 products that are there on every CPU.
static void with_every_product(void (*body)(void)) {
  static const enum gemm_library libraries[] = {GEMM_REFERENCE, GEMM_AVX512_BF16, GEMM_AMX, GEMM_AMX_EMULATED};
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    if (!gemm_library_available(libraries[i])) {
      printf("# products %s: not on this CPU\n", gemm_library_name(libraries[i]));
      continue;
    }
    int before = check_failures;
    device_begin(isa_best(), gemm_library_name(libraries[i]), 1);
    body();
    device_end();
    if (check_failures > before) printf("# ... with products %s\n", gemm_library_name(libraries[i]));
  }
}
static void bfloat16_shapes(void) {
  static const int64_t dims[] = {2, 8, 16, 24, 64, 128};
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    attention_case(2, 1, 2, 1, dims[i], DTYPE_BFLOAT16);
    attention_case(1, 61, 4, 2, dims[i], DTYPE_BFLOAT16);
    attention_case(1, 257, 1, 1, dims[i], DTYPE_BFLOAT16);
  }
  attention_case(1, 290, 6, 2, 40, DTYPE_BFLOAT16);
  attention_case(1, 530, 2, 1, 16, DTYPE_BFLOAT16);
}
static void bfloat16_products(void) { with_every_product(bfloat16_shapes); }

// Queries of zeroes see all keys alike. With v[j] = j, o[i] is i / 2, and with d_o[i] = i + 1, d_v[j] is the number of
// queries from j on: one key more or less, at any place, is seen. The probabilities before they are divided are 1, so
// that o has but one rounding, and d_v one of the probability.
static void counted_keys(void) {
  enum { CONTEXT = 256, DIM = 16 };
  struct causal_case c = case_make((struct attention){1, CONTEXT, 1, 1, DIM, DTYPE_BFLOAT16});
  for (int64_t i = 0; i < CONTEXT * DIM; i++) {
    int64_t row = i / DIM;
    c.q.values[i] = 0;
    c.v.values[i] = (double)row;
    c.d_o.values[i] = (double)row + 1;
  }
  struct tensor *changed[] = {&c.q, &c.v, &c.d_o};
  for (int i = 0; i < 3; i++) tensor_write(changed[i]);
  struct outcome r = outcome_make(&c);
  int wrong = 0;
  for (int64_t i = 0; i < CONTEXT * DIM; i++) {
    int64_t row = i / DIM;
    double left = (double)(CONTEXT - row);
    wrong += r.o.values[i] != (double)row / 2;
    wrong += fabs(r.d_v.values[i] - left) > 0x1p-8 * left;
  }
  for (int64_t i = 0; i < CONTEXT; i++) wrong += fabs(r.log_sum.values[i] - log((double)i + 1)) > 1e-5;
  CHECK(wrong == 0);
  outcome_free(&r);
  case_free(&c);
}
static void counted(void) { with_every_product(counted_keys); }

// A NaN in a query reaches its own row and no other; one in a value all rows from there on, and rows before it only
// where they are multiplied together with those (by 0).
static void not_numbers(void) {
  enum { CONTEXT = 70, DIM = 16, QUERY = 5, KEY = 41 };
  struct causal_case c = case_make((struct attention){1, CONTEXT, 1, 1, DIM, DTYPE_BFLOAT16});
  ((uint16_t *)c.q.data)[QUERY * DIM + 3] = 0x7FC0;
  ((uint16_t *)c.v.data)[KEY * DIM + 5] = 0xFFC0;
  struct outcome r = outcome_make(&c);
  int wrong = 0;
  for (int64_t i = 0; i < CONTEXT * DIM; i++) {
    int64_t row = i / DIM;
    bool seen = row == QUERY || (row >= KEY && i % DIM == 5), maybe = row >= KEY - 32 && i % DIM == 5;
    wrong += isnan(r.o.values[i]) ? !seen && !maybe : seen;
  }
  CHECK(wrong == 0);
  outcome_free(&r);
  case_free(&c);
}
static void nans(void) { with_every_product(not_numbers); }

// The double-precision gradients against finite differences.
static void differences(void) {
  device_begin(ISA_PORTABLE, "reference", 1);
  struct causal_case c = case_make((struct attention){2, 7, 4, 2, 6, DTYPE_FLOAT32});
  attention_double(&c);
  gradients_double(&c);
  struct {
    struct tensor *x;
    const double *gradient;
    const char *name;
  } all[] = {{&c.q, c.d_q.values, "d_q"}, {&c.k, c.d_k.values, "d_k"}, {&c.v, c.d_v.values, "d_v"}};
  for (int i = 0; i < 3; i++) {
    struct tensor gradient = tensor_empty(DTYPE_FLOAT32, all[i].x->count);
    memcpy(gradient.values, all[i].gradient, (size_t)gradient.count * sizeof(double));
    tensor_write(&gradient);
    gradient_check(attention_double, &c, all[i].x, &gradient, 1e-7, all[i].name);
    tensor_free(&gradient);
  }
  case_free(&c);
  device_end();
}

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
static void threads_agree_on(const char *gemm, enum dtype dtype) {
  struct outcome r[2];
  struct causal_case c[2];
  for (int run = 0; run < 2; run++) {
    device_begin(isa_best(), gemm, run == 0 ? 1 : 3);
    random_state = 12345;
    c[run] = case_make((struct attention){2, 70, 6, 3, 16, dtype});
    r[run] = outcome_make(&c[run]);
    device_end();
  }
  CHECK(memcmp(r[0].o.values, r[1].o.values, (size_t)r[0].o.count * sizeof(double)) == 0);
  CHECK(memcmp(r[0].log_sum.values, r[1].log_sum.values, (size_t)r[0].log_sum.count * sizeof(double)) == 0);
  CHECK(memcmp(r[0].d_q.values, r[1].d_q.values, (size_t)r[0].d_q.count * sizeof(double)) == 0);
  CHECK(memcmp(r[0].d_k.values, r[1].d_k.values, (size_t)r[0].d_k.count * sizeof(double)) == 0);
  CHECK(memcmp(r[0].d_v.values, r[1].d_v.values, (size_t)r[0].d_v.count * sizeof(double)) == 0);
  for (int run = 0; run < 2; run++) outcome_free(&r[run]), case_free(&c[run]);
}
static void threads_agree(void) {
  threads_agree_on("auto", DTYPE_FLOAT32);
  threads_agree_on("auto", DTYPE_BFLOAT16);
  threads_agree_on("amx-emulated", DTYPE_BFLOAT16);
}

int main(void) {
  RUN(rotary);
  RUN(differences);
  RUN(attention);
  RUN(bfloat16_products);
  RUN(counted);
  RUN(nans);
  RUN(extremes);
  RUN(threads_agree);
  return check_end();
}
