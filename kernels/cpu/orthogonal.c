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

struct mix_call {  // items: elements
  float *to;
  const float *from;
  float a, b;
};
// to = a to + b from
static void mix_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct mix_call *call = argument;
  for (int64_t i = begin; i < end; i++) call->to[i] = call->a * call->to[i] + call->b * call->from[i];
}
// to = a from
static void scale_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct mix_call *call = argument;
  for (int64_t i = begin; i < end; i++) call->to[i] = call->a * call->from[i];
}

static void scale(struct device *device, int64_t count, float *to, float a, const float *from) {
  device_run(device, scale_pass, &(struct mix_call){.to = to, .from = from, .a = a}, count, 16384);
}

static void multiply(struct device *device, const struct gemm *gemm, const float *a, const float *b, float *c) {
  if (device->error.code == EXIT_DONE) gemm_run(device->gemm, gemm, a, b, c, &device->error);
}

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
  float *other = (float *)memory, *product = (float *)(memory + s.product), *square = (float *)(memory + s.square);
  double norm = norm_of(device, count, x, (double *)(memory + s.sums));
  if (device->error.code != EXIT_DONE) return;
  scale(device, count, x, (float)(1 / fmax(norm, ORTHOGONALIZE_LEAST_NORM)), x);
  float *from = x, *to = other;
  for (int step = 0; step < steps; step++) {
    struct gemm gram = {.form = wide ? GEMM_NT : GEMM_TN, .m = side, .n = side, .k = wide ? columns : rows};
    struct gemm squared = {.form = GEMM_NN, .m = side, .n = side, .k = side};
    struct gemm moved = {.form = GEMM_NN, .m = rows, .n = columns, .k = side, .accumulate = true};
    multiply(device, &gram, from, from, product);
    multiply(device, &squared, product, product, square);
    device_run(
        device, mix_pass,
        &(struct mix_call){.to = square, .from = product, .a = (float)ORTHOGONALIZE_C, .b = (float)ORTHOGONALIZE_B},
        side * side, 16384);
    scale(device, count, to, (float)ORTHOGONALIZE_A, from);
    multiply(device, &moved, wide ? square : from, wide ? from : square, to);
    float *turn = from;
    from = to;
    to = turn;
  }
  if (from != x) scale(device, count, x, 1, from);
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
  scale(device, rows * columns, x, (float)(sqrt(before) / (sqrt(after) + NORMALIZE_ROWS_EPSILON)), x);
}
