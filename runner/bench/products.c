// See products.h.
#include "runner/bench/products.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double bench_product_flops(const struct bench_product *p) { return 2 * (double)p->m * (double)p->n * (double)p->k; }
static enum dtype result_dtype(const struct bench_product *p) { return p->form == GEMM_TN ? DTYPE_FLOAT32 : p->dtype; }

double bench_product_bytes(const struct bench_product *p) {
  double m = (double)p->m, n = (double)p->n, k = (double)p->k;
  return (m * k + k * n) * (double)dtype_bytes(p->dtype) + m * n * (double)dtype_bytes(result_dtype(p));
}

// Numbers of ordinary size, not all alike: a block of them again and again.
static void fill(struct bench *bench, enum dtype dtype, void *to, size_t bytes) {
  enum { BLOCK = 16384 };
  float numbers[BLOCK];
  for (int i = 0; i < BLOCK; i++) numbers[i] = (float)((uint32_t)(i + 1) * 2654435761u >> 8) / (float)(1 << 23) - 1;
  char *block = memory_get(BLOCK * sizeof(float));
  bench->ops->convert(bench->device, BLOCK, DTYPE_FLOAT32, numbers, dtype, block);
  size_t size = BLOCK * dtype_bytes(dtype);
  for (size_t at = 0; at < bytes; at += size) memcpy((char *)to + at, block, bytes - at < size ? bytes - at : size);
  free(block);
}

static void *operand(struct bench *bench, enum dtype dtype, size_t bytes, struct error *error) {
  void *memory = bench->ops->allocate(bench->device, bytes, error);
  if (memory) fill(bench, dtype, memory, bytes);
  return memory;
}

bool bench_products_open(struct bench *bench, struct bench_products *products, struct error *error) {
  products->bench = bench;
  size_t a = 0, b = 0, c = 0;
  for (int i = 0; i < products->count; i++) {
    struct bench_product *p = &products->items[i];
    size_t item = dtype_bytes(p->dtype), sizes[] = {(size_t)(p->m * p->k) * item, (size_t)(p->k * p->n) * item,
                                                    (size_t)(p->m * p->n) * dtype_bytes(result_dtype(p))};
    if (sizes[0] > a) a = sizes[0];
    if (sizes[1] > b) b = sizes[1];
    if (sizes[2] > c) c = sizes[2];
    p->best = INFINITY;
  }
  enum dtype dtype = products->count ? products->items[0].dtype : DTYPE_FLOAT32;
  return (products->a = operand(bench, dtype, a, error)) && (products->b = operand(bench, dtype, b, error)) &&
         (products->c = operand(bench, dtype, c, error));
}

void bench_products_close(struct bench_products *products) {
  void *all[] = {products->a, products->b, products->c};
  for (int i = 0; i < 3; i++)
    if (all[i]) products->bench->ops->free(products->bench->device, all[i]);
  products->a = products->b = products->c = NULL;
}

bool bench_product_run(struct bench_products *products, int which, struct error *error) {
  const struct bench_product *p = &products->items[which];
  struct gemm gemm = {.form = p->form, .m = p->m, .n = p->n, .k = p->k, .in = p->dtype, .out = result_dtype(p)};
  struct gemm_context *context = p->own ? products->bench->own : products->bench->gemm;
  return gemm_run(context, &gemm, products->a, products->b, products->c, error);
}

bool bench_product_time(struct bench_products *products, int which, struct error *error) {
  struct bench_burst burst = {0};
  while (bench_burst_on(&burst)) {
    double start = bench_now(products->bench);
    if (!bench_product_run(products, which, error)) return false;
    double took = bench_now(products->bench) - start;
    products->items[which].best = fmin(products->items[which].best, took);
    burst.spent += took;
  }
  return true;
}

bool bench_products_time(struct bench_products *products, struct error *error) {
  for (int i = 0; i < products->count; i++)
    if (!bench_product_time(products, i, error)) return false;
  return true;
}

bool bench_products_pass(struct bench_products *products, struct error *error) {
  for (int i = 0; i < products->count; i++)
    for (int64_t again = 0; again < (int64_t)products->items[i].count; again++)
      if (!bench_product_run(products, i, error)) return false;
  return true;
}

double bench_products_floor(const struct bench_products *products) {
  double sum = 0;
  for (int i = 0; i < products->count; i++) sum += products->items[i].count * products->items[i].best;
  return sum;
}

int bench_products_find(const struct bench_products *products, enum gemm_form form, int64_t m, int64_t n, int64_t k) {
  for (int i = 0; i < products->count; i++) {
    const struct bench_product *p = &products->items[i];
    if (p->form == form && p->m == m && p->n == n && p->k == k) return i;
  }
  return -1;
}

double bench_products_best(const struct bench_products *products, enum gemm_form form, int64_t m, int64_t n,
                           int64_t k) {
  int which = bench_products_find(products, form, m, n, k);
  return which < 0 ? NAN : products->items[which].best;
}

void bench_products_add(struct bench_products *products, enum gemm_form form, int64_t m, int64_t n, int64_t k,
                        enum dtype dtype, double count) {
  int known = bench_products_find(products, form, m, n, k);
  if (known >= 0)
    products->items[known].count += count;
  else
    products->items[products->count++] = (struct bench_product){form, m, n, k, dtype, count, INFINITY, false};
}

bool bench_products_of_step(struct bench *bench, const struct run_config *model, struct bench_products *products,
                            struct error *error) {
  enum { MOST = 5 * 3 + 6 };
  enum dtype dtype = DTYPE_FLOAT32;
  dtype_find(model->model.dtype, &dtype);
  *products = (struct bench_products){.items = arena_array(&bench->arena, MOST, sizeof *products->items)};
  int64_t rows = model->train.batch_tokens, width = model->model.width, hidden = model->model.mlp_width;
  int64_t query = model->model.heads * model->model.head_dim, key = model->model.kv_heads * model->model.head_dim;
  const int64_t linear[5][2] = {
      {query + 2 * key, width}, {width, query}, {2 * hidden, width}, {width, hidden}, {model->model.vocabulary, width}};
  for (int i = 0; i < 5; i++) {
    int64_t outputs = linear[i][0], inputs = linear[i][1];
    double count = i < 4 ? (double)model->model.layers : 1;
    bench_products_add(products, GEMM_NT, rows, outputs, inputs, dtype, count);
    bench_products_add(products, GEMM_NN, rows, inputs, outputs, dtype, count);
    bench_products_add(products, GEMM_TN, outputs, inputs, rows, dtype, count);
  }
  int64_t context = model->model.context, head_dim = model->model.head_dim;
  double heads = (double)(model->model.layers * model->model.heads * (rows / context));
  bench_products_add(products, GEMM_NT, context, context, head_dim, dtype,
                     2 * heads);  // scores; gradient of the probabilities
  bench_products_add(products, GEMM_NN, context, head_dim, context, dtype,
                     2 * heads);  // weighted values; gradient of queries
  bench_products_add(products, GEMM_TN, context, head_dim, context, dtype,
                     2 * heads);  // gradients of values and of keys
  return bench_products_open(bench, products, error);
}
