// A matrix cut down to the directions of the discrete cosine transform that hold most of it. See project_dct in
// kernels/ops.h.
// Shapes: x, transformed [rows, columns]; basis [side, side], side the smaller of the two; scores [side].
#pragma once
#include "kernels/cuda/optimizer.cuh"
#include "kernels/cuda/products.cuh"

namespace {

// basis[i, k] = sqrt(2 / side) cos(pi k (2 i + 1) / (2 side)), with k = 0 over sqrt(2); the angle is brought into one
// turn first.
__global__ void __launch_bounds__(ELEMENT_THREADS) cosines_kernel(int64_t side, device_pointer<float> basis) {
  for (int64_t at = first_piece(); at < side * side; at += piece_stride()) {
    int64_t i = at / side, k = at % side, angle = k * (2 * i + 1) % (4 * side);
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

// What is not among the largest scores becomes 0; of equal ones the first are kept.
__global__ void __launch_bounds__(SQUARE_THREADS)
    keep_kernel(int64_t side, int64_t rank, int64_t length, int64_t direction_stride, int64_t element_stride,
                device_pointer<const double> scores, device_pointer<float> transformed) {
  int64_t j = blockIdx.x;
  double own = scores[j], before = 0;
  for (int64_t i = threadIdx.x; i < side; i += SQUARE_THREADS) {
    double other = scores[i];
    before += other > own || (other == own && i < j);
  }
  before = block_sum<double, SQUARE_THREADS, 0>(before);
  if (before < (double)rank) return;
  for (int64_t i = threadIdx.x; i < length; i += SQUARE_THREADS)
    transformed[j * direction_stride + i * element_stride] = 0;
}

void project_dct(struct device *device, int64_t rows, int64_t columns, int64_t rank, enum dct_score score, float *x) {
  struct cuda_dct_scratch s = cuda_dct_scratch(rows, columns);
  char *memory = scratch(device, s.end, "projecting on cosines");
  if (!memory) return;
  bool wide = rows < columns;
  int64_t side = wide ? rows : columns, length = wide ? columns : rows, count = rows * columns;
  int64_t direction_stride = wide ? columns : 1, element_stride = wide ? 1 : columns;
  float *transformed = (float *)memory, *basis = (float *)(memory + s.basis);
  double *scores = (double *)(memory + s.scores);
  run(device, cosines_kernel, {"cosines", element_blocks(side * side), ELEMENT_THREADS, 0}, side,
      view(basis, side * side));
  // As columns of columns: a row-major C = A B is C^T = B^T A^T.
  if (wide)
    multiply(device, {columns, rows, side, false, true, DTYPE_FLOAT32, DTYPE_FLOAT32}, x, basis, transformed, false);
  else
    multiply(device, {columns, rows, side, false, false, DTYPE_FLOAT32, DTYPE_FLOAT32}, basis, x, transformed, false);
  run(device, score_kernel, {"score", (unsigned)side, SQUARE_THREADS, 0}, length, direction_stride, element_stride,
      score == DCT_SCORE_L2, view((const float *)transformed, count), view(scores, side));
  run(device, keep_kernel, {"keep", (unsigned)side, SQUARE_THREADS, 0}, side, rank, length, direction_stride,
      element_stride, view((const double *)scores, side), view(transformed, count));
  if (wide)
    multiply(device, {columns, rows, side, false, false, DTYPE_FLOAT32, DTYPE_FLOAT32}, transformed, basis, x, false);
  else
    multiply(device, {columns, rows, side, true, false, DTYPE_FLOAT32, DTYPE_FLOAT32}, basis, transformed, x, false);
}

}  // namespace
