// Task `smnn`: a layer that solves an ordinary differential equation by least squares in time linear in the number of
// points (S-MNN, arXiv 2410.06074), and learns the equation's coefficients through it.
#pragma once
#include <stdint.h>

#include "base/base.h"

struct smnn {
  const char *problem, *solver;
  int64_t points, orders, repeats, learn_steps;
  double step, noise, lr;
};

// ---- layer.c ----

enum { SMNN_BLOCK = 12, SMNN_DIMENSIONS = 3, SMNN_COEFFICIENTS = 3 };  // at most

// Unknowns u [points][block]: of each dimension its derivatives 0 .. orders - 1. The rows of the least-squares problem,
// all of weight 1: at each point an equation for each dimension, c u = r; at the first one the values of all
// derivatives but the last; from point to point Taylor's polynomials forward, h^q u_q at t + 1 against those of t, and
// backward.
struct ode {
  int64_t points;
  int dimensions, orders, block;  // block = dimensions * orders
  double h;
  double *rows;     // c [points][dimensions][block]
  double *right;    // r [points][dimensions]
  double *initial;  // [dimensions][orders - 1]
};
struct ode ode_make(int64_t points, int dimensions, int orders, double h, struct arena *arena);

// The normal matrix, block tridiagonal, and its Cholesky factor: diagonal blocks, and those below them.
struct factor {
  double *diagonal, *below;  // [points][block][block]
  int64_t operations;        // block operations so far: factorizations, products and triangular solves
};
// False with an error where the normal matrix is not positive definite.
bool factor_make(const struct ode *ode, struct factor *factor, struct arena *arena, struct error *error);
void factor_again(const struct ode *ode, struct factor *factor, bool *fine);  // into the same memory
void factor_solve(const struct ode *ode, struct factor *factor, const double *right,
                  double *u);  // right, u [points][block]
// The same with one step of iterative refinement, residuals in long double. work [2][points][block].
void factor_solve_refined(const struct ode *ode, struct factor *factor, const double *right, double *u, double *work);
void ode_right_side(const struct ode *ode, double *right);  // A^T b
// u by the normal equations as one dense system, by LAPACK, refined as well.
bool ode_solve_dense(const struct ode *ode, double *u, struct error *error);
// From y = M^-1 dL/du: the gradients of a loss with respect to c [points][dimensions][block] and r, where not NULL.
//   dL/dc = (r - c u) y - (c y) u,  dL/dr = c y
void ode_gradient(const struct ode *ode, const double *u, const double *y, double *d_rows, double *d_right);

// ---- problem.c ----

// An equation whose coefficients may be learnt, and observations of its solution.
struct problem {
  struct ode ode;
  int count;  // of coefficients
  double truth[SMNN_COEFFICIENTS], start[SMNN_COEFFICIENTS];
  double *exact, *observed;  // [points][dimensions], derivative 0
  bool lorenz;
};
struct problem problem_make(const struct smnn *settings, uint64_t seed, struct arena *arena);
void problem_set(struct problem *problem, const double *coefficients);  // the equations' rows
// The mean squared distance of u from the observations, and its gradient with respect to the coefficients. `u`, `work`
// [2][points][block], d_rows [points][dimensions][block], d_right.
double problem_loss(struct problem *problem, struct factor *factor, const double *coefficients, double *u, double *work,
                    double *d_rows, double *d_right, double *gradient, bool *fine);
