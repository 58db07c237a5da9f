// The seam between the ops and the libraries that multiply matrices, and the plain implementation.
#include "kernels/cpu/gemm.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kernels/cpu/gemm_library.h"
#include "kernels/cpu/parallel.h"

struct gemm_context {
  enum gemm_library library;
  struct onednn *onednn;
};

static const char *const library_names[] = {"reference", "onednn"};

bool gemm_library_find(const char *name, enum gemm_library *library) {
  for (int i = 0; i < 2; i++) {
    if (strcmp(name, library_names[i]) != 0) continue;
    *library = (enum gemm_library)i;
    return true;
  }
  return false;
}

struct gemm_context *gemm_open(enum gemm_library library, int threads, struct error *error) {
  struct gemm_context *context = memory_get(sizeof *context);
  context->library = library;
  if (library == GEMM_ONEDNN && !(context->onednn = onednn_open(threads, error))) {
    free(context);
    return NULL;
  }
  return context;
}

void gemm_close(struct gemm_context *context) {
  if (!context) return;
  if (context->onednn) onednn_close(context->onednn);
  free(context);
}

void gemm_describe(const struct gemm_context *context, struct text *out) {
  if (context->onednn)
    onednn_describe(context->onednn, out);
  else
    text_add(out, "reference products");
}

bool gemm_dtype_supported(const struct gemm_context *context, enum dtype dtype) {
  return dtype == DTYPE_FLOAT32 || !context->onednn || onednn_bfloat16_supported(context->onednn);
}
bool gemm_dtype_fast(const struct gemm_context *context, enum dtype dtype) {
  return dtype == DTYPE_BFLOAT16 && context->onednn && onednn_bfloat16_fast(context->onednn);
}

size_t gemm_packed_bytes(struct gemm_context *context, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype) {
  return context->onednn ? onednn_packed_bytes(context->onednn, form, n, k, dtype) : 0;
}
bool gemm_pack(struct gemm_context *context, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype, const void *b,
               void *packed, struct error *error) {
  if (context->onednn) return onednn_pack(context->onednn, form, n, k, dtype, b, packed, error);
  return error_set(error, EXIT_ENVIRONMENT, "the reference products take no packed matrices");
}

bool gemm_run(struct gemm_context *context, const struct gemm *gemm, const void *a, const void *b, void *c,
              struct error *error) {
  struct gemm full = *gemm;
  if (!full.lda) full.lda = gemm->form == GEMM_TN ? gemm->m : gemm->k;
  if (!full.ldb) full.ldb = gemm->form == GEMM_NT ? gemm->k : gemm->n;
  if (!full.ldc) full.ldc = gemm->n;
  if (full.m <= 0 || full.n <= 0) return true;
  unsigned state = subnormals_flush();
  bool fine = true;
  if (context->onednn)
    fine = onednn_run(context->onednn, &full, a, b, c, error);
  else
    gemm_reference(&full, a, b, c);
  subnormals_restore(state);
  return fine;
}

static float element(enum dtype dtype, const void *array, int64_t index) {
  if (dtype == DTYPE_FLOAT32) return ((const float *)array)[index];
  uint32_t bits = (uint32_t)((const uint16_t *)array)[index] << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static uint16_t bfloat16_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// Row by row, each row of C summed in double over k in order.
void gemm_reference(const struct gemm *gemm, const void *a, const void *b, void *c) {
  int64_t lda = gemm->lda ? gemm->lda : gemm->form == GEMM_TN ? gemm->m : gemm->k;
  int64_t ldb = gemm->ldb ? gemm->ldb : gemm->form == GEMM_NT ? gemm->k : gemm->n;
  int64_t ldc = gemm->ldc ? gemm->ldc : gemm->n;
  double *sums = memory_get((size_t)gemm->n * sizeof *sums);
  for (int64_t row = 0; row < gemm->m; row++) {
    memset(sums, 0, (size_t)gemm->n * sizeof *sums);
    for (int64_t step = 0; step < gemm->k; step++) {
      double value = element(gemm->in, a, gemm->form == GEMM_TN ? step * lda + row : row * lda + step);
      for (int64_t column = 0; column < gemm->n; column++)
        sums[column] += value * element(gemm->in, b, gemm->form == GEMM_NT ? column * ldb + step : step * ldb + column);
    }
    for (int64_t column = 0; column < gemm->n; column++) {
      int64_t index = row * ldc + column;
      if (gemm->out == DTYPE_BFLOAT16)
        ((uint16_t *)c)[index] = bfloat16_bits((float)sums[column]);
      else
        ((float *)c)[index] = (float)(sums[column] + (gemm->accumulate ? ((float *)c)[index] : 0));
    }
  }
  free(sums);
}
