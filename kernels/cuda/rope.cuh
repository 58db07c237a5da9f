// The split of a QKV product into heads with rotary positions, and its transpose: a thread per pair of elements that
// turn together.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/elementwise.cuh"

namespace {

// qkv [rows, (heads + 2 kv_heads) * head_dim] to q, k, v in attention's layout; FORWARD false: the other way.
template <class T, bool FORWARD>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    qkv_kernel(struct attention shape, device_pointer<T> qkv, device_pointer<const float> table, device_pointer<T> q,
               device_pointer<T> k, device_pointer<T> v) {
  int64_t dim = shape.head_dim, half = dim / 2, all_heads = shape.heads + 2 * shape.kv_heads;
  int64_t pairs = shape.sequences * shape.context * all_heads * half;
  for (int64_t pair = first_piece(); pair < pairs; pair += piece_stride()) {
    int64_t i = pair % half, head = pair / half % all_heads, row = pair / half / all_heads;
    int64_t sequence = row / shape.context, position = row % shape.context;
    int64_t packed = (row * all_heads + head) * dim + i;
    bool query = head < shape.heads, turned = head < shape.heads + shape.kv_heads;
    int64_t count = query ? shape.heads : shape.kv_heads;
    int64_t member = query ? head : turned ? head - shape.heads : head - shape.heads - shape.kv_heads;
    int64_t split = ((sequence * count + member) * shape.context + position) * dim + i;
    device_pointer<T> part = query ? q : turned ? k : v;
    float cosine = 1, sine = 0;
    if (turned) {
      cosine = table[position * dim + i];
      sine = table[position * dim + half + i];
    }
    if constexpr (FORWARD) {
      float a = to_float((T)qkv[packed]), b = to_float((T)qkv[packed + half]);
      part[split] = from_float<T>(a * cosine - b * sine);
      part[split + half] = from_float<T>(b * cosine + a * sine);
    } else {
      float a = to_float((T)part[split]), b = to_float((T)part[split + half]);
      qkv[packed] = from_float<T>(a * cosine + b * sine);
      qkv[packed + half] = from_float<T>(b * cosine - a * sine);
    }
  }
}

}  // namespace
