// What a first run on a GPU meets: algorithms tried, with a cache that is empty; how sums over k are split; rows that
// are not aligned; several threads and devices; and what `auto` says when the GPU cannot be used.
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/check.h"
#include "trainer/trainer.h"

#ifndef TEST_BACKEND
#define TEST_BACKEND "cuda-emulated"
#endif

#if !defined(TEST_ON_GPU)
unsigned long long isoloss_emulator_slow_products(void);
void isoloss_emulator_devices(int count);
#endif

static char folder[] = "/tmp/isoloss-first-contact-XXXXXX";

static struct device *opened(const struct ops **ops, int number) {
  struct error error = {0};
  *ops = ops_find(TEST_BACKEND, &error);
  struct device *device = *ops ? (*ops)->open(&(struct device_options){.threads = 1, .number = number}, &error) : NULL;
  if (!device) {
    printf("Bail out! %s\n", error.text);
    exit(1);
  }
  return device;
}

// One linear layer's y [rows, outputs] of numbers from seeds, in bfloat16; and what it chose.
static void linear_product(int64_t rows, int64_t outputs, int64_t inputs, uint16_t *y, float *values[2], char *choices,
                           size_t size) {
  struct error error = {0};
  const struct ops *ops;
  struct device *device = opened(&ops, 0);
  struct weight_description description = {
      .outputs = outputs, .inputs = inputs, .dtype = DTYPE_BFLOAT16, .master = DTYPE_BFLOAT16};
  int64_t counts[] = {outputs * inputs, rows * inputs};
  uint16_t *operands[2], *result = ops->allocate(device, (size_t)(rows * outputs) * sizeof *result, &error);
  for (int i = 0; i < 2; i++) {
    float *wide = ops->allocate(device, (size_t)counts[i] * sizeof *wide, &error);
    operands[i] = ops->allocate(device, (size_t)counts[i] * sizeof *operands[i], &error);
    ops->fill_normal(device, wide, counts[i], 1, 7, (uint32_t)i);
    ops->convert(device, counts[i], DTYPE_FLOAT32, wide, DTYPE_BFLOAT16, operands[i]);
    ops->convert(device, counts[i], DTYPE_BFLOAT16, operands[i], DTYPE_FLOAT32, wide);
    if (values) CHECK(ops->download(device, values[i], wide, (size_t)counts[i] * sizeof *wide, &error));
    ops->free(device, wide);
  }
  struct weight *weight = ops->weight_create(device, &description, NULL, &error);
  ops->weight_prepare(device, weight, operands[0], 0);
  struct linear linear = {.weight = weight, .rows = rows, .dtype = DTYPE_BFLOAT16};
  ops->linear_forward(device, &linear, operands[1], NULL, result);
  if (!CHECK(ops->download(device, y, result, (size_t)(rows * outputs) * sizeof *y, &error)))
    printf("# %s\n", error.text);
  struct text text = {0};
  ops->choices(device, &text);
  snprintf(choices, size, "%s", text_string(&text));
  text_free(&text);
  ops->weight_free(device, weight);
  for (int i = 0; i < 2; i++) ops->free(device, operands[i]);
  ops->free(device, result);
  ops->close(device);
}

// Algorithms are tried where the cache has none, and a device that is opened later takes the same and gives the same
// bits. A long sum is rounded to bfloat16 once: partial sums of that type would be off by several units.
static void trials(void) {
  enum { ROWS = 16, OUTPUTS = 32, INPUTS = 512 };
  static uint16_t y[2][ROWS * OUTPUTS];
  static float weights[OUTPUTS * INPUTS], x[ROWS * INPUTS];
  float *values[] = {weights, x};
  char choices[2][80];
  linear_product(ROWS, OUTPUTS, INPUTS, y[0], values, choices[0], sizeof choices[0]);
  linear_product(ROWS, OUTPUTS, INPUTS, y[1], NULL, choices[1], sizeof choices[1]);
  CHECK(memcmp(y[0], y[1], sizeof y[0]) == 0);
  CHECK(starts_with(choices[0], "1 products, "));
  CHECK_TEXT(choices[0], choices[1]);
  double worst = 0;
  for (int row = 0; row < ROWS; row++)
    for (int output = 0; output < OUTPUTS; output++) {
      double sum = 0, size = 0;
      for (int i = 0; i < INPUTS; i++) {
        double term = (double)weights[output * INPUTS + i] * (double)x[row * INPUTS + i];
        sum += term;
        size += fabs(term);
      }
      uint32_t bits = (uint32_t)y[0][row * OUTPUTS + output] << 16;
      float got;
      memcpy(&got, &bits, sizeof got);
      // Half a unit of bfloat16's eight bits, and what float32 sums of such terms may be off.
      double off = fabs((double)got - sum) / (fabs(sum) * 0x1p-8 + size * 0x1p-20);
      if (off > worst) worst = off;
    }
  CHECK(worst <= 1);
  printf("# %s; largest error %.3g of what rounding once allows\n", choices[0], worst);
}

// A head's loss over an odd vocabulary: the logits' rows are padded, so that no product has unaligned columns.
static void odd_vocabulary(void) {
  enum { ROWS = 24, WIDTH = 32, VOCABULARY = 257 };
  struct error error = {0};
  const struct ops *ops;
  struct device *device = opened(&ops, 0);
  struct weight_description description = {
      .outputs = VOCABULARY, .inputs = WIDTH, .dtype = DTYPE_BFLOAT16, .master = DTYPE_BFLOAT16};
  struct op_shape shape = {.rows = ROWS,
                           .width = WIDTH,
                           .vocabulary = VOCABULARY,
                           .dtype = DTYPE_BFLOAT16,
                           .weight = &description,
                           .training = true};
  size_t workspace_bytes = ops->workspace_bytes(device, OP_HEAD, &shape);
  void *workspace = ops->allocate(device, workspace_bytes, &error);
  ops->set_workspace(device, workspace, workspace_bytes);
  float *wide = ops->allocate(device, VOCABULARY * WIDTH * sizeof *wide, &error);
  uint16_t *master = ops->allocate(device, VOCABULARY * WIDTH * sizeof *master, &error);
  uint16_t *x = ops->allocate(device, ROWS * WIDTH * sizeof *x, &error);
  uint16_t *d_x = ops->allocate(device, ROWS * WIDTH * sizeof *d_x, &error);
  float *d_weight = ops->allocate(device, VOCABULARY * WIDTH * sizeof *d_weight, &error);
  struct loss_sum *sum = ops->allocate(device, sizeof *sum, &error), result = {0};
  int32_t targets[ROWS], *on_device = ops->allocate(device, sizeof targets, &error);
  for (int i = 0; i < ROWS; i++) targets[i] = i * 11 % VOCABULARY;
  ops->upload(device, on_device, targets, sizeof targets);
  ops->clear(device, sum, sizeof *sum);
  ops->fill_normal(device, wide, VOCABULARY * WIDTH, 0.02, 3, 0);
  ops->convert(device, VOCABULARY * WIDTH, DTYPE_FLOAT32, wide, DTYPE_BFLOAT16, master);
  ops->convert(device, ROWS * WIDTH, DTYPE_FLOAT32, wide, DTYPE_BFLOAT16, x);
  struct weight *weight = ops->weight_create(device, &description, NULL, &error);
  ops->weight_prepare(device, weight, master, 0);
  struct head head = {.weight = weight, .rows = ROWS, .dtype = DTYPE_BFLOAT16, .gradient_scale = 1.0f / ROWS};
#if !defined(TEST_ON_GPU)
  unsigned long long before = isoloss_emulator_slow_products();
#endif
  ops->head_loss(device, &head, x, on_device, NULL, sum, NULL, d_x, d_weight, false);
  CHECK(ops->download(device, &result, sum, sizeof result, &error));
  CHECK(result.targets == ROWS);
  CHECK_NEAR(result.nats / ROWS, log(VOCABULARY), 0.02);  // small logits
#if !defined(TEST_ON_GPU)
  CHECK(isoloss_emulator_slow_products() == before);
  // The emulated library does see columns that are not aligned.
  static uint16_t y[8 * 23];
  char choices[80];
  linear_product(8, 23, 32, y, NULL, choices, sizeof choices);
  CHECK(isoloss_emulator_slow_products() > before);
#endif
  ops->weight_free(device, weight);
  void *all[] = {workspace, wide, master, x, d_x, d_weight, sum, on_device};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) ops->free(device, all[i]);
  ops->close(device);
}

// ---- threads ----
struct asked {
  const struct ops *ops;
  struct device *device;
  float *memory, value, got;
  bool fine;
};

static void *ask(void *argument) {
  struct asked *a = argument;
  struct error error = {0};
  a->ops->fill_constant(a->device, a->memory, 1, a->value);
  a->fine = a->ops->download(a->device, &a->got, a->memory, sizeof a->got, &error);
  if (!a->fine) printf("# %s\n", error.text);
  return NULL;
}

// Calls from another thread than the one that opened the device, and (emulated) for two devices in turn.
static void threads(void) {
  struct error error = {0};
  struct asked asked[2];
  int devices = 1;
#if !defined(TEST_ON_GPU)
  isoloss_emulator_devices(devices = 2);
#endif
  for (int i = 0; i < devices; i++) {
    struct asked *a = &asked[i];
    *a = (struct asked){.value = (float)(i + 3)};
    a->device = opened(&a->ops, i);
    a->memory = a->ops->allocate(a->device, sizeof *a->memory, &error);
  }
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < devices; i++) {
      pthread_t thread;
      asked[i].value += 10;
      asked[i].got = 0;
      if (round == 0) {
        ask(&asked[i]);
      } else {
        CHECK(pthread_create(&thread, NULL, ask, &asked[i]) == 0);
        pthread_join(thread, NULL);
      }
      CHECK(asked[i].fine && asked[i].got == asked[i].value);
    }
  for (int i = 0; i < devices; i++) {
    asked[i].ops->free(asked[i].device, asked[i].memory);
    asked[i].ops->close(asked[i].device);
  }
#if !defined(TEST_ON_GPU)
  isoloss_emulator_devices(1);
#endif
}

// ---- auto ----
static bool there;
static bool pretended_present(void) { return there; }
static struct device *no_open(const struct device_options *options, struct error *error) {
  error_set(error, EXIT_ENVIRONMENT, "the card is busy");
  return NULL;
}

// What auto writes to standard error when a device cannot be opened.
static char *said(struct arena *arena, bool present) {
  struct error error = {0};
  struct ops ops = {.name = "cuda", .present = pretended_present, .open = no_open};
  struct device *device = NULL;
  char *path = path_join(arena, folder, "said");
  there = present;
  fflush(stderr);
  int kept = dup(2), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(file, 2);
  CHECK(!trainer_device_try(&ops, &(struct device_options){.threads = 1}, &device));
  fflush(stderr);
  dup2(kept, 2);
  close(kept);
  close(file);
  char *text = file_read(arena, path, NULL, &error);
  return text ? text : "";
}

static void why_the_cpu(void) {
  struct arena arena = {0};
  CHECK_TEXT(said(&arena, true), "model.device auto: the CPU trains, for the GPU cannot be used: the card is busy\n");
  CHECK_TEXT(said(&arena, false), "");
  arena_free(&arena);
}

int main(void) {
  struct error error = {0};
  if (!mkdtemp(folder)) return 1;
  setenv("XDG_CACHE_HOME", folder, 1);
  unsetenv("ISOLOSS_TRIALS");
  RUN(trials);
  RUN(odd_vocabulary);
  RUN(threads);
  RUN(why_the_cpu);
  folder_remove(folder, &error);
  return check_end();
}
