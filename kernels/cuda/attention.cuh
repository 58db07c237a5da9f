// Causal attention for any even head dimension up to 128 and both dtypes, in float32 arithmetic: a block works on
// TILE_ROWS rows, eight lanes a row, against tiles of as many columns that it holds in shared memory. Scores never
// leave the block. Forward keeps a running maximum and sum (Milakov & Gimelshein 2018; Dao et al. 2022); backward
// rebuilds the probabilities from the saved log-sums, once for the queries' gradient and once for the keys' and
// values', so that no sum crosses blocks.
// Shapes: q, d_q [sequences, heads, context, head_dim], k and v likewise with kv_heads; o, d_o [rows, heads *
// head_dim]; log_sum [sequences, heads, context] float32.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/portable.cuh"

namespace {

constexpr int TILE_ROWS = 32;
constexpr int ROW_LANES = 8;
constexpr int TILE_THREADS = TILE_ROWS * ROW_LANES;
constexpr int SCORE_STRIDE = TILE_ROWS + 1;  // floats: rows start in different banks
constexpr int ROW_SCORES = TILE_ROWS / ROW_LANES;

// Floats of a tile of TILE_ROWS vectors of head_dim; padded, so that rows start in different banks.
__host__ __device__ __forceinline__ int tile_stride(int64_t head_dim) { return (int)head_dim + 1; }

inline size_t attention_shared_bytes(int64_t head_dim, int tiles, int scores) {
  return sizeof(float) * (size_t)(tiles * TILE_ROWS * tile_stride(head_dim) + scores * TILE_ROWS * SCORE_STRIDE);
}

// Rows [first, first + TILE_ROWS) of a matrix whose rows are `stride` apart, as floats times `factor`; beyond `end` 0.
template <class T>
__device__ __forceinline__ void load_tile(shared_pointer<float> tile, device_pointer<const T> from, int64_t base,
                                          int64_t stride, int64_t first, int64_t end, int dim, float factor) {
  int pitch = tile_stride(dim);
  for (int i = threadIdx.x; i < TILE_ROWS * dim; i += TILE_THREADS) {
    int row = i / dim, d = i % dim;
    tile[row * pitch + d] = first + row < end ? to_float((T)from[base + (first + row) * stride + d]) * factor : 0.0f;
  }
}

__device__ __forceinline__ float dot_rows(shared_pointer<const float> a, int a_row, shared_pointer<const float> b,
                                          int b_row, int dim) {
  int pitch = tile_stride(dim);
  float sum = 0;
  for (int d = 0; d < dim; d++) sum += a[a_row * pitch + d] * b[b_row * pitch + d];
  return sum;
}

__device__ __forceinline__ float row_lanes_sum(float value) {
#pragma unroll
  for (int step = ROW_LANES / 2; step > 0; step /= 2) value += __shfl_xor_sync(WHOLE_WARP, value, step);
  return value;
}

__device__ __forceinline__ float row_lanes_max(float value) {
#pragma unroll
  for (int step = ROW_LANES / 2; step > 0; step /= 2) {
    float other = __shfl_xor_sync(WHOLE_WARP, value, step);
    value = other > value ? other : value;
  }
  return value;
}

// Attention over `cache`, which of attention within the rows are these themselves (its keys and capacity the context).
// Grid: query tiles, sequences * heads. DIM: head_dim rounded up, what a row's lanes have accumulators for.
template <class T, int DIM>
__global__ void __launch_bounds__(TILE_THREADS)
    attention_forward_kernel(struct attention shape, float scale, struct attention_cache cache,
                             device_pointer<const T> q, device_pointer<const T> k, device_pointer<const T> v,
                             device_pointer<T> o, device_pointer<float> log_sum) {
  int dim = (int)shape.head_dim, pitch = tile_stride(dim);
  int row = threadIdx.x / ROW_LANES, lane = threadIdx.x % ROW_LANES;
  int64_t item = blockIdx.y, sequence = item / shape.heads, head = item % shape.heads, context = shape.context;
  int64_t kv_base = (sequence * shape.kv_heads + head / (shape.heads / shape.kv_heads)) * cache.capacity * dim;
  int64_t first = (int64_t)blockIdx.x * TILE_ROWS, position = first + row, keys_there = cache.keys;
  // The last key that the row sees, and the tile's last row.
  int64_t seen = cache.all ? keys_there - 1 : keys_there - context + position;
  int64_t last = cache.all ? keys_there - 1 : keys_there - context + first + TILE_ROWS - 1;
  size_t tile_floats = (size_t)TILE_ROWS * pitch;
  shared_pointer<float> queries = shared_memory<float>(0, tile_floats);
  shared_pointer<float> keys = shared_memory<float>(tile_floats * 4, tile_floats);
  shared_pointer<float> values = shared_memory<float>(tile_floats * 8, tile_floats);
  shared_pointer<float> scores = shared_memory<float>(tile_floats * 12, TILE_ROWS * SCORE_STRIDE);
  float output[DIM / ROW_LANES] = {}, maximum = -INFINITY, sum = 0;

  load_tile<T>(queries, q, item * context * dim, dim, first, context, dim, scale);
  for (int64_t block = 0; block <= last && block < keys_there; block += TILE_ROWS) {
    __syncthreads();
    load_tile<T>(keys, k, kv_base, dim, block, keys_there, dim, 1);
    load_tile<T>(values, v, kv_base, dim, block, keys_there, dim, 1);
    __syncthreads();
    float s[ROW_SCORES], top = -INFINITY;
#pragma unroll
    for (int i = 0; i < ROW_SCORES; i++) {
      int column = i * ROW_LANES + lane;
      // Rows beyond the context are computed with the others and not stored; they see key 0 at least.
      s[i] = block + column <= seen ? dot_rows(queries, row, keys, column, dim) : -INFINITY;
      top = s[i] > top ? s[i] : top;
    }
    top = row_lanes_max(top);
    top = top > maximum ? top : maximum;
    float factor = expf(maximum - top), part = 0;
    maximum = top;
#pragma unroll
    for (int i = 0; i < ROW_SCORES; i++) {
      float p = expf(s[i] - maximum);
      part += p;
      scores[row * SCORE_STRIDE + i * ROW_LANES + lane] = p;
    }
    sum = sum * factor + row_lanes_sum(part);
    __syncwarp();  // a row's lanes are in one warp
#pragma unroll
    for (int i = 0; i < DIM / ROW_LANES; i++) {
      int d = i * ROW_LANES + lane;
      if (d >= dim) break;
      float total = output[i] * factor;
      for (int column = 0; column < TILE_ROWS; column++)
        total += scores[row * SCORE_STRIDE + column] * values[column * pitch + d];
      output[i] = total;
    }
  }
  float here = maximum + logf(sum), share = 1.0f / sum, other = 0;
  if (cache.merge) {
    float there = position < context ? (float)log_sum[item * context + position] : here;
    float both = (here > there ? here : there) + log1pf(expf(-fabsf(here - there)));
    share *= expf(here - both);
    other = expf(there - both);
    here = both;
  }
  __syncwarp();  // all lanes of a row have read its sum
  if (position >= context) return;
#pragma unroll
  for (int i = 0; i < DIM / ROW_LANES; i++) {
    int d = i * ROW_LANES + lane;
    int64_t to = ((sequence * context + position) * shape.heads + head) * dim + d;
    if (d < dim) o[to] = from_float<T>(output[i] * share + (cache.merge ? to_float((T)o[to]) * other : 0.0f));
  }
  if (lane == 0) log_sum[item * context + position] = here;
}

// dots [sequences, heads, context] = rowsum(d_o * o): a warp a row.
template <class T>
__global__ void __launch_bounds__(TILE_THREADS)
    attention_dots_kernel(struct attention shape, device_pointer<const T> o, device_pointer<const T> d_o,
                          device_pointer<float> dots) {
  int64_t index = (int64_t)blockIdx.x * (TILE_THREADS / WARP_THREADS) + threadIdx.x / WARP_THREADS;
  if (index >= shape.sequences * shape.heads * shape.context) return;
  int64_t position = index % shape.context, head = index / shape.context % shape.heads;
  int64_t sequence = index / shape.context / shape.heads;
  int64_t from = ((sequence * shape.context + position) * shape.heads + head) * shape.head_dim;
  float sum = 0;
  for (int64_t d = threadIdx.x % WARP_THREADS; d < shape.head_dim; d += WARP_THREADS)
    sum += to_float((T)o[from + d]) * to_float((T)d_o[from + d]);
  sum = warp_sum(sum);
  if (threadIdx.x % WARP_THREADS == 0) dots[index] = sum;
}

// With P = exp(S - log_sum), dP = dO V^T and D = dots:  dS = P (dP - D), dQ = dS K scale.
// Grid: query tiles, sequences * heads.
template <class T, int DIM>
__global__ void __launch_bounds__(TILE_THREADS)
    attention_query_gradient_kernel(struct attention shape, float scale, device_pointer<const T> q,
                                    device_pointer<const T> k, device_pointer<const T> v, device_pointer<const T> d_o,
                                    device_pointer<const float> log_sum, device_pointer<const float> dots,
                                    device_pointer<T> d_q) {
  int dim = (int)shape.head_dim, pitch = tile_stride(dim);
  int row = threadIdx.x / ROW_LANES, lane = threadIdx.x % ROW_LANES;
  int64_t item = blockIdx.y, sequence = item / shape.heads, head = item % shape.heads, context = shape.context;
  int64_t kv_base = (sequence * shape.kv_heads + head / (shape.heads / shape.kv_heads)) * context * dim;
  int64_t first = (int64_t)blockIdx.x * TILE_ROWS, position = first + row;
  size_t tile_floats = (size_t)TILE_ROWS * pitch;
  // Queries and output gradients stay in the block; keys and values take turns in one tile.
  shared_pointer<float> queries = shared_memory<float>(0, tile_floats);
  shared_pointer<float> gradients = shared_memory<float>(tile_floats * 4, tile_floats);
  shared_pointer<float> columns = shared_memory<float>(tile_floats * 8, tile_floats);
  shared_pointer<float> scores = shared_memory<float>(tile_floats * 12, TILE_ROWS * SCORE_STRIDE);
  bool valid = position < context;
  float row_log_sum = valid ? (float)log_sum[item * context + position] : 0.0f;
  float row_dot = valid ? (float)dots[item * context + position] : 0.0f, result[DIM / ROW_LANES] = {};

  load_tile<T>(queries, q, item * context * dim, dim, first, context, dim, scale);
  load_tile<T>(gradients, d_o, (sequence * context * shape.heads + head) * dim, shape.heads * dim, first, context, dim,
               1);
  for (int64_t block = 0; block < first + TILE_ROWS && block < context; block += TILE_ROWS) {
    __syncthreads();
    load_tile<T>(columns, v, kv_base, dim, block, context, dim, 1);
    __syncthreads();
    float d_p[ROW_SCORES];
#pragma unroll
    for (int i = 0; i < ROW_SCORES; i++) d_p[i] = dot_rows(gradients, row, columns, i * ROW_LANES + lane, dim);
    __syncthreads();
    load_tile<T>(columns, k, kv_base, dim, block, context, dim, 1);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < ROW_SCORES; i++) {
      int column = i * ROW_LANES + lane;
      float d_s = 0;
      if (valid && block + column <= position)
        d_s = expf(dot_rows(queries, row, columns, column, dim) - row_log_sum) * (d_p[i] - row_dot);
      scores[row * SCORE_STRIDE + column] = d_s;
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < DIM / ROW_LANES; i++) {
      int d = i * ROW_LANES + lane;
      if (d >= dim) break;
      float total = result[i];
      for (int column = 0; column < TILE_ROWS; column++)
        total += scores[row * SCORE_STRIDE + column] * columns[column * pitch + d];
      result[i] = total;
    }
  }
  if (!valid) return;
#pragma unroll
  for (int i = 0; i < DIM / ROW_LANES; i++) {
    int d = i * ROW_LANES + lane;
    if (d < dim) d_q[(item * context + position) * dim + d] = from_float<T>(result[i] * scale);
  }
}

// dV = P^T dO, dK = dS^T Q scale. A block's rows are keys; it goes over all query heads that read them and all queries
// at or behind them. Grid: key tiles, sequences * kv_heads.
template <class T, int DIM>
__global__ void __launch_bounds__(TILE_THREADS)
    attention_key_gradient_kernel(struct attention shape, float scale, device_pointer<const T> q,
                                  device_pointer<const T> k, device_pointer<const T> v, device_pointer<const T> d_o,
                                  device_pointer<const float> log_sum, device_pointer<const float> dots,
                                  device_pointer<T> d_k, device_pointer<T> d_v) {
  int dim = (int)shape.head_dim, pitch = tile_stride(dim);
  int row = threadIdx.x / ROW_LANES, lane = threadIdx.x % ROW_LANES;
  int64_t item = blockIdx.y, sequence = item / shape.kv_heads, context = shape.context;
  int64_t group = shape.heads / shape.kv_heads, first_head = item % shape.kv_heads * group;
  int64_t first = (int64_t)blockIdx.x * TILE_ROWS, position = first + row;
  size_t tile_floats = (size_t)TILE_ROWS * pitch;
  shared_pointer<float> keys = shared_memory<float>(0, tile_floats);
  shared_pointer<float> columns = shared_memory<float>(tile_floats * 4, tile_floats);  // queries, then d_o
  shared_pointer<float> scores = shared_memory<float>(tile_floats * 8, TILE_ROWS * SCORE_STRIDE);
  float key_result[DIM / ROW_LANES] = {}, value_result[DIM / ROW_LANES] = {};
  bool valid = position < context;

  for (int64_t member = 0; member < group; member++) {
    int64_t head = first_head + member, q_item = sequence * shape.heads + head;
    for (int64_t block = first; block < context; block += TILE_ROWS) {
      // P^T of this tile, from keys and queries.
      __syncthreads();
      load_tile<T>(keys, k, item * context * dim, dim, first, context, dim, 1);
      load_tile<T>(columns, q, q_item * context * dim, dim, block, context, dim, scale);
      __syncthreads();
      float p[ROW_SCORES];
#pragma unroll
      for (int i = 0; i < ROW_SCORES; i++) {
        int64_t query = block + i * ROW_LANES + lane;
        p[i] = valid && query < context && position <= query
                   ? expf(dot_rows(keys, row, columns, i * ROW_LANES + lane, dim) - log_sum[q_item * context + query])
                   : 0.0f;
        scores[row * SCORE_STRIDE + i * ROW_LANES + lane] = p[i];
      }
      // dV += P^T dO, and dP from values and output gradients.
      __syncthreads();
      load_tile<T>(keys, v, item * context * dim, dim, first, context, dim, 1);
      load_tile<T>(columns, d_o, (sequence * context * shape.heads + head) * dim, shape.heads * dim, block, context,
                   dim, 1);
      __syncthreads();
#pragma unroll
      for (int i = 0; i < DIM / ROW_LANES; i++) {
        int d = i * ROW_LANES + lane;
        if (d >= dim) break;
        float total = value_result[i];
        for (int column = 0; column < TILE_ROWS; column++)
          total += scores[row * SCORE_STRIDE + column] * columns[column * pitch + d];
        value_result[i] = total;
      }
#pragma unroll
      for (int i = 0; i < ROW_SCORES; i++) {
        int64_t query = block + i * ROW_LANES + lane;
        if (p[i] != 0) p[i] *= dot_rows(keys, row, columns, i * ROW_LANES + lane, dim) - dots[q_item * context + query];
      }
      // dK += dS^T Q.
      __syncthreads();
      load_tile<T>(columns, q, q_item * context * dim, dim, block, context, dim, scale);
#pragma unroll
      for (int i = 0; i < ROW_SCORES; i++) scores[row * SCORE_STRIDE + i * ROW_LANES + lane] = p[i];
      __syncthreads();
#pragma unroll
      for (int i = 0; i < DIM / ROW_LANES; i++) {
        int d = i * ROW_LANES + lane;
        if (d >= dim) break;
        float total = key_result[i];
        for (int column = 0; column < TILE_ROWS; column++)
          total += scores[row * SCORE_STRIDE + column] * columns[column * pitch + d];
        key_result[i] = total;
      }
    }
  }
  if (!valid) return;
#pragma unroll
  for (int i = 0; i < DIM / ROW_LANES; i++) {
    int d = i * ROW_LANES + lane;
    if (d >= dim) break;
    d_k[(item * context + position) * dim + d] = from_float<T>(key_result[i]);
    d_v[(item * context + position) * dim + d] = from_float<T>(value_result[i]);
  }
}

}  // namespace
