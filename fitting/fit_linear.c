// Resamples of laws whose rows take long to evaluate: the residuals are taken for linear about the fit's own minimum,
// and the minimum for other weights of the rows is found without evaluating the law. What is found is where the descent
// of the law itself begins.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { ROUNDS = 30 };

void stage_linearize(struct arena *arena, struct fit_stage *stage) {
  size_t n = (size_t)stage->free_count, rows = stage->row_count;
  if (stage->linear_jacobian || !stage->x) return;
  struct workspace *workspace = workspace_new(arena, &stage->problem);
  double *jacobian = arena_array(arena, rows * n + 1, sizeof *jacobian);
  stage->linear_residual = arena_array(arena, rows + 1, sizeof *stage->linear_residual);
  if (problem_jacobian(workspace, stage->x, stage->linear_residual, jacobian)) stage->linear_jacobian = jacobian;
}

// The sums of w J J' and -w r0 J, with w reweighted at the residuals of the step at hand.
static void add_rows(const struct fit_stage *stage, const struct problem *problem, const double *weight,
                     const double *step, double *matrix, double *right) {
  int n = stage->free_count;
  memset(matrix, 0, (size_t)(n * n) * sizeof *matrix);
  memset(right, 0, (size_t)n * sizeof *right);
  for (size_t row = 0; row < stage->row_count; row++) {
    const double *derivative = stage->linear_jacobian + row * (size_t)n;
    double w = problem->weight[row] * weight[row];
    if (w == 0) continue;
    double first = stage->linear_residual[row] + stage->target[row] - problem->target[row], residual = first;
    for (int i = 0; i < n; i++) residual += derivative[i] * step[i];
    w *= problem_reweight(problem, residual);
    for (int i = 0; i < n; i++) {
      right[i] -= w * first * derivative[i];
      for (int j = 0; j <= i; j++) matrix[i * n + j] += w * derivative[i] * derivative[j];
    }
  }
}

bool stage_linear_minimum(const struct fit_stage *stage, const struct problem *problem, const double *weight,
                          double *x) {
  int n = stage->free_count;
  double step[PROGRAM_LEAVES] = {0}, right[PROGRAM_LEAVES];
  if (!stage->linear_jacobian || n > PROGRAM_LEAVES || problem->penalty) return false;
  double *matrix = memory_get((size_t)(n * n) * sizeof *matrix);
  bool fine = true, settled = false;
  for (int round = 0; round < ROUNDS && fine && !settled; round++) {
    add_rows(stage, problem, weight, step, matrix, right);
    for (int i = 0; i < n; i++) matrix[i * n + i] *= 1 + 1e-10;
    fine = cholesky_solve(matrix, n, right);
    settled = true;
    for (int i = 0; i < n && fine; i++) {
      double unit = problem_unit(problem, i, stage->x[i]);
      fine = fabs(right[i]) < 3 * unit;  // farther away it is not linear
      settled &= fabs(right[i] - step[i]) < 1e-6 * unit;
      step[i] = right[i];
    }
  }
  for (int i = 0; i < n && fine; i++) x[i] = fmin(fmax(stage->x[i] + step[i], stage->low[i]), stage->high[i]);
  free(matrix);
  return fine;
}
