// What the CUDA backend's tests share: the backend under test and the CPU backend side by side, and arrays that live in
// the memory of both. The backend is the emulated device; built with TEST_BACKEND "cuda" it is a real GPU.
#pragma once
#include "base/base.h"
#include "tests/kernels/values.h"

#ifndef TEST_BACKEND
#define TEST_BACKEND "cuda-emulated"
#endif

enum side { TESTED, REFERENCE };
static const struct ops *ops[2];
static struct device *device[2];
static void *workspace[2];

static inline void give_up(const struct error *error) {
  printf("# %s\n", error->text);
  printf("Bail out! %s\n", error->text);
  exit(1);
}
static inline void devices_begin(void) {
  static const char *const names[] = {TEST_BACKEND, "cpu"};
  setenv("ISOLOSS_TRIALS", "off", 1);  // the user's cache is not a test's
  for (int s = 0; s < 2; s++) {
    struct error error = {0};
    struct device_options options = {.threads = 1};
    ops[s] = ops_find(names[s], &error);
    device[s] = ops[s] ? ops[s]->open(&options, &error) : NULL;
    if (!device[s]) give_up(&error);
  }
}
static inline void devices_end(void) {
  for (int s = 0; s < 2; s++) {
    struct error error = {0};
    if (!CHECK(ops[s]->synchronize(device[s], &error))) printf("# %s\n", error.text);
    ops[s]->free(device[s], workspace[s]);
    workspace[s] = NULL;
    ops[s]->close(device[s]);
  }
}
// Gives each device exactly the workspace that this call says it needs.
static inline void workspaces_for(enum op_kind kind, struct op_shape shape) {
  for (int s = 0; s < 2; s++) {
    struct error error = {0};
    size_t bytes = ops[s]->workspace_bytes(device[s], kind, &shape);
    ops[s]->free(device[s], workspace[s]);
    workspace[s] = ops[s]->allocate(device[s], bytes, &error);
    if (!workspace[s]) give_up(&error);
    ops[s]->set_workspace(device[s], workspace[s], bytes);
  }
}

// An array of a dtype (or raw bytes) in both memories, and its values as doubles: those it was made with, or that were
// last read from the tested device.
struct array {
  enum dtype dtype;
  int64_t count;
  void *data[2];
  double *values;
};
static inline void *both_allocate(int s, size_t bytes) {
  struct error error = {0};
  void *memory = ops[s]->allocate(device[s], bytes ? bytes : 1, &error);
  if (!memory) give_up(&error);
  return memory;
}
static inline struct array array_empty(enum dtype dtype, int64_t count) {
  struct array array = {.dtype = dtype, .count = count};
  for (int s = 0; s < 2; s++) array.data[s] = both_allocate(s, (size_t)count * dtype_bytes(dtype));
  array.values = calloc((size_t)count + 1, sizeof *array.values);
  return array;
}
static inline void array_write(struct array *array) {
  size_t bytes = (size_t)array->count * dtype_bytes(array->dtype);
  char *host = malloc(bytes + 1);
  values_store(array->dtype, array->count, array->values, host);
  values_load(array->dtype, array->count, host, array->values);
  for (int s = 0; s < 2; s++) ops[s]->upload(device[s], array->data[s], host, bytes);
  free(host);
}
static inline struct array array_random(enum dtype dtype, int64_t count, double scale) {
  struct array array = array_empty(dtype, count);
  for (int64_t i = 0; i < count; i++) array.values[i] = scale * random_number();
  array_write(&array);
  return array;
}
static inline void array_fetch(const struct array *array, int s, double *values) {
  struct error error = {0};
  size_t bytes = (size_t)array->count * dtype_bytes(array->dtype);
  char *host = malloc(bytes + 1);
  if (!ops[s]->download(device[s], host, array->data[s], bytes, &error)) give_up(&error);
  values_load(array->dtype, array->count, host, values);
  free(host);
}
static inline void array_free(struct array *array) {
  for (int s = 0; s < 2; s++) ops[s]->free(device[s], array->data[s]);
  free(array->values);
}
static inline void arrays_free(struct array **arrays, size_t count) {
  for (size_t i = 0; i < count; i++) array_free(arrays[i]);
}
// Integers or bytes in both memories.
static inline void both_upload(void *to[2], const void *from, size_t bytes) {
  for (int s = 0; s < 2; s++) ops[s]->upload(device[s], to[s] = both_allocate(s, bytes), from, bytes);
}
static inline void both_free(void *memory[2]) {
  for (int s = 0; s < 2; s++) ops[s]->free(device[s], memory[s]);
}

// The tested device's array against the CPU's, and against `want` (double precision; may be NULL).
static inline void array_check(struct array *array, const double *want, double tolerance, const char *what) {
  double *cpu = malloc(((size_t)array->count + 1) * sizeof *cpu);
  array_fetch(array, TESTED, array->values);
  array_fetch(array, REFERENCE, cpu);
  // Values are taken to be made of numbers around 1: where they cancel, float32 leaves 1e-7 of them.
  double cancelled = tolerance > 0 ? 1e-7 : 0;
  values_check(array->values, cpu, array->count, tolerance, cancelled, what);
  if (want && !values_check(array->values, want, array->count, tolerance, cancelled, what))
    printf("# ... in double precision\n");
  free(cpu);
}
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
