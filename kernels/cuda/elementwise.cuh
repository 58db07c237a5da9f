// Passes over elements: conversion, constants, normals, SwiGLU. `N` elements a thread at a time where their addresses
// allow wide accesses, one elsewhere.
// Shapes: elements [count]; SwiGLU: gate_up [rows, 2 * width], y [rows, width].
#pragma once
#include "kernels/cuda/portable.cuh"

namespace {

constexpr int ELEMENT_THREADS = 256;

// Blocks that give every thread one piece; pieces beyond the grid's limit go round again.
inline dim3 element_blocks(int64_t pieces) {
  int64_t blocks = ceil_div(pieces, ELEMENT_THREADS);
  return dim3((unsigned)(blocks < 65536 * 16 ? (blocks ? blocks : 1) : 65536 * 16));
}

__device__ __forceinline__ int64_t first_piece() { return (int64_t)blockIdx.x * ELEMENT_THREADS + threadIdx.x; }
__device__ __forceinline__ int64_t piece_stride() { return (int64_t)gridDim.x * ELEMENT_THREADS; }

template <class From, class To, int N>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    convert_kernel(int64_t pieces, device_pointer<const From> from, device_pointer<To> to) {
  for (int64_t piece = first_piece(); piece < pieces; piece += piece_stride())
    store_floats<N>(to, piece * N, load_floats<N>(from, piece * N));
}

__global__ void __launch_bounds__(ELEMENT_THREADS)
    fill_constant_kernel(int64_t count, device_pointer<float> data, float value) {
  for (int64_t i = first_piece(); i < count; i += piece_stride()) data[i] = value;
}

// Philox4x32-10 (Salmon et al. 2011) and the draws made of it, as base/philox.h defines them.
__device__ __forceinline__ void philox_words(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index,
                                             uint32_t out[4]) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = (uint32_t)step;
  uint32_t c3 = (uint32_t)(step >> 32) << 24 | (stream & 0xFFFFFFu);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    uint32_t n0 = __umulhi(0xCD9E8D57u, c2) ^ c1 ^ k0, n2 = __umulhi(0xD2511F53u, c0) ^ c3 ^ k1;
    c1 = 0xCD9E8D57u * c2;
    c3 = 0xD2511F53u * c0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

__global__ void __launch_bounds__(ELEMENT_THREADS)
    fill_normal_kernel(int64_t count, device_pointer<float> data, double std, uint64_t seed, uint32_t stream,
                       uint32_t tensor) {
  for (int64_t pair = first_piece(); pair < (count + 1) / 2; pair += piece_stride()) {
    uint32_t w[4];
    philox_words(seed, stream, tensor, (uint64_t)pair, w);
    double u = ((double)(((uint64_t)w[0] << 32 | w[1]) >> 11) + 0.5) * 0x1p-53;
    double v = (double)(((uint64_t)w[2] << 32 | w[3]) >> 11) * 0x1p-53;
    double radius = sqrt(-2 * log(u)), angle = 6.283185307179586476925 * v;
    data[2 * pair] = (float)(std * (radius * cos(angle)));
    if (2 * pair + 1 < count) data[2 * pair + 1] = (float)(std * (radius * sin(angle)));
  }
}

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// gate_up [rows, 2 width], y [rows, width]; pieces are of a row's width.
template <class T, int N>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    swiglu_forward_kernel(int64_t rows, int64_t width, device_pointer<const T> gate_up, device_pointer<T> y) {
  int64_t per_row = width / N;
  for (int64_t piece = first_piece(); piece < rows * per_row; piece += piece_stride()) {
    int64_t row = piece / per_row, i = piece % per_row * N;
    floats<N> gate = load_floats<N>(gate_up, row * 2 * width + i);
    floats<N> up = load_floats<N>(gate_up, row * 2 * width + width + i);
#pragma unroll
    for (int j = 0; j < N; j++) up.at[j] *= gate.at[j] * sigmoid(gate.at[j]);
    store_floats<N>(y, row * width + i, up);
  }
}

// dy/du = g s,  dy/dg = u s (1 + g (1 - s)). d_gate_up may be gate_up, y may be d_y or nothing.
template <class T, int N>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    swiglu_backward_kernel(int64_t rows, int64_t width, device_pointer<const T> gate_up, device_pointer<const T> d_y,
                           device_pointer<T> d_gate_up, device_pointer<T> y) {
  int64_t per_row = width / N;
  for (int64_t piece = first_piece(); piece < rows * per_row; piece += piece_stride()) {
    int64_t row = piece / per_row, i = piece % per_row * N;
    floats<N> gate = load_floats<N>(gate_up, row * 2 * width + i);
    floats<N> up = load_floats<N>(gate_up, row * 2 * width + width + i);
    floats<N> d = load_floats<N>(d_y, row * width + i), result;
#pragma unroll
    for (int j = 0; j < N; j++) {
      float s = sigmoid(gate.at[j]), silu = gate.at[j] * s;
      result.at[j] = silu * up.at[j];
      gate.at[j] = d.at[j] * up.at[j] * (s + silu * (1.0f - s));
      up.at[j] = d.at[j] * silu;
    }
    if (y) store_floats<N>(y, row * width + i, result);
    store_floats<N>(d_gate_up, row * 2 * width + i, gate);
    store_floats<N>(d_gate_up, row * 2 * width + width + i, up);
  }
}

}  // namespace
