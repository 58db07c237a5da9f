// The same fit under other objectives, from the same minima: a tenth and ten times the delta, least squares, least
// absolute deviations. Coefficients that depend on the choice are told by a few rows.
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { KINDS = 4, SHARPENINGS = 12 };

struct comparing {
  struct fit *fit;
  struct refit *refits;
  struct objective objectives[KINDS];
  int count;
};

// Huber's objective with ever smaller delta, each time from the last minimum.
static double sharpen_stage(const struct fit *fit, struct refit *refit, const struct fit_stage *stage, double size) {
  struct objective huber = {.kind = OBJECTIVE_HUBER, .delta = 0.1 * size};
  double objective = refit_stage(fit, refit, stage, &huber);
  struct workspace *workspace = refit->spaces[stage - fit->stages];
  for (int round = 0; round < SHARPENINGS && isfinite(objective); round++) {
    struct problem problem = stage->problem;
    problem.start = refit->elements;
    huber.delta /= 4;
    problem_take(&problem, huber);
    workspace_use(workspace, &problem);
    for (int i = 0; i < stage->free_count; i++) refit->x[i] = refit->elements[stage->free[i]];
    descend(workspace, refit->x, refit->weight, 200, 1e-12);
    objective = polish(workspace, refit->x, refit->weight, 100).objective;
    for (int i = 0; i < stage->free_count; i++) refit->elements[stage->free[i]] = refit->x[i];
  }
  return objective;
}

static double typical_residual(const struct fit_stage *stage, struct workspace *workspace) {
  double sum = 0;
  workspace_use(workspace, &stage->problem);
  problem_evaluate(workspace, stage->x, NULL, WANT_VALUE);
  for (size_t i = 0; i < stage->row_count; i++) sum += fabs(workspace->residual[i]);
  return fmax(sum / (double)stage->row_count, 1e-9);
}

static void compare_one(void *context, size_t index, int thread) {
  struct comparing *comparing = context;
  struct fit *fit = comparing->fit;
  struct refit *refit = &comparing->refits[thread];
  struct objective objective = comparing->objectives[index];
  struct fit_sensitivity *out = &fit->result->sensitivity[index];
  bool fine = true;
  for (int e = 0; e < fit->element_count; e++) refit->elements[e] = fit->elements[e].value;
  for (int s = 0; s < fit->stage_count && fine; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count) continue;
    double reached = objective.kind == OBJECTIVE_LAD
                         ? sharpen_stage(fit, refit, stage, typical_residual(stage, refit->spaces[s]))
                         : refit_stage(fit, refit, stage, &objective);
    fine = isfinite(reached);
  }
  for (int e = 0; e < fit->element_count; e++)
    out->values[e] =
        fine && !isnan(fit->result->coefficients[e].value) ? element_value(&fit->elements[e], refit->elements[e]) : NAN;
  fit_copy_ties(fit, out->values);
}

static void add(struct comparing *comparing, struct objective objective) {
  comparing->objectives[comparing->count++] = objective;
}

void fit_sensitivity(struct fit *fit) {
  struct fit_result *result = fit->result;
  if (!fit_is_small(fit) || fit->alone) return;  // the weight of priors is that of one loss
  struct comparing comparing = {.fit = fit};
  if (fit->objective.kind == OBJECTIVE_HUBER) {
    add(&comparing, (struct objective){OBJECTIVE_HUBER, .delta = fit->objective.delta / 10});
    add(&comparing, (struct objective){OBJECTIVE_HUBER, .delta = fit->objective.delta * 10});
  }
  if (fit->objective.kind == OBJECTIVE_ASYMMETRIC && isfinite(fit->objective.delta))  // both sides alike
    add(&comparing, (struct objective){OBJECTIVE_HUBER, .delta = fit->objective.delta});
  if (fit->objective.kind != OBJECTIVE_LEAST_SQUARES)
    add(&comparing, (struct objective){.kind = OBJECTIVE_LEAST_SQUARES});
  if (fit->objective.kind != OBJECTIVE_LAD) add(&comparing, (struct objective){.kind = OBJECTIVE_LAD});
  comparing.refits = refits_new(&fit->arena, fit, threads_wanted(fit->options->threads));
  result->sensitivity = arena_array(&result->arena, KINDS, sizeof *result->sensitivity);
  result->sensitivity_count = (size_t)comparing.count;
  for (int i = 0; i < comparing.count; i++) {
    struct fit_sensitivity *out = &result->sensitivity[i];
    objective_text(comparing.objectives[i], out->objective);
    out->values = arena_array(&result->arena, (size_t)fit->element_count + 1, sizeof *out->values);
  }
  threads_each((size_t)comparing.count, fit->options->threads, compare_one, &comparing);
}
