// What a training step costs with a format: the same model with and without it, steps in turns.
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

static bool format_rounds(struct bench_model *plain, const struct run_config *config, struct error *error) {
  struct bench *bench = plain->bench;
  struct bench_budget budget =
      bench->options.quick ? (struct bench_budget){0.2, 2, 100} : (struct bench_budget){8, 4, 100};
  struct bench_model m;
  double best = INFINITY, plain_best = INFINITY;
  int rounds = 0;
  bool fine = bench_model_open(&m, bench, config, error);
  for (double began = bench_now(bench); fine && bench_again(&budget, rounds, bench_now(bench) - began); rounds++) {
    double seconds, plain_seconds;
    fine = bench_model_step(plain, &plain_seconds, NULL, error) && bench_model_step(&m, &seconds, NULL, error);
    if (!fine) break;
    best = fmin(best, seconds);
    plain_best = fmin(plain_best, plain_seconds);
  }
  if (fine) {
    struct bench_row *row = bench_row_add(bench, "step", BENCH_TOKENS);
    row->model = config;
    row->format = config->format;
    row->dtype = m.model->dtype;
    row->rate = (double)config->train.batch_tokens / best;
    row->seconds = best;
    row->time_ratio = best / plain_best;
    row->repeats = rounds;
  }
  bench_model_close(&m);
  return fine;
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
    fine = format_rounds(&plain, configs[i], error);
  }
  bench_model_close(&plain);
  return fine;
}
