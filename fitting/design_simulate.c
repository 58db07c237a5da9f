// Simulated fits: losses drawn about the truth, the real fit made on them, what it says compared with the truth.
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/design_internal.h"

enum { DEFAULT_STARTS = 200, DEFAULT_BOOTSTRAP = 100 };

struct simulation {
  struct design *design;
  struct table *tables;    // [threads]: the design's, with a target column of their own
  int target;              // its number
  size_t count;            // quantities
  double *estimate;        // [repeats][count]
  unsigned char *covered;  // [repeats][count]: 1: the 90 % interval holds the truth, 2: the 95 % one
  unsigned char *status;   // [repeats][count]: 1: not identified, 2: at a bound
  bool *done;              // [repeats]: the fit gave a result
  int bootstrap;
  pthread_mutex_t lock;
  int finished, failed;
  bool stop;
  struct error first_error;
};

static void draw(const struct simulation *simulation, size_t repeat, double *losses) {
  const struct design *design = simulation->design;
  for (size_t row = 0; row < design->table->row_count; row++) {
    double normal[2];
    random_normal_pair(design->options->seed, RANDOM_STREAM_SEED_NOISE, repeat, row, normal);
    double noise = design->noise[row] * normal[0], loss = design->predicted[row];
    losses[row] = design->fit.residual == RESIDUAL_LOG ? loss * exp(noise) : loss + noise;
  }
}

static bool holds(const double *replicates, size_t count, size_t stride, double confidence, double truth) {
  double low, high, se;
  struct intervals both;
  interval_of((struct replicates){.values = replicates, .count = count, .stride = stride}, truth, confidence,
              INTERVAL_PERCENTILE, &both, &low, &high, &se);
  return truth >= low && truth <= high;
}

static void keep(struct simulation *simulation, size_t repeat, const struct fit_result *result) {
  const struct design *design = simulation->design;
  size_t count = simulation->count, coefficients = (size_t)design->count, n = result->coefficient_count;
  for (size_t q = 0; q < count; q++) {
    double truth = design->result->quantities[q].truth;
    const double *replicates = NULL;
    size_t stride = 0;
    if (q < coefficients) {
      const struct coefficient *coefficient = &result->coefficients[design->element[q]];
      simulation->estimate[repeat * count + q] = coefficient->value;
      if (coefficient->status == COEFFICIENT_UNIDENTIFIED) simulation->status[repeat * count + q] = 1;
      if (coefficient->status == COEFFICIENT_AT_LOW || coefficient->status == COEFFICIENT_AT_HIGH)
        simulation->status[repeat * count + q] = 2;
      if (result->replicates) replicates = result->replicates + design->element[q];
      stride = n;
    } else {
      simulation->estimate[repeat * count + q] = result->derived[q - coefficients].value;
      if (result->derived_replicates) replicates = result->derived_replicates + (q - coefficients);
      stride = result->derived_count;
    }
    if (!replicates || !simulation->bootstrap) continue;
    if (holds(replicates, (size_t)result->bootstrap, stride, 0.9, truth)) simulation->covered[repeat * count + q] |= 1;
    if (holds(replicates, (size_t)result->bootstrap, stride, 0.95, truth)) simulation->covered[repeat * count + q] |= 2;
  }
}

static void simulate_one(void *context, size_t repeat, int thread) {
  struct simulation *simulation = context;
  const struct design *design = simulation->design;
  const struct design_options *options = design->options;
  pthread_mutex_lock(&simulation->lock);
  bool stop = simulation->stop;
  pthread_mutex_unlock(&simulation->lock);
  if (stop) return;
  struct table *table = &simulation->tables[thread];
  struct fit_options fit = *design->fit_options;
  fit.bootstrap = simulation->bootstrap;
  fit.starts = options->starts > 0 ? options->starts : DEFAULT_STARTS;
  fit.threads = 1;
  fit.bare = true;
  if (!fit.group) fit.group = "none";  // drawn errors are independent
  fit.interval = INTERVAL_PERCENTILE;
  fit.seed = options->seed + repeat;
  struct fit_result result;
  struct error error = {0};
  draw(simulation, repeat, table->columns[simulation->target].numbers);
  bool fine = fit_run(design->law, table, &fit, &result, &error) &&
              result.coefficient_count == (size_t)design->fit.element_count &&
              result.derived_count + (size_t)design->count == simulation->count;
  if (fine) keep(simulation, repeat, &result);
  fit_result_free(&result);
  pthread_mutex_lock(&simulation->lock);
  simulation->done[repeat] = fine;
  simulation->finished++;
  if (!fine && !simulation->failed++) simulation->first_error = error;
  if (options->progress && !options->progress(options->context, simulation->finished, options->repeats))
    simulation->stop = true;
  pthread_mutex_unlock(&simulation->lock);
}

static void summarise(const struct simulation *simulation) {
  const struct design *design = simulation->design;
  struct design_result *result = design->result;
  size_t repeats = (size_t)design->options->repeats;
  double *values = memory_get((repeats + 1) * sizeof *values);
  for (size_t q = 0; q < simulation->count; q++) {
    struct design_quantity *quantity = &result->quantities[q];
    double mean = 0, squares = 0, covered90 = 0, covered95 = 0, unidentified = 0, at_bound = 0;
    size_t n = 0;
    for (size_t r = 0; r < repeats; r++) {
      size_t at = r * simulation->count + q;
      if (!simulation->done[r] || !isfinite(simulation->estimate[at])) continue;
      values[n++] = simulation->estimate[at];
      covered90 += (simulation->covered[at] & 1) != 0;
      covered95 += (simulation->covered[at] & 2) != 0;
      unidentified += simulation->status[at] == 1;
      at_bound += simulation->status[at] == 2;
    }
    if (n < 2) continue;
    for (size_t i = 0; i < n; i++) mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    qsort(values, n, sizeof *values, compare_numbers);
    quantity->mean = mean;
    quantity->bias = mean - quantity->truth;
    quantity->sd = sqrt(squares / (double)(n - 1));
    quantity->low90 = quantile(values, n, 0.05);
    quantity->high90 = quantile(values, n, 0.95);
    quantity->low95 = quantile(values, n, 0.025);
    quantity->high95 = quantile(values, n, 0.975);
    quantity->relative_width = (quantity->high95 - quantity->low95) / fabs(quantity->truth);
    quantity->not_identified = unidentified / (double)n;
    quantity->at_bound = at_bound / (double)n;
    if (!simulation->bootstrap) continue;
    quantity->coverage90 = covered90 / (double)n;
    quantity->coverage95 = covered95 / (double)n;
  }
  free(values);
}

bool design_simulate(struct design *design, struct error *error) {
  const struct table *table = design->table;
  struct arena *arena = &design->arena;
  size_t repeats = (size_t)design->options->repeats;
  int threads = threads_wanted(design->options->threads);
  struct simulation simulation = {.design = design,
                                  .count = design->result->quantity_count,
                                  .target = table_find(table, design->law->target),
                                  .bootstrap = design->options->bootstrap};
  if (simulation.bootstrap < 0) simulation.bootstrap = DEFAULT_BOOTSTRAP;
  simulation.estimate = arena_array(arena, repeats * simulation.count + 1, sizeof *simulation.estimate);
  simulation.covered = arena_array(arena, repeats * simulation.count + 1, 1);
  simulation.status = arena_array(arena, repeats * simulation.count + 1, 1);
  simulation.done = arena_array(arena, repeats + 1, sizeof *simulation.done);
  simulation.tables = arena_array(arena, (size_t)threads, sizeof *simulation.tables);
  for (int t = 0; t < threads; t++) {
    struct table *own = &simulation.tables[t];
    *own = *table;
    own->columns = arena_array(arena, table->column_count, sizeof *own->columns);
    memcpy(own->columns, table->columns, table->column_count * sizeof *own->columns);
    own->columns[simulation.target].numbers = arena_array(arena, table->row_count + 1, sizeof(double));
  }
  pthread_mutex_init(&simulation.lock, NULL);
  threads_each(repeats, threads, simulate_one, &simulation);
  pthread_mutex_destroy(&simulation.lock);
  design->result->repeats = simulation.finished;
  design->result->failed = simulation.failed;
  design->result->interrupted = simulation.stop;
  if (simulation.finished && simulation.failed == simulation.finished) {
    error_take(error, &simulation.first_error);
    return error_context(error, "every simulated fit failed");
  }
  summarise(&simulation);
  return true;
}
