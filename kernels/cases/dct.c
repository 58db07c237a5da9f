// The directions of the discrete cosine transform that hold most of a matrix.
#include <math.h>
#include <stdlib.h>

#include "kernels/cases/operations.h"
#include "kernels/fast_dct.h"

enum { X, CHOSEN, CAME_FROM, BASIS, COUNT };

// Rows, columns, rank, score. Wide, tall, square; one direction, all of them.
static const struct case_shape shapes[] = {
    {{16, 48, 4, DCT_SCORE_L1}},  {{48, 16, 4, DCT_SCORE_L2}},  {{33, 33, 7, DCT_SCORE_L1}}, {{21, 5, 1, DCT_SCORE_L2}},
    {{16, 32, 16, DCT_SCORE_L1}}, {{32, 16, 15, DCT_SCORE_L1}}, {{40, 48, 8, DCT_SCORE_L2}}};

static int64_t side_of(const struct op_case *c) { return c->size[0] < c->size[1] ? c->size[0] : c->size[1]; }

static void declare(struct op_case *c) {
  struct argument *a = c->arguments;
  int64_t rank = c->size[2];
  c->count = COUNT;
  a[X] = case_input("x", CASE_FLOAT32, c->size[0] * c->size[1], 1);
  a[CHOSEN] = case_result("chosen", CASE_IDS, rank, 0);
  a[CHOSEN].kept = true;
  a[CAME_FROM] = case_result("came from", CASE_IDS, rank, 0);
  a[BASIS] = case_result("basis", CASE_FLOAT32, rank * side_of(c), 1e-6);
}

// Chosen before: every other one.
static void adjust(struct op_case *c) {
  for (int64_t j = 0; j < c->size[2]; j++) c->arguments[CHOSEN].start[j] = (double)(2 * j % side_of(c));
}

// By the formula, one direction after the other: the coefficient of direction k with line `other` of the matrix.
static double entry(const struct op_case *c, const double *x, bool wide, int64_t i, int64_t other) {
  return wide ? x[i * c->size[1] + other] : x[other * c->size[1] + i];
}

static double cosine(int64_t side, int64_t k, int64_t i) {
  double angle = acos(-1) * (double)k * (double)(2 * i + 1) / (2 * (double)side);
  return sqrt((k ? 2 : 1) / (double)side) * cos(angle);
}

static double forward(const struct op_case *c) {
  bool wide = c->size[0] < c->size[1];
  int64_t side = wide ? c->size[0] : c->size[1], lines = wide ? c->size[1] : c->size[0], rank = c->size[2];
  const double *x = case_values(c, X);
  double *score = memory_get((size_t)side * sizeof *score);
  for (int64_t k = 0; k < side; k++) {
    score[k] = 0;
    for (int64_t other = 0; other < lines; other++) {
      double sum = 0;
      for (int64_t i = 0; i < side; i++) sum += cosine(side, k, i) * entry(c, x, wide, i, other);
      score[k] += c->size[3] == DCT_SCORE_L2 ? sum * sum : fabs(sum);
    }
  }
  double *chosen = case_values(c, CHOSEN), *came_from = case_values(c, CAME_FROM);
  for (int64_t kept = 0; kept < rank; kept++) {
    int64_t best = 0;
    for (int64_t k = 1; k < side; k++)
      if (score[k] > score[best]) best = k;
    score[best] = -1;
  }
  for (int64_t k = 0, made = 0; k < side; k++) {
    if (score[k] >= 0) continue;
    chosen[made] = (double)k;
    came_from[made] = -1;
    for (int64_t j = rank - 1; j >= 0; j--)
      if (c->arguments[CHOSEN].start[j] == (double)k) came_from[made] = (double)j;
    for (int64_t i = 0; i < side; i++) case_values(c, BASIS)[made * side + i] = cosine(side, k, i);
    made++;
  }
  free(score);
  return 0;
}

static void run_by(struct case_run *run, enum dct_path path) {
  const int64_t *size = run->c->size;
  void *const *d = run->data;
  run->ops->dct_basis(run->device, size[0], size[1], size[2], (enum dct_score)size[3], path, d[X], d[CHOSEN],
                      d[CAME_FROM], d[BASIS]);
}
static void run_basis(struct case_run *run) { run_by(run, DCT_PRODUCT); }
static void run_fast(struct case_run *run) { run_by(run, DCT_FAST); }

static const struct case_pass passes[] = {{"dct basis", run_basis, NULL, false, NULL}};
static const struct case_pass fast_passes[] = {{"fast dct basis", run_fast, NULL, false, NULL}};
static bool fast_is_there(const struct ops *ops) { return fast_dct_present(); }

// The basis of what was chosen, without choosing.
static void variants(struct case_run *run) {
  const int64_t *size = run->c->size;
  void *const *d = run->data;
  run->ops->clear(run->device, d[BASIS], (size_t)run->c->arguments[BASIS].count * sizeof(float));
  run->ops->dct_basis(run->device, size[0], size[1], size[2], (enum dct_score)size[3], DCT_PRODUCT, NULL, d[CHOSEN],
                      NULL, d[BASIS]);
}

const struct operation operation_dct = {.name = "dct",
                                        .sizes = "rows, columns, rank, score",
                                        .shapes = shapes,
                                        .shape_count = CASE_COUNT_OF(shapes),
                                        .one_dtype = true,
                                        .kind = OP_ORTHOGONALIZE,
                                        .op_shape = case_rows_shape,
                                        .declare = declare,
                                        .adjust = adjust,
                                        .forward = forward,
                                        .passes = passes,
                                        .pass_count = CASE_COUNT_OF(passes),
                                        .variants = variants};

// The same by a fast transform.
const struct operation operation_fast_dct = {.name = "fast dct",
                                             .sizes = "rows, columns, rank, score",
                                             .shapes = shapes,
                                             .shape_count = CASE_COUNT_OF(shapes),
                                             .one_dtype = true,
                                             .there = fast_is_there,
                                             .kind = OP_ORTHOGONALIZE,
                                             .op_shape = case_rows_shape,
                                             .declare = declare,
                                             .adjust = adjust,
                                             .forward = forward,
                                             .passes = fast_passes,
                                             .pass_count = CASE_COUNT_OF(fast_passes),
                                             .variants = variants};
