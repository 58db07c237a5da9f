// A tiny model and its batches, trained on a device for a few steps: what the tests of trainings share.
#pragma once
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "trainer/model.h"

#ifndef TEST_BACKEND
#define TEST_BACKEND "cuda-emulated"
#endif

#ifndef TEST_SEQUENCES
#define TEST_SEQUENCES 2
#endif
enum { STEPS = 50, CONTEXT = 16, SEQUENCES = TEST_SEQUENCES, ROWS = CONTEXT * SEQUENCES, VOCABULARY = 23 };

static inline struct run_config configuration_by(const char *optimizer, double lr, const char *format, int layers,
                                                 const char *dtype, const char *recompute) {
  struct run_config c;
  struct error error = {0};
  struct corpus_facts facts = {0};
  config_default(&c);
  c.model.layers = layers;
  c.format = format;
  c.model.width = 32;
  c.model.heads = 2;
  c.model.kv_heads = 1;
  c.model.context = CONTEXT;
  c.model.vocabulary = VOCABULARY;
  c.train.batch_tokens = ROWS;
  c.train.accumulation = layers;
  c.train.tokens = STEPS * ROWS;
  c.train.optimizer = optimizer;
  c.train.lr = lr;
  // Adam blows differences of a gradient that is nearly nothing up to whole steps: not below this.
  if (optimizer_reads(&c, field_find("train.adam_eps", NULL))) c.train.adam_eps = 1e-4;
  c.model.dtype = dtype;
  c.train.recompute = recompute;
  if (!CHECK(config_resolve(&c, &facts, dtype, &error))) {
    printf("# %s\n", error.text);
    exit(1);
  }
  return c;
}

static inline struct run_config configuration_of(const char *format, int layers, const char *dtype,
                                                 const char *recompute) {
  return configuration_by("adamw", 0.002, format, layers, dtype, recompute);
}

static inline struct run_config configuration(const char *dtype, const char *recompute) {
  return configuration_of("none", 2, dtype, recompute);
}

// Four batches of a noisy chain, again and again: something that 50 steps learn.
static inline void batch_of(int step, int32_t *tokens, int32_t *targets, uint8_t *mask) {
  uint64_t state = 1000003u * (uint64_t)(step + 1);
  for (int sequence = 0; sequence < SEQUENCES; sequence++) {
    int32_t a = 1, b = 2;
    for (int i = 0; i < CONTEXT; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      int32_t next = state >> 62 ? (a * 3 + b) % VOCABULARY : (int32_t)(state >> 40) % VOCABULARY;
      int at = sequence * CONTEXT + i;
      tokens[at] = b;
      targets[at] = next;
      mask[at] = at % 7 != 3 && at % 5 != step;
      a = b;
      b = next;
    }
  }
}

static inline void train(const char *backend, const struct run_config *c, int steps, double *losses, double *norms) {
  struct error error = {0};
  const struct ops *ops = ops_find(backend, &error);
  struct device *device = ops ? ops->open(&(struct device_options){.threads = 1}, &error) : NULL;
  struct model *model = device ? model_create(ops, device, c, MODEL_TRAIN, &error) : NULL;
  if (!CHECK(model != NULL)) {
    printf("# %s\n", error.text);
    exit(1);
  }
  model_initialise(model, 7);
  int32_t tokens[ROWS], targets[ROWS];
  uint8_t mask[ROWS];
  for (int step = 0; step < steps; step++) {
    batch_of(step % 4, tokens, targets, mask);
    int64_t counted = 0;
    for (int64_t i = 0; i < c->train.batch_tokens; i++) counted += mask[i];
    struct token_batch batch = {c->train.batch_tokens, tokens, targets, mask};
    model_step(model, &batch, counted, c->train.lr * (1 - 0.01 * step), step, step % 3);
    struct loss_sum sums[3], sum;
    double squares[3], square;
    if (!CHECK(model_results(model, step % 3 + 1, sums, squares, &error))) {
      printf("# step %d: %s\n", step, error.text);
      exit(1);
    }
    sum = sums[step % 3];
    square = squares[step % 3];
    losses[step] = sum.nats / (double)sum.targets;
    norms[step] = sqrt(square);
  }
  model_free(model);
  ops->close(device);
}
