// Variable projection: the coefficients in which a formula is linear, solved with the others held.
//
// In coordinates that scale each column to length 1 the problem is min g'd + d'M d / 2 within bounds; the active set
// method of Lawson and Hanson (1974, "Solving Least Squares Problems", chapter 23) with bounds on both sides (Stark and
// Parker 1995, "Bounded-variable least-squares"). Where the columns are nearly collinear, so that products of them have
// lost what tells one from the other, the same is done on the orthogonal factors of the columns themselves.
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/orthogonal_internal.h"
#include "fitting/problem_internal.h"

enum { LINEAR_LIMIT = 256, ROUNDS = 8, FACTOR_LIMIT = 20000000 };  // FACTOR_LIMIT: numbers of a Jacobian
static const double near_collinear = 1e-5;                         // what is left of a column, besides 1

struct linear {
  int n;
  int of[LINEAR_LIMIT];         // places in problem->free
  double length[LINEAR_LIMIT];  // of the coefficient's column, times the coefficient where it is a logarithm
  double z[LINEAR_LIMIT];       // coefficient times the length of its column
  double low[LINEAR_LIMIT], high[LINEAR_LIMIT];
  double gradient[LINEAR_LIMIT];  // at z
  double *matrix;                 // [n][n]
  bool collinear;                 // nearly
  double *triangle, *side;        // orthogonal factors: R [n][n] by columns, and Q'b at z; NULL: the matrix does
  double cut;                     // of R's directions
  int rank;                       // of the last solution
  double value;                   // the objective there
};

static void linear_free(struct linear *linear) {
  free(linear->matrix);
  free(linear->triangle);
  free(linear->side);
  linear->matrix = linear->triangle = linear->side = NULL;
}

// The system in scaled coordinates from what the workspace holds of x.
static void gather(const struct workspace *workspace, const double *x, struct linear *linear) {
  const struct problem *problem = workspace->problem;
  int n = problem->free_count, count = 0;
  linear_free(linear);
  linear->n = 0;
  linear->collinear = false;
  for (int i = 0; i < n; i++) count += problem->linear[problem->free[i]];
  if (count > LINEAR_LIMIT) return;
  linear->matrix = memory_get(((size_t)(count * count) + 1) * sizeof *linear->matrix);
  for (int i = 0; i < n; i++) {
    double diagonal = workspace->matrix[i * n + i];
    if (!problem->linear[problem->free[i]] || !(diagonal > DBL_MIN) || !isfinite(diagonal)) continue;
    int k = linear->n++;
    bool logarithm = problem->unit[problem->free[i]] == 0;
    double length = sqrt(diagonal);
    linear->of[k] = i;
    linear->length[k] = length;
    linear->z[k] = logarithm ? length : x[i] * length;
    linear->low[k] = logarithm ? length * exp(problem->low[i] - x[i]) : problem->low[i] * length;
    linear->high[k] = logarithm ? length * exp(problem->high[i] - x[i]) : problem->high[i] * length;
    linear->gradient[k] = workspace->gradient[i] / length;
  }
  for (int k = 0; k < linear->n; k++)
    for (int m = 0; m < linear->n; m++)
      linear->matrix[k * linear->n + m] =
          workspace->matrix[linear->of[k] * n + linear->of[m]] / (linear->length[k] * linear->length[m]);
}

// The weight of a row in the reweighted squares, and its difference there.
static double row_weight(const struct problem *problem, const double *weight, size_t row, double *difference) {
  double w = problem->weight[row] * (weight ? weight[row] : 1);
  if (problem->logarithmic) {
    double ratio = exp(*difference);
    *difference = ratio - 1;
    return w * ratio * ratio;
  }
  return w * problem_reweight(problem, *difference);
}

// Orthogonal factors of what gather() took, at the same x. False where there are none: the matrix does, then.
static bool gather_factors(struct workspace *workspace, const double *x, const double *weight, struct linear *linear) {
  const struct problem *problem = workspace->problem;
  size_t rows = problem->program->rows, free_count = (size_t)problem->free_count, n = (size_t)linear->n;
  if (rows * free_count > FACTOR_LIMIT || problem->penalty) return false;
  size_t tall = rows > n ? rows : n;
  double *jacobian = memory_get((rows * free_count + 1) * sizeof *jacobian),
         *residual = memory_get((tall + 1) * sizeof *residual), *columns = memory_get((tall * n + 1) * sizeof *columns);
  bool fine = problem_jacobian(workspace, x, residual, jacobian);
  for (size_t row = rows; row < tall; row++) residual[row] = 0;
  for (size_t row = 0; row < rows && fine; row++) {
    double ratio = problem->logarithmic ? exp(residual[row]) : 1,
           root = sqrt(row_weight(problem, weight, row, &residual[row]));
    for (size_t k = 0; k < n; k++) columns[k * tall + row] = root * jacobian[row * free_count + (size_t)linear->of[k]];
    residual[row] *= -root / ratio;
  }
  for (size_t k = 0; k < n && fine; k++)
    for (size_t row = rows; row < tall; row++) columns[k * tall + row] = 0;
  for (size_t k = 0; k < n && fine; k++)
    for (size_t row = 0; row < tall; row++) columns[k * tall + row] /= linear->length[k];
  if (fine) orthogonal_reflect(columns, residual, tall, linear->n);
  if (fine) {
    linear->triangle = memory_get((n * n + 1) * sizeof *columns);
    linear->side = memory_get((n + 1) * sizeof *columns);
    memset(linear->triangle, 0, n * n * sizeof *columns);
    for (size_t k = 0; k < n; k++) {
      memcpy(linear->triangle + k * n, columns + k * tall, (k + 1) * sizeof *columns);
      linear->side[k] = residual[k];
    }
  }
  free(jacobian);
  free(residual);
  free(columns);
  return fine;
}

// Gradient at z from the factors: -R'(b - R (z - z0)), where side is what is in brackets.
static void factored_gradient(const struct linear *linear, double *gradient) {
  for (int k = 0; k < linear->n; k++) {
    gradient[k] = 0;
    for (int i = 0; i <= k; i++) gradient[k] -= linear->triangle[k * linear->n + i] * linear->side[i];
  }
}

// The step to the minimum over the coordinates that are free (fixed ones stay); false where that is singular.
static bool free_step(struct linear *linear, const bool *fixed, const double *gradient, double *step) {
  double right[LINEAR_LIMIT];
  int of[LINEAR_LIMIT], n = 0;
  bool fine = false;
  for (int k = 0; k < linear->n; k++) {
    step[k] = 0;
    if (!fixed[k]) of[n++] = k;
  }
  if (!n) return true;
  if (linear->triangle) {
    linear->rank = orthogonal_shortest(linear->triangle, linear->side, linear->n, of, n, linear->cut, right);
    for (int i = 0; i < n && linear->rank >= 0; i++) step[of[i]] = right[i];
    return linear->rank >= 0;
  }
  double *factor = memory_get((size_t)(n * n) * sizeof *factor);
  for (double ridge = 1e-14; ridge < 1e-3 && !fine; ridge *= 1e4) {
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) factor[i * n + j] = linear->matrix[of[i] * linear->n + of[j]] + (i == j ? ridge : 0);
      right[i] = -gradient[of[i]];
    }
    fine = cholesky_solve(factor, n, right);
    for (int i = 0; i < n; i++) linear->collinear |= !fine || factor[i * n + i] < near_collinear;
  }
  for (int i = 0; i < n && fine; i++) step[of[i]] = right[i];
  free(factor);
  return fine;
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
    for (int m = 0; m < linear->n && !linear->triangle; m++)
      gradient[k] += share * linear->matrix[k * linear->n + m] * step[m];
    for (int i = 0; i <= k && linear->triangle; i++)
      linear->side[i] -= share * linear->triangle[k * linear->n + i] * step[k];
  }
  if (linear->triangle) factored_gradient(linear, gradient);
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

// Whether values that cancel are so large that their rounding is seen next to the residuals.
static bool drowned(const struct linear *linear, double value) {
  static const double seen = 1e-6;
  double largest = 0;
  for (int k = 0; k < linear->n; k++) largest = fmax(largest, fabs(linear->z[k]));
  return DBL_EPSILON * largest > seen * sqrt(2 * value);
}

// Begins at the values nearest to 0, from where the shortest step leads to the shortest values: of what only a sum
// determines, no part is left large for the others to cancel.
static void begin_small(struct linear *linear) {
  int n = linear->n;
  for (int k = 0; k < n; k++) {
    double small = fmin(fmax(0, linear->low[k]), linear->high[k]), moved = small - linear->z[k];
    for (int i = 0; i <= k; i++) linear->side[i] -= moved * linear->triangle[k * n + i];
    linear->z[k] = small;
  }
}

// Into `to` what the factors give, at the cut of directions that rounding treats best: small cuts keep what the rows
// tell, and large values that cancel take the last digits with them. Below the smallest, products of numbers are
// rounding. False where no cut gives a number.
static bool put_factored(struct workspace *workspace, struct linear *linear, const double *weight, double total,
                         double *to, double *change) {
  static const double cuts[] = {1e-14, 1e-13, 1e-12, 1e-11, 1e-10}, same = 1e-9;
  const struct problem *problem = workspace->problem;
  size_t size = (size_t)problem->free_count * sizeof *to, n = (size_t)linear->n;
  enum wanted wanted = problem->logarithmic ? WANT_RELATIVE : WANT_VALUE;
  double *from = memory_get(size + 1), *trial = memory_get(size + 1), *side = memory_get((n + 1) * sizeof *side),
         *z = memory_get((n + 1) * sizeof *z), lowest = INFINITY;
  begin_small(linear);
  memcpy(from, to, size);
  memcpy(side, linear->side, n * sizeof *side);
  memcpy(z, linear->z, n * sizeof *z);
  int rank = -1;
  bool drown = true;
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
    memcpy(trial, from, size);
    memcpy(linear->side, side, n * sizeof *side);
    memcpy(linear->z, z, n * sizeof *z);
    linear->cut = cuts[i];
    factored_gradient(linear, linear->gradient);
    if (!solve(linear) || linear->rank == rank) continue;
    rank = linear->rank;
    double moved = put_back(problem, linear, total, trial);
    if (isnan(moved)) continue;
    double value = problem_evaluate(workspace, trial, weight, wanted);
    bool now = drowned(linear, value);
    if (isfinite(lowest) && (now != drown ? now : !(value <= lowest * (1 + same)))) continue;
    lowest = now == drown ? fmin(value, lowest) : value;
    drown = now;
    *change = moved;
    memcpy(to, trial, size);
  }
  free(from);
  free(trial);
  free(side);
  free(z);
  linear->value = lowest;
  return isfinite(lowest);
}

// One round at x: false where nothing is linear or no number comes out.
static bool project_once(struct workspace *workspace, struct linear *linear, const double *weight, double total,
                         double *x, double *change) {
  const struct problem *problem = workspace->problem;
  if (!isfinite(problem_evaluate(workspace, x, weight, problem->logarithmic ? WANT_RELATIVE : WANT_REWEIGHTED)))
    return false;
  gather(workspace, x, linear);
  if (!linear->n) return false;
  double z[LINEAR_LIMIT];
  memcpy(z, linear->z, sizeof z);
  bool fine = solve(linear);
  if (linear->collinear) {
    memcpy(linear->z, z, sizeof z);
    if (gather_factors(workspace, x, weight, linear)) return put_factored(workspace, linear, weight, total, x, change);
    memcpy(linear->z, z, sizeof z);
    fine = solve(linear);
  }
  if (!fine) return false;
  *change = put_back(problem, linear, total, x);
  return !isnan(*change);
}

bool project_linear(struct workspace *workspace, double *x, const double *weight) {
  const struct problem *problem = workspace->problem;
  struct linear linear = {0};
  double total = 0;
  bool any = false;
  int round = 0;
  double lowest = INFINITY;
  for (int i = 0; i < problem->free_count; i++) any |= problem->linear[problem->free[i]];
  if (!any) return false;
  for (size_t row = 0; row < problem->program->padded; row++)
    total += problem->weight[row] * (weight ? weight[row] : 1) *
             (problem->logarithmic ? 1 : problem->target[row] * problem->target[row]);
  memcpy(workspace->trial, x, (size_t)problem->free_count * sizeof *x);
  for (; round < ROUNDS; round++) {
    double change = 0;
    if (!project_once(workspace, &linear, weight, total, workspace->trial, &change)) break;
    if (linear.triangle) {  // refined as long as that is of use
      if (round && !(linear.value < lowest)) break;
      bool little = lowest - linear.value <= 1e-9 * linear.value;
      lowest = linear.value;
      memcpy(x, workspace->trial, (size_t)problem->free_count * sizeof *x);
      if (little) break;
      continue;
    }
    memcpy(x, workspace->trial, (size_t)problem->free_count * sizeof *x);
    bool exact = problem->logarithmic || problem_is_squares(problem);
    if (round && (exact || change < 1e-6)) {  // the second round takes away the rounding of a far start
      round++;
      break;
    }
  }
  linear_free(&linear);
  return round > 0;
}

bool problem_is_one_solve(const struct problem *problem) {
  if (!problem_is_squares(problem) || problem->penalty || problem->logarithmic || !problem->free_count ||
      problem->free_count > LINEAR_LIMIT)
    return false;
  for (int i = 0; i < problem->free_count; i++)
    if (!problem->linear[problem->free[i]] || problem->unit[problem->free[i]] == 0) return false;
  return true;
}

void project_many(struct workspace *workspace, double value, double *x, double *solved) {
  size_t size = (size_t)workspace->problem->free_count * sizeof *x;
  if (!problem_has_many_linear(workspace->problem) || problem_is_one_solve(workspace->problem)) return;
  memcpy(solved, x, size);
  if (project_linear(workspace, solved, NULL) && problem_evaluate(workspace, solved, NULL, WANT_VALUE) < value)
    memcpy(x, solved, size);
}
