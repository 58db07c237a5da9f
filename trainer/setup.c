// Setting a run up and taking it down; see training.h.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"
#include "trainer/data/tokenizer.h"
#include "trainer/layout.h"
#include "trainer/schedule.h"
#include "trainer/stages/work.h"
#include "trainer/tasks/task.h"
#include "trainer/training.h"

double training_seconds(const struct training *t) { return clock_seconds() - t->clock_start; }

double training_train_seconds(const struct training *t) { return training_seconds(t) - t->seconds_outside; }

// What follows from a run file that config_resolve has not seen: another program may have written it.
static bool check_config(const struct training *t, struct error *error) {
  const struct run_config *c = &t->file.config;
  struct run_config again = *c;
  struct corpus_facts facts = {0};
  // Steps and tokens both stand in a resolved configuration; resolving takes one of them.
  again.train.tokens = AUTO_INTEGER;
  again.train.tokens_per_parameter = NAN;
  if (c->model.heads == AUTO_INTEGER || c->model.kv_heads == AUTO_INTEGER || c->model.head_dim == AUTO_INTEGER ||
      c->model.mlp_width == AUTO_INTEGER || c->model.vocabulary == AUTO_INTEGER || strcmp(c->model.dtype, "auto") == 0)
    return error_set(error, EXIT_USAGE_ERROR, "the configuration is not resolved: a field that decides shapes is auto");
  // A model that was trained elsewhere: nothing of it can be trained here.
  bool trained = c->train.steps != AUTO_INTEGER;
  if (!trained) again.train.steps = 1;
  if (!config_resolve(&again, &facts, "float32", error)) return false;
  if (*c->from.path || !trained) return true;
  const char *unresolved = optimizer_unresolved(c);
  if (unresolved)
    return error_set(error, EXIT_USAGE_ERROR, "the configuration is not resolved: %s is auto", unresolved);
  if (again.train.tokens != c->train.tokens)
    return error_set(error, EXIT_USAGE_ERROR, "train.tokens %" PRId64 " is not train.steps * train.batch_tokens",
                     c->train.tokens);
  return true;
}

bool training_open_device(struct training *t, struct error *error) {
  const struct run_config *c = &t->file.config;
  if (task_of(c)) return error_set(error, EXIT_USAGE_ERROR, "a run of task %s has no language model", c->task);
  if (!check_config(t, error)) return false;
  t->corpus = corpus_open(t->file.corpus_path, t->file.corpus_digest, c, error);
  if (!t->corpus || !corpus_check_context(t->corpus, c->model.context, error)) return false;
  if (c->stage && stage_find(c->stage)->training && !stage_open_selection(t, error)) return false;
  t->facts = corpus_facts(t->corpus, c->model.context);
  if (corpus_vocabulary(t->corpus) > c->model.vocabulary)
    return error_set(error, EXIT_USAGE_ERROR, "model.vocabulary %" PRId64 " is smaller than the corpus' %" PRId64,
                     c->model.vocabulary, corpus_vocabulary(t->corpus));
  if (corpus_validation_windows(t->corpus, c->model.context) < 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the validation split holds no window of %" PRId64
                     " tokens: a larger corpus, a larger "
                     "corpus.validation_fraction or a smaller model.context is needed",
                     c->model.context);
  return trainer_has_libraries(c, error) &&
         trainer_device_open(c->model.device, c->train.threads, &t->ops, &t->device, error);
}

void training_name_origin(struct training *t) {
  const struct tokenizer *tokenizer = corpus_tokenizer(t->corpus);
  t->model->origin.run = t->file.id;
  if (tokenizer && tokenizer->end_token != TOKENIZER_NO_END) t->model->origin.end_token = (int64_t)tokenizer->end_token;
}

bool training_open_model(struct training *t, enum model_use use, struct error *error) {
  const struct run_config *c = &t->file.config;
  // A later stage's checkpoint holds another model than the training's.
  if (c->stage && !stage_model_config(&t->file.config, &t->arena, error)) return false;
  if (!training_open_device(t, error)) return false;
  enum dtype dtype;
  // Before the model takes the memory.
  if (use == MODEL_TRAIN && t->ops->product_peak && dtype_find(c->model.dtype, &dtype)) {
    double peak = t->ops->product_peak(t->device, dtype);
    t->product_peak = isfinite(peak) ? peak : 0;
  }
  t->model = model_create(t->ops, t->device, c, use, error);
  if (!t->model) return false;
  training_name_origin(t);
  if (use == MODEL_TRAIN && t->model->dtype == DTYPE_BFLOAT16 && !t->ops->dtype_fast(t->device, DTYPE_BFLOAT16))
    notice_print("isoloss-train",
                 "model.dtype bfloat16: this CPU has no fast products for it; float32 takes less time");
  t->batch = batch_memory(layout_host_tokens(c, use));
  return true;
}

// The newest checkpoint that is whole, of this configuration, and reached by the log; else initial weights.
static bool find_start(struct training *t, struct error *error) {
  int64_t *steps;
  int count;
  if (!checkpoint_clean(t->run_folder, error) || !checkpoint_list(&t->arena, t->run_folder, &steps, &count, error))
    return false;
  for (int i = 0; i < count; i++) {
    char *folder = path_join(&t->arena, t->run_folder, checkpoint_name(&t->arena, steps[i]));
    struct checkpoint_state state;
    struct error why = {0};
    if (!checkpoint_load(t->model, folder, &t->identity, &state, &why)) {
      notice_print("isoloss-train", "checkpoint not used: %s", why.text);
    } else if (!event_log_reaches(&t->log, state.log_size)) {
      notice_print("isoloss-train", "checkpoint not used: %s: the event log is not the one it was written with",
                   folder);
    } else {
      t->done = state;
      t->checkpointed = t->resumed_from = state.step;
      return true;
    }
    if (!t->ops->synchronize(t->device, error)) return false;
  }
  if (t->file.trunk[0]) {
    if (trunk_begin(t, error)) return true;
    if (error->code || !t->ops->synchronize(t->device, error)) return false;
  }
  if (count > 0) notice_print("isoloss-train", "no checkpoint can be used: training from the start");
  if (!model_take_phase(t->model, 0, error)) return false;
  if (!*t->file.parent)
    model_initialise(t->model, (uint64_t)t->file.config.seed);
  else if (!stage_begin_training(t, error))
    return false;
  t->done = (struct checkpoint_state){.config = t->identity};
  return t->ops->synchronize(t->device, error);
}

bool training_open_log(struct training *t, const char *config_path, bool *finished, struct error *error) {
  *finished = false;
  if (!run_file_read(&t->arena, config_path, &t->file, error)) return false;
  const char *slash = strrchr(config_path, '/');
  t->run_folder = slash ? arena_copy(&t->arena, config_path, (size_t)(slash - config_path + 1)) : ".";
  if (!event_log_open(&t->log, &t->arena, path_join(&t->arena, t->run_folder, "events.jsonl"), error)) return false;
  const char *last = event_log_last(&t->log, &t->arena, error);
  if (!last) return false;
  *finished = strcmp(last, "done") == 0 || strcmp(last, "diverged") == 0;
  return true;
}

bool training_open(struct training *t, const char *config_path, bool *finished, struct error *error) {
  *t = (struct training){.log = {.file = -1}, .oracle_loss = NAN};
  if (!training_open_log(t, config_path, finished, error)) return false;
  if (*finished) return true;
  const struct run_config *c = &t->file.config;
  if (c->stage) stage_find(c->stage)->training(&t->file.config);  // trainer_run has seen that it trains
  if (c->train.steps == AUTO_INTEGER || c->train.warmup_steps == AUTO_INTEGER)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the configuration is not resolved: train.steps or train.warmup_steps is auto");
  t->steps = c->train.steps;
  t->identity = config_identity(c, t->file.corpus_digest, "state", t->file.parent);
  if (!training_open_model(t, MODEL_TRAIN, error)) return false;
  t->evaluations = arena_array(&t->arena, (size_t)c->train.evals + 1, sizeof *t->evaluations);
  t->evaluation_count = schedule_evaluations(t->steps, c->train.evals, t->evaluations);
  trunk_prepare(t);
  if (!find_start(t, error)) return false;
  t->clock_start = clock_seconds() - t->done.seconds;
  t->seconds_outside = t->done.seconds - t->done.train_seconds;
  t->reported_seconds = t->done.train_seconds;
  t->reported_tokens = t->done.tokens;
  if (!event_log_cut(&t->log, t->done.log_size, error)) return false;
  if (t->trunk_step) return event_log_copy(&t->log, &t->trunk_events, error) && report_start(t, error);
  // The log was measured before the checkpoint's own event, which an uninterrupted run has.
  if (t->done.step > 0 && schedule_checkpoint(c, t->steps, t->done.step) && !report_checkpoint(t, error)) return false;
  return report_start(t, error);
}

void training_close(struct training *t) {
  model_free(t->model);
  if (t->device) t->ops->close(t->device);
  corpus_close(t->corpus);
  batch_free(&t->batch);
  text_free(&t->trunk_events);
  event_log_close(&t->log);
  arena_free(&t->arena);
  *t = (struct training){.log = {.file = -1}};
}
