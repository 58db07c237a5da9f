// Resampling: every resample draws groups of rows with replacement (a row by itself, a configuration with its seeds, a
// run with its checkpoints), refits every stage from the minima that the search found, and keeps the coefficients.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit.h"
#include "fitting/parallel.h"

struct resampling {
  struct fit *fit;
  struct workspace **spaces;  // [threads][stage_count]
  struct fit_memory {
    double *weight;    // [padded rows of the largest stage]
    int *drawn;        // [group_count]
    double *elements;  // [element_count]
    double *x, *best;  // [element_count]
  } * memory;          // [threads]
  bool *failed;        // [bootstrap]
};

static void draw_groups(const struct fit *fit, int resample, int *drawn) {
  memset(drawn, 0, (size_t)fit->group_count * sizeof *drawn);
  for (int i = 0; i < fit->group_count; i++)
    drawn[random_below(fit->options->seed, RANDOM_STREAM_BOOTSTRAP, (uint64_t)resample, (uint64_t)i,
                       (uint64_t)fit->group_count)]++;
}

// Refits one stage; false when the resample has too few different rows for it.
static bool refit(struct resampling *resampling, struct fit_memory *memory, struct workspace *workspace,
                  const struct fit_stage *stage) {
  const struct fit *fit = resampling->fit;
  size_t n = (size_t)stage->free_count;
  int different = 0;
  for (size_t i = 0; i < stage->problem.program->padded; i++) memory->weight[i] = 0;
  for (size_t i = 0; i < stage->row_count; i++) {
    memory->weight[i] = memory->drawn[fit->row_group[stage->rows[i]]];
    different += memory->weight[i] > 0;
  }
  if (different < stage->free_count) return false;
  struct problem problem = stage->problem;
  problem.start = memory->elements;  // as refitted in earlier stages
  workspace_use(workspace, &problem);
  double best = INFINITY;
  for (int k = 0; k <= stage->other_count; k++) {
    memcpy(memory->x, k ? stage->others[k - 1] : stage->x, n * sizeof *memory->x);
    descend(workspace, memory->x, memory->weight, 100, 1e-8);
    double value = polish(workspace, memory->x, memory->weight, 25).objective;
    if (!(value < best)) continue;
    best = value;
    memcpy(memory->best, memory->x, n * sizeof *memory->x);
  }
  for (size_t i = 0; i < n; i++) memory->elements[stage->free[i]] = memory->best[i];
  return isfinite(best);
}

// A category that the resample does not hold has no value in it.
static void forget_absent(const struct fit *fit, const struct fit_stage *stage, const struct fit_memory *memory,
                          double *values) {
  bool *seen = memory_get((size_t)fit->element_count + 1);
  const struct program *program = stage->program;
  for (int l = 0; l < program->leaf_count; l++) {
    const struct leaf *leaf = &program->leaves[l];
    for (size_t i = 0; i < stage->row_count; i++)
      if (memory->weight[i] > 0) seen[leaf->index ? leaf->index[i] : leaf->element] = true;
  }
  for (int i = 0; i < stage->free_count; i++)
    if (!seen[stage->free[i]]) values[stage->free[i]] = NAN;
  free(seen);
}

static void resample_one(void *context, size_t resample, int thread) {
  struct resampling *resampling = context;
  struct fit *fit = resampling->fit;
  struct fit_memory *memory = &resampling->memory[thread];
  double *values = fit->result->replicates + resample * (size_t)fit->element_count;
  draw_groups(fit, (int)resample, memory->drawn);
  for (int e = 0; e < fit->element_count; e++) {
    memory->elements[e] = fit->elements[e].value;
    values[e] = element_value(&fit->elements[e], fit->elements[e].value);
  }
  for (int s = 0; s < fit->stage_count && !resampling->failed[resample]; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count) continue;
    struct workspace *workspace = resampling->spaces[thread * fit->stage_count + s];
    resampling->failed[resample] = !refit(resampling, memory, workspace, stage);
    for (int i = 0; i < stage->free_count; i++) {
      int e = stage->free[i];
      values[e] = element_value(&fit->elements[e], memory->elements[e]);
    }
    forget_absent(fit, stage, memory, values);
  }
  for (int e = 0; resampling->failed[resample] && e < fit->element_count; e++) values[e] = NAN;
}

double quantile(const double *sorted, size_t count, double p) {
  if (!count) return NAN;
  double place = p * (double)(count - 1);
  size_t below = (size_t)place;
  if (below + 1 >= count) return sorted[count - 1];
  return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static int compare_numbers(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void interval_of(const double *replicates, size_t count, size_t stride, double confidence, double *low, double *high,
                 double *se) {
  double *values = memory_get((count + 1) * sizeof *values), mean = 0, squares = 0;
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    if (isfinite(replicates[i * stride])) values[kept++] = replicates[i * stride];
  *low = *high = *se = NAN;
  if (kept >= 2) {
    qsort(values, kept, sizeof *values, compare_numbers);
    for (size_t i = 0; i < kept; i++) mean += values[i] / (double)kept;
    for (size_t i = 0; i < kept; i++) squares += (values[i] - mean) * (values[i] - mean);
    *low = quantile(values, kept, (1 - confidence) / 2);
    *high = quantile(values, kept, (1 + confidence) / 2);
    *se = sqrt(squares / (double)(kept - 1));
  }
  free(values);
}

void fit_bootstrap(struct fit *fit) {
  struct fit_result *result = fit->result;
  size_t count = (size_t)result->bootstrap, n = (size_t)fit->element_count, padded = 0;
  if (!count) return;
  int threads = parallel_threads(fit->options->threads);
  struct resampling resampling = {.fit = fit};
  resampling.spaces = arena_array(&fit->arena, (size_t)threads * (size_t)fit->stage_count, sizeof *resampling.spaces);
  resampling.memory = arena_array(&fit->arena, (size_t)threads, sizeof *resampling.memory);
  resampling.failed = arena_array(&fit->arena, count, sizeof *resampling.failed);
  result->replicates = arena_array(&result->arena, count * n, sizeof *result->replicates);
  for (int s = 0; s < fit->stage_count; s++)
    if (fit->stages[s].free_count && fit->stages[s].program->padded > padded) padded = fit->stages[s].program->padded;
  for (int t = 0; t < threads; t++) {
    struct fit_memory *memory = &resampling.memory[t];
    memory->weight = arena_array(&fit->arena, padded + 1, sizeof *memory->weight);
    memory->drawn = arena_array(&fit->arena, (size_t)fit->group_count + 1, sizeof *memory->drawn);
    memory->elements = arena_array(&fit->arena, n + 1, sizeof *memory->elements);
    memory->x = arena_array(&fit->arena, n + 1, sizeof *memory->x);
    memory->best = arena_array(&fit->arena, n + 1, sizeof *memory->best);
    for (int s = 0; s < fit->stage_count; s++)
      if (fit->stages[s].free_count)
        resampling.spaces[t * fit->stage_count + s] = workspace_new(&fit->arena, &fit->stages[s].problem);
  }
  parallel_tasks(count, threads, resample_one, &resampling);
  for (size_t b = 0; b < count; b++) result->bootstrap_failed += resampling.failed[b];
  for (size_t e = 0; e < n; e++) {
    struct coefficient *coefficient = &result->coefficients[e];
    if (!fit->elements[e].free_ever) continue;
    interval_of(result->replicates + e, count, n, result->confidence, &coefficient->low, &coefficient->high,
                &coefficient->se);
  }
  if (result->bootstrap_failed * 20 > result->bootstrap)
    fit_result_warn(result, "%d of %d resamples hold too few different rows for the law and count in no interval",
                    result->bootstrap_failed, result->bootstrap);
}
