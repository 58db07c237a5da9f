// Weights prepared for their products, and the linear layers.
#include <stdlib.h>

#include "base/arena.h"
#include "kernels/cpu/device.h"

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

struct weight_layout {  // bytes of the parts of a prepared weight
  size_t rounded, forward, backward;
};
static struct weight_layout layout_of(const struct device *device, const struct weight_description *description) {
  int64_t outputs = description->outputs, inputs = description->inputs;
  enum dtype dtype = description->dtype;
  return (struct weight_layout){
      .rounded = dtype == DTYPE_FLOAT32 ? 0 : aligned((size_t)(outputs * inputs) * dtype_bytes(dtype)),
      .forward = aligned(gemm_packed_bytes(device->gemm, GEMM_NT, outputs, inputs, dtype)),
      .backward = aligned(gemm_packed_bytes(device->gemm, GEMM_NN, inputs, outputs, dtype)),
  };
}

size_t cpu_weight_bytes(const struct device *device, const struct weight_description *description) {
  struct weight_layout layout = layout_of(device, description);
  return layout.rounded + layout.forward + layout.backward;
}

struct weight *cpu_weight_create(struct device *device, const struct weight_description *description, void *memory,
                                 struct error *error) {
  if (description->format) {
    error_set(error, EXIT_USAGE_ERROR, "the CPU backend has no format but none");
    return NULL;
  }
  if (!cpu_dtype_supported(device, description->dtype)) {
    error_set(error, EXIT_ENVIRONMENT, "this CPU's matrix products do not take %s", dtype_name(description->dtype));
    return NULL;
  }
  int64_t outputs = description->parts ? 0 : description->outputs;
  for (int part = 0; part < description->parts && part < WEIGHT_PARTS; part++)
    outputs += description->part_outputs[part];
  if (description->outputs < 1 || description->inputs < 1 || description->parts > WEIGHT_PARTS ||
      outputs != description->outputs) {
    error_set(error, EXIT_USAGE_ERROR, "a weight of %lld x %lld whose %d parts have %lld rows cannot be",
              (long long)description->outputs, (long long)description->inputs, description->parts, (long long)outputs);
    return NULL;
  }
  struct weight *weight = memory_get(sizeof *weight);
  weight->description = *description;
  struct weight_layout layout = layout_of(device, description);
  char *bytes = memory;
  if (layout.rounded) weight->rounded = bytes;
  if (layout.forward) weight->packed_forward = bytes + layout.rounded;
  if (layout.backward) weight->packed_backward = bytes + layout.rounded + layout.forward;
  return weight;
}

void cpu_weight_free(struct device *device, struct weight *weight) { free(weight); }

void cpu_weight_prepare(struct device *device, struct weight *weight, const float *master, int64_t step) {
  const struct weight_description *w = &weight->description;
  const void *plain = master;
  weight->master = master;
  weight->ready = true;
  if (weight->rounded) {
    cpu_convert(device, w->outputs * w->inputs, DTYPE_FLOAT32, master, w->dtype, weight->rounded);
    plain = weight->rounded;
  }
  if (device->error.code != EXIT_DONE) return;
  if (weight->packed_forward)
    gemm_pack(device->gemm, GEMM_NT, w->outputs, w->inputs, w->dtype, plain, weight->packed_forward, &device->error);
  if (weight->packed_backward)
    gemm_pack(device->gemm, GEMM_NN, w->inputs, w->outputs, w->dtype, plain, weight->packed_backward, &device->error);
}

void cpu_weight_gradient_finish(struct device *device, struct weight *weight, float *d_weight) {}

static void multiply(struct device *device, const struct gemm *gemm, const void *a, const void *b, void *c) {
  if (device->error.code == EXIT_DONE) gemm_run(device->gemm, gemm, a, b, c, &device->error);
}
static const void *operand(struct device *device, const struct weight *weight, const void *packed) {
  if (!weight->ready) error_set(&device->error, EXIT_ENVIRONMENT, "a weight is used before it is prepared");
  return packed ? packed : weight->rounded ? weight->rounded : weight->master;
}

void weight_forward(struct device *device, const struct weight *weight, int64_t rows, const void *x, enum dtype y_dtype,
                    void *y) {
  const struct weight_description *w = &weight->description;
  multiply(device,
           &(struct gemm){.form = GEMM_NT,
                          .m = rows,
                          .n = w->outputs,
                          .k = w->inputs,
                          .in = w->dtype,
                          .out = y_dtype,
                          .packed = weight->packed_forward != NULL},
           x, operand(device, weight, weight->packed_forward), y);
}
void weight_input_gradient(struct device *device, const struct weight *weight, int64_t rows, const void *d_y,
                           void *d_x) {
  const struct weight_description *w = &weight->description;
  multiply(device,
           &(struct gemm){.form = GEMM_NN,
                          .m = rows,
                          .n = w->inputs,
                          .k = w->outputs,
                          .in = w->dtype,
                          .out = w->dtype,
                          .packed = weight->packed_backward != NULL},
           d_y, operand(device, weight, weight->packed_backward), d_x);
}
void weight_gradient(struct device *device, const struct weight *weight, int64_t rows, const void *x, const void *d_y,
                     float *d_weight, bool accumulate) {
  const struct weight_description *w = &weight->description;
  multiply(device,
           &(struct gemm){.form = GEMM_TN,
                          .m = w->outputs,
                          .n = w->inputs,
                          .k = rows,
                          .in = w->dtype,
                          .out = DTYPE_FLOAT32,
                          .accumulate = accumulate},
           d_y, x, d_weight);
}

size_t cpu_linear_saved_bytes(const struct device *device, const struct weight_description *description, int64_t rows) {
  return 0;
}
static bool fits(struct device *device, const struct linear *linear) {
  if (linear->dtype == linear->weight->description.dtype) return true;
  return error_set(&device->error, EXIT_ENVIRONMENT, "a linear layer's activations are %s, its weight is for %s",
                   dtype_name(linear->dtype), dtype_name(linear->weight->description.dtype));
}
void cpu_linear_forward(struct device *device, const struct linear *linear, const void *x, void *saved, void *y) {
  if (fits(device, linear)) weight_forward(device, linear->weight, linear->rows, x, linear->dtype, y);
}
void cpu_linear_input_gradient(struct device *device, const struct linear *linear, const void *saved, const void *d_y,
                               void *d_x) {
  if (fits(device, linear)) weight_input_gradient(device, linear->weight, linear->rows, d_y, d_x);
}
void cpu_linear_weight_gradient(struct device *device, const struct linear *linear, const void *x, const void *saved,
                                const void *d_y, float *d_weight, bool accumulate) {
  if (fits(device, linear)) weight_gradient(device, linear->weight, linear->rows, x, d_y, d_weight, accumulate);
}
