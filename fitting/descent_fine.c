// Getting down where normal equations fail: their condition number is the square of the Jacobian's, so that they lose
// the way once that is beyond 1e8. Here Levenberg-Marquardt steps come from the orthogonal factors of the Jacobian
// itself (Golub 1965, "Numerical methods for solving linear least squares problems"), and the coefficients in which the
// formula is linear, which are not damped, are solved anew at every trial (variable projection in Kaufman's form: 1975,
// "A variable projection method for solving separable nonlinear least squares problems").
#include <float.h>
#include <string.h>

#include "fitting/orthogonal_internal.h"
#include "fitting/problem_internal.h"

enum { STEP_LIMIT = 8, ATTEMPTS = 30, STILL = 4 };

struct factor {    // of the weighted Jacobian at a point: columns scaled to length 1, their triangle R, and Q'b
  int *of, count;  // coordinates
  double *r, *b;   // [n][n], by columns; [n]
  double *length;  // of the columns before they were scaled; 0: without effect
};

struct fine {
  struct workspace *workspace;
  const double *weight;
  size_t rows;
  int n;
  bool *solved;                    // [n]: coefficients that the formula is linear in, by themselves
  double *residual, *jacobian;     // [rows], [rows][n]
  double *a, *b;                   // [n][rows], by columns; [rows]
  double *triangle, *side;         // [n][2n], [2n]
  double *step, *trial, *further;  // [n]
  struct factor whole, linear;
  struct arena arena;
};

static double *numbers(struct fine *fine, size_t count) { return arena_array(&fine->arena, count + 1, sizeof(double)); }

static void factor_begin(struct fine *fine, struct factor *factor) {
  size_t n = (size_t)fine->n;
  factor->of = arena_array(&fine->arena, n + 1, sizeof *factor->of);
  factor->r = numbers(fine, n * n);
  factor->b = numbers(fine, n);
  factor->length = numbers(fine, n);
}

static void fine_begin(struct fine *fine, struct workspace *workspace, const double *weight) {
  const struct problem *problem = workspace->problem;
  size_t rows = problem->program->rows, n = (size_t)problem->free_count;
  *fine = (struct fine){.workspace = workspace, .weight = weight, .rows = rows, .n = (int)n};
  fine->residual = numbers(fine, rows);
  fine->jacobian = numbers(fine, rows * n);
  fine->a = numbers(fine, rows * n);
  fine->b = numbers(fine, rows);
  fine->triangle = numbers(fine, 2 * n * n);
  fine->side = numbers(fine, 2 * n);
  fine->step = numbers(fine, n);
  fine->trial = numbers(fine, n);
  fine->further = numbers(fine, n);
  factor_begin(fine, &fine->whole);
  factor_begin(fine, &fine->linear);
  fine->solved = arena_array(&fine->arena, n + 1, sizeof *fine->solved);
  for (int i = 0; i < fine->n; i++) {
    fine->solved[i] = !problem->logarithmic && problem->linear[problem->free[i]] && problem->unit[problem->free[i]] > 0;
    if (fine->solved[i]) fine->linear.of[fine->linear.count++] = i;
  }
}

// Factors the columns of factor->of at x. False where a number is not finite.
static bool factorize(struct fine *fine, const double *x, struct factor *factor) {
  const struct problem *problem = fine->workspace->problem;
  size_t rows = fine->rows, n = (size_t)fine->n;
  if (!problem_jacobian(fine->workspace, x, fine->residual, fine->jacobian)) return false;
  for (size_t row = 0; row < rows; row++) {
    double r = fine->residual[row], w = problem->weight[row] * (fine->weight ? fine->weight[row] : 1);
    if (fabs(r) > problem->delta) w *= problem->delta / fabs(r);
    fine->b[row] = -sqrt(w) * r;
    for (int k = 0; k < factor->count; k++)
      fine->a[(size_t)k * rows + row] = sqrt(w) * fine->jacobian[row * n + (size_t)factor->of[k]];
  }
  if (!orthogonal_scale(fine->a, rows, factor->count, factor->length)) return false;
  orthogonal_reflect(fine->a, fine->b, rows, factor->count);
  for (int k = 0; k < factor->count; k++) {
    for (int i = 0; i <= k; i++)
      factor->r[(size_t)k * n + (size_t)i] = (size_t)i < rows ? fine->a[(size_t)k * rows + (size_t)i] : 0;
    factor->b[k] = (size_t)k < rows ? fine->b[k] : 0;
  }
  return true;
}

// The step to the minimum of the factored model, damped but for coefficients that are solved, into fine->step.
static void solve(struct fine *fine, const struct factor *factor, double damping) {
  int count = factor->count;
  size_t tall = 2 * (size_t)count, n = (size_t)fine->n;
  double *t = fine->triangle, *side = fine->side;
  memset(t, 0, tall * (size_t)count * sizeof *t);
  memset(side, 0, tall * sizeof *side);
  for (int k = 0; k < count; k++) {
    memcpy(t + (size_t)k * tall, factor->r + (size_t)k * n, (size_t)(k + 1) * sizeof *t);
    t[(size_t)k * tall + (size_t)(count + k)] = fine->solved[factor->of[k]] ? 0 : sqrt(damping);
    side[k] = factor->b[k];
  }
  orthogonal_reflect(t, side, tall, count);
  memset(fine->step, 0, n * sizeof *fine->step);
  for (int k = count - 1; k >= 0; k--) {
    double value = side[k], diagonal = t[(size_t)k * tall + (size_t)k];
    for (int j = k + 1; j < count; j++) value -= t[(size_t)j * tall + (size_t)k] * side[j];
    side[k] = fabs(diagonal) > 1e-15 ? value / diagonal : 0;
    if (factor->length[k] > 0) fine->step[factor->of[k]] = side[k] / factor->length[k];
  }
}

// x + fine->step within the bounds; coefficients that are solved go as far as they like.
static void go(const struct fine *fine, const double *x, double *to) {
  const struct problem *problem = fine->workspace->problem;
  double longest = 0;
  for (int i = 0; i < fine->n; i++)
    if (!fine->solved[i]) longest = fmax(longest, fabs(fine->step[i]) / problem_unit(problem, i, x[i]));
  double share = longest > STEP_LIMIT ? STEP_LIMIT / longest : 1;
  for (int i = 0; i < fine->n; i++) to[i] = fmin(fmax(x[i] + share * fine->step[i], problem->low[i]), problem->high[i]);
}

// Where the damped step leads, its linear coefficients solved anew: into fine->trial. Returns the objective there.
static double try_step(struct fine *fine, const double *x, double damping) {
  struct workspace *workspace = fine->workspace;
  solve(fine, &fine->whole, damping);
  go(fine, x, fine->trial);
  double value = problem_evaluate(workspace, fine->trial, fine->weight, WANT_VALUE);
  if (!fine->linear.count || !isfinite(value) || !factorize(fine, fine->trial, &fine->linear)) return value;
  solve(fine, &fine->linear, 0);
  go(fine, fine->trial, fine->further);
  double solved = problem_evaluate(workspace, fine->further, fine->weight, WANT_VALUE);
  if (!(solved < value)) return value;
  memcpy(fine->trial, fine->further, (size_t)fine->n * sizeof *fine->trial);
  return solved;
}

// Coordinates that may move: those that the gradient does not push against a bound.
static void find_free(struct fine *fine, const double *x) {
  const struct workspace *workspace = fine->workspace;
  const struct problem *problem = workspace->problem;
  fine->whole.count = 0;
  for (int i = 0; i < fine->n; i++) {
    bool held = (x[i] <= problem->low[i] && workspace->gradient[i] > 0) ||
                (x[i] >= problem->high[i] && workspace->gradient[i] < 0);
    if (!held) fine->whole.of[fine->whole.count++] = i;
  }
}

double descend_finely(struct workspace *workspace, double *x, const double *weight, int iterations) {
  struct fine fine;
  fine_begin(&fine, workspace, weight);
  double damping = 1e-8, value = problem_evaluate(workspace, x, weight, WANT_GRADIENT);
  for (int iteration = 0, still = 0; iteration < iterations && still < STILL && isfinite(value); iteration++) {
    bool moved = false;
    double before = value;
    find_free(&fine, x);
    if (!factorize(&fine, x, &fine.whole)) break;
    for (int attempt = 0; attempt < ATTEMPTS && !moved; attempt++) {
      double trial = try_step(&fine, x, damping);
      moved = trial < value;
      damping = moved ? fmax(damping / 10, 1e-24) : damping * 5;
      if (!moved) continue;
      memcpy(x, fine.trial, (size_t)fine.n * sizeof *x);
      value = trial;
    }
    if (!moved) break;
    still = before - value > 1e-14 * before ? 0 : still + 1;
    value = problem_evaluate(workspace, x, weight, WANT_GRADIENT);
  }
  arena_free(&fine.arena);
  return value;
}
