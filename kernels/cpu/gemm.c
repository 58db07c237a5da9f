// The seam between the ops and the libraries that multiply matrices, and the plain implementation.
#include "kernels/cpu/gemm.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kernels/bfloat16.h"
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/gemm_library.h"
#include "kernels/cpu/gemm_trial.h"
#include "kernels/cpu/parallel.h"

struct gemm_context {
  struct onednn *onednn;      // NULL: reference
  struct bfloat16 *bfloat16;  // NULL: oneDNN's
  const struct bfloat16_kernel *kernel;
  struct bfloat16 *stand_in;  // for products of which oneDNN has the reference implementation only; NULL: none wanted
  bool tried;
  struct gemm_choice choice;  // where `tried`
};

// Whose product it is; one answer for all shapes, since weights are packed for any number of rows.
static bool is_own(const struct gemm_context *context, enum gemm_form form, enum dtype dtype) {
  if (dtype != DTYPE_BFLOAT16 || !context->bfloat16) return false;
  return !context->tried || context->choice.own[form];
}

static const char *const library_names[GEMM_LIBRARIES] = {"reference",    "onednn",  "avx512-bf16", "amx",
                                                          "amx-emulated", "widened", "trial",       "auto"};

const char *gemm_library_name(enum gemm_library library) { return library_names[library]; }

bool gemm_library_find(const char *name, enum gemm_library *library) {
  for (int i = 0; i < GEMM_LIBRARIES; i++) {
    if (strcmp(name, library_names[i]) != 0) continue;
    *library = (enum gemm_library)i;
    return true;
  }
  return false;
}

static const struct bfloat16_kernel *kernel_of(enum gemm_library library) {
#if defined(__x86_64__)
  if (library == GEMM_AVX512_BF16) return &bfloat16_avx512;
  if (library == GEMM_AMX) return &bfloat16_amx;
  if (library == GEMM_WIDENED && bfloat16_widened_avx2.available()) return &bfloat16_widened_avx2;
#endif
  if (library == GEMM_WIDENED) return &bfloat16_widened;
  return library == GEMM_AMX_EMULATED ? &bfloat16_amx_emulated : NULL;
}

bool gemm_library_available(enum gemm_library library) {
  const struct bfloat16_kernel *kernel = kernel_of(library);
  return kernel ? kernel->available() : library != GEMM_AVX512_BF16 && library != GEMM_AMX;
}

enum gemm_library gemm_library_own(void) {
  if (gemm_library_available(GEMM_AMX)) return GEMM_AMX;
  return gemm_library_available(GEMM_AVX512_BF16) ? GEMM_AVX512_BF16 : GEMM_ONEDNN;
}

// AMD's CPUs with AVX512-BF16 multiply bfloat16 at twice the rate of float32; Intel's without AMX at half of it.
static bool bfloat16_doubles(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return gemm_library_available(GEMM_AVX512_BF16) && __builtin_cpu_is("amd");
#else
  return false;
#endif
}

// The kernel next to oneDNN: the one in use, else the fastest that any CPU of this kind runs rightly.
static const struct bfloat16_kernel *stand_in_of(const struct bfloat16_kernel *kernel) {
  if (kernel) return kernel;
  return kernel_of(gemm_library_available(GEMM_AVX512_BF16) ? GEMM_AVX512_BF16 : GEMM_WIDENED);
}

struct gemm_context *gemm_open(enum gemm_library library, int threads, struct error *error) {
  if (!gemm_library_available(library)) {
    error_set(error, EXIT_ENVIRONMENT, "this CPU has no %s for matrix products", library_names[library]);
    return NULL;
  }
  struct gemm_context *context = memory_get(sizeof *context);
  if (library == GEMM_AUTO && !onednn_there()) library = GEMM_REFERENCE;
  bool chooses = library == GEMM_AUTO || library == GEMM_TRIAL;
  if (library != GEMM_REFERENCE && !(context->onednn = onednn_open(threads, error))) {
    free(context);
    return NULL;
  }
  // Our kernel for AVX512-BF16 was measured on an AMD CPU (tests/benchmarks/RESULTS.md); the one for AMX has not been
  // yet.
  if (library == GEMM_AUTO && gemm_library_available(GEMM_AMX)) library = GEMM_TRIAL;
  if (library == GEMM_AUTO && bfloat16_doubles()) library = GEMM_AVX512_BF16;
  if (library == GEMM_TRIAL && (context->kernel = kernel_of(gemm_library_own()))) {
    context->tried = true;
    context->choice = gemm_trial(context->kernel);
    if (!context->choice.right) context->kernel = NULL;
  } else {
    context->kernel = kernel_of(library);
  }
  if (chooses && !context->kernel && !onednn_bfloat16_supported(context->onednn))
    context->kernel = kernel_of(GEMM_WIDENED);
  if (context->kernel) context->bfloat16 = bfloat16_open(context->kernel, threads);
  if (chooses) context->stand_in = bfloat16_open(stand_in_of(context->kernel), threads);
  return context;
}

void gemm_close(struct gemm_context *context) {
  if (!context) return;
  if (context->onednn) onednn_close(context->onednn);
  if (context->bfloat16) bfloat16_close(context->bfloat16);
  if (context->stand_in) bfloat16_close(context->stand_in);
  free(context);
}

const struct bfloat16 *gemm_bfloat16(const struct gemm_context *context) { return context->bfloat16; }

void gemm_describe(const struct gemm_context *context, struct text *out) {
  if (!context->onednn) {
    text_add(out, "reference products");
    return;
  }
  onednn_describe(context->onednn, out);
  if (context->bfloat16) text_format(out, " and own bfloat16 products (%s)", context->kernel->name);
}

void gemm_choices(const struct gemm_context *context, struct text *out) {
  if (!context->tried) return;
  const bool *own = context->choice.own;
  if (!context->kernel) {
    text_add(out, "oneDNN throughout");
    return;
  }
  text_format(out, "%s for%s%s%s attention", context->kernel->name, own[GEMM_NT] ? " NT" : "",
              own[GEMM_NN] ? " NN" : "", own[GEMM_TN] ? " TN" : "");
}

bool gemm_dtype_supported(const struct gemm_context *context, enum dtype dtype) {
  return dtype == DTYPE_FLOAT32 || !context->onednn || context->bfloat16 || onednn_bfloat16_supported(context->onednn);
}

bool gemm_dtype_fast(const struct gemm_context *context, enum dtype dtype) {
  if (dtype != DTYPE_BFLOAT16 || !context->onednn) return false;
  return onednn_bfloat16_fast(context->onednn) || bfloat16_doubles();
}

const char *gemm_product_name(const struct gemm_context *context, enum gemm_form form, enum dtype dtype) {
  if (is_own(context, form, dtype)) return context->kernel->name;
  return library_names[context->onednn ? GEMM_ONEDNN : GEMM_REFERENCE];
}

bool gemm_rows_stand_alone(const struct gemm_context *context, enum dtype dtype) {
  return is_own(context, GEMM_NT, dtype);
}

size_t gemm_packed_bytes(struct gemm_context *context, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype) {
  if (is_own(context, form, dtype)) return bfloat16_packed_bytes(n, k);
  return context->onednn ? onednn_packed_bytes(context->onednn, form, n, k, dtype) : 0;
}

bool gemm_pack(struct gemm_context *context, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype, const void *b,
               void *packed, struct error *error) {
  if (is_own(context, form, dtype)) {
    bfloat16_pack(context->bfloat16, form, n, k, b, packed);
    return true;
  }
  if (context->onednn) return onednn_pack(context->onednn, form, n, k, dtype, b, packed, error);
  return error_set(error, EXIT_ENVIRONMENT, "the reference products take no packed matrices");
}

// A product by our own kernel whose B may be packed in oneDNN's layout.
static bool run_stand_in(struct gemm_context *context, const struct gemm *gemm, const void *a, const void *b, void *c,
                         struct error *error) {
  struct gemm plain = *gemm;
  if (!gemm->packed) {
    bfloat16_run(context->stand_in, &plain, a, b, c);
    return true;
  }
  uint16_t *unpacked = memory_get((size_t)(gemm->n * gemm->k) * sizeof *unpacked);
  plain.packed = false;
  plain.ldb = gemm->form == GEMM_NT ? gemm->k : gemm->n;
  bool fine = onednn_unpack(context->onednn, gemm->form, gemm->n, gemm->k, gemm->in, b, unpacked, error);
  if (fine) bfloat16_run(context->stand_in, &plain, a, unpacked, c);
  free(unpacked);
  return fine;
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
  if (is_own(context, gemm->form, gemm->in))
    bfloat16_run(context->bfloat16, &full, a, b, c);
  else if (full.in == DTYPE_BFLOAT16 && context->stand_in && !onednn_optimized(context->onednn, &full))
    fine = run_stand_in(context, &full, a, b, c, error);
  else if (context->onednn)
    fine = onednn_run(context->onednn, &full, a, b, c, error);
  else
    gemm_reference(&full, a, b, c);
  subnormals_restore(state);
  return fine;
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
      double value = gemm_element(gemm->in, a, gemm->form == GEMM_TN ? step * lda + row : row * lda + step);
      for (int64_t column = 0; column < gemm->n; column++)
        sums[column] +=
            value * gemm_element(gemm->in, b, gemm->form == GEMM_NT ? column * ldb + step : step * ldb + column);
    }
    for (int64_t column = 0; column < gemm->n; column++) {
      int64_t index = row * ldc + column;
      if (gemm->out == DTYPE_BFLOAT16)
        ((uint16_t *)c)[index] = bfloat16_nearest((float)sums[column]);
      else
        ((float *)c)[index] = (float)(sums[column] + (gemm->accumulate ? ((float *)c)[index] : 0));
    }
  }
  free(sums);
}
