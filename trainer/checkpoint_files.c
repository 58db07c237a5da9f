// See checkpoint_files.h.
#include "trainer/checkpoint_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trainer/safetensors.h"

enum { STAGING_BYTES = 1 << 20, STATE_VERSION = 1 };

// ---- writing with a checksum ----

struct writer {
  int file;
  const char *path;
  struct hasher *hasher;
};

static bool writer_open(struct writer *writer, const char *path, struct error *error) {
  *writer = (struct writer){.path = path};
  writer->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (writer->file < 0) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", path);
  writer->hasher = hasher_new();
  return true;
}

static bool writer_add(struct writer *writer, const void *bytes, size_t length, struct error *error) {
  hasher_add(writer->hasher, bytes, length);
  for (const char *from = bytes; length > 0;) {
    ssize_t wrote = write(writer->file, from, length);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", writer->path);
    from += wrote;
    length -= (size_t)wrote;
  }
  return true;
}

// Device memory through a small host buffer.
static bool writer_add_device(struct writer *writer, struct model *model, const void *data, int64_t bytes,
                              struct error *error) {
  char *staging = memory_get(STAGING_BYTES);
  bool fine = true;
  for (int64_t left = bytes, at = 0; left > 0 && fine;) {
    size_t chunk = left < STAGING_BYTES ? (size_t)left : STAGING_BYTES;
    fine = model->ops->download(model->device, staging, (const char *)data + at, chunk, error) &&
           writer_add(writer, staging, chunk, error);
    at += (int64_t)chunk;
    left -= (int64_t)chunk;
  }
  free(staging);
  return fine;
}

// Syncs and closes; frees everything whether the writing went well or not.
static bool writer_close(struct writer *writer, bool fine, struct digest *digest, struct error *error) {
  *digest = hasher_end(writer->hasher);
  if (fine && fsync(writer->file) != 0) fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot sync %s", writer->path);
  if (close(writer->file) != 0 && fine)
    fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", writer->path);
  return fine;
}

// ---- model.safetensors ----

// `master` is the type of the matrices.
static void describe(const struct parameter_table *table, const struct parameter_tensor *tensor, enum dtype master,
                     struct safetensors_tensor *out) {
  bool narrow = tensor->offset >= table->norms_end && master != DTYPE_FLOAT32;
  *out = (struct safetensors_tensor){.name = tensor->name, .dtype = narrow ? "BF16" : "F32"};
  out->shape[out->dimensions++] = tensor->rows;
  if (tensor->columns) out->shape[out->dimensions++] = tensor->columns;
  out->begin = parameter_bytes(table, master, tensor->offset);
  out->end = parameter_bytes(table, master, tensor->offset + tensor->count);
}

bool tensor_file_write(struct arena *arena, struct model *model, const void *values, enum dtype matrices,
                       const char *path, struct digest *digest, struct error *error) {
  const struct parameter_table *table = &model->table;
  int count = table->tensor_count;
  struct safetensors_tensor *tensors = arena_array(arena, (size_t)count, sizeof *tensors);
  for (int i = 0; i < count; i++) describe(table, &table->tensors[i], matrices, &tensors[i]);
  struct text header = {0};
  safetensors_header(tensors, count, &header);
  struct writer writer;
  bool fine = writer_open(&writer, path, error);
  if (fine) {
    fine = writer_add(&writer, header.bytes, header.length, error) &&
           writer_add_device(&writer, model, values, parameter_bytes(table, matrices, table->count), error);
    fine = writer_close(&writer, fine, digest, error);
  }
  text_free(&header);
  return fine;
}

bool model_file_write(struct arena *arena, struct model *model, const char *path, struct digest *digest,
                      struct error *error) {
  return tensor_file_write(arena, model, model->parameters, model->master, path, digest, error);
}

static bool read_tensor(struct model *model, const struct safetensors_file *file, const struct parameter_tensor *tensor,
                        char *staging, struct error *error) {
  struct safetensors_tensor want;
  describe(&model->table, tensor, model->master, &want);
  const struct safetensors_tensor *found = safetensors_find(file, tensor->name);
  if (!found) return error_set(error, EXIT_USAGE_ERROR, "%s: %s is missing", file->path, tensor->name);
  if (strcmp(found->dtype, want.dtype) != 0 || found->dimensions != want.dimensions ||
      memcmp(found->shape, want.shape, sizeof want.shape) != 0)
    return error_set(error, EXIT_USAGE_ERROR, "%s: %s is not %s of the model's shape", file->path, tensor->name,
                     want.dtype);
  int64_t bytes = want.end - want.begin;
  for (int64_t at = 0; at < bytes;) {
    size_t chunk = bytes - at < STAGING_BYTES ? (size_t)(bytes - at) : STAGING_BYTES;
    if (!safetensors_read(file, found, at, staging, chunk, error)) return false;
    model->ops->upload(model->device, (char *)model_parameter(model, tensor->offset) + at, staging, chunk);
    at += (int64_t)chunk;
  }
  return true;
}

bool model_file_read(struct arena *arena, struct model *model, const char *path, struct error *error) {
  struct safetensors_file file;
  if (!safetensors_open(arena, path, &file, error)) return false;
  char *staging = memory_get(STAGING_BYTES);
  bool fine = file.count == model->table.tensor_count ||
              error_set(error, EXIT_USAGE_ERROR, "%s holds %d tensors, the model has %d", path, file.count,
                        model->table.tensor_count);
  for (int i = 0; i < model->table.tensor_count && fine; i++)
    fine = read_tensor(model, &file, &model->table.tensors[i], staging, error);
  free(staging);
  safetensors_close(&file);
  return fine && model->ops->synchronize(model->device, error);
}

// ---- config.json ----

bool model_config_write(struct arena *arena, const struct model *model, const char *path, struct digest *digest,
                        struct error *error) {
  const struct run_config *c = &model->config;
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key(&json, "architectures");
  json_array_begin(&json);
  json_put_string(&json, "LlamaForCausalLM");
  json_array_end(&json);
  json_key_string(&json, "model_type", "llama");
  json_key_integer(&json, "vocab_size", c->model.vocabulary);
  json_key_integer(&json, "hidden_size", c->model.width);
  json_key_integer(&json, "intermediate_size", c->model.mlp_width);
  json_key_integer(&json, "num_hidden_layers", c->model.layers);
  json_key_integer(&json, "num_attention_heads", c->model.heads);
  json_key_integer(&json, "num_key_value_heads", c->model.kv_heads);
  json_key_integer(&json, "head_dim", c->model.head_dim);
  json_key_integer(&json, "max_position_embeddings", c->model.context);
  json_key_number(&json, "rope_theta", c->model.rope_theta);
  json_key(&json, "rope_scaling");
  json_put_null(&json);
  json_key_number(&json, "rms_norm_eps", c->model.norm_eps);
  json_key_boolean(&json, "tie_word_embeddings", c->model.tied_head);
  json_key_string(&json, "hidden_act", "silu");
  json_key_boolean(&json, "attention_bias", false);
  json_key_number(&json, "attention_dropout", 0);
  json_key_boolean(&json, "mlp_bias", false);
  json_key_number(&json, "initializer_range", c->model.init_std);
  json_key_string(&json, "torch_dtype", "float32");
  const char *const absent[] = {"bos_token_id", "eos_token_id", "pad_token_id"};
  for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
    json_key(&json, absent[i]);
    json_put_null(&json);
  }
  json_object_end(&json);
  struct writer writer;
  bool fine = writer_open(&writer, path, error);
  if (fine) {
    fine = writer_add(&writer, text.bytes, text.length, error);
    fine = writer_close(&writer, fine, digest, error);
  }
  text_free(&text);
  return fine;
}

// ---- state.bin ----

struct state_header {
  char magic[8];  // "isostate"
  uint32_t version, header_bytes;
  int64_t step, tokens, targets, log_size, parameters;
  double seconds, train_seconds;
  char config[DIGEST_LENGTH];
  char reserved[56];
};
_Static_assert(sizeof(struct state_header) == 160, "the header is part of the file format");
static const char state_magic[8] = {'i', 's', 'o', 's', 't', 'a', 't', 'e'};

bool state_file_write(struct arena *arena, struct model *model, const struct checkpoint_state *state, const char *path,
                      struct digest *digest, struct error *error) {
  struct state_header header = {.version = STATE_VERSION,
                                .header_bytes = sizeof header,
                                .step = state->step,
                                .tokens = state->tokens,
                                .targets = state->targets,
                                .log_size = state->log_size,
                                .parameters = model->table.count,
                                .seconds = state->seconds,
                                .train_seconds = state->train_seconds};
  memcpy(header.magic, state_magic, sizeof state_magic);
  memcpy(header.config, state->config.hex, DIGEST_LENGTH);
  struct writer writer;
  if (!writer_open(&writer, path, error)) return false;
  bool fine = writer_add(&writer, &header, sizeof header, error) &&
              writer_add_device(&writer, model, model->m, model->memory.moments, error);
  return writer_close(&writer, fine, digest, error);
}

static bool read_moments(struct model *model, FILE *file, const char *path, struct error *error) {
  char *staging = memory_get(STAGING_BYTES);
  bool fine = true;
  for (int64_t left = model->memory.moments, at = 0; left > 0 && fine;) {
    size_t chunk = left < STAGING_BYTES ? (size_t)left : STAGING_BYTES;
    if (fread(staging, 1, chunk, file) != chunk)
      fine = error_set(error, EXIT_USAGE_ERROR, "%s ends too early", path);
    else
      model->ops->upload(model->device, (char *)model->m + at, staging, chunk);
    at += (int64_t)chunk;
    left -= (int64_t)chunk;
  }
  free(staging);
  return fine && model->ops->synchronize(model->device, error);
}

bool state_file_read(struct arena *arena, struct model *model, const char *path, const struct digest *config,
                     struct checkpoint_state *state, struct error *error) {
  struct state_header header;
  int descriptor = file_open(path, NULL, error);
  FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "rb");
  if (descriptor < 0 && !file_exists(path)) error->code = EXIT_ENVIRONMENT;  // a part of what the user named
  if (!file) {
    if (descriptor >= 0) close(descriptor);
    return descriptor < 0 ? false : error_set_errno(error, EXIT_ENVIRONMENT, "cannot read %s", path);
  }
  bool fine = fread(&header, sizeof header, 1, file) == 1 &&
              memcmp(header.magic, state_magic, sizeof state_magic) == 0 && header.version == STATE_VERSION &&
              header.header_bytes == sizeof header;
  if (!fine)
    error_set(error, EXIT_USAGE_ERROR, "%s is not a training state of this version", path);
  else if (memcmp(header.config, config->hex, DIGEST_LENGTH) != 0 || header.parameters != model->table.count)
    fine = error_set(error, EXIT_USAGE_ERROR, "%s was written under another configuration, corpus or trainer version",
                     path);
  else
    fine = read_moments(model, file, path, error);
  fclose(file);
  if (!fine) return false;
  *state = (struct checkpoint_state){.step = header.step,
                                     .tokens = header.tokens,
                                     .targets = header.targets,
                                     .log_size = header.log_size,
                                     .seconds = header.seconds,
                                     .train_seconds = header.train_seconds,
                                     .config = *config};
  return true;
}
