// A matrix cut down to its largest directions of the discrete cosine transform.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cases/operations.h"

enum { X, COUNT };

// Rows, columns, rank, score. Wide, tall, square; one direction, all of them, more than there are.
static const struct case_shape shapes[] = {
    {{16, 48, 4, DCT_SCORE_L1}},  {{48, 16, 4, DCT_SCORE_L2}},  {{33, 33, 7, DCT_SCORE_L1}}, {{21, 5, 1, DCT_SCORE_L2}},
    {{16, 32, 16, DCT_SCORE_L1}}, {{32, 16, 99, DCT_SCORE_L1}}, {{80, 96, 8, DCT_SCORE_L2}}};

static void declare(struct op_case *c) {
  c->count = COUNT;
  c->arguments[X] = case_result("projection", CASE_FLOAT32, c->size[0] * c->size[1], 1e-5);
  c->arguments[X].kept = true;
  c->arguments[X].scale = 1;
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
  const double *start = c->arguments[X].start;
  double *x = case_values(c, X);
  double *score = memory_get((size_t)side * sizeof *score), *part = memory_get((size_t)(side * lines) * sizeof *part);
  for (int64_t k = 0; k < side; k++) {
    score[k] = 0;
    for (int64_t other = 0; other < lines; other++) {
      double sum = 0;
      for (int64_t i = 0; i < side; i++) sum += cosine(side, k, i) * entry(c, start, wide, i, other);
      part[k * lines + other] = sum;
      score[k] += c->size[3] == DCT_SCORE_L2 ? sum * sum : fabs(sum);
    }
  }
  memset(x, 0, (size_t)c->arguments[X].count * sizeof *x);
  for (int64_t kept = 0; kept < rank && kept < side; kept++) {
    int64_t best = 0;
    for (int64_t k = 1; k < side; k++)
      if (score[k] > score[best]) best = k;
    score[best] = -1;
    for (int64_t other = 0; other < lines; other++)
      for (int64_t i = 0; i < side; i++)
        x[wide ? i * c->size[1] + other : other * c->size[1] + i] += cosine(side, best, i) * part[best * lines + other];
  }
  free(score);
  free(part);
  return 0;
}

static void run_project(struct case_run *run) {
  const int64_t *size = run->c->size;
  run->ops->project_dct(run->device, size[0], size[1], size[2], (enum dct_score)size[3], run->data[X]);
}

static const struct case_pass passes[] = {{"project dct", run_project, NULL, false, NULL}};

static struct op_shape op_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0], .width = c->size[1], .training = true};
}

const struct operation operation_dct = {.name = "dct",
                                        .sizes = "rows, columns, rank, score",
                                        .shapes = shapes,
                                        .shape_count = CASE_COUNT_OF(shapes),
                                        .one_dtype = true,
                                        .kind = OP_ORTHOGONALIZE,
                                        .op_shape = op_shape,
                                        .declare = declare,
                                        .forward = forward,
                                        .passes = passes,
                                        .pass_count = CASE_COUNT_OF(passes)};
