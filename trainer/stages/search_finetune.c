// See search_finetune.h.
#include "trainer/stages/search_finetune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/layout.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/stages/tune.h"

struct finetuning {
  struct stage_work *work;
  struct training training;  // as the run's, with a configuration, a model and a batch of its own
};

int64_t finetune_steps(const struct run_config *c, double tokens) {
  if (tokens <= 0) return 0;
  int64_t steps = llround(tokens / (double)c->train.batch_tokens);
  return steps < 1 ? 1 : steps;
}

// As a further training of so many steps. Steps beyond those are never taken.
static void as_tuning(struct run_config *config) {
  struct run_config plain;
  config_default(&plain);
  config->tune = plain.tune;
  config->tune.steps = finetune_steps(config, (double)config->search.finetune_tokens);
  config->tune.lr = config->search.finetune_lr;
  config->tune.schedule = "constant";
  config->tune.warmup_steps = 0;
  config->tune.format = "none";
  config->tune.seed = config->search.seed;
}

// Errors of a further training are about its own fields.
static bool about_search(struct error *error) {
  for (size_t i = 0; i < sizeof error->about / sizeof *error->about && error->about[i]; i++)
    if (strncmp(error->about[i], "tune.", 5) == 0)
      error->about[i] = strcmp(error->about[i], "tune.lr") == 0 ? "search.finetune_lr" : "search.finetune_tokens";
  return error_context(error, "training candidates (search.finetune_tokens)");
}

bool finetune_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                      struct error *error) {
  struct run_config tuned = *config;
  if (optimizer_of(config)->by_matrix)
    return error_set(error, EXIT_USAGE_ERROR,
                     "search.finetune_tokens: the optimizer %s moves every weight of a matrix, also those of heads and "
                     "columns that are gone: that goes with adamw, sgd and lion",
                     optimizer_of(config)->name) ||
           error_about(error, "search.finetune_tokens", NULL);
  if (*config->from.path && isnan(config->search.finetune_lr))
    return error_set(error, EXIT_USAGE_ERROR, "search.finetune_lr is needed: the rate of the training is not known") ||
           error_about(error, "search.finetune_tokens", NULL);
  as_tuning(&tuned);
  if (!tune_stage_resolve(&tuned, facts, arena, error)) return about_search(error);
  config->search.finetune_lr = tuned.tune.lr;
  return true;
}

struct finetuning *finetune_make(struct stage_work *work, struct error *error) {
  struct finetuning *f = memory_get(sizeof *f);
  struct corpus_facts unknown = {0};
  *f = (struct finetuning){work, work->run};
  struct training *t = &f->training;
  struct run_config config = work->run.file.config;
  as_tuning(&config);
  if (!tune_stage_resolve(&config, &unknown, &work->run.arena, error)) {
    free(f);
    return NULL;
  }
  tune_stage_training(&config);
  config.stage = TUNE_STAGE;  // the order of a further training's data
  config.format = "none";
  config.parsed_format = NULL;
  config.metrics.every = 0;
  t->file.config = config;
  t->steps = config.train.steps;
  t->model = model_create(t->ops, t->device, &config, MODEL_TRAIN, error);
  if (!t->model) {
    free(f);
    return NULL;
  }
  t->batch = batch_memory(layout_host_tokens(&config, MODEL_TRAIN));
  return f;
}

static bool drain(struct training *t, bool *finite, struct error *error) {
  struct loss_sum sums[MODEL_LOSS_SLOTS];
  double squares[MODEL_LOSS_SLOTS];
  if (!model_results(t->model, t->pending_count, sums, squares, error)) return false;
  for (int i = 0; i < t->pending_count; i++) *finite &= isfinite(sums[i].nats) && isfinite(squares[i]);
  t->pending_count = 0;
  return true;
}

bool finetune_run(struct finetuning *f, struct model_values *values, int64_t steps, bool *finite, struct error *error) {
  struct training *t = &f->training;
  struct model_values trained = {0};
  t->ops->set_workspace(t->device, t->model->workspace, (size_t)t->model->memory.workspace);
  model_initialise(t->model, (uint64_t)t->file.config.seed);  // moments are 0
  if (!values_write_known(values, t->model, error)) return false;
  model_prepare(t->model, 0);
  t->done = (struct checkpoint_state){0};
  t->pending_count = 0;
  *finite = true;
  while (t->done.step < steps && *finite) {
    f->work->stopped = f->work->stop_asked && *f->work->stop_asked;
    if (f->work->stopped || !training_step(t, error)) return false;
    if ((t->pending_count == MODEL_LOSS_SLOTS || t->done.step == steps) && !drain(t, finite, error)) return false;
  }
  bool fine = values_read(&trained, t->model, error);
  for (int i = 0; i < values->table.tensor_count && fine; i++) {
    const struct parameter_tensor *to = &values->table.tensors[i], *from = values_find(&trained, to->name);
    if (from) memcpy(values->values + to->offset, trained.values + from->offset, (size_t)to->count * sizeof(float));
  }
  values_free(&trained);
  return fine;
}

void finetune_free(struct finetuning *f) {
  if (!f) return;
  model_free(f->training.model);
  batch_free(&f->training.batch);
  free(f);
}
