// GSL's minimizers: trust-region least squares with reweighting for Huber's loss, and BFGS on the objective itself.
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_multimin.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

struct bridge {
  struct workspace *workspace;
  double *jacobian;
  double scale;  // of the objective: BFGS's line search expects numbers near 1
};

static bool within_bounds(const struct problem *problem, const double *x) {
  for (int i = 0; i < problem->free_count; i++)
    if (!(x[i] >= problem->low[i] && x[i] <= problem->high[i])) return false;
  return true;
}

// GSL hands over vectors of stride 1.
static int residuals(const gsl_vector *x, void *context, gsl_vector *out) {
  struct bridge *bridge = context;
  if (!within_bounds(bridge->workspace->problem, x->data)) return GSL_EDOM;
  return problem_jacobian(bridge->workspace, x->data, out->data, NULL) ? GSL_SUCCESS : GSL_EDOM;
}

static int derivatives(const gsl_vector *x, void *context, gsl_matrix *out) {
  struct bridge *bridge = context;
  return problem_jacobian(bridge->workspace, x->data, bridge->workspace->frozen, out->data) ? GSL_SUCCESS : GSL_EDOM;
}

// Reweighted least squares: weights psi(r)/r from the last solution, until the objective stops falling.
static double trust_region(struct bridge *bridge, double *x) {
  struct workspace *workspace = bridge->workspace;
  const struct problem *problem = workspace->problem;
  size_t rows = problem->program->rows, n = (size_t)problem->free_count;
  gsl_multifit_nlinear_parameters parameters = gsl_multifit_nlinear_default_parameters();
  gsl_multifit_nlinear_workspace *solver = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &parameters, rows, n);
  gsl_vector *weights = gsl_vector_alloc(rows);
  gsl_multifit_nlinear_fdf system = {.f = residuals, .df = derivatives, .n = rows, .p = n, .params = bridge};
  double best = NAN;
  if (solver && weights) {
    gsl_vector_view start = gsl_vector_view_array(x, n);
    best = problem_evaluate(workspace, x, NULL, WANT_VALUE);
    int rounds = problem_is_squares(problem) ? 1 : 200;
    for (int round = 0; round < rounds; round++) {
      problem_evaluate(workspace, x, NULL, WANT_VALUE);
      for (size_t i = 0; i < rows; i++)
        weights->data[i] = problem->weight[i] * problem_reweight(problem, workspace->residual[i]);
      int info;
      if (gsl_multifit_nlinear_winit(&start.vector, weights, &system, solver)) break;
      int status = gsl_multifit_nlinear_driver(rounds == 1 ? 200 : 20, 1e-12, 1e-12, 0, NULL, NULL, &info, solver);
      if (status && status != GSL_EMAXITER && status != GSL_ENOPROG) break;
      const double *found = gsl_multifit_nlinear_position(solver)->data;
      double value = problem_evaluate(workspace, found, NULL, WANT_VALUE);
      if (!(value < best)) break;
      bool settled = best - value <= 1e-13 * best;
      best = value;
      memcpy(x, found, n * sizeof *x);
      if (settled) break;
    }
  }
  gsl_multifit_nlinear_free(solver);
  gsl_vector_free(weights);
  return best;
}

static double scaled_value(const gsl_vector *x, void *context) {
  struct bridge *bridge = context;
  if (!within_bounds(bridge->workspace->problem, x->data)) return GSL_POSINF;
  return bridge->scale * problem_evaluate(bridge->workspace, x->data, NULL, WANT_VALUE);
}

static void scaled_both(const gsl_vector *x, void *context, double *value, gsl_vector *gradient) {
  struct bridge *bridge = context;
  struct workspace *workspace = bridge->workspace;
  double objective = problem_evaluate(workspace, x->data, NULL, WANT_GRADIENT);
  bool inside = within_bounds(workspace->problem, x->data);
  for (size_t i = 0; i < gradient->size; i++)
    gradient->data[i] = inside && isfinite(objective) ? bridge->scale * workspace->gradient[i] : 0;
  *value = inside ? bridge->scale * objective : GSL_POSINF;
}

static void scaled_gradient(const gsl_vector *x, void *context, gsl_vector *gradient) {
  double value;
  scaled_both(x, context, &value, gradient);
}

static double bfgs(struct bridge *bridge, double *x) {
  size_t n = (size_t)bridge->workspace->problem->free_count;
  double best = problem_evaluate(bridge->workspace, x, NULL, WANT_VALUE);
  if (!(best > 0) || !isfinite(best)) return best;
  bridge->scale = 1 / best;
  gsl_multimin_function_fdf function = {
      .f = scaled_value, .df = scaled_gradient, .fdf = scaled_both, .n = n, .params = bridge};
  gsl_multimin_fdfminimizer *solver = gsl_multimin_fdfminimizer_alloc(gsl_multimin_fdfminimizer_vector_bfgs2, n);
  if (!solver) return NAN;
  gsl_vector_view start = gsl_vector_view_array(x, n);
  for (int restart = 0; restart < 5; restart++) {  // the metric is built anew: a line search that failed may continue
    double before = best;
    if (gsl_multimin_fdfminimizer_set(solver, &function, &start.vector, 1e-3, 0.1)) break;
    for (int iteration = 0; iteration < 500; iteration++) {
      if (gsl_multimin_fdfminimizer_iterate(solver)) break;
      if (gsl_multimin_test_gradient(solver->gradient, 1e-10) == GSL_SUCCESS) break;
    }
    double value = gsl_multimin_fdfminimizer_minimum(solver) / bridge->scale;
    if (!(value < best)) break;
    best = value;
    memcpy(x, gsl_multimin_fdfminimizer_x(solver)->data, n * sizeof *x);
    if (before - best <= 1e-12 * before) break;
  }
  gsl_multimin_fdfminimizer_free(solver);
  return best;
}

void fitting_start(void) { gsl_set_error_handler_off(); }

void fit_gsl(struct workspace *workspace, double *x, double *trust_region_objective, double *bfgs_objective) {
  size_t n = (size_t)workspace->problem->free_count;
  struct bridge bridge = {.workspace = workspace};
  double *other = memory_get((n + 1) * sizeof *other);
  memcpy(other, x, n * sizeof *x);
  *trust_region_objective = trust_region(&bridge, x);
  *bfgs_objective = bfgs(&bridge, other);
  if (*bfgs_objective < *trust_region_objective) memcpy(x, other, n * sizeof *x);
  free(other);
}
