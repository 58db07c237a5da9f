// Every operation of kernels/cases on a device, at the shapes that a training step of a model has, against what the
// device can do at most: one JSON object a line on standard output. Times are the device's own where it has a clock,
// the best of several bursts.
//   bench DEVICE [--dtype D] [--rows N] [--context T] [--width W] [--vocabulary V] [--seconds S]
// The first line is the device with its measured peaks: products (FLOP/s, by dtype), and copying (bytes read and
// written a second).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"
#include "kernels/cases/cases.h"
#include "packaging/gpu/check.h"
#include "trainer/trainer.h"

struct gpu_bench {
  const struct ops *ops;
  struct device *device;
  double peak[2], bandwidth, seconds;  // seconds: of a pass
};

// Seconds of one call: the best of bursts, each long enough for the clock.
static double best_time(struct gpu_bench *b, void (*call)(void *), void *argument, struct error *error) {
  double best = INFINITY, began = clock_seconds();
  int calls = 1;
  for (int round = 0; round < 3 || (clock_seconds() - began < b->seconds && round < 100); round++) {
    double took;
    if (b->ops->mark) {
      b->ops->mark(b->device, 0);
      for (int i = 0; i < calls; i++) call(argument);
      b->ops->mark(b->device, 1);
      took = b->ops->between(b->device, 0, 1);
    } else {
      double start = clock_seconds();
      for (int i = 0; i < calls; i++) call(argument);
      if (!b->ops->synchronize(b->device, error)) return NAN;
      took = clock_seconds() - start;
    }
    if (round > 0) best = fmin(best, took / calls);  // the first makes plans
    if (took < 2e-3 && calls < 64 && clock_seconds() - began < b->seconds / 4) calls *= 2;
  }
  return b->ops->synchronize(b->device, error) ? best : NAN;
}

// ---- copying ----
struct copied {
  struct gpu_bench *b;
  char *memory;
  size_t bytes;
};

static void copy_once(void *argument) {
  struct copied *c = argument;
  c->b->ops->copy(c->b->device, c->memory, c->memory + c->bytes, c->bytes);
}

static bool measure_copying(struct gpu_bench *b, size_t bytes, struct error *error) {
  struct copied c = {b, b->ops->allocate(b->device, 2 * bytes, error), bytes};
  if (!c.memory) return false;
  b->ops->clear(b->device, c.memory, 2 * bytes);
  double seconds = best_time(b, copy_once, &c, error);
  b->bandwidth = 2 * (double)bytes / seconds;
  b->ops->free(b->device, c.memory);
  return !error->code;
}

// ---- passes ----
struct timed_pass {
  struct case_run *run;
  size_t pass;
};

static void run_once(void *argument) {
  struct timed_pass *timed = argument;
  case_run_pass(timed->run, timed->pass);
}

static void put_line(struct text *text) {
  printf("%s\n", text_string(text));
  fflush(stdout);
  text_free(text);
}

static void put_pass(struct gpu_bench *b, struct op_case *c, const struct case_pass *pass, const struct case_cost *cost,
                     double seconds) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  double floor = fmax(cost->bytes / b->bandwidth, cost->flops / b->peak[c->dtype]);
  json_object_begin(&json);
  json_key_string(&json, "pass", pass->name);
  json_key_string(&json, "shape", case_shape_text(c));
  json_key_string(&json, "sizes", c->operation->sizes);
  if (c->format) json_key_string(&json, "format", c->shape->format);
  json_key_string(&json, "dtype", dtype_name(c->dtype));
  json_key_number(&json, "seconds", seconds);
  json_key_number(&json, "flops", cost->flops);
  json_key_number(&json, "bytes", cost->bytes);
  json_key_number(&json, "floor_seconds", floor);
  json_key_string(&json, "bound", cost->flops / b->peak[c->dtype] > cost->bytes / b->bandwidth ? "products" : "memory");
  json_object_end(&json);
  put_line(&text);
}

static bool bench_case(struct gpu_bench *b, const struct operation *operation, const struct case_shape *shape,
                       enum dtype dtype, struct error *error) {
  struct op_case c;
  struct case_run run = {0};
  bool fine = case_make(&c, operation, shape, dtype, false, error);
  if (fine && case_supported(&c, b->ops, b->device)) {
    fine = case_run_open(&run, &c, b->ops, b->device, error);
    for (size_t pass = 0; pass < operation->pass_count && fine; pass++) {
      struct timed_pass timed = {&run, pass};
      run_once(&timed);  // later passes need what earlier ones made
      fine = b->ops->synchronize(b->device, error);
      struct case_cost cost =
          fine && operation->passes[pass].cost ? operation->passes[pass].cost(&run) : (struct case_cost){0};
      if (!fine || (cost.flops <= 0 && cost.bytes <= 0)) continue;
      double seconds = best_time(b, run_once, &timed, error);
      fine = !error->code;
      if (fine) put_pass(b, &c, &operation->passes[pass], &cost, seconds);
    }
    case_run_close(&run);
  }
  case_free(&c);
  return fine;
}

static void put_device(const struct gpu_bench *b, const struct case_model *model) {
  struct text text = {0}, device = {0};
  struct json_writer json = json_writer(&text, false);
  b->ops->describe(b->device, &device);
  json_object_begin(&json);
  json_key_string(&json, "backend", b->ops->name);
  json_key_string(&json, "device", text_string(&device));
  json_key_string(&json, "clock", b->ops->mark ? "device" : "host");
  for (int dtype = 0; dtype < 2; dtype++)
    if (b->peak[dtype] > 0) json_key_number(&json, dtype ? "peak_bfloat16" : "peak_float32", b->peak[dtype]);
  json_key_number(&json, "copy_bytes_per_second", b->bandwidth);
  json_key_integer(&json, "rows", case_model_rows(model));
  json_key_integer(&json, "context", model->context);
  json_key_integer(&json, "width", model->width);
  json_key_integer(&json, "vocabulary", model->vocabulary);
  json_object_end(&json);
  text_free(&device);
  put_line(&text);
}

int gpu_bench(int argc, char **argv) {
  struct error error = {0};
  struct gpu_bench b = {.seconds = 0.2};
  int64_t rows = 16384, context = 1024, width = 768, vocabulary = 50304;
  const char *dtype_text = "bfloat16";
  double seconds = 0.2;
  const struct option options[] = {{"dtype", 0, OPTION_TEXT, &dtype_text, "D", "float32 or bfloat16"},
                                   {"rows", 0, OPTION_INTEGER, &rows, "N", "tokens of a micro-batch"},
                                   {"context", 0, OPTION_INTEGER, &context, "T", "tokens of a sequence"},
                                   {"width", 0, OPTION_INTEGER, &width, "W", "the model's"},
                                   {"vocabulary", 0, OPTION_INTEGER, &vocabulary, "V", "the model's"},
                                   {"seconds", 0, OPTION_NUMBER, &seconds, "S", "of each pass"},
                                   {0}};
  struct arena arena = {0};
  struct arguments given;
  enum dtype dtype = DTYPE_BFLOAT16;
  bool fine = options_parse(options, "bench", argc, argv, &arena, &given, &error);
  if (fine && (given.count != 1 || rows < context || rows % context || width % 16 || vocabulary < 2 ||
               !dtype_find(dtype_text, &dtype)))
    fine = error_set(&error, EXIT_USAGE_ERROR, "bench DEVICE: rows in whole sequences, a width of whole 16s, a dtype");
  b.seconds = seconds;
  fine = fine && trainer_device_open(given.items[0], 1, &b.ops, &b.device, &error);
  if (fine) {
    int64_t head_dim = width >= 64 ? 64 : 16;
    struct case_model model = {.sequences = rows / context,
                               .context = context,
                               .width = width,
                               .hidden = (width * 8 / 3 + 63) / 64 * 64,
                               .vocabulary = vocabulary,
                               .heads = width / head_dim,
                               .kv_heads = width / head_dim,
                               .head_dim = head_dim,
                               .parameters = 12 * 12 * width * width + vocabulary * width};
    for (int type = 0; type < 2; type++)
      b.peak[type] = b.ops->product_peak ? b.ops->product_peak(b.device, (enum dtype)type) : NAN;
    size_t copied = strcmp(b.ops->name, "cuda") == 0 ? (size_t)1 << 28 : (size_t)1 << 16;
    fine = measure_copying(&b, copied, &error);
    if (fine) put_device(&b, &model);
    for (size_t i = 0; i < operation_count && fine; i++) {
      struct case_shape shapes[CASE_MODEL_SHAPES];
      int count = operations[i]->of_model ? operations[i]->of_model(&model, shapes) : 0;
      for (int s = 0; s < count && fine; s++)
        fine = bench_case(&b, operations[i], &shapes[s], operations[i]->one_dtype ? DTYPE_FLOAT32 : dtype, &error);
    }
    b.ops->close(b.device);
  }
  arena_free(&arena);
  return fine ? EXIT_DONE : error_print("bench", &error);
}
