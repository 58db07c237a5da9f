// RMSNorm with residual add, a warp a row. Backward reads everything once: a team of a warp or a block has a row in its
// registers and sums the scale's gradient over its rows; add_rows adds the parts, so that all sums have a fixed order.
// Rows of more than NORM_FUSED_WIDTH, or not in words of 16 bytes, take two passes.
// Shapes: residual, branch, y [rows, width]; scale [width], inverse_rms [rows] float32.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/portable.cuh"

namespace {

constexpr int NORM_WARPS = CUDA_NORM_WARPS;
constexpr int NORM_THREADS = NORM_WARPS * WARP_THREADS;
constexpr int64_t NORM_FUSED_WIDTH = 8192;
constexpr int SCALE_THREADS = 128;
constexpr int ADD_COLUMNS = 32, ADD_GROUPS = 8;

template <class T, int N>
__global__ void __launch_bounds__(NORM_THREADS)
    rmsnorm_forward_kernel(int64_t rows, int64_t width, float eps, device_pointer<const float> residual_in,
                           device_pointer<const T> branch, device_pointer<const float> scale,
                           device_pointer<float> residual_out, device_pointer<T> y, device_pointer<float> inverse_rms) {
  int lane = threadIdx.x % WARP_THREADS;
  int64_t row = (int64_t)blockIdx.x * NORM_WARPS + threadIdx.x / WARP_THREADS;
  if (row >= rows) return;  // a whole warp: no lane waits for it
  float squares = 0;
  for (int64_t i = lane * N; i < width; i += WARP_THREADS * N) {
    floats<N> x = load_floats<N>(residual_in, row * width + i);
    if (branch) {
      floats<N> b = load_floats<N>(branch, row * width + i);
#pragma unroll
      for (int j = 0; j < N; j++) x.at[j] += b.at[j];
    }
    if (residual_out) store_floats<N>(residual_out, row * width + i, x);
#pragma unroll
    for (int j = 0; j < N; j++) squares += x.at[j] * x.at[j];
  }
  float inverse = 1.0f / sqrtf(warp_sum(squares) / (float)width + eps);
  if (lane == 0) inverse_rms[row] = inverse;
  // A lane reads again what it wrote itself.
  device_pointer<const float> sum = residual_out ? device_pointer<const float>(residual_out) : residual_in;
  for (int64_t i = lane * N; i < width; i += WARP_THREADS * N) {
    floats<N> x = load_floats<N>(sum, row * width + i), s = load_floats<N>(scale, i);
#pragma unroll
    for (int j = 0; j < N; j++) x.at[j] = x.at[j] * inverse * s.at[j];
    store_floats<N>(y, row * width + i, x);
  }
}

// With h = x * inverse_rms and g = d_y * scale:  d_x = inverse_rms * (g - h * mean(g h)),  d_scale = sum of d_y * h.
// A block has part_rows rows. Its teams of TEAM threads take them in turn; a thread has ELEMENTS of a row, in pieces of
// N that are TEAM pieces apart.
template <int TEAM>
size_t norm_shared_bytes(int64_t width) {
  return TEAM < NORM_THREADS ? (size_t)(NORM_THREADS / TEAM) * (size_t)width * sizeof(float) : 0;
}

template <class T, int N, int TEAM, int ELEMENTS>
__global__ void __launch_bounds__(NORM_THREADS)
    rmsnorm_backward_kernel(int64_t rows, int64_t width, int64_t part_rows, float inverse_width,
                            device_pointer<const float> residual, device_pointer<const float> inverse_rms,
                            device_pointer<const float> scale, device_pointer<const T> d_y,
                            device_pointer<const float> d_residual_out, device_pointer<float> d_residual_in,
                            device_pointer<T> d_branch, device_pointer<float> partial) {
  constexpr int PIECES = ELEMENTS / N, TEAMS = NORM_THREADS / TEAM;
  int team = threadIdx.x / TEAM, member = threadIdx.x % TEAM;
  int64_t first = (int64_t)blockIdx.x * part_rows, end = first + part_rows < rows ? first + part_rows : rows;
  floats<N> sums[PIECES] = {};
  for (int64_t row = first + team; row < end; row += TEAMS) {
    floats<N> x[PIECES], d[PIECES];
    float inverse = inverse_rms[row], dot = 0;
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
      int64_t i = (int64_t)(p * TEAM + member) * N;
      if (i >= width) break;
      x[p] = load_floats<N>(residual, row * width + i);
      d[p] = load_floats<N>(d_y, row * width + i);
      floats<N> s = load_floats<N>(scale, i);
#pragma unroll
      for (int j = 0; j < N; j++) {
        x[p].at[j] *= inverse;
        sums[p].at[j] += d[p].at[j] * x[p].at[j];
        d[p].at[j] *= s.at[j];
        dot += d[p].at[j] * x[p].at[j];
      }
    }
    if constexpr (TEAM == WARP_THREADS)
      dot = warp_sum(dot);
    else
      dot = block_sum<float, NORM_THREADS, 0>(dot);
    float mean = dot * inverse_width;
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
      int64_t i = (int64_t)(p * TEAM + member) * N;
      if (i >= width) break;
#pragma unroll
      for (int j = 0; j < N; j++) d[p].at[j] = (d[p].at[j] - x[p].at[j] * mean) * inverse;
      if (d_residual_out) {
        floats<N> above = load_floats<N>(d_residual_out, row * width + i);
#pragma unroll
        for (int j = 0; j < N; j++) d[p].at[j] += above.at[j];
      }
      store_floats<N>(d_residual_in, row * width + i, d[p]);
      if (d_branch) store_floats<N>(d_branch, row * width + i, d[p]);
    }
  }
  // The block's teams in order.
  if constexpr (TEAMS > 1) {
    shared_pointer<float> of_teams = shared_memory<float>(0, (size_t)(TEAMS * width));
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
      for (int j = 0; j < N; j++) {
        int64_t i = (int64_t)(p * TEAM + member) * N + j;
        if (i < width) of_teams[team * width + i] = sums[p].at[j];
      }
    __syncthreads();
    for (int64_t i = threadIdx.x; i < width; i += NORM_THREADS) {
      float sum = 0;
      for (int t = 0; t < TEAMS; t++) sum += of_teams[t * width + i];
      partial[blockIdx.x * width + i] = sum;
    }
  } else {
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
      int64_t i = (int64_t)(p * TEAM + member) * N;
      if (i < width) store_floats<N>(partial, blockIdx.x * width + i, sums[p]);
    }
  }
}

// The same for other rows, without the scale's gradient: a warp a row, read twice.
template <class T, int N>
__global__ void __launch_bounds__(NORM_THREADS)
    rmsnorm_backward_wide_kernel(int64_t rows, int64_t width, float inverse_width, device_pointer<const float> residual,
                                 device_pointer<const float> inverse_rms, device_pointer<const float> scale,
                                 device_pointer<const T> d_y, device_pointer<const float> d_residual_out,
                                 device_pointer<float> d_residual_in, device_pointer<T> d_branch) {
  int lane = threadIdx.x % WARP_THREADS;
  int64_t row = (int64_t)blockIdx.x * NORM_WARPS + threadIdx.x / WARP_THREADS;
  if (row >= rows) return;
  float inverse = inverse_rms[row], dot = 0;
  for (int64_t i = lane * N; i < width; i += WARP_THREADS * N) {
    floats<N> x = load_floats<N>(residual, row * width + i), d = load_floats<N>(d_y, row * width + i);
    floats<N> s = load_floats<N>(scale, i);
#pragma unroll
    for (int j = 0; j < N; j++) dot += d.at[j] * s.at[j] * (x.at[j] * inverse);
  }
  float mean = warp_sum(dot) * inverse_width * inverse;  // times x it is h * mean(g h)
#pragma unroll 1  // one piece at a time: more of them spill registers on some architectures
  for (int64_t i = lane * N; i < width; i += WARP_THREADS * N) {
    floats<N> x = load_floats<N>(residual, row * width + i), d = load_floats<N>(d_y, row * width + i);
    floats<N> s = load_floats<N>(scale, i);
#pragma unroll
    for (int j = 0; j < N; j++) d.at[j] = (d.at[j] * s.at[j] - x.at[j] * mean) * inverse;
    if (d_residual_out) {
      floats<N> above = load_floats<N>(d_residual_out, row * width + i);
#pragma unroll
      for (int j = 0; j < N; j++) d.at[j] += above.at[j];
    }
    store_floats<N>(d_residual_in, row * width + i, d);
    if (d_branch) store_floats<N>(d_branch, row * width + i, d);
  }
}

// partial [blocks of part_rows rows, width] = sums of d_y * x * inverse_rms.
template <class T>
__global__ void __launch_bounds__(SCALE_THREADS)
    rmsnorm_scale_kernel(int64_t rows, int64_t width, int64_t part_rows, device_pointer<const float> residual,
                         device_pointer<const float> inverse_rms, device_pointer<const T> d_y,
                         device_pointer<float> partial) {
  int64_t column = (int64_t)blockIdx.y * SCALE_THREADS + threadIdx.x;
  if (column >= width) return;
  int64_t first = (int64_t)blockIdx.x * part_rows, end = first + part_rows < rows ? first + part_rows : rows;
  float sum = 0;
  for (int64_t row = first; row < end; row++) {
    float x = residual[row * width + column], inverse = inverse_rms[row];
    sum += to_float(d_y[row * width + column]) * (x * inverse);
  }
  partial[blockIdx.x * width + column] = sum;
}

// to [width] += the sum of `count` rows of `from`: every ADD_GROUPS-th row in order, then these sums in order.
__global__ void __launch_bounds__(ADD_COLUMNS *ADD_GROUPS)
    add_rows_kernel(int64_t count, int64_t width, device_pointer<const float> from, device_pointer<float> to) {
  int group = threadIdx.x / ADD_COLUMNS, member = threadIdx.x % ADD_COLUMNS;
  int64_t column = (int64_t)blockIdx.x * ADD_COLUMNS + member;
  shared_pointer<float> sums = shared_array<float, ADD_COLUMNS * ADD_GROUPS, 0>();
  float sum = 0;
  if (column < width)
    for (int64_t i = group; i < count; i += ADD_GROUPS) sum += from[i * width + column];
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (group != 0 || column >= width) return;
  for (int g = 1; g < ADD_GROUPS; g++) sum += sums[g * ADD_COLUMNS + member];
  to[column] += sum;
}

}  // namespace
