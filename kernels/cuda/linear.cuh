// Weights prepared for their products, and the linear layers.
// Shapes: y [rows, outputs] = x [rows, inputs] W^T; W and d_weight [outputs, inputs]; d_x [rows, inputs].
#pragma once
#include "kernels/cuda/format_prune.cuh"

namespace {

// ---- weights ----
void weight_free(struct device *, struct weight *weight) {
  format_free(weight->format);
  std::free(weight);
}

struct weight *weight_create(struct device *device, const struct weight_description *w, void *memory,
                             struct error *error) {
  int64_t outputs = w->parts ? 0 : w->outputs;
  for (int part = 0; part < w->parts && part < WEIGHT_PARTS; part++) outputs += w->part_outputs[part];
  if (w->outputs < 1 || w->inputs < 1 || w->parts > WEIGHT_PARTS || outputs != w->outputs) {
    error_set(error, EXIT_USAGE_ERROR, "a weight of %lld x %lld whose %d parts have %lld rows cannot be",
              (long long)w->outputs, (long long)w->inputs, w->parts, (long long)outputs);
    return nullptr;
  }
  if (w->master != DTYPE_FLOAT32 && w->dtype != w->master) {
    error_set(error, EXIT_USAGE_ERROR, "a master weight in %s is for products in %s, not in %s", dtype_name(w->master),
              dtype_name(w->master), dtype_name(w->dtype));
    return nullptr;
  }
  struct weight *weight = (struct weight *)memory_get(sizeof *weight);
  weight->description = *w;
  cuda_weight_layout layout = cuda_weight_layout_of(w);
  if (layout.values) weight->rounded = memory;
  if (layout.backward) weight->backward = (char *)memory + layout.values;
  if (format_is_none(w->format)) return weight;
  weight->format = format_create(device, w, (char *)memory, error);
  if (weight->format) return weight;
  weight_free(device, weight);
  return nullptr;
}

void convert(struct device *device, int64_t count, enum dtype from_dtype, const void *from, enum dtype to_dtype,
             void *to);
void weight_prepare(struct device *device, struct weight *weight, const void *master, int64_t step) {
  const struct weight_description &w = weight->description;
  weight->master = master;
  weight->ready = true;
  if (weight->format && format_prepare(device, weight, master, step)) return;
  if (weight->rounded) convert(device, w.outputs * w.inputs, w.master, master, w.dtype, weight->rounded);
}

void weight_gradient_finish(struct device *device, struct weight *weight, float *d_weight) {
  if (weight->format) format_finish(device, weight, d_weight);
}

void weight_learned(struct device *, struct weight *weight, float *values, float *d_values) {
  if (!weight->format) return;
  weight->format->learned = values;
  weight->format->d_learned = d_values;
}

const void *weight_values(struct device *device, const struct weight *weight, bool backward) {
  if (!weight->ready) error_set(&device->error, EXIT_ENVIRONMENT, "a weight is used before it is prepared");
  if (backward && weight->backward) return weight->backward;
  return weight->rounded ? weight->rounded : weight->master;
}

// The three products with a prepared weight, for linear layers and the head. y may be float32 with bfloat16 operands.
// `lead` elements are from one row of y, or of d_y, to the next: at least the weight's outputs.
void weight_forward(struct device *device, const struct weight *weight, int64_t rows, const void *x, enum dtype y_dtype,
                    void *y, int64_t lead) {
  const struct weight_description &w = weight->description;
  gemm_shape shape = {w.outputs, rows, w.inputs, true, false, w.dtype, y_dtype};
  shape.encoding.lead_d = lead;
  multiply(device, shape, weight_values(device, weight, false), x, y, false);
}

void weight_input_gradient(struct device *device, const struct weight *weight, int64_t rows, const void *d_y,
                           int64_t lead, void *d_x) {
  const struct weight_description &w = weight->description;
  gemm_shape shape = {w.inputs, rows, w.outputs, false, false, w.dtype, w.dtype};
  shape.encoding.lead_b = lead;
  multiply(device, shape, weight_values(device, weight, true), d_y, d_x, false);
}

void weight_gradient(struct device *device, const struct weight *weight, int64_t rows, const void *x, const void *d_y,
                     int64_t lead, float *d_weight, bool accumulate) {
  const struct weight_description &w = weight->description;
  gemm_shape shape = {w.inputs, w.outputs, rows, false, true, w.dtype, DTYPE_FLOAT32};
  shape.encoding.lead_b = lead;
  multiply(device, shape, x, d_y, d_weight, accumulate);
}

// ---- linear layers ----
bool linear_fits(struct device *device, const struct linear *linear) {
  if (linear->dtype == linear->weight->description.dtype) return true;
  return error_set(&device->error, EXIT_ENVIRONMENT, "a linear layer's activations are %s, its weight is for %s",
                   dtype_name(linear->dtype), dtype_name(linear->weight->description.dtype));
}

void linear_forward(struct device *device, const struct linear *linear, const void *x, void *saved, void *y) {
  if (!linear_fits(device, linear)) return;
  if (linear->weight->format) x = format_activations(device, linear, x, saved, y);
  int64_t outputs = linear->weight->description.outputs;
  if (x) weight_forward(device, linear->weight, linear->rows, x, linear->dtype, y, outputs);
}

void linear_input_gradient(struct device *device, const struct linear *linear, const void *saved, const void *d_y,
                           void *d_x) {
  if (!linear_fits(device, linear)) return;
  bool formatted = linear->weight->format != nullptr;
  if (formatted) d_y = format_output_gradient(device, linear, d_y, d_x);
  int64_t outputs = linear->weight->description.outputs;
  if (d_y) weight_input_gradient(device, linear->weight, linear->rows, d_y, outputs, d_x);
  if (formatted) format_input_gradient(device, linear, saved, d_x);
}

void linear_weight_gradient(struct device *device, const struct linear *linear, const void *x, const void *saved,
                            const void *d_y, float *d_weight, bool accumulate) {
  if (!linear_fits(device, linear)) return;
  if (linear->weight->format)
    format_weight_gradient(device, linear, x, saved, d_y, d_weight, accumulate);
  else
    weight_gradient(device, linear->weight, linear->rows, x, d_y, linear->weight->description.outputs, d_weight,
                    accumulate);
}

}  // namespace
