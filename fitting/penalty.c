// What is added to the losses of rows: normal priors on coefficients, and the pull of a category's coefficients to
// their common mean. See struct penalty.
#include <math.h>
#include <string.h>

#include "fitting/problem_internal.h"

// Adds to the gradient and the matrix of the problem's own coordinates; j may be i.
static void add_second(struct workspace *workspace, int i, int j, double value) {
  if (i >= 0 && j >= 0) workspace->matrix[i * workspace->problem->free_count + j] += value;
}

static void add_first(struct workspace *workspace, int i, double value) {
  if (i < 0) return;
  workspace->gradient[i] += value;
  workspace->magnitude[i] += fabs(value);
}

static double shift_of(const struct problem *problem, int element) {
  return problem->shift ? problem->shift[element] : 0;
}

static double add_prior(struct workspace *workspace, const struct penalty_prior *prior, enum wanted wanted,
                        double unit) {
  const struct problem *problem = workspace->problem;
  int e = prior->element, i = problem->free_of[e];
  double x = workspace->elements[e], p = unit * prior->precision;
  bool through = problem->unit[e] == 0 && !prior->of_logarithm;  // of the value, and the coordinate is its logarithm
  double value = through ? exp(x) : x, slope = through ? value : 1;
  double off = value - prior->mean - shift_of(problem, e);
  if (wanted != WANT_VALUE) {
    add_first(workspace, i, p * off * slope);
    double second = p * slope * slope;
    if (wanted == WANT_INLIER && through) second += p * off * value;
    if (wanted != WANT_GRADIENT) add_second(workspace, i, i, second);
  }
  return 0.5 * p * off * off;
}

static double add_pool(struct workspace *workspace, const struct penalty_pool *pool, enum wanted wanted, double unit) {
  const struct problem *problem = workspace->problem;
  double mean = 0, squares = 0, p = unit * pool->precision, n = pool->count;
  for (int k = 0; k < pool->count; k++)
    mean += (workspace->elements[pool->elements[k]] - shift_of(problem, pool->elements[k])) / n;
  for (int k = 0; k < pool->count; k++) {
    int e = pool->elements[k], i = problem->free_of[e];
    double off = workspace->elements[e] - shift_of(problem, e) - mean;
    squares += off * off;
    if (wanted == WANT_VALUE) continue;
    add_first(workspace, i, p * off);
    for (int m = 0; m < pool->count && wanted != WANT_GRADIENT; m++)
      add_second(workspace, i, problem->free_of[pool->elements[m]], p * ((k == m) - 1 / n));
  }
  return 0.5 * p * squares;
}

double problem_penalty(struct workspace *workspace, enum wanted wanted) {
  const struct penalty *penalty = workspace->problem->penalty;
  double unit = workspace->problem->absolute ? workspace->problem->delta : 1, sum = 0;
  for (int k = 0; k < penalty->prior_count; k++) sum += add_prior(workspace, &penalty->priors[k], wanted, unit);
  for (int k = 0; k < penalty->pool_count; k++) sum += add_pool(workspace, &penalty->pools[k], wanted, unit);
  workspace->penalty = sum / unit;
  return sum;
}

void problem_penalty_matrix(struct workspace *workspace, const double *x, double *matrix) {
  const struct problem *problem = workspace->problem;
  size_t n = (size_t)problem->free_count;
  for (size_t i = 0; i < n; i++) workspace->elements[problem->free[i]] = x[i];
  memset(workspace->matrix, 0, n * n * sizeof(double));
  problem_penalty(workspace, WANT_REWEIGHTED);
  memcpy(matrix, workspace->matrix, n * n * sizeof(double));
}
