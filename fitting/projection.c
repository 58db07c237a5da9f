// Variable projection: the coefficients in which a formula is linear, solved with the others held.
//
// In coordinates that scale each column to length 1 the problem is min g'd + d'M d / 2 within bounds; the active set
// method of Lawson and Hanson (1974, "Solving Least Squares Problems", chapter 23) with bounds on both sides (Stark and
// Parker 1995, "Bounded-variable least-squares").
#include <float.h>
#include <string.h>

#include "fitting/problem_internal.h"

enum { LINEAR_LIMIT = 128, ROUNDS = 8 };

struct linear {
  int n;
  int of[LINEAR_LIMIT];         // places in problem->free
  double length[LINEAR_LIMIT];  // of the coefficient's column, times the coefficient where it is a logarithm
  double z[LINEAR_LIMIT];       // coefficient times the length of its column
  double low[LINEAR_LIMIT], high[LINEAR_LIMIT];
  double gradient[LINEAR_LIMIT];  // at z
  double matrix[LINEAR_LIMIT * LINEAR_LIMIT];
};

// The system in scaled coordinates from what the workspace holds of x.
static void gather(const struct workspace *workspace, const double *x, struct linear *linear) {
  const struct problem *problem = workspace->problem;
  int n = problem->free_count;
  linear->n = 0;
  for (int i = 0; i < n; i++) {
    double diagonal = workspace->matrix[i * n + i];
    if (!problem->linear[problem->free[i]] || !(diagonal > DBL_MIN) || !isfinite(diagonal)) continue;
    if (linear->n == LINEAR_LIMIT) {
      linear->n = 0;
      return;
    }
    int k = linear->n++;
    bool logarithm = problem->unit[problem->free[i]] == 0;
    double length = sqrt(diagonal);
    linear->of[k] = i;
    linear->length[k] = length;
    linear->z[k] = logarithm ? length : x[i] * length;
    linear->low[k] = logarithm ? length * exp(problem->low[i] - x[i]) : problem->low[i] * length;
    linear->high[k] = logarithm ? length * exp(problem->high[i] - x[i]) : problem->high[i] * length;
    linear->gradient[k] = workspace->gradient[i] / length;
    for (int m = 0; m <= k; m++) {
      double product = workspace->matrix[i * n + linear->of[m]] / (length * linear->length[m]);
      linear->matrix[k * LINEAR_LIMIT + m] = linear->matrix[m * LINEAR_LIMIT + k] = product;
    }
  }
}

// The step to the minimum over the coordinates that are free (fixed ones stay); false where that is singular.
static bool free_step(const struct linear *linear, const bool *fixed, const double *gradient, double *step) {
  double factor[LINEAR_LIMIT * LINEAR_LIMIT], right[LINEAR_LIMIT];
  int of[LINEAR_LIMIT], n = 0;
  for (int k = 0; k < linear->n; k++) {
    step[k] = 0;
    if (!fixed[k]) of[n++] = k;
  }
  for (double ridge = 1e-14; ridge < 1e-3; ridge *= 1e4) {
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++)
        factor[i * n + j] = linear->matrix[of[i] * LINEAR_LIMIT + of[j]] + (i == j ? ridge : 0);
      right[i] = -gradient[of[i]];
    }
    if (!n || cholesky_solve(factor, n, right)) {
      for (int i = 0; i < n; i++) step[of[i]] = right[i];
      return true;
    }
  }
  return false;
}

// Moves along step as far as the bounds allow; the coordinate that met one becomes fixed. True when none did.
static bool move(struct linear *linear, const double *step, double *gradient, bool *fixed) {
  double share = 1;
  int first = -1;
  for (int k = 0; k < linear->n; k++) {
    double to = linear->z[k] + step[k];
    double bound = to < linear->low[k] ? linear->low[k] : to > linear->high[k] ? linear->high[k] : to;
    if (fixed[k] || bound == to) continue;
    double part = (bound - linear->z[k]) / step[k];
    if (part >= share) continue;
    share = fmax(part, 0);
    first = k;
  }
  for (int k = 0; k < linear->n; k++) {
    linear->z[k] += share * step[k];
    for (int m = 0; m < linear->n; m++) gradient[k] += share * linear->matrix[k * LINEAR_LIMIT + m] * step[m];
  }
  if (first < 0) return true;
  fixed[first] = true;
  linear->z[first] = step[first] < 0 ? linear->low[first] : linear->high[first];
  return false;
}

// The coordinate at a bound that the gradient pulls off it most, or -1.
static int released(const struct linear *linear, const bool *fixed, const double *gradient) {
  int best = -1;
  double strongest = 1e-10;
  for (int k = 0; k < linear->n; k++) {
    if (!fixed[k] || linear->low[k] == linear->high[k]) continue;
    double pull = linear->z[k] <= linear->low[k] ? -gradient[k] : gradient[k];
    if (pull <= strongest * fabs(linear->gradient[k])) continue;
    strongest = pull / fmax(fabs(linear->gradient[k]), DBL_MIN);
    best = k;
  }
  return best;
}

static bool solve(struct linear *linear) {
  bool fixed[LINEAR_LIMIT] = {false};
  double gradient[LINEAR_LIMIT], step[LINEAR_LIMIT];
  memcpy(gradient, linear->gradient, sizeof gradient);
  for (int round = 0; round < 4 * linear->n + 8; round++) {
    if (!free_step(linear, fixed, gradient, step)) return false;
    if (!move(linear, step, gradient, fixed)) continue;
    int loose = released(linear, fixed, gradient);
    if (loose < 0) return true;
    fixed[loose] = false;
  }
  return true;  // within the bounds, if not the best
}

static double clamped(double value, double low, double high) { return value < low ? low : value > high ? high : value; }

// Where z leads the coefficients; the change relative to their sizes.
static double put_back(const struct problem *problem, const struct linear *linear, double weight, double *x) {
  double change = 0;
  for (int k = 0; k < linear->n; k++) {
    int i = linear->of[k];
    bool logarithm = problem->unit[problem->free[i]] == 0;
    double share = 1e-3 * sqrt(weight), from = x[i];  // of the target, where the coefficient is 0
    double to =
        logarithm ? x[i] + log(fmax(linear->z[k], share) / linear->length[k]) : linear->z[k] / linear->length[k];
    if (!isfinite(to)) return NAN;
    x[i] = clamped(to, problem->low[i], problem->high[i]);
    change = fmax(change, fabs(x[i] - from) / problem_unit(problem, i, x[i]));
  }
  return change;
}

bool project_linear(struct workspace *workspace, double *x, const double *weight) {
  const struct problem *problem = workspace->problem;
  enum wanted wanted = problem->logarithmic ? WANT_RELATIVE : WANT_REWEIGHTED;
  struct linear linear;
  double total = 0;
  bool any = false;
  for (int i = 0; i < problem->free_count; i++) any |= problem->linear[problem->free[i]];
  if (!any) return false;
  for (size_t row = 0; row < problem->program->padded; row++)
    total += problem->weight[row] * (weight ? weight[row] : 1) *
             (problem->logarithmic ? 1 : problem->target[row] * problem->target[row]);
  memcpy(workspace->trial, x, (size_t)problem->free_count * sizeof *x);
  for (int round = 0; round < ROUNDS; round++) {
    if (!isfinite(problem_evaluate(workspace, workspace->trial, weight, wanted))) return round > 0;
    gather(workspace, workspace->trial, &linear);
    if (!linear.n || !solve(&linear)) return round > 0;
    double change = put_back(problem, &linear, total, workspace->trial);
    if (isnan(change)) return round > 0;
    memcpy(x, workspace->trial, (size_t)problem->free_count * sizeof *x);
    bool exact = problem->logarithmic || problem_is_squares(problem);
    if (round && (exact || change < 1e-6)) break;  // the second round takes away the rounding of a far start
  }
  return true;
}

void project_many(struct workspace *workspace, double value, double *x, double *solved) {
  size_t size = (size_t)workspace->problem->free_count * sizeof *x;
  if (!problem_has_many_linear(workspace->problem)) return;
  memcpy(solved, x, size);
  if (project_linear(workspace, solved, NULL) && problem_evaluate(workspace, solved, NULL, WANT_VALUE) < value)
    memcpy(x, solved, size);
}
