// The parts of a transformer block around its matrix products and attention: from ops to launches.
#pragma once
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/embedding_gradient.cuh"
#include "kernels/cuda/norm.cuh"
#include "kernels/cuda/rope.cuh"

namespace {

// ---- embedding ----
void check_ids(struct device *device, int64_t count, const int32_t *ids, int64_t limit, id_kind what) {
  run(device, check_ids_kernel, {"check_ids", 1, ID_THREADS, 0}, count, view(ids, count), limit, (int)what,
      view(device->bad, 1));
}

void embedding_forward(struct device *device, int64_t rows, int64_t width, int64_t vocabulary, const int32_t *tokens,
                       const float *table, float *residual) {
  check_ids(device, rows, tokens, vocabulary, ID_TOKEN);
  launch_shape shape = {"embedding_forward", (unsigned)rows, EMBEDDING_THREADS, 0};
  run(device, wide(4, width, table, residual) ? embedding_forward_kernel<4> : embedding_forward_kernel<1>, shape, width,
      vocabulary, view(tokens, rows), view(table, vocabulary * width), view(residual, rows * width));
}

void embedding_backward(struct device *device, int64_t rows, int64_t width, int64_t vocabulary, const int32_t *tokens,
                        const float *d_residual, float *d_table) {
  check_ids(device, rows, tokens, vocabulary, ID_TOKEN);
  struct cuda_sort_scratch at = cuda_sort_scratch(rows, width);
  char *memory = scratch(device, at.end, "the embedding's backward pass");
  if (!memory) return;
  int32_t *counts = (int32_t *)(memory + at.counts), *order = nullptr;
  unsigned blocks = (unsigned)ceil_div(rows, SORT_THREADS);
  int64_t entries = (int64_t)blocks * SORT_DIGITS;
  int turn = 0;
  for (int shift = 0; (vocabulary - 1) >> shift > 0; shift += SORT_BITS, turn ^= 1) {
    int32_t *to = (int32_t *)(memory + at.orders[turn]);
    run(device, sort_count_kernel, {"sort_count", blocks, SORT_THREADS, 0}, rows, vocabulary, shift, view(tokens, rows),
        view((const int32_t *)order, rows), view(counts, entries));
    run(device, sort_scan_kernel, {"sort_scan", 1, SCAN_THREADS, 0}, entries, view(counts, entries));
    run(device, sort_move_kernel, {"sort_move", blocks, SORT_THREADS, 0}, rows, vocabulary, shift, view(tokens, rows),
        view((const int32_t *)order, rows), view((const int32_t *)counts, entries), view(to, rows));
    order = to;
  }
  dim3 grid((unsigned)ceil_div(rows, SEGMENT_ROWS), (unsigned)ceil_div(width, EMBEDDING_THREADS));
  float *parts = (float *)(memory + at.parts);
  int64_t numbers = (int64_t)grid.x * PARTS * width;
  run(device, embedding_segments_kernel, {"embedding_segments", grid, EMBEDDING_THREADS, 0}, rows, width, vocabulary,
      view(tokens, rows), view((const int32_t *)order, rows), view(d_residual, rows * width),
      view(d_table, vocabulary * width), view(parts, numbers));
  run(device, embedding_join_kernel, {"embedding_join", grid, EMBEDDING_THREADS, 0}, rows, width, vocabulary,
      view(tokens, rows), view((const int32_t *)order, rows), view((const float *)parts, numbers),
      view(d_table, vocabulary * width));
}

// ---- RMSNorm ----
void rmsnorm_forward(struct device *device, int64_t rows, int64_t width, float eps, enum dtype dtype,
                     const float *residual_in, const void *branch, const float *scale, float *residual_out, void *y,
                     float *inverse_rms) {
  launch_shape shape = {"rmsnorm_forward", (unsigned)ceil_div(rows, NORM_WARPS), NORM_THREADS, 0};
  with_dtype(dtype, [&](auto element) {
    using T = decltype(element);
    constexpr int N = WORD_ELEMENTS<T>;
    auto kernel = wide(N, width, residual_in, branch, scale, residual_out, y) ? rmsnorm_forward_kernel<T, N>
                                                                              : rmsnorm_forward_kernel<T, 1>;
    run(device, kernel, shape, rows, width, eps, view(residual_in, rows * width), view((const T *)branch, rows * width),
        view(scale, width), view(residual_out, rows * width), view((T *)y, rows * width), view(inverse_rms, rows));
  });
}

// Calls `body` with the lanes of a team and the elements that a lane keeps, for rows of this width.
template <class Body>
void with_norm_team(int64_t width, Body body) {
  if (width <= 256)
    body(std::integral_constant<int, WARP_THREADS>(), std::integral_constant<int, 8>());
  else if (width <= 1024)
    body(std::integral_constant<int, WARP_THREADS>(), std::integral_constant<int, 32>());
  else if (width <= 2048)
    body(std::integral_constant<int, NORM_THREADS>(), std::integral_constant<int, 8>());
  else
    body(std::integral_constant<int, NORM_THREADS>(), std::integral_constant<int, 32>());
}

void rmsnorm_backward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const float *residual,
                      const float *inverse_rms, const float *scale, const void *d_y, const float *d_residual_out,
                      float *d_residual_in, void *d_branch, float *d_scale) {
  float *partial = (float *)scratch(device, cuda_norm_scratch_bytes(rows, width), "RMSNorm's backward pass");
  if (!partial) return;
  int64_t part_rows = cuda_norm_part_rows(rows), parts = ceil_div(rows, part_rows);
  with_dtype(dtype, [&](auto element) {
    using T = decltype(element);
    constexpr int N = WORD_ELEMENTS<T>;
    bool words = wide(N, width, residual, scale, d_y, d_residual_out, d_residual_in, d_branch);
    if (words && width <= NORM_FUSED_WIDTH) {
      launch_shape shape = {"rmsnorm_backward", (unsigned)parts, NORM_THREADS, 0};
      with_norm_team(width, [&](auto team, auto elements) {
        constexpr int TEAM = decltype(team)::value, ELEMENTS = decltype(elements)::value;
        shape.shared_bytes = norm_shared_bytes<TEAM>(width);
        run(device, rmsnorm_backward_kernel<T, N, TEAM, ELEMENTS>, shape, rows, width, part_rows, 1.0f / (float)width,
            view(residual, rows * width), view(inverse_rms, rows), view(scale, width),
            view((const T *)d_y, rows * width), view(d_residual_out, rows * width), view(d_residual_in, rows * width),
            view((T *)d_branch, rows * width), view(partial, parts * width));
      });
      return;
    }
    dim3 grid((unsigned)parts, (unsigned)ceil_div(width, SCALE_THREADS));
    run(device, rmsnorm_scale_kernel<T>, {"rmsnorm_scale", grid, SCALE_THREADS, 0}, rows, width, part_rows,
        view(residual, rows * width), view(inverse_rms, rows), view((const T *)d_y, rows * width),
        view(partial, parts * width));
    launch_shape shape = {"rmsnorm_backward", (unsigned)ceil_div(rows, NORM_WARPS), NORM_THREADS, 0};
    run(device, words ? rmsnorm_backward_wide_kernel<T, N> : rmsnorm_backward_wide_kernel<T, 1>, shape, rows, width,
        1.0f / (float)width, view(residual, rows * width), view(inverse_rms, rows), view(scale, width),
        view((const T *)d_y, rows * width), view(d_residual_out, rows * width), view(d_residual_in, rows * width),
        view((T *)d_branch, rows * width));
  });
  run(device, add_rows_kernel, {"add_rows", (unsigned)ceil_div(width, ADD_COLUMNS), ADD_COLUMNS * ADD_GROUPS, 0}, parts,
      width, view((const float *)partial, parts * width), view(d_scale, width));
}

// ---- rotary positions ----
// Made on the host in double precision, once a run: the table is the CPU backend's to the last bit.
void rope_table(struct device *device, int64_t context, int64_t head_dim, double theta, float *table) {
  float *values = (float *)memory_get((size_t)(context * head_dim) * sizeof *values);
  for (int64_t position = 0; position < context; position++)
    for (int64_t i = 0; i < head_dim / 2; i++) {
      double angle = (double)position * pow(theta, -2.0 * (double)i / (double)head_dim);
      values[position * head_dim + i] = (float)cos(angle);
      values[position * head_dim + head_dim / 2 + i] = (float)sin(angle);
    }
  if (going(device))
    check(device,
          cudaMemcpyAsync(table, values, (size_t)(context * head_dim) * sizeof *values, cudaMemcpyHostToDevice,
                          device->stream),
          "upload");
  if (going(device)) check(device, cudaStreamSynchronize(device->stream), "upload");
  std::free(values);
}

template <bool FORWARD>
void run_qkv(struct device *device, const struct attention *s, void *qkv, const float *table, void *q, void *k,
             void *v) {
  int64_t rows = s->sequences * s->context, heads = s->heads + 2 * s->kv_heads, dim = s->head_dim;
  with_dtype(s->dtype, [&](auto element) {
    using T = decltype(element);
    constexpr int N = WORD_ELEMENTS<T>;
    bool words = wide(N, dim / 2, qkv, table, q, k, v);
    launch_shape shape = {FORWARD ? "qkv_forward" : "qkv_backward",
                          element_blocks(rows * heads * dim / 2 / (words ? N : 1)), ELEMENT_THREADS, 0};
    run(device, words ? qkv_kernel<T, FORWARD, N> : qkv_kernel<T, FORWARD, 1>, shape, *s,
        view((T *)qkv, rows * heads * dim), view(table, s->context * dim), view((T *)q, rows * s->heads * dim),
        view((T *)k, rows * s->kv_heads * dim), view((T *)v, rows * s->kv_heads * dim));
  });
}

// The kernel is one code for both directions, each of which only reads the one side.
void qkv_forward(struct device *device, const struct attention *shape, const void *qkv, const float *table, void *q,
                 void *k, void *v) {
  run_qkv<true>(device, shape, const_cast<void *>(qkv), table, q, k, v);
}

void qkv_backward(struct device *device, const struct attention *shape, const void *d_q, const void *d_k,
                  const void *d_v, const float *table, void *d_qkv) {
  run_qkv<false>(device, shape, d_qkv, table, const_cast<void *>(d_q), const_cast<void *>(d_k),
                 const_cast<void *>(d_v));
}

// ---- SwiGLU ----
void swiglu_forward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                    void *y) {
  with_dtype(dtype, [&](auto element) {
    using T = decltype(element);
    constexpr int N = WORD_ELEMENTS<T>;
    bool words = wide(N, width, gate_up, y);
    launch_shape shape = {"swiglu_forward", element_blocks(rows * width / (words ? N : 1)), ELEMENT_THREADS, 0};
    run(device, words ? swiglu_forward_kernel<T, N> : swiglu_forward_kernel<T, 1>, shape, rows, width,
        view((const T *)gate_up, rows * 2 * width), view((T *)y, rows * width));
  });
}

void swiglu_backward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                     const void *d_y, void *d_gate_up, void *y) {
  with_dtype(dtype, [&](auto element) {
    using T = decltype(element);
    constexpr int N = WORD_ELEMENTS<T>;
    bool words = wide(N, width, gate_up, d_y, d_gate_up, y);
    launch_shape shape = {"swiglu_backward", element_blocks(rows * width / (words ? N : 1)), ELEMENT_THREADS, 0};
    run(device, words ? swiglu_backward_kernel<T, N> : swiglu_backward_kernel<T, 1>, shape, rows, width,
        view((const T *)gate_up, rows * 2 * width), view((const T *)d_y, rows * width),
        view((T *)d_gate_up, rows * 2 * width), view((T *)y, rows * width));
  });
}

}  // namespace
