// How large the errors of a stage are, and how well its coordinates are known by the curvature at the minimum.
//
// For an objective sum w rho(r), with psi = rho', twice the rise of the objective from its minimum, divided by
// mean psi^2 / mean psi', is chi-squared where the errors of rows are independent and alike: for least squares the
// usual statistic, for Huber's and least absolute deviations that of Schrader and Hettmansperger 1980, "Robust analysis
// of variance based upon a likelihood ratio criterion", Biometrika 67.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/orthogonal_internal.h"

enum { JACOBIAN_LIMIT = 20000000 };  // numbers

// The mean of psi'. It is 1 inside delta and 0 outside; a small delta holds few rows beyond the n that the fit passes
// through, so the density is taken over a window of at least 40 % of the others.
static double mean_huber_slope(const double *sizes, size_t rows, int n, double delta) {
  size_t passed = (size_t)n, others = rows - passed, window = passed + (size_t)ceil(0.4 * (double)others), inside = 0;
  double width = sizes[window - 1];
  if (delta < width) return delta / width * (double)(window - passed) / (double)others;
  while (inside < rows && sizes[inside] <= delta) inside++;
  return (double)(inside - passed) / (double)others;
}

// Of an asymmetric loss the factor of a row's side comes in as its mean, of Student's t psi' has no jump.
static double mean_slope(const struct problem *problem, const double *residual, const double *sizes, size_t rows,
                         int n) {
  double sum = 0, factors = 0;
  if (problem->tail > 0) {
    for (size_t i = 0; i < rows; i++) sum += problem_curvature(problem, residual[i]);
    return fmax(sum / (double)rows, 1e-3);
  }
  for (size_t i = 0; i < rows; i++) factors += residual[i] > 0 ? 1 + problem->asymmetry : 1;
  return factors / (double)rows * mean_huber_slope(sizes, rows, n, problem->delta);
}

static void keep_coordinates(const struct fit *fit, const struct fit_stage *stage, struct arena *arena,
                             const double *matrix, struct stage_scale *scale) {
  int n = stage->free_count;
  scale->of = arena_array(arena, (size_t)n + 1, sizeof *scale->of);
  for (int i = 0; i < n; i++) {
    enum coefficient_status status = fit->result->coefficients[stage->free[i]].status;
    if (status == COEFFICIENT_AT_LOW || status == COEFFICIENT_AT_HIGH || !(matrix[i * n + i] > 0)) continue;
    scale->of[scale->n++] = i;
  }
  size_t kept = (size_t)scale->n;
  scale->matrix = arena_array(arena, kept * kept + 1, sizeof *scale->matrix);
  for (size_t i = 0; i < kept; i++)
    for (size_t j = 0; j < kept; j++) scale->matrix[i * kept + j] = matrix[scale->of[i] * n + scale->of[j]];
}

// The matrix scaled to a unit diagonal, in the arena.
static double *scaled_matrix(struct arena *arena, const struct stage_scale *scale) {
  int n = scale->n;
  double *scaled = arena_array(arena, (size_t)(n * n) + 1, sizeof *scaled);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < n; k++)
      scaled[i * n + k] = scale->matrix[i * n + k] / sqrt(scale->matrix[i * n + i] * scale->matrix[k * n + k]);
  return scaled;
}

// The inverse by columns; NULL where the matrix is singular to rounding.
static void invert(struct arena *arena, struct stage_scale *scale) {
  int n = scale->n;
  double *scaled = scaled_matrix(arena, scale), *column = arena_array(arena, (size_t)n + 1, sizeof *column),
         *inverse = arena_array(arena, (size_t)(n * n) + 1, sizeof *inverse);
  if (!cholesky_factor(scaled, n)) return;
  for (int j = 0; j < n; j++) {
    for (int i = 0; i < n; i++) column[i] = i == j;
    cholesky_back(scaled, n, column);
    for (int i = 0; i < n; i++)
      inverse[i * n + j] = column[i] / sqrt(scale->matrix[i * n + i] * scale->matrix[j * n + j]);
  }
  scale->inverse = inverse;
}

// The Cholesky factor of a matrix with a unit diagonal, in place below it. A coordinate of which the earlier ones leave
// nothing is held: its row and column are those of the unit matrix. Returns how many are.
static int factor_holding(double *a, int n, bool *held) {
  static const double nothing = 1e-12;
  int count = 0;
  for (int j = 0; j < n; j++) {
    double diagonal = a[j * n + j];
    for (int k = 0; k < j; k++) diagonal -= a[j * n + k] * a[j * n + k];
    held[j] = !(diagonal > nothing);
    count += held[j];
    a[j * n + j] = held[j] ? 1 : sqrt(diagonal);
    for (int k = 0; held[j] && k < j; k++) a[j * n + k] = 0;
    for (int i = j + 1; i < n; i++) {
      double sum = a[i * n + j];
      for (int k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = held[j] ? 0 : sum / a[j * n + j];
    }
  }
  return count;
}

// The diagonal of the inverse. Where the matrix is singular to rounding, what takes part in a direction in which
// nothing changes has no variance (NaN), and what does not has the same whether that direction is held or not. There
// scale->held gets the inverse with a coordinate of each such direction held.
static void find_variances(struct arena *arena, struct stage_scale *scale) {
  static const double part = 1e-5;
  int n = scale->n;
  double *factor = scaled_matrix(arena, scale), *matrix = scaled_matrix(arena, scale),
         *column = arena_array(arena, (size_t)n + 1, sizeof *column);
  bool *held = arena_array(arena, (size_t)n + 1, sizeof *held), *open = arena_array(arena, (size_t)n + 1, sizeof *open);
  scale->variance = arena_array(arena, (size_t)n + 1, sizeof *scale->variance);
  int count = factor_holding(factor, n, held);
  for (int j = 0; j < n && count; j++) {  // the direction that a held coordinate makes with the others
    if (!held[j]) continue;
    for (int i = 0; i < n; i++) column[i] = held[i] ? 0 : -matrix[i * n + j];
    cholesky_back(factor, n, column);
    for (int i = 0; i < n; i++) open[i] |= i == j || fabs(column[i]) > part;
  }
  if (count) scale->held = arena_array(arena, (size_t)(n * n) + 1, sizeof *scale->held);
  for (int j = 0; j < n; j++) {
    for (int i = 0; i < n; i++) column[i] = i == j;
    if (!held[j]) cholesky_back(factor, n, column);
    scale->variance[j] = open[j] ? NAN : column[j] / scale->matrix[j * n + j];
    for (int i = 0; i < n && count && !held[j]; i++)
      scale->held[i * n + j] = held[i] ? 0 : column[i] / sqrt(scale->matrix[i * n + i] * scale->matrix[j * n + j]);
  }
}

// Whether the elimination of the matrix leaves so little of a coordinate that products of columns have lost the rest.
static bool is_collinear(struct arena *arena, const struct stage_scale *scale) {
  static const double little = 1e-5;
  double *factor = scaled_matrix(arena, scale);
  bool fine = cholesky_factor(factor, scale->n);
  for (int k = 0; k < scale->n && fine; k++) fine = factor[k * scale->n + k] >= little;
  return !fine;
}

bool stage_singular(struct arena *arena, const struct fit_stage *stage, const double *jacobian, const int *of,
                    int count, double *length, double *values, double *vectors) {
  size_t rows = stage->row_count, n = (size_t)count, tall = rows > n ? rows : n;
  double *columns = arena_array(arena, tall * n + 1, sizeof *columns),
         *side = arena_array(arena, tall + 1, sizeof *side),
         *triangle = arena_array(arena, n * n + 1, sizeof *triangle);
  for (size_t k = 0; k < n; k++)
    for (size_t row = 0; row < rows; row++)
      columns[k * tall + row] = sqrt(stage->weight[row]) * jacobian[row * (size_t)stage->free_count + (size_t)of[k]];
  if (!orthogonal_scale(columns, tall, count, length)) return false;
  orthogonal_reflect(columns, side, tall, count);
  for (size_t k = 0; k < n; k++) memcpy(triangle + k * n, columns + k * tall, (k + 1) * sizeof *triangle);
  return orthogonal_singular(triangle, count, values, vectors);
}

double stage_nothing(int n) {
  static const double nothing = 1e-13;
  return nothing * n * nothing * n;
}

// Inverse and variances of a parabola whose columns are nearly collinear, from orthogonal factors of the columns
// themselves. Directions that these do not tell from 0 are left out of scale->resolved, along them scale->open goes.
static void take_factors(struct arena *arena, const struct fit_stage *stage, struct stage_scale *scale) {
  static const double part = 1e-5;
  size_t n = (size_t)scale->n, open = 0;
  double *length = arena_array(arena, n + 1, sizeof *length), *values = arena_array(arena, n + 1, sizeof *values),
         *vectors = arena_array(arena, n * n + 1, sizeof *vectors);
  if (!stage_singular(arena, stage, scale->jacobian, scale->of, scale->n, length, values, vectors)) return;
  while (open < n && !(values[open] > stage_nothing(scale->n) * values[n - 1])) open++;
  scale->resolved = arena_array(arena, n * n + 1, sizeof *scale->resolved);
  scale->open = arena_array(arena, n * n + 1, sizeof *scale->open);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) {
      double unit = length[i] * length[j];
      for (size_t k = 0; k < n; k++) {
        double product = vectors[i * n + k] * vectors[j * n + k] / unit;
        if (k < open)
          scale->open[i * n + j] += product;
        else
          scale->resolved[i * n + j] += product / values[k];
      }
    }
  for (size_t i = 0; i < n; i++) {
    bool free = scale->open[i * n + i] * length[i] * length[i] > part * part;
    scale->variance[i] = free ? NAN : scale->resolved[i * n + i];
  }
  scale->inverse = open ? NULL : scale->resolved;
}

// The penalty's matrix at the minimum; the workspace's own, and its residuals, stay.
static double *penalty_of(struct workspace *workspace, const struct fit_stage *stage) {
  size_t n = (size_t)stage->free_count * (size_t)stage->free_count;
  double *kept = memory_get((n + 1) * sizeof *kept), *matrix = memory_get((n + 1) * sizeof *matrix);
  memcpy(kept, workspace->matrix, n * sizeof *kept);
  workspace_use(workspace, &stage->problem);
  problem_penalty_matrix(workspace, stage->x, matrix);
  memcpy(workspace->matrix, kept, n * sizeof *kept);
  free(kept);
  return matrix;
}

struct stage_scale *stage_scale_new(const struct fit *fit, struct arena *arena, const struct fit_stage *stage) {
  struct stage_scale *scale = arena_alloc(arena, sizeof *scale);
  size_t rows = stage->row_count, n = (size_t)stage->free_count;
  struct workspace *workspace = workspace_new(arena, &stage->problem);
  struct problem squares = stage->problem;
  problem_take_squares(&squares);  // every row counts with its weight
  squares.penalty = NULL;
  workspace_use(workspace, &squares);
  problem_evaluate(workspace, stage->x, NULL, WANT_REWEIGHTED);
  double *penalty = stage->problem.penalty ? penalty_of(workspace, stage) : NULL;
  for (size_t i = 0; i < n * n && penalty; i++) workspace->matrix[i] += penalty[i];
  keep_coordinates(fit, stage, arena, workspace->matrix, scale);
  scale->degrees = (int)rows - scale->n;
  scale->residual = arena_array(arena, rows + 1, sizeof *scale->residual);
  memcpy(scale->residual, workspace->residual, rows * sizeof *scale->residual);
  if (rows * n <= JACOBIAN_LIMIT) {
    scale->jacobian = arena_array(arena, rows * n + 1, sizeof *scale->jacobian);
    problem_jacobian(workspace, stage->x, scale->residual, scale->jacobian);
  }
  double *sizes = memory_get((rows + 1) * sizeof *sizes), squared = 0;
  for (size_t i = 0; i < rows; i++) {
    double slope = problem_slope(&stage->problem, scale->residual[i]);
    squared += stage->weight[i] * slope * slope;
    sizes[i] = fabs(scale->residual[i]);
  }
  qsort(sizes, rows, sizeof *sizes, compare_numbers);
  scale->slope = mean_slope(&stage->problem, scale->residual, sizes, rows, scale->n);
  scale->ratio = fmax(squared / scale->degrees / scale->slope, fit->choice_variance);
  if (stage->problem.penalty) {
    scale->ratio = fit->alone->scale[stage - fit->stages] * (stage->problem.absolute ? stage->problem.delta : 1);
    for (int i = 0; i < scale->n; i++)  // the rise is slope times the rows' part and once the penalty's
      for (int j = 0; j < scale->n; j++)
        scale->matrix[i * scale->n + j] += (1 / scale->slope - 1) * penalty[scale->of[i] * (int)n + scale->of[j]];
  }
  free(penalty);
  invert(arena, scale);
  find_variances(arena, scale);
  if (scale->jacobian && problem_is_one_solve(&stage->problem) && is_collinear(arena, scale))
    take_factors(arena, stage, scale);
  for (size_t i = 0; i < rows; i++) sizes[i] = sqrt(stage->weight[i]) * fabs(scale->residual[i]);
  qsort(sizes, rows, sizeof *sizes, compare_numbers);
  // the fit passes through n of the rows: the median is that of the others
  scale->deviation = 1.4826 * quantile(sizes + scale->n, rows - (size_t)scale->n, 0.5);
  free(sizes);
  return scale;
}

double stage_scale_se(const struct stage_scale *scale, int k) {
  return sqrt(scale->ratio / scale->slope * scale->variance[k]);
}
