// What the data do not tell at all: coefficients at their bounds, and directions in which no prediction changes.
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

bool symmetric_eigen(double *matrix, int n, double *values, double *vectors) {
  gsl_eigen_symmv_workspace *space = gsl_eigen_symmv_alloc((size_t)n);
  bool fine = false;
  if (space) {
    gsl_matrix_view a = gsl_matrix_view_array(matrix, (size_t)n, (size_t)n);
    gsl_matrix_view v = gsl_matrix_view_array(vectors, (size_t)n, (size_t)n);
    gsl_vector_view w = gsl_vector_view_array(values, (size_t)n);
    fine = gsl_eigen_symmv(&a.matrix, &w.vector, &v.matrix, space) == GSL_SUCCESS &&
           gsl_eigen_symmv_sort(&w.vector, &v.matrix, GSL_EIGEN_SORT_VAL_ASC) == GSL_SUCCESS;
    gsl_eigen_symmv_free(space);
  }
  return fine;
}

// A step along a direction in which predictions do not change is so small that those of fitted rows stay the same to
// its square, and what changes in proportion to it hangs on the direction.
static const double open_step = 0.01, open_change = 5e-4;

bool open_step_moves(double value, double stepped) { return !(fabs(stepped - value) <= open_change * fabs(value)); }

// Coefficients a step along column `k` of vectors [kept][kept], which belong to coordinates scaled by the roots of the
// diagonal.
static void keep_step(struct fit *fit, const struct fit_stage *stage, const struct workspace *workspace,
                      const double *vectors, const int *of, int kept, int k) {
  int n = stage->free_count, most = 0;
  double *values = memory_get(((size_t)fit->element_count + 1) * sizeof *values), largest = 0;
  for (int e = 0; e < fit->element_count; e++) values[e] = fit->result->coefficients[e].value;
  double *move = memory_get((size_t)(kept + 1) * sizeof *move);
  for (int i = 0; i < kept; i++) {
    move[i] = vectors[i * kept + k] / sqrt(workspace->matrix[of[i] * n + of[i]]) /
              problem_unit(&stage->problem, of[i], stage->x[of[i]]);
    if (fabs(move[i]) <= largest) continue;
    largest = fabs(move[i]);
    most = i;
  }
  for (int i = 0; i < kept && largest > 0; i++) {
    double unit = problem_unit(&stage->problem, of[i], stage->x[of[i]]);
    values[stage->free[of[i]]] =
        element_value(&fit->elements[stage->free[of[i]]], stage->x[of[i]] + open_step * unit * move[i] / largest);
  }
  fit_copy_ties(fit, values);
  if (largest > 0) fit_keep_open(fit, stage->free[of[most]], true, values);
  free(values);
  free(move);
}

static void mark(struct fit *fit, int element, enum coefficient_status status) {
  fit->result->coefficients[element].status = status;
}

// Coordinates at their bounds, and positive parameters whose term has vanished.
static void mark_bounds(struct fit *fit, const struct fit_stage *stage, const struct workspace *workspace) {
  double largest = 0;
  int n = stage->free_count;
  for (int i = 0; i < n; i++) {
    double unit = problem_unit(&stage->problem, i, stage->x[i]);
    largest = fmax(largest, workspace->matrix[i * n + i] * unit * unit);
  }
  for (int i = 0; i < n; i++) {
    const struct element *element = &fit->elements[stage->free[i]];
    double width = 1e-9 * problem_unit(&stage->problem, i, stage->x[i]);
    // a logarithm that no longer changes any prediction by a part in 10^8 stands for zero, if it lies below its scale
    bool vanished = element->logarithmic && workspace->matrix[i * n + i] < 1e-16 * largest;
    if (stage->x[i] >= stage->high[i] - width)
      mark(fit, stage->free[i], COEFFICIENT_AT_HIGH);
    else if (stage->x[i] <= stage->low[i] + width || (vanished && stage->x[i] < -5))
      mark(fit, stage->free[i], COEFFICIENT_AT_LOW);
    else if (vanished)
      mark(fit, stage->free[i], COEFFICIENT_UNIDENTIFIED);
  }
}

// One warning for all directions: what moves along one often moves along another too.
static void warn_open(struct fit *fit, const struct fit_stage *stage, const int *of, const bool *open, int kept) {
  struct text names = {0};
  for (int i = 0; i < kept; i++) {
    if (!open[i]) continue;
    mark(fit, stage->free[of[i]], COEFFICIENT_UNIDENTIFIED);
    text_format(&names, "%s%s", names.length ? ", " : "", fit->result->coefficients[stage->free[of[i]]].name);
  }
  fit_result_warn(
      fit->result,
      "%s can be changed together without changing any prediction; more varied runs (of N, D or format) or a "
      "fixed parameter (--fix) would tell them",
      text_string(&names));
  text_free(&names);
}

// The same from the columns themselves, of a parabola: products of nearly collinear ones have lost what is small.
static bool exact_directions(struct fit *fit, const struct fit_stage *stage, const int *of, int kept, double *values,
                             double *vectors) {
  enum { LIMIT = 20000000 };
  size_t rows = stage->row_count, n = (size_t)stage->free_count;
  if (!kept || !problem_is_one_solve(&stage->problem) || rows * n > LIMIT) return false;
  struct arena arena = {0};
  double *jacobian = arena_array(&arena, rows * n, sizeof *jacobian),
         *residual = arena_array(&arena, rows, sizeof *residual), *length = arena_array(&arena, n, sizeof *length);
  struct workspace *workspace = workspace_new(&arena, &stage->problem);
  bool fine = problem_jacobian(workspace, stage->x, residual, jacobian) &&
              stage_singular(&fit->arena, stage, jacobian, of, kept, length, values, vectors);
  arena_free(&arena);
  return fine;
}

// Directions in which the predictions do not change at all (to rounding).
static void mark_directions(struct fit *fit, const struct fit_stage *stage, const struct workspace *workspace) {
  int n = stage->free_count, kept = 0;
  int *of = memory_get((size_t)(n + 1) * sizeof *of);
  double *matrix = memory_get((size_t)(n * n + 1) * sizeof *matrix),
         *values = memory_get((size_t)(n + 1) * sizeof *values);
  double *vectors = memory_get((size_t)(n * n + 1) * sizeof *vectors);
  for (int i = 0; i < n; i++)
    if (fit->result->coefficients[stage->free[i]].status == COEFFICIENT_FITTED) of[kept++] = i;
  for (int i = 0; i < kept; i++)
    for (int j = 0; j < kept; j++)
      matrix[i * kept + j] = workspace->matrix[of[i] * n + of[j]] /
                             sqrt(workspace->matrix[of[i] * n + of[i]] * workspace->matrix[of[j] * n + of[j]]);
  bool exact = exact_directions(fit, stage, of, kept, values, vectors);
  double nothing = exact ? stage_nothing(kept) : 1e-13;
  if (exact || (kept && symmetric_eigen(matrix, kept, values, vectors))) {
    double condition = values[0] > 0 ? values[kept - 1] / values[0] : INFINITY;
    fit->result->condition = fmax(fit->result->condition, condition);
    bool *open = memory_get((size_t)(kept + 1) * sizeof *open);
    int directions = 0;
    for (; directions < kept && values[directions] < nothing * values[kept - 1]; directions++) {
      keep_step(fit, stage, workspace, vectors, of, kept, directions);
      for (int i = 0; i < kept; i++) open[i] |= fabs(vectors[i * kept + directions]) >= 0.1;
    }
    if (directions) warn_open(fit, stage, of, open, kept);
    free(open);
  }
  free(of);
  free(matrix);
  free(values);
  free(vectors);
}

void fit_identify(struct fit *fit) {
  for (int s = 0; s < fit->stage_count; s++) {
    struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count) continue;
    struct workspace *workspace = workspace_new(&fit->arena, &stage->problem);
    problem_evaluate(workspace, stage->x, NULL, WANT_REWEIGHTED);
    mark_bounds(fit, stage, workspace);
    mark_directions(fit, stage, workspace);
  }
}
