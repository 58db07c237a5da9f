// Causal attention in bfloat16 on tensor cores, for head dimensions from 16 to 128 that are multiples of 8 (DIM is the
// dimension rounded up; columns beyond are 0): float32 sums, online softmax (Milakov & Gimelshein 2018; Dao et al.
// 2022) in powers of two. Tiles come by cp.async into two buffers, one while the other is used, with one barrier a
// tile; tiles that are wholly masked are not visited. Backward runs over the tiles twice, for the queries' gradient and
// for the keys' and values', so that every sum has one owner and a fixed order; attention.cuh says what the kernels
// compute.
// Shapes: q, d_q [sequences, heads, context, head_dim], k and v likewise with kv_heads; o, d_o [rows, heads *
// head_dim]; log_sum [sequences, heads, context] float32.
#pragma once
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_tiles.cuh"

namespace {

constexpr float LOG2_E = 1.44269504088896341f;
constexpr float LN_2 = 0.693147180559945309f;

// Launch bounds name the blocks of a multiprocessor that registers are shared by; without, the compiler spills a few to
// make room for one more.

// What a block of query rows works on.
struct query_block {
  int64_t item, sequence, head, kv_base, o_base;
  int first, warp_row, warp, lane;
};
__device__ __forceinline__ query_block query_block_of(const struct attention &shape) {
  query_block b;
  b.item = blockIdx.y;
  b.sequence = b.item / shape.heads;
  b.head = b.item % shape.heads;
  b.kv_base = (b.sequence * shape.kv_heads + b.head / (shape.heads / shape.kv_heads)) * shape.context * shape.head_dim;
  b.o_base = (b.sequence * shape.context * shape.heads + b.head) * shape.head_dim;
  // The last tiles see the most keys: they begin first.
  b.first = (int)(gridDim.x - 1 - blockIdx.x) * MMA_ROWS;
  b.warp = threadIdx.x / WARP_THREADS;
  b.lane = threadIdx.x % WARP_THREADS;
  b.warp_row = b.warp * 16 + b.lane / 4;  // and 8 below it
  return b;
}

// -infinity where a key lies behind its query: a lane's first row is `ahead` rows ahead of its first column.
template <int COLUMNS>
__device__ __forceinline__ void mask_scores(float (&s)[COLUMNS / 8][4], int ahead) {
#pragma unroll
  for (int n = 0; n < COLUMNS / 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (ahead < n * 8 + i % 2 - i / 2 * 8) s[n][i] = -INFINITY;
}

// Grid: query tiles, sequences * heads.
template <int DIM>
__host__ __device__ constexpr size_t mma_forward_bytes() {
  return mma_tile_bytes<DIM>(MMA_ROWS + 4 * MMA_COLUMNS<DIM>);
}

template <int DIM>
__global__ void __launch_bounds__(MMA_THREADS, 3)
    attention_mma_forward_kernel(struct attention shape, float scale, device_pointer<const bfloat16> q,
                                 device_pointer<const bfloat16> k, device_pointer<const bfloat16> v,
                                 device_pointer<bfloat16> o, device_pointer<float> log_sum) {
  constexpr int COLUMNS = MMA_COLUMNS<DIM>;
  constexpr size_t TILE = mma_tile_bytes<DIM>(COLUMNS), OWN = mma_tile_bytes<DIM>(MMA_ROWS);
  constexpr int ELEMENTS = COLUMNS * MMA_PITCH<DIM>;
  query_block b = query_block_of(shape);
  int dim = (int)shape.head_dim;
  int context = (int)shape.context, row = b.first + b.warp_row, warp_end = b.first + b.warp * 16 + 16;
  int end = b.first + MMA_ROWS < context ? b.first + MMA_ROWS : context;  // keys that any row sees
  shared_pointer<bfloat16> queries = shared_memory<bfloat16>(0, MMA_ROWS * MMA_PITCH<DIM>);
  shared_pointer<bfloat16> keys = shared_memory<bfloat16>(OWN, 2 * ELEMENTS);
  shared_pointer<bfloat16> values = shared_memory<bfloat16>(OWN + 2 * TILE, 2 * ELEMENTS);
  warp_rows<DIM> mine;
  float output[DIM / 8][4] = {}, maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {};
  float scale2 = scale * LOG2_E;

  begin_tile<DIM, MMA_ROWS>(queries, q, b.item * context * dim, dim, b.first, context, dim);
  tile_source<DIM, COLUMNS> key_tiles, value_tiles;
  key_tiles.open(k, b.kv_base, dim, 0, context, dim);
  value_tiles.open(v, b.kv_base, dim, 0, context, dim);
  key_tiles.begin(keys);
  value_tiles.begin(values);
  copy_async_commit();
  int buffer = 0;
  for (int block = 0; block < end; block += COLUMNS, buffer ^= 1) {
    copy_async_wait<0>();
    __syncthreads();  // this tile is there for all, and nobody reads the one before any more
    if (block == 0) mine.open(queries);
    if (block + COLUMNS < end) {
      key_tiles.begin(keys + (buffer ^ 1) * ELEMENTS);
      value_tiles.begin(values + (buffer ^ 1) * ELEMENTS);
      copy_async_commit();
    }
    if (block >= warp_end) continue;
    float s[COLUMNS / 8][4];
    multiply_transposed<DIM, COLUMNS>(s, mine, keys + buffer * ELEMENTS);
    // Rows beyond the context are computed with the others and not stored; they see key 0 at least.
    if (block + COLUMNS > warp_end - 15) mask_scores<COLUMNS>(s, row - block - b.lane % 4 * 2);
    float top[2] = {maximum[0], maximum[1]}, part[2] = {};
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) top[i / 2] = fmaxf(top[i / 2], s[n][i]);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      top[half] = quad_max(top[half]);
      float factor = exp2_normal((maximum[half] - top[half]) * scale2);
      maximum[half] = top[half];
      sum[half] *= factor;
#pragma unroll
      for (int n = 0; n < DIM / 8; n++) {
        output[n][2 * half] *= factor;
        output[n][2 * half + 1] *= factor;
      }
    }
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) part[i / 2] += s[n][i] = exp2_normal((s[n][i] - maximum[i / 2]) * scale2);
    sum[0] += part[0];  // of this lane's columns; over the row at the end
    sum[1] += part[1];
    add_product<DIM, COLUMNS>(output, s, values + buffer * ELEMENTS);
  }
  float inverse[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    sum[half] = quad_sum(sum[half]);
    inverse[half] = 1.0f / sum[half];
    if (b.lane % 4 == 0 && row + 8 * half < context)
      log_sum[b.item * context + row + 8 * half] = maximum[half] * scale + logf(sum[half]);
  }
  store_rows<DIM>(output, inverse, queries, o, b.o_base, shape.heads * dim, b.first, context, dim);
}

// dots [sequences, heads, context] = rowsum(d_o * o): eight lanes a row, 16 bytes each at a time.
constexpr int DOT_LANES = 8;
__global__ void __launch_bounds__(MMA_THREADS)
    attention_mma_dots_kernel(struct attention shape, device_pointer<const bfloat16> o,
                              device_pointer<const bfloat16> d_o, device_pointer<float> dots) {
  int64_t count = shape.sequences * shape.heads * shape.context;
  int64_t index = (int64_t)blockIdx.x * (MMA_THREADS / DOT_LANES) + threadIdx.x / DOT_LANES;
  float sum = 0;
  if (index < count) {
    // In the order of o: heads of a row, adjacent.
    for (int64_t d = threadIdx.x % DOT_LANES * 8; d < shape.head_dim; d += DOT_LANES * 8) {
      floats<8> a = load_floats<8>(o, index * shape.head_dim + d), b = load_floats<8>(d_o, index * shape.head_dim + d);
#pragma unroll
      for (int j = 0; j < 8; j++) sum += a.at[j] * b.at[j];
    }
  }
#pragma unroll
  for (int step = DOT_LANES / 2; step > 0; step /= 2) sum += __shfl_xor_sync(WHOLE_WARP, sum, step);
  if (index >= count || threadIdx.x % DOT_LANES != 0) return;
  int64_t row = index / shape.heads, head = index % shape.heads;
  dots[(row / shape.context * shape.heads + head) * shape.context + row % shape.context] = sum;
}

// dS = P (dP - D), dQ = dS K scale. Grid: query tiles, sequences * heads.
template <int DIM>
__host__ __device__ constexpr size_t mma_query_gradient_bytes() {
  return mma_tile_bytes<DIM>(2 * MMA_ROWS + 4 * MMA_COLUMNS<DIM>);
}

template <int DIM>
__global__ void __launch_bounds__(MMA_THREADS, 2)
    attention_mma_query_gradient_kernel(struct attention shape, float scale, device_pointer<const bfloat16> q,
                                        device_pointer<const bfloat16> k, device_pointer<const bfloat16> v,
                                        device_pointer<const bfloat16> d_o, device_pointer<const float> log_sum,
                                        device_pointer<const float> dots, device_pointer<bfloat16> d_q) {
  constexpr int COLUMNS = MMA_COLUMNS<DIM>;
  constexpr size_t TILE = mma_tile_bytes<DIM>(COLUMNS), OWN = mma_tile_bytes<DIM>(MMA_ROWS);
  constexpr int ELEMENTS = COLUMNS * MMA_PITCH<DIM>;
  query_block b = query_block_of(shape);
  int dim = (int)shape.head_dim;
  int context = (int)shape.context, row = b.first + b.warp_row, warp_end = b.first + b.warp * 16 + 16;
  int end = b.first + MMA_ROWS < context ? b.first + MMA_ROWS : context;
  shared_pointer<bfloat16> queries = shared_memory<bfloat16>(0, MMA_ROWS * MMA_PITCH<DIM>);
  shared_pointer<bfloat16> gradients = shared_memory<bfloat16>(OWN, MMA_ROWS * MMA_PITCH<DIM>);
  shared_pointer<bfloat16> keys = shared_memory<bfloat16>(2 * OWN, 2 * ELEMENTS);
  shared_pointer<bfloat16> values = shared_memory<bfloat16>(2 * OWN + 2 * TILE, 2 * ELEMENTS);
  warp_rows<DIM> mine, mine_gradients;
  float result[DIM / 8][4] = {}, row_log_sum[2], row_dot[2], scale2 = scale * LOG2_E;

  begin_tile<DIM, MMA_ROWS>(queries, q, b.item * context * dim, dim, b.first, context, dim);
  begin_tile<DIM, MMA_ROWS>(gradients, d_o, b.o_base, shape.heads * dim, b.first, context, dim);
  tile_source<DIM, COLUMNS> key_tiles, value_tiles;
  key_tiles.open(k, b.kv_base, dim, 0, context, dim);
  value_tiles.open(v, b.kv_base, dim, 0, context, dim);
  key_tiles.begin(keys);
  value_tiles.begin(values);
  copy_async_commit();
#pragma unroll
  for (int half = 0; half < 2; half++) {
    // Rows beyond the context have queries, output gradients and dots of 0: nothing comes of them.
    bool there = row + 8 * half < context;
    row_log_sum[half] = there ? log_sum[b.item * context + row + 8 * half] * LOG2_E : 0.0f;
    row_dot[half] = there ? (float)dots[b.item * context + row + 8 * half] : 0.0f;
  }
  int buffer = 0;
  for (int block = 0; block < end; block += COLUMNS, buffer ^= 1) {
    copy_async_wait<0>();
    __syncthreads();
    if (block == 0) {
      mine.open(queries);
      mine_gradients.open(gradients);
    }
    if (block + COLUMNS < end) {
      key_tiles.begin(keys + (buffer ^ 1) * ELEMENTS);
      value_tiles.begin(values + (buffer ^ 1) * ELEMENTS);
      copy_async_commit();
    }
    if (block >= warp_end) continue;
    float s[COLUMNS / 8][4], d_p[COLUMNS / 8][4];
    multiply_transposed<DIM, COLUMNS>(s, mine, keys + buffer * ELEMENTS);
    if (block + COLUMNS > warp_end - 15) mask_scores<COLUMNS>(s, row - block - b.lane % 4 * 2);
    multiply_transposed<DIM, COLUMNS>(d_p, mine_gradients, values + buffer * ELEMENTS);
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++)
        s[n][i] = exp2_normal(fmaf(s[n][i], scale2, -row_log_sum[i / 2])) * (d_p[n][i] - row_dot[i / 2]);
    add_product<DIM, COLUMNS>(result, s, keys + buffer * ELEMENTS);
  }
  float factor[2] = {scale, scale};
  store_rows<DIM>(result, factor, queries, d_q, b.item * context * dim, dim, b.first, context, dim);
}

// dV = P^T dO, dK = dS^T Q scale. A block's rows are keys; it goes over all query heads that read them and all queries
// at or behind them. Grid: key tiles, sequences * kv_heads.
__device__ __forceinline__ floats<2> load_pair(shared_pointer<const float> p, int i) {
  uint2 word = load_word<uint2>(p, i);
  return {{__uint_as_float(word.x), __uint_as_float(word.y)}};
}

template <int DIM>
__host__ __device__ constexpr size_t mma_key_gradient_bytes() {
  return mma_tile_bytes<DIM>(2 * MMA_ROWS + 4 * MMA_COLUMNS<DIM>) + sizeof(float) * 4 * MMA_COLUMNS<DIM>;
}

template <int DIM>
__global__ void __launch_bounds__(MMA_THREADS, 2)
    attention_mma_key_gradient_kernel(struct attention shape, float scale, device_pointer<const bfloat16> q,
                                      device_pointer<const bfloat16> k, device_pointer<const bfloat16> v,
                                      device_pointer<const bfloat16> d_o, device_pointer<const float> log_sum,
                                      device_pointer<const float> dots, device_pointer<bfloat16> d_k,
                                      device_pointer<bfloat16> d_v) {
  constexpr int COLUMNS = MMA_COLUMNS<DIM>;
  constexpr size_t TILE = mma_tile_bytes<DIM>(COLUMNS), OWN = mma_tile_bytes<DIM>(MMA_ROWS);
  constexpr int ELEMENTS = COLUMNS * MMA_PITCH<DIM>;
  int dim = (int)shape.head_dim, warp = threadIdx.x / WARP_THREADS, lane = threadIdx.x % WARP_THREADS;
  int context = (int)shape.context, first = (int)blockIdx.x * MMA_ROWS, warp_first = first + warp * 16;
  int64_t item = blockIdx.y, sequence = item / shape.kv_heads;
  int64_t group = shape.heads / shape.kv_heads, first_head = item % shape.kv_heads * group;
  shared_pointer<bfloat16> keys = shared_memory<bfloat16>(0, MMA_ROWS * MMA_PITCH<DIM>);
  shared_pointer<bfloat16> values = shared_memory<bfloat16>(OWN, MMA_ROWS * MMA_PITCH<DIM>);
  shared_pointer<bfloat16> queries = shared_memory<bfloat16>(2 * OWN, 2 * ELEMENTS);
  shared_pointer<bfloat16> gradients = shared_memory<bfloat16>(2 * OWN + 2 * TILE, 2 * ELEMENTS);
  // Of each buffer's queries: log-sums in powers of two, then dots. A thread has one of them.
  shared_pointer<float> statistics = shared_memory<float>(2 * OWN + 4 * TILE, 4 * COLUMNS);
  static_assert(2 * COLUMNS <= MMA_THREADS, "a thread a number");
  warp_rows<DIM> mine, mine_values;
  float key_result[DIM / 8][4] = {}, value_result[DIM / 8][4] = {}, scale2 = scale * LOG2_E;

  // Tiles of queries, head after head. What the next tile is made of, and this thread's number of it: read before this
  // tile is worked on, put down behind that.
  tile_source<DIM, COLUMNS> query_tiles, gradient_tiles;
  int64_t head = first_head;
  int next = context;  // first query of the next tile; from the context on there is none of this head any more
  float statistic = 0;
  bool counted = threadIdx.x < 2 * COLUMNS;
  device_pointer<const float> numbers = threadIdx.x < COLUMNS ? log_sum : dots;
  auto open_head = [&] {
    query_tiles.open(q, (sequence * shape.heads + head) * context * dim, dim, first, context, dim);
    gradient_tiles.open(d_o, (sequence * context * shape.heads + head) * dim, shape.heads * dim, first, context, dim);
    next = first;
  };
  auto begin = [&](int to) {
    query_tiles.begin(queries + to * ELEMENTS);
    gradient_tiles.begin(gradients + to * ELEMENTS);
    copy_async_commit();
    // Queries beyond the context and their output gradients are 0: nothing comes of them.
    int query = next + (int)threadIdx.x % COLUMNS;
    statistic = counted && query < context ? (float)numbers[(sequence * shape.heads + head) * context + query] : 0.0f;
    next += COLUMNS;
  };
  auto put_statistic = [&](int to) {
    if (counted)
      statistics[to * 2 * COLUMNS + (int)threadIdx.x] = threadIdx.x < COLUMNS ? statistic * LOG2_E : statistic;
  };
  begin_tile<DIM, MMA_ROWS>(keys, k, item * context * dim, dim, first, context, dim);
  begin_tile<DIM, MMA_ROWS>(values, v, item * context * dim, dim, first, context, dim);
  open_head();
  begin(0);
  put_statistic(0);
  int buffer = 0;
  for (bool opened = false, more = true; more; buffer ^= 1) {
    copy_async_wait<0>();
    __syncthreads();
    if (!opened) {
      mine.open(keys);
      mine_values.open(values);
      opened = true;
    }
    int block = next - COLUMNS;
    if (next >= context && head + 1 < first_head + group) {
      head++;
      open_head();
    }
    more = next < context;
    if (more) begin(buffer ^ 1);
    if (warp_first < block + COLUMNS) {
      shared_pointer<const float> log_sums = statistics + (buffer * 2 * COLUMNS + lane % 4 * 2);
      float p[COLUMNS / 8][4], d_s[COLUMNS / 8][4];
      multiply_transposed<DIM, COLUMNS>(p, mine, queries + buffer * ELEMENTS);
#pragma unroll
      for (int n = 0; n < COLUMNS / 8; n++) {
        floats<2> of = load_pair(log_sums, n * 8);
#pragma unroll
        for (int i = 0; i < 4; i++) p[n][i] = exp2_normal(fmaf(p[n][i], scale2, -of.at[i % 2]));
      }
      if (warp_first + 15 > block) {
        // Queries before a key do not see it.
        int behind = warp_first + lane / 4 - block - lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < COLUMNS / 8; n++)
#pragma unroll
          for (int i = 0; i < 4; i++)
            if (behind > n * 8 + i % 2 - i / 2 * 8) p[n][i] = 0;
      }
      multiply_transposed<DIM, COLUMNS>(d_s, mine_values, gradients + buffer * ELEMENTS);
      add_product<DIM, COLUMNS>(value_result, p, gradients + buffer * ELEMENTS);
#pragma unroll
      for (int n = 0; n < COLUMNS / 8; n++) {
        floats<2> dot = load_pair(log_sums, COLUMNS + n * 8);
#pragma unroll
        for (int i = 0; i < 4; i++) d_s[n][i] = p[n][i] * (d_s[n][i] - dot.at[i % 2]);
      }
      add_product<DIM, COLUMNS>(key_result, d_s, queries + buffer * ELEMENTS);
    }
    if (more) put_statistic(buffer ^ 1);
  }
  float factor[2] = {scale, scale}, one[2] = {1, 1};
  store_rows<DIM>(key_result, factor, keys, d_k, item * context * dim, dim, first, context, dim);
  store_rows<DIM>(value_result, one, values, d_v, item * context * dim, dim, first, context, dim);
}

}  // namespace
