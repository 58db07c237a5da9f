// A matrix's singular values brought near 1, and its rows to one size. See orthogonalize and normalize_rows in
// kernels/ops.h.
// Shapes: x, other [rows, columns]; product, square [side, side], side the smaller of the two; v [rows]; sums doubles.
#pragma once
#include "kernels/cuda/matrices.cuh"

namespace {

// x *= sqrt(above) / max(sqrt(below) + added, least), `above` NULL: 1.
__global__ void __launch_bounds__(ELEMENT_THREADS)
    scale_by_norms_kernel(int64_t count, device_pointer<float> x, device_pointer<const double> above,
                          device_pointer<const double> below, double added, double least) {
  shared_pointer<float> factor = shared_array<float, 1, 0>();
  if (threadIdx.x == 0) {
    double divisor = sqrt((double)below[0]) + added, top = above ? sqrt((double)above[0]) : 1;
    factor[0] = (float)(top / (divisor > least ? divisor : least));
  }
  __syncthreads();
  float f = factor[0];
  for (int64_t i = first_piece(); i < count; i += piece_stride()) x[i] = x[i] * f;
}

// A block a row.
__global__ void __launch_bounds__(SQUARE_THREADS)
    normalize_rows_kernel(int64_t rows, int64_t columns, float keep, float share, device_pointer<float> v,
                          device_pointer<float> x, device_pointer<double> sums) {
  int64_t row = blockIdx.x;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < columns; i += SQUARE_THREADS) {
    double value = (float)x[row * columns + i];
    sum += value * value;
  }
  sum = block_sum<double, SQUARE_THREADS, 0>(sum);
  float mean = keep * v[row] + share * (float)(sum / (double)columns);
  float factor = 1.0f / (sqrtf(mean) + (float)NORMALIZE_ROWS_EPSILON);
  for (int64_t i = threadIdx.x; i < columns; i += SQUARE_THREADS) x[row * columns + i] = x[row * columns + i] * factor;
  __syncthreads();  // all have read v
  if (threadIdx.x > 0) return;
  v[row] = mean;
  sums[row] = sum;
  sums[rows + row] = sum * factor * factor;
}

void orthogonalize(struct device *device, int64_t rows, int64_t columns, int steps, float *x) {
  struct cuda_orthogonal_scratch s = cuda_orthogonal_scratch(rows, columns);
  char *memory = scratch(device, s.end, "making a matrix orthogonal");
  if (!memory) return;
  int64_t count = rows * columns, side = rows < columns ? rows : columns, blocks = ceil_div(count, SQUARE_BLOCK);
  bool wide = rows <= columns;
  float *other = (float *)memory, *gram = (float *)(memory + s.product), *square = (float *)(memory + s.square);
  double *sums = (double *)(memory + s.sums), *total = sums + blocks;
  run(device, square_sum_kernel, {"square_sum", (unsigned)blocks, SQUARE_THREADS, 0}, count,
      view((const float *)x, count), view(sums, blocks));
  run(device, add_partials_kernel, {"add_partials", 1, SQUARE_THREADS, 0}, blocks, view((const double *)sums, blocks),
      false, view(total, 1));
  run(device, scale_by_norms_kernel, {"scale_by_norms", element_blocks(count), ELEMENT_THREADS, 0}, count,
      view(x, count), view((const double *)nullptr, 1), view((const double *)total, 1), 0.0, ORTHOGONALIZE_LEAST_NORM);
  float *from = x, *to = other;
  for (int step = 0; step < steps; step++) {
    product(device, wide ? GEMM_NT : GEMM_TN, side, side, wide ? columns : rows, from, from, gram, false);
    product(device, GEMM_NN, side, side, side, gram, gram, square, false);
    mix(device, side * side, square, (float)ORTHOGONALIZE_C, gram, (float)ORTHOGONALIZE_B);
    mix(device, count, to, 0, from, (float)ORTHOGONALIZE_A);
    product(device, GEMM_NN, rows, columns, side, wide ? square : from, wide ? from : square, to, true);
    float *turn = from;
    from = to;
    to = turn;
  }
  if (from != x) mix(device, count, x, 0, from, 1);
}

void normalize_rows(struct device *device, int64_t rows, int64_t columns, double beta2, float *v, float *x) {
  struct cuda_orthogonal_scratch s = cuda_orthogonal_scratch(rows, columns);
  char *memory = scratch(device, s.end, "bringing rows to one size");
  if (!memory) return;
  double *sums = (double *)(memory + s.sums), *before = sums + 2 * rows, *after = before + 1;
  run(device, normalize_rows_kernel, {"normalize_rows", (unsigned)rows, SQUARE_THREADS, 0}, rows, columns, (float)beta2,
      (float)(1 - beta2), view(v, rows), view(x, rows * columns), view(sums, 2 * rows));
  run(device, add_partials_kernel, {"add_partials", 1, SQUARE_THREADS, 0}, rows, view((const double *)sums, rows),
      false, view(before, 1));
  run(device, add_partials_kernel, {"add_partials", 1, SQUARE_THREADS, 0}, rows,
      view((const double *)sums + rows, rows), false, view(after, 1));
  run(device, scale_by_norms_kernel, {"scale_by_norms", element_blocks(rows * columns), ELEMENT_THREADS, 0},
      rows * columns, view(x, rows * columns), view((const double *)before, 1), view((const double *)after, 1),
      NORMALIZE_ROWS_EPSILON, 0.0);
}

}  // namespace
