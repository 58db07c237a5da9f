// Token embedding. Ids are checked on the device by a kernel of its own, which notes the first bad one; the kernels
// that use ids take a bad one as 0, so that nothing is touched that should not be.
// Shapes: tokens [rows]; table [vocabulary, width] float32; residual [rows, width] float32.
#pragma once
#include "kernels/cuda/portable.cuh"

// The first id that was out of range since the device was opened; `what` 0: none.
enum id_kind { ID_NONE, ID_TOKEN, ID_TARGET };
struct bad_id {
  int32_t what, id;
  int64_t row, limit;
};

namespace {

constexpr int ID_THREADS = 1024;
constexpr int EMBEDDING_THREADS = 128;

// One block, so that the first bad row is found without atomics.
__global__ void __launch_bounds__(ID_THREADS) check_ids_kernel(int64_t count, device_pointer<const int32_t> ids,
                                                               int64_t limit, int what, device_pointer<bad_id> bad) {
  int64_t first = count;
  for (int64_t i = threadIdx.x; i < count && first == count; i += ID_THREADS) {
    int32_t id = ids[i];
    if (id < 0 || id >= limit) first = i;
  }
#pragma unroll
  for (int step = WARP_THREADS / 2; step > 0; step /= 2) {
    int64_t other = __shfl_xor_sync(WHOLE_WARP, first, step);
    first = other < first ? other : first;
  }
  shared_pointer<int64_t> firsts = shared_array<int64_t, ID_THREADS / WARP_THREADS, 0>();
  if (threadIdx.x % WARP_THREADS == 0) firsts[threadIdx.x / WARP_THREADS] = first;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int warp = 0; warp < ID_THREADS / WARP_THREADS; warp++) {
    int64_t other = firsts[warp];
    first = other < first ? other : first;
  }
  if (first < count && ((bad_id)bad[0]).what == ID_NONE) bad[0] = bad_id{what, ids[first], first, limit};
}

__device__ __forceinline__ int32_t safe_id(int32_t id, int64_t limit) { return id < 0 || id >= limit ? 0 : id; }

// A block a row.
template <int N>
__global__ void __launch_bounds__(EMBEDDING_THREADS)
    embedding_forward_kernel(int64_t width, int64_t vocabulary, device_pointer<const int32_t> tokens,
                             device_pointer<const float> table, device_pointer<float> residual) {
  int64_t row = blockIdx.x, token = safe_id(tokens[row], vocabulary);
  for (int64_t i = threadIdx.x * N; i < width; i += EMBEDDING_THREADS * N)
    store_floats<N>(residual, row * width + i, load_floats<N>(table, token * width + i));
}

}  // namespace
