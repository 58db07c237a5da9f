// The intervals of rollouts of a law that is fitted in stages. What a stage fits moves with what the stages before it
// hold: its coefficients have the error that its own rows leave, s^2 M^-1, and with D = -M^-1 M' (M' between its own
// and the earlier ones, over its rows) what D makes of the earlier errors (Murphy and Topel 1985, "Estimation and
// inference in two-step econometric models", JBES 3; rows of different stages are independent). A row's variance is
// that of the law along its gradient by all coefficients, and its own.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <string.h>

#include "fitting/rollout_internal.h"

struct stage_work {
  const struct fit_stage *stage;
  size_t before, total;         // elements of the stages before; with the stage's own
  int *elements;                // [total]
  double *residual, *jacobian;  // [rows], [rows][total]
  double *factor;               // [own][own]: Cholesky factor of M over the stage's own
  double *across;               // [own][before]: D
  double variance, degrees;
};

// Residuals and derivatives by all elements fitted so far, at the refit.
static bool differentiate(const struct fit *fit, const struct refit *refit, struct stage_work *work,
                          struct arena *arena) {
  const struct fit_stage *stage = work->stage;
  size_t elements = (size_t)fit->element_count, padded = stage->program->padded;
  int *free_of = arena_array(arena, elements + 1, sizeof *free_of);
  double *x = arena_array(arena, work->total + 1, sizeof *x);
  struct problem problem = stage->problem;
  for (size_t e = 0; e < elements; e++) free_of[e] = -1;
  for (size_t i = 0; i < work->total; i++) {
    free_of[work->elements[i]] = (int)i;
    x[i] = refit->elements[work->elements[i]];
  }
  problem.start = refit->elements;
  problem.free = work->elements;
  problem.free_of = free_of;
  problem.free_count = (int)work->total;
  work->residual = arena_array(arena, padded + 1, sizeof *work->residual);
  work->jacobian = arena_array(arena, padded * work->total + 1, sizeof *work->jacobian);
  struct workspace *workspace = refit->spaces[stage - fit->stages];
  workspace_use(workspace, &problem);
  bool fine = problem_jacobian(workspace, x, work->residual, work->jacobian);
  workspace_use(workspace, &stage->problem);
  return fine;
}

// M of the stage's own, its factor, D and the variance of a row; false where M has no factor.
static bool solve_stage(struct stage_work *work, const bool *kept, struct arena *arena) {
  const struct fit_stage *stage = work->stage;
  size_t own = work->total - work->before, before = work->before, count = 0;
  double *between = arena_array(arena, own * before + 1, sizeof *between),
         *column = arena_array(arena, own + 1, sizeof *column), square = 0;
  work->factor = arena_array(arena, own * own + 1, sizeof *work->factor);
  work->across = arena_array(arena, own * before + 1, sizeof *work->across);
  for (size_t i = 0; i < stage->row_count; i++) {
    if (!kept[stage->rows[i]]) continue;
    const double *gradient = work->jacobian + i * work->total;
    double w = stage->weight[i];
    count++;
    square += w * work->residual[i] * work->residual[i];
    for (size_t a = 0; a < own; a++) {
      for (size_t b = 0; b < own; b++) work->factor[a * own + b] += w * gradient[before + a] * gradient[before + b];
      for (size_t b = 0; b < before; b++) between[a * before + b] += w * gradient[before + a] * gradient[b];
    }
  }
  work->degrees = (double)count - (double)own;
  work->variance = square / work->degrees;
  if (!cholesky_factor(work->factor, (int)own)) return false;
  for (size_t b = 0; b < before; b++) {
    for (size_t a = 0; a < own; a++) column[a] = -between[a * before + b];
    cholesky_back(work->factor, (int)own, column);
    for (size_t a = 0; a < own; a++) work->across[a * before + b] = column[a];
  }
  return true;
}

// The covariance of all so far: V, D V and D V D' + s^2 M^-1.
static void join(const struct stage_work *work, struct staged *staged, struct arena *arena) {
  size_t before = work->before, total = work->total, own = total - before;
  double *v = arena_array(arena, total * total + 1, sizeof *v), *column = arena_array(arena, own + 1, sizeof *column);
  for (size_t a = 0; a < before; a++)
    for (size_t b = 0; b < before; b++) v[a * total + b] = staged->covariance[a * before + b];
  for (size_t a = 0; a < own; a++)
    for (size_t b = 0; b < before; b++) {
      double sum = 0;
      for (size_t k = 0; k < before; k++) sum += work->across[a * before + k] * staged->covariance[k * before + b];
      v[(before + a) * total + b] = v[b * total + before + a] = sum;
    }
  for (size_t b = 0; b < own; b++) {
    for (size_t a = 0; a < own; a++) column[a] = a == b;
    cholesky_back(work->factor, (int)own, column);
    for (size_t a = 0; a < own; a++) {
      double sum = work->variance * column[a];
      for (size_t k = 0; k < before; k++) sum += v[(before + a) * total + k] * work->across[b * before + k];
      v[(before + a) * total + before + b] = sum;
    }
  }
  staged->elements = work->elements;
  staged->covariance = v;
  staged->count = (int)total;
}

bool staged_intervals(const struct fit *fit, const struct refit *refit, const struct fit_stage *stage, const bool *kept,
                      struct staged *staged, double *half, struct arena *arena) {
  struct stage_work work = {.stage = stage, .before = (size_t)staged->count};
  work.total = work.before + (size_t)stage->free_count;
  work.elements = arena_array(arena, work.total + 1, sizeof *work.elements);
  if (work.before) memcpy(work.elements, staged->elements, work.before * sizeof *work.elements);
  for (int i = 0; i < stage->free_count; i++) work.elements[work.before + (size_t)i] = stage->free[i];
  if (staged->unknown) return true;
  if (!differentiate(fit, refit, &work, arena)) return staged->unknown = true;
  if (!solve_stage(&work, kept, arena)) return false;
  if (!(work.degrees > 0)) return staged->unknown = true;
  join(&work, staged, arena);
  staged->degrees = work.before ? fmin(staged->degrees, work.degrees) : work.degrees;
  double t = gsl_cdf_tdist_Pinv((1 + fit->result->confidence) / 2, staged->degrees);
  for (size_t i = 0; i < stage->row_count; i++) {
    const double *gradient = work.jacobian + i * work.total;
    double along = 0;
    for (size_t a = 0; a < work.total; a++)
      for (size_t b = 0; b < work.total; b++)
        along += gradient[a] * staged->covariance[a * work.total + b] * gradient[b];
    half[stage->rows[i]] = t * sqrt(work.variance / stage->weight[i] + along);
  }
  return true;
}
