// Weights prepared for their products, and the linear layers.
// Shapes: y [rows, outputs] = x [rows, inputs] W^T; W and d_weight [outputs, inputs]; d_x [rows, inputs].
#include <stdlib.h>

#include "base/arena.h"
#include "kernels/cpu/linear_format.h"

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

struct weight_layout {  // bytes of the parts of a prepared weight
  size_t rounded, rounded_backward, forward, backward, widened, format;
};
static struct weight_layout layout_of(const struct device *device, const struct weight_description *description) {
  int64_t outputs = description->outputs, inputs = description->inputs;
  enum dtype dtype = description->dtype;
  size_t rounded = dtype == DTYPE_FLOAT32 ? 0 : aligned((size_t)(outputs * inputs) * dtype_bytes(dtype));
  bool formatted = !format_is_none(description->format);
  return (struct weight_layout){
      .rounded = rounded,
      // A format may have other values for the input gradient than for the forward product.
      .rounded_backward = formatted && description->format->backward == BACKWARD_ORIGINAL ? rounded : 0,
      // Packing and formats read float32.
      .widened = description->master == DTYPE_FLOAT32 ? 0 : aligned((size_t)(outputs * inputs) * sizeof(float)),
      .format = formatted ? weight_format_bytes(description) : 0,
      .forward = aligned(gemm_packed_bytes(device->gemm, GEMM_NT, outputs, inputs, dtype)),
      .backward = aligned(gemm_packed_bytes(device->gemm, GEMM_NN, inputs, outputs, dtype)),
  };
}

size_t cpu_weight_bytes(const struct device *device, const struct weight_description *description) {
  struct weight_layout layout = layout_of(device, description);
  return layout.rounded + layout.rounded_backward + layout.forward + layout.backward + layout.widened + layout.format;
}

struct weight *cpu_weight_create(struct device *device, const struct weight_description *description, void *memory,
                                 struct error *error) {
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
  bytes += layout.rounded;
  weight->rounded_backward = layout.rounded_backward ? bytes : weight->rounded;
  bytes += layout.rounded_backward;
  if (layout.forward) weight->packed_forward = bytes;
  bytes += layout.forward;
  if (layout.backward) weight->packed_backward = bytes;
  bytes += layout.backward;
  if (layout.widened) weight->widened = (float *)bytes;
  bytes += layout.widened;
  if (!format_is_none(description->format)) {
    weight->format = weight_format_create(description, error);
    if (!weight->format) {
      free(weight);
      return NULL;
    }
    weight_format_place(weight->format, bytes);
  }
  return weight;
}

void cpu_weight_free(struct device *device, struct weight *weight) {
  weight_format_free(weight->format);
  free(weight);
}

void cpu_weight_prepare(struct device *device, struct weight *weight, const void *master, int64_t step) {
  const struct weight_description *w = &weight->description;
  if (weight->widened) {
    cpu_convert(device, w->outputs * w->inputs, w->master, master, DTYPE_FLOAT32, weight->widened);
    master = weight->widened;
  }
  weight->values = weight->values_backward = master;
  weight->ready = true;
  if (weight->format)
    weight->values = weight_format_prepare(device, weight->format, master, step, &weight->values_backward);
  const void *plain = weight->values, *plain_backward = weight->values_backward;
  if (weight->rounded) {
    cpu_convert(device, w->outputs * w->inputs, DTYPE_FLOAT32, plain, w->dtype, weight->rounded);
    if (weight->rounded_backward != weight->rounded)
      cpu_convert(device, w->outputs * w->inputs, DTYPE_FLOAT32, plain_backward, w->dtype, weight->rounded_backward);
    plain = weight->rounded;
    plain_backward = weight->rounded_backward;
  }
  if (device->error.code != EXIT_DONE) return;
  if (weight->packed_forward)
    gemm_pack(device->gemm, GEMM_NT, w->outputs, w->inputs, w->dtype, plain, weight->packed_forward, &device->error);
  if (weight->packed_backward)
    gemm_pack(device->gemm, GEMM_NN, w->inputs, w->outputs, w->dtype, plain_backward, weight->packed_backward,
              &device->error);
}

void cpu_weight_learned(struct device *device, struct weight *weight, float *values, float *d_values) {
  if (weight->format) weight_format_learned(weight->format, values, d_values);
}

void cpu_weight_gradient_finish(struct device *device, struct weight *weight, float *d_weight) {
  if (weight->format) weight_format_finish(device, weight->format, d_weight);
}

static void multiply(struct device *device, const struct gemm *gemm, const void *a, const void *b, void *c) {
  if (device->error.code == EXIT_DONE) gemm_run(device->gemm, gemm, a, b, c, &device->error);
}

static const void *operand(struct device *device, const struct weight *weight, bool backward) {
  if (!weight->ready) error_set(&device->error, EXIT_ENVIRONMENT, "a weight is used before it is prepared");
  const void *packed = backward ? weight->packed_backward : weight->packed_forward;
  const void *rounded = backward ? weight->rounded_backward : weight->rounded;
  if (packed) return packed;
  return rounded ? rounded : backward ? weight->values_backward : weight->values;
}

void weight_forward(struct device *device, const struct weight *weight, int64_t rows, const void *x, enum dtype y_dtype,
                    void *y, int64_t stride) {
  const struct weight_description *w = &weight->description;
  multiply(device,
           &(struct gemm){.form = GEMM_NT,
                          .m = rows,
                          .n = w->outputs,
                          .k = w->inputs,
                          .in = w->dtype,
                          .out = y_dtype,
                          .ldc = stride,
                          .packed = weight->packed_forward != NULL},
           x, operand(device, weight, false), y);
}

void weight_input_gradient(struct device *device, const struct weight *weight, int64_t rows, const void *d_y,
                           int64_t stride, void *d_x) {
  const struct weight_description *w = &weight->description;
  multiply(device,
           &(struct gemm){.form = GEMM_NN,
                          .m = rows,
                          .n = w->inputs,
                          .k = w->outputs,
                          .in = w->dtype,
                          .out = w->dtype,
                          .lda = stride,
                          .packed = weight->packed_backward != NULL},
           d_y, operand(device, weight, true), d_x);
}

void weight_gradient(struct device *device, const struct weight *weight, int64_t rows, const void *x, const void *d_y,
                     int64_t stride, float *d_weight, bool accumulate) {
  const struct weight_description *w = &weight->description;
  multiply(device,
           &(struct gemm){.form = GEMM_TN,
                          .m = w->outputs,
                          .n = w->inputs,
                          .k = rows,
                          .in = w->dtype,
                          .out = DTYPE_FLOAT32,
                          .lda = stride,
                          .accumulate = accumulate},
           d_y, x, d_weight);
}

size_t cpu_linear_saved_bytes(const struct device *device, const struct weight_description *description, int64_t rows) {
  return format_is_none(description->format) ? 0 : linear_format_saved_bytes(description, rows);
}

static bool fits(struct device *device, const struct linear *linear) {
  if (linear->dtype == linear->weight->description.dtype) return true;
  return error_set(&device->error, EXIT_ENVIRONMENT, "a linear layer's activations are %s, its weight is for %s",
                   dtype_name(linear->dtype), dtype_name(linear->weight->description.dtype));
}

void cpu_linear_forward(struct device *device, const struct linear *linear, const void *x, void *saved, void *y) {
  if (!fits(device, linear)) return;
  struct weight_format *format = linear->weight->format;
  if (format) x = linear_format_activations(device, format, linear, x, saved);
  weight_forward(device, linear->weight, linear->rows, x, linear->dtype, y, 0);
}

void cpu_linear_input_gradient(struct device *device, const struct linear *linear, const void *saved, const void *d_y,
                               void *d_x) {
  if (!fits(device, linear)) return;
  struct weight_format *format = linear->weight->format;
  if (format) d_y = linear_format_output_gradient(device, format, linear, d_y, d_x);
  if (d_y) weight_input_gradient(device, linear->weight, linear->rows, d_y, 0, d_x);
  if (format) linear_format_input_gradient(device, format, linear, saved, d_x);
}

void cpu_linear_weight_gradient(struct device *device, const struct linear *linear, const void *x, const void *saved,
                                const void *d_y, float *d_weight, bool accumulate) {
  if (!fits(device, linear)) return;
  struct weight_format *format = linear->weight->format;
  if (format)
    linear_format_weight_gradient(device, format, linear, x, saved, d_y, d_weight, accumulate);
  else
    weight_gradient(device, linear->weight, linear->rows, x, d_y, 0, d_weight, accumulate);
}
