// Refits: the stages of a fit once more with other weights of the rows (resamples, rows left out) or another objective,
// from the minima that the search found.
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

bool stage_is_dear(const struct fit_stage *stage) {
  static const double limit = 2e3;
  return stage->row_cost > 1 && (double)stage->row_count * stage->row_cost > limit;
}

struct refit *refits_new(struct arena *arena, const struct fit *fit, int threads) {
  struct refit *made = arena_array(arena, (size_t)threads, sizeof *made);
  for (int s = 0; s < fit->stage_count; s++)
    if (fit->stages[s].free_count && stage_is_dear(&fit->stages[s])) stage_linearize(arena, &fit->stages[s]);
  size_t n = (size_t)fit->element_count + 1, padded = 1;
  for (int s = 0; s < fit->stage_count; s++)
    if (fit->stages[s].free_count && fit->stages[s].program->padded > padded) padded = fit->stages[s].program->padded;
  for (int t = 0; t < threads; t++) {
    struct refit *refit = &made[t];
    refit->factor = arena_array(arena, fit->table->row_count + 1, sizeof *refit->factor);
    for (size_t row = 0; row < fit->table->row_count; row++) refit->factor[row] = 1;
    refit->weight = arena_array(arena, padded, sizeof *refit->weight);
    if (fit->row_choice || fit->row_few) {
      refit->row_shift = arena_array(arena, fit->table->row_count + 1, sizeof *refit->row_shift);
      refit->target = arena_array(arena, padded, sizeof *refit->target);
    }
    refit->elements = arena_array(arena, n, sizeof *refit->elements);
    refit->x = arena_array(arena, n, sizeof *refit->x);
    refit->best = arena_array(arena, n, sizeof *refit->best);
    refit->seen = arena_array(arena, n, sizeof *refit->seen);
    refit->shift = arena_array(arena, n, sizeof *refit->shift);
    refit->spread = arena_array(arena, (size_t)fit->pool_count + 1, sizeof *refit->spread);
    refit->pools = arena_array(arena, (size_t)fit->pool_count + 1, sizeof *refit->pools);
    refit->spaces = arena_array(arena, (size_t)fit->stage_count, sizeof *refit->spaces);
    for (int s = 0; s < fit->stage_count; s++)
      if (fit->stages[s].free_count) refit->spaces[s] = workspace_new(arena, &fit->stages[s].problem);
  }
  return made;
}

double refit_stage(const struct fit *fit, struct refit *refit, const struct fit_stage *stage,
                   const struct objective *objective) {
  size_t n = (size_t)stage->free_count;
  struct workspace *workspace = refit->spaces[stage - fit->stages];
  struct problem *problem = &refit->problem;  // which the workspace keeps
  *problem = stage->problem;
  problem->start = refit->elements;  // as refitted in earlier stages
  if (fit->alone) problem->shift = refit->shift;
  if (fit->pool_count && problem->penalty) {
    fit_respread(fit, refit, stage, &refit->penalty);
    problem->penalty = &refit->penalty;
  }
  if (objective) {  // whose units the penalty is not in
    problem_take(problem, *objective);
    problem->penalty = NULL;
  }
  for (size_t i = 0; i < stage->program->padded; i++)
    refit->weight[i] = i < stage->row_count ? refit->factor[stage->rows[i]] : 0;
  if (refit->row_shift) {
    for (size_t i = 0; i < stage->program->padded; i++) refit->target[i] = stage->target[i];
    for (size_t i = 0; i < stage->row_count; i++)
      refit->target[i] += refit->row_shift[stage->rows[i]] * (stage->row_scale ? stage->row_scale[i] : 1);
    problem->target = refit->target;
  }
  workspace_use(workspace, problem);
  double best = INFINITY;
  bool dear = stage->linear_jacobian != NULL;
  for (int k = 0; k <= (dear ? 0 : stage->other_count); k++) {
    memcpy(refit->x, k ? stage->others[k - 1] : stage->x, n * sizeof *refit->x);
    if (dear) stage_linear_minimum(stage, problem, refit->weight, refit->x);
    double value = dear ? descend_nearby(workspace, refit->x, refit->weight, 10, 1e-9)
                        : descend(workspace, refit->x, refit->weight, 100, 1e-8);
    if (!dear) value = polish(workspace, refit->x, refit->weight, 25).objective;
    if (!(value < best)) continue;
    best = value;
    memcpy(refit->best, refit->x, n * sizeof *refit->x);
  }
  for (size_t i = 0; i < n && isfinite(best); i++) refit->elements[stage->free[i]] = refit->best[i];
  return best;
}

static bool enough_rows(const struct refit *refit, const struct fit_stage *stage) {
  int different = 0;
  for (size_t i = 0; i < stage->row_count && different < stage->free_count; i++)
    different += refit->factor[stage->rows[i]] > 0;
  return different >= stage->free_count;
}

// A category whose rows are all gone has no value.
static void forget_absent(const struct fit *fit, const struct fit_stage *stage, struct refit *refit, double *values) {
  const struct program *program = stage->program;
  memset(refit->seen, 0, (size_t)fit->element_count * sizeof *refit->seen);
  for (int l = 0; l < program->leaf_count; l++) {
    const struct leaf *leaf = &program->leaves[l];
    for (size_t i = 0; leaf->index && i < stage->row_count; i++)
      if (refit->weight[i] > 0) refit->seen[leaf->index[i]] = true;
    if (!leaf->index) refit->seen[leaf->element] = true;
  }
  for (int i = 0; i < stage->free_count; i++)
    if (!refit->seen[stage->free[i]] && !fit_has_penalty(stage, stage->free[i])) values[stage->free[i]] = NAN;
}

bool refit_rows(const struct fit *fit, struct refit *refit, double *values) {
  bool fine = true;
  for (int e = 0; e < fit->element_count; e++) {
    refit->elements[e] = fit->elements[e].value;
    values[e] = element_value(&fit->elements[e], fit->elements[e].value);
  }
  for (int s = 0; s < fit->stage_count && fine; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count) continue;
    fine = enough_rows(refit, stage) && isfinite(refit_stage(fit, refit, stage, NULL));
    if (!fine) break;
    for (int i = 0; i < stage->free_count; i++) {
      int e = stage->free[i];
      values[e] = element_value(&fit->elements[e], refit->elements[e]);
    }
    forget_absent(fit, stage, refit, values);
  }
  fit_copy_ties(fit, values);
  for (int e = 0; !fine && e < fit->element_count; e++) values[e] = NAN;
  return fine;
}
