// Representing values on the GPU, scalar by scalar: the arithmetic of kernels/formats/pass_round.h, operation for
// operation, so that equal scales give equal bits. A warp holds a chunk of 256 columns of a row, eight adjacent ones a
// lane: 16 bytes of bfloat16, one byte of a gradient mask, and whole Hadamard blocks.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/elementwise.cuh"

namespace {

constexpr int OCTET = 8;
constexpr int CHUNK = OCTET * WARP_THREADS;
constexpr int FORMAT_WARPS = 4;
constexpr int FORMAT_THREADS = FORMAT_WARPS * WARP_THREADS;

using octet = floats<OCTET>;

// ---- memory ----
__device__ __forceinline__ octet load_octet_word(device_pointer<const float> p, int64_t i) {
  return load_floats<OCTET>(p, i);
}

__device__ __forceinline__ octet load_octet_word(device_pointer<const bfloat16> p, int64_t i) {
  uint4 word = load_word<uint4>(p, i);
  uint32_t halves[4] = {word.x, word.y, word.z, word.w};
  octet values;
#pragma unroll
  for (int j = 0; j < OCTET; j++)
    values.at[j] = __uint_as_float(j % 2 ? halves[j / 2] & 0xffff0000u : halves[j / 2] << 16);
  return values;
}

__device__ __forceinline__ void store_octet_word(device_pointer<float> p, int64_t i, const octet &values) {
  store_floats<OCTET>(p, i, values);
}

__device__ __forceinline__ void store_octet_word(device_pointer<bfloat16> p, int64_t i, const octet &v) {
  store_word(p, i,
             uint4{bfloat16_pair(v.at[0], v.at[1]), bfloat16_pair(v.at[2], v.at[3]), bfloat16_pair(v.at[4], v.at[5]),
                   bfloat16_pair(v.at[6], v.at[7])});
}

// Columns column .. column + 7 of the row that begins at element `start`; 0 behind its end. `words`: rows are whole
// octets and aligned for 16 byte accesses.
template <class T>
__device__ __forceinline__ octet load_octet(device_pointer<const T> p, int64_t start, int64_t column, int64_t columns,
                                            bool words) {
  octet values;
  if (words && column < columns) return load_octet_word(p, start + column);
#pragma unroll
  for (int j = 0; j < OCTET; j++) values.at[j] = column + j < columns ? to_float(p[start + column + j]) : 0.0f;
  return values;
}

template <class T>
__device__ __forceinline__ void store_octet(device_pointer<T> p, int64_t start, int64_t column, int64_t columns,
                                            bool words, const octet &values) {
  if (column >= columns) return;
  if (words) return store_octet_word(p, start + column, values);
#pragma unroll
  for (int j = 0; j < OCTET; j++)
    if (column + j < columns) p[start + column + j] = from_float<T>(values.at[j]);
}

// ---- transform ----
// The orthonormal Hadamard transform of blocks of up to 256 columns: pairs at distances 1, 2, 4 within a lane, from 8
// on between lanes. `scale` is 1 / sqrt(block).
__device__ __forceinline__ void hadamard_octet(octet &x, int block, float scale) {
#pragma unroll
  for (int distance = 1; distance < OCTET; distance *= 2) {
    if (distance >= block) break;
#pragma unroll
    for (int j = 0; j < OCTET; j++)
      if (!(j & distance)) {
        float a = x.at[j], b = x.at[j + distance];
        x.at[j] = a + b;
        x.at[j + distance] = a - b;
      }
  }
  int lane = threadIdx.x % WARP_THREADS;
  for (int distance = OCTET; distance < block; distance *= 2) {
    bool second = lane & (distance / OCTET);
#pragma unroll
    for (int j = 0; j < OCTET; j++) {
      float other = __shfl_xor_sync(WHOLE_WARP, x.at[j], distance / OCTET);
      x.at[j] = second ? other - x.at[j] : other + x.at[j];
    }
  }
#pragma unroll
  for (int j = 0; j < OCTET; j++) x.at[j] *= scale;
}

// Signs of a random transform are bits: that of column c is bit c % 32 of word c / 32.
__device__ __forceinline__ void apply_signs(octet &x, device_pointer<const uint32_t> signs, int64_t column,
                                            int64_t columns) {
  if (column >= columns) return;
  uint32_t bits = signs[column / 32] >> column % 32;
#pragma unroll
  for (int j = 0; j < OCTET; j++) x.at[j] = __uint_as_float(__float_as_uint(x.at[j]) ^ (bits >> j << 31));
}

// ---- rounding ----
__device__ __forceinline__ float round_even(float a) { return __fadd_rn(__fadd_rn(a, 12582912.0f), -12582912.0f); }

__device__ __forceinline__ float round_down(float a) {
  float near = round_even(a);
  return near > a ? near - 1.0f : near;
}

__device__ __forceinline__ float magnitude(float a) { return __uint_as_float(__float_as_uint(a) & 0x7fffffffu); }
__device__ __forceinline__ float uniform_of(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

// z in units of the scale to the nearest level, or one of its neighbours by u in [0, 1); a NaN stays one.
__device__ __forceinline__ float round_to_uniform(const struct quantizer &q, float z, bool stochastic, float u) {
  float offset = q.first - floorf(q.first), inside = q.low > z ? q.low : z;
  float t = (q.high < inside ? q.high : inside) - offset;
  if (!stochastic) {
    float y = round_even(t) + offset;
    return magnitude(y) == quantizer_tie(&q) ? copysignf(y, z) : y;
  }
  float below = round_down(t);
  return below + (u < t - below ? 1.0f : 0.0f) + offset;
}

__device__ __forceinline__ float round_to_float(const struct quantizer &q, float z, bool stochastic, float u) {
  int bias = (1 << (q.exponent_bits - 1)) - 1;
  float size = magnitude(z), t = q.high < size ? q.high : size;
  uint32_t exponent = __float_as_uint(t) & 0x7f800000u, least = (uint32_t)(127 + 1 - bias) << 23;
  if (exponent < least) exponent = least;
  uint32_t step = exponent - ((uint32_t)q.mantissa_bits << 23);
  float units = t * __uint_as_float((254u << 23) - step), near;
  if (stochastic) {
    float below = round_down(units);
    near = below + (u < units - below ? 1.0f : 0.0f);
  } else {
    near = round_even(units);
  }
  return __uint_as_float(__float_as_uint(near * __uint_as_float(step)) | (__float_as_uint(z) & 0x80000000u));
}

// Whether the gradient passes, by the estimator; y in the values' units.
__device__ __forceinline__ bool within(const struct quantizer &q, float x, float y, float scale) {
  return magnitude(__fadd_rn(x - q.blend * y, -__fmul_rn(q.center, scale))) <= q.limit * scale;
}

// The scale behind a learned parameter: the optimizer may step over 0, where the grid, symmetric, is turned round.
__device__ __forceinline__ float learned_scale(float parameter) { return fmaxf(fabsf(parameter), 1e-12f); }

// Tables of a grid in device memory: see struct quantizer.
struct grid_tables {
  device_pointer<const float> levels, edges, points, half_norms;
};

__device__ __forceinline__ float round_to_levels(const struct quantizer &q, const grid_tables &tables, float z,
                                                 bool stochastic, float u) {
  if (!stochastic) z = below_zero(z);
  int low = 0, high = q.count - 1;  // the level lies in [low, high]
  while (low < high) {
    int middle = (low + high) / 2;
    float edge = stochastic ? tables.levels[middle + 1] : tables.edges[middle];
    if (z >= edge)
      low = middle + 1;
    else
      high = middle;
  }
  float level = tables.levels[low];
  if (stochastic && z > level && low + 1 < q.count) {
    float above = tables.levels[low + 1];
    if (u * (above - level) < __fadd_rn(z, -level)) level = above;  // z is a product: not fused, as on the CPU
  }
  return z == z ? level : z;
}

// The nearest points to an octet's groups of DIMENSION neighbours, in units of the scale; bits of `inside` are set
// where a group lies within the limit.
template <int DIMENSION>
__device__ __forceinline__ octet round_to_points(const struct quantizer &q, const grid_tables &tables, const octet &z,
                                                 uint32_t &inside) {
  constexpr int GROUPS = OCTET / DIMENSION;
  float best[GROUPS], norm[GROUPS];
  int index[GROUPS];
#pragma unroll
  for (int g = 0; g < GROUPS; g++) {
    best[g] = -INFINITY;
    norm[g] = 0;
    index[g] = 0;
#pragma unroll
    for (int d = 0; d < DIMENSION; d++) norm[g] = fmaf(z.at[g * DIMENSION + d], z.at[g * DIMENSION + d], norm[g]);
  }
  for (int point = 0; point < q.count; point++) {
    float half = -tables.half_norms[point], coordinate[DIMENSION];
#pragma unroll
    for (int d = 0; d < DIMENSION; d++) coordinate[d] = tables.points[d * q.count + point];
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      float score = half;
#pragma unroll
      for (int d = 0; d < DIMENSION; d++) score = fmaf(z.at[g * DIMENSION + d], coordinate[d], score);
      if (score > best[g]) {
        best[g] = score;
        index[g] = point;
      }
    }
  }
  octet y;
  float limit = q.limit * q.limit;
  inside = 0;
#pragma unroll
  for (int g = 0; g < GROUPS; g++) {
    if (norm[g] <= limit) inside |= ((1u << DIMENSION) - 1) << g * DIMENSION;
#pragma unroll
    for (int d = 0; d < DIMENSION; d++)
      y.at[g * DIMENSION + d] = norm[g] == norm[g] ? (float)tables.points[d * q.count + index[g]] : NAN;
  }
  return y;
}

// ---- randomness ----
// The words of a row's chunk in shared memory, CHUNK of them for each warp, as struct random_place lays them out: word
// c is that of column c of the chunk. A lane draws two Philox blocks of four words.
__device__ __forceinline__ void draw_chunk(shared_pointer<uint32_t> words, uint64_t seed, uint32_t stream,
                                           uint64_t step, uint64_t first_block) {
  int lane = threadIdx.x % WARP_THREADS;
  __syncwarp();
#pragma unroll 1
  for (int i = lane; i < CHUNK / 4; i += WARP_THREADS) {
    uint32_t w[4];
    philox_words(seed, stream, step, first_block + (uint64_t)i, w);
#pragma unroll
    for (int word = 0; word < 4; word++) words[i / 16 * 64 + word * 16 + i % 16] = w[word];
  }
  __syncwarp();
}

// ---- sums over rows ----
// A row is WARPS warps' work: one, or all of the block.
__device__ __forceinline__ uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

__device__ __forceinline__ uint32_t warp_largest(uint32_t value, int lanes) {
  for (int step = lanes / 2; step > 0; step /= 2) value = larger(value, __shfl_xor_sync(WHOLE_WARP, value, step));
  return value;
}

__device__ __forceinline__ float lanes_sum(float value, int lanes) {
  for (int step = lanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(WHOLE_WARP, value, step);
  return value;
}

template <int WARPS>
__device__ __forceinline__ float row_sum(float value) {
  if constexpr (WARPS == 1) return warp_sum(value);
  return block_sum<float, FORMAT_THREADS, 10>(value);
}

// Magnitudes compare as their bits do; a NaN is the largest.
template <int WARPS>
__device__ __forceinline__ uint32_t row_largest(uint32_t value) {
  value = warp_largest(value, WARP_THREADS);
  if constexpr (WARPS > 1) {
    shared_pointer<uint32_t> most = shared_array<uint32_t, WARPS, 11>();
    if (threadIdx.x % WARP_THREADS == 0) most[threadIdx.x / WARP_THREADS] = value;
    __syncthreads();
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++) value = larger(value, most[warp]);
    __syncthreads();
  }
  return value;
}

// Adds an octet to the largest magnitude and to the sum of squares.
__device__ __forceinline__ void take_octet(const octet &x, uint32_t &most, float &squares) {
#pragma unroll
  for (int j = 0; j < OCTET; j++) {
    most = larger(most, __float_as_uint(x.at[j]) & 0x7fffffffu);
    squares += x.at[j] * x.at[j];
  }
}

// Which row a warp works on, and where its chunks begin and how far apart they are.
template <int WARPS>
struct row_work {
  int64_t row;
  int64_t first, stride;
};
template <int WARPS>
__device__ __forceinline__ row_work<WARPS> work_of_warp() {
  int warp = threadIdx.x / WARP_THREADS;
  return {(int64_t)blockIdx.x * (FORMAT_WARPS / WARPS) + warp / WARPS, warp % WARPS * (int64_t)CHUNK,
          (int64_t)WARPS * CHUNK};
}

inline dim3 row_blocks(int64_t rows, int warps) { return dim3((unsigned)ceil_div(rows, FORMAT_WARPS / warps)); }

}  // namespace
