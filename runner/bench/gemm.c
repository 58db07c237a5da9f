// Matrix products by shape, in the three forms of a layer: forward, input gradient, weight gradient.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/bench/products.h"

static const char *const form_names[] = {"gemm NT", "gemm NN", "gemm TN"};

static bool shape_read(const char *text, int64_t shape[3], struct error *error) {
  int end = -1;
  long long m, n, k;
  if (sscanf(text, "%lldx%lldx%lld%n", &m, &n, &k, &end) != 3 || text[end] != '\0' || m < 1 || n < 1 || k < 1 ||
      m > 1 << 20 || n > 1 << 20 || k > 1 << 20)
    return error_set(error, EXIT_USAGE_ERROR,
                     "bench gemm: '%s' is no shape: MxNxK, rows x outputs x inputs, each 1 to %d", text, 1 << 20);
  shape[0] = m;
  shape[1] = n;
  shape[2] = k;
  return true;
}

// The products of one shape: y = x W^T and its two gradients, each through every library that has the dtype.
#define MOST_PRODUCTS 6
static int products_of(const struct bench *bench, const int64_t shape[3], enum dtype dtype,
                       struct bench_product items[MOST_PRODUCTS]) {
  int64_t rows = shape[0], outputs = shape[1], inputs = shape[2];
  const struct bench_product forms[] = {
      {.form = GEMM_NT, .m = rows, .n = outputs, .k = inputs, .dtype = dtype},
      {.form = GEMM_NN, .m = rows, .n = inputs, .k = outputs, .dtype = dtype},
      {.form = GEMM_TN, .m = outputs, .n = inputs, .k = rows, .dtype = dtype},
  };
  int count = 0;
  for (int form = 0; form < 3; form++) {
    items[count++] = forms[form];
    if (dtype != DTYPE_BFLOAT16 || !bench->own) continue;
    items[count] = forms[form];
    items[count++].own = true;
  }
  return count;
}

static bool measure(struct bench *bench, struct bench_product *items, int count, int *rounds, struct error *error) {
  struct bench_products products = {.items = items, .count = count};
  struct bench_budget budget =
      bench->options.quick ? (struct bench_budget){0.02, 2, 1000} : (struct bench_budget){0.6, 5, 1000};
  bool fine = bench_products_open(bench, &products, error) && bench_products_time(&products, error);
  for (int i = 0; i < count; i++) items[i].best = INFINITY;  // the first call made the primitive
  *rounds = 0;
  for (double began = bench_now(bench); fine && bench_again(&budget, *rounds, bench_now(bench) - began); ++*rounds)
    fine = bench_products_time(&products, error) && bench_peak(bench, items[0].dtype, error);
  bench_products_close(&products);
  for (int i = 0; i < count && fine; i++)
    bench_peak_seen(bench, items[i].dtype, bench_product_flops(&items[i]) / items[i].best);
  return fine;
}

static void add_row(struct bench *bench, const struct bench_product *p, int rounds) {
  struct bench_row *row = bench_row_add(bench, form_names[p->form], BENCH_GFLOPS);
  row->shape = arena_format(&bench->arena, "%lldx%lldx%lld", (long long)p->m, (long long)p->n, (long long)p->k);
  row->dtype = p->dtype;
  row->library = gemm_product_name(p->own ? bench->own : bench->gemm, p->form, p->dtype);
  row->seconds = p->best;
  row->repeats = rounds;
  row->rate = bench_product_flops(p) / p->best * 1e-9;
  row->peak_ratio = bench_product_flops(p) / p->best / bench->peak[p->dtype].flops;
  row->floor_ratio = bench_roofline(bench, p->dtype, bench_product_flops(p), bench_product_bytes(p)) / p->best;
}

bool bench_gemm(struct bench *bench, const char *const *shapes, int shape_count, struct error *error) {
  int64_t(*sizes)[3] = arena_array(&bench->arena, (size_t)shape_count + 5 * BENCH_MODELS, sizeof *sizes);
  int count = 0;
  for (; count < shape_count; count++)
    if (!shape_read(shapes[count], sizes[count], error)) return false;
  if (!shape_count) {
    const struct run_config *models[BENCH_MODELS];
    int model_count;
    if (!bench_models(bench, models, &model_count, error)) return false;
    for (int i = 0; i < model_count; i++) {
      const struct run_config *c = models[i];
      int64_t rows = c->train.batch_tokens, width = c->model.width, hidden = c->model.mlp_width;
      const int64_t linear[5][2] = {
          {3 * width, width}, {width, width}, {2 * hidden, width}, {width, hidden}, {c->model.vocabulary, width}};
      for (int l = 0; l < 5; l++, count++) {
        sizes[count][0] = rows;
        sizes[count][1] = linear[l][0];
        sizes[count][2] = linear[l][1];
      }
    }
  }
  enum dtype only;
  if (bench->options.dtype && !bench_dtype(bench, &only, error)) return false;
  for (int d = DTYPE_FLOAT32; d <= DTYPE_BFLOAT16; d++) {
    enum dtype dtype = (enum dtype)d;
    if (bench->options.dtype ? dtype != only : !bench->ops->dtype_supported(bench->device, dtype)) continue;
    if (!bench_peak(bench, dtype, error)) return false;
    // Rows come when all is measured, since the peak may still rise: they all are set against the same one.
    struct bench_product *items = arena_array(&bench->arena, (size_t)count * MOST_PRODUCTS, sizeof *items);
    int *products = arena_array(&bench->arena, (size_t)count + 1, sizeof *products);
    int *rounds = arena_array(&bench->arena, (size_t)count + 1, sizeof *rounds);
    for (int i = 0; i < count; i++) {
      bench_progress(bench, "gemm %lldx%lldx%lld, %s", (long long)sizes[i][0], (long long)sizes[i][1],
                     (long long)sizes[i][2], dtype_name(dtype));
      products[i] = products_of(bench, sizes[i], dtype, items + i * MOST_PRODUCTS);
      if (!measure(bench, items + i * MOST_PRODUCTS, products[i], &rounds[i], error)) return false;
    }
    for (int i = 0; i < count; i++)
      for (int product = 0; product < products[i]; product++)
        add_row(bench, &items[i * MOST_PRODUCTS + product], rounds[i]);
  }
  return true;
}
