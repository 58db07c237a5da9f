// The scale of Student's t where the options give none: the most likely one, together with the coefficients.
//
// Of residuals r with weights w the likelihood's maximum over the scale s lies where the sum of w u / (1 + u) is that
// of w over n + 1, with u = r^2 / (n s^2) for n degrees of freedom (Lange, Little and Taylor 1989, "Robust statistical
// modeling using the t distribution", Journal of the American Statistical Association 84): the left side falls with s,
// so there is one. Coefficients and scale are taken in turns, each at its best given the other.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

double student_scale(const double *residual, const double *weight, size_t rows, double degrees) {
  double total = 0, squares = 0, low, high;
  for (size_t i = 0; i < rows; i++) {
    total += weight[i];
    squares += weight[i] * residual[i] * residual[i];
  }
  if (!(squares > 0) || !isfinite(squares)) return 0;
  low = 0.5 * log(squares / total) - 60;
  high = 0.5 * log(squares / total) + 0.5 * log1p(1 / degrees) + 1;
  for (int round = 0; round < 200 && high - low > 1e-14 * fabs(high); round++) {
    double middle = 0.5 * (low + high), tail = degrees * exp(2 * middle), sum = 0;
    for (size_t i = 0; i < rows; i++) {
      double square = residual[i] * residual[i];
      sum += weight[i] * square / (tail + square);
    }
    if (sum * (degrees + 1) > total)
      low = middle;
    else
      high = middle;
  }
  return exp(0.5 * (low + high));
}

static double scale_at(struct workspace *workspace, const struct fit_stage *stage, const double *x, double degrees) {
  problem_evaluate(workspace, x, NULL, WANT_VALUE);
  return student_scale(workspace->residual, stage->weight, stage->row_count, degrees);
}

double student_first_scale(struct workspace *workspace, const struct fit_stage *stage, const double *x) {
  double *sizes = memory_get((stage->row_count + 1) * sizeof *sizes);
  problem_evaluate(workspace, x, NULL, WANT_VALUE);
  for (size_t i = 0; i < stage->row_count; i++) sizes[i] = fabs(workspace->residual[i]);
  qsort(sizes, stage->row_count, sizeof *sizes, compare_numbers);
  size_t passed = (size_t)stage->free_count;  // the fit passes through as many
  double size = 1.4826 * quantile(sizes + passed, stage->row_count - passed, 0.5);
  free(sizes);
  return size;
}

bool student_settle(struct fit *fit, struct fit_stage *stage, struct workspace *workspace, struct error *error) {
  double degrees = fit->objective.degrees, first = fit->objective.scale;
  enum { ROUNDS = 500 };
  for (int round = 0; round < ROUNDS; round++) {
    problem_take(&stage->problem, fit->objective);
    workspace_use(workspace, &stage->problem);
    double scale = scale_at(workspace, stage, stage->x, degrees), before = fit->objective.scale;
    if (!(scale > 1e-6 * first))
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s: the scale of student-t:%g runs to 0: the law passes through too many of the %zu rows; give "
                       "a scale (student-t:%g:0.01)",
                       fit->table->source, degrees, stage->row_count, degrees);
    fit->objective.scale = scale;
    problem_take(&stage->problem, fit->objective);
    workspace_use(workspace, &stage->problem);
    descend(workspace, stage->x, NULL, 200, 1e-12);
    struct polish_result polished = polish(workspace, stage->x, NULL, 100);
    stage->objective = polished.objective;
    stage->stationarity = polished.stationarity;
    stage->stationary = polished.stationary;
    if (fabs(scale - before) <= 1e-11 * before) break;
  }
  for (int k = 0; k < stage->other_count; k++) {
    descend(workspace, stage->others[k], NULL, 200, 1e-12);
    stage->other_objectives[k] = polish(workspace, stage->others[k], NULL, 100).objective;
  }
  return true;
}
