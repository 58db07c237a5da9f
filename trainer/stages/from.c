// See from.h.
#include "trainer/stages/from.h"

#include <math.h>
#include <string.h>

#include "trainer/model_folder.h"
#include "trainer/stages/work.h"

bool from_stage_skips(const struct run_config *config) { return !*config->from.path; }

// The plan has done it: what the folder says is in the configuration.
bool from_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                        struct error *error) {
  (void)config, (void)facts, (void)arena, (void)error;
  return true;
}

double from_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts) {
  (void)config, (void)facts;
  return 0;  // besides the final evaluation
}

static bool open_folder(struct stage_work *work, struct model_folder *folder, struct error *error) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  if (!model_folder_read(c->from.path, &t->arena, folder, error)) return false;
  if (strcmp(folder->digest, c->from.digest) != 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s holds another model than when the run was planned (digest %.8s, then %.8s): isoloss run SPEC "
                     "plans it anew",
                     folder->path, folder->digest, c->from.digest);
  return true;
}

bool from_stage_work(struct stage_work *work, struct error *error) {
  struct training *t = &work->run;
  struct run_config config = t->file.config;
  struct model_folder folder;
  struct evaluation evaluation;
  if (!open_folder(work, &folder, error)) return false;
  work->parent.step = folder.step;
  config.parsed_format = NULL;
  t->model = model_create(t->ops, t->device, &config, MODEL_EVALUATE, error);
  if (!t->model) return false;
  training_name_origin(t);
  t->batch = batch_memory(t->model->rows);
  return model_take_phase(t->model, folder.step, error) && model_folder_load(&folder, t->model, error) &&
         stage_write_checkpoint(work, error) &&
         stage_evaluate(work, config.train.final_eval_tokens, &evaluation, error) &&
         report_stage_done(work, &evaluation, NULL, 0, error);
}
