// See elsa.h.
#include "trainer/stages/elsa.h"

#include <math.h>
#include <string.h>

#include "trainer/formats.h"
#include "trainer/layout.h"
#include "trainer/stages/admm.h"
#include "trainer/stages/compress.h"
#include "trainer/stages/tune.h"

bool compress_stage_trains(const struct run_config *config) {
  const struct compress_method *method = compress_method_find(config->compress.method, NULL);
  return method && method->trains;
}

// ---- the training that it is ----

// As a further training of so many steps, after what the model has been through before.
static void as_tuning(struct run_config *config) {
  struct run_config plain;
  config_default(&plain);
  config->tune = plain.tune;
  config->tune.steps = config->compress.steps;
  config->tune.lr = config->compress.lr;
  config->tune.format = "none";
  config->compress = plain.compress;
}

// In full precision: where the model does something to its activations there is another training to be made.
static bool check_format(const struct run_config *config, struct arena *arena, struct error *error) {
  struct run_config before = *config, plain;
  config_default(&plain);
  before.compress = plain.compress;
  if (tune_stage_is_after_compress(config)) before.tune = plain.tune;
  if (!stage_model_config(&before, arena, error)) return false;
  if (!before.parsed_format && !config_parse_format(&before, arena, error)) return false;
  const char *left = format_after_weights(before.parsed_format, arena);
  return strcmp(left, "none") == 0 ||
         error_set(error, EXIT_USAGE_ERROR,
                   "elsa trains in full precision, and the model's format %s represents activations: train it without",
                   before.format) ||
         error_about(error, "compress.method", NULL);
}

// Errors of a further training are about its own fields.
static bool about_compress(struct error *error) {
  static const char *const names[][2] = {{"tune.steps", "compress.steps"}, {"tune.lr", "compress.lr"}};
  for (char *at = strstr(error->text, "tune."); at; at = strstr(at, "tune.")) {
    size_t rest = strlen(at + 5);
    if ((size_t)(at - error->text) + 9 + rest >= sizeof error->text) break;
    memmove(at + 9, at + 5, rest + 1);
    memcpy(at, "compress.", 9);
    at += 9;
  }
  for (size_t i = 0; i < sizeof error->about / sizeof *error->about && error->about[i]; i++)
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
      if (strcmp(error->about[i], names[n][0]) == 0) error->about[i] = names[n][1];
  return false;
}

bool elsa_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                  struct error *error) {
  if (config->compress.steps == AUTO_INTEGER)
    return error_set(error, EXIT_USAGE_ERROR, "compress.steps is needed: elsa trains the model on") ||
           error_about(error, "compress.method", NULL);
  struct run_config tuned = *config;
  as_tuning(&tuned);
  if (!check_format(config, arena, error)) return false;
  if (!tune_stage_resolve(&tuned, facts, arena, error)) return about_compress(error);
  config->compress.lr = tuned.tune.lr;
  if (strcmp(config->train.master_weights, "float32") != 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "elsa trains float32 master weights, and the training had train.master_weights %s",
                     config->train.master_weights) ||
           error_about(error, "compress.method", NULL);
  bool moments = strcmp(config->train.optimizer, "adamw") == 0 && strcmp(config->train.optimizer_state, "float32") == 0;
  if (strcmp(config->compress.projection, "second_moment") == 0 && !moments)
    return error_set(error, EXIT_USAGE_ERROR,
                     "compress.projection second_moment takes AdamW's second moments in float32: the training had %s, "
                     "its state in %s",
                     config->train.optimizer, config->train.optimizer_state) ||
           error_about(error, "compress.projection", NULL);
  return true;
}

void compress_stage_training(struct run_config *config) {
  if (!compress_stage_trains(config)) return;
  struct arena arena = {0};
  struct corpus_facts unknown = {0};
  struct error known = {0};  // that it resolves was seen before
  struct run_config tuned = *config;
  as_tuning(&tuned);
  if (tune_stage_resolve(&tuned, &unknown, &arena, &known)) {
    tune_stage_training(&tuned);
    config->train = tuned.train;
    config->seed = tuned.seed;
  }
  config->format = "none";
  config->parsed_format = NULL;
  config->from.path = config->from.digest = "";
  config->format_begins = 0;
  arena_free(&arena);
}

// ---- at work ----

// The model in training, with the parent's values.
static bool open_model(struct stage_work *work, const struct run_config *training, const struct model_values *values,
                       struct error *error) {
  struct training *t = &work->run;
  t->model = model_create(t->ops, t->device, training, MODEL_TRAIN, error);
  if (!t->model) return false;
  t->batch = batch_memory(layout_host_tokens(training, MODEL_TRAIN));
  model_initialise(t->model, (uint64_t)training->seed);
  if (!values_write_known(values, t->model, error)) return false;
  model_prepare(t->model, 0);
  return true;
}

static bool go_over(struct stage_work *work, struct admm *admm, struct error *error) {
  struct training *t = &work->run;
  while (t->done.step < t->steps) {
    work->stopped = work->stop_asked && *work->stop_asked;
    if (work->stopped || !training_step(t, error) || !admm_after_step(admm, t->done.step, error)) return false;
    bool log = t->done.step == 1 || t->done.step % t->file.config.train.log_steps == 0 || t->done.step == t->steps;
    if ((log || t->pending_count == MODEL_LOSS_SLOTS) && training_drain(t, error) != GO_ON) return false;
    if (log && !report_step(t, error)) return false;
  }
  return true;
}

// What was trained, with the sparse matrices in place of the blocks' own.
static bool take(struct model *model, const struct admm *admm, struct model_values *after, struct error *error) {
  struct model_values trained;
  bool fine = values_read(&trained, model, error);
  if (fine) {
    const struct parameter_table *table = &trained.table;
    memcpy(trained.values + table->norms_end, admm_sparse(admm),
           (size_t)(table->matrices_end - table->norms_end) * sizeof *trained.values);
    for (int i = 0; i < after->table.tensor_count; i++) {
      const struct parameter_tensor *to = &after->table.tensors[i], *from = values_find(&trained, to->name);
      if (from) memcpy(after->values + to->offset, trained.values + from->offset, (size_t)to->count * sizeof(float));
    }
  }
  values_free(&trained);
  return fine;
}

bool elsa_train(struct stage_work *work, const struct compress_settings *settings, struct model_values *after,
                struct error *error) {
  struct training *t = &work->run;
  const struct run_config run = t->file.config;
  struct run_config training = run;
  compress_stage_training(&training);
  training.stage = TUNE_STAGE;  // the order of a further training's data
  if (!config_parse_format(&training, &t->arena, error)) return false;
  t->file.config = training;
  t->steps = training.train.steps;
  struct admm *admm = NULL;
  bool fine = open_model(work, &training, after, error) && (admm = admm_make(t->model, settings, t->steps, error)) &&
              go_over(work, admm, error) && take(t->model, admm, after, error);
  admm_free(admm);
  model_free(t->model);
  batch_free(&t->batch);
  t->model = NULL;
  t->done = (struct checkpoint_state){0};
  t->file.config = run;
  return fine;
}
