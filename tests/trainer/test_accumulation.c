// Micro-batches and the batches of evaluations change nothing but rounding, for every kind of format: loss and
// gradients of a step, losses of a training, and an evaluation's loss, which is the same to the bit whatever the
// training's batch is.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "tests/check.h"
#include "trainer/layout.h"

// An emulated device takes its time: fewer layers, steps, formats and ways to cut a batch (tests/cuda/test_formats.c
// compares layers of every kind, cut by sequences, with the CPU's).
#ifndef TEST_BACKEND
#define TEST_BACKEND "cpu"
enum { LAYERS = 2, STEPS = 4, SEQUENCES = 8, EVALUATED = 12, LEAST_BATCHES = 2, MOST_BATCHES = 8 };
#define EVERY_FORMAT 1
#else
enum { LAYERS = 1, STEPS = 1, SEQUENCES = 4, EVALUATED = 2, LEAST_BATCHES = 4, MOST_BATCHES = 4 };
#define EVERY_FORMAT 0
#endif

// A context that neither groups of 16 or 32 nor Hadamard blocks of 16 divide: what is cut by anything but sequences
// shows.
enum { CONTEXT = 24, TOKENS = CONTEXT * SEQUENCES, VOCABULARY = 29 };

#if EVERY_FORMAT
// With the presets, every scale, unit, rounding, transform, selection and estimator that meets tokens.
static const char *const formats[] = {
    "none",
    "w4a4",
    "w4",
    "lsq-w4a4",
    "ste-w3a3",
    "clip-w3a3",
    "absmax-w8a8",
    "mxfp4",
    "w(nvfp4)a(nvfp4)",
    "w(nvfp4)a(nvfp4)g(nvfp4)",
    "w(nvfp4)a(nvfp4)g(nvfp4[stochastic])[requantize]",
    "quartet2",
    "w(nvfp4[square(16)])a(nvfp4)g(nvfp4[stochastic,signed-hadamard-up-to(16)])[tokens,high-precision(0.5)]",
    "w(seq-int2)a(nvfp4[four-over-six])",
    "w(int4)a(fp8-e4m3[absmax,tensor,no-hadamard])",
    "w(int4)a(int4[absmax,tensor])",
    "w(int4)a(int4[rms,tensor,no-hadamard])",
    "w(int4)a(int4[stochastic])g(int4[stochastic])",
    "w(int4)a(fp8-e4m3[static(0.1),tensor,no-hadamard])g(fp8-e5m2[static(0.001),tensor,no-hadamard])",
    "w4a4g8",
    "g(int8[absmax,no-hadamard])",
    "g(mxfp8[no-hadamard])",
    "w(int4)a(int4)g(int8[random-hadamard])[requantize]",
    "w(vq2-16)a(vq2-16)g(vq4-256)",
    "w(noise(0.01))a(noise(0.01))g(noise(0.01))",
    "w(2:4+int4)a(2:4)g(2:4+int8)",
    "a(sparse(0.3,rms(0.2)))g(sparse(0.3))",
    "sparse(0.5)",
    "random-sparse(0.5)",
    "sparse(0.6,journey,every(1))",
    "w(levels(-1 -0.3 0.3 1))a(levels(-1 -0.3 0.3 1))",
};
#else
static const char *const formats[] = {
    "none",
    "lsq-w4a4",
    "w(nvfp4)a(nvfp4)g(nvfp4[stochastic])[requantize]",
    "w(int4)a(int4[rms,tensor,no-hadamard])",
    "g(int8[absmax,no-hadamard])",
    "w(noise(0.01))a(noise(0.01))g(noise(0.01))",
    "quartet",
    "quartet2",
    "w(nvfp4[square(16)])a(nvfp4)g(nvfp4[stochastic,signed-hadamard-up-to(16)])[tokens,high-precision(0.5)]",
    "halo2-int8",
    "fp8-mixed",
};
#endif

static struct run_config configuration(const char *format, int64_t accumulation) {
  struct run_config c;
  struct error error = {0};
  struct corpus_facts facts = {0};
  config_default(&c);
  c.model.layers = LAYERS;
  c.model.width = 32;
  c.model.heads = 2;
  c.model.kv_heads = 1;
  c.model.context = CONTEXT;
  c.model.vocabulary = VOCABULARY;
  c.train.batch_tokens = TOKENS;
  c.train.accumulation = accumulation;
  c.train.tokens = STEPS * TOKENS;
  c.train.lr = 0.002;
  c.train.adam_eps = 1e-4;  // Adam blows differences of a gradient that is nearly nothing up to whole steps
  c.format = format;
  if (CHECK(config_resolve(&c, &facts, "float32", &error))) return c;
  printf("# %s: %s\n", format, error.text);
  exit(1);
}

struct outcome {
  double loss, losses[STEPS];  // of the first step's gradient; of a training
  double evaluated;            // nats of the initial model, in evaluations of the trainer's size
  double apart;                // the largest difference of evaluations in other sizes from it, relative
  float *gradients;
};

static struct token_batch batch_of(int64_t tokens, int step, bool masked, struct arena *arena) {
  int32_t *inputs = arena_array(arena, (size_t)tokens + 1, sizeof *inputs);
  uint8_t *mask = arena_array(arena, (size_t)tokens, 1);
  for (int64_t i = 0; i <= tokens; i++)
    inputs[i] = (int32_t)(random_below((uint64_t)step, 1000, 0, (uint64_t)i, 8) * 3 + (uint64_t)i % 5);
  for (int64_t i = 0; i < tokens; i++) mask[i] = !masked || i % 7 != 3;
  return (struct token_batch){tokens, inputs, inputs + 1, masked ? mask : NULL};
}

static int64_t targets_of(const struct token_batch *batch) {
  int64_t targets = 0;
  for (int64_t i = 0; i < batch->rows; i++) targets += !batch->mask || batch->mask[i];
  return targets;
}

// The loss on EVALUATED sequences, so many at a time.
static double evaluate(struct model *m, int64_t at_once, struct arena *arena) {
  struct token_batch all = batch_of(EVALUATED * CONTEXT, 99, false, arena);
  struct loss_sum sum = {0};
  struct error error = {0};
  for (int64_t row = 0, next; row < all.rows; row = next) {
    next = row + at_once * CONTEXT < all.rows ? row + at_once * CONTEXT : all.rows;
    struct token_batch part = {next - row, all.tokens + row, all.targets + row, NULL};
    if (!CHECK(model_evaluate(m, &part, row, &sum, NULL, &error))) printf("# %s\n", error.text);
  }
  return sum.nats / (double)sum.targets;
}

static void first_gradient(struct model *m, struct outcome *o, struct arena *arena) {
  struct token_batch batch = batch_of(TOKENS, 0, true, arena);
  struct error error = {0};
  struct loss_sum sum;
  for (int64_t row = 0; row < TOKENS; row += m->rows) {
    struct token_batch micro = {m->rows, batch.tokens + row, batch.targets + row, batch.mask + row};
    model_gradient(m, &micro, 1 / (double)targets_of(&batch), row, row == 0, 0);
  }
  model_finish_gradients(m);
  CHECK(model_results(m, 1, &sum, NULL, &error));
  o->loss = sum.nats / (double)sum.targets;
  size_t bytes = (size_t)m->table.count * sizeof(float);
  o->gradients = arena_array(arena, (size_t)m->table.count, sizeof(float));
  CHECK(m->ops->download(m->device, o->gradients, m->gradients, bytes, &error));
}

// An evaluation stands between the gradient and the training, and between every two steps: none leaves anything behind.
static struct outcome run(const char *format, int64_t accumulation, struct arena *arena) {
  struct outcome o = {0};
  struct error error = {0};
  struct run_config c = configuration(format, accumulation);
  const struct ops *ops = ops_find(TEST_BACKEND, &error);
  struct device *device = ops ? ops->open(&(struct device_options){.threads = 1}, &error) : NULL;
  struct model *m = device ? model_create(ops, device, &c, MODEL_TRAIN, &error) : NULL;
  if (!CHECK(m != NULL)) {
    printf("# %s: %s\n", format, error.text);
    exit(1);
  }
  model_initialise(m, 7);
  first_gradient(m, &o, arena);
  o.evaluated = evaluate(m, m->evaluation_rows / CONTEXT, arena);
  for (int64_t at_once = 1; at_once < EVALUATED; at_once += 4)
    o.apart = fmax(o.apart, fabs(evaluate(m, at_once, arena) / o.evaluated - 1));
  for (int step = 0; step < STEPS; step++) {
    struct token_batch batch = batch_of(TOKENS, step, true, arena);
    struct loss_sum sum;
    double square_sum;
    model_step(m, &batch, targets_of(&batch), c.train.lr, step, 0);
    evaluate(m, 3, arena);
    CHECK(model_results(m, 1, &sum, &square_sum, &error));
    o.losses[step] = sum.nats / (double)sum.targets;
  }
  model_free(m);
  ops->close(device);
  return o;
}

static double distance(const float *a, const float *b, int64_t count) {
  double difference = 0, square = 0;
  for (int64_t i = 0; i < count; i++) {
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    square += (double)b[i] * (double)b[i];
  }
  return sqrt(difference / square);
}

static double worst_gradient, worst_loss, worst_later;

static void check_format(const char *format) {
  struct arena arena = {0};
  struct run_config c = configuration(format, 1);
  int64_t count = config_parameters(&c).total;
  struct outcome one = run(format, 1, &arena);
  CHECK(one.apart < 1e-6);
  for (int64_t accumulation = LEAST_BATCHES; accumulation <= MOST_BATCHES; accumulation *= 2) {
    struct outcome more = run(format, accumulation, &arena);
    double gradient = distance(more.gradients, one.gradients, count), loss = fabs(more.loss / one.loss - 1), later = 0;
    for (int step = 0; step < STEPS; step++) later = fmax(later, fabs(more.losses[step] / one.losses[step] - 1));
    // In later steps, a value that rounding moves over an edge of a grid moves by a step of it, now and then.
    if (!CHECK(loss < 1e-6 && gradient < 1e-5 && later < 1e-3) || !CHECK(more.evaluated == one.evaluated))
      printf(
          "# %s in %d micro-batches: loss apart by %.2g, gradients by %.2g, losses of a training by %.2g; evaluated "
          "%.17g and %.17g\n",
          format, (int)accumulation, loss, gradient, later, more.evaluated, one.evaluated);
    worst_gradient = fmax(worst_gradient, gradient);
    worst_loss = fmax(worst_loss, loss);
    worst_later = fmax(worst_later, later);
  }
  arena_free(&arena);
}

static void micro_batches_change_nothing(void) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) check_format(formats[i]);
  for (const struct format_preset *preset = format_presets; EVERY_FORMAT && preset->name; preset++)
    check_format(preset->name);
  printf("# at most: losses apart by %.2g, gradients by %.2g, losses of trainings by %.2g\n", worst_loss,
         worst_gradient, worst_later);
}

int main(void) {
  setenv("ISOLOSS_TRIALS", "off", 1);  // the user's cache is not a test's
  RUN(micro_batches_change_nothing);
  return check_end();
}
