// The shortest of equal minima. Where coefficients in which a formula is linear can be changed together without
// changing any prediction, a search ends wherever its start stood, often with large values that cancel and take the
// last digits with them. Of all these places the one of the least sum of squares (of coefficients times the length of
// their columns) is taken, as by the pseudoinverse.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

static const double null_eigenvalue = 1e-11;  // over the largest, of the matrix with a unit diagonal
static const double rounding = 1e-10;         // of the objective
static const double most_rounding = 1e-6;     // where large values cancel

// Coordinates that count: linear, not logarithms, not at a bound. Returns how many.
static int find_linear(const struct fit_stage *stage, const double *matrix, int *of) {
  const struct problem *problem = &stage->problem;
  int n = stage->free_count, count = 0;
  for (int i = 0; i < n; i++) {
    bool inside = stage->x[i] > stage->low[i] && stage->x[i] < stage->high[i];
    bool linear = problem->linear[problem->free[i]] && problem->unit[problem->free[i]] > 0;
    if (linear && inside && matrix[i * n + i] > DBL_MIN && isfinite(matrix[i * n + i])) of[count++] = i;
  }
  return count;
}

// Takes what lies along flat directions out of x [free_count]; false where there is none. *largest: of the values
// before, each times the length of its column.
static bool shorten(struct arena *arena, const struct fit_stage *stage, const double *matrix, double *x,
                    double *largest) {
  size_t n = (size_t)stage->free_count;
  int *of = arena_array(arena, n + 1, sizeof *of), count = find_linear(stage, matrix, of);
  size_t m = (size_t)count;
  double *scaled = arena_array(arena, m * m + 1, sizeof *scaled), *values = arena_array(arena, m + 1, sizeof *values),
         *vectors = arena_array(arena, m * m + 1, sizeof *vectors), *length = arena_array(arena, m + 1, sizeof *length);
  if (count < 2) return false;
  *largest = 0;
  for (size_t i = 0; i < m; i++) {
    length[i] = sqrt(matrix[(size_t)of[i] * n + (size_t)of[i]]);
    *largest = fmax(*largest, length[i] * fabs(x[of[i]]));
  }
  for (size_t i = 0; i < m; i++)
    for (size_t k = 0; k < m; k++)
      scaled[i * m + k] = matrix[(size_t)of[i] * n + (size_t)of[k]] / (length[i] * length[k]);
  if (!symmetric_eigen(scaled, count, values, vectors)) return false;
  bool flat = false;
  for (size_t k = 0; k < m && values[k] < null_eigenvalue * values[m - 1]; k++) {
    double along = 0;
    for (size_t i = 0; i < m; i++) along += vectors[i * m + k] * length[i] * x[of[i]];
    for (size_t i = 0; i < m; i++) x[of[i]] -= along * vectors[i * m + k] / length[i];
    flat = true;
  }
  for (size_t i = 0; i < n; i++)
    if (!(x[i] >= stage->low[i] && x[i] <= stage->high[i])) return false;
  return flat;
}

void fit_shorten(struct arena *arena, struct fit_stage *stage, struct workspace *workspace) {
  enum { ROUNDS = 3 };  // the first takes away what cancels, and with it the rounding of directions
  size_t n = (size_t)stage->free_count;
  double *x = arena_array(arena, n + 1, sizeof *x), largest;
  for (int round = 0; round < ROUNDS; round++) {
    workspace_use(workspace, &stage->problem);
    if (!isfinite(problem_evaluate(workspace, stage->x, NULL, WANT_REWEIGHTED))) return;
    memcpy(x, stage->x, n * sizeof *x);
    if (!shorten(arena, stage, workspace->matrix, x, &largest)) return;
    descend(workspace, x, NULL, 100, 1e-12);
    struct polish_result polished = polish(workspace, x, NULL, 100);
    // An objective whose last digits are the rounding of what cancels may have come out lower than there is any.
    double cancels = 4 * DBL_EPSILON * largest / sqrt(2 * stage->objective);
    if (!(polished.objective <= stage->objective * (1 + fmin(rounding + cancels, most_rounding)))) return;
    memcpy(stage->x, x, n * sizeof *x);
    stage->objective = polished.objective;
    stage->stationarity = polished.stationarity;
    stage->stationary = polished.stationary;
  }
}
