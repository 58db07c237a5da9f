// A minimization: a program, the observations it should meet, a loss on their differences, and the elements to vary.
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "fitting/program_internal.h"

// Terms of coefficients alone, in the units of the loss: p / 2 (v - mean)^2 of a value or its logarithm, and p / 2
// times the sum of squares of internal coordinates about their mean.
struct penalty_prior {
  int element;
  bool of_logarithm;
  double mean, precision;
};
struct penalty_pool {
  const int *elements;
  int count;
  double precision;
};
struct penalty {
  struct penalty_prior *priors;
  struct penalty_pool *pools;
  int prior_count, pool_count;
};

struct problem {
  const struct program *program;
  const double *target;  // [padded]: ln(observed) or observed
  const double *weight;  // [padded]: weight of a row, 0 in the padding
  double delta;          // Huber's; infinite for least squares
  double tail;           // degrees times squared scale of Student's t; 0: Huber's loss
  double asymmetry;      // what an overestimate's loss is times, less 1
  const double *start;   // [element_count]: internal values of the elements that are not free
  int free_count;
  const int *free;                // [free_count]: elements
  const int *free_of;             // [element_count]: place in free, or -1
  const double *low, *high;       // [free_count]: bounds of the internal coordinates
  const double *unit;             // [element_count]: 0 where the coordinate is a logarithm, else the size of its starts
  const struct penalty *penalty;  // or NULL
  const double *shift;            // [element_count]: of the penalty's means in a resample; NULL: 0
  bool absolute;                  // the loss stands for |r| times delta, and so does the penalty
  const bool *linear;             // [element_count]: the formula is linear in these together
  bool logarithmic;               // the program gives the logarithm of what the formula is
};

enum wanted {
  WANT_VALUE,
  WANT_GRADIENT,
  WANT_REWEIGHTED,  // gradient and sum of (psi(r)/r) J J'
  WANT_INLIER,      // gradient and sum of psi'(r) J J'
  WANT_RELATIVE,    // of a logarithmic program: half the sum of squares of prediction / observed - 1, its gradient, and
                    // the sum of products of its derivatives
};

// Memory of one thread.
struct workspace {
  const struct problem *problem;
  struct program_state *state;
  double *elements;           // [element_count]
  double *residual;           // [padded]: prediction - target of the last evaluation
  double *gradient, *matrix;  // [free_count], [free_count][free_count]
  double *magnitude;          // [free_count]: sum of |psi J| next to the gradient
  double *trial_gradient, *trial_matrix, *trial_magnitude;
  double *step, *trial, *factor, *scratch, *frozen;  // frozen [padded]: psi held fixed
  double *shared;                                    // [free_count]: sums of an evaluation
  bool *held;                                        // [free_count]: at a bound that the gradient pushes against
  int held_count;
  double penalty;  // of the last evaluation, in units of the objective
};
struct workspace *workspace_new(struct arena *arena, const struct problem *problem);
// The same workspace for another problem with as many rows and elements or fewer.
void workspace_use(struct workspace *workspace, const struct problem *problem);

// The objective at x (free_count internal coordinates), infinite where the law gives no number. `weight` is [padded]
// and multiplies problem->weight (a resample), or NULL. Fills workspace->gradient, magnitude and matrix as wanted.
double problem_evaluate(struct workspace *workspace, const double *x, const double *weight, enum wanted wanted);
// The penalty where workspace->elements are: returned, and added to gradient, magnitude and matrix as wanted. Its
// matrix by itself at x, [free_count][free_count].
double problem_penalty(struct workspace *workspace, enum wanted wanted);
void problem_penalty_matrix(struct workspace *workspace, const double *x, double *matrix);
// Sum over rows of psi J with psi frozen at workspace->frozen: its derivative by x is the part of the Hessian that
// comes from the curvature of the law. Into `sum` [free_count].
void problem_frozen_gradient(struct workspace *workspace, const double *x, double *sum);
// Residuals (prediction - target) and the derivative of each by the free coordinates ([rows][free_count]).
bool problem_jacobian(struct workspace *workspace, const double *x, double *residual, double *jacobian);

static inline double huber_value(double r, double delta) {
  double size = fabs(r);
  return size <= delta ? 0.5 * r * r : delta * (size - 0.5 * delta);
}

static inline double huber_slope(double r, double delta) { return r > delta ? delta : r < -delta ? -delta : r; }

// The problem's loss of a residual, its slope psi, psi(r) / r and psi'. Those of many rows are in problem.c.
static inline double problem_loss(const struct problem *problem, double r) {
  if (problem->tail > 0) return 0.5 * problem->tail * log1p(r * r / problem->tail);
  return (r > 0 ? 1 + problem->asymmetry : 1) * huber_value(r, problem->delta);
}

static inline double problem_slope(const struct problem *problem, double r) {
  if (problem->tail > 0) return r / (1 + r * r / problem->tail);
  return (r > 0 ? 1 + problem->asymmetry : 1) * (isfinite(problem->delta) ? huber_slope(r, problem->delta) : r);
}

static inline double problem_reweight(const struct problem *problem, double r) {
  if (problem->tail > 0) return 1 / (1 + r * r / problem->tail);
  return (r > 0 ? 1 + problem->asymmetry : 1) * (fabs(r) <= problem->delta ? 1 : problem->delta / fabs(r));
}

static inline double problem_curvature(const struct problem *problem, double r) {
  if (problem->tail > 0) {
    double part = r * r / problem->tail;
    return (1 - part) / ((1 + part) * (1 + part));
  }
  return (r > 0 ? 1 + problem->asymmetry : 1) * (fabs(r) <= problem->delta);
}

// Sets the loss to that of an objective; absolute values are what sharper Huber losses come to (fit_search.c). To
// squares; whether it is them.
void problem_take(struct problem *problem, struct objective objective);
static inline void problem_take_squares(struct problem *problem) {
  problem->delta = INFINITY;
  problem->tail = problem->asymmetry = 0;
  if (problem->absolute) problem->penalty = NULL;  // it is of another loss
}
static inline bool problem_is_squares(const struct problem *problem) {
  return !isfinite(problem->delta) && !(problem->tail > 0) && problem->asymmetry == 0;
}

// How large a change of coordinate i is, at x: 1 for a logarithm, else the size of the value or of its starts. Steps,
// scales and differences are relative to it, so that a fit does not depend on the units of a coefficient.
static inline double problem_unit(const struct problem *problem, int i, double x) {
  double unit = problem->unit[problem->free[i]];
  return unit > 0 ? fmax(unit, fabs(x)) : 1;
}

// Solves the coefficients in which the formula is linear, within their bounds, the others held at x: exactly for least
// squares, by reweighting in rounds for Huber's loss; of a logarithmic program by least squares of the relative error.
// A positive coefficient that the solution puts at 0 gets a small share instead, from which descents can move. x is
// kept, and false returned, where nothing is linear or no number comes out.
bool project_linear(struct workspace *workspace, double *x, const double *weight);
// Whether the objective is a parabola in all free coordinates: least squares of a formula that is linear in them. One
// solution of project_linear is its minimum within the bounds then, and descend() and polish() make do with it.
bool problem_is_one_solve(const struct problem *problem);
// Whether the prediction, not its logarithm, is linear in so many coefficients that their part is worth solving apart.
bool problem_has_many_linear(const struct problem *problem);
// Where there are so many: x with them solved, if that is lower than `value`, the objective at x. `solved` is scratch
// [free_count].
void project_many(struct workspace *workspace, double value, double *x, double *solved);

// Levenberg-Marquardt steps on the reweighted least-squares model, within the bounds. x is moved; returns the
// objective. Stops after `iterations`, or when twice running an iteration gains less than `tolerance` of the objective.
double descend(struct workspace *workspace, double *x, const double *weight, int iterations, double tolerance);

// The same from near the minimum, by the model of psi' instead, which few evaluations are enough for: until a step
// promises to gain less than `tolerance` of the objective; where such steps gain nothing, the descent above goes on.
double descend_nearby(struct workspace *workspace, double *x, const double *weight, int iterations, double tolerance);

// The same from orthogonal factors of the Jacobian, linear coefficients solved at every step: for minima at the end of
// valleys so narrow that the normal equations no longer tell the way along them. Slower; stops when nothing is gained.
double descend_finely(struct workspace *workspace, double *x, const double *weight, int iterations);

struct polish_result {
  double objective;
  double stationarity;  // max over free coordinates of |gradient| / sum of |psi J|
  bool stationary;
  int iterations;
};
// Newton steps with the full Hessian until the point is stationary: stationarity below 1e-8, or a gradient whose unit
// step could not change the objective by more than 1e-12 of it.
struct polish_result polish(struct workspace *workspace, double *x, const double *weight, int iterations);

// Solves A x = b for a symmetric A, of which the part below the diagonal is read and overwritten; b becomes x. False
// when A is not positive definite.
bool cholesky_solve(double *a, int n, double *b);
// The same in two halves, where many b share one A: A, of which the part below the diagonal is read, becomes the factor
// L of A = L L' there.
bool cholesky_factor(double *a, int n);
void cholesky_back(const double *factor, int n, double *b);
