// A build without oneDNN (-Donednn=disabled): products are the plain ones, or our own of bfloat16 where they are asked
// for by name. It is there to carry a GPU's programs to machines without the library; on a CPU it is slow.
#include "kernels/cpu/gemm_library.h"

bool onednn_there(void) { return false; }

struct onednn *onednn_open(int threads, struct error *error) {
  error_set(error, EXIT_ENVIRONMENT, "this build has no oneDNN: ISOLOSS_GEMM=reference multiplies without");
  return NULL;
}

// What follows is never reached: there is no such library to pass.
void onednn_close(struct onednn *library) {}
void onednn_describe(const struct onednn *library, struct text *out) {}
bool onednn_bfloat16_supported(const struct onednn *library) { return false; }
bool onednn_bfloat16_fast(const struct onednn *library) { return false; }
bool onednn_optimized(struct onednn *library, const struct gemm *gemm) { return true; }
size_t onednn_packed_bytes(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype) {
  return 0;
}

static bool absent(struct error *error) { return error_set(error, EXIT_ENVIRONMENT, "this build has no oneDNN"); }
bool onednn_run(struct onednn *library, const struct gemm *gemm, const void *a, const void *b, void *c,
                struct error *error) {
  return absent(error);
}

bool onednn_pack(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype, const void *b,
                 void *packed, struct error *error) {
  return absent(error);
}

bool onednn_unpack(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype,
                   const void *packed, void *b, struct error *error) {
  return absent(error);
}
