// A run of task `level_switch`.
#include <math.h>
#include <stdlib.h>

#include "trainer/compress/search.h"
#include "trainer/tasks/level_switch/level_switch.h"
#include "trainer/tasks/program.h"

enum { RANDOM_STREAM_COSTS = 32 };  // of this task's seed; step = repeat
static const double nearly = 1e-12;

struct costs {
  int64_t layers;
  double *of;  // [layers]
};

static bool worth_of(void *context, const int *choice, const struct search_round *round, double *worth,
                     struct error *error) {
  const struct costs *costs = context;
  (void)round, (void)error;
  *worth = 0;
  for (int64_t l = 0; l < costs->layers; l++) *worth += choice[l] ? 0 : costs->of[l];
  return true;
}

static int rising(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// The least that `dropped` layers can cost.
static double least_of(struct task_run *run, const struct costs *costs, int64_t dropped) {
  double *sorted = arena_array(&run->arena, (size_t)costs->layers, sizeof *sorted), least = 0;
  for (int64_t l = 0; l < costs->layers; l++) sorted[l] = costs->of[l];
  qsort(sorted, (size_t)costs->layers, sizeof *sorted, rising);
  for (int64_t l = 0; l < dropped; l++) least += sorted[l];
  return least;
}

// Costs of one repeat: the first ones are the best to drop.
static void draw(const struct task_run *run, const struct level_switch *s, int64_t repeat, struct costs *costs) {
  for (int64_t l = 0; l < s->layers; l++)
    costs->of[l] = *s->costs == 'e' ? (double)(l >= s->dropped)
                                    : random_uniform(run->seed, RANDOM_STREAM_COSTS, (uint64_t)repeat, (uint64_t)l);
}

// Generations until the best is found, from the choice that drops the last layers; -1: not within the most, or stopped.
static int64_t search_once(struct task_run *run, const struct level_switch *s, int64_t repeat, struct costs *costs,
                           struct error *error) {
  const size_t n = (size_t)s->layers;
  const struct search_round round = {1, 1};
  int *levels = arena_array(&run->arena, n, sizeof *levels), *group = arena_array(&run->arena, n, sizeof *group);
  int *choice = arena_array(&run->arena, n, sizeof *choice);
  const struct search_space space = {(int)s->layers, levels, group};
  const struct search search = {.space = &space,
                                .offspring = (int)s->offspring,
                                .rounds = &round,
                                .round_count = 1,
                                .seed = hash64(&repeat, sizeof repeat, run->seed),
                                .worth = worth_of,
                                .context = costs};
  double worth = NAN;
  int64_t asked = 0, generation = 0;
  draw(run, s, repeat, costs);
  const double least = least_of(run, costs, s->dropped);
  for (int64_t l = 0; l < s->layers; l++) {
    levels[l] = 2;
    group[l] = 0;
    choice[l] = l < s->layers - s->dropped;
  }
  while (!(worth <= least + nearly)) {
    if (generation == s->most_generations || (generation % 64 == 0 && task_stopped(run)) ||
        !search_generation(&search, generation, choice, &worth, &asked, error))
      return -1;
    generation++;
  }
  return generation;
}

bool level_switch_work(struct task_run *run, struct error *error) {
  const struct level_switch *s = run->settings;
  struct costs costs = {s->layers, arena_array(&run->arena, (size_t)s->layers, sizeof(double))};
  double sum = 0;
  for (int64_t repeat = 0; repeat < s->repeats; repeat++) {
    int64_t generations = search_once(run, s, repeat, &costs, error);
    if (error->code || task_stopped(run)) return false;
    if (generations < 0) return true;  // there is no mean
    sum += (double)generations;
    if (!task_point(run, repeat + 1, NAN, sum / (double)(repeat + 1), error)) return false;
  }
  const double mean = sum / (double)s->repeats, k = (double)s->dropped, n = (double)s->layers;
  task_report(run, "generations", mean);
  task_report(run, "ratio", mean * (double)s->offspring / (k * (n - k)));
  return true;
}
