// Resampling: every resample draws groups of rows with replacement (a row by itself, a configuration with its seeds, a
// run with its checkpoints), refits every stage from the minima that the search found, and keeps the coefficients. The
// jackknife next to it leaves each group out once, for the acceleration of BCa intervals.
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { JACKKNIFE_LIMIT = 256 };  // more groups are left out in that many blocks

enum { CHOICES = 200 };
static const double offset_level = 1.645;

struct resampling {
  struct fit *fit;
  struct refit *refits;  // [threads]
  int **drawn;           // [threads][group_count]
  bool *failed;          // [bootstrap]
};

// Moves every row's target by the part of the error of its choice that the rows' scatter does not show, and all by what
// they are measured to be off, which is taken for the 5 % point of a normal error: a 95 % interval then holds a law
// that is bent by just that.
static void move_targets(const struct fit *fit, struct refit *refit, uint64_t step) {
  double normal[2], all[2];
  random_normal_pair(fit->options->seed, RANDOM_STREAM_CHOICE, step, fit->table->row_count, all);
  for (size_t row = 0; refit->row_shift && row < fit->table->row_count; row++) {
    refit->row_shift[row] = 0;
    if (!fit->row_choice) continue;
    random_normal_pair(fit->options->seed, RANDOM_STREAM_CHOICE, step, row, normal);
    refit->row_shift[row] =
        step ? fit->choice_share * fit->row_choice[row] * normal[0] + fit->row_offset[row] * all[0] / offset_level : 0;
  }
}

// Adds what the few rows of a category share of their error; alone: only where the category has but one.
static void move_few(const struct fit *fit, struct refit *refit, uint64_t step, bool alone) {
  double normal[2];
  for (size_t row = 0; fit->row_few && row < fit->table->row_count; row++) {
    if (!(fit->row_few[row] > 0) || (alone && !fit->row_alone[row])) continue;
    random_normal_pair(fit->options->seed, RANDOM_STREAM_FEW, step, (uint64_t)fit->row_few_of[row], normal);
    refit->row_shift[row] += fit->row_few[row] * normal[0];
  }
}

static void choose_one(void *context, size_t draw, int thread) {
  struct resampling *resampling = context;
  struct fit *fit = resampling->fit;
  struct refit *refit = &resampling->refits[thread];
  for (size_t row = 0; row < fit->table->row_count; row++) refit->factor[row] = 1;
  move_targets(fit, refit, (uint64_t)fit->result->bootstrap + 1 + draw);
  move_few(fit, refit, (uint64_t)fit->result->bootstrap + draw, true);
  refit_rows(fit, refit, fit->choice + draw * (size_t)fit->element_count);
}

static void resample_one(void *context, size_t resample, int thread) {
  struct resampling *resampling = context;
  struct fit *fit = resampling->fit;
  struct refit *refit = &resampling->refits[thread];
  int *drawn = resampling->drawn[thread];
  memset(drawn, 0, (size_t)fit->group_count * sizeof *drawn);
  for (int i = 0; i < fit->group_count; i++)
    drawn[random_below(fit->options->seed, RANDOM_STREAM_BOOTSTRAP, resample, (uint64_t)i,
                       (uint64_t)fit->group_count)]++;
  for (size_t row = 0; row < fit->table->row_count; row++)
    refit->factor[row] = fit->row_group[row] < 0 ? 0 : drawn[fit->row_group[row]];
  move_targets(fit, refit, resample + 1);
  move_few(fit, refit, resample, false);
  fit_shift_priors(fit, resample, refit->shift);
  fit_shift_pools(fit, resample, refit);
  double *values = fit->result->replicates + resample * (size_t)fit->element_count;
  resampling->failed[resample] = !refit_rows(fit, refit, values);
}

static void leave_one(void *context, size_t block, int thread) {
  struct resampling *resampling = context;
  struct fit *fit = resampling->fit;
  struct refit *refit = &resampling->refits[thread];
  for (size_t row = 0; row < fit->table->row_count; row++) {
    int group = fit->row_group[row];
    refit->factor[row] = group >= 0 && (size_t)group % fit->jackknife_count != block;
  }
  move_targets(fit, refit, 0);
  memset(refit->shift, 0, (size_t)fit->element_count * sizeof *refit->shift);
  memset(refit->spread, 0, (size_t)fit->pool_count * sizeof *refit->spread);
  refit_rows(fit, refit, fit->jackknife + block * (size_t)fit->element_count);
}

void fit_bootstrap(struct fit *fit) {
  struct fit_result *result = fit->result;
  size_t count = (size_t)result->bootstrap, n = (size_t)fit->element_count;
  if (!count) return;
  fit_few(fit);
  int threads = threads_wanted(fit->options->threads);
  struct resampling resampling = {.fit = fit, .refits = refits_new(&fit->arena, fit, threads)};
  resampling.drawn = arena_array(&fit->arena, (size_t)threads, sizeof *resampling.drawn);
  for (int t = 0; t < threads; t++)
    resampling.drawn[t] = arena_array(&fit->arena, (size_t)fit->group_count + 1, sizeof **resampling.drawn);
  resampling.failed = arena_array(&fit->arena, count, sizeof *resampling.failed);
  result->replicates = arena_array(&result->arena, count * n, sizeof *result->replicates);
  fit->jackknife_count = fit->group_count < JACKKNIFE_LIMIT ? (size_t)fit->group_count : JACKKNIFE_LIMIT;
  fit->jackknife = arena_array(&result->arena, fit->jackknife_count * n + 1, sizeof *fit->jackknife);
  threads_each(count, threads, resample_one, &resampling);
  threads_each(fit->jackknife_count, threads, leave_one, &resampling);
  if (fit->row_choice || fit->row_few) {
    fit->choice_count = CHOICES;
    fit->choice = arena_array(&fit->arena, CHOICES * n + 1, sizeof *fit->choice);
    threads_each(CHOICES, threads, choose_one, &resampling);
  }
  for (size_t b = 0; b < count; b++) result->bootstrap_failed += resampling.failed[b];
  for (size_t e = 0; e < n; e++) {
    struct coefficient *c = &result->coefficients[e];
    if (!fit->elements[e].free_ever) continue;
    interval_of(
        (struct replicates){result->replicates + e, count, n, fit->jackknife + e, fit->jackknife_count, n,
                            result->interval_degrees, fit->choice ? fit->choice + e : NULL, fit->choice_count, n},
        c->value, result->confidence, result->interval, &c->intervals, &c->low, &c->high, &c->se);
  }
  result->jackknife_count = fit->jackknife_count;
  result->jackknife = fit->jackknife;
  if (fit_many_resamples_failed(result))
    fit_result_warn(result, "%d of %d resamples hold too few different rows for the law and count %s",
                    result->bootstrap_failed, result->bootstrap,
                    result->interval == INTERVAL_T ? "for nothing" : "in no interval");
}
