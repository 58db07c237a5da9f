// The split of a QKV product into heads with rotary positions, and its transpose.
// Shapes: qkv [rows, (heads + 2 kv_heads) * head_dim]; q [sequences, heads, context, head_dim], k and v with kv_heads;
// table [context, head_dim] float32.
#pragma once
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

// One head of one token: (a, b) -> (a cos - b sin, b cos + a sin); `sign` -1 turns the other way.
INLINE void rotate(enum dtype dtype, const void *from, int64_t from_index, void *to, int64_t to_index, int64_t head_dim,
                   const float *cosines, float sign) {
  int64_t half = head_dim / 2;
  const float *sines = cosines + half;
  for (int64_t i = 0; i < half; i += LANES) {
    int64_t count = half - i;
    vfloat a = load_as_part(dtype, from, from_index + i, count);
    vfloat b = load_as_part(dtype, from, from_index + half + i, count);
    vfloat c = load_as_part(DTYPE_FLOAT32, cosines, i, count);
    vfloat s = load_as_part(DTYPE_FLOAT32, sines, i, count) * splat(sign);
    store_as_part(dtype, to, to_index + i, a * c - b * s, count);
    store_as_part(dtype, to, to_index + half + i, b * c + a * s, count);
  }
}

INLINE void qkv_rows(const struct qkv_call *call, enum dtype dtype, bool backward, int64_t begin, int64_t end) {
  const struct attention *shape = &call->shape;
  int64_t dim = shape->head_dim, heads = shape->heads, kv = shape->kv_heads, context = shape->context;
  size_t head_bytes = (size_t)dim * dtype_size(dtype);
  for (int64_t row = begin; row < end; row++) {
    int64_t sequence = row / context, position = row % context, packed = row * (heads + 2 * kv) * dim;
    const float *cosines = call->table + position * dim;
    for (int64_t head = 0; head < heads + kv; head++, packed += dim) {
      bool query = head < heads;
      int64_t split = query ? ((sequence * heads + head) * context + position) * dim
                            : ((sequence * kv + head - heads) * context + position) * dim;
      void *part = query ? call->q : call->k;
      if (backward)
        rotate(dtype, part, split, call->qkv, packed, dim, cosines, -1);
      else
        rotate(dtype, call->qkv, packed, part, split, dim, cosines, 1);
    }
    for (int64_t head = 0; head < kv; head++, packed += dim) {
      char *split = (char *)call->v + (size_t)((sequence * kv + head) * context + position) * head_bytes;
      char *whole = (char *)call->qkv + (size_t)packed * dtype_size(dtype);
      if (backward)
        memcpy(whole, split, head_bytes);
      else
        memcpy(split, whole, head_bytes);
    }
  }
}

static void qkv_forward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct qkv_call *call = argument;
  if (call->shape.dtype == DTYPE_FLOAT32)
    qkv_rows(call, DTYPE_FLOAT32, false, begin, end);
  else
    qkv_rows(call, DTYPE_BFLOAT16, false, begin, end);
}

static void qkv_backward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct qkv_call *call = argument;
  if (call->shape.dtype == DTYPE_FLOAT32)
    qkv_rows(call, DTYPE_FLOAT32, true, begin, end);
  else
    qkv_rows(call, DTYPE_BFLOAT16, true, begin, end);
}
