// A matrix cut down to the directions of the discrete cosine transform that hold most of it. See project_dct in
// kernels/ops.h.
// Shapes: x, transformed [rows, columns]; basis [side, side], side the smaller of the two; scores [side].
#include <math.h>

#include "kernels/cpu/device.h"

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

struct scratch {  // byte offsets
  size_t basis, cosines, scores, end;
};
static struct scratch scratch_of(int64_t rows, int64_t columns) {
  int64_t side = rows < columns ? rows : columns;
  struct scratch s = {.basis = aligned((size_t)(rows * columns) * sizeof(float))};
  s.cosines = s.basis + aligned((size_t)(side * side) * sizeof(float));
  s.scores = s.cosines + aligned((size_t)(4 * side) * sizeof(float));
  s.end = s.scores + (size_t)side * sizeof(double);
  return s;
}

size_t dct_scratch_bytes(int64_t rows, int64_t columns) { return scratch_of(rows, columns).end; }

struct dct_call {  // items: directions, of the basis or of the matrix
  int64_t side, columns, length;
  bool wide;
  enum dct_score score;
  float *basis, *cosines, *transformed;
  double *scores;
  int64_t rank;
};

// basis[i, k] = sqrt(2 / side) cos(pi k (2 i + 1) / (2 side)), with k = 0 over sqrt(2): a row of it for each i. The
// angle is one of 4 side multiples of pi / (2 side).
static void basis_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct dct_call *call = argument;
  float first = (float)(1 / sqrt((double)call->side));
  for (int64_t i = begin; i < end; i++) {
    float *row = call->basis + i * call->side;
    int64_t angle = 0, step = 2 * i + 1, turn = 4 * call->side;
    for (int64_t k = 0; k < call->side; k++) {
      row[k] = k ? call->cosines[angle] : first;
      angle += step;
      if (angle >= turn) angle -= turn;
    }
  }
}

// Direction j is a column of a tall matrix, a row of a wide one.
static void score_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct dct_call *call = argument;
  for (int64_t j = begin; j < end; j++) call->scores[j] = 0;
  for (int64_t i = 0; i < call->length; i++)
    for (int64_t j = begin; j < end; j++) {
      double value = call->transformed[call->wide ? j * call->columns + i : i * call->columns + j];
      call->scores[j] += call->score == DCT_SCORE_L2 ? value * value : fabs(value);
    }
}

// What is not among the largest scores becomes 0; of equal ones the first are kept.
static void keep_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct dct_call *call = argument;
  for (int64_t j = begin; j < end; j++) {
    int64_t before = 0;
    for (int64_t i = 0; i < call->side; i++)
      before += call->scores[i] > call->scores[j] || (call->scores[i] == call->scores[j] && i < j);
    if (before < call->rank) continue;
    for (int64_t i = 0; i < call->length; i++)
      call->transformed[call->wide ? j * call->columns + i : i * call->columns + j] = 0;
  }
}

static void multiply(struct device *device, const struct gemm *gemm, const float *a, const float *b, float *c) {
  if (device->error.code == EXIT_DONE) gemm_run(device->gemm, gemm, a, b, c, &device->error);
}

void cpu_project_dct(struct device *device, int64_t rows, int64_t columns, int64_t rank, enum dct_score score,
                     float *x) {
  struct scratch s = scratch_of(rows, columns);
  char *memory = device_scratch(device, s.end, "projecting on cosines");
  if (!memory) return;
  bool wide = rows < columns;
  int64_t side = wide ? rows : columns;
  struct dct_call call = {.side = side,
                          .columns = columns,
                          .length = wide ? columns : rows,
                          .wide = wide,
                          .score = score,
                          .basis = (float *)(memory + s.basis),
                          .cosines = (float *)(memory + s.cosines),
                          .transformed = (float *)memory,
                          .scores = (double *)(memory + s.scores),
                          .rank = rank};
  for (int64_t i = 0; i < 4 * side; i++)
    call.cosines[i] = (float)(sqrt(2 / (double)side) * cos(acos(-1) * (double)i / (2 * (double)side)));
  device_run(device, basis_pass, &call, side, 16);
  struct gemm into = {.form = wide ? GEMM_TN : GEMM_NN, .m = rows, .n = columns, .k = side};
  struct gemm back = {.form = wide ? GEMM_NN : GEMM_NT, .m = rows, .n = columns, .k = side};
  multiply(device, &into, wide ? call.basis : x, wide ? x : call.basis, call.transformed);
  device_run(device, score_pass, &call, side, 16);
  device_run(device, keep_pass, &call, side, 16);
  multiply(device, &back, wide ? call.basis : call.transformed, wide ? call.transformed : call.basis, x);
}
