// Cross-entropy of rows of float32 logits with its gradient: a block a row, two passes over it (maximum and sum,
// gradient), of which the second finds it in L2 for the tiles that head.cuh makes.
// Shapes: logits, d_logits [rows, vocabulary], `lead` elements from one row to the next; targets, mask, row_nats
// [rows].
#pragma once
#include "kernels/cuda/device.cuh"

namespace {

constexpr int LOSS_THREADS = 256;

// Calls `body` for all elements of a row, N at a time and what is left over one by one, shared out to the block's
// threads: with the first element's number and the count as a constant.
template <int N, class Body>
__device__ __forceinline__ void over_row(int64_t count, Body body) {
  int64_t whole = count / N * N;
  for (int64_t i = threadIdx.x * N; i < whole; i += LOSS_THREADS * N) body(i, std::integral_constant<int, N>());
  if constexpr (N > 1)
    for (int64_t i = whole + threadIdx.x; i < count; i += LOSS_THREADS) body(i, std::integral_constant<int, 1>());
}

// nats [rows] = -ln softmax(logits)[target], 0 on masked rows. GRADIENT: d_logits = (softmax - onehot) *
// gradient_scale, 0 on masked rows; for float32 it may be the logits themselves.
template <class T, bool GRADIENT, int N>
__global__ void __launch_bounds__(LOSS_THREADS)
    cross_entropy_kernel(int64_t vocabulary, int64_t lead, device_pointer<const float> scale,
                         device_pointer<const float> logits, device_pointer<const int32_t> targets,
                         device_pointer<const uint8_t> mask, device_pointer<double> nats, device_pointer<T> d_logits) {
  int64_t row = blockIdx.x, first = row * lead;
  if (mask && !mask[row]) {
    if (threadIdx.x == 0) nats[row] = 0;
    if constexpr (GRADIENT)
      over_row<N>(vocabulary, [&](int64_t i, auto width) {
        store_floats<decltype(width)::value>(d_logits, first + i, floats<decltype(width)::value>{});
      });
    return;
  }
  int32_t target = safe_id(targets[row], vocabulary);
  float target_logit = logits[first + target];
  // Each thread's maximum and the sum of powers below it. A NaN may be missed by the maximum but not by the sum: the
  // loss is then NaN.
  float maximum = -INFINITY, part = 0;
  over_row<N>(vocabulary, [&](int64_t i, auto width) {
    constexpr int M = decltype(width)::value;
    floats<M> x = load_floats<M>(logits, first + i);
    float top = maximum;
#pragma unroll
    for (int j = 0; j < M; j++) top = fmaxf(top, x.at[j]);
    if (top > maximum) {
      part *= expf(maximum - top);
      maximum = top;
    }
    float base = maximum > -INFINITY ? maximum : 0.0f;
#pragma unroll
    for (int j = 0; j < M; j++) part += expf(x.at[j] - base);
  });
  float largest = block_max<LOSS_THREADS, 0>(maximum);
  double total = block_sum<double, LOSS_THREADS, 1>(part * expf(maximum - largest));
  if (threadIdx.x == 0) nats[row] = log(total) + largest - target_logit;
  if constexpr (GRADIENT) {
    float gradient_scale = scale[0];
    float factor = (float)(gradient_scale / total);
    float of_target = (float)(gradient_scale * (exp((double)(target_logit - largest)) / total - 1));
    over_row<N>(vocabulary, [&](int64_t i, auto width) {
      constexpr int M = decltype(width)::value;
      floats<M> x = load_floats<M>(logits, first + i);
#pragma unroll
      for (int j = 0; j < M; j++) x.at[j] = i + j == target ? of_target : expf(x.at[j] - largest) * factor;
      store_floats<M>(d_logits, first + i, x);
    });
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
