// RMSNorm with residual add, forward and backward: one row at a time, twice over the row while it is in L1.
// Shapes: residual, branch, y [rows, width]; scale [width], inverse_rms [rows] float32.
#pragma once
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

INLINE void rmsnorm_forward_rows(const struct rmsnorm_call *call, enum dtype dtype, int64_t begin, int64_t end) {
  int64_t width = call->width;
  for (int64_t row = begin; row < end; row++) {
    const float *in = call->residual_in + row * width;
    float *out = call->residual_out ? call->residual_out + row * width : NULL;
    const float *sum = out ? out : in;
    vfloat squares0 = {0}, squares1 = {0};
    int64_t i = 0;
    for (; i + 2 * LANES <= width; i += 2 * LANES) {
      vfloat x0 = load(in + i), x1 = load(in + i + LANES);
      if (call->branch) {
        x0 += load_as(dtype, call->branch, row * width + i);
        x1 += load_as(dtype, call->branch, row * width + i + LANES);
      }
      if (out) {
        store(out + i, x0);
        store(out + i + LANES, x1);
      }
      squares0 = fma_add(x0, x0, squares0);
      squares1 = fma_add(x1, x1, squares1);
    }
    for (; i < width; i += LANES) {
      int64_t count = width - i;
      vfloat x = load_as_part(DTYPE_FLOAT32, in, i, count);
      if (call->branch) x += load_as_part(dtype, call->branch, row * width + i, count);
      if (out) store_as_part(DTYPE_FLOAT32, out, i, x, count);
      squares0 = fma_add(x, x, squares0);
    }
    float inverse = 1.0f / __builtin_sqrtf(lane_sum(squares0 + squares1) / (float)width + call->eps);
    call->inverse_rms[row] = inverse;
    vfloat factor = splat(inverse);
    for (i = 0; i + LANES <= width; i += LANES)
      store_as(dtype, call->y, row * width + i, load(sum + i) * factor * load(call->scale + i));
    if (i < width) {
      vfloat y = load_part(sum + i, width - i) * factor * load_part(call->scale + i, width - i);
      store_as_part(dtype, call->y, row * width + i, y, width - i);
    }
  }
}

static void rmsnorm_forward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct rmsnorm_call *call = argument;
  if (call->dtype == DTYPE_FLOAT32)
    rmsnorm_forward_rows(call, DTYPE_FLOAT32, begin, end);
  else
    rmsnorm_forward_rows(call, DTYPE_BFLOAT16, begin, end);
}

// With h = x * inverse_rms and g = d_y * scale:  d_x = inverse_rms * (g - h * mean(g h)),  d_scale = sum of d_y h.
INLINE void rmsnorm_backward_rows(const struct rmsnorm_backward_call *call, enum dtype dtype, int64_t begin,
                                  int64_t end) {
  int64_t width = call->width;
  for (int64_t row = begin; row < end; row++) {
    const float *x = call->residual + row * width;
    const float *above = call->d_residual_out ? call->d_residual_out + row * width : NULL;
    float *d_in = call->d_residual_in + row * width;
    float *partial = call->partial + row / NORM_BLOCK * width;
    if (row % NORM_BLOCK == 0) memset(partial, 0, (size_t)width * sizeof(float));
    vfloat inverse = splat(call->inverse_rms[row]), dot0 = {0}, dot1 = {0};
    int64_t i = 0;
    for (; i + 2 * LANES <= width; i += 2 * LANES) {
      vfloat h0 = load(x + i) * inverse, h1 = load(x + i + LANES) * inverse;
      vfloat p0 = load_as(dtype, call->d_y, row * width + i) * h0;
      vfloat p1 = load_as(dtype, call->d_y, row * width + i + LANES) * h1;
      store(partial + i, load(partial + i) + p0);
      store(partial + i + LANES, load(partial + i + LANES) + p1);
      dot0 = fma_add(p0, load(call->scale + i), dot0);
      dot1 = fma_add(p1, load(call->scale + i + LANES), dot1);
    }
    for (; i < width; i += LANES) {
      int64_t count = width - i;
      vfloat p =
          load_as_part(dtype, call->d_y, row * width + i, count) * (load_as_part(DTYPE_FLOAT32, x, i, count) * inverse);
      store_as_part(DTYPE_FLOAT32, partial, i, load_as_part(DTYPE_FLOAT32, partial, i, count) + p, count);
      dot0 = fma_add(p, load_as_part(DTYPE_FLOAT32, call->scale, i, count), dot0);
    }
    vfloat mean = splat(lane_sum(dot0 + dot1) / (float)width) * inverse;  // times x it is h * mean(g h)
    for (i = 0; i < width; i += LANES) {
      int64_t count = width - i;
      vfloat g =
          load_as_part(dtype, call->d_y, row * width + i, count) * load_as_part(DTYPE_FLOAT32, call->scale, i, count);
      vfloat d = (g - load_as_part(DTYPE_FLOAT32, x, i, count) * mean) * inverse;
      if (above) d += load_as_part(DTYPE_FLOAT32, above, i, count);
      store_as_part(DTYPE_FLOAT32, d_in, i, d, count);
      if (call->d_branch) store_as_part(dtype, call->d_branch, row * width + i, d, count);
    }
  }
}

static void rmsnorm_backward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct rmsnorm_backward_call *call = argument;
  if (call->dtype == DTYPE_FLOAT32)
    rmsnorm_backward_rows(call, DTYPE_FLOAT32, begin, end);
  else
    rmsnorm_backward_rows(call, DTYPE_BFLOAT16, begin, end);
}
