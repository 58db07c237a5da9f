// See checkpoint_files.h.
#include "trainer/checkpoint_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "trainer/average.h"
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

bool text_file_write(const struct text *text, const char *path, struct digest *digest, struct error *error) {
  struct writer writer;
  if (!writer_open(&writer, path, error)) return false;
  return writer_close(&writer, writer_add(&writer, text->bytes, text->length, error), digest, error);
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

// ---- what files say of their model ----

struct model_stamp model_stamp(const struct model *model, int64_t step, struct arena *arena) {
  return (struct model_stamp){.run = model->origin.run,
                              .format = config_format_name(&model->config, arena),
                              .weights = WEIGHTS_MASTERS,
                              .dtype = model->config.model.dtype,
                              .step = step,
                              .end_token = model->origin.end_token};
}

enum { NOTES = 6 };
static const char step_note[] = "isoloss.step";

static void notes_of(const struct model_stamp *stamp, struct arena *arena, struct safetensors_note notes[NOTES]) {
  notes[0] = (struct safetensors_note){"isoloss.version", ISOLOSS_VERSION};
  notes[1] = (struct safetensors_note){"isoloss.run", stamp->run ? stamp->run : ""};
  notes[2] = (struct safetensors_note){step_note, arena_format(arena, "%" PRId64, stamp->step)};
  notes[3] = (struct safetensors_note){"isoloss.format", stamp->format};
  notes[4] = (struct safetensors_note){"isoloss.weights", stamp->weights};
  notes[5] = (struct safetensors_note){"isoloss.dtype", stamp->dtype};
}

// ---- tensors ----

// A stretch of the parameters, in elements.
struct stretch {
  int64_t from, to;
};

// The stretches that a part of the parameters is, in order; returns how many.
static int stretches_of(const struct parameter_table *table, enum tensor_part part, struct stretch out[2]) {
  int64_t scales = table->layers[0].scales;
  if (part == PART_SCALES) {
    out[0] = (struct stretch){scales, table->norms_end};
    return 1;
  }
  if (part == PART_ALL || scales < 0) {
    out[0] = (struct stretch){0, table->count};
    return 1;
  }
  out[0] = (struct stretch){0, scales};
  out[1] = (struct stretch){table->norms_end, table->count};
  return 2;
}

bool tensor_file_write(struct arena *arena, struct model *model, const struct tensor_source *source,
                       const struct model_stamp *stamp, const char *path, struct digest *digest, struct error *error) {
  const struct parameter_table *table = &model->table;
  struct stretch stretches[2];
  int pieces = stretches_of(table, source->part, stretches), count = 0;
  struct safetensors_tensor *tensors = arena_array(arena, (size_t)table->tensor_count, sizeof *tensors);
  for (int64_t piece = 0, at = 0; piece < pieces; piece++)
    for (int i = 0; i < table->tensor_count; i++) {
      const struct parameter_tensor *t = &table->tensors[i];
      if (t->offset < stretches[piece].from || t->offset >= stretches[piece].to) continue;
      describe(table, t, source->matrices, &tensors[count]);
      int64_t bytes = tensors[count].end - tensors[count].begin;
      tensors[count].begin = at;
      tensors[count++].end = at += bytes;
    }
  struct text header = {0};
  struct safetensors_note notes[NOTES];
  notes_of(stamp, arena, notes);
  safetensors_header(tensors, count, notes, NOTES, &header);
  struct writer writer;
  bool fine = writer_open(&writer, path, error);
  if (fine) {
    fine = writer_add(&writer, header.bytes, header.length, error);
    for (int piece = 0; piece < pieces && fine; piece++) {
      int64_t from = parameter_bytes(table, source->matrices, stretches[piece].from),
              to = parameter_bytes(table, source->matrices, stretches[piece].to);
      fine = writer_add_device(&writer, model, (const char *)source->values + from, to - from, error);
    }
    fine = writer_close(&writer, fine, digest, error);
  }
  text_free(&header);
  return fine;
}

bool model_files_write(struct arena *arena, struct model *model, const struct model_stamp *stamp, const char *folder,
                       struct digest digests[2], struct error *error) {
  struct tensor_source source = {model->parameters, model->master, PART_WEIGHTS};
  digests[1] = (struct digest){0};
  if (!tensor_file_write(arena, model, &source, stamp, path_join(arena, folder, MODEL_FILE), &digests[0], error))
    return false;
  if (model->table.layers[0].scales < 0) return true;
  source.part = PART_SCALES;
  return tensor_file_write(arena, model, &source, stamp, path_join(arena, folder, SCALES_FILE), &digests[1], error);
}

// ---- reading them ----

// The files that a model's tensors may be in: scales in one of their own, but for those of older versions.
struct model_sources {
  struct safetensors_file weights, scales;  // scales.file -1: there is none
};

static bool read_tensor(struct model *model, const struct model_sources *sources, const struct parameter_tensor *tensor,
                        char *staging, struct error *error) {
  struct safetensors_tensor want;
  describe(&model->table, tensor, model->master, &want);
  const struct safetensors_file *file = &sources->weights;
  const struct safetensors_tensor *found = safetensors_find(file, tensor->name);
  if (!found && sources->scales.file >= 0 && (found = safetensors_find(&sources->scales, tensor->name)))
    file = &sources->scales;
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

// Nothing in the file may be unknown to the model; scales, which it may do without, apart.
static bool all_known(const struct model *model, const struct safetensors_file *file, struct error *error) {
  int known = 0;
  for (int i = 0; i < model->table.tensor_count; i++)
    known += safetensors_find(file, model->table.tensors[i].name) != NULL;
  for (int i = 0; i < file->count && model->table.layers[0].scales < 0; i++)
    known += ends_with(file->tensors[i].name, SCALES_ENDING);
  return file->count <= known || error_set(error, EXIT_USAGE_ERROR, "%s holds %d tensors, the model has %d", file->path,
                                           file->count, model->table.tensor_count);
}

bool model_files_read(struct arena *arena, struct model *model, const char *folder, int64_t *step,
                      struct error *error) {
  struct model_sources sources = {.scales.file = -1};
  const char *scales = path_join(arena, folder, SCALES_FILE);
  if (!safetensors_open(arena, path_join(arena, folder, MODEL_FILE), &sources.weights, error)) return false;
  const char *note = safetensors_note(&sources.weights, step_note);
  int64_t done;
  if (!note || !integer_parse(note, &done)) done = state_file_step(path_join(arena, folder, STATE_FILE));
  if (!model_take_phase(model, done, error)) {
    safetensors_close(&sources.weights);
    return false;
  }
  bool wanted = model->table.layers[0].scales >= 0 && file_exists(scales);
  bool fine =
      (!wanted || safetensors_open(arena, scales, &sources.scales, error)) && all_known(model, &sources.weights, error);
  char *staging = memory_get(STAGING_BYTES);
  for (int i = 0; i < model->table.tensor_count && fine; i++)
    fine = read_tensor(model, &sources, &model->table.tensors[i], staging, error);
  free(staging);
  if (step) *step = done;
  safetensors_close(&sources.weights);
  safetensors_close(&sources.scales);
  return fine && model->ops->synchronize(model->device, error);
}

// ---- state.bin ----

struct state_header {
  char magic[8];  // "isostate"
  uint32_t version, header_bytes;
  int64_t step, tokens, targets, log_size, parameters;
  double seconds, train_seconds;
  char config[DIGEST_LENGTH];
  int64_t averaged;  // weights in the sum behind the moments (train.average); 0: there is none
  char reserved[48];
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
  bool averaging = model->average && average_is_pending(&model->config, state->step);
  if (averaging) header.averaged = average_count(&model->config, state->step);
  memcpy(header.magic, state_magic, sizeof state_magic);
  memcpy(header.config, state->config.hex, DIGEST_LENGTH);
  struct writer writer;
  if (!writer_open(&writer, path, error)) return false;
  bool fine = writer_add(&writer, &header, sizeof header, error) &&
              writer_add_device(&writer, model, model->state_memory, model_state_bytes(model), error) &&
              (!averaging || writer_add(&writer, model->average, (size_t)model->table.count * sizeof(float), error));
  return writer_close(&writer, fine, digest, error);
}

static bool read_moments(struct model *model, FILE *file, const char *path, struct error *error) {
  char *staging = memory_get(STAGING_BYTES);
  bool fine = true;
  for (int64_t left = model_state_bytes(model), at = 0; left > 0 && fine;) {
    size_t chunk = left < STAGING_BYTES ? (size_t)left : STAGING_BYTES;
    if (fread(staging, 1, chunk, file) != chunk)
      fine = error_set(error, EXIT_USAGE_ERROR, "%s ends too early", path);
    else
      model->ops->upload(model->device, (char *)model->state_memory + at, staging, chunk);
    at += (int64_t)chunk;
    left -= (int64_t)chunk;
  }
  free(staging);
  return fine && model->ops->synchronize(model->device, error);
}

// The sum of averaged weights, where the configuration says that one is under way.
static bool read_average(struct model *model, const struct state_header *header, FILE *file, const char *path,
                         struct error *error) {
  int64_t expected = model->average && average_is_pending(&model->config, header->step)
                         ? average_count(&model->config, header->step)
                         : 0;
  size_t count = expected ? (size_t)model->table.count : 0;
  if (header->averaged != expected || fread(model->average, sizeof(float), count, file) != count)
    return error_set(error, EXIT_USAGE_ERROR, "%s holds %" PRId64 " averaged weights, not the %" PRId64 " of its step",
                     path, header->averaged, expected);
  return true;
}

static bool is_state(const struct state_header *header) {
  return memcmp(header->magic, state_magic, sizeof state_magic) == 0 && header->version == STATE_VERSION &&
         header->header_bytes == sizeof *header;
}

int64_t state_file_step(const char *path) {
  struct state_header header;
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  bool fine = fread(&header, sizeof header, 1, file) == 1 && is_state(&header);
  fclose(file);
  return fine ? header.step : 0;
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
  bool fine = fread(&header, sizeof header, 1, file) == 1 && is_state(&header);
  if (!fine)
    error_set(error, EXIT_USAGE_ERROR, "%s is not a training state of this version", path);
  else if (!model_take_phase(model, header.step, error))
    fine = false;
  else if (memcmp(header.config, config->hex, DIGEST_LENGTH) != 0 || header.parameters != model->table.count)
    fine = error_set(error, EXIT_USAGE_ERROR, "%s was written under another configuration, corpus or trainer version",
                     path);
  else
    fine = read_moments(model, file, path, error) && read_average(model, &header, file, path, error);
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
