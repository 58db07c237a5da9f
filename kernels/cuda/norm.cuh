// RMSNorm with residual add, a warp a row; the gradient of its scale in two passes over the rows, so that its sums have
// a fixed order.
#pragma once
#include "kernels/cuda/portable.cuh"

namespace {

constexpr int NORM_WARPS = 8;
constexpr int NORM_THREADS = NORM_WARPS * WARP_THREADS;
constexpr int SCALE_ROWS = 64;  // rows of a partial sum of d_scale
constexpr int SCALE_THREADS = 128;

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

// With h = x * inverse_rms and g = d_y * scale:  d_x = inverse_rms * (g - h * mean(g h)).
template <class T, int N>
__global__ void __launch_bounds__(NORM_THREADS)
    rmsnorm_backward_kernel(int64_t rows, int64_t width, float inverse_width, device_pointer<const float> residual,
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

// partial [blocks of SCALE_ROWS rows, width] = sums of d_y * x * inverse_rms.
template <class T>
__global__ void __launch_bounds__(SCALE_THREADS)
    rmsnorm_scale_kernel(int64_t rows, int64_t width, device_pointer<const float> residual,
                         device_pointer<const float> inverse_rms, device_pointer<const T> d_y,
                         device_pointer<float> partial) {
  int64_t column = (int64_t)blockIdx.y * SCALE_THREADS + threadIdx.x;
  if (column >= width) return;
  int64_t first = (int64_t)blockIdx.x * SCALE_ROWS, end = first + SCALE_ROWS < rows ? first + SCALE_ROWS : rows;
  float sum = 0;
  for (int64_t row = first; row < end; row++) {
    float x = residual[row * width + column], inverse = inverse_rms[row];
    sum += to_float(d_y[row * width + column]) * (x * inverse);
  }
  partial[blockIdx.x * width + column] = sum;
}
// to [width] += the sum of `count` rows of `from`, in order.
__global__ void __launch_bounds__(SCALE_THREADS)
    add_rows_kernel(int64_t count, int64_t width, device_pointer<const float> from, device_pointer<float> to) {
  int64_t column = (int64_t)blockIdx.x * SCALE_THREADS + threadIdx.x;
  if (column >= width) return;
  float sum = 0;
  for (int64_t i = 0; i < count; i++) sum += from[i * width + column];
  to[column] += sum;
}

}  // namespace
