// The linearised estimator. Near the truth a fit's coefficients are linear in the rows' psi(residual): for each stage
//
//   x - truth = - A^-1 (sum_i w_i J_i psi_i + M (x' - truth')),   A = sum_i w_i E[psi'_i] J_i J_i',
//
// with x' the coefficients of earlier stages and M = sum_i w_i E[psi'_i] J_i J'_i. With normal noise of standard
// deviation s: least squares E[psi'] = 1, E[psi^2] = s^2; Huber with k = delta / s: E[psi'] = erf(k / sqrt 2), E[psi^2]
// = s^2 (E[psi'] - 2 k phi(k)) + delta^2 (1 - E[psi']); absolute deviations: 2 phi(0) / s and 1 (Huber and Ronchetti,
// Robust Statistics, chapters 4 and 7).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/design_internal.h"

// A direction whose eigenvalue in the scaled information matrix is below this part of the largest is flat, and every
// coefficient that has at least this share in it unknown: its error is over a hundred times that with the others known.
static const double null_eigenvalue = 1e-12, null_share = 1e-4;

double *design_jacobian(struct design *design) {
  size_t n = (size_t)design->count;
  double *jacobian = arena_array(&design->arena, design->table->row_count * n + 1, sizeof *jacobian);
  for (int s = 0; s < design->fit.stage_count; s++) {
    const struct fit_stage *stage = &design->fit.stages[s];
    if (!stage->free_count) continue;
    struct problem all = stage->problem;
    double *x = arena_array(&design->arena, n + 1, sizeof *x);
    double *low = arena_array(&design->arena, n + 1, sizeof *low),
           *high = arena_array(&design->arena, n + 1, sizeof *high);
    all.start = design->truth;
    all.free = design->element;
    all.free_of = design->place;
    all.free_count = design->count;
    all.low = low;
    all.high = high;
    for (size_t i = 0; i < n; i++) {
      x[i] = design->truth[design->element[i]];
      low[i] = -INFINITY;
      high[i] = INFINITY;
    }
    struct workspace *workspace = workspace_new(&design->arena, &all);
    double *residual = arena_array(&design->arena, stage->program->padded + 1, sizeof *residual);
    double *rows = arena_array(&design->arena, stage->program->padded * n + 1, sizeof *rows);
    problem_jacobian(workspace, x, residual, rows);
    for (size_t i = 0; i < stage->row_count; i++) memcpy(jacobian + stage->rows[i] * n, rows + i * n, n * sizeof *rows);
  }
  return jacobian;
}

// E[psi], E[psi'] and E[psi^2] of normal errors of standard deviation s about `shift`, by the midpoint rule between the
// places where psi has a kink.
static double integrate(struct objective objective, double s, double shift, double *slope, double *square) {
  enum { INTERVALS = 600, PARTS = 4 };
  const double phi0 = 0.3989422804014326779, reach = 9;
  double delta = isfinite(objective.delta) ? objective.delta : 0, mean = 0;
  double ends[PARTS + 1] = {-reach, (-delta - shift) / s, -shift / s, (delta - shift) / s, reach};
  for (int k = 1; k < PARTS; k++) ends[k] = fmin(fmax(ends[k], -reach), reach);
  *slope = *square = 0;
  for (int k = 0; k < PARTS; k++)
    for (int i = 0; i < INTERVALS; i++) {
      double step = (ends[k + 1] - ends[k]) / INTERVALS, z = ends[k] + (i + 0.5) * step, r = s * z + shift;
      double density = step * phi0 * exp(-0.5 * z * z), psi = objective_slope(objective, r);
      mean += density * psi;
      *slope += density * objective_curvature(objective, r);
      *square += density * psi * psi;
    }
  return mean;
}

// At the level where E[psi] is 0, which for an asymmetric loss is not that of the errors' mean.
static void moments_of(struct objective objective, double s, double *slope, double *square) {
  double low = -9 * s, high = 9 * s;
  if (objective.kind == OBJECTIVE_STUDENT_T) low = high = 0;
  for (int round = 0; round < 50 && high > low; round++) {
    double middle = 0.5 * (low + high);
    *(integrate(objective, s, middle, slope, square) < 0 ? &low : &high) = middle;
  }
  integrate(objective, s, 0.5 * (low + high), slope, square);
}

void design_moments(const struct design *design, size_t row, double *slope, double *square) {
  double s = design->noise[row], delta = design->fit.objective.delta, k = delta / s;
  const double phi0 = 0.3989422804014326779;
  switch (design->fit.objective.kind) {
    case OBJECTIVE_LEAST_SQUARES:
      *slope = 1;
      *square = s * s;
      break;
    case OBJECTIVE_HUBER:
      *slope = erf(k / sqrt(2));
      *square = s * s * (*slope - 2 * k * phi0 * exp(-0.5 * k * k)) + delta * delta * (1 - *slope);
      break;
    case OBJECTIVE_LAD:
      *slope = 2 * phi0 / s;
      *square = 1;
      break;
    default:
      moments_of(design->fit.objective, s, slope, square);
  }
}

static void tell_direction(const struct design *design, const struct fit_stage *stage, const double *vector,
                           size_t stride) {
  struct text names = {0};
  for (int i = 0; i < stage->free_count; i++)
    if (fabs(vector[(size_t)i * stride]) >= null_share)
      text_format(&names, "%s%s", names.length ? ", " : "", design->fit.elements[stage->free[i]].name);
  struct design_result *result = design->result;
  result->unidentified = arena_grow(&result->arena, result->unidentified, result->unidentified_count,
                                    result->unidentified_count + 1, sizeof *result->unidentified);
  result->unidentified[result->unidentified_count++] = arena_string(&result->arena, text_string(&names));
  text_free(&names);
}

// The inverse of the stage's matrix over its identified directions, in the place of the matrix.
static bool invert(const struct design *design, const struct fit_stage *stage, double *matrix, struct linear *linear,
                   bool words) {
  size_t n = (size_t)stage->free_count;
  double *scale = memory_get(n * sizeof *scale), *values = memory_get(n * sizeof *values);
  double *scaled = memory_get(n * n * sizeof *scaled), *vectors = memory_get(n * n * sizeof *vectors);
  for (size_t i = 0; i < n; i++) scale[i] = matrix[i * n + i] > 0 ? 1 / sqrt(matrix[i * n + i]) : 1;
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) scaled[i * n + j] = matrix[i * n + j] * scale[i] * scale[j];
  bool fine = symmetric_eigen(scaled, (int)n, values, vectors);
  memset(matrix, 0, n * n * sizeof *matrix);
  for (size_t k = 0; fine && k < n; k++) {
    if (!(values[k] > null_eigenvalue * values[n - 1])) {
      for (size_t i = 0; i < n; i++)
        if (fabs(vectors[i * n + k]) >= null_share) linear->unidentified[design->place[stage->free[i]]] = true;
      if (words) tell_direction(design, stage, vectors + k, n);
      continue;
    }
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < n; j++)
        matrix[i * n + j] += scale[i] * vectors[i * n + k] * vectors[j * n + k] * scale[j] / values[k];
  }
  if (fine) linear->condition = fmax(linear->condition, values[0] > 0 ? values[n - 1] / values[0] : INFINITY);
  free(scale);
  free(values);
  free(scaled);
  free(vectors);
  return fine;
}

// Adds one stage's rows of linear->score.
static bool stage_scores(const struct design *design, const struct fit_stage *stage, const double *jacobian,
                         const int *include, struct linear *linear, bool words) {
  size_t n = (size_t)stage->free_count, count = (size_t)design->count, rows = design->table->row_count;
  double *matrix = memory_get(n * n * sizeof *matrix), *mixed = memory_get(n * count * sizeof *mixed);
  double *side = memory_get(n * rows * sizeof *side + 1);
  for (size_t r = 0; r < stage->row_count; r++) {
    size_t row = stage->rows[r];
    if (!include[row]) continue;
    double slope, square, weight = design->fit.row_weight[row];
    const double *J = jacobian + row * count;
    design_moments(design, row, &slope, &square);
    for (size_t i = 0; i < n; i++) {
      double Ji = J[design->place[stage->free[i]]];
      double scaled = include[row] * weight * slope * Ji;
      for (size_t j = 0; j < n; j++) matrix[i * n + j] += scaled * J[design->place[stage->free[j]]];
      for (size_t c = 0; c < count; c++)
        if (stage->free_of[design->element[c]] < 0) mixed[i * count + c] += scaled * J[c];
      side[i * rows + row] += weight * Ji;
    }
  }
  bool fine = invert(design, stage, matrix, linear, words);
  for (size_t i = 0; i < n; i++)  // what earlier stages got wrong
    for (size_t c = 0; c < count; c++) {
      if (mixed[i * count + c] == 0) continue;
      for (size_t row = 0; row < rows; row++)
        side[i * rows + row] -= mixed[i * count + c] * linear->score[c * rows + row];
    }
  for (size_t i = 0; i < n; i++) {
    double *score = linear->score + (size_t)design->place[stage->free[i]] * rows;
    for (size_t row = 0; row < rows; row++) score[row] = 0;
    for (size_t j = 0; j < n; j++)
      for (size_t row = 0; row < rows; row++) score[row] += matrix[i * n + j] * side[j * rows + row];
  }
  free(matrix);
  free(mixed);
  free(side);
  return fine;
}

bool design_linear(const struct design *design, const double *jacobian, const int *include, struct linear *linear,
                   bool words, struct error *error) {
  size_t count = (size_t)design->count, rows = design->table->row_count;
  memset(linear->score, 0, count * rows * sizeof *linear->score);
  memset(linear->unidentified, 0, count * sizeof *linear->unidentified);
  linear->condition = 0;
  for (int s = 0; s < design->fit.stage_count; s++)
    if (design->fit.stages[s].free_count &&
        !stage_scores(design, &design->fit.stages[s], jacobian, include, linear, words))
      return error_set(error, EXIT_ENVIRONMENT, "the information matrix has no eigenvalues");
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < count; j++) {
      double sum = 0;
      for (size_t row = 0; row < rows; row++) {
        double slope, square;
        if (!include[row]) continue;
        design_moments(design, row, &slope, &square);
        sum += include[row] * square * linear->score[i * rows + row] * linear->score[j * rows + row];
      }
      linear->covariance[i * count + j] = sum;
    }
  return true;
}

double design_error_of(const struct design *design, const struct linear *linear, size_t quantity) {
  size_t count = (size_t)design->count;
  if (quantity < count) {
    const struct element *element = &design->fit.elements[design->element[quantity]];
    double se = sqrt(linear->covariance[quantity * count + quantity]);
    if (linear->unidentified[quantity]) return INFINITY;
    return element->logarithmic ? se * exp(design->truth[design->element[quantity]]) : se;
  }
  const double *gradient = design->gradients + (quantity - count) * count;
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    if (gradient[i] != 0 && linear->unidentified[i]) return INFINITY;
    for (size_t j = 0; j < count; j++) sum += gradient[i] * gradient[j] * linear->covariance[i * count + j];
  }
  return sqrt(fmax(sum, 0));
}
