// Cross-entropy of rows of float32 logits with its gradient: a block a row, two passes over it (maximum and sum,
// gradient), of which the second finds it in L2 for the tiles that head.cuh makes.
// Shapes: logits [rows, vocabulary], targets, mask and row_nats [rows].
#pragma once
#include "kernels/cuda/device.cuh"

namespace {

constexpr int LOSS_THREADS = 256;

// nats [rows] = -ln softmax(logits)[target], 0 on masked rows. GRADIENT: d_logits = (softmax - onehot) *
// gradient_scale, 0 on masked rows; for float32 it may be the logits themselves.
template <class T, bool GRADIENT, int N>
__global__ void __launch_bounds__(LOSS_THREADS)
    cross_entropy_kernel(int64_t vocabulary, device_pointer<const float> scale, device_pointer<const float> logits,
                         device_pointer<const int32_t> targets, device_pointer<const uint8_t> mask,
                         device_pointer<double> nats, device_pointer<T> d_logits) {
  int64_t row = blockIdx.x, first = row * vocabulary;
  if (mask && !mask[row]) {
    if (threadIdx.x == 0) nats[row] = 0;
    if constexpr (GRADIENT)
      for (int64_t i = threadIdx.x * N; i < vocabulary; i += LOSS_THREADS * N)
        store_floats<N>(d_logits, first + i, floats<N>{});
    return;
  }
  int32_t target = safe_id(targets[row], vocabulary);
  float target_logit = logits[first + target];
  // Each thread's maximum and the sum of powers below it. A NaN may be missed by the maximum but not by the sum: the
  // loss is then NaN.
  float maximum = -INFINITY, part = 0;
  for (int64_t i = threadIdx.x * N; i < vocabulary; i += LOSS_THREADS * N) {
    floats<N> x = load_floats<N>(logits, first + i);
    float top = maximum;
#pragma unroll
    for (int j = 0; j < N; j++) top = fmaxf(top, x.at[j]);
    if (top > maximum) {
      part *= expf(maximum - top);
      maximum = top;
    }
    float base = maximum > -INFINITY ? maximum : 0.0f;
#pragma unroll
    for (int j = 0; j < N; j++) part += expf(x.at[j] - base);
  }
  float largest = block_max<LOSS_THREADS, 0>(maximum);
  double total = block_sum<double, LOSS_THREADS, 1>(part * expf(maximum - largest));
  if (threadIdx.x == 0) nats[row] = log(total) + largest - target_logit;
  if constexpr (GRADIENT) {
    float gradient_scale = scale[0];
    float factor = (float)(gradient_scale / total);
    float of_target = (float)(gradient_scale * (exp((double)(target_logit - largest)) / total - 1));
    for (int64_t i = threadIdx.x * N; i < vocabulary; i += LOSS_THREADS * N) {
      floats<N> x = load_floats<N>(logits, first + i);
#pragma unroll
      for (int j = 0; j < N; j++) x.at[j] = i + j == target ? of_target : expf(x.at[j] - largest) * factor;
      store_floats<N>(d_logits, first + i, x);
    }
  }
}

// *sum += the rows' losses and the number of unmasked rows, by one block, unless an id was bad.
struct loss_sums {
  double nats;
  int64_t targets;
};
__global__ void __launch_bounds__(LOSS_THREADS)
    add_losses_kernel(int64_t rows, device_pointer<const double> nats, device_pointer<const uint8_t> mask,
                      device_pointer<float> row_nats, device_pointer<const bad_id> bad, device_pointer<loss_sums> sum) {
  double total = 0;
  int64_t targets = 0;
  for (int64_t row = threadIdx.x; row < rows; row += LOSS_THREADS) {
    total += nats[row];
    targets += !mask || mask[row];
    if (row_nats) row_nats[row] = (float)(double)nats[row];
  }
  total = block_sum<double, LOSS_THREADS, 0>(total);
  targets = block_sum<int64_t, LOSS_THREADS, 1>(targets);
  if (threadIdx.x != 0 || ((bad_id)bad[0]).what != ID_NONE) return;
  loss_sums before = sum[0];
  sum[0] = loss_sums{before.nats + total, before.targets + targets};
}

}  // namespace
