// The embedding's gradient, by rows sorted by token (sort.cuh). The sorted rows are cut into segments of SEGMENT_ROWS,
// a block each, which adds each token's rows of its segment up in their order. A token whose rows lie in one segment is
// done; of one that crosses segments each keeps its part, and the block of the segment where the token begins adds the
// parts in order. So the most frequent token is no chain of all its rows, and every sum's order follows from the tokens
// alone.
// Shapes: tokens, order [rows]; d_residual [rows, width], d_table [vocabulary, width] float32; parts [segments, 2,
// width] float32: of a token that began in an earlier segment, and of one that goes on in the next.
#pragma once
#include "kernels/cuda/sort.cuh"

namespace {

constexpr int SEGMENT_ROWS = CUDA_EMBEDDING_SEGMENT;
enum part_of { PART_CAME, PART_GOES, PARTS };

// Token of a place in the order; -1 outside of it.
__device__ __forceinline__ int32_t sorted_token(int64_t rows, int64_t vocabulary, device_pointer<const int32_t> tokens,
                                                device_pointer<const int32_t> order, int64_t place) {
  return place < 0 || place >= rows ? -1 : safe_id(tokens[sorted_row(order, place)], vocabulary);
}

// d_table += d_residual of tokens within a segment; parts of the others. Grid: segments, columns in EMBEDDING_THREADS.
__global__ void __launch_bounds__(EMBEDDING_THREADS)
    embedding_segments_kernel(int64_t rows, int64_t width, int64_t vocabulary, device_pointer<const int32_t> tokens,
                              device_pointer<const int32_t> order, device_pointer<const float> d_residual,
                              device_pointer<float> d_table, device_pointer<float> parts) {
  static_assert(SEGMENT_ROWS + 2 <= EMBEDDING_THREADS, "a thread a row, and one for each neighbour");
  constexpr int AHEAD = 8;  // rows read before they are added
  static_assert(SEGMENT_ROWS % AHEAD == 0, "whole rounds");
  shared_pointer<int32_t> token = shared_array<int32_t, SEGMENT_ROWS + 2, 0>();  // from the row before the first on
  shared_pointer<int32_t> row = shared_array<int32_t, SEGMENT_ROWS, 1>();
  int64_t first = (int64_t)blockIdx.x * SEGMENT_ROWS, column = (int64_t)blockIdx.y * EMBEDDING_THREADS + threadIdx.x;
  int count = (int)(rows - first < SEGMENT_ROWS ? rows - first : SEGMENT_ROWS), thread = threadIdx.x;
  if (thread < count + 2) token[thread] = sorted_token(rows, vocabulary, tokens, order, first + thread - 1);
  if (thread < count) row[thread] = sorted_row(order, first + thread);
  __syncthreads();
  if (column >= width) return;
  float sum = 0;
  bool came = token[0] == token[1];  // the token of the rows at hand began before this segment
  for (int i = 0; i < count; i += AHEAD) {
    float d[AHEAD];
#pragma unroll
    for (int a = 0; a < AHEAD; a++) d[a] = i + a < count ? (float)d_residual[row[i + a] * width + column] : 0.0f;
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      if (i + a >= count) break;
      sum += d[a];
      int32_t mine = token[i + a + 1], next = token[i + a + 2];
      if (mine == next && i + a + 1 < count) continue;
      if (came || mine == next)
        parts[((int64_t)blockIdx.x * PARTS + (came ? PART_CAME : PART_GOES)) * width + column] = sum;
      else
        d_table[mine * width + column] += sum;
      sum = 0;
      came = false;
    }
  }
}

// d_table += the parts of each token that crosses segments. Same grid.
__global__ void __launch_bounds__(EMBEDDING_THREADS)
    embedding_join_kernel(int64_t rows, int64_t width, int64_t vocabulary, device_pointer<const int32_t> tokens,
                          device_pointer<const int32_t> order, device_pointer<const float> parts,
                          device_pointer<float> d_table) {
  constexpr int AHEAD = 8;
  int64_t segment = blockIdx.x, first = segment * SEGMENT_ROWS, next = first + SEGMENT_ROWS;
  int64_t column = (int64_t)blockIdx.y * EMBEDDING_THREADS + threadIdx.x;
  auto token_at = [&](int64_t place) { return sorted_token(rows, vocabulary, tokens, order, place); };
  if (next >= rows) return;
  int32_t token = token_at(next - 1);
  bool came = token_at(first) == token && token_at(first - 1) == token;
  if (came || token_at(next) != token || column >= width) return;
  // Tokens ascend: the last segment that begins with this one is found by halving.
  int64_t last = segment + 1, beyond = (rows - 1) / SEGMENT_ROWS + 1;
  while (beyond - last > 1) {
    int64_t middle = (last + beyond) / 2;
    if (token_at(middle * SEGMENT_ROWS) == token)
      last = middle;
    else
      beyond = middle;
  }
  float sum = parts[(segment * PARTS + PART_GOES) * width + column];
  for (int64_t i = segment + 1; i <= last; i += AHEAD) {
    float part[AHEAD];
#pragma unroll
    for (int a = 0; a < AHEAD; a++)
      part[a] = i + a <= last ? (float)parts[((i + a) * PARTS + PART_CAME) * width + column] : 0.0f;
#pragma unroll
    for (int a = 0; a < AHEAD; a++) sum += part[a];
  }
  d_table[token * width + column] += sum;
}

}  // namespace
