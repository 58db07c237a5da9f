// What attention on tensor cores is made of: tiles of bfloat16 rows in shared memory, and the two products of a warp
// with them. Four warps a block; a warp has 16 rows of its own (queries, or keys for the keys' gradient) and goes over
// tiles of the other side's rows. Accumulators are fragments of mma.sync m16n8k16: with g = lane / 4 and t = lane % 4,
// value 2 h + i of piece n is row g + 8 h, column 8 n + 2 t + i.
#pragma once
#include "kernels/cuda/portable.cuh"

namespace {

constexpr int MMA_WARPS = 4;
constexpr int MMA_THREADS = MMA_WARPS * WARP_THREADS;
constexpr int MMA_ROWS = MMA_WARPS * 16;  // rows of a block

// The other side's rows in a tile: as many as registers and two buffers in shared memory allow.
template <int DIM>
constexpr int MMA_COLUMNS = DIM <= 64 ? 64 : 32;
// Elements from row to row: 16 bytes more than the row, so that eight rows of ldmatrix lie in different banks.
template <int DIM>
constexpr int MMA_PITCH = DIM + 8;
template <int DIM>
__host__ __device__ constexpr size_t mma_tile_bytes(int rows) {
  return sizeof(bfloat16) * (size_t)rows * MMA_PITCH<DIM>;
}

// A thread's share of the tiles of ROWS rows that its block copies, one after another, from a matrix of bfloat16 whose
// rows lie `stride` elements apart: every MMA_THREADS-th word of 16 bytes. Addresses are made once and advanced from
// tile to tile, what lies within a tile is in 32 bits: the loops over tiles are bound by instructions. Rows from `end`
// and columns from `dim` on are 0 in the tile. dim is a multiple of 8, addresses are of 16 bytes, and 64 rows have
// fewer than 2^31 elements.
template <int DIM, int ROWS>
struct tile_source {
  static constexpr int WORDS = DIM / 8, STEP = MMA_THREADS / WORDS, COPIES = ROWS / STEP;
  static_assert(MMA_THREADS % WORDS == 0 && ROWS % STEP == 0, "whole rounds of threads");
  device_pointer<const bfloat16> from;  // this thread's first word of the next tile
  int64_t advance;                      // elements from tile to tile
  int jump;                             // elements between two of its words
  int left;                             // rows of the matrix from its first word on; 0 in columns from dim on
  int place;                            // of its first word in the tile

  // The next tile begins at row `first` of the matrix that begins at element `base`.
  __device__ __forceinline__ void open(device_pointer<const bfloat16> matrix, int64_t base, int64_t stride, int first,
                                       int end, int dim) {
    int row = threadIdx.x / WORDS, column = threadIdx.x % WORDS * 8;
    from = matrix + (base + (first + row) * stride + column);
    advance = ROWS * stride;
    jump = STEP * (int)stride;
    left = column < dim ? end - first - row : 0;
    place = row * MMA_PITCH<DIM> + column;
  }
  // Begins to copy the next tile.
  __device__ __forceinline__ void begin(shared_pointer<bfloat16> tile) {
    shared_pointer<bfloat16> to = tile + place;
#pragma unroll
    for (int i = 0; i < COPIES; i++) copy_async(to, i * STEP * MMA_PITCH<DIM>, from, i * jump, i * STEP < left);
    from = from + advance;
    left -= ROWS;
  }
};

// One tile from row `first` on.
template <int DIM, int ROWS>
__device__ __forceinline__ void begin_tile(shared_pointer<bfloat16> tile, device_pointer<const bfloat16> matrix,
                                           int64_t base, int64_t stride, int first, int end, int dim) {
  tile_source<DIM, ROWS> source;
  source.open(matrix, base, stride, first, end, dim);
  source.begin(tile);
}

// Where a lane's row of ldmatrix.x4 begins in a 16 x 16 piece. By rows first: matrices (0, 0), (8, 0), (0, 8), (8, 8),
// the fragments of a left operand, or of a right one read transposed; by columns first: (0, 0), (0, 8), (8, 0), (8, 8),
// the right operands of two pieces of eight rows.
template <int DIM>
__device__ __forceinline__ int piece_by_rows() {
  int lane = threadIdx.x % WARP_THREADS;
  return (lane / 8 % 2 * 8 + lane % 8) * MMA_PITCH<DIM> + lane / 16 * 8;
}

template <int DIM>
__device__ __forceinline__ int piece_by_columns() {
  int lane = threadIdx.x % WARP_THREADS;
  return (lane / 16 * 8 + lane % 8) * MMA_PITCH<DIM> + lane / 8 % 2 * 8;
}

// A warp's 16 rows of a tile as left operands: in registers where there is room, else read again each time.
template <int DIM>
struct warp_rows {
  static constexpr bool HELD = DIM <= 64;
  shared_pointer<const bfloat16> first;  // where this lane's row of the first piece begins
  uint32_t held[HELD ? DIM / 16 : 1][4];

  __device__ __forceinline__ void open(shared_pointer<const bfloat16> rows) {
    first = rows + ((int)(threadIdx.x / WARP_THREADS) * 16 * MMA_PITCH<DIM> + piece_by_rows<DIM>());
    if constexpr (HELD) {
#pragma unroll
      for (int k = 0; k < DIM / 16; k++) load_matrices(held[k], first, k * 16);
    }
  }
  __device__ __forceinline__ void piece(int k, uint32_t to[4]) const {
    if constexpr (HELD) {
#pragma unroll
      for (int i = 0; i < 4; i++) to[i] = held[k][i];
    } else {
      load_matrices(to, first, k * 16);
    }
  }
};

// to [16, COLUMNS] = rows [16, DIM] tile^T, tile [COLUMNS, DIM].
template <int DIM, int COLUMNS>
__device__ __forceinline__ void multiply_transposed(float (&to)[COLUMNS / 8][4], const warp_rows<DIM> &rows,
                                                    shared_pointer<const bfloat16> tile) {
  shared_pointer<const bfloat16> lane_row = tile + piece_by_columns<DIM>();
#pragma unroll
  for (int n = 0; n < COLUMNS / 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) to[n][i] = 0;
#pragma unroll
  for (int k = 0; k < DIM / 16; k++) {
    uint32_t left[4];
    rows.piece(k, left);
#pragma unroll
    for (int n = 0; n < COLUMNS / 16; n++) {
      uint32_t right[4];
      load_matrices(right, lane_row, n * 16 * MMA_PITCH<DIM> + k * 16);
      mma_16816(to[2 * n], left, right, to[2 * n]);
      mma_16816(to[2 * n + 1], left, right + 2, to[2 * n + 1]);
    }
  }
}

// to [16, DIM] += values [16, COLUMNS] tile, tile [COLUMNS, DIM]; the values are rounded to bfloat16.
template <int DIM, int COLUMNS>
__device__ __forceinline__ void add_product(float (&to)[DIM / 8][4], const float (&values)[COLUMNS / 8][4],
                                            shared_pointer<const bfloat16> tile) {
  shared_pointer<const bfloat16> lane_row = tile + piece_by_rows<DIM>();
#pragma unroll
  for (int k = 0; k < COLUMNS / 16; k++) {
    // An accumulator's two pieces of eight columns are the left operand's fragments as they stand.
    uint32_t left[4] = {bfloat16_pair(values[2 * k][0], values[2 * k][1]),
                        bfloat16_pair(values[2 * k][2], values[2 * k][3]),
                        bfloat16_pair(values[2 * k + 1][0], values[2 * k + 1][1]),
                        bfloat16_pair(values[2 * k + 1][2], values[2 * k + 1][3])};
#pragma unroll
    for (int n = 0; n < DIM / 16; n++) {
      uint32_t right[4];
      load_matrices_transposed(right, lane_row, k * 16 * MMA_PITCH<DIM> + n * 16);
      mma_16816(to[2 * n], left, right, to[2 * n]);
      mma_16816(to[2 * n + 1], left, right + 2, to[2 * n + 1]);
    }
  }
}

// Stores a warp's 16 rows of results, times a factor for rows g and g + 8, by words of 16 bytes: through the warp's
// rows of a tile that no other warp uses any more. Rows from `end` and columns from `dim` on are left out.
template <int DIM>
__device__ __forceinline__ void store_rows(const float (&values)[DIM / 8][4], const float (&factor)[2],
                                           shared_pointer<bfloat16> tile, device_pointer<bfloat16> to, int64_t base,
                                           int64_t stride, int64_t first, int64_t end, int dim) {
  int warp = threadIdx.x / WARP_THREADS, lane = threadIdx.x % WARP_THREADS, row = warp * 16 + lane / 4;
  __syncwarp();
#pragma unroll
  for (int n = 0; n < DIM / 8; n++)
#pragma unroll
    for (int half = 0; half < 2; half++)
      store_word(tile, (row + 8 * half) * MMA_PITCH<DIM> + n * 8 + lane % 4 * 2,
                 bfloat16_pair(values[n][2 * half] * factor[half], values[n][2 * half + 1] * factor[half]));
  __syncwarp();
  constexpr int WORDS = DIM / 8;
#pragma unroll
  for (int i = lane; i < 16 * WORDS; i += WARP_THREADS) {
    int r = warp * 16 + i / WORDS, d = i % WORDS * 8;
    if (first + r < end && d < dim)
      store_word(to, base + (first + r) * stride + d, load_word<uint4>(tile, r * MMA_PITCH<DIM> + d));
  }
}

// Sum and maximum over the four lanes that share a row.
__device__ __forceinline__ float quad_sum(float value) {
  value += __shfl_xor_sync(WHOLE_WARP, value, 1);
  return value + __shfl_xor_sync(WHOLE_WARP, value, 2);
}

__device__ __forceinline__ float quad_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(WHOLE_WARP, value, 1));
  return fmaxf(value, __shfl_xor_sync(WHOLE_WARP, value, 2));
}

}  // namespace
