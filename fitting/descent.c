// Getting down: Levenberg-Marquardt on the reweighted model, then Newton with the full Hessian.
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/problem_internal.h"
#include "fitting/vector_math_internal.h"

bool cholesky_factor(double *a, int n) {
  for (int j = 0; j < n; j++) {
    double diagonal = a[j * n + j];
    for (int k = 0; k < j; k++) diagonal -= a[j * n + k] * a[j * n + k];
    if (!(diagonal > 0) || !isfinite(diagonal)) return false;
    diagonal = sqrt(diagonal);
    a[j * n + j] = diagonal;
    for (int i = j + 1; i < n; i++) {
      double sum = a[i * n + j];
      for (int k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = sum / diagonal;
    }
  }
  return true;
}

void cholesky_back(const double *a, int n, double *b) {
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < i; k++) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (int i = n - 1; i >= 0; i--) {
    for (int k = i + 1; k < n; k++) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
}

// to[i] -= factor * from[i]
FOR_EVERY_MACHINE static void subtract_row(double *restrict to, const double *restrict from, double factor, int count) {
  for (int i = 0; i < count; i++) to[i] -= factor * from[i];
}

// The last coordinate is eliminated first, and what is 0 is passed over: the categories of a parameter, which stand
// after what they share and meet one another in no row, then fill nothing in, and cost no more than they have
// neighbours.
bool cholesky_solve(double *a, int n, double *b) {
  for (int j = n - 1; j >= 0; j--) {  // a = R'R, with R below the diagonal
    double *row = a + (size_t)j * (size_t)n, diagonal = row[j];
    if (!(diagonal > 0) || !isfinite(diagonal)) return false;
    diagonal = sqrt(diagonal);
    row[j] = diagonal;
    for (int i = 0; i < j; i++) row[i] /= diagonal;
    for (int i = 0; i < j; i++)
      if (row[i] != 0) subtract_row(a + (size_t)i * (size_t)n, row, row[i], i + 1);
    b[j] /= diagonal;  // R'y = b at once
    if (b[j] != 0) subtract_row(b, row, b[j], j);
  }
  for (int i = 0; i < n; i++) {  // R x = y
    const double *row = a + (size_t)i * (size_t)n;
    for (int k = 0; k < i; k++) b[i] -= row[k] * b[k];
    b[i] /= row[i];
  }
  return true;
}

// Coordinates at a bound that the gradient pushes against stay where they are.
static void hold_at_bounds(struct workspace *workspace, const double *x) {
  const struct problem *problem = workspace->problem;
  for (int i = 0; i < problem->free_count; i++)
    workspace->held[i] = (x[i] <= problem->low[i] && workspace->gradient[i] > 0) ||
                         (x[i] >= problem->high[i] && workspace->gradient[i] < 0);
}

enum { STEP_LIMIT = 8 };  // in units of a coordinate: a positive parameter changes by at most e^8 at once

// Solves (matrix + damping * scale) step = -gradient over the coordinates that are not held; false when the damped
// matrix is not positive definite. trial gets x + step within the bounds, step what is left of it.
static bool damped_step(struct workspace *workspace, const double *x, const double *matrix, const double *scale,
                        double damping) {
  const struct problem *problem = workspace->problem;
  int n = problem->free_count;
  for (int i = 0; i < n; i++) {
    double *row = workspace->factor + (size_t)i * (size_t)n;
    bool held = workspace->held[i];
    workspace->step[i] = held ? 0 : -workspace->gradient[i];
    for (int j = 0; j < i; j++) row[j] = held || workspace->held[j] ? 0 : matrix[i * n + j];
    row[i] = held ? 1 : matrix[i * n + i] + damping * scale[i];
  }
  if (!cholesky_solve(workspace->factor, n, workspace->step)) return false;
  double longest = 0;
  for (int i = 0; i < n; i++) longest = fmax(longest, fabs(workspace->step[i]) / problem_unit(problem, i, x[i]));
  if (!isfinite(longest)) return false;
  double shrink = longest > STEP_LIMIT ? STEP_LIMIT / longest : 1;
  for (int i = 0; i < n; i++) {
    double to = x[i] + shrink * workspace->step[i];
    to = to < problem->low[i] ? problem->low[i] : to > problem->high[i] ? problem->high[i] : to;
    workspace->trial[i] = to;
    workspace->step[i] = to - x[i];
  }
  return true;
}

// What the quadratic model promises for workspace->step.
static double model_gain(const struct workspace *workspace, const double *matrix) {
  int n = workspace->problem->free_count;
  double gain = 0;
  for (int i = 0; i < n; i++) {
    double product = 0;
    for (int j = 0; j < n; j++) product += matrix[i * n + j] * workspace->step[j];
    gain -= workspace->step[i] * (workspace->gradient[i] + 0.5 * product);
  }
  return gain;
}

static void swap_pointers(double **a, double **b) {
  double *other = *a;
  *a = *b;
  *b = other;
}

static void swap_trial(struct workspace *workspace) {
  swap_pointers(&workspace->gradient, &workspace->trial_gradient);
  swap_pointers(&workspace->magnitude, &workspace->trial_magnitude);
  swap_pointers(&workspace->matrix, &workspace->trial_matrix);
}

// Scale of the damping: the diagonal, with a floor so that coordinates that have no effect here do not run away. The
// floor compares what a unit of each coordinate does.
static void diagonal_scale(const struct problem *problem, const double *x, const double *matrix, double *scale) {
  double largest = 0;
  int n = problem->free_count;
  for (int i = 0; i < n; i++) {
    double unit = problem_unit(problem, i, x[i]);
    largest = fmax(largest, matrix[i * n + i] * unit * unit);
  }
  for (int i = 0; i < n; i++) {
    double unit = problem_unit(problem, i, x[i]);
    scale[i] = fmax(matrix[i * n + i], 1e-10 * largest / (unit * unit) + DBL_MIN);
  }
}

// Whether the quadratic model promises no more than `little`, by the damped step at hand and by one that is hardly
// damped: along the floor of a narrow valley only that one goes anywhere. workspace->step and ->trial stay the first's
// where it does.
static bool promises_little(struct workspace *workspace, const double *x, const double *matrix, const double *scale,
                            double damping, double little) {
  static const double hardly = 1e-14;
  double promised = model_gain(workspace, matrix);
  if (!(promised >= 0 && promised <= little)) return false;
  bool fine = damped_step(workspace, x, matrix, scale, hardly);
  promised = fine ? model_gain(workspace, matrix) : INFINITY;
  if (promised >= 0 && promised <= little) return true;
  damped_step(workspace, x, matrix, scale, damping);
  return false;
}

// The minimum of a parabola, unless rounding makes it no lower than x.
static double descend_at_once(struct workspace *workspace, double *x, const double *weight) {
  size_t size = (size_t)workspace->problem->free_count * sizeof *x;
  double *from = memory_get(size), value = problem_evaluate(workspace, x, weight, WANT_VALUE), reached = INFINITY;
  memcpy(from, x, size);
  if (project_linear(workspace, x, weight)) reached = problem_evaluate(workspace, x, weight, WANT_VALUE);
  if (!(reached < value)) memcpy(x, from, size);
  free(from);
  return fmin(value, reached);
}

double descend(struct workspace *workspace, double *x, const double *weight, int iterations, double tolerance) {
  int n = workspace->problem->free_count, slow = 0;
  if (problem_is_one_solve(workspace->problem)) return descend_at_once(workspace, x, weight);
  double damping = 1e-3, growth = 2;
  double value = problem_evaluate(workspace, x, weight, WANT_REWEIGHTED);
  if (!isfinite(value)) return value;
  for (int iteration = 0; iteration < iterations; iteration++) {
    hold_at_bounds(workspace, x);
    diagonal_scale(workspace->problem, x, workspace->matrix, workspace->scratch);
    bool moved = false;
    for (int attempt = 0; attempt < 12 && !moved; attempt++) {
      if (damped_step(workspace, x, workspace->matrix, workspace->scratch, damping)) {
        if (!attempt &&
            promises_little(workspace, x, workspace->matrix, workspace->scratch, damping, 1e-3 * tolerance * value))
          return value;
        double promised = model_gain(workspace, workspace->matrix);
        swap_trial(workspace);
        double trial = problem_evaluate(workspace, workspace->trial, weight, WANT_REWEIGHTED);
        if (trial < value) {
          double ratio = (value - trial) / promised;
          slow = value - trial < tolerance * value ? slow + 1 : 0;
          value = trial;
          memcpy(x, workspace->trial, (size_t)n * sizeof *x);
          damping *= fmax(1.0 / 3, 1 - pow(2 * fmin(ratio, 1) - 1, 3));
          damping = fmax(damping, 1e-12);
          growth = 2;
          moved = true;
          break;
        }
        swap_trial(workspace);
      }
      damping *= growth;
      growth *= 2;
    }
    if (!moved || slow >= 2) break;
  }
  return value;
}

double descend_nearby(struct workspace *workspace, double *x, const double *weight, int iterations, double tolerance) {
  static const double least = 1e-8, most = 1;
  size_t size = (size_t)workspace->problem->free_count * sizeof *x;
  double value = problem_evaluate(workspace, x, weight, WANT_INLIER), damping = least;
  if (!isfinite(value)) return value;
  for (int iteration = 0; iteration < iterations;) {
    hold_at_bounds(workspace, x);
    diagonal_scale(workspace->problem, x, workspace->matrix, workspace->scratch);
    bool step = damped_step(workspace, x, workspace->matrix, workspace->scratch, damping);
    double promised = step ? model_gain(workspace, workspace->matrix) : -1;
    if (promised >= 0 && promised <= tolerance * value) return value;
    iteration++;
    double trial = INFINITY;
    if (promised > 0) {
      swap_trial(workspace);
      trial = problem_evaluate(workspace, workspace->trial, weight, WANT_INLIER);
      if (!(trial < value)) swap_trial(workspace);
    }
    if (trial < value) {
      value = trial;
      memcpy(x, workspace->trial, size);
      damping = fmax(damping / 100, least);
    } else if ((damping *= 100) > most) {
      break;
    }
  }
  return descend(workspace, x, weight, iterations, tolerance);
}

// Largest |gradient| / magnitude over the coordinates that are free to move. A coordinate whose whole gradient could
// not matter (its term has vanished) counts as stationary.
static double stationarity(const struct workspace *workspace, const double *x, double value) {
  double worst = 0;
  for (int i = 0; i < workspace->problem->free_count; i++) {
    double unit = problem_unit(workspace->problem, i, x[i]);
    if (workspace->held[i] || unit * fabs(workspace->gradient[i]) <= 1e-12 * value) continue;
    worst = fmax(worst, fabs(workspace->gradient[i]) / workspace->magnitude[i]);
  }
  return worst;
}

// Where the objective no longer distinguishes two points by more than rounding, the gradient still does: true when it
// is at most half as large at workspace->trial. The gradient of the present point is kept.
static bool flatter(struct workspace *workspace, const double *weight, double before) {
  swap_trial(workspace);
  double value = problem_evaluate(workspace, workspace->trial, weight, WANT_GRADIENT);
  bool better = stationarity(workspace, workspace->trial, value) < 0.5 * before;
  swap_trial(workspace);
  return better;
}

enum { MANY_LINEAR = 8 };  // with fewer, differences along all coordinates cost about as much

// Whether the prediction is linear in the coordinate's coefficient, together with all other such ones.
static bool is_linear(const struct problem *problem, int i) {
  return !problem->logarithmic && problem->linear[problem->free[i]];
}

bool problem_has_many_linear(const struct problem *problem) {
  int linear = 0;
  for (int i = 0; i < problem->free_count; i++) linear += is_linear(problem, i);
  return linear >= MANY_LINEAR;
}

// Two coefficients in which the prediction is linear have no curvature between them, but for that of a logarithm with
// itself, which is its derivative once more.
static void add_linear_curvature(struct workspace *workspace, const double *x) {
  const struct problem *problem = workspace->problem;
  int n = problem->free_count;
  problem_frozen_gradient(workspace, x, workspace->scratch);
  for (int i = 0; i < n; i++)
    if (is_linear(problem, i) && problem->unit[problem->free[i]] == 0)
      workspace->matrix[i * n + i] += workspace->scratch[i];
}

static double difference_step(const struct problem *problem, int j, double x) {
  return 1e-5 * fmax(problem_unit(problem, j, x), problem->unit[problem->free[j]] == 0 ? fabs(x) : 0);
}

// The curvature of coefficients of which no two meet in a row, with themselves: one difference along all of them.
static void add_curvature_apart(struct workspace *workspace, const double *x, const bool *apart) {
  const struct problem *problem = workspace->problem;
  int n = problem->free_count;
  double *plus = workspace->trial_gradient, *minus = workspace->trial_magnitude;
  for (int side = 0; side < 2; side++) {
    for (int j = 0; j < n; j++)
      if (apart[problem->free[j]]) workspace->trial[j] = x[j] + (side ? -1 : 1) * difference_step(problem, j, x[j]);
    problem_frozen_gradient(workspace, workspace->trial, side ? minus : plus);
  }
  for (int j = 0; j < n; j++) {
    if (!apart[problem->free[j]]) continue;
    workspace->matrix[j * n + j] += (plus[j] - minus[j]) / (2 * difference_step(problem, j, x[j]));
    workspace->trial[j] = x[j];
  }
}

// matrix += derivative of the frozen gradient by central differences: what the curvature of the law adds.
static void add_law_curvature(struct workspace *workspace, const double *x, const double *weight) {
  const struct problem *problem = workspace->problem;
  int n = problem->free_count;
  for (size_t row = 0; row < problem->program->padded; row++) {
    double w = problem->weight[row] * (weight ? weight[row] : 1);
    workspace->frozen[row] = w * problem_slope(problem, workspace->residual[row]);
  }
  double *plus = workspace->trial_gradient, *minus = workspace->trial_magnitude;
  bool solved = problem_has_many_linear(problem);
  const bool *apart = solved ? NULL : problem->program->apart;
  if (solved) add_linear_curvature(workspace, x);
  memcpy(workspace->trial, x, (size_t)n * sizeof *x);
  if (apart) add_curvature_apart(workspace, x, apart);
  for (int j = 0; j < n; j++) {
    if ((solved && is_linear(problem, j)) || (apart && apart[problem->free[j]])) continue;
    double h = difference_step(problem, j, x[j]);
    workspace->trial[j] = x[j] + h;
    problem_frozen_gradient(workspace, workspace->trial, plus);
    workspace->trial[j] = x[j] - h;
    problem_frozen_gradient(workspace, workspace->trial, minus);
    workspace->trial[j] = x[j];
    for (int i = 0; i < n; i++) {
      double half = (plus[i] - minus[i]) / (4 * h);  // halves, for the two sides of the symmetric matrix
      if ((solved && is_linear(problem, i)) || (apart && apart[problem->free[i]])) half *= 2;  // with no other half
      workspace->matrix[i * n + j] += half;
      workspace->matrix[j * n + i] += half;
    }
  }
}

static struct polish_result polish_at_once(struct workspace *workspace, double *x, const double *weight) {
  struct polish_result result = {.stationarity = INFINITY};
  for (int round = 0; round < 2 && !(result.stationarity < 1e-8); round++) {
    if (round) descend_at_once(workspace, x, weight);
    result.objective = problem_evaluate(workspace, x, weight, WANT_GRADIENT);
    hold_at_bounds(workspace, x);
    result.stationarity = stationarity(workspace, x, result.objective);
    result.iterations = round;
  }
  result.stationary = result.stationarity < 1e-6;
  return result;
}

struct polish_result polish(struct workspace *workspace, double *x, const double *weight, int iterations) {
  if (problem_is_one_solve(workspace->problem)) return polish_at_once(workspace, x, weight);
  int n = workspace->problem->free_count, stuck = 0;
  struct polish_result result = {.objective = problem_evaluate(workspace, x, weight, WANT_INLIER)};
  double damping = 1e-8;
  for (; isfinite(result.objective) && result.iterations < iterations; result.iterations++) {
    hold_at_bounds(workspace, x);
    result.stationarity = stationarity(workspace, x, result.objective);
    if (result.stationarity < 1e-12) break;
    add_law_curvature(workspace, x, weight);
    diagonal_scale(workspace->problem, x, workspace->matrix, workspace->scratch);
    bool moved = false;
    double before = result.objective;
    for (int attempt = 0; attempt < 40 && !moved; attempt++) {
      if (damped_step(workspace, x, workspace->matrix, workspace->scratch, damping)) {
        if (!attempt && promises_little(workspace, x, workspace->matrix, workspace->scratch, damping, 1e-17 * before))
          break;
        double trial = problem_evaluate(workspace, workspace->trial, weight, WANT_VALUE);
        bool lower = trial < result.objective;
        if (!lower && trial <= result.objective * (1 + 1e-13)) lower = flatter(workspace, weight, result.stationarity);
        if (lower) {
          result.objective = trial;
          memcpy(x, workspace->trial, (size_t)n * sizeof *x);
          damping = fmax(damping / 8, 1e-14);
          moved = true;
          break;
        }
      }
      damping *= 4;
    }
    stuck = before - result.objective <= 1e-15 * before ? stuck + 1 : 0;  // steps that only flatten count too
    result.objective = problem_evaluate(workspace, x, weight, WANT_INLIER);
    if (!moved || stuck >= 6) {
      hold_at_bounds(workspace, x);
      result.stationarity = stationarity(workspace, x, result.objective);
      break;
    }
  }
  result.stationary = result.stationarity < 1e-6;
  return result;
}
