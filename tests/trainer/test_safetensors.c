// Safetensors files: what is written is read back, and malformed files are refused with a reason.
#include <stdlib.h>
#include <unistd.h>

#include "tests/check.h"
#include "trainer/safetensors.h"

static char folder[] = "/tmp/isoloss-safetensors-XXXXXX";
static char path[64];

static void put(const char *header, size_t claimed, size_t data) {
  struct error error = {0};
  struct text text = {0};
  uint64_t length = claimed;
  text_append(&text, &length, sizeof length);
  text_add(&text, header);
  for (size_t i = 0; i < data; i++) text_char(&text, (char)i);
  CHECK(file_write_atomic(path, text.bytes, text.length, &error));
  text_free(&text);
}

static void refused(const char *header, size_t data, const char *reason) {
  struct arena arena = {0};
  struct error error = {0};
  struct safetensors_file file;
  put(header, strlen(header), data);
  if (!CHECK(!safetensors_open(&arena, path, &file, &error)) || !CHECK(error.code == EXIT_USAGE_ERROR) ||
      !CHECK(strstr(error.text, reason) != NULL))
    printf("# %s: %s\n", header, error.text);
  CHECK(file.file == -1);
  arena_free(&arena);
}

static void round_trip(void) {
  struct arena arena = {0};
  struct error error = {0};
  const float values[] = {1, -2, 0.5f, 3e-20f, 7, 9};
  const struct safetensors_tensor tensors[] = {
      {.name = "a.weight", .dtype = "F32", .dimensions = 2, .shape = {2, 2}, .begin = 0, .end = 16},
      {.name = "b", .dtype = "F32", .dimensions = 1, .shape = {2}, .begin = 16, .end = 24}};
  struct text text = {0};
  safetensors_header(tensors, 2, NULL, 0, &text);
  CHECK(text.length % 64 == 0);
  text_append(&text, values, sizeof values);
  CHECK(file_write_atomic(path, text.bytes, text.length, &error));
  struct safetensors_file file;
  CHECK(safetensors_open(&arena, path, &file, &error));
  CHECK(file.count == 2);
  const struct safetensors_tensor *a = safetensors_find(&file, "a.weight"), *b = safetensors_find(&file, "b");
  CHECK(a && b && !safetensors_find(&file, "c"));
  float back[4];
  CHECK(a->dimensions == 2 && a->shape[0] == 2 && a->shape[1] == 2 && strcmp(a->dtype, "F32") == 0);
  CHECK(safetensors_read(&file, a, 0, back, 16, &error) && memcmp(back, values, 16) == 0);
  CHECK(safetensors_read(&file, b, 4, back, 4, &error) && back[0] == 9);
  CHECK(!safetensors_read(&file, b, 4, back, 8, &error));
  CHECK(!safetensors_read(&file, b, -4, back, 4, &error));
  safetensors_close(&file);
  text_free(&text);
  arena_free(&arena);
}

static void reads_others(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct safetensors_file file;
  // Any order in the header, empty tensors, scalars, several types.
  const char header[] =
      "{\"z\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[4,10]},\"none\":{\"dtype\":\"F32\",\"shape\":[0,5],"
      "\"data_offsets\":[4,4]},\"s\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}";
  put(header, strlen(header), 10);
  if (!CHECK(safetensors_open(&arena, path, &file, &error))) printf("# %s\n", error.text);
  CHECK(file.count == 3 && strcmp(file.tensors[2].name, "z") == 0);
  safetensors_close(&file);
  arena_free(&arena);
}

static void malformed(void) {
  refused("", 0, "not a valid");
  refused("[1]", 0, "no object");
  refused("{\"a\":", 0, "not a valid");
  refused("{\"a\":{}}", 0, "needs dtype");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "needs dtype");
  refused("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "bad shape");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "bad shape");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]}}", 4, "overflows");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "too many");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "do not fit");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "do not fit");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "hole");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "end with the file");
  refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, "end with the file");
  refused(
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
      12, "overlaps");
  refused(
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
      8, "uplicate");
}

static void wrong_lengths(void) {
  struct arena arena = {0};
  struct safetensors_file file;
  const size_t claimed[] = {3, 1000, 99999999, (size_t)1 << 40, SIZE_MAX};
  for (size_t i = 0; i < sizeof claimed / sizeof claimed[0]; i++) {
    struct error error = {0};
    put("{}", claimed[i], 0);
    CHECK(!safetensors_open(&arena, path, &file, &error) && error.code == EXIT_USAGE_ERROR);
  }
  struct error error = {0};
  CHECK(file_write_atomic(path, "1234", 4, &error));
  CHECK(!safetensors_open(&arena, path, &file, &error) && strstr(error.text, "too short"));
  unlink(path);
  error = (struct error){0};
  CHECK(!safetensors_open(&arena, path, &file, &error) && error.code == EXIT_ENVIRONMENT);
  arena_free(&arena);
}

// Whatever becomes of a good file's header, opening it is refused or leaves tensors that can be read in full.
static void mutated(void) {
  struct arena arena = {0};
  const struct safetensors_tensor tensors[] = {
      {.name = "a.weight", .dtype = "F32", .dimensions = 2, .shape = {2, 2}, .begin = 0, .end = 16},
      {.name = "b", .dtype = "BF16", .dimensions = 1, .shape = {4}, .begin = 16, .end = 24}};
  struct text good = {0};
  safetensors_header(tensors, 2, NULL, 0, &good);
  size_t header = good.length;
  text_append(&good, "0123456789abcdef01234567", 24);
  int opened = 0;
  for (uint64_t i = 0; i < 1500; i++) {
    struct error error = {0};
    struct safetensors_file file;
    char *bytes = arena_copy(&arena, good.bytes, good.length);
    uint64_t changes = 1 + random_below(1, 1005, i, 0, 3);
    for (uint64_t k = 0; k < changes; k++)
      bytes[random_below(1, 1006, i, k, header)] = "0123456789{}[]\",:-eF \xff"[random_below(1, 1007, i, k, 23)];
    FILE *out = fopen(path, "wb");
    fwrite(bytes, 1, good.length - (i % 5 == 0), out);
    fclose(out);
    if (!safetensors_open(&arena, path, &file, &error)) {
      CHECK(error.code == EXIT_USAGE_ERROR);
      continue;
    }
    opened++;
    for (int t = 0; t < file.count; t++) {
      char data[24];
      size_t length = (size_t)(file.tensors[t].end - file.tensors[t].begin);
      CHECK(length <= sizeof data && safetensors_read(&file, &file.tensors[t], 0, data, length, &error));
    }
    safetensors_close(&file);
  }
  CHECK(opened > 0 && opened < 1500);
  text_free(&good);
  arena_free(&arena);
}

int main(void) {
  struct error error = {0};
  if (!mkdtemp(folder)) return 1;
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  RUN(round_trip);
  RUN(reads_others);
  RUN(malformed);
  RUN(wrong_lengths);
  RUN(mutated);
  folder_remove(folder, &error);
  return check_end();
}
