// trainer_dump_gradients: one step's batch, loss and gradients as files that other implementations can read.
#include <string.h>

#include "trainer/checkpoint_files.h"
#include "trainer/safetensors.h"
#include "trainer/training.h"

// inputs, targets, mask, loss: written in the order of the file's data, widest type first so that all are aligned.
static bool write_batch(struct training *t, const char *path, double loss, struct error *error) {
  int64_t rows = t->file.config.train.batch_tokens, context = t->file.config.model.context;
  bool masked = corpus_has_mask(t->corpus);
  struct safetensors_tensor tensors[] = {
      {.name = "loss", .dtype = "F64", .dimensions = 1, .shape = {1}},
      {.name = "inputs", .dtype = "I32", .dimensions = 2, .shape = {rows / context, context}},
      {.name = "targets", .dtype = "I32", .dimensions = 2, .shape = {rows / context, context}},
      {.name = "mask", .dtype = "U8", .dimensions = 2, .shape = {rows / context, context}},
  };
  const void *data[] = {&loss, t->batch.tokens, t->batch.targets, t->batch.mask};
  const int64_t sizes[] = {8, rows * 4, rows * 4, rows};
  int count = masked ? 4 : 3;
  int64_t at = 0;
  for (int i = 0; i < count; i++) {
    tensors[i].begin = at;
    tensors[i].end = at += sizes[i];
  }
  struct text file = {0};
  safetensors_header(tensors, count, NULL, 0, &file);
  for (int i = 0; i < count; i++) text_append(&file, data[i], (size_t)sizes[i]);
  bool fine = file_write_atomic(path, file.bytes, file.length, error);
  text_free(&file);
  return fine;
}

// Loss and summed gradients of the first step's batch, in micro-batches as training has them.
static bool first_step(struct training *t, double *loss, struct error *error) {
  struct model *m = t->model;
  const struct run_config *c = &t->file.config;
  int64_t context = c->model.context, rows = c->train.batch_tokens, targets = 0;
  struct corpus_batch request = {
      .seed = (uint64_t)c->seed, .batch_rows = rows / context, .rows = rows / context, .context = context};
  if (!corpus_batch(t->corpus, &request, t->batch.tokens, t->batch.targets, t->batch.mask, error)) return false;
  for (int64_t i = 0; i < rows; i++) targets += t->batch.mask[i];
  if (targets == 0) return error_set(error, EXIT_USAGE_ERROR, "the first batch holds no unmasked target");
  bool masked = corpus_has_mask(t->corpus);
  for (int64_t row = 0; row < rows; row += m->rows) {
    struct token_batch micro = {m->rows, t->batch.tokens + row, t->batch.targets + row,
                                masked ? t->batch.mask + row : NULL};
    model_gradient(m, &micro, 1 / (double)targets, row, row == 0, 0);
  }
  model_finish_gradients(m);
  struct loss_sum sum;
  if (!model_results(m, 1, &sum, NULL, error)) return false;
  *loss = sum.nats / (double)sum.targets;
  return true;
}

bool trainer_dump_gradients(const char *config_path, const char *checkpoint_folder, const char *folder,
                            struct error *error) {
  struct training t = {.log = {.file = -1}};
  struct digest ignored[2];
  double loss = 0;
  int64_t step = 0;
  bool fine = run_file_read(&t.arena, config_path, &t.file, error) && folder_make(folder, error) &&
              training_open_model(&t, MODEL_TRAIN, error);
  if (fine && checkpoint_folder) fine = checkpoint_load_weights(t.model, checkpoint_folder, &step, error);
  if (fine && !checkpoint_folder) model_initialise(t.model, (uint64_t)t.file.config.seed);
  if (!fine || !first_step(&t, &loss, error)) {
    training_close(&t);
    return false;
  }
  struct model_stamp stamp = model_stamp(t.model, step, &t.arena);
  struct tensor_source gradients = {t.model->gradients, DTYPE_FLOAT32, PART_ALL};
  fine = model_files_write(&t.arena, t.model, &stamp, folder, ignored, error) &&
         model_config_write(t.model, &stamp, path_join(&t.arena, folder, CONFIG_FILE), ignored, error) &&
         tensor_file_write(&t.arena, t.model, &gradients, &stamp, path_join(&t.arena, folder, "gradients.safetensors"),
                           ignored, error) &&
         write_batch(&t, path_join(&t.arena, folder, "batch.safetensors"), loss, error);
  training_close(&t);
  return fine;
}
