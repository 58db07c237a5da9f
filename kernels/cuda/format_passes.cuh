// Passes over a matrix in addition to the one that represents it: what is known of a whole tensor, scales of groups
// that are not whole octets, gradients of learned scales, transforms and masks alone, transposition.
#pragma once
#include "kernels/cuda/format_represent.cuh"

namespace {

// ---- what is known of a whole tensor ----
// Each row's largest magnitude and sum of squares. Does nothing where *unless is there and not 0.
template <class From, int WARPS>
__global__ void __launch_bounds__(FORMAT_THREADS)
    row_statistics_kernel(represent_call c, device_pointer<const From> from, device_pointer<const uint32_t> signs,
                          device_pointer<const float> unless, device_pointer<uint32_t> row_absmax,
                          device_pointer<float> row_squares) {
  row_work<WARPS> work = work_of_warp<WARPS>();
  if (work.row >= c.rows || (unless && (float)unless[0] != 0)) return;
  octet x;
  uint32_t most;
  float squares;
  measure_row<From, WARPS>(c, from, signs, work, x, most, squares);
  if (threadIdx.x % WARP_THREADS == 0 && work.first == 0) {
    row_absmax[work.row] = most;
    row_squares[work.row] = squares;
  }
}

constexpr int TENSOR_THREADS = 256;
// Each window's statistics from those of its rows, by one block: sums in double in a fixed order.
struct tensor_call {
  struct tensor_statistics known;  // what the host knows
  struct row_windows windows;      // a block each
  int64_t rows, columns;           // of a window
  bool measured;                   // rows have been measured
  bool band;                       // where the selection blocks gradients is wanted
  bool unset_only;                 // rows have been measured only if the learned scale was 0
  double first_scale;              // of a learned scale, over the root mean square ...
  double first_of_absmax;          // ... or, above 0, over the largest magnitude
  int64_t tie_offset;              // of the tensor's first value in what was chosen from
  enum sparsity_backward backward;
  double backward_parameter, quantile;  // normal_quantile(1/2 + parameter)
};
// x with P(X < x) = p of a normal variable, by Newton's method between bounds.
__device__ inline double normal_quantile_of(double p) {
  bool upper = p > 0.5;
  double tail = upper ? 1 - p : p, low = -40, high = 0, x = 0;
  for (int i = 0; i < 100; i++) {
    double excess = 0.5 * erfc(-x * 0.70710678118654752440) - tail;
    if (excess > 0)
      high = x;
    else
      low = x;
    double slope = 0.3989422804014326779 * exp(-0.5 * x * x), next = x - excess / slope;
    if (!(next > low && next < high)) next = 0.5 * (low + high);
    if (fabs(next - x) <= 1e-16 * fabs(x)) break;
    x = next;
  }
  return upper ? -x : x;
}

__device__ inline struct blocked_band blocked_band_of(const tensor_call &c, double threshold, double rms) {
  double low = 0, high = threshold, other = rms * c.quantile;
  switch (c.backward) {
    case SPARSE_FORWARD:
      break;
    case SPARSE_RMS:
      high = other;
      break;
    case SPARSE_BAND:
      low = fmin(other, threshold);
      high = fmax(other, threshold);
      break;
    case SPARSE_BAND_SHARE: {
      double below = 0.5 * erfc(-threshold / rms * 0.70710678118654752440);
      low = rms > 0 ? rms * normal_quantile_of(0.5 + c.backward_parameter * (below - 0.5)) : 0;
      break;
    }
    case SPARSE_PASS:
    case SPARSE_TRUST:
      high = 0;
      break;
  }
  return {(float)low, (float)high};
}

__global__ void __launch_bounds__(TENSOR_THREADS)
    tensor_statistics_kernel(tensor_call c, device_pointer<const uint32_t> row_absmax,
                             device_pointer<const float> row_squares, device_pointer<const tensor_choice> choice,
                             device_pointer<float> learned, device_pointer<struct tensor_statistics> out) {
  shared_pointer<uint32_t> largest = shared_array<uint32_t, TENSOR_THREADS, 12>();
  double squares = 0;
  uint32_t most = 0;
  float value = learned ? (float)learned[0] : 0.0f;
  if (c.measured && !(c.unset_only && value != 0))
    for (int64_t at = threadIdx.x; at < c.rows; at += TENSOR_THREADS) {
      int64_t row = row_of_window(&c.windows, blockIdx.x, at);
      squares += (double)(float)row_squares[row];
      most = larger(most, row_absmax[row]);
    }
  squares = block_sum<double, TENSOR_THREADS, 13>(squares);
  largest[threadIdx.x] = most;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int i = 1; i < TENSOR_THREADS; i++) most = larger(most, largest[i]);
  struct tensor_statistics s = c.known;
  double rms = sqrt(squares / (double)(c.rows * c.columns));
  s.absmax = squares == squares ? __uint_as_float(most) : NAN;
  s.rms = (float)rms;
  if (learned) {
    if (value == 0) {
      value = c.first_of_absmax > 0 ? (float)(fmax((double)s.absmax, 1e-12) * c.first_of_absmax)
                                    : (float)(fmax(rms, 1e-12) * c.first_scale);
      learned[0] = value;
    }
    s.learned = learned_scale(value);
  }
  if (choice) {
    tensor_choice chosen = choice[0];
    s.threshold = chosen.threshold;
    s.last_tie = chosen.last_tie - c.tie_offset;
  }
  if (c.band) s.band = blocked_band_of(c, (double)s.threshold, (double)s.rms);
  out[blockIdx.x] = s;
}

// ---- scales of groups that are not 8, 16, ... 256 columns ----
constexpr int UNIT_THREADS = 128;
template <class From>
__global__ void __launch_bounds__(UNIT_THREADS)
    unit_scales_kernel(represent_call c, device_pointer<const From> from,
                       device_pointer<const struct tensor_statistics> of_tensor, device_pointer<float> scales) {
  const struct quantizer &q = c.q;
  int64_t units = (q.columns + q.group - 1) / q.group;
  int64_t unit = (int64_t)blockIdx.x * (UNIT_THREADS / WARP_THREADS) + threadIdx.x / WARP_THREADS;
  if (unit >= units * c.rows) return;
  int lane = threadIdx.x % WARP_THREADS;
  int64_t row = unit / units, first = unit % units * q.group;
  int64_t end = first + q.group < q.columns ? first + q.group : q.columns;
  uint32_t most = 0;
  float squares = 0;
  for (int64_t i = first + lane; i < end; i += WARP_THREADS) {
    float x = to_float(from[row * q.columns + i]);
    most = larger(most, __float_as_uint(x) & 0x7fffffffu);
    squares += x * x;
  }
  most = warp_largest(most, WARP_THREADS);
  squares = warp_sum(squares);
  float absmax = 0;
  if (of_tensor) {
    struct tensor_statistics s = of_tensor[window_of_row(&c.windows, row)];
    absmax = s.absmax;
  }
  if (lane == 0) scales[unit] = scale_value(&q, size_of_unit(q, most, squares, end - first), absmax);
}

// ---- scales of squares ----
// A warp a square: its lanes are the octets of the sixteen rows. What lies outside the matrix counts as 0.
template <class From>
__global__ void __launch_bounds__(UNIT_THREADS)
    square_scales_kernel(represent_call c, device_pointer<const From> from,
                         device_pointer<const struct tensor_statistics> of_tensor, device_pointer<float> scales) {
  const struct quantizer &q = c.q;
  int64_t across = (q.columns + SQUARE - 1) / SQUARE, down = (c.rows + SQUARE - 1) / SQUARE;
  int64_t square = (int64_t)blockIdx.x * (UNIT_THREADS / WARP_THREADS) + threadIdx.x / WARP_THREADS;
  if (square >= across * down) return;
  int lane = threadIdx.x % WARP_THREADS;
  int64_t row = square / across * SQUARE + lane / 2, column = square % across * SQUARE + lane % 2 * OCTET;
  octet x = {};
  if (row < c.rows) x = load_octet(from, row * q.columns, column, q.columns, c.words);
  uint32_t most = 0;
  float squares = 0, absmax = 0;
  take_octet(x, most, squares);
  float size = __uint_as_float(warp_largest(most, WARP_THREADS));
  if (of_tensor) {
    struct tensor_statistics s = of_tensor[0];  // weights: one window
    absmax = s.absmax;
  }
  float scale = scale_value(&q, size, absmax);
  if (q.four_over_six) {
    float four = scale_value(&q, 1.5f * size, absmax);
    float error_of_six = lanes_sum(octet_error(q, x, scale), WARP_THREADS);
    if (lanes_sum(octet_error(q, x, four), WARP_THREADS) < error_of_six) scale = four;
  }
  if (lane == 0) scales[square] = scale;
}

// ---- learned scales ----
// Each row's sum of gradient * d y / d scale; see struct learned_call.
template <class From, class Gradient>
__global__ void __launch_bounds__(FORMAT_THREADS)
    learned_rows_kernel(represent_call c, device_pointer<const From> from, device_pointer<const Gradient> gradient,
                        device_pointer<const float> learned, device_pointer<double> row_sums) {
  const struct quantizer &q = c.q;
  row_work<1> work = work_of_warp<1>();
  if (work.row >= c.rows) return;
  int lane = threadIdx.x % WARP_THREADS;
  float scale = scale_value(&q, learned_scale(learned[0]), 0), inverse = 1 / scale;
  double sum = 0;
  for (int64_t column = lane * OCTET; column < q.columns; column += CHUNK) {
    octet x = load_octet(from, work.row * q.columns, column, q.columns, c.words);
    octet g = load_octet(gradient, work.row * q.columns, column, q.columns, c.words);
#pragma unroll
    for (int j = 0; j < OCTET; j++) {
      float z = x.at[j] * inverse, y = __fmul_rn(round_to_uniform(q, z, false, 0), scale);
      float slope = z < q.learned_low ? q.low : z > q.learned_high ? q.high : __fadd_rn(__fmul_rn(y, inverse), -z);
      if (column + j < q.columns) sum += (double)(g.at[j] * slope);
    }
  }
  sum = warp_sum(sum);
  if (lane == 0) row_sums[work.row] = sum;
}

// LSQ's gradient times 1 / root.
__global__ void __launch_bounds__(TENSOR_THREADS)
    learned_sum_kernel(int64_t rows, double root, device_pointer<const double> row_sums,
                       device_pointer<const float> learned, device_pointer<float> d_learned) {
  double sum = 0;
  for (int64_t row = threadIdx.x; row < rows; row += TENSOR_THREADS) sum += row_sums[row];
  sum = block_sum<double, TENSOR_THREADS, 0>(sum);
  if (threadIdx.x == 0) d_learned[0] += (float)(((float)learned[0] < 0 ? -sum : sum) / root);
}

// ---- transforms and transposition ----
// A warp a chunk. Forward: signs, then Hadamard. Inverse: masked values, Hadamard, signs. `to` may be `from`.
struct transform_pass {
  int64_t rows, columns;
  int block;  // 1: masks alone
  float scale;
  bool inverse, words;
};
template <class From, class To>
__global__ void __launch_bounds__(FORMAT_THREADS)
    transform_kernel(transform_pass c, device_pointer<const From> from, device_pointer<To> to,
                     device_pointer<const uint8_t> mask, device_pointer<const uint32_t> signs) {
  int64_t chunks = (c.columns + CHUNK - 1) / CHUNK;
  int64_t item = (int64_t)blockIdx.x * FORMAT_WARPS + threadIdx.x / WARP_THREADS;
  if (item >= chunks * c.rows) return;
  int64_t row = item / chunks, column = item % chunks * CHUNK + threadIdx.x % WARP_THREADS * OCTET;
  octet x = load_octet(from, row * c.columns, column, c.columns, c.words);
  if (mask && column < c.columns) {
    uint32_t bits = mask[row * ((c.columns + 7) / 8) + column / OCTET];
#pragma unroll
    for (int j = 0; j < OCTET; j++)
      if (!(bits >> j & 1)) x.at[j] = 0;
  }
  if (signs && !c.inverse) apply_signs(x, signs, column, c.columns);
  if (c.block > 1) hadamard_octet(x, c.block, c.scale);
  if (signs && c.inverse) apply_signs(x, signs, column, c.columns);
  store_octet(to, row * c.columns, column, c.columns, c.words, x);
}

// Words 4 block .. 4 block + 3 are Philox's, or SIGNED_HADAMARD twice (`same`): see quantizer_signs.
__global__ void __launch_bounds__(ELEMENT_THREADS)
    hadamard_signs_kernel(int64_t blocks, bool same, uint64_t seed, uint64_t tensor,
                          device_pointer<const format_numbers> numbers, device_pointer<uint32_t> signs) {
  format_numbers n = numbers[0];
  for (int64_t block = first_piece(); block < blocks; block += piece_stride()) {
    uint32_t w[4];
    if (!same) philox_words(seed, RANDOM_STREAM_HADAMARD, n.step, (tensor << 40) + (uint64_t)block, w);
#pragma unroll
    for (int i = 0; i < 4; i++) signs[4 * block + i] = same ? SIGNED_HADAMARD << 16 | SIGNED_HADAMARD : w[i];
  }
}

constexpr int TRANSPOSE_TILE = 32, TRANSPOSE_ROWS = 8;
// to [columns, rows] = from [rows, columns] transposed.
template <class T>
__global__ void __launch_bounds__(TRANSPOSE_TILE *TRANSPOSE_ROWS)
    transpose_kernel(int64_t rows, int64_t columns, device_pointer<const T> from, device_pointer<T> to) {
  shared_pointer<T> tile = shared_array<T, TRANSPOSE_TILE *(TRANSPOSE_TILE + 1), 0>();
  int x = threadIdx.x % TRANSPOSE_TILE, y = threadIdx.x / TRANSPOSE_TILE;
  int64_t column_tiles = (columns + TRANSPOSE_TILE - 1) / TRANSPOSE_TILE;
  int64_t row = (int64_t)blockIdx.x / column_tiles * TRANSPOSE_TILE;
  int64_t column = (int64_t)blockIdx.x % column_tiles * TRANSPOSE_TILE;
#pragma unroll
  for (int i = y; i < TRANSPOSE_TILE; i += TRANSPOSE_ROWS)
    if (row + i < rows && column + x < columns)
      tile[i * (TRANSPOSE_TILE + 1) + x] = from[(row + i) * columns + column + x];
  __syncthreads();
#pragma unroll
  for (int i = y; i < TRANSPOSE_TILE; i += TRANSPOSE_ROWS)
    if (row + x < rows && column + i < columns) to[(column + i) * rows + row + x] = tile[x * (TRANSPOSE_TILE + 1) + i];
}

}  // namespace
