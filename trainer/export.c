// trainer_export: a run's model for other programs, as a folder of Hugging Face's with everything that opens it.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/terminal.h"
#include "kernels/formats/format.h"
#include "trainer/hugging_face.h"
#include "trainer/search_budget.h"
#include "trainer/smaller.h"
#include "trainer/stages/stage.h"
#include "trainer/training.h"

// The run's configuration next to the weights, for isoloss itself: `format` is what they have not seen yet.
static bool write_run_file(const struct training *t, const char *format, const char *path, struct error *error) {
  struct run_file file = t->file;
  struct text text = {0};
  config_clear_stages(&file.config);
  file.parent[0] = file.trunk[0] = '\0';
  file.branch_count = 0;
  file.config.format = format;
  run_file_write(&file, &text);
  struct digest ignored;
  bool fine = text_file_write(&text, path, &ignored, error);
  text_free(&text);
  return fine;
}

// In place of a model with rows and columns of 0, where a search took heads or columns out, the smaller one.
static bool shrink(struct training *t, struct error *error) {
  struct model *smaller;
  int64_t masked;
  if (!search_removes(&t->file.config)) return true;
  if (!model_smaller(t->model, &smaller, &masked, error)) return false;
  const struct run_config *c = smaller ? &smaller->config : &t->model->config;
  notice_print("isoloss-train",
               "a search took parts of the model out: in config.json num_attention_heads is %" PRId64
               ", num_key_value_heads %" PRId64 ", intermediate_size %" PRId64,
               c->model.heads, c->model.kv_heads, c->model.mlp_width);
  if (masked)
    notice_print(
        "isoloss-train",
        "... which is as many as the widest block has: Hugging Face's Llama has one number for all blocks, so that "
        "%" PRId64 " weights of others are in heads and columns that are gone, and 0",
        masked);
  if (!smaller) return true;
  t->file.config.model = smaller->config.model;
  model_free(t->model);
  t->model = smaller;
  return true;
}

static bool write_files(struct training *t, bool masters, int64_t step, const char *folder, struct error *error) {
  struct model *m = t->model;
  struct arena *arena = &t->arena;
  struct digest ignored[2];
  struct model_stamp stamp = model_stamp(m, step, arena);
  const struct format *format = m->config.parsed_format;
  const char *rest = format_after_weights(format, arena);
  bool activations = strcmp(rest, "none") != 0;
  if (!masters) {
    if (!model_represent(m, step, error)) return false;
    stamp.weights = WEIGHTS_REPRESENTED;
    if (activations)
      notice_print("isoloss-train",
                   "format %s: other programs leave out what it does to activations (%s), so that the loss that they "
                   "find is not the run's; isoloss evaluate knows",
                   stamp.format, rest);
  }
  if (!shrink(t, error)) return false;
  m = t->model;
  const struct tokenizer *tokenizer = corpus_tokenizer(t->corpus);
  if (!tokenizer || tokenizer->kind == TOKENIZER_NUMBERS)
    notice_print("isoloss-train", "the corpus has no tokenizer that could be written: its tokens are numbers");
  return model_files_write(arena, m, &stamp, folder, ignored, error) &&
         model_config_write(m, &stamp, path_join(arena, folder, CONFIG_FILE), ignored, error) &&
         generation_config_write(m, stamp.end_token, path_join(arena, folder, "generation_config.json"), error) &&
         (!tokenizer || tokenizer_files_write(m, tokenizer, folder, error)) &&
         write_run_file(t, masters ? stamp.format : rest, path_join(arena, folder, EXPORT_RUN_FILE), error) &&
         folder_sync(folder, error);
}

bool trainer_export(const char *config_path, const char *checkpoint_folder, const char *folder, bool masters,
                    struct error *error) {
  struct training t = {.log = {.file = -1}};
  int64_t step;
  if (file_exists(folder))
    return error_set(error, EXIT_USAGE_ERROR, "%s is there already: an export makes its folder", folder);
  bool fine = run_file_read(&t.arena, config_path, &t.file, error);
  if (fine)
    t.file.spent_more = t.file.spent_more || stages_spend(&t.file.config);  // before its settings are the model's
  fine = fine && training_open_model(&t, MODEL_EVALUATE, error) &&
         checkpoint_load_weights(t.model, checkpoint_folder, &step, error);
  // Made under another name, so that what has the name is whole.
  size_t length = strlen(folder);
  while (length > 1 && folder[length - 1] == '/') length--;
  folder = arena_copy(&t.arena, folder, length);
  char *making = arena_format(&t.arena, "%s.making-%d", folder, (int)getpid());
  if (fine) {
    fine = folder_make(making, error) && write_files(&t, masters, step, making, error);
    if (fine && rename(making, folder) != 0)
      fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot rename %s to %s", making, folder);
    struct error ignored = {0};
    if (!fine) folder_remove(making, &ignored);
  }
  training_close(&t);
  return fine;
}
