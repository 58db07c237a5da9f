// What gemm.c and an implementation of matrix products share.
#pragma once
#include "kernels/bfloat16.h"
#include "kernels/cpu/gemm.h"

// An element of a matrix of either dtype.
static inline float gemm_element(enum dtype dtype, const void *array, int64_t index) {
  if (dtype == DTYPE_FLOAT32) return ((const float *)array)[index];
  return bfloat16_value(((const uint16_t *)array)[index]);
}

bool onednn_there(void);  // whether this build has it
struct onednn;            // engine, stream and cached primitives
struct onednn *onednn_open(int threads, struct error *error);
void onednn_close(struct onednn *library);
void onednn_describe(const struct onednn *library, struct text *out);
bool onednn_bfloat16_supported(const struct onednn *library);
bool onednn_bfloat16_fast(const struct onednn *library);
// Leading dimensions are filled in.
bool onednn_run(struct onednn *library, const struct gemm *gemm, const void *a, const void *b, void *c,
                struct error *error);
size_t onednn_packed_bytes(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype);
bool onednn_pack(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype, const void *b,
                 void *packed, struct error *error);
// The other way round: what onednn_pack packed, as the tight B it was.
bool onednn_unpack(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype,
                   const void *packed, void *b, struct error *error);
// Whether oneDNN has more than its reference implementation, hundreds of times slower, for a product: on CPUs with AMX
// version 2.6 has not for some small shapes of bfloat16. True as well where it refuses the product.
bool onednn_optimized(struct onednn *library, const struct gemm *gemm);
