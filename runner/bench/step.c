// Whole training steps against the floor of their bare products, and what their time goes into.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/bench/model.h"

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// Shares of a step's time by operation, the largest first.
static void add_shares(struct bench *bench, struct bench_row *row, const struct bench_profile *profile) {
  const char **names = arena_array(&bench->arena, profile->count, sizeof *names);
  size_t count = bench_profile_names(profile, names);
  struct bench_share *shares = arena_array(&bench->arena, count, sizeof *shares);
  double all = bench_profile_best(profile, NULL);
  for (size_t i = 0; i < count; i++) {
    double share = bench_profile_best(profile, names[i]) / all;
    int at = row->share_count++;
    for (; at > 0 && shares[at - 1].share < share; at--) shares[at] = shares[at - 1];
    shares[at] = (struct bench_share){names[i], share};
  }
  row->shares = shares;
}

static bool step_rounds(struct bench_model *m, struct error *error) {
  struct bench *bench = m->bench;
  enum { MOST = 400 };
  double *times = arena_array(&bench->arena, MOST, sizeof *times), best = INFINITY, best_wall = INFINITY;
  struct bench_budget budget =
      bench->options.quick ? (struct bench_budget){0.3, 2, MOST} : (struct bench_budget){12, 5, MOST};
  int rounds = 0;
  for (double began = bench_now(bench); bench_again(&budget, rounds, bench_now(bench) - began); rounds++) {
    double wall;
    // In turns, so that both see the same machine.
    if (!bench_model_step(m, &times[rounds], &wall, error) || !bench_products_time(&m->products, error) ||
        !bench_peak(bench, m->model->dtype, error))
      return false;
    best = fmin(best, times[rounds]);
    best_wall = fmin(best_wall, wall);
  }
  qsort(times, (size_t)rounds, sizeof *times, by_size);
  double tokens = (double)m->config->train.batch_tokens, floor_seconds = bench_products_floor(&m->products);
  struct bench_row *row = bench_row_add(bench, "step", BENCH_TOKENS);
  row->model = m->config;
  row->dtype = m->model->dtype;
  row->rate = tokens / best;
  row->seconds = best;
  row->repeats = rounds;
  row->floor_rate = tokens / floor_seconds;
  row->floor_ratio = floor_seconds / bench_profile_best(&m->profile, NULL);
  row->whole_step_floor_ratio = floor_seconds / best;
  row->median_rate = tokens / times[rounds / 2];
  row->wall_rate = tokens / best_wall;
  row->peak_ratio = bench_model_flops(m) / best / bench->peak[row->dtype].flops;
  add_shares(bench, row, &m->profile);
  return true;
}

bool bench_step(struct bench *bench, struct error *error) {
  const struct run_config *models[BENCH_MODELS];
  int count = 0;
  enum dtype dtype;
  bool fine = bench_dtype(bench, &dtype, error) && bench_models(bench, models, &count, error) &&
              bench_peak(bench, dtype, error);
  for (int i = 0; i < count && fine; i++) {
    bench_progress(bench, "step %lld x %lld, %s", (long long)models[i]->model.layers, (long long)models[i]->model.width,
                   models[i]->model.dtype);
    struct bench_model m;
    fine = bench_model_open(&m, bench, models[i], error) && step_rounds(&m, error);
    bench_model_close(&m);
  }
  return fine;
}
