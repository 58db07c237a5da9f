// See safetensors.h.
#include "trainer/safetensors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian and written as memory has them");

enum { HEADER_LIMIT = 100 * 1000 * 1000, DATA_ALIGNMENT = 64, LENGTH_BYTES = 8 };

void safetensors_header(const struct safetensors_tensor *tensors, int count, const struct safetensors_note *notes,
                        int note_count, struct text *out) {
  struct text header = {0};
  struct json_writer json = json_writer(&header, false);
  json_object_begin(&json);
  json_key(&json, "__metadata__");
  json_object_begin(&json);
  json_key_string(&json, "format", "pt");
  for (int i = 0; i < note_count; i++) json_key_string(&json, notes[i].key, notes[i].value);
  json_object_end(&json);
  for (int i = 0; i < count; i++) {
    const struct safetensors_tensor *t = &tensors[i];
    json_key(&json, t->name);
    json_object_begin(&json);
    json_key_string(&json, "dtype", t->dtype);
    json_key(&json, "shape");
    json_array_begin(&json);
    for (int d = 0; d < t->dimensions; d++) json_put_integer(&json, t->shape[d]);
    json_array_end(&json);
    json_key(&json, "data_offsets");
    json_array_begin(&json);
    json_put_integer(&json, t->begin);
    json_put_integer(&json, t->end);
    json_array_end(&json);
    json_object_end(&json);
  }
  json_object_end(&json);
  while ((LENGTH_BYTES + header.length) % DATA_ALIGNMENT) text_char(&header, ' ');
  uint64_t length = header.length;
  text_append(out, &length, sizeof length);
  text_append(out, header.bytes, header.length);
  text_free(&header);
}

// Bytes of an element; 0 for an unknown type.
static int64_t item_bytes(const char *dtype) {
  static const struct {
    const char *name;
    int64_t bytes;
  } types[] = {{"F32", 4}, {"BF16", 2}, {"F16", 2}, {"F64", 8}, {"I64", 8},  {"I32", 4},     {"I16", 2},    {"I8", 1},
               {"U8", 1},  {"U16", 2},  {"U32", 4}, {"U64", 8}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (strcmp(types[i].name, dtype) == 0) return types[i].bytes;
  return 0;
}

static bool refuse(const struct safetensors_file *file, const char *tensor, const char *why, struct error *error) {
  return error_set(error, EXIT_USAGE_ERROR, "%s is not a valid safetensors file: %s%s%s", file->path,
                   tensor ? tensor : "", tensor ? ": " : "", why);
}

static bool read_tensor(struct arena *arena, const struct safetensors_file *file, const char *name, json_t *entry,
                        struct safetensors_tensor *tensor, struct error *error) {
  const char *dtype = json_string_value(json_object_get(entry, "dtype"));
  json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
  if (!dtype || !json_is_array(shape) || json_array_size(offsets) != 2 ||
      !json_is_integer(json_array_get(offsets, 0)) || !json_is_integer(json_array_get(offsets, 1)))
    return refuse(file, name, "needs dtype, shape and two data_offsets", error);
  *tensor = (struct safetensors_tensor){.name = arena_string(arena, name), .dtype = arena_string(arena, dtype)};
  tensor->begin = json_integer_value(json_array_get(offsets, 0));
  tensor->end = json_integer_value(json_array_get(offsets, 1));
  int64_t bytes = item_bytes(dtype);
  if (bytes == 0) return refuse(file, name, "unknown dtype", error);
  if (json_array_size(shape) > SAFETENSORS_DIMENSIONS) return refuse(file, name, "too many dimensions", error);
  for (size_t i = 0; i < json_array_size(shape); i++) {
    json_t *size = json_array_get(shape, i);
    if (!json_is_integer(size) || json_integer_value(size) < 0) return refuse(file, name, "bad shape", error);
    tensor->shape[tensor->dimensions++] = json_integer_value(size);
    if (__builtin_mul_overflow(bytes, json_integer_value(size), &bytes))
      return refuse(file, name, "shape overflows", error);
  }
  if (tensor->begin < 0 || tensor->end < tensor->begin || tensor->end - tensor->begin != bytes)
    return refuse(file, name, "data_offsets do not fit the shape", error);
  return true;
}

static int by_place(const void *a, const void *b) {
  const struct safetensors_tensor *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

static void read_notes(struct arena *arena, struct safetensors_file *file, json_t *entry) {
  const char *key;
  json_t *value;
  file->notes = arena_array(arena, json_object_size(entry) + 1, sizeof *file->notes);
  json_object_foreach(entry, key, value) {
    if (!json_is_string(value)) continue;
    file->notes[file->note_count++] =
        (struct safetensors_note){arena_string(arena, key), arena_string(arena, json_string_value(value))};
  }
}

static bool read_header(struct arena *arena, struct safetensors_file *file, json_t *root, int64_t data_bytes,
                        struct error *error) {
  const char *name;
  json_t *entry;
  file->tensors = arena_array(arena, json_object_size(root) + 1, sizeof *file->tensors);
  json_object_foreach(root, name, entry) {
    if (strcmp(name, "__metadata__") == 0) {
      read_notes(arena, file, entry);
      continue;
    }
    if (!read_tensor(arena, file, name, entry, &file->tensors[file->count], error)) return false;
    file->count++;
  }
  qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_place);
  int64_t at = 0;
  for (int i = 0; i < file->count; i++) {
    if (file->tensors[i].begin != at)
      return refuse(file, file->tensors[i].name, "data overlaps or leaves a hole", error);
    at = file->tensors[i].end;
  }
  if (at != data_bytes) return refuse(file, NULL, "the data does not end with the file", error);
  return true;
}

bool safetensors_open(struct arena *arena, const char *path, struct safetensors_file *file, struct error *error) {
  *file = (struct safetensors_file){.path = arena_string(arena, path)};
  json_t *root = NULL;
  char *header = NULL;
  int64_t size;
  uint64_t length;
  file->file = file_open(path, &size, error);
  if (file->file < 0) {
    if (!file_exists(path)) error->code = EXIT_ENVIRONMENT;  // a part of what the user named
    goto failed;
  }
  if (size < LENGTH_BYTES) {
    refuse(file, NULL, "too short", error);
    goto failed;
  }
  if (!file_read_at(file->file, file->path, &length, sizeof length, 0, error)) goto failed;
  if (length > HEADER_LIMIT || (int64_t)length > size - LENGTH_BYTES) {
    refuse(file, NULL, "the header is longer than allowed, or than the file", error);
    goto failed;
  }
  header = memory_get((size_t)length + 1);
  if (!file_read_at(file->file, file->path, header, (size_t)length, LENGTH_BYTES, error)) goto failed;
  json_error_t problem;
  root = json_loadb(header, (size_t)length, JSON_REJECT_DUPLICATES, &problem);
  if (!json_is_object(root)) {
    char words[160];
    refuse(file, NULL, root ? "the header is no object" : json_problem(problem.text, words), error);
    goto failed;
  }
  file->data_start = LENGTH_BYTES + (int64_t)length;
  if (!read_header(arena, file, root, size - file->data_start, error)) goto failed;
  json_decref(root);
  free(header);
  return true;
failed:
  json_decref(root);
  free(header);
  safetensors_close(file);
  return false;
}

void safetensors_close(struct safetensors_file *file) {
  if (file->file >= 0) close(file->file);
  file->file = -1;
}

const struct safetensors_tensor *safetensors_find(const struct safetensors_file *file, const char *name) {
  for (int i = 0; i < file->count; i++)
    if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
  return NULL;
}

const char *safetensors_note(const struct safetensors_file *file, const char *key) {
  for (int i = 0; i < file->note_count; i++)
    if (strcmp(file->notes[i].key, key) == 0) return file->notes[i].value;
  return NULL;
}

bool safetensors_read(const struct safetensors_file *file, const struct safetensors_tensor *tensor, int64_t from,
                      void *bytes, size_t length, struct error *error) {
  if (from < 0 || (int64_t)length > tensor->end - tensor->begin - from)
    return error_set(error, EXIT_USAGE_ERROR, "%s: %s is shorter than needed", file->path, tensor->name);
  return file_read_at(file->file, file->path, bytes, length, file->data_start + tensor->begin + from, error);
}
