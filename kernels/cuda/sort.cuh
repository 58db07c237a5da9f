// The embedding's gradient for large vocabularies: rows sorted by token, stably, so that every token's rows are summed
// in their order by one block, which reads nothing else. A radix sort of SORT_BITS a turn: each block of rows counts
// its digits, one block makes of the counts where each digit of each block begins, and the blocks move their rows
// there.
// Shapes: tokens [rows]; table, d_table [vocabulary, width] float32; residual [rows, width] float32.
#pragma once
#include "kernels/cuda/embedding.cuh"

namespace {

constexpr int SORT_BITS = 8;
constexpr int SORT_DIGITS = 1 << SORT_BITS;
static_assert(SORT_DIGITS == CUDA_SORT_DIGITS, "what the scratch is planned for");
constexpr int SORT_THREADS = CUDA_SORT_ROWS;
constexpr int SORT_WARPS = SORT_THREADS / WARP_THREADS;
constexpr int SCAN_THREADS = 1024;

// This thread's row in the order so far (null: as they stand), its digit, and how many of its block's rows before it
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
    place.row = order ? (int32_t)order[i] : (int32_t)i;
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

// d_table += d_residual by token: the block of a token's first row in the order adds them all. Grid: rows, columns in
// EMBEDDING_THREADS.
__global__ void __launch_bounds__(EMBEDDING_THREADS)
    embedding_add_kernel(int64_t rows, int64_t width, int64_t vocabulary, device_pointer<const int32_t> tokens,
                         device_pointer<const int32_t> order, device_pointer<const float> d_residual,
                         device_pointer<float> d_table) {
  constexpr int AHEAD = 4;  // rows read before they are added
  int64_t first = blockIdx.x, column = (int64_t)blockIdx.y * EMBEDDING_THREADS + threadIdx.x;
  int32_t token = safe_id(tokens[order[first]], vocabulary);
  if (first > 0 && safe_id(tokens[order[first - 1]], vocabulary) == token) return;
  if (column >= width) return;
  float sum = d_table[token * width + column];
  for (int64_t i = first; i < rows; i += AHEAD) {
    float d[AHEAD];
    int count = 0;
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      d[a] = 0;
      if (count < a || i + a >= rows) continue;
      int32_t row = order[i + a];
      if (safe_id(tokens[row], vocabulary) != token) continue;
      d[a] = d_residual[row * width + column];
      count = a + 1;
    }
#pragma unroll
    for (int a = 0; a < AHEAD; a++)
      if (a < count) sum += d[a];
    if (count < AHEAD) break;
  }
  d_table[token * width + column] = sum;
}

}  // namespace
