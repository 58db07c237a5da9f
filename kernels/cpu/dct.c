// The directions of the discrete cosine transform that hold most of a matrix. See dct_basis in kernels/ops.h. The
// transform is a product with all directions, or a fast one of each line.
// Shapes: x, transformed [rows, columns]; all [side, side], side the smaller of the two; scores, places [side].
#include <math.h>
#include <stdlib.h>

#include "kernels/cpu/device.h"
#include "kernels/fast_dct.h"

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

struct scratch {  // byte offsets; the transformed matrix is at 0
  size_t all, cosines, scores, places, end;
};
static struct scratch scratch_of(int64_t rows, int64_t columns) {
  int64_t side = rows < columns ? rows : columns;
  struct scratch s = {.all = aligned((size_t)(rows * columns) * sizeof(float))};
  s.cosines = s.all + aligned((size_t)(side * side) * sizeof(float));
  s.scores = s.cosines + aligned((size_t)(4 * side) * sizeof(float));
  s.places = s.scores + aligned((size_t)side * sizeof(double));
  s.end = s.places + (size_t)side * sizeof(int32_t);
  return s;
}

size_t dct_scratch_bytes(int64_t rows, int64_t columns) { return scratch_of(rows, columns).end; }

struct dct_call {  // items: directions
  int64_t side, columns, length;
  bool wide;
  enum dct_score score;
  const float *cosines, *transformed;
  const int32_t *chosen;  // NULL: all of them
  float *basis;
  double *scores;
};

// basis[j, i] = sqrt(2 / side) cos(pi k (2 i + 1) / (2 side)), with k = 0 over sqrt(2), k the j-th chosen: the angle is
// one of 4 side multiples of pi / (2 side).
static void basis_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct dct_call *call = argument;
  float first = (float)(1 / sqrt((double)call->side));
  for (int64_t j = begin; j < end; j++) {
    float *row = call->basis + j * call->side;
    int64_t k = call->chosen ? call->chosen[j] : j, angle = k, turn = 4 * call->side;
    for (int64_t i = 0; i < call->side; i++) {
      row[i] = k ? call->cosines[angle] : first;
      angle += 2 * k;
      if (angle >= turn) angle -= turn;
    }
  }
}

struct fast_call {  // items: pairs of lines
  int64_t side, length, line_stride, element_stride;
  const float *x;
  float *transformed;
};
static void fast_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct fast_call *call = argument;
  struct fast_dct *plan = fast_dct_open(call->side);
  int64_t first = 2 * begin, behind = 2 * end < call->length ? 2 * end : call->length;
  fast_dct_lines(plan, behind - first, call->line_stride, call->element_stride, call->x + first * call->line_stride,
                 call->transformed + first * call->line_stride);
  fast_dct_close(plan);
}

// transformed = the coefficients of x, a line being what a direction has an element for.
static void transform(struct device *device, const struct dct_call *call, enum dct_path path, int64_t rows,
                      const float *x, float *all, float *transformed) {
  bool wide = call->wide;
  if (path == DCT_FAST) {
    struct fast_call fast = {call->side, call->length, wide ? 1 : call->columns, wide ? call->columns : 1,
                             x,          transformed};
    if (fast_dct_needed(&device->error)) device_run(device, fast_pass, &fast, (call->length + 1) / 2, 64);
    return;
  }
  device_run(device, basis_pass, call, call->side, 16);
  cpu_product(device, wide ? GEMM_NN : GEMM_NT, rows, call->columns, call->side, wide ? all : x, wide ? x : all,
              transformed, false);
}

// Direction j is a column of a tall matrix, a row of a wide one.
static void score_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct dct_call *call = argument;
  for (int64_t j = begin; j < end; j++) call->scores[j] = 0;
  for (int64_t outer = call->wide ? begin : 0; outer < (call->wide ? end : call->length); outer++)
    for (int64_t inner = call->wide ? 0 : begin; inner < (call->wide ? call->length : end); inner++) {
      double value = call->transformed[outer * call->columns + inner];
      call->scores[call->wide ? outer : inner] += call->score == DCT_SCORE_L2 ? value * value : fabs(value);
    }
}

// The `rank` largest, ascending by number, and where each of them stood before.
static void choose(int64_t side, int64_t rank, const double *scores, int32_t *places, int32_t *chosen,
                   int32_t *came_from) {
  for (int64_t k = 0; k < side; k++) places[k] = -1;
  for (int64_t j = 0; j < rank && came_from; j++)
    if (places[chosen[j]] < 0) places[chosen[j]] = (int32_t)j;
  for (int64_t k = 0, made = 0; k < side && made < rank; k++) {
    int64_t before = 0;
    for (int64_t i = 0; i < side; i++) before += scores[i] > scores[k] || (scores[i] == scores[k] && i < k);
    if (before >= rank) continue;
    if (came_from) came_from[made] = places[k];
    chosen[made++] = (int32_t)k;
  }
}

void cpu_dct_basis(struct device *device, int64_t rows, int64_t columns, int64_t rank, enum dct_score score,
                   enum dct_path path, const float *x, int32_t *chosen, int32_t *came_from, float *basis) {
  struct scratch s = scratch_of(rows, columns);
  char *memory = device_scratch(device, s.end, "choosing cosines");
  if (!memory) return;
  bool wide = rows < columns;
  int64_t side = wide ? rows : columns;
  float *cosines = (float *)(memory + s.cosines), *transformed = (float *)memory, *all = (float *)(memory + s.all);
  struct dct_call call = {.side = side,
                          .columns = columns,
                          .length = wide ? columns : rows,
                          .wide = wide,
                          .score = score,
                          .cosines = cosines,
                          .transformed = transformed,
                          .basis = all,
                          .scores = (double *)(memory + s.scores)};
  for (int64_t i = 0; i < 4 * side; i++)
    cosines[i] = (float)(sqrt(2 / (double)side) * cos(acos(-1) * (double)i / (2 * (double)side)));
  if (x) {
    transform(device, &call, path, rows, x, all, transformed);
    if (device->error.code != EXIT_DONE) return;
    device_run(device, score_pass, &call, side, 16);
    if (device->error.code != EXIT_DONE) return;
    choose(side, rank, call.scores, (int32_t *)(memory + s.places), chosen, came_from);
  }
  call.chosen = chosen;
  call.basis = basis;
  device_run(device, basis_pass, &call, rank, 16);
}
