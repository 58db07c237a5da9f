// Hessians of layers' inputs: x^T x by blocks of the upper triangle. See hessian.h.
#include "trainer/compress/hessian.h"

#include <stdlib.h>

// A block of rows takes its products with itself and all columns after it: with n / BLOCK blocks (n + BLOCK) / 2n of a
// full product. Wide enough for the library to be at its speed.
enum { BLOCK = 128 };

struct hessian {
  struct gemm_context *context;
  enum dtype dtype;
  int64_t inputs, tokens;
  float *sum;   // [inputs, inputs]: upper triangle, by blocks
  float *mean;  // [inputs, inputs]
};

struct hessian *hessian_make(struct gemm_context *context, int64_t inputs, enum dtype dtype, struct error *error) {
  if (!gemm_dtype_supported(context, dtype)) {
    error_set(error, EXIT_ENVIRONMENT, "this machine has no %s products for a Hessian",
              dtype == DTYPE_BFLOAT16 ? "bfloat16" : "float32");
    return NULL;
  }
  struct hessian *h = memory_get(sizeof *h);
  *h = (struct hessian){.context = context, .dtype = dtype, .inputs = inputs};
  h->sum = memory_get((size_t)(inputs * inputs) * sizeof *h->sum);
  h->mean = memory_get((size_t)(inputs * inputs) * sizeof *h->mean);
  return h;
}

bool hessian_add(struct hessian *h, const void *x, int64_t rows, struct error *error) {
  int64_t n = h->inputs;
  for (int64_t first = 0; first < n; first += BLOCK) {
    int64_t height = first + BLOCK < n ? BLOCK : n - first;
    const char *part = (const char *)x + (size_t)first * dtype_bytes(h->dtype);
    struct gemm product = {.form = GEMM_TN,
                           .m = height,
                           .n = n - first,
                           .k = rows,
                           .in = h->dtype,
                           .out = DTYPE_FLOAT32,
                           .lda = n,
                           .ldb = n,
                           .ldc = n,
                           .accumulate = true};
    if (!gemm_run(h->context, &product, part, part, h->sum + first * n + first, error)) return false;
  }
  h->tokens += rows;
  return true;
}

int64_t hessian_tokens(const struct hessian *hessian) { return hessian->tokens; }

const float *hessian_mean(struct hessian *h) {
  int64_t n = h->inputs;
  float share = h->tokens > 0 ? 1 / (float)h->tokens : 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i; j < n; j++) h->mean[i * n + j] = h->mean[j * n + i] = h->sum[i * n + j] * share;
  return h->mean;
}

void hessian_free(struct hessian *hessian) {
  if (!hessian) return;
  free(hessian->sum);
  free(hessian->mean);
  free(hessian);
}
