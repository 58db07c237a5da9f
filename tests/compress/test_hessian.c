// Hessians by the products of every library, in both types, against sums in double precision.
#include <stdlib.h>

#include "kernels/bfloat16.h"
#include "tests/check.h"
#include "trainer/compress/hessian.h"

static void one(enum gemm_library library, int64_t n, enum dtype dtype) {
  struct error error = {0};
  enum { TOKENS = 700 };
  struct gemm_context *context = gemm_open(library, 1, &error);
  if (!CHECK(context != NULL)) return;
  struct hessian *hessian = hessian_make(context, n, dtype, &error);
  if (!CHECK(hessian != NULL)) return;
  float *x = memory_get((size_t)(TOKENS * n) * sizeof *x);
  uint16_t *narrow = memory_get((size_t)(TOKENS * n) * sizeof *narrow);
  for (int64_t i = 0; i < TOKENS * n; i += 2) {
    double pair[2];
    random_normal_pair(4, RANDOM_STREAM_MONTE_CARLO, (uint64_t)n, (uint64_t)i / 2, pair);
    x[i] = (float)(pair[0] + 0.3);
    if (i + 1 < TOKENS * n) x[i + 1] = (float)pair[1];
  }
  for (int64_t i = 0; i < TOKENS * n && dtype == DTYPE_BFLOAT16; i++) {
    narrow[i] = bfloat16_nearest(x[i]);
    x[i] = bfloat16_value(narrow[i]);
  }
  // In pieces of unlike lengths.
  static const int64_t pieces[] = {1, 255, 300, 144};
  int64_t first = 0;
  for (int piece = 0; piece < 4; piece++) {
    const void *from = dtype == DTYPE_FLOAT32 ? (const void *)(x + first * n) : (const void *)(narrow + first * n);
    CHECK(hessian_add(hessian, from, pieces[piece], &error));
    first += pieces[piece];
  }
  CHECK(hessian_tokens(hessian) == TOKENS);
  const float *mean = hessian_mean(hessian);
  double worst = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i; j < n; j++) {
      double sum = 0;
      for (int64_t t = 0; t < TOKENS; t++) sum += (double)x[t * n + i] * (double)x[t * n + j];
      worst = fmax(worst, fabs((double)mean[i * n + j] - sum / TOKENS));
      CHECK(mean[i * n + j] == mean[j * n + i]);
    }
  if (!CHECK(worst < 2e-6)) printf("# %s, %lld inputs: off by %g\n", gemm_library_name(library), (long long)n, worst);
  hessian_free(hessian);
  gemm_close(context);
  free(x);
  free(narrow);
}

static void all_libraries(void) {
  static const enum gemm_library libraries[] = {GEMM_REFERENCE, GEMM_ONEDNN, GEMM_AUTO};
  static const int64_t sizes[] = {16, 48, 128, 200, 257, 384};
  for (int l = 0; l < 3; l++)
    for (int s = 0; s < 6; s++) {
      if (!gemm_library_available(libraries[l])) continue;
      struct error error = {0};
      struct gemm_context *context = gemm_open(libraries[l], 1, &error);
      bool narrow = context && gemm_dtype_supported(context, DTYPE_BFLOAT16);
      gemm_close(context);
      one(libraries[l], sizes[s], DTYPE_FLOAT32);
      if (narrow) one(libraries[l], sizes[s], DTYPE_BFLOAT16);
    }
}

static void empty(void) {
  struct error error = {0};
  struct gemm_context *context = gemm_open(GEMM_REFERENCE, 1, &error);
  struct hessian *hessian = hessian_make(context, 4, DTYPE_FLOAT32, &error);
  CHECK(hessian_tokens(hessian) == 0);
  for (int i = 0; i < 16; i++) CHECK(hessian_mean(hessian)[i] == 0);
  hessian_free(hessian);
  hessian_free(NULL);
  gemm_close(context);
}

int main(int argc, char **argv) {
  RUN(all_libraries);
  RUN(empty);
  return check_end();
}
