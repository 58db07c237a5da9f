// Attention: from ops to launches, and which kernels take which shapes.
#pragma once
#include "kernels/cuda/attention_mma.cuh"
#include "kernels/cuda/device.cuh"

namespace {

// Whether the tensor cores' kernels take it: bfloat16, whole words of 16 bytes, no more padding than tile.
template <class... Pointers>
bool attention_on_tensor_cores(const struct attention *s, Pointers... pointers) {
  return s->dtype == DTYPE_BFLOAT16 && s->head_dim >= 16 && wide(8, s->head_dim, pointers...);
}

// Calls `body` with the constant of the head dimension, rounded up to one there are kernels for.
template <class Body>
void with_mma_dim(const struct attention *shape, Body body) {
  if (shape->head_dim <= 16)
    body(std::integral_constant<int, 16>());
  else if (shape->head_dim <= 32)
    body(std::integral_constant<int, 32>());
  else if (shape->head_dim <= 64)
    body(std::integral_constant<int, 64>());
  else
    body(std::integral_constant<int, CUDA_HEAD_DIM_LIMIT>());
}

// The same for the plain kernels, with the dtype's type.
template <class Body>
void with_plain_dim(const struct attention *shape, Body body) {
  with_dtype(shape->dtype, [&](auto element) {
    if (shape->head_dim <= 64)
      body(element, std::integral_constant<int, 64>());
    else
      body(element, std::integral_constant<int, CUDA_HEAD_DIM_LIMIT>());
  });
}

// A block a tile of rows and head.
template <class... P, class... A>
void run_tiles(struct device *device, void (*kernel)(P...), const char *name, const struct attention *s, int64_t items,
               int threads, int rows, size_t shared_bytes, A... arguments) {
  dim3 grid((unsigned)ceil_div(s->context, rows), (unsigned)items);
  want_shared_memory(device, kernel, shared_bytes);
  run(device, kernel, {name, grid, (unsigned)threads, shared_bytes}, *s, 1.0f / sqrtf((float)s->head_dim),
      arguments...);
}

void plain_forward(struct device *device, const struct attention *s, struct attention_cache cache, const void *q,
                   const void *k, const void *v, void *o, float *log_sum) {
  int64_t rows = s->sequences * s->context, queries = rows * s->heads * s->head_dim;
  int64_t keys = s->sequences * s->kv_heads * cache.capacity * s->head_dim;
  with_plain_dim(s, [&](auto element, auto dim) {
    using T = decltype(element);
    run_tiles(device, attention_forward_kernel<T, decltype(dim)::value>, "attention_forward", s,
              s->sequences * s->heads, TILE_THREADS, TILE_ROWS, attention_shared_bytes(s->head_dim, 3, 1), cache,
              view((const T *)q, queries), view((const T *)k, keys), view((const T *)v, keys), view((T *)o, queries),
              view(log_sum, rows * s->heads));
  });
}

void attention_forward(struct device *device, const struct attention *s, const void *q, const void *k, const void *v,
                       void *o, float *log_sum) {
  int64_t rows = s->sequences * s->context, queries = rows * s->heads * s->head_dim;
  int64_t keys = rows * s->kv_heads * s->head_dim, items = s->sequences * s->heads;
  if (attention_on_tensor_cores(s, q, k, v, o))
    return with_mma_dim(s, [&](auto dim) {
      using T = bfloat16;
      constexpr int DIM = decltype(dim)::value;
      run_tiles(device, attention_mma_forward_kernel<DIM>, "attention_mma_forward", s, items, MMA_THREADS, MMA_ROWS,
                mma_forward_bytes<DIM>(), view((const T *)q, queries), view((const T *)k, keys),
                view((const T *)v, keys), view((T *)o, queries), view(log_sum, rows * s->heads));
    });
  struct attention_cache within = {s->context, s->context, false, false};
  plain_forward(device, s, within, q, k, v, o, log_sum);
}

// By the plain kernels, whatever the type: products in float32.
void attention_cached(struct device *device, const struct attention *s, const struct attention_cache *cache,
                      const void *q, const void *k, const void *v, void *o, float *log_sum) {
  plain_forward(device, s, *cache, q, k, v, o, log_sum);
}

// Arguments of a backward pass as views.
template <class T>
struct attention_views {
  device_pointer<const T> q, k, v, o, d_o;
  device_pointer<const float> log_sum;
  device_pointer<float> dots;
  device_pointer<T> d_q, d_k, d_v;
  device_pointer<const float> read_dots() const { return dots; }
};

template <class T, int DIM>
void plain_backward(struct device *device, const struct attention *s, const attention_views<T> &x) {
  launch_shape shape = {"attention_dots",
                        (unsigned)ceil_div(s->sequences * s->context * s->heads, TILE_THREADS / WARP_THREADS),
                        TILE_THREADS, 0};
  run(device, attention_dots_kernel<T>, shape, *s, x.o, x.d_o, x.dots);
  run_tiles(device, attention_query_gradient_kernel<T, DIM>, "attention_query_gradient", s, s->sequences * s->heads,
            TILE_THREADS, TILE_ROWS, attention_shared_bytes(s->head_dim, 3, 1), x.q, x.k, x.v, x.d_o, x.log_sum,
            x.read_dots(), x.d_q);
  run_tiles(device, attention_key_gradient_kernel<T, DIM>, "attention_key_gradient", s, s->sequences * s->kv_heads,
            TILE_THREADS, TILE_ROWS, attention_shared_bytes(s->head_dim, 2, 1), x.q, x.k, x.v, x.d_o, x.log_sum,
            x.read_dots(), x.d_k, x.d_v);
}

template <int DIM>
void mma_backward(struct device *device, const struct attention *s, const attention_views<bfloat16> &x) {
  launch_shape shape = {"attention_mma_dots",
                        (unsigned)ceil_div(s->sequences * s->context * s->heads, MMA_THREADS / DOT_LANES), MMA_THREADS,
                        0};
  run(device, attention_mma_dots_kernel, shape, *s, x.o, x.d_o, x.dots);
  run_tiles(device, attention_mma_query_gradient_kernel<DIM>, "attention_mma_query_gradient", s,
            s->sequences * s->heads, MMA_THREADS, MMA_ROWS, mma_query_gradient_bytes<DIM>(), x.q, x.k, x.v, x.d_o,
            x.log_sum, x.read_dots(), x.d_q);
  run_tiles(device, attention_mma_key_gradient_kernel<DIM>, "attention_mma_key_gradient", s, s->sequences * s->kv_heads,
            MMA_THREADS, MMA_ROWS, mma_key_gradient_bytes<DIM>(), x.q, x.k, x.v, x.d_o, x.log_sum, x.read_dots(), x.d_k,
            x.d_v);
}

void attention_backward(struct device *device, const struct attention *s, const void *q, const void *k, const void *v,
                        const void *o, const float *log_sum, const void *d_o, void *d_q, void *d_k, void *d_v) {
  int64_t rows = s->sequences * s->context, queries = rows * s->heads * s->head_dim;
  int64_t keys = rows * s->kv_heads * s->head_dim, statistics = rows * s->heads;
  float *dots = (float *)scratch(device, cuda_attention_scratch_bytes(rows, s->heads), "attention's backward pass");
  if (!dots) return;
  auto views = [&](auto element) {
    using T = decltype(element);
    return attention_views<T>{view((const T *)q, queries), view((const T *)k, keys),      view((const T *)v, keys),
                              view((const T *)o, queries), view((const T *)d_o, queries), view(log_sum, statistics),
                              view(dots, statistics),      view((T *)d_q, queries),       view((T *)d_k, keys),
                              view((T *)d_v, keys)};
  };
  if (attention_on_tensor_cores(s, q, k, v, o, d_o, d_q, d_k, d_v))
    return with_mma_dim(s, [&](auto dim) { mma_backward<decltype(dim)::value>(device, s, views(bfloat16{})); });
  with_plain_dim(s, [&](auto element, auto dim) {
    plain_backward<decltype(element), decltype(dim)::value>(device, s, views(element));
  });
}

}  // namespace
