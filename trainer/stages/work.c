// See work.h.
#include "trainer/stages/work.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"
#include "kernels/formats/format.h"
#include "trainer/data/tokenizer.h"
#include "trainer/formats.h"
#include "trainer/stages/select.h"

// ---- what it reads ----

static bool find_source(struct training *t, const char *id, struct stage_source *source, struct error *error) {
  struct arena *arena = &t->arena;
  const char *folder = path_join(arena, path_join(arena, t->run_folder, ".."), id);
  int64_t *steps;
  int count;
  struct error why = {0};
  *source = (struct stage_source){0};
  if (!run_file_read(arena, path_join(arena, folder, "config.json"), &source->file, error))
    return error_context(error, "a run that this one follows");
  if (!checkpoint_list(arena, folder, &steps, &count, error)) return false;
  for (int i = 0; i < count; i++) {
    const char *checkpoint = path_join(arena, folder, checkpoint_name(arena, steps[i]));
    why = (struct error){0};
    if (!checkpoint_verify(checkpoint, &why)) continue;
    source->checkpoint = checkpoint;
    source->step = steps[i];
    return true;
  }
  if (why.code) {
    *error = why;
    return error_context(error, "a run that this one follows");
  }
  return error_set(
      error, EXIT_USAGE_ERROR,
      "run %.8s, which this one follows, has no checkpoint (any more): isoloss run SPEC --again %.8s makes "
      "it anew",
      id, id);
}

bool stage_find_root(struct stage_work *work, struct stage_source *root, struct error *error) {
  *root = work->parent;
  while (*root->file.parent && !stage_begins(stage_find(root->file.config.stage), &root->file.config))
    if (!find_source(&work->run, arena_string(&work->run.arena, root->file.parent), root, error)) return false;
  return true;
}

// The model that a source's checkpoint holds, forward only. NULL on error.
static struct model *open_source(struct training *t, const struct stage_source *source, struct error *error) {
  struct run_config config = source->file.config;
  if (!stage_model_config(&config, &t->arena, error)) return NULL;
  config.model.device = t->file.config.model.device;
  config.train.threads = t->file.config.train.threads;
  struct model *model = model_create(t->ops, t->device, &config, MODEL_EVALUATE, error);
  if (model && checkpoint_load_weights(model, source->checkpoint, NULL, error)) return model;
  model_free(model);
  return NULL;
}

bool stage_masters(struct training *t, const struct stage_source *source, struct model_values *values,
                   struct error *error) {
  *values = (struct model_values){0};
  struct model *model = open_source(t, source, error);
  bool fine = model && values_read(values, model, error);
  model_free(model);
  return fine;
}

static bool represents_weights(const struct format *format) {
  return format && !representation_is_none(&format->operands[OPERAND_WEIGHTS]);
}

bool stage_values(struct stage_work *work, const struct stage_source *source, struct model_values *values,
                  const char **format, struct error *error) {
  struct training *t = &work->run;
  *values = (struct model_values){0};
  struct model *model = open_source(t, source, error);
  bool fine = model != NULL;
  if (fine && represents_weights(model->config.parsed_format)) fine = model_represent(model, source->step, error);
  fine = fine && values_read(values, model, error);
  if (fine && format) *format = format_after_weights(model->config.parsed_format, &t->arena);
  model_free(model);
  return fine;
}

// ---- a training that continues from another run ----

bool stage_corpora_agree(const struct corpus *before, const struct corpus *now, struct error *error) {
  const struct tokenizer *a = corpus_tokenizer(before), *b = corpus_tokenizer(now);
  if (!a != !b)
    return error_set(error, EXIT_USAGE_ERROR, "the model's tokens are %s, this corpus is %s",
                     a ? "of text" : "the symbols of a synthetic source", b ? "text" : "a synthetic source");
  if (!a && corpus_vocabulary(before) != corpus_vocabulary(now))
    return error_set(error, EXIT_USAGE_ERROR, "the model's source has %" PRId64 " symbols, this one %" PRId64,
                     corpus_vocabulary(before), corpus_vocabulary(now));
  if (a && (strcmp(a->digest, b->digest) != 0 || a->vocabulary != b->vocabulary))
    return error_set(error, EXIT_USAGE_ERROR,
                     "the model's tokens are those of another tokenizer (%s of %" PRId64
                     ", digest %.8s) than this "
                     "corpus's (%s of %" PRId64 ", %.8s)",
                     a->name, a->vocabulary, a->digest, b->name, b->vocabulary, b->digest);
  return true;
}

static bool check_tokens(const struct training *t, const struct stage_source *source, struct error *error) {
  if (strcmp(source->file.corpus_digest, t->file.corpus_digest) == 0) return true;
  struct corpus *before =
      corpus_open(source->file.corpus_path, source->file.corpus_digest, &source->file.config, error);
  bool fine = before && stage_corpora_agree(before, t->corpus, error);
  corpus_close(before);
  return fine;
}

bool stage_check_tokens(struct stage_work *work, struct error *error) {
  return check_tokens(&work->run, &work->parent, error);
}

bool stage_begin_training(struct training *t, struct error *error) {
  struct stage_source source;
  struct model_values values;
  if (!find_source(t, t->file.parent, &source, error) || !check_tokens(t, &source, error)) return false;
  if (stage_begins(stage_find(t->file.config.stage), &t->file.config)) {
    model_initialise(t->model, (uint64_t)t->file.config.seed);
    return true;
  }
  bool fine = stage_masters(t, &source, &values, error);
  // The parent's model may have shared what the operations work in.
  t->ops->set_workspace(t->device, t->model->workspace, (size_t)t->model->memory.workspace);
  if (fine) model_initialise(t->model, (uint64_t)t->file.config.seed);
  fine = fine && values_write_known(&values, t->model, error);
  values_free(&values);
  if (fine) model_prepare(t->model, 0);
  return fine;
}

// The selection that comes last before this run.
bool stage_open_selection(struct training *t, struct error *error) {
  struct stage_source source = {.file = t->file};
  const char *folder = NULL;
  if (select_stage_skips(&t->file.config)) return true;
  while (*source.file.parent && !folder) {
    const char *id = arena_string(&t->arena, source.file.parent);
    const char *of = path_join(&t->arena, path_join(&t->arena, t->run_folder, ".."), id);
    if (!run_file_read(&t->arena, path_join(&t->arena, of, "config.json"), &source.file, error)) return false;
    if (source.file.config.stage && strcmp(source.file.config.stage, SELECT_STAGE) == 0) folder = of;
  }
  if (!folder) return error_set(error, EXIT_USAGE_ERROR, "no run before this one is a selection of data");
  return selection_read(path_join(&t->arena, folder, SELECTION_FILE), &t->arena, &t->selection, error) &&
         selection_wrap(&t->corpus, &t->selection, error);
}

struct model *stage_model_of(struct stage_work *work, const char *format, const struct model_values *values,
                             struct error *error) {
  struct training *t = &work->run;
  struct run_config config = t->file.config;
  config_clear_stages(&config);
  config.format = format ? format : "none";
  config.parsed_format = NULL;
  struct model *model = model_create(t->ops, t->device, &config, MODEL_EVALUATE, error);
  if (model && values_write(values, model, error)) {
    model_prepare(model, work->parent.step);
    return model;
  }
  model_free(model);
  return NULL;
}

// ---- this run ----

bool stage_make_model_in(struct stage_work *work, const char *format, const struct model_values *values,
                         struct error *error) {
  struct training *t = &work->run;
  t->model = stage_model_of(work, format, values, error);
  if (!t->model) return false;
  training_name_origin(t);
  t->batch = batch_memory(t->model->rows);
  return true;
}

bool stage_make_model(struct stage_work *work, const struct model_values *values, struct error *error) {
  struct run_config config = work->run.file.config;
  return stage_model_config(&config, &work->run.arena, error) &&
         stage_make_model_in(work, config.format, values, error);
}

bool stage_evaluate(struct stage_work *work, int64_t tokens, struct evaluation *evaluation, struct error *error) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  int64_t windows = evaluation_windows(t->corpus, tokens, c->model.context);
  return evaluation_run(t->model, t->corpus, windows, &t->batch, work->stop_asked, &work->stopped, evaluation, error) &&
         !work->stopped;
}

bool stage_write_checkpoint(struct stage_work *work, struct error *error) {
  struct training *t = &work->run;
  t->done.step = work->parent.step;
  t->done.config = t->identity;
  t->done.log_size = t->log.size;
  t->done.seconds = t->done.train_seconds = training_seconds(t);
  if (!event_log_sync(&t->log, error) || !checkpoint_write(t->model, &t->done, t->run_folder, error)) return false;
  t->checkpointed = t->done.step;
  return report_checkpoint(t, error);
}

static bool open_run(struct stage_work *work, const char *config_path, bool *finished, struct error *error) {
  struct training *t = &work->run;
  if (!training_open_log(t, config_path, finished, error) || *finished) return *finished;
  work->stage = stage_find(t->file.config.stage);
  if (!work->stage)
    return error_set(error, EXIT_USAGE_ERROR, "%s: there is no stage '%s'", config_path, t->file.config.stage);
  if (!work->stage->root != (*t->file.parent != '\0'))
    return error_set(error, EXIT_USAGE_ERROR, "%s: stage '%s' with%s parent", config_path, t->file.config.stage,
                     *t->file.parent ? " a" : "out a");
  if (stage_trains(work->stage, &t->file.config)) {
    struct run_config training = t->file.config;
    work->stage->training(&training);
    t->steps = training.train.steps;
  }
  if (work->stage->steps) t->steps = work->stage->steps(&t->file.config);
  t->identity = config_identity(&t->file.config, t->file.corpus_digest, "state", t->file.parent);
  int64_t kept = 0;
  double seconds = 0;
  // Where it starts over, what an earlier worker left is in its way.
  if (!work->stage->resume || !work->stage->resume(work, &t->resumed_from, &kept, &seconds)) t->resumed_from = kept = 0;
  t->clock_start = clock_seconds() - seconds;
  return event_log_cut(&t->log, kept, error) && checkpoint_clean(t->run_folder, error) &&
         (work->stage->root || find_source(t, t->file.parent, &work->parent, error)) &&
         training_open_device(t, error) && report_start(t, error);
}

enum exit_code stage_run(const struct trainer_options *options, struct error *error) {
  struct stage_work work = {.run = {.log = {.file = -1}, .oracle_loss = NAN}, .stop_asked = options->stop_asked};
  struct training *t = &work.run;
  bool finished = false;
  enum exit_code code = EXIT_DONE;
  if (!open_run(&work, options->config_path, &finished, error)) {
    code = error->code;
  } else if (finished) {
    notice_print("isoloss-train", "%s is already finished: nothing to do", t->log.path);
  } else if (!work.stage->work(&work, error)) {
    code = work.stopped && !error->code && report_stopped(t, error) ? EXIT_RUNS_FAILED : error->code;
  } else if (!event_log_sync(&t->log, error)) {
    code = error->code;
  }
  if (error->code != EXIT_DONE && t->log.file >= 0) {
    struct error ignored = {0};
    report_failed(t, error, &ignored);
  }
  training_close(t);
  return code;
}
