// Linear layers with a format on the CPU: what linear.c does in addition to its products. See kernels/formats/apply.h.
#pragma once
#include "kernels/cpu/device.h"
#include "kernels/formats/apply.h"

// Host side of a weight with a format. Its device memory is in the weight's, behind `offset`.
struct weight_format;
// NULL and an error when the format does not fit.
struct weight_format *weight_format_create(const struct weight_description *description, struct error *error);
void weight_format_free(struct weight_format *format);  // NULL is fine
// Device bytes of it, and where they are.
size_t weight_format_bytes(const struct weight_description *description);
void weight_format_place(struct weight_format *format, void *memory);
// Scratch of all its calls with that many rows in such windows (struct linear).
size_t weight_format_workspace(const struct weight_description *description, int64_t rows, int64_t window, int threads);

// Represents the weights. Returns the float32 values that the forward product takes; *backward gets those that d_x
// takes (the same, or others).
const float *weight_format_prepare(struct device *device, struct weight_format *format, const float *master,
                                   int64_t step, const float **backward);
// The estimator: d_weight with respect to the represented values becomes the master's gradient.
void weight_format_finish(struct device *device, struct weight_format *format, float *d_weight);

// Where learned scales and their gradients are; see weight_learned in kernels/ops.h.
void weight_format_learned(struct weight_format *format, float *values, float *d_values);
// For prune.c: the plan, and the choice of a global threshold, which holds until the next one. `last_tie` counts from
// the weight's first value.
const struct linear_format *weight_format_plan(const struct weight_format *format);
void weight_format_select(struct weight_format *format, float threshold, int64_t last_tie);

size_t linear_format_saved_bytes(const struct weight_description *description, int64_t rows);
// The operand that stands in for x in the forward product: represented and saved, or x itself.
const void *linear_format_activations(struct device *device, struct weight_format *format, const struct linear *linear,
                                      const void *x, void *saved);
// The gradient that stands in for d_y in d_x = d_y W (in the workspace, or d_y itself), when the product is with the
// prepared weights; NULL when it has been done here (BACKWARD_REQUANTIZE).
const void *linear_format_output_gradient(struct device *device, struct weight_format *format,
                                          const struct linear *linear, const void *d_y, void *d_x);
// What follows the product: masks and transforms of d_x, in place.
void linear_format_input_gradient(struct device *device, struct weight_format *format, const struct linear *linear,
                                  const void *saved, void *d_x);
// d_weight (+)= ... in full.
void linear_format_weight_gradient(struct device *device, struct weight_format *format, const struct linear *linear,
                                   const void *x, const void *saved, const void *d_y, float *d_weight, bool accumulate);
