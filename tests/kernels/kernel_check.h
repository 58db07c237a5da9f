// What the kernels' tests share: devices at every level this machine has, and tensors held both as device memory and as
// doubles.
#pragma once
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/isa.h"
#include "tests/kernels/values.h"

static const struct ops *ops;
static struct device *device;
static void *workspace;

// Opens the device that the helpers below use.
static inline void device_begin(enum isa_level isa, const char *gemm, int threads) {
  struct error error = {0};
  ops = ops_find("cpu", &error);
  struct device_options options = {.threads = threads, .isa = isa_name(isa), .gemm = gemm};
  device = ops->open(&options, &error);
  if (!CHECK(device != NULL)) {
    printf("# %s\n", error.text);
    exit(1);
  }
}
static inline void device_end(void) {
  struct error error = {0};
  if (!CHECK(ops->synchronize(device, &error))) printf("# %s\n", error.text);
  ops->free(device, workspace);
  workspace = NULL;
  ops->close(device);
}
// Gives the device exactly the workspace that this call says it needs.
static inline void workspace_for(enum op_kind kind, struct op_shape shape) {
  struct error error = {0};
  size_t bytes = ops->workspace_bytes(device, kind, &shape);
  ops->free(device, workspace);
  workspace = ops->allocate(device, bytes, &error);
  ops->set_workspace(device, workspace, bytes);
}
// Runs `body` on every level that this machine has.
static inline void on_every_level(void (*body)(void)) {
  for (int level = 0; level < ISA_LEVELS; level++) {
    if (!isa_available((enum isa_level)level)) {
      printf("# level %s: not on this CPU\n", isa_name((enum isa_level)level));
      continue;
    }
    int before = check_failures;
    device_begin((enum isa_level)level, "auto", 1);
    body();
    device_end();
    if (check_failures > before) printf("# ... at level %s\n", isa_name((enum isa_level)level));
  }
}

// A tensor: device memory of a dtype with guard elements behind it, and its values as doubles.
#define GUARD 32
struct tensor {
  enum dtype dtype;
  int64_t count;
  void *data;      // device
  double *values;  // what the device memory held when it was set, or was last read
};
// Device memory that holds the values as the dtype rounds them; `values` then are the rounded ones.
static inline void tensor_write(struct tensor *tensor) {
  values_store(tensor->dtype, tensor->count, tensor->values, tensor->data);
  values_load(tensor->dtype, tensor->count, tensor->data, tensor->values);
}
static inline struct tensor tensor_empty(enum dtype dtype, int64_t count) {
  struct error error = {0};
  struct tensor tensor = {.dtype = dtype, .count = count};
  size_t bytes = (size_t)(count + GUARD) * dtype_bytes(dtype);
  tensor.data = ops->allocate(device, bytes, &error);
  memset(tensor.data, 0x7E, bytes);  // a recognisable pattern: what is not written stays odd
  tensor.values = calloc((size_t)count + 1, sizeof(double));
  return tensor;
}
static inline struct tensor tensor_random(enum dtype dtype, int64_t count, double scale) {
  struct tensor tensor = tensor_empty(dtype, count);
  for (int64_t i = 0; i < count; i++) tensor.values[i] = scale * random_number();
  tensor_write(&tensor);
  return tensor;
}
static inline struct tensor tensor_zero(enum dtype dtype, int64_t count) { return tensor_random(dtype, count, 0); }
static inline void tensor_read(struct tensor *tensor) {
  values_load(tensor->dtype, tensor->count, tensor->data, tensor->values);
  // Nothing behind the end was touched.
  const unsigned char *guard = (const unsigned char *)tensor->data + (size_t)tensor->count * dtype_bytes(tensor->dtype);
  bool intact = true;
  for (size_t i = 0; i < GUARD * dtype_bytes(tensor->dtype); i++) intact &= guard[i] == 0x7E;
  CHECK(intact);
}
static inline void tensor_free(struct tensor *tensor) {
  ops->free(device, tensor->data);
  free(tensor->values);
}
// Reads the tensor and compares with `want`.
static inline bool tensor_check(struct tensor *tensor, const double *want, double tolerance, const char *what) {
  tensor_read(tensor);
  return values_check(tensor->values, want, tensor->count, tolerance, 0, what);
}
static inline double tolerance_of(enum dtype dtype) { return dtype == DTYPE_FLOAT32 ? 2e-6 : 4e-3; }
