// Passes that only move or add: conversion, embedding, sums, and the optimizer's.
// Shapes: elements [count]; tokens [rows]; table, d_table [vocabulary, width] float32; residual [rows, width] float32.
#pragma once
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

INLINE void convert_elements(const struct convert_call *call, enum dtype from, enum dtype to, int64_t begin,
                             int64_t end) {
  for (int64_t i = begin; i < end; i += LANES)
    store_as_part(to, call->to, i, load_as_part(from, call->from, i, end - i), end - i);
}

static void convert_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct convert_call *call = argument;
  if (call->from_dtype == call->to_dtype)
    memcpy((char *)call->to + begin * dtype_size(call->to_dtype),
           (const char *)call->from + begin * dtype_size(call->to_dtype), (end - begin) * dtype_size(call->to_dtype));
  else if (call->from_dtype == DTYPE_FLOAT32)
    convert_elements(call, DTYPE_FLOAT32, DTYPE_BFLOAT16, begin, end);
  else
    convert_elements(call, DTYPE_BFLOAT16, DTYPE_FLOAT32, begin, end);
}

static void embedding_forward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct embedding_call *call = argument;
  for (int64_t row = begin; row < end; row++)
    memcpy(call->residual + row * call->width, call->table + call->tokens[row] * call->width,
           (size_t)call->width * sizeof(float));
}

// Split by columns: every element of the table is summed by one worker, in row order.
static void embedding_backward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct embedding_backward_call *call = argument;
  for (int64_t row = 0; row < call->rows; row++) {
    float *to = call->d_table + call->tokens[row] * call->width;
    const float *from = call->d_residual + row * call->width;
    for (int64_t i = begin; i < end; i += LANES)
      store_as_part(DTYPE_FLOAT32, to, i,
                    load_as_part(DTYPE_FLOAT32, to, i, end - i) + load_as_part(DTYPE_FLOAT32, from, i, end - i),
                    end - i);
  }
}

static void sum_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct sum_call *call = argument;
  for (int64_t i = begin; i < end; i += LANES) {
    vfloat total = load_as_part(DTYPE_FLOAT32, call->to, i, end - i);
    for (int64_t part = 0; part < call->count; part++)
      total += load_as_part(DTYPE_FLOAT32, call->from + part * call->stride, i, end - i);
    store_as_part(DTYPE_FLOAT32, call->to, i, total, end - i);
  }
}

// Squares are formed and summed in double: a gradient's square may leave the range of float.
static void square_sum_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct square_call *call = argument;
  for (int64_t block = begin; block < end; block += SQUARE_BLOCK) {
    int64_t stop = block + SQUARE_BLOCK < end ? block + SQUARE_BLOCK : end;
    double lanes[16] = {0};
    int64_t i = block;
    for (; i + 16 <= stop; i += 16)
      for (int lane = 0; lane < 16; lane++) lanes[lane] += (double)call->data[i + lane] * call->data[i + lane];
    for (int lane = 0; i < stop; i++, lane++) lanes[lane] += (double)call->data[i] * call->data[i];
    for (int half = 8; half > 0; half /= 2)
      for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    call->partial[block / SQUARE_BLOCK] = lanes[0];
  }
}

// See struct adamw in kernels/ops.h. Bias corrections are folded in: step_size = lr / (1 - beta1^step),
// inverse_correction2 = 1 / sqrt(1 - beta2^step), decay_factor = 1 - lr * weight_decay.
static void adamw_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct optimizer_call *call = argument;
  vfloat factor = splat(call->gradient_factor), beta1 = splat(call->beta1), beta2 = splat(call->beta2);
  vfloat rest1 = splat(call->rest1), rest2 = splat(call->rest2), eps = splat(call->eps);
  vfloat step_size = splat(call->step_size), correction = splat(call->inverse_correction2);
  vfloat decay = splat(call->decay_factor);
  for (int64_t i = begin; i < end; i += LANES) {
    int64_t count = end - i;
    vfloat g = load_as_part(DTYPE_FLOAT32, call->gradient, i, count) * factor;
    vfloat m = load_as_part(DTYPE_FLOAT32, call->m, i, count) * beta1 + g * rest1;
    vfloat v = load_as_part(DTYPE_FLOAT32, call->v, i, count) * beta2 + g * g * rest2;
    vfloat p = load_as_part(DTYPE_FLOAT32, call->parameter, i, count) * decay -
               step_size * (m / (vector_sqrt(v) * correction + eps));
    store_as_part(DTYPE_FLOAT32, call->m, i, m, count);
    store_as_part(DTYPE_FLOAT32, call->v, i, v, count);
    store_as_part(DTYPE_FLOAT32, call->parameter, i, p, count);
  }
}

// See struct momentum in kernels/ops.h; rest1 is its share1, step_size = lr * lr_scale.
static void momentum_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct optimizer_call *call = argument;
  vfloat factor = splat(call->gradient_factor), beta1 = splat(call->beta1), beta2 = splat(call->beta2);
  vfloat share1 = splat(call->rest1), rest2 = splat(call->rest2), step_size = splat(call->step_size);
  vfloat decay = splat(call->decay_factor), zero = splat(0), one = splat(1);
  for (int64_t i = begin; i < end; i += LANES) {
    int64_t count = end - i;
    vfloat g = load_as_part(DTYPE_FLOAT32, call->gradient, i, count) * factor;
    vfloat m = call->m ? load_as_part(DTYPE_FLOAT32, call->m, i, count) : zero;
    vfloat mixed = m * beta1 + g * share1, direction = mixed;
    if (call->sign) {
      direction = select_lanes(mixed > zero, one, select_lanes(mixed < zero, -one, zero));
      m = m * beta2 + g * rest2;
    } else {
      if (call->nesterov) direction = mixed * beta1 + g * share1;
      m = mixed;
    }
    if (call->m) store_as_part(DTYPE_FLOAT32, call->m, i, m, count);
    if (!call->parameter) {
      store_as_part(DTYPE_FLOAT32, call->direction, i, direction, count);
      continue;
    }
    vfloat p = load_as_part(DTYPE_FLOAT32, call->parameter, i, count) * decay - step_size * direction;
    store_as_part(DTYPE_FLOAT32, call->parameter, i, p, count);
  }
}
