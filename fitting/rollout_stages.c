// The intervals of rollouts of a law that is fitted in stages. What a stage fits moves with what the stages before it
// hold: its coefficients have the error that its own rows leave, s^2 M^-1, and with D = -M^-1 M' (M' between its own
// and the earlier ones, over its rows) what D makes of the earlier errors (Murphy and Topel 1985, "Estimation and
// inference in two-step econometric models", JBES 3; rows of different stages are independent). Where rows are grouped,
// a group's rows are not, within a stage or between two: each group g moves the coefficients by u_g, M^-1 times its sum
// of w r J and D times what it moved the earlier ones by, and the covariance is the sum of u_g u_g' (Liang and Zeger
// 1986), each stage's own part times G / (G - n) for its G groups and n coefficients. A row's variance is that of the
// law along its gradient by all coefficients, and its own.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <string.h>

#include "fitting/rollout_internal.h"

struct stage_work {
  const struct staged_part *part;
  const struct fit_stage *stage;
  size_t before, total;         // elements of the stages before; with the stage's own
  int *elements;                // [total]
  double *residual, *jacobian;  // [rows], [rows][total]
  double *factor;               // [own][own]: Cholesky factor of M over the stage's own
  double *across;               // [own][before]: D
  double *sums;                 // [groups][own]: M^-1 times sums of w r J, scaled; NULL where every row is by itself
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
static bool solve_stage(struct stage_work *work, struct arena *arena) {
  const struct fit_stage *stage = work->stage;
  const bool *kept = work->part->kept;
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

// Sums over groups in place of rows; false where there are no more groups than coefficients.
static bool sum_groups(const struct fit *fit, struct stage_work *work, struct staged *staged, struct arena *arena) {
  const struct fit_stage *stage = work->stage;
  size_t own = work->total - work->before;
  double square = 0, count = 0;
  int groups = 0;
  bool *seen = arena_array(arena, (size_t)fit->group_count + 1, sizeof *seen);
  work->sums = arena_array(arena, (size_t)fit->group_count * own + 1, sizeof *work->sums);
  for (size_t i = 0; i < stage->row_count; i++) {
    if (!work->part->kept[stage->rows[i]]) continue;
    int group = fit->row_group[stage->rows[i]];
    double r = work->residual[i], w = stage->weight[i];
    groups += !seen[group];
    seen[group] = true;
    square += w * r * r;
    count++;
    for (size_t a = 0; a < own; a++)
      work->sums[(size_t)group * own + a] += w * r * work->jacobian[i * work->total + work->before + a];
  }
  if (groups <= (int)own) {
    staged->unknown = too_few_groups(&fit->result->arena, groups, (int)own);
    return false;
  }
  double factor = (double)groups / (groups - (int)own);
  for (size_t i = 0; i < (size_t)fit->group_count * own; i++) work->sums[i] *= sqrt(factor);
  for (int g = 0; g < fit->group_count; g++) cholesky_back(work->factor, (int)own, work->sums + (size_t)g * own);
  work->variance = factor * square / count;
  work->degrees = groups - (double)own;
  return true;
}

// The same of groups: what each moves all so far by, and the sum of its products.
static void join_groups(const struct fit *fit, const struct stage_work *work, struct staged *staged,
                        struct arena *arena) {
  size_t before = work->before, total = work->total, own = total - before, groups = (size_t)fit->group_count;
  double *u = arena_array(arena, groups * total + 1, sizeof *u), *v = arena_array(arena, total * total + 1, sizeof *v);
  for (size_t g = 0; g < groups; g++) {
    double *to = u + g * total;
    for (size_t b = 0; b < before; b++) to[b] = staged->influences[g * before + b];
    for (size_t a = 0; a < own; a++) {
      to[before + a] = work->sums[g * own + a];  // against the sign of the residual, as D is of the matrix
      for (size_t b = 0; b < before; b++) to[before + a] += work->across[a * before + b] * to[b];
    }
    for (size_t a = 0; a < total; a++)
      for (size_t b = 0; b < total; b++) v[a * total + b] += to[a] * to[b];
  }
  staged->elements = work->elements;
  staged->influences = u;
  staged->covariance = v;
  staged->count = (int)total;
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

bool staged_intervals(const struct fit *fit, const struct refit *refit, const struct staged_part *part,
                      struct staged *staged, double *half, struct arena *arena) {
  const struct fit_stage *stage = part->stage;
  struct stage_work work = {.part = part, .stage = stage, .before = (size_t)staged->count};
  work.total = work.before + (size_t)part->own;
  work.elements = arena_array(arena, work.total + 1, sizeof *work.elements);
  if (work.before) memcpy(work.elements, staged->elements, work.before * sizeof *work.elements);
  for (int i = 0; i < part->own; i++) work.elements[work.before + (size_t)i] = stage->free[part->of[i]];
  if (staged->unknown) return true;
  if (!differentiate(fit, refit, &work, arena)) {
    staged->unknown = "the law has no finite derivatives there";
    return true;
  }
  if (!solve_stage(&work, arena)) return false;
  if (fit->grouped && !sum_groups(fit, &work, staged, arena)) return true;
  if (!(work.degrees > 0)) {
    staged->unknown = "a stage has no more rows than coefficients";
    return true;
  }
  if (fit->grouped)
    join_groups(fit, &work, staged, arena);
  else
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
