// Representing a matrix in one pass over its rows: transform, selection, scale, rounding, gradient mask and, where the
// format says so, the transform back. format_passes.cuh has the passes that it needs sometimes.
#pragma once
#include "kernels/cuda/format_values.cuh"
#include "kernels/cuda/native_encode.cuh"

// What was chosen in a row of its own (SPARSITY_TOP by rows): magnitudes above the threshold, equal ones up to column
// last_tie; the gradient is blocked in [low, high).
struct row_choice {
  float threshold;
  int32_t last_tie;
  float low, high;
};

// What was chosen from several tensors together or from one.
struct tensor_choice {
  float threshold;
  int64_t last_tie;
};

struct represent_call {
  struct quantizer q;
  int64_t rows;
  struct random_place place;  // but for the step, which is read from device memory
  struct row_windows windows;
  float hadamard_scale;   // 1 / sqrt(block)
  bool pruned;            // SPARSITY_RANDOM: as the weights' density says; otherwise nothing is pruned
  bool words;             // rows are whole octets, aligned for 16 bytes
  bool transformed;       // `from` has been through the transform
  bool back;              // transformed back after rounding ...
  bool back_rounds;       // ... to bfloat16
  bool per_unit;          // scales are those in unit_scales
  bool squares;           // those of squares, [row / SQUARE][column / SQUARE]
  native_operand native;  // how codes are written, where they are
};

namespace {

// ---- the scale ----
__device__ __forceinline__ float size_of_unit(const struct quantizer &q, uint32_t most, float squares, int64_t count) {
  return q.rule == SCALE_ABSMAX ? __uint_as_float(most) : sqrtf(squares / (float)count);
}

__device__ __forceinline__ bool sized_by_data(const struct quantizer &q) {
  return q.grid != GRID_NONE && (q.rule == SCALE_ABSMAX || q.rule == SCALE_RMS);
}

// The octet's part of the row, transformed.
template <class From>
__device__ __forceinline__ octet load_transformed(const represent_call &c, device_pointer<const From> from,
                                                  device_pointer<const uint32_t> signs, int64_t row, int64_t column) {
  octet x = load_octet(from, row * c.q.columns, column, c.q.columns, c.words);
  if (c.q.hadamard_block > 1 && !c.transformed) {
    if (signs) apply_signs(x, signs, column, c.q.columns);
    hadamard_octet(x, c.q.hadamard_block, c.hadamard_scale);
  }
  return x;
}

// The largest magnitude and the sum of squares of a row.
template <class From, int WARPS>
__device__ __forceinline__ void measure_row(const represent_call &c, device_pointer<const From> from,
                                            device_pointer<const uint32_t> signs, const row_work<WARPS> &work, octet &x,
                                            uint32_t &most, float &squares) {
  most = 0;
  squares = 0;
  int lane = threadIdx.x % WARP_THREADS;
  for (int64_t chunk = work.first; chunk < c.q.columns; chunk += work.stride) {
    x = load_transformed(c, from, signs, work.row, chunk + lane * OCTET);
    take_octet(x, most, squares);
  }
  most = row_largest<WARPS>(most);
  squares = row_sum<WARPS>(squares);
}

// ---- selection ----
// The n largest of m neighbours, 2, 4 or 8, by their squares; earlier ones first among equals. PAIRS: by the squares of
// pairs. Bits of what is kept.
template <int M, int GROUP>
__device__ __forceinline__ uint32_t keep_within(const octet &x, int n) {
  uint32_t keep = 0;
  constexpr int COUNT = M / GROUP;
#pragma unroll
  for (int at = 0; at < OCTET; at += M) {
    float sizes[COUNT];
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      sizes[i] = 0;
#pragma unroll
      for (int j = 0; j < GROUP; j++)
        sizes[i] = __fadd_rn(sizes[i], __fmul_rn(x.at[at + i * GROUP + j], x.at[at + i * GROUP + j]));
    }
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      int above = 0;
#pragma unroll
      for (int j = 0; j < COUNT; j++)
        if (j != i) above += j < i ? sizes[j] >= sizes[i] : sizes[j] > sizes[i];
      if (above < n) keep |= ((1u << GROUP) - 1) << (at + i * GROUP);
    }
  }
  return keep;
}

// The same for any m, from memory, one column at a time.
template <class From>
__device__ __forceinline__ bool keep_among(const struct quantizer &q, device_pointer<const From> from, int64_t start,
                                           int64_t column, int n, int group) {
  int64_t first = column / q.m * q.m;
  int mine = (int)(column - first) / group, count = q.m / group, above = 0;
  auto size_of = [&](int i) {
    float size = 0;
    for (int j = 0; j < group; j++) {
      float value = to_float(from[start + first + i * group + j]);
      size = __fadd_rn(size, __fmul_rn(value, value));
    }
    return size;
  };
  float size = size_of(mine);
  for (int i = 0; i < count; i++) {
    if (i == mine) continue;
    float other = size_of(i);
    above += i < mine ? other >= size : other > size;
  }
  return above < n;
}

__device__ __forceinline__ uint32_t keep_above(const octet &x, float threshold, int64_t column, int64_t last_tie) {
  uint32_t keep = 0, limit = __float_as_uint(threshold);
#pragma unroll
  for (int j = 0; j < OCTET; j++) {
    uint32_t bits = __float_as_uint(x.at[j]) & 0x7fffffffu;
    // As signed numbers, so that a threshold of no kept value at all (infinity) lets nothing but NaN through.
    if ((int32_t)bits > (int32_t)limit || (bits == limit && column + j <= last_tie)) keep |= 1u << j;
  }
  return keep;
}

template <class From>
__device__ __forceinline__ uint32_t select_octet(const represent_call &c, device_pointer<const From> from,
                                                 const struct tensor_statistics &statistics, const row_choice &choice,
                                                 device_pointer<const format_numbers> numbers,
                                                 shared_pointer<uint32_t> words, const octet &x, int64_t row,
                                                 int64_t chunk, int64_t column) {
  const struct quantizer &q = c.q;
  uint32_t keep = 0;
  switch (q.sparsity) {
    case SPARSITY_NONE:
      return 0xff;
    case SPARSITY_N_M:
    case SPARSITY_PAIRED: {
      bool paired = q.sparsity == SPARSITY_PAIRED;
      int n = paired ? q.n / 2 : q.n;
      if (q.m == 2 && !paired) return keep_within<2, 1>(x, n);
      if (q.m == 4) return paired ? keep_within<4, 2>(x, n) : keep_within<4, 1>(x, n);
      if (q.m == 8) return paired ? keep_within<8, 2>(x, n) : keep_within<8, 1>(x, n);
      for (int j = 0; j < OCTET; j++)
        if (column + j < q.columns && keep_among(q, from, row * q.columns, column + j, n, paired ? 2 : 1))
          keep |= 1u << j;
      return keep;
    }
    case SPARSITY_TOP:
      if (q.scope == SCOPE_ROW) return keep_above(x, choice.threshold, column, choice.last_tie);
      return keep_above(x, statistics.threshold, column, statistics.last_tie - row * q.columns);
    case SPARSITY_RANDOM: {
      // Scores belong to places, not to steps: step 0 of their own stream.
      int64_t blocks = (q.columns + 63) / 64;
      uint64_t limit = 0;
      if (c.pruned) {
        format_numbers n = numbers[0];
        limit = n.random_limit;
      }
      draw_chunk(words, c.place.seed, RANDOM_STREAM_PRUNING, 0,
                 (c.place.tensor << 40) + (uint64_t)(row * blocks * 16 + chunk / 4));
#pragma unroll
      for (int j = 0; j < OCTET; j++)
        if (words[column - chunk + j] >= limit) keep |= 1u << j;
      return keep;
    }
  }
  return keep;
}

// ---- rounding an octet ----
// Grids other than uniform and float ones: levels, vectors, noise. y in the values' units; `inside` as the estimator
// has it. `words` are those of the octet's chunk from place `at` on.
__device__ __forceinline__ octet round_by_tables(const represent_call &c, const grid_tables &tables, const octet &x,
                                                 const octet &scales, shared_pointer<uint32_t> words, int at,
                                                 uint32_t &inside) {
  const struct quantizer &q = c.q;
  octet z, y;
  inside = 0;
  if (q.grid == GRID_NOISE) {
#pragma unroll 1
    for (int j = 0; j < OCTET; j++) {
      // Words of one Philox block stand 16 apart: the first two make the pair of normals of their places.
      int i = at + j, base = i & ~31, lane = i & 15;
      float u = ((float)(words[base + lane] >> 8) + 0.5f) * 0x1p-24f;
      float turns = (float)(words[base + 16 + lane] >> 8) * 0x1p-23f;  // half ones
      float deviation = scales.at[0] * q.noise * sqrtf(-2 * logf(u));
      float noise = __fmul_rn(deviation, i & 16 ? sinpif(turns) : cospif(turns));
      // One column at a time and into place by selects: an index that varies would put the arrays into memory.
#pragma unroll
      for (int k = 0; k < OCTET; k++)
        if (k == j) y.at[k] = __fadd_rn(x.at[k], noise);
    }
    inside = 0xff;
    return y;
  }
#pragma unroll
  for (int j = 0; j < OCTET; j++) z.at[j] = x.at[j] * (1 / scales.at[j]);
  if (q.grid == GRID_VECTOR) {
    y = q.dimension == 2 ? round_to_points<2>(q, tables, z, inside) : round_to_points<4>(q, tables, z, inside);
#pragma unroll
    for (int j = 0; j < OCTET; j++) y.at[j] *= scales.at[j];
    return y;
  }
  bool stochastic = q.rounding == ROUND_STOCHASTIC;
#pragma unroll
  for (int j = 0; j < OCTET; j++) {
    float u = stochastic ? uniform_of(words[at + j]) : 0;
    y.at[j] = round_to_levels(q, tables, z.at[j], stochastic, u) * scales.at[j];
    if (within(q, x.at[j], y.at[j], scales.at[j])) inside |= 1u << j;
  }
  return y;
}

// The squared error of an octet on a grid of floats, of products and sums that are not fused, as on the CPU.
__device__ __forceinline__ float octet_error(const struct quantizer &q, const octet &x, float scale) {
  float sum = 0, inverse = 1 / scale;
#pragma unroll
  for (int j = 0; j < OCTET; j++) {
    float y = __fmul_rn(round_to_float(q, __fmul_rn(x.at[j], inverse), false, 0), scale);
    float apart = __fadd_rn(x.at[j], -y);
    sum = __fadd_rn(sum, __fmul_rn(apart, apart));
  }
  return sum;
}

// The scale of a group whose largest magnitude is `size`, of which the lane has an octet: six as given, or four where
// that errs less over the group's lanes.
__device__ __forceinline__ float four_over_six(const struct quantizer &q, const octet &x, float size, float absmax,
                                               float six) {
  float four = scale_value(&q, 1.5f * size, absmax);
  float error_of_six = lanes_sum(octet_error(q, x, six), q.group / OCTET);
  float error_of_four = lanes_sum(octet_error(q, x, four), q.group / OCTET);
  return error_of_four < error_of_six ? four : six;
}

// MS-EDEN of an octet z = x / scale, `levels` of it to nearest: the scale of the lane's group, corrected over a block
// of the transform, or the group where that is larger, and rounded stochastically by the word of the group's first
// value. kernels/formats/pass_scales.h has it in the same order.
__device__ __forceinline__ float corrected_scale(const struct quantizer &q, const octet &z, const octet &levels,
                                                 float scale, float absmax, shared_pointer<uint32_t> words, int at) {
  float square = 0, product = 0, unit = scale_unit_of_tensor(&q, absmax);
#pragma unroll
  for (int j = 0; j < OCTET; j++) {
    square = __fadd_rn(square, __fmul_rn(z.at[j], z.at[j]));
    product = __fadd_rn(product, __fmul_rn(z.at[j], levels.at[j]));
  }
  int lanes = (q.hadamard_block > q.group ? q.hadamard_block : q.group) / OCTET;
  square = lanes_sum(square, lanes);
  product = lanes_sum(product, lanes);
  float correction = product == 0 ? 1.0f : square / product;
  float code = __fmul_rn(nearest_e4m3(scale / unit), correction);
  return __fmul_rn(stochastic_e4m3(code, uniform_of(words[at / q.group * q.group])), unit);
}

// ---- the pass ----
// GENERAL: every grid, selection and unit of scales; otherwise uniform and float grids with scales of tensors, rows, or
// groups of 8 to 256 columns. ENCODE, of the latter: the codes and scales of a native product too, or instead of
// values. The launch bounds name the blocks of a multiprocessor that registers are shared by; without, the compiler
// spills a few to make room for one more.
template <class From, class To, bool GENERAL, int WARPS, bool ENCODE = false>
__global__ void __launch_bounds__(FORMAT_THREADS, GENERAL ? 2 : 3)
    represent_kernel(represent_call c, device_pointer<const From> from, device_pointer<To> to,
                     device_pointer<uint8_t> mask, device_pointer<const uint32_t> signs,
                     device_pointer<const format_numbers> numbers,
                     device_pointer<const struct tensor_statistics> of_tensor, grid_tables tables,
                     device_pointer<const float> unit_scales, device_pointer<const row_choice> choices,
                     device_pointer<uint8_t> codes, device_pointer<uint8_t> block_scales,
                     device_pointer<float> scale_numbers) {
  const struct quantizer &q = c.q;
  row_work<WARPS> work = work_of_warp<WARPS>();
  if (work.row >= c.rows) return;  // all warps of the row
  int lane = threadIdx.x % WARP_THREADS;
  int64_t row = work.row, columns = q.columns, octets = (columns + 7) / 8, blocks = (columns + 63) / 64;
  struct tensor_statistics statistics = {};
  int64_t window = window_of_row(&c.windows, row), number = c.place.first_row + row_number(&c.windows, row);
  if (of_tensor) statistics = of_tensor[window];
  row_choice choice = {};
  if (GENERAL && choices) choice = choices[row];
  bool stochastic = q.rounding == ROUND_STOCHASTIC, corrected = !GENERAL && q.rounding == ROUND_EDEN,
       random = stochastic || corrected || (GENERAL && q.grid == GRID_NOISE);
  uint64_t step = 0;
  if (random) {
    format_numbers n = numbers[0];
    step = n.step;
  }
  bool conditions = q.limit < INFINITY && q.grid != GRID_NONE;
  shared_pointer<uint32_t> words =
      shared_array<uint32_t, FORMAT_WARPS * CHUNK, 0>() + threadIdx.x / WARP_THREADS * CHUNK;

  // A scale of the row needs the row first; what is one chunk a warp stays in registers where few are needed.
  octet x;
  float scale = 1;
  bool by_group = q.unit == SCALE_PER_GROUP && !c.per_unit && sized_by_data(q), held = false;
  if (q.grid != GRID_NONE && !by_group && !c.squares && !(GENERAL && c.per_unit)) {
    float size = q.rule == SCALE_ABSMAX ? statistics.absmax : q.rule == SCALE_RMS ? statistics.rms : statistics.learned;
    if (q.unit == SCALE_PER_ROW && sized_by_data(q)) {
      uint32_t most;
      float squares;
      measure_row<From, WARPS>(c, from, signs, work, x, most, squares);
      size = size_of_unit(q, most, squares, columns);
      held = !GENERAL && columns <= work.stride;  // registers are short otherwise
    }
    scale = scale_value(&q, size, statistics.absmax);
  }
  for (int64_t chunk = work.first; chunk < columns; chunk += work.stride) {
    int64_t column = chunk + lane * OCTET;
    if (!held) x = load_transformed(c, from, signs, row, column);
    if (!GENERAL && c.squares)
      scale = column < columns ? (float)unit_scales[row / SQUARE * ((columns + SQUARE - 1) / SQUARE) + column / SQUARE]
                               : 1.0f;
    if (by_group) {
      uint32_t most = 0;
      float squares = 0;
      take_octet(x, most, squares);
      most = warp_largest(most, q.group / OCTET);
      squares = lanes_sum(squares, q.group / OCTET);
      int64_t first = column / q.group * q.group, count = columns - first < q.group ? columns - first : q.group;
      float size = size_of_unit(q, most, squares, count > 0 ? count : 1);
      scale = scale_value(&q, size, statistics.absmax);
      if (q.four_over_six) scale = four_over_six(q, x, size, statistics.absmax, scale);
    }
    uint32_t keep = 0xff, pass = 0xff;
    if constexpr (GENERAL) {
      if (q.sparsity != SPARSITY_NONE)
        keep = select_octet(c, from, statistics, choice, numbers, words, x, row, chunk, column);
    }
    if (random)
      draw_chunk(words, c.place.seed, GENERAL && q.grid == GRID_NOISE ? RANDOM_STREAM_NOISE : RANDOM_STREAM_ROUNDING,
                 step, (c.place.tensor << 40) + (uint64_t)(number * blocks * 16 + chunk / 4));
    int at = lane * OCTET;
    octet y, levels = {};
    if (q.grid == GRID_UNIFORM || q.grid == GRID_FLOAT) {
      bool uniform = q.grid == GRID_UNIFORM;
      pass = 0;
#pragma unroll
      for (int j = 0; j < OCTET; j++) {
        float s = scale;
        if constexpr (GENERAL) {
          int64_t units = (columns + q.group - 1) / (q.group ? q.group : 1);
          if (c.per_unit) s = column + j < columns ? (float)unit_scales[row * units + (column + j) / q.group] : 1.0f;
        }
        float z = x.at[j] * (1 / s), u = 0;
        if (stochastic) u = uniform_of(words[at + j]);
        float rounded = uniform ? round_to_uniform(q, z, stochastic, u) : round_to_float(q, z, stochastic, u);
        y.at[j] = rounded * s;
        if constexpr (ENCODE) levels.at[j] = rounded;
        if (within(q, x.at[j], y.at[j], s)) pass |= 1u << j;
        if constexpr (GENERAL) {
          if (q.backward == SPARSE_TRUST && !(keep >> j & 1))
            pass = (pass & ~(1u << j)) | (within(q, x.at[j], 0, s) ? 1u << j : 0);
        }
      }
    } else if constexpr (GENERAL) {
      if (q.grid == GRID_NONE) {
        y = x;
      } else {
        octet scales;
        int64_t units = (columns + q.group - 1) / (q.group ? q.group : 1);
#pragma unroll
        for (int j = 0; j < OCTET; j++) {
          scales.at[j] = scale;
          if (c.per_unit)
            scales.at[j] = column + j < columns ? (float)unit_scales[row * units + (column + j) / q.group] : 1.0f;
        }
        y = round_by_tables(c, tables, x, scales, words, at, pass);
        if (q.backward == SPARSE_TRUST) {
#pragma unroll
          for (int j = 0; j < OCTET; j++)
            if (!(keep >> j & 1)) pass = (pass & ~(1u << j)) | (within(q, x.at[j], 0, scales.at[j]) ? 1u << j : 0);
        }
      }
    }
    if constexpr (!GENERAL) {
      if (corrected) {
        octet z, near;
        float inverse = 1 / scale;
#pragma unroll
        for (int j = 0; j < OCTET; j++) {
          z.at[j] = __fmul_rn(x.at[j], inverse);
          near.at[j] = round_to_float(q, z.at[j], false, 0);
        }
        scale = corrected_scale(q, z, near, scale, statistics.absmax, words, at);
#pragma unroll
        for (int j = 0; j < OCTET; j++) y.at[j] = __fmul_rn(near.at[j], scale);
      }
    }
    if (!conditions) pass = 0xff;
    if constexpr (GENERAL) {
      if (q.sparsity != SPARSITY_NONE) {
        float low = q.scope == SCOPE_ROW ? choice.low : statistics.band.low;
        float high = q.scope == SCOPE_ROW ? choice.high : statistics.band.high;
        bool by_size = q.backward == SPARSE_RMS || q.backward == SPARSE_BAND || q.backward == SPARSE_BAND_SHARE;
        if (q.backward == SPARSE_FORWARD) pass &= keep;
#pragma unroll
        for (int j = 0; j < OCTET; j++) {
          float size = magnitude(x.at[j]);
          if (!(keep >> j & 1)) y.at[j] = 0;
          if (by_size && size >= low && size < high) pass &= ~(1u << j);
        }
      }
    }
    if (c.back) {
#pragma unroll
      for (int j = 0; j < OCTET; j++)
        if (c.back_rounds) y.at[j] = to_float(from_float<bfloat16>(y.at[j]));
      hadamard_octet(y, q.hadamard_block, c.hadamard_scale);
      if (signs) apply_signs(y, signs, column, columns);
    }
    if constexpr (ENCODE) {
      store_codes(c.native, codes, row, column, columns, levels);
      // Of windows in turns codes are those of the whole transposed matrix.
      int64_t turns = c.windows.in_turns && c.windows.count > 1 ? c.windows.count : 1;
      bool first = row == row_of_window(&c.windows, window, 0);
      if (column < columns)
        store_scale(c.native, q, block_scales, scale_numbers, row / turns, column + (turns > 1 ? window * columns : 0),
                    columns * turns, scale, statistics.absmax, first && column == 0, window);
    }
    if (!ENCODE || to) store_octet(to, row * columns, column, columns, c.words, y);
    if (mask && column < columns) {
      if (column + OCTET > columns) pass &= (1u << (columns - column)) - 1;
      mask[row * octets + column / OCTET] = (uint8_t)pass;
    }
  }
}

}  // namespace
