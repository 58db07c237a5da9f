// SwiGLU, forward and backward: y = g s(g) u with the sigmoid s;  dy/du = g s,  dy/dg = u s (1 + g (1 - s)).
#pragma once
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

INLINE vfloat sigmoid(vfloat x) { return 1.0f / (1.0f + vector_exp(-x)); }

INLINE void swiglu_forward_rows(const struct swiglu_call *call, enum dtype dtype, int64_t begin, int64_t end) {
  int64_t width = call->width;
  for (int64_t row = begin; row < end; row++) {
    int64_t gate_index = row * 2 * width, up_index = gate_index + width;
    for (int64_t i = 0; i < width; i += LANES) {
      vfloat gate = load_as_part(dtype, call->gate_up, gate_index + i, width - i);
      vfloat up = load_as_part(dtype, call->gate_up, up_index + i, width - i);
      store_as_part(dtype, call->y, row * width + i, gate * sigmoid(gate) * up, width - i);
    }
  }
}
static void swiglu_forward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct swiglu_call *call = argument;
  if (call->dtype == DTYPE_FLOAT32)
    swiglu_forward_rows(call, DTYPE_FLOAT32, begin, end);
  else
    swiglu_forward_rows(call, DTYPE_BFLOAT16, begin, end);
}

INLINE void swiglu_backward_rows(const struct swiglu_call *call, enum dtype dtype, int64_t begin, int64_t end) {
  int64_t width = call->width;
  for (int64_t row = begin; row < end; row++) {
    int64_t gate_index = row * 2 * width, up_index = gate_index + width;
    for (int64_t i = 0; i < width; i += LANES) {
      int64_t count = width - i;
      vfloat gate = load_as_part(dtype, call->gate_up, gate_index + i, count);
      vfloat up = load_as_part(dtype, call->gate_up, up_index + i, count);
      vfloat d_y = load_as_part(dtype, call->d_y, row * width + i, count);
      vfloat s = sigmoid(gate), silu = gate * s;
      if (call->y) store_as_part(dtype, call->y, row * width + i, silu * up, count);
      store_as_part(dtype, call->d_gate_up, gate_index + i, d_y * up * (s + silu * (1.0f - s)), count);
      store_as_part(dtype, call->d_gate_up, up_index + i, d_y * silu, count);
    }
  }
}
static void swiglu_backward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct swiglu_call *call = argument;
  if (call->dtype == DTYPE_FLOAT32)
    swiglu_backward_rows(call, DTYPE_FLOAT32, begin, end);
  else
    swiglu_backward_rows(call, DTYPE_BFLOAT16, begin, end);
}
