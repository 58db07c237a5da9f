// What the kernels' tests share: devices at every level this machine has, tensors held both as device memory and as
// doubles, and gradients by finite differences of a double-precision forward pass.
#pragma once
#include <stdlib.h>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/isa.h"
#include "kernels/kernels.h"
#include "tests/check.h"

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
static inline float half_to_float(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline uint16_t float_to_half(float value) {  // rounds to nearest even; no NaN here
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
// Device memory that holds the values as the dtype rounds them; `values` then are the rounded ones.
static inline void tensor_write(struct tensor *tensor) {
  for (int64_t i = 0; i < tensor->count; i++) {
    float value = (float)tensor->values[i];
    if (tensor->dtype == DTYPE_FLOAT32) {
      ((float *)tensor->data)[i] = value;
    } else {
      uint16_t half = float_to_half(value);
      ((uint16_t *)tensor->data)[i] = half;
      value = half_to_float(half);
    }
    tensor->values[i] = value;
  }
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
static uint64_t random_state = 88172645463325252u;
static inline double random_number(void) {  // uniform in (-1, 1)
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (double)(int64_t)random_state / 9223372036854775808.0;
}
static inline struct tensor tensor_random(enum dtype dtype, int64_t count, double scale) {
  struct tensor tensor = tensor_empty(dtype, count);
  for (int64_t i = 0; i < count; i++) tensor.values[i] = scale * random_number();
  tensor_write(&tensor);
  return tensor;
}
static inline struct tensor tensor_zero(enum dtype dtype, int64_t count) { return tensor_random(dtype, count, 0); }
static inline void tensor_read(struct tensor *tensor) {
  for (int64_t i = 0; i < tensor->count; i++)
    tensor->values[i] =
        tensor->dtype == DTYPE_FLOAT32 ? ((float *)tensor->data)[i] : half_to_float(((uint16_t *)tensor->data)[i]);
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
// Reads the tensor and compares with `want`: the root mean square of the difference within `tolerance` of that of
// `want`, and no single element off by more than 8 times as much of the largest. Says which element is worst.
static inline bool tensor_check(struct tensor *tensor, const double *want, double tolerance, const char *what) {
  tensor_read(tensor);
  double largest = 0, square = 0, off_square = 0, worst = 0;
  int64_t at = 0;
  for (int64_t i = 0; i < tensor->count; i++) {
    double off = fabs(tensor->values[i] - want[i]);
    if (fabs(want[i]) > largest) largest = fabs(want[i]);
    square += want[i] * want[i];
    off_square += off * off;
    if (!(off <= worst)) worst = off, at = i;
  }
  if (sqrt(off_square) <= tolerance * sqrt(square) + 1e-30 && worst <= 8 * tolerance * largest + 1e-30) return true;
  check_failures++;
  printf("# %s: element %lld is %.9g, want %.9g; rms off %.3g of %.3g, allowed relative %.3g\n", what, (long long)at,
         tensor->values[at], want[at], sqrt(off_square), sqrt(square), tolerance);
  return false;
}
static inline double tolerance_of(enum dtype dtype) { return dtype == DTYPE_FLOAT32 ? 2e-6 : 4e-3; }

// Compares `gradient` (read from the device) of a double-precision function of x->values with central differences: of
// every element when there are few, else of a sample, and along a random direction. Values are taken to be around 1:
// where a gradient cancels, float32 leaves 1e-6 of them.
static inline bool gradient_check(double (*function)(const void *), const void *context, struct tensor *x,
                                  struct tensor *gradient, double tolerance, const char *what) {
  tensor_read(gradient);
  const double step = 1e-4;
  double norm = 0;
  for (int64_t i = 0; i < gradient->count; i++) norm += gradient->values[i] * gradient->values[i];
  double scale = sqrt(norm / (double)gradient->count) + 1e-12;
  int64_t samples = x->count <= 64 ? x->count : 16;
  for (int64_t sample = 0; sample < samples; sample++) {
    int64_t i = x->count <= 64 ? sample : (int64_t)((random_number() + 1) / 2 * (double)x->count) % x->count;
    double old = x->values[i];
    x->values[i] = old + step;
    double above = function(context);
    x->values[i] = old - step;
    double below = function(context);
    x->values[i] = old;
    double slope = (above - below) / (2 * step);
    if (fabs(slope - gradient->values[i]) <= 10 * tolerance * (fabs(slope) + scale) + 1e-6) continue;
    check_failures++;
    printf("# %s: gradient %lld of %lld is %.9g, finite difference %.9g\n", what, (long long)i, (long long)x->count,
           gradient->values[i], slope);
    return false;
  }
  double *direction = malloc((size_t)x->count * sizeof *direction), *old = malloc((size_t)x->count * sizeof *old);
  double dot = 0;
  for (int64_t i = 0; i < x->count; i++) {
    direction[i] = random_number();
    dot += direction[i] * gradient->values[i];
    old[i] = x->values[i];
  }
  double values[2];
  for (int side = 0; side < 2; side++) {
    for (int64_t i = 0; i < x->count; i++) x->values[i] = old[i] + (side ? -step : step) * direction[i];
    values[side] = function(context);
  }
  memcpy(x->values, old, (size_t)x->count * sizeof *old);
  double slope = (values[0] - values[1]) / (2 * step);
  bool fine = fabs(slope - dot) <= 10 * tolerance * (fabs(slope) + sqrt(norm)) + 1e-6;
  if (!fine) {
    check_failures++;
    printf("# %s: along a direction %.9g, finite difference %.9g\n", what, dot, slope);
  }
  free(direction);
  free(old);
  return fine;
}
