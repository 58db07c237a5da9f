// Causal attention where results are known exactly, with numbers that are none, far apart, and on several threads; the
// rest is in the table of operations (test_cases.c).
#include "tests/kernels/kernel_check.h"

struct causal_case {
  struct attention shape;
  struct tensor q, k, v, d_o;
};
static int64_t queries_of(const struct attention *s) { return s->sequences * s->heads * s->context * s->head_dim; }
static int64_t keys_of(const struct attention *s) { return s->sequences * s->kv_heads * s->context * s->head_dim; }

static struct causal_case case_make(struct attention shape) {
  struct causal_case c = {.shape = shape};
  int64_t queries = queries_of(&shape), keys = keys_of(&shape);
  c.q = tensor_random(shape.dtype, queries, 2);
  c.k = tensor_random(shape.dtype, keys, 2);
  c.v = tensor_random(shape.dtype, keys, 1);
  c.d_o = tensor_random(shape.dtype, queries, 1);
  return c;
}
static void case_free(struct causal_case *c) {
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

// Runs `body` with everything that multiplies bfloat16 here, and with the float32 products that are there on every CPU.
static void with_every_product(void (*body)(void)) {
  static const enum gemm_library libraries[] = {GEMM_REFERENCE, GEMM_AVX512_BF16, GEMM_AMX, GEMM_AMX_EMULATED,
                                                GEMM_WIDENED};
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
  RUN(counted);
  RUN(nans);
  RUN(extremes);
  RUN(threads_agree);
  return check_end();
}
