// The weights of a folder: one safetensors file or shards, in float32, float16 or bfloat16. See model_folder.h.
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bfloat16.h"
#include "trainer/checkpoint_files.h"
#include "trainer/model_folder.h"
#include "trainer/safetensors.h"

#define INDEX_FILE "model.safetensors.index.json"
enum { MOST_SHARDS = 4096, CHUNK = 1 << 18 };  // values at once

// ---- which files ----

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// The files that an index names, each once, in order of their names.
static bool list_shards(struct model_folder *folder, const json_t *map, const char *path, struct arena *arena,
                        struct error *error) {
  const char *tensor;
  json_t *value;
  size_t most = json_object_size(map), count = 0;
  const char **names = arena_array(arena, most + 1, sizeof *names);
  json_object_foreach((json_t *)(uintptr_t)map, tensor, value) {
    const char *name = json_string_value(value);
    if (!name || !*name || strchr(name, '/') || !ends_with(name, ".safetensors"))
      return error_set(error, EXIT_USAGE_ERROR, "%s: %s is in no .safetensors file of this folder", path, tensor);
    names[count++] = arena_string(arena, name);
  }
  qsort(names, count, sizeof *names, by_name);
  folder->weights = arena_array(arena, count + 1, sizeof *folder->weights);
  for (size_t i = 0; i < count; i++)
    if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
      folder->weights[folder->weight_count++] = path_join(arena, folder->path, names[i]);
  return (folder->weight_count > 0 && folder->weight_count <= MOST_SHARDS) ||
         error_set(error, EXIT_USAGE_ERROR, "%s names %zu files", path, folder->weight_count);
}

static bool find_files(struct model_folder *folder, struct arena *arena, struct error *error) {
  const char *one = path_join(arena, folder->path, MODEL_FILE), *index = path_join(arena, folder->path, INDEX_FILE);
  if (file_exists(one)) {
    folder->weights = arena_array(arena, 1, sizeof *folder->weights);
    folder->weights[0] = one;
    folder->weight_count = 1;
    return true;
  }
  if (!file_exists(index))
    return error_set(error, EXIT_USAGE_ERROR, "%s holds no weights: there is neither model.safetensors nor " INDEX_FILE,
                     folder->path);
  size_t length;
  json_error_t problem;
  const char *bytes = file_read(arena, index, &length, error);
  if (!bytes) return false;
  json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &problem);
  const json_t *map = json_object_get(root, "weight_map");
  bool fine = json_is_object(map) ? list_shards(folder, map, index, arena, error)
                                  : error_set(error, EXIT_USAGE_ERROR, "%s has no weight_map", index);
  json_decref(root);
  return fine;
}

// ---- all files at once ----

struct weight_files {
  struct safetensors_file *files;
  size_t count;
  struct safetensors_file scales;  // .file -1: none
};

static void close_all(struct weight_files *all) {
  for (size_t i = 0; i < all->count; i++) safetensors_close(&all->files[i]);
  if (all->scales.file >= 0) safetensors_close(&all->scales);
}

static bool open_all(const struct model_folder *folder, struct arena *arena, struct weight_files *all,
                     struct error *error) {
  const char *scales = path_join(arena, folder->path, SCALES_FILE);
  *all = (struct weight_files){.files = arena_array(arena, folder->weight_count, sizeof *all->files),
                               .scales = {.file = -1}};
  for (; all->count < folder->weight_count; all->count++)
    if (!safetensors_open(arena, folder->weights[all->count], &all->files[all->count], error)) return false;
  return !file_exists(scales) || safetensors_open(arena, scales, &all->scales, error);
}

static const struct safetensors_tensor *find(const struct weight_files *all, const char *name,
                                             const struct safetensors_file **file) {
  const struct safetensors_tensor *found = NULL;
  for (size_t i = 0; i < all->count && !found; i++) {
    *file = &all->files[i];
    found = safetensors_find(*file, name);
  }
  if (!found && all->scales.file >= 0) {
    *file = &all->scales;
    found = safetensors_find(*file, name);
  }
  return found;
}

// ---- checks ----

static const char *shape_text(struct arena *arena, const struct safetensors_tensor *tensor) {
  struct text text = {0};
  for (int i = 0; i < tensor->dimensions; i++) text_format(&text, "%s%" PRId64, i ? ", " : "", tensor->shape[i]);
  const char *kept = arena_string(arena, text_string(&text));
  text_free(&text);
  return kept;
}

static int64_t value_bytes(const char *dtype) {
  if (strcmp(dtype, "F32") == 0) return 4;
  return strcmp(dtype, "BF16") == 0 || strcmp(dtype, "F16") == 0 ? 2 : 0;
}

static bool check_tensor(const struct weight_files *all, const struct parameter_tensor *want, const char *folder,
                         struct arena *arena, struct error *error) {
  const struct safetensors_file *file;
  const struct safetensors_tensor *found = find(all, want->name, &file);
  if (!found) return error_set(error, EXIT_USAGE_ERROR, "%s: the tensor %s is missing", folder, want->name);
  bool same = found->shape[0] == want->rows && found->dimensions == (want->columns ? 2 : 1) &&
              (!want->columns || found->shape[1] == want->columns);
  if (!same)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s: %s has the shape [%s], config.json makes it [%" PRId64 "%s%.0" PRId64 "]", file->path,
                     want->name, shape_text(arena, found), want->rows, want->columns ? ", " : "", want->columns);
  return value_bytes(found->dtype) > 0 ||
         error_set(error, EXIT_USAGE_ERROR, "%s: %s is %s: weights must be F32, F16 or BF16", file->path, want->name,
                   found->dtype);
}

// Tensors that say nothing to the model: a tied head written out, angles that follow from rope_theta.
static bool is_idle(const struct run_config *config, const char *name) {
  return ends_with(name, "rotary_emb.inv_freq") || (config->model.tied_head && strcmp(name, "lm_head.weight") == 0);
}

static bool check_none_else(const struct weight_files *all, const struct parameter_table *table,
                            const struct run_config *config, struct error *error) {
  for (size_t i = 0; i < all->count; i++)
    for (int t = 0; t < all->files[i].count; t++) {
      const char *name = all->files[i].tensors[t].name;
      bool known = is_idle(config, name);
      for (int p = 0; p < table->tensor_count && !known; p++) known = strcmp(table->tensors[p].name, name) == 0;
      if (!known)
        return error_set(error, EXIT_USAGE_ERROR, "%s: the tensor %s is none of a plain LlamaForCausalLM",
                         all->files[i].path, name);
    }
  return true;
}

bool model_folder_check_weights(struct model_folder *folder, struct arena *arena, struct error *error) {
  struct weight_files all = {.scales = {.file = -1}};
  if (!find_files(folder, arena, error)) return false;
  struct parameter_table table = parameter_table(arena, &folder->config);
  bool fine = open_all(folder, arena, &all, error);
  for (int i = 0; i < table.tensor_count && fine; i++)
    fine = check_tensor(&all, &table.tensors[i], folder->path, arena, error);
  fine = fine && check_none_else(&all, &table, &folder->config, error);
  close_all(&all);
  return fine;
}

// ---- loading ----

// IEEE 754 binary16: all its values are values of float32.
static float half_value(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 0x1F, fraction = half & 0x3FF, bits;
  float value;
  if (exponent == 0) {
    value = (float)fraction * 0x1p-24F;
    return sign ? -value : value;
  }
  bits = sign | (exponent == 31 ? 0x7F800000 : (exponent + 112) << 23) | fraction << 13;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void widen(const char *dtype, const void *from, size_t count, float *to) {
  if (strcmp(dtype, "F32") == 0) {
    memcpy(to, from, count * sizeof *to);
    return;
  }
  bool half = strcmp(dtype, "F16") == 0;
  const uint16_t *narrow = from;
  for (size_t i = 0; i < count; i++) to[i] = half ? half_value(narrow[i]) : bfloat16_value(narrow[i]);
}

static bool load_tensor(const struct weight_files *all, const struct parameter_tensor *tensor, struct model *model,
                        void *raw, float *wide, struct error *error) {
  const struct safetensors_file *file;
  const struct safetensors_tensor *found = find(all, tensor->name, &file);
  if (!found) return error_set(error, EXIT_USAGE_ERROR, "the tensor %s is missing", tensor->name);
  int64_t size = value_bytes(found->dtype);
  char *to = model_parameter(model, tensor->offset);
  for (int64_t at = 0; at < tensor->count; at += CHUNK) {
    int64_t count = tensor->count - at < CHUNK ? tensor->count - at : CHUNK;
    if (!safetensors_read(file, found, at * size, raw, (size_t)(count * size), error)) return false;
    widen(found->dtype, raw, (size_t)count, wide);
    model->ops->upload(model->device, to + at * (int64_t)sizeof *wide, wide, (size_t)count * sizeof *wide);
    if (!model->ops->synchronize(model->device, error)) return false;
  }
  return true;
}

bool model_folder_load(const struct model_folder *folder, struct model *model, struct error *error) {
  struct arena arena = {0};
  struct weight_files all = {.scales = {.file = -1}};
  void *raw = memory_get(CHUNK * sizeof(float));
  float *wide = memory_get(CHUNK * sizeof *wide);
  bool fine =
      model->master == DTYPE_FLOAT32 || error_set(error, EXIT_USAGE_ERROR, "a model of a folder is kept in float32");
  fine = fine && open_all(folder, &arena, &all, error);
  for (int i = 0; i < model->table.tensor_count && fine; i++)
    fine = load_tensor(&all, &model->table.tensors[i], model, raw, wide, error);
  close_all(&all);
  free(raw);
  free(wide);
  arena_free(&arena);
  if (fine) model_prepare(model, folder->step);
  return fine;
}
