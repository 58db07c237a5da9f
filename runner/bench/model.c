// See model.h.
#include "runner/bench/model.h"

#include <math.h>
#include <stdlib.h>

bool bench_model_open(struct bench_model *m, struct bench *bench, const struct run_config *config,
                      struct error *error) {
  *m = (struct bench_model){.bench = bench, .config = config};
  bench_profile_open(&m->profile, bench);
  m->model = model_create(&m->profile.ops, bench_profile_device(&m->profile), config, MODEL_TRAIN, error);
  if (!m->model) return false;
  model_initialise(m->model, 0);
  int64_t rows = config->train.batch_tokens;
  m->tokens = memory_get((size_t)rows * 2 * sizeof *m->tokens);
  for (int64_t i = 0; i < 2 * rows; i++)
    m->tokens[i] = (int32_t)((uint64_t)(i + 1) * 2654435761u % (uint64_t)config->model.vocabulary);
  if (!bench_model_step(m, NULL, NULL, error)) return false;
  m->profile.count = 0;  // what the first step took is forgotten
  return bench_products_of_step(bench, config, &m->products, error) && bench_products_time(&m->products, error);
}

void bench_model_close(struct bench_model *m) {
  model_free(m->model);
  if (m->products.bench) bench_products_close(&m->products);
  bench_profile_close(&m->profile);
  free(m->tokens);
  *m = (struct bench_model){0};
}

bool bench_model_step(struct bench_model *m, double *seconds, double *wall, struct error *error) {
  int64_t rows = m->config->train.batch_tokens;
  struct token_batch batch = {.rows = rows, .tokens = m->tokens, .targets = m->tokens + rows};
  struct loss_sum sum;
  double squares;
  bench_profile_begin(&m->profile);
  double start = bench_now(m->bench), wall_start = clock_seconds();
  model_step(m->model, &batch, rows, 1e-4, m->steps++, 0);
  bool fine = model_results(m->model, 1, &sum, &squares, error);
  if (seconds) *seconds = bench_now(m->bench) - start;
  if (wall) *wall = clock_seconds() - wall_start;
  if (fine && !isfinite(sum.nats))
    return error_set(error, EXIT_ENVIRONMENT, "bench: the loss of training on noise is not finite");
  return fine;
}

double bench_model_flops(const struct bench_model *m) {
  struct corpus_facts facts = {0};
  return config_quantities(m->config, &facts).flops_per_token * (double)m->config->train.batch_tokens;
}
