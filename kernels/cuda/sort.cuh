// Rows sorted by token, stably. A radix sort of SORT_BITS a turn: each block of rows counts its digits, one block makes
// of the counts where each digit of each block begins, and the blocks move their rows there.
// Shapes: tokens, order [rows].
#pragma once
#include "kernels/cuda/embedding.cuh"

namespace {

constexpr int SORT_BITS = 8;
constexpr int SORT_DIGITS = 1 << SORT_BITS;
static_assert(SORT_DIGITS == CUDA_SORT_DIGITS, "what the scratch is planned for");
constexpr int SORT_THREADS = CUDA_SORT_ROWS;
constexpr int SORT_WARPS = SORT_THREADS / WARP_THREADS;
constexpr int SCAN_THREADS = 1024;

// The row at a place of the order so far; null: as they stand.
__device__ __forceinline__ int32_t sorted_row(device_pointer<const int32_t> order, int64_t place) {
  return order ? (int32_t)order[place] : (int32_t)place;
}

// This thread's row in the order so far, its digit, and how many of its block's rows before it
// have the same. `counts` becomes [SORT_WARPS][SORT_DIGITS]: rows of each digit in each warp.
struct sort_place {
  int32_t row, digit, before;
  bool there;
};
__device__ __forceinline__ sort_place sort_place_of(int64_t rows, int64_t vocabulary, int shift,
                                                    device_pointer<const int32_t> tokens,
                                                    device_pointer<const int32_t> order,
                                                    shared_pointer<int32_t> counts) {
  int64_t i = (int64_t)blockIdx.x * SORT_THREADS + threadIdx.x;
  int warp = threadIdx.x / WARP_THREADS, lane = threadIdx.x % WARP_THREADS;
  for (int w = 0; w < SORT_WARPS; w++) counts[w * SORT_DIGITS + threadIdx.x] = 0;
  sort_place place = {0, SORT_DIGITS, 0, i < rows};
  if (place.there) {
    place.row = sorted_row(order, i);
    place.digit = safe_id(tokens[place.row], vocabulary) >> shift & (SORT_DIGITS - 1);
  }
  unsigned same = WHOLE_WARP;
#pragma unroll
  for (int bit = 0; bit <= SORT_BITS; bit++) {
    unsigned votes = __ballot_sync(WHOLE_WARP, place.digit >> bit & 1);
    same &= place.digit >> bit & 1 ? votes : ~votes;
  }
  place.before = __popc(same & ((1u << lane) - 1));
  __syncthreads();
  if (place.there && place.before == 0) counts[warp * SORT_DIGITS + place.digit] = __popc(same);
  __syncthreads();
  if (place.there)
    for (int w = 0; w < warp; w++) place.before += counts[w * SORT_DIGITS + place.digit];
  return place;
}

// counts [SORT_DIGITS, blocks]
__global__ void __launch_bounds__(SORT_THREADS)
    sort_count_kernel(int64_t rows, int64_t vocabulary, int shift, device_pointer<const int32_t> tokens,
                      device_pointer<const int32_t> order, device_pointer<int32_t> counts) {
  static_assert(SORT_THREADS == SORT_DIGITS, "a thread a digit");
  shared_pointer<int32_t> of_warps = shared_array<int32_t, SORT_WARPS * SORT_DIGITS, 0>();
  sort_place_of(rows, vocabulary, shift, tokens, order, of_warps);
  int32_t count = 0;
  for (int w = 0; w < SORT_WARPS; w++) count += of_warps[w * SORT_DIGITS + threadIdx.x];
  counts[(int64_t)threadIdx.x * gridDim.x + blockIdx.x] = count;
}

// counts becomes the sum of all counts before each; one block.
__global__ void __launch_bounds__(SCAN_THREADS) sort_scan_kernel(int64_t count, device_pointer<int32_t> counts) {
  constexpr int WARPS = SCAN_THREADS / WARP_THREADS;
  shared_pointer<int32_t> sums = shared_array<int32_t, WARPS, 0>();
  int warp = threadIdx.x / WARP_THREADS, lane = threadIdx.x % WARP_THREADS;
  int32_t base = 0;
  for (int64_t tile = 0; tile < count; tile += SCAN_THREADS) {
    int64_t i = tile + threadIdx.x;
    int32_t mine = i < count ? (int32_t)counts[i] : 0, sum = mine;
#pragma unroll
    for (int step = 1; step < WARP_THREADS; step *= 2) {
      int32_t other = __shfl_up_sync(WHOLE_WARP, sum, step);
      if (lane >= step) sum += other;
    }
    if (lane == WARP_THREADS - 1) sums[warp] = sum;
    __syncthreads();
    int32_t before = 0, total = 0;
    for (int w = 0; w < WARPS; w++) {
      if (w == warp) before = total;
      total += sums[w];
    }
    if (i < count) counts[i] = base + before + sum - mine;
    base += total;
    __syncthreads();
  }
}

__global__ void __launch_bounds__(SORT_THREADS)
    sort_move_kernel(int64_t rows, int64_t vocabulary, int shift, device_pointer<const int32_t> tokens,
                     device_pointer<const int32_t> order, device_pointer<const int32_t> counts,
                     device_pointer<int32_t> to) {
  shared_pointer<int32_t> of_warps = shared_array<int32_t, SORT_WARPS * SORT_DIGITS, 0>();
  sort_place place = sort_place_of(rows, vocabulary, shift, tokens, order, of_warps);
  if (place.there) to[counts[(int64_t)place.digit * gridDim.x + blockIdx.x] + place.before] = place.row;
}

}  // namespace
