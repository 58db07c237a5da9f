// The split of a QKV product into heads with rotary positions, and its transpose: a thread per pair of elements that
// turn together, N pairs at a time.
// Shapes: qkv [rows, (heads + 2 kv_heads) * head_dim]; q [sequences, heads, context, head_dim], k and v with kv_heads;
// table [context, head_dim] float32.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/elementwise.cuh"

namespace {

// qkv [rows, (heads + 2 kv_heads) * head_dim] to q, k, v in attention's layout; FORWARD false: the other way.
template <class T, bool FORWARD, int N>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    qkv_kernel(struct attention shape, device_pointer<T> qkv, device_pointer<const float> table, device_pointer<T> q,
               device_pointer<T> k, device_pointer<T> v) {
  int64_t dim = shape.head_dim, half = dim / 2, all_heads = shape.heads + 2 * shape.kv_heads, per_head = half / N;
  int64_t pieces = shape.sequences * shape.context * all_heads * per_head;
  for (int64_t piece = first_piece(); piece < pieces; piece += piece_stride()) {
    int64_t i = piece % per_head * N, head = piece / per_head % all_heads, row = piece / per_head / all_heads;
    int64_t sequence = row / shape.context, position = row % shape.context;
    int64_t packed = (row * all_heads + head) * dim + i;
    bool query = head < shape.heads, turned = head < shape.heads + shape.kv_heads;
    int64_t count = query ? shape.heads : shape.kv_heads;
    int64_t member = query ? head : turned ? head - shape.heads : head - shape.heads - shape.kv_heads;
    int64_t split = ((sequence * count + member) * shape.context + position) * dim + i;
    device_pointer<T> part = query ? q : turned ? k : v;
    device_pointer<const T> from = FORWARD ? qkv : part;
    int64_t at = FORWARD ? packed : split;
    floats<N> a = load_floats<N>(from, at), b = load_floats<N>(from, at + half);
    if (turned) {
      floats<N> cosine = load_floats<N>(table, position * dim + i);
      floats<N> sine = load_floats<N>(table, position * dim + half + i);
#pragma unroll
      for (int j = 0; j < N; j++) {
        float s = FORWARD ? sine.at[j] : -sine.at[j], first = a.at[j];
        a.at[j] = first * cosine.at[j] - b.at[j] * s;
        b.at[j] = b.at[j] * cosine.at[j] + first * s;
      }
    }
    device_pointer<T> to = FORWARD ? part : qkv;
    at = FORWARD ? split : packed;
    store_floats<N>(to, at, a);
    store_floats<N>(to, at + half, b);
  }
}

}  // namespace
