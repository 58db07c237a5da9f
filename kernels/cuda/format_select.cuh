// Choosing the largest magnitudes, exactly that many: by counting their bits in three passes, as select_largest of
// kernels/formats/sparsity.h does, over one or several arrays; and by rows. Counters are integers, so that the order in
// which they are added to does not matter.
#pragma once
#include "kernels/cuda/format_passes.cuh"

namespace {

constexpr int SELECT_THREADS = 256;
constexpr int SELECT_BINS = CUDA_SELECT_BINS;
constexpr int SELECT_PASSES = 3;
constexpr int TIE_BLOCKS = CUDA_TIE_BLOCKS;
using counter = unsigned long long;

// Pass `pass` counts by bits [shift, shift + width).
__host__ __device__ inline int select_shift(int pass) { return pass == 0 ? 20 : pass == 1 ? 9 : 0; }
__host__ __device__ inline int select_width(int pass) { return pass == 2 ? 9 : 11; }

struct select_state {
  int64_t wanted;    // how many of those that share the bits found so far; then, ties that are still to be placed
  int64_t last_tie;  // in array last_tie_span, -1: nothing has been kept
  int32_t last_tie_span;
  uint32_t found;
};

__device__ __forceinline__ bool shares_bits(uint32_t bits, uint32_t found, int pass) {
  int above = select_shift(pass) + select_width(pass);
  return pass == 0 || bits >> above == found >> above;
}

__device__ __forceinline__ uint32_t select_bin(uint32_t bits, int pass) {
  return bits >> select_shift(pass) & ((1u << select_width(pass)) - 1);
}

// The bin in which the wanted-th largest lies, counted from the highest, by one block; `wanted` becomes its rank there.
template <class Counter>
__device__ __forceinline__ int find_bin(shared_pointer<counter> sums, Counter counts, int64_t &wanted) {
  constexpr int EACH = SELECT_BINS / SELECT_THREADS;
  counter sum = 0;
  for (int i = 0; i < EACH; i++) sum += counts[threadIdx.x * EACH + i];
  sums[threadIdx.x] = sum;
  __syncthreads();
  int part = SELECT_THREADS - 1;
  while (part > 0 && (int64_t)(counter)sums[part] < wanted) wanted -= (int64_t)(counter)sums[part--];
  int bin = part * EACH + EACH - 1;
  while (bin > part * EACH && (int64_t)counts[bin] < wanted) wanted -= (int64_t)counts[bin--];
  __syncthreads();
  return bin;
}

// `total` values, of which the weights' density is kept.
__global__ void __launch_bounds__(SELECT_THREADS)
    select_begin_kernel(int64_t total, device_pointer<const format_numbers> numbers, device_pointer<counter> counts,
                        device_pointer<select_state> state) {
  for (int i = threadIdx.x; i < SELECT_BINS; i += SELECT_THREADS) counts[i] = 0;
  if (threadIdx.x > 0) return;
  format_numbers n = numbers[0];
  int64_t keep = llround(n.density * (double)total);
  state[0] = select_state{keep, -1, -1, keep > 0 ? 0u : 0x7f800000u};
}

template <class T>
__global__ void __launch_bounds__(SELECT_THREADS)
    select_count_kernel(int64_t count, int pass, device_pointer<const T> data, device_pointer<const select_state> state,
                        device_pointer<counter> counts) {
  shared_pointer<uint32_t> mine = shared_array<uint32_t, SELECT_BINS, 0>();
  select_state s = state[0];
  if (s.wanted <= 0) return;  // nothing is kept
  for (int i = threadIdx.x; i < SELECT_BINS; i += SELECT_THREADS) mine[i] = 0;
  __syncthreads();
  for (int64_t i = (int64_t)blockIdx.x * SELECT_THREADS + threadIdx.x; i < count;
       i += (int64_t)gridDim.x * SELECT_THREADS) {
    uint32_t bits = __float_as_uint(to_float(data[i])) & 0x7fffffffu;
    if (shares_bits(bits, s.found, pass)) atomicAdd(mine + select_bin(bits, pass), 1u);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < SELECT_BINS; i += SELECT_THREADS) {
    uint32_t n = mine[i];
    if (n) atomicAdd(counts + i, (counter)n);
  }
}

// One block: finds the next bits, and clears the counts for the next pass.
__global__ void __launch_bounds__(SELECT_THREADS)
    select_found_kernel(int pass, device_pointer<counter> counts, device_pointer<select_state> state) {
  shared_pointer<counter> sums = shared_array<counter, SELECT_THREADS, 0>();
  select_state s = state[0];
  if (s.wanted <= 0) return;  // of all threads
  int64_t wanted = s.wanted;
  int bin = find_bin(sums, device_pointer<const counter>(counts), wanted);
  for (int i = threadIdx.x; i < SELECT_BINS; i += SELECT_THREADS) counts[i] = 0;
  if (threadIdx.x > 0) return;
  s.found |= (uint32_t)bin << select_shift(pass);
  s.wanted = wanted;
  state[0] = s;
}

// Block b counts the values that equal the threshold in its part of the array.
inline __host__ __device__ int64_t tie_part(int64_t count) {
  int64_t part = (count + TIE_BLOCKS - 1) / TIE_BLOCKS;
  return part < 4096 ? 4096 : part;
}

template <class T>
__global__ void __launch_bounds__(SELECT_THREADS)
    tie_count_kernel(int64_t count, device_pointer<const T> data, device_pointer<const select_state> state,
                     device_pointer<uint32_t> ties) {
  select_state s = state[0];
  int64_t first = (int64_t)blockIdx.x * tie_part(count), end = first + tie_part(count);
  if (end > count) end = count;
  uint32_t n = 0;
  for (int64_t i = first + threadIdx.x; i < end; i += SELECT_THREADS)
    n += (__float_as_uint(to_float(data[i])) & 0x7fffffffu) == s.found;
  n = block_sum<uint32_t, SELECT_THREADS, 0>(n);
  if (threadIdx.x == 0) ties[blockIdx.x] = n;
}

// Counts in `parts` (one a thread) before which thread's the wanted-th (from 1) lies; `wanted` becomes its rank there,
// -1 when there are not that many.
__device__ __forceinline__ int find_part(shared_pointer<uint32_t> parts, int64_t &wanted) {
  for (int part = 0; part < SELECT_THREADS; part++) {
    if ((int64_t)(uint32_t)parts[part] >= wanted) return part;
    wanted -= (uint32_t)parts[part];
  }
  return -1;
}

// One block: takes what the array has of the ties that are still to be placed, in order.
template <class T>
__global__ void __launch_bounds__(SELECT_THREADS)
    tie_place_kernel(int span, int64_t count, int blocks, device_pointer<const T> data,
                     device_pointer<const uint32_t> ties, device_pointer<select_state> state) {
  constexpr int EACH = TIE_BLOCKS / SELECT_THREADS;
  shared_pointer<uint32_t> parts = shared_array<uint32_t, SELECT_THREADS, 0>();
  select_state s = state[0];
  __syncthreads();
  if (s.wanted <= 0) return;
  uint32_t n = 0;
  for (int i = 0; i < EACH; i++) {
    int block = threadIdx.x * EACH + i;
    n += block < blocks ? (uint32_t)ties[block] : 0u;
  }
  parts[threadIdx.x] = n;
  __syncthreads();
  int64_t wanted = s.wanted;
  int part = find_part(parts, wanted), block = part * EACH;
  __syncthreads();
  if (part >= 0) {
    while (block < blocks && (int64_t)(uint32_t)ties[block] < wanted) wanted -= (uint32_t)ties[block++];
    // Within the block's part of the array: every thread counts a piece of it.
    int64_t first = block * tie_part(count), end = first + tie_part(count);
    if (end > count) end = count;
    int64_t piece = (end - first + SELECT_THREADS - 1) / SELECT_THREADS, from = first + threadIdx.x * piece;
    n = 0;
    for (int64_t i = from; i < from + piece && i < end; i++)
      n += (__float_as_uint(to_float(data[i])) & 0x7fffffffu) == s.found;
    parts[threadIdx.x] = n;
    __syncthreads();
    int owner = find_part(parts, wanted);
    if ((int)threadIdx.x != owner) return;
    for (int64_t i = from; i < from + piece && i < end; i++)
      if ((__float_as_uint(to_float(data[i])) & 0x7fffffffu) == s.found && --wanted == 0) s.last_tie = i;
    s.last_tie_span = span;
    s.wanted = 0;
    state[0] = s;
    return;
  }
  if (threadIdx.x > 0) return;
  s.wanted = wanted;
  state[0] = s;
}

__device__ __forceinline__ tensor_choice choice_of(const select_state &s, int span) {
  int64_t all = 0x7fffffffffffffff;
  return {__uint_as_float(s.found), span < s.last_tie_span ? all : span == s.last_tie_span ? s.last_tie : -1};
}

// What was chosen as it concerns array `span`.
__global__ void choice_kernel(int span, device_pointer<const select_state> state, device_pointer<tensor_choice> out) {
  if (threadIdx.x == 0) out[0] = choice_of(state[0], span);
}

// What was not chosen of array `span` becomes 0, with its moments where there are some.
template <class Master, class State>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    prune_kernel(int span, int64_t count, device_pointer<const select_state> state, device_pointer<Master> master,
                 device_pointer<State> m, device_pointer<State> v) {
  tensor_choice chosen = choice_of(state[0], span);
  for (int64_t i = first_piece(); i < count; i += piece_stride()) {
    float size = magnitude(to_float(master[i]));
    if (!(size < chosen.threshold) && !(size == chosen.threshold && i > chosen.last_tie)) continue;
    master[i] = Master{};
    if (m) m[i] = State{};
    if (v) v[i] = State{};
  }
}

// ---- by rows ----
// A block a row: the `kept` largest of each row, and between which magnitudes gradients are blocked.
template <class From>
__global__ void __launch_bounds__(SELECT_THREADS)
    select_rows_kernel(struct quantizer q, int64_t kept, device_pointer<const From> from,
                       device_pointer<row_choice> choices) {
  shared_pointer<uint32_t> counts = shared_array<uint32_t, SELECT_BINS, 0>();
  shared_pointer<counter> sums = shared_array<counter, SELECT_THREADS, 0>();
  shared_pointer<uint32_t> parts = shared_array<uint32_t, SELECT_THREADS, 1>();
  int64_t row = blockIdx.x, start = row * q.columns, wanted = kept;
  uint32_t found = 0;
  float squares = 0;
  for (int pass = 0; pass < SELECT_PASSES && kept > 0; pass++) {
    for (int i = threadIdx.x; i < SELECT_BINS; i += SELECT_THREADS) counts[i] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < q.columns; i += SELECT_THREADS) {
      float x = to_float(from[start + i]);
      uint32_t bits = __float_as_uint(x) & 0x7fffffffu;
      if (pass == 0) squares += x * x;
      if (shares_bits(bits, found, pass)) atomicAdd(counts + select_bin(bits, pass), 1u);
    }
    __syncthreads();
    found |= (uint32_t)find_bin(sums, shared_pointer<const uint32_t>(counts), wanted) << select_shift(pass);
  }
  squares = block_sum<float, SELECT_THREADS, 10>(squares);
  row_choice choice = {INFINITY, -1, 0, 0};
  if (kept > 0) {
    // `wanted` ties are kept, in order: every thread looks through a piece of the row.
    int64_t piece = (q.columns + SELECT_THREADS - 1) / SELECT_THREADS, first = threadIdx.x * piece;
    uint32_t n = 0;
    for (int64_t i = first; i < first + piece && i < q.columns; i++)
      n += (__float_as_uint(to_float(from[start + i])) & 0x7fffffffu) == found;
    parts[threadIdx.x] = n;
    __syncthreads();
    if ((int)threadIdx.x != find_part(parts, wanted)) return;
    for (int64_t i = first; i < first + piece && i < q.columns; i++)
      if ((__float_as_uint(to_float(from[start + i])) & 0x7fffffffu) == found && --wanted == 0)
        choice.last_tie = (int32_t)i;
    choice.threshold = __uint_as_float(found);
  } else if (threadIdx.x > 0) {
    return;
  }
  if (q.band_quantile > 0) {
    float other = q.band_quantile * sqrtf(squares / (float)q.columns), t = choice.threshold;
    bool lower = other < t;
    choice.low = q.backward == SPARSE_RMS ? 0 : lower ? other : t;
    choice.high = q.backward == SPARSE_RMS ? other : lower ? t : other;
  }
  choices[row] = choice;
}

}  // namespace
