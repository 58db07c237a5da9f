// The directions of the discrete cosine transform that hold most of a matrix. See dct_basis in kernels/ops.h.
// Shapes: x, transformed [rows, columns]; all [side, side], side the smaller of the two; scores, places, ranks [side];
// chosen, came_from [rank]; basis [rank, side].
#pragma once
#include "kernels/cuda/matrices.cuh"

namespace {

// basis[j, i] = sqrt(2 / side) cos(pi k (2 i + 1) / (2 side)), with k = 0 over sqrt(2), k being chosen[j], or j; the
// angle is brought into one turn first.
__global__ void __launch_bounds__(ELEMENT_THREADS)
    cosines_kernel(int64_t count, int64_t side, device_pointer<const int32_t> chosen, device_pointer<float> basis) {
  for (int64_t at = first_piece(); at < count * side; at += piece_stride()) {
    int64_t i = at % side, k = chosen ? (int64_t)chosen[at / side] : at / side, angle = k * (2 * i + 1) % (4 * side);
    double value = k ? sqrt(2 / (double)side) * cos(3.14159265358979323846 * (double)angle / (2 * (double)side))
                     : 1 / sqrt((double)side);
    basis[at] = (float)value;
  }
}

// A block a direction: a column of a tall matrix, a row of a wide one.
__global__ void __launch_bounds__(SQUARE_THREADS)
    score_kernel(int64_t length, int64_t direction_stride, int64_t element_stride, bool squares,
                 device_pointer<const float> transformed, device_pointer<double> scores) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < length; i += SQUARE_THREADS) {
    double value = (float)transformed[blockIdx.x * direction_stride + i * element_stride];
    sum += squares ? value * value : fabs(value);
  }
  sum = block_sum<double, SQUARE_THREADS, 0>(sum);
  if (threadIdx.x == 0) scores[blockIdx.x] = sum;
}

// ranks[j]: how many directions come before j, of larger scores or of equal ones with a smaller number. A block each.
__global__ void __launch_bounds__(SQUARE_THREADS)
    rank_kernel(int64_t side, device_pointer<const double> scores, device_pointer<int32_t> ranks) {
  int64_t j = blockIdx.x;
  double own = scores[j], before = 0;
  for (int64_t i = threadIdx.x; i < side; i += SQUARE_THREADS) {
    double other = scores[i];
    before += other > own || (other == own && i < j);
  }
  before = block_sum<double, SQUARE_THREADS, 0>(before);
  if (threadIdx.x == 0) ranks[j] = (int32_t)before;
}

// chosen = the numbers whose rank is below `rank`, ascending; places [side] is scratch for where each stood before. One
// thread: a few thousand steps.
__global__ void choose_kernel(int64_t side, int64_t rank, device_pointer<const int32_t> ranks,
                              device_pointer<int32_t> places, device_pointer<int32_t> chosen,
                              device_pointer<int32_t> came_from) {
  if (threadIdx.x > 0) return;
  for (int64_t k = 0; k < side; k++) places[k] = -1;
  for (int64_t j = 0; came_from && j < rank; j++)
    if (places[(int32_t)chosen[j]] < 0) places[(int32_t)chosen[j]] = (int32_t)j;
  for (int64_t k = 0, made = 0; k < side && made < rank; k++) {
    if (ranks[k] >= rank) continue;
    if (came_from) came_from[made] = (int32_t)places[k];
    chosen[made++] = (int32_t)k;
  }
}

// transformed = the coefficients of x by a fast transform on the host.
inline void transform_on_host(struct device *device, bool wide, int64_t rows, int64_t columns, const float *x,
                              float *transformed) {
  int64_t side = wide ? rows : columns, length = wide ? columns : rows;
  if (!fast_dct_needed(&device->error)) return;
  float *host = fetched(device, rows * columns, x);
  if (!host) return;
  struct fast_dct *plan = fast_dct_open(side);
  fast_dct_lines(plan, length, wide ? 1 : columns, wide ? columns : 1, host, host);
  fast_dct_close(plan);
  upload(device, transformed, host, (size_t)(rows * columns) * sizeof *host);
  std::free(host);
}

void dct_basis(struct device *device, int64_t rows, int64_t columns, int64_t rank, enum dct_score score,
               enum dct_path path, const float *x, int32_t *chosen, int32_t *came_from, float *basis) {
  struct cuda_dct_scratch s = cuda_dct_scratch(rows, columns);
  char *memory = scratch(device, s.end, "choosing cosines");
  if (!memory) return;
  bool wide = rows < columns;
  int64_t side = wide ? rows : columns, length = wide ? columns : rows, count = rows * columns;
  int64_t direction_stride = wide ? columns : 1, element_stride = wide ? 1 : columns;
  if (x) {
    float *transformed = (float *)memory, *all = (float *)(memory + s.all);
    double *scores = (double *)(memory + s.scores);
    int32_t *places = (int32_t *)(memory + s.places), *ranks = (int32_t *)(memory + s.ranks);
    if (path == DCT_FAST) {
      transform_on_host(device, wide, rows, columns, x, transformed);
    } else {
      run(device, cosines_kernel, {"cosines", element_blocks(side * side), ELEMENT_THREADS, 0}, side, side,
          view((const int32_t *)nullptr, side), view(all, side * side));
      product(device, wide ? GEMM_NN : GEMM_NT, rows, columns, side, wide ? all : x, wide ? x : all, transformed,
              false);
    }
    run(device, score_kernel, {"score", (unsigned)side, SQUARE_THREADS, 0}, length, direction_stride, element_stride,
        score == DCT_SCORE_L2, view((const float *)transformed, count), view(scores, side));
    run(device, rank_kernel, {"rank", (unsigned)side, SQUARE_THREADS, 0}, side, view((const double *)scores, side),
        view(ranks, side));
    run(device, choose_kernel, {"choose", 1, 32, 0}, side, rank, view((const int32_t *)ranks, side), view(places, side),
        view(chosen, rank), view(came_from, rank));
  }
  run(device, cosines_kernel, {"cosines", element_blocks(rank * side), ELEMENT_THREADS, 0}, rank, side,
      view((const int32_t *)chosen, rank), view(basis, rank * side));
}

}  // namespace
