// SwiGLU, forward and backward: y = g s(g) u with the sigmoid s;  dy/du = g s,  dy/dg = u s (1 + g (1 - s)).
// Shapes: gate_up [rows, 2 * width], gate then up; y [rows, width].
#pragma once
#include "kernels/cpu/level.h"
#include "kernels/cpu/rounded.h"

INLINE vfloat sigmoid(enum dtype dtype, vfloat x) {
  if (dtype == DTYPE_BFLOAT16) return rounded_reciprocal(1.0f + rounded_exp(-x));
  return 1.0f / (1.0f + vector_exp(-x));
}

// `count` elements (1 .. LANES) of a row at a time: a constant, but at a row's end.
INLINE void swiglu_forward_part(enum dtype dtype, int64_t count, const void *gate_up, int64_t at, int64_t width,
                                void *y, int64_t y_at) {
  vfloat gate = load_as_part(dtype, gate_up, at, count), up = load_as_part(dtype, gate_up, at + width, count);
  store_as_part(dtype, y, y_at, gate * sigmoid(dtype, gate) * up, count);
}

INLINE void swiglu_forward_rows(const struct swiglu_call *call, enum dtype dtype, int64_t begin, int64_t end) {
  const void *gate_up = call->gate_up;
  void *y = call->y;
  int64_t width = call->width, whole = width / LANES * LANES;
  for (int64_t row = begin; row < end; row++) {
    int64_t at = row * 2 * width, y_at = row * width;
    for (int64_t i = 0; i < whole; i += LANES) swiglu_forward_part(dtype, LANES, gate_up, at + i, width, y, y_at + i);
    if (whole < width) swiglu_forward_part(dtype, width - whole, gate_up, at + whole, width, y, y_at + whole);
  }
}

static void swiglu_forward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct swiglu_call *call = argument;
  if (call->dtype == DTYPE_FLOAT32)
    swiglu_forward_rows(call, DTYPE_FLOAT32, begin, end);
  else
    swiglu_forward_rows(call, DTYPE_BFLOAT16, begin, end);
}

INLINE void swiglu_backward_part(enum dtype dtype, int64_t count, const void *gate_up, const void *from_d_y,
                                 void *d_gate_up, void *y, int64_t at, int64_t width, int64_t y_at) {
  vfloat gate = load_as_part(dtype, gate_up, at, count), up = load_as_part(dtype, gate_up, at + width, count);
  vfloat d_y = load_as_part(dtype, from_d_y, y_at, count);
  vfloat s = sigmoid(dtype, gate), silu = gate * s;
  if (y) store_as_part(dtype, y, y_at, silu * up, count);
  store_as_part(dtype, d_gate_up, at, d_y * up * (s + silu * (1.0f - s)), count);
  store_as_part(dtype, d_gate_up, at + width, d_y * silu, count);
}

INLINE void swiglu_backward_rows(const struct swiglu_call *call, enum dtype dtype, int64_t begin, int64_t end) {
  const void *gate_up = call->gate_up, *d_y = call->d_y;
  void *d_gate_up = call->d_gate_up, *y = call->y;
  int64_t width = call->width, whole = width / LANES * LANES;
  for (int64_t row = begin; row < end; row++) {
    int64_t at = row * 2 * width, y_at = row * width;
    for (int64_t i = 0; i < whole; i += LANES)
      swiglu_backward_part(dtype, LANES, gate_up, d_y, d_gate_up, y, at + i, width, y_at + i);
    if (whole < width)
      swiglu_backward_part(dtype, width - whole, gate_up, d_y, d_gate_up, y, at + whole, width, y_at + whole);
  }
}

static void swiglu_backward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct swiglu_call *call = argument;
  if (call->dtype == DTYPE_FLOAT32)
    swiglu_backward_rows(call, DTYPE_FLOAT32, begin, end);
  else
    swiglu_backward_rows(call, DTYPE_BFLOAT16, begin, end);
}
