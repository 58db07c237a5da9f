// What a training step costs with a format, or with another optimizer: the same model with and without it, steps in
// turns.
#include <math.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "runner/bench/model.h"

// What `isoloss bench formats` measures when none are named: one of every kind of work.
static const char *const usual[] = {"w4a4",      "w8a8",        "w4",       "lsq-w4a4", "ste-w4a4",
                                    "2:4",       "sparse(0.5)", "2:4+int4", "mxfp4",    "quest-mxfp4",
                                    "fp8-mixed", "halo2-int8",  "quartet",  NULL};

static const struct run_config *with_format(struct bench *bench, const struct run_config *plain, const char *text,
                                            struct error *error) {
  struct run_config *config = arena_alloc(&bench->arena, sizeof *config);
  *config = *plain;
  config->format = text;
  config->train.tokens = AUTO_INTEGER;  // resolved once more, from the steps
  config->train.tokens_per_parameter = NAN;
  if (!config_parse_format(config, &bench->arena, error)) return NULL;
  struct corpus_facts facts = {0};
  if (config_resolve(config, &facts, plain->model.dtype, error)) return config;
  error_context(error, "bench: %s", text);
  return NULL;
}

// Steps of which one is like another only together: of an optimizer that does part of its work at every so many.
static int64_t period_of(const struct run_config *config) {
  return config->train.basis_steps > 1 ? config->train.basis_steps : 1;
}

// The mean time of a step over a period.
static bool period_time(struct bench_model *m, double *seconds, struct error *error) {
  const int64_t period = period_of(m->config);
  double all = 0;
  for (int64_t i = 0; i < period; i++) {
    if (!bench_model_step(m, seconds, NULL, error)) return false;
    all += *seconds;
  }
  *seconds = all / (double)period;
  return true;
}

// Adds the row of `config` next to the open model `plain`; NULL with an error.
static struct bench_row *rounds_of(struct bench_model *plain, const struct run_config *config, struct error *error) {
  struct bench *bench = plain->bench;
  const bool periodic = period_of(config) > 1;
  struct bench_budget budget =
      bench->options.quick ? (struct bench_budget){0.2, 2, 100} : (struct bench_budget){8, periodic ? 2 : 4, 100};
  struct bench_model m;
  struct bench_row *row = NULL;
  double best = INFINITY, plain_best = INFINITY, ignored;
  int rounds = 0;
  // What begins does more than later steps do.
  bool fine = bench_model_open(&m, bench, config, error) && (!periodic || period_time(&m, &ignored, error));
  for (double began = bench_now(bench); fine && bench_again(&budget, rounds, bench_now(bench) - began); rounds++) {
    double seconds, plain_seconds;
    fine = period_time(plain, &plain_seconds, error) && period_time(&m, &seconds, error);
    if (!fine) break;
    best = fmin(best, seconds);
    plain_best = fmin(plain_best, plain_seconds);
  }
  if (fine) {
    row = bench_row_add(bench, "step", BENCH_TOKENS);
    row->model = config;
    row->dtype = m.model->dtype;
    row->rate = (double)config->train.batch_tokens / best;
    row->seconds = best;
    row->time_ratio = best / plain_best;
    row->repeats = rounds;
  }
  bench_model_close(&m);
  return row;
}

bool bench_formats(struct bench *bench, const char *const *formats, int count, struct error *error) {
  const struct run_config *models[BENCH_MODELS];
  int model_count;
  if (count == 0) {
    formats = usual;
    while (usual[count]) count++;
  }
  if (!bench_models(bench, models, &model_count, error)) return false;
  const struct run_config *plain_config = models[model_count - 1];  // of a ladder, the largest
  const struct run_config **configs = arena_array(&bench->arena, (size_t)count, sizeof configs[0]);
  for (int i = 0; i < count; i++)
    if (!(configs[i] = with_format(bench, plain_config, formats[i], error))) return false;
  struct bench_model plain;
  bool fine = bench_model_open(&plain, bench, plain_config, error);
  for (int i = 0; i < count && fine; i++) {
    bench_progress(bench, "%s, %lld x %lld, %s", formats[i], (long long)plain_config->model.layers,
                   (long long)plain_config->model.width, plain_config->model.dtype);
    struct bench_row *row = rounds_of(&plain, configs[i], error);
    fine = row != NULL;
    if (fine) row->format = configs[i]->format;
  }
  bench_model_close(&plain);
  return fine;
}

// The model with each of the optimizers of `list`, names with commas between.
static const struct run_config **with_optimizers(struct bench *bench, const char *list, int *count,
                                                 struct error *error) {
  const struct run_config *models[BENCH_MODELS], **configs = NULL;
  char *names = arena_string(&bench->arena, list);
  *count = 0;
  for (char *name = names; name;) {
    char *comma = strchr(name, ',');
    if (comma) *comma = '\0';
    int model_count;
    bench->options.optimizer = name;
    const bool fine = bench_models(bench, models, &model_count, error);
    bench->options.optimizer = list;
    if (!fine) return NULL;
    configs = arena_grow(&bench->arena, configs, (size_t)*count, (size_t)*count + 1, sizeof *configs);
    configs[(*count)++] = models[model_count - 1];  // of a ladder, the largest
    name = comma ? comma + 1 : NULL;
  }
  return configs;
}

bool bench_optimizers(struct bench *bench, struct error *error) {
  int count;
  const struct run_config **configs = with_optimizers(bench, bench->options.optimizer, &count, error);
  struct bench_model first = {0};
  bool fine = configs && bench_model_open(&first, bench, configs[0], error);
  for (int i = 1; i < count && fine; i++) {
    const struct run_config *c = configs[i];
    bench_progress(bench, "%s next to %s, %lld x %lld, %s", c->train.optimizer, configs[0]->train.optimizer,
                   (long long)c->model.layers, (long long)c->model.width, c->model.dtype);
    struct bench_row *row = rounds_of(&first, c, error);
    fine = row != NULL;
    if (fine) row->against = configs[0]->train.optimizer;
  }
  bench_model_close(&first);
  return fine;
}
