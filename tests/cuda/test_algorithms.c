// Trials of cuBLASLt's algorithms: the fastest is taken, kept in a file, and taken again whatever the clock then says.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "kernels/ops.h"
#include "tests/check.h"

void isoloss_emulator_fastest_algorithm(int number);
int isoloss_emulator_used_algorithm(void);

enum { SIZE = 32, COUNT = SIZE * SIZE };

// One product of a device that is opened for it. Which algorithm it took; its bits in `y`; what the device says it
// chose.
static int multiply(int rows, float *y, char *choices, size_t size) {
  struct error error = {0};
  const struct ops *ops = ops_find("cuda-emulated", &error);
  struct device *device = ops ? ops->open(&(struct device_options){.threads = 1}, &error) : NULL;
  if (!CHECK(device != NULL)) exit(1);
  struct weight_description description = {.outputs = SIZE, .inputs = SIZE, .dtype = DTYPE_FLOAT32};
  struct weight *weight = ops->weight_create(device, &description, NULL, &error);
  float *memory = ops->allocate(device, 3 * COUNT * sizeof *memory, &error);
  ops->fill_normal(device, memory, 2 * COUNT, 1, 7, 0);
  ops->weight_prepare(device, weight, memory, 0);
  struct linear linear = {.weight = weight, .rows = rows, .dtype = DTYPE_FLOAT32};
  ops->linear_forward(device, &linear, memory + COUNT, NULL, memory + 2 * COUNT);
  CHECK(ops->download(device, y, memory + 2 * COUNT, (size_t)rows * SIZE * sizeof *y, &error));
  struct text text = {0};
  ops->choices(device, &text);
  snprintf(choices, size, "%s", text_string(&text));
  text_free(&text);
  ops->weight_free(device, weight);
  ops->free(device, memory);
  ops->close(device);
  return isoloss_emulator_used_algorithm();
}

static char folder[] = "/tmp/isoloss-algorithms-XXXXXX";
static char *cache_file(struct arena *arena) {
  return path_join(arena, folder, "isoloss/gpu/emulated_device-sm80-1mp-driver13000-cuda13000-cublaslt0.algorithms");
}
static char *contents(struct arena *arena) {
  struct error error = {0};
  char *text = file_read(arena, cache_file(arena), NULL, &error);
  if (!CHECK(text != NULL)) exit(1);
  return text;
}

static void kept(void) {
  struct arena arena = {0};
  float first[COUNT], later[COUNT];
  char choices[4][64];
  isoloss_emulator_fastest_algorithm(3);
  CHECK(multiply(8, first, choices[0], sizeof choices[0]) == 3);
  const char *text = contents(&arena);
  CHECK(starts_with(text, "32 8 32 TN float32 float32\t03000000") && strchr(text, '\n')[1] == '\0');
  // Another one is the fastest now: an old shape keeps its own, a new one takes it.
  isoloss_emulator_fastest_algorithm(2);
  CHECK(multiply(8, later, choices[1], sizeof choices[1]) == 3);
  CHECK(memcmp(first, later, 8 * SIZE * sizeof *first) == 0);
  CHECK(multiply(9, later, choices[2], sizeof choices[2]) == 2);
  CHECK_TEXT(choices[0], choices[1]);
  CHECK(strcmp(choices[0], choices[2]) != 0 && starts_with(choices[0], "1 products, "));
  CHECK(starts_with(contents(&arena), text));
  // None are measured when that is not wanted.
  setenv("ISOLOSS_TRIALS", "off", 1);
  CHECK(multiply(10, later, choices[3], sizeof choices[3]) == 1);
  CHECK_TEXT(choices[3], "");
  unsetenv("ISOLOSS_TRIALS");
  arena_free(&arena);
}

static void write_file(struct arena *arena, const char *text, size_t length) {
  struct error error = {0};
  CHECK(file_write_atomic(cache_file(arena), text, length, &error));
}

// Lines that do not check are as good as none: the shape is tried again, and what is good stays.
static void damaged(void) {
  struct arena arena = {0};
  float y[COUNT];
  char choices[64];
  char *good = contents(&arena);
  size_t length = strlen(good);
  isoloss_emulator_fastest_algorithm(2);
  // Each byte of the first line changed in turn, some of them.
  for (size_t at = 0; at < strcspn(good, "\n"); at += 11) {
    char *bad = arena_copy(&arena, good, length);
    bad[at] ^= 1;
    write_file(&arena, bad, length);
    if (!CHECK(multiply(8, y, choices, sizeof choices) == 2)) printf("# byte %zu\n", at);
    CHECK(starts_with(contents(&arena), bad));
  }
  // Cut in the middle of its last line, empty, and of zeroes.
  write_file(&arena, good, length - 20);
  CHECK(multiply(9, y, choices, sizeof choices) == 2);
  CHECK(multiply(8, y, choices, sizeof choices) == 3);
  write_file(&arena, "", 0);
  CHECK(multiply(8, y, choices, sizeof choices) == 2);
  char zeroes[300] = {0};
  write_file(&arena, zeroes, sizeof zeroes);
  isoloss_emulator_fastest_algorithm(3);
  CHECK(multiply(8, y, choices, sizeof choices) == 3);
  CHECK(multiply(8, y, choices, sizeof choices) == 3);
  arena_free(&arena);
}

// A cache that cannot be written: the library's first proposal, the same every time.
static void unwritable(void) {
  float y[COUNT];
  char choices[64];
  setenv("XDG_CACHE_HOME", "/dev/null/cache", 1);
  isoloss_emulator_fastest_algorithm(3);
  CHECK(multiply(8, y, choices, sizeof choices) == 1);
  CHECK(multiply(8, y, choices, sizeof choices) == 1);
  setenv("XDG_CACHE_HOME", folder, 1);
}

int main(void) {
  struct error error = {0};
  if (!mkdtemp(folder)) return 1;
  setenv("XDG_CACHE_HOME", folder, 1);
  unsetenv("ISOLOSS_TRIALS");
  RUN(kept);
  RUN(damaged);
  RUN(unwritable);
  folder_remove(folder, &error);
  return check_end();
}
