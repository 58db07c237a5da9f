// The optimizer step and the gradient's norm.
// Shapes: parameter, gradient, m, v [count] for each tensor; the square sum is one double.
#pragma once
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/elementwise.cuh"

namespace {

constexpr int SQUARE_BLOCK = CUDA_SQUARE_BLOCK;
constexpr int SQUARE_THREADS = 256;

// partial [blocks of SQUARE_BLOCK elements] = sums of squares. Squares are formed and summed in double: a gradient's
// square may leave the range of float.
__global__ void __launch_bounds__(SQUARE_THREADS)
    square_sum_kernel(int64_t count, device_pointer<const float> data, device_pointer<double> partial) {
  int64_t first = (int64_t)blockIdx.x * SQUARE_BLOCK, end = first + SQUARE_BLOCK < count ? first + SQUARE_BLOCK : count;
  double sum = 0;
  for (int64_t i = first + threadIdx.x; i < end; i += SQUARE_THREADS) {
    double x = (float)data[i];
    sum += x * x;
  }
  sum = block_sum<double, SQUARE_THREADS, 0>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// *sum = (or +=) the sum of `count` partial sums, by one block.
__global__ void __launch_bounds__(SQUARE_THREADS)
    add_partials_kernel(int64_t count, device_pointer<const double> partial, bool accumulate,
                        device_pointer<double> sum) {
  double total = 0;
  for (int64_t i = threadIdx.x; i < count; i += SQUARE_THREADS) total += partial[i];
  total = block_sum<double, SQUARE_THREADS, 0>(total);
  if (threadIdx.x == 0) sum[0] = accumulate ? sum[0] + total : total;
}

// Raises a float32's bits by 16 bits of noise and cuts them: rounds up as often as it should.
__device__ __forceinline__ float noisy_bfloat16(float value, uint32_t noise) {
  uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7F800000u) == 0x7F800000u) return value;
  return __uint_as_float((bits + noise) & 0xFFFF0000u);
}

// What gradients are multiplied by: their scale, and the clip factor. It is one for all: one thread's double
// arithmetic, not every thread's.
template <int TAG, class Numbers>
__device__ __forceinline__ float gradient_factor(const Numbers &n, device_pointer<const double> square_sum) {
  shared_pointer<float> shared_factor = shared_array<float, 1, TAG>();
  if (threadIdx.x == 0) {
    double factor = n.gradient_scale;
    if (n.clip_norm > 0) {
      double norm = n.gradient_scale * sqrt((double)square_sum[0]);
      if (norm > n.clip_norm) factor *= n.clip_norm / norm;
    }
    shared_factor[0] = (float)factor;
  }
  __syncthreads();
  return shared_factor[0];
}

// New parameters from `element` on, N of them, rounded stochastically where they are bfloat16: half a word an element,
// N 8 takes a whole block, N 4 one half of it.
template <class Master, int N>
__device__ __forceinline__ void round_masters(uint64_t seed, uint64_t step, uint64_t element, floats<N> &p) {
  if constexpr (sizeof(Master) == 2) {
    uint32_t words[4];
    philox_words(seed, RANDOM_STREAM_MASTER, step, element / 8, words);
    if constexpr (N < 8) {
      bool upper = element % 8 >= 4;
      words[0] = upper ? words[2] : words[0];
      words[1] = upper ? words[3] : words[1];
    }
#pragma unroll
    for (int j = 0; j < N; j++) {
      int at = N == 1 ? (int)(element % 4) : j;
      uint32_t word = N == 1 ? at / 2 ? words[1] : words[0] : words[j / 2];
      p.at[j] = noisy_bfloat16(p.at[j], at % 2 ? word >> 16 : word & 0xFFFFu);
    }
  }
}

// The same of the state: a word an element, its lower half for the first moment, its upper half for the second.
template <class State, bool SECOND, int N>
__device__ __forceinline__ void round_state(uint64_t seed, uint64_t step, uint64_t first, floats<N> &moment,
                                            floats<N> &square) {
  if constexpr (sizeof(State) == 2) {
#pragma unroll
    for (int j = 0; j < N; j += 4) {
      uint64_t element = first + j;
      uint32_t words[4];
      philox_words(seed, RANDOM_STREAM_OPTIMIZER, step, element / 4, words);
      if constexpr (N == 1) {
        uint32_t which = (uint32_t)element % 4;
        words[0] = which == 0 ? words[0] : which == 1 ? words[1] : which == 2 ? words[2] : words[3];
      }
#pragma unroll
      for (int i = 0; i < (N < 4 ? N : 4); i++) {
        moment.at[j + i] = noisy_bfloat16(moment.at[j + i], words[i] & 0xFFFFu);
        if constexpr (SECOND) square.at[j + i] = noisy_bfloat16(square.at[j + i], words[i] >> 16);
      }
    }
  }
}

// Master and State: float, or bfloat16; STOCHASTIC: how that is rounded. `number` is that of element 0; N over 1 takes
// multiples of 8.
template <class Master, class State, bool STOCHASTIC, int N>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    adamw_kernel(int64_t pieces, bool decay, int64_t number, device_pointer<const adamw_numbers> numbers,
                 device_pointer<Master> parameter, device_pointer<const float> gradient, device_pointer<State> m,
                 device_pointer<State> v, device_pointer<const double> square_sum) {
  adamw_numbers n = numbers[0];
  float decay_factor = decay ? n.decay_factor : 1.0f;
  float factor = gradient_factor<0>(n, square_sum);
  for (int64_t piece = first_piece(); piece < pieces; piece += piece_stride()) {
    floats<N> g = load_floats<N>(gradient, piece * N), moment = load_floats<N>(m, piece * N);
    floats<N> square = load_floats<N>(v, piece * N), p = load_floats<N>(parameter, piece * N);
#pragma unroll
    for (int j = 0; j < N; j++) {
      float scaled = g.at[j] * factor;
      moment.at[j] = moment.at[j] * n.beta1 + scaled * n.rest1;
      square.at[j] = square.at[j] * n.beta2 + scaled * scaled * n.rest2;
      p.at[j] =
          p.at[j] * decay_factor - n.step_size * (moment.at[j] / (sqrtf(square.at[j]) * n.inverse_correction2 + n.eps));
    }
    if constexpr (STOCHASTIC) {
      uint64_t element = (uint64_t)(number + piece * N);
      round_masters<Master, N>(n.seed, n.step, element, p);
      round_state<State, true, N>(n.seed, n.step, element, moment, square);
    }
    store_floats<N>(m, piece * N, moment);
    store_floats<N>(v, piece * N, square);
    store_floats<N>(parameter, piece * N, p);
  }
}

// See struct momentum in kernels/ops.h. m may be NULL; without a parameter the direction is written.
template <class Master, class State, bool STOCHASTIC, int N>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    momentum_kernel(int64_t pieces, bool decay, bool nesterov, bool sign, float lr_scale, int64_t number,
                    device_pointer<const momentum_numbers> numbers, device_pointer<Master> parameter,
                    device_pointer<const float> gradient, device_pointer<State> m, device_pointer<float> direction,
                    device_pointer<const double> square_sum) {
  momentum_numbers n = numbers[0];
  float decay_factor = decay ? n.decay_factor : 1.0f, step_size = n.step_size * lr_scale;
  float factor = gradient_factor<0>(n, square_sum);
  for (int64_t piece = first_piece(); piece < pieces; piece += piece_stride()) {
    floats<N> g = load_floats<N>(gradient, piece * N), d, p, moment = {};
    if (m) moment = load_floats<N>(m, piece * N);
#pragma unroll
    for (int j = 0; j < N; j++) {
      float scaled = g.at[j] * factor, mixed = moment.at[j] * n.beta1 + scaled * n.share1;
      d.at[j] = mixed;
      if (sign) d.at[j] = mixed > 0 ? 1.0f : mixed < 0 ? -1.0f : 0.0f;
      if (nesterov && !sign) d.at[j] = mixed * n.beta1 + scaled * n.share1;
      moment.at[j] = sign ? moment.at[j] * n.beta2 + scaled * n.rest2 : mixed;
    }
    uint64_t element = (uint64_t)(number + piece * N);
    if (parameter) {
      p = load_floats<N>(parameter, piece * N);
#pragma unroll
      for (int j = 0; j < N; j++) p.at[j] = p.at[j] * decay_factor - step_size * d.at[j];
      if constexpr (STOCHASTIC) round_masters<Master, N>(n.seed, n.step, element, p);
      store_floats<N>(parameter, piece * N, p);
    } else {
      store_floats<N>(direction, piece * N, d);
    }
    if (!m) continue;
    if constexpr (STOCHASTIC) round_state<State, false, N>(n.seed, n.step, element, moment, d);
    store_floats<N>(m, piece * N, moment);
  }
}

}  // namespace
