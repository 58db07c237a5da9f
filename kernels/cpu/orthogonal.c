// A matrix's singular values brought near 1, and its rows to one size. See orthogonalize and normalize_rows in
// kernels/ops.h.
// Shapes: x, other [rows, columns]; product, square [side, side], side the smaller of the two; v [rows].
#include <math.h>

#include "kernels/cpu/device.h"

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

struct scratch {  // byte offsets
  size_t product, square, sums, end;
};
static struct scratch scratch_of(int64_t rows, int64_t columns) {
  int64_t side = rows < columns ? rows : columns, blocks = (rows * columns + SQUARE_BLOCK - 1) / SQUARE_BLOCK;
  struct scratch s = {.product = aligned((size_t)(rows * columns) * sizeof(float))};
  s.square = s.product + aligned((size_t)(side * side) * sizeof(float));
  s.sums = s.square + aligned((size_t)(side * side) * sizeof(float));
  s.end = s.sums + (size_t)(blocks > 2 * rows ? blocks : 2 * rows) * sizeof(double);
  return s;
}

size_t orthogonal_scratch_bytes(int64_t rows, int64_t columns) { return scratch_of(rows, columns).end; }

static double norm_of(struct device *device, int64_t count, const float *x, double *sums) {
  struct square_call call = {.data = x, .partial = sums};
  device_run(device, device->level->square_sum, &call, count, SQUARE_BLOCK);
  double total = 0;
  for (int64_t block = 0; block < (count + SQUARE_BLOCK - 1) / SQUARE_BLOCK; block++) total += sums[block];
  return sqrt(total);
}

void cpu_orthogonalize(struct device *device, int64_t rows, int64_t columns, int steps, float *x) {
  struct scratch s = scratch_of(rows, columns);
  char *memory = device_scratch(device, s.end, "making a matrix orthogonal");
  if (!memory) return;
  int64_t count = rows * columns, side = rows < columns ? rows : columns;
  bool wide = rows <= columns;
  float *other = (float *)memory, *gram = (float *)(memory + s.product), *square = (float *)(memory + s.square);
  double norm = norm_of(device, count, x, (double *)(memory + s.sums));
  if (device->error.code != EXIT_DONE) return;
  cpu_mix(device, count, x, 0, x, (float)(1 / fmax(norm, ORTHOGONALIZE_LEAST_NORM)));
  float *from = x, *to = other;
  for (int step = 0; step < steps; step++) {
    cpu_product(device, wide ? GEMM_NT : GEMM_TN, side, side, wide ? columns : rows, from, from, gram, false);
    cpu_product(device, GEMM_NN, side, side, side, gram, gram, square, false);
    cpu_mix(device, side * side, square, (float)ORTHOGONALIZE_C, gram, (float)ORTHOGONALIZE_B);
    cpu_mix(device, count, to, 0, from, (float)ORTHOGONALIZE_A);
    cpu_product(device, GEMM_NN, rows, columns, side, wide ? square : from, wide ? from : square, to, true);
    float *turn = from;
    from = to;
    to = turn;
  }
  if (from != x) cpu_mix(device, count, x, 0, from, 1);
}

struct rows_call {  // items: rows
  int64_t columns;
  float keep, share;
  float *v, *x;
  double *sums;  // [2, rows]: of squares before and after
  int64_t rows;
};
static void rows_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct rows_call *call = argument;
  for (int64_t row = begin; row < end; row++) {
    float *x = call->x + row * call->columns;
    double sum = 0;
    for (int64_t i = 0; i < call->columns; i++) sum += (double)x[i] * x[i];
    float v = call->keep * call->v[row] + call->share * (float)(sum / (double)call->columns);
    float factor = 1 / (sqrtf(v) + (float)NORMALIZE_ROWS_EPSILON);
    for (int64_t i = 0; i < call->columns; i++) x[i] *= factor;
    call->v[row] = v;
    call->sums[row] = sum;
    call->sums[call->rows + row] = sum * factor * factor;
  }
}

void cpu_normalize_rows(struct device *device, int64_t rows, int64_t columns, double beta2, float *v, float *x) {
  struct scratch s = scratch_of(rows, columns);
  char *memory = device_scratch(device, s.end, "bringing rows to one size");
  if (!memory) return;
  double *sums = (double *)(memory + s.sums), before = 0, after = 0;
  struct rows_call call = {.columns = columns,
                           .keep = (float)beta2,
                           .share = (float)(1 - beta2),
                           .v = v,
                           .x = x,
                           .sums = sums,
                           .rows = rows};
  device_run(device, rows_pass, &call, rows, 16);
  if (device->error.code != EXIT_DONE) return;
  for (int64_t row = 0; row < rows; row++) {
    before += sums[row];
    after += sums[rows + row];
  }
  cpu_mix(device, rows * columns, x, 0, x, (float)(sqrt(before) / (sqrt(after) + NORMALIZE_ROWS_EPSILON)));
}
