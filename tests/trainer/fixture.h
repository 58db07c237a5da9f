// What several tests of the trainer need: small configurations, models on the CPU, random batches.
#pragma once
#include <stdlib.h>

#include "base/base.h"
#include "tests/check.h"
#include "trainer/data/corpus.h"
#include "trainer/model.h"
#include "trainer/trainer.h"

// Sets "path=value" pairs, separated by spaces, on a configuration of defaults, and resolves it in float32.
static inline struct run_config fixture_config(struct arena *arena, const char *pairs) {
  struct run_config config;
  struct error error = {0};
  struct corpus_facts facts = {0};
  config_default(&config);
  char *copy = arena_string(arena, pairs);
  for (char *save, *pair = strtok_r(copy, " ", &save); pair; pair = strtok_r(NULL, " ", &save)) {
    char *equals = strchr(pair, '=');
    *equals = '\0';
    const struct run_field *field = field_find(pair, NULL);
    if (!CHECK(field != NULL) || !CHECK(config_set(&config, field, equals + 1, arena, &error)))
      printf("# %s: %s\n", pair, error.text);
  }
  if (!CHECK(config_resolve(&config, &facts, "float32", &error))) printf("# %s\n", error.text);
  return config;
}

struct fixture {
  const struct ops *ops;
  struct device *device;
  struct model *model;
};

static inline struct fixture fixture_open(const struct run_config *config, enum model_use use) {
  struct fixture fixture = {0};
  struct error error = {0};
  if (CHECK(trainer_device_open("cpu", config->train.threads, &fixture.ops, &fixture.device, &error)))
    fixture.model = model_create(fixture.ops, fixture.device, config, use, &error);
  if (!CHECK(fixture.model != NULL)) {
    printf("# %s\n", error.text);
    exit(check_end());
  }
  return fixture;
}

static inline void fixture_close(struct fixture *fixture) {
  model_free(fixture->model);
  fixture->ops->close(fixture->device);
}

// Random tokens, the targets shifted by one; with `masked`, about a third of the targets do not count.
static inline struct token_batch fixture_batch(struct arena *arena, const struct run_config *config, int64_t rows,
                                               bool masked, uint64_t seed, int64_t *targets) {
  int32_t *tokens = arena_array(arena, (size_t)rows + 1, sizeof *tokens);
  uint8_t *mask = arena_array(arena, (size_t)rows, 1);
  *targets = 0;
  for (int64_t i = 0; i <= rows; i++)
    tokens[i] = (int32_t)random_below(seed, 1000, 0, (uint64_t)i, (uint64_t)config->model.vocabulary);
  for (int64_t i = 0; i < rows; i++) {
    mask[i] = !masked || random_below(seed, 1001, 0, (uint64_t)i, 3) > 0;
    *targets += mask[i];
  }
  return (struct token_batch){rows, tokens, tokens + 1, masked ? mask : NULL};
}
