// The CUDA device: what the ops of this folder share. Host code.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/embedding.cuh"
#include "kernels/cuda/library.cuh"

struct gemm_plan;
struct device {
  int number;
  struct cudaDeviceProp properties;
  cudaStream_t stream;
  lt_library library;
  cublasLtHandle_t products;
  struct gemm_plan *plans;   // by shape, made when first asked for
  void *products_workspace;  // PRODUCTS_WORKSPACE bytes
  bad_id *bad;               // device memory
  void *workspace;           // the caller's
  size_t workspace_bytes;
  struct error error;  // the first failure; later entries do nothing
};

struct weight {
  struct weight_description description;
  void *rounded;  // the caller's memory: the master in the products' dtype, NULL for float32
  const float *master;
  bool ready;
};

namespace {

constexpr size_t PRODUCTS_WORKSPACE = (size_t)32 << 20;

inline size_t aligned_bytes(size_t bytes) {
  return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
}
inline bool going(const struct device *device) { return device->error.code == EXIT_DONE; }

// Keeps the first failure of the runtime.
inline bool check(struct device *device, cudaError_t status, const char *what) {
  if (status == cudaSuccess) return going(device);
  return error_set(&device->error, EXIT_ENVIRONMENT, "the GPU failed in %s: %s", what, cudaGetErrorString(status));
}

template <class... P, class... A>
void run(struct device *device, void (*kernel)(P...), const launch_shape &shape, A... arguments) {
  if (!going(device)) return;
  launch(kernel, shape, device->stream, arguments...);
  check(device, cudaGetLastError(), shape.name);
}

// The workspace, when it holds `bytes`; otherwise the device fails and NULL comes back.
inline char *scratch(struct device *device, size_t bytes, const char *what) {
  if (!going(device)) return nullptr;
  if (bytes <= device->workspace_bytes) return (char *)device->workspace;
  error_set(&device->error, EXIT_ENVIRONMENT, "%s needs a workspace of %zu bytes and has %zu", what, bytes,
            device->workspace_bytes);
  return nullptr;
}

// Calls `body` with a value of the dtype's type.
template <class Body>
void with_dtype(enum dtype dtype, Body body) {
  if (dtype == DTYPE_BFLOAT16)
    body(bfloat16{});
  else
    body(0.0f);
}
// Whether rows of `width` elements at all these addresses may be read `elements` at a time, in words of 16 bytes (of
// float32 next to bfloat16, several).
template <class... Pointers>
bool wide(int elements, int64_t width, Pointers... pointers) {
  return width % elements == 0 && (((uintptr_t)pointers % 16 == 0) && ...);
}

}  // namespace
