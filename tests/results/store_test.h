// What tests of the store share: a folder that they make first, stores in it, runs to put there.
#pragma once
#include <stdlib.h>
#include <unistd.h>

#include "kernels/formats/format.h"
#include "results/store_internal.h"
#include "tests/check.h"

static char folder[256];
static struct arena arena;

static inline const char *file_of(const char *name) { return path_join(&arena, folder, name); }

static inline struct run_config make_config(int64_t seed, int64_t width) {
  struct run_config config;
  struct error error = {0};
  struct corpus_facts facts = {.known = false};
  config_default(&config);
  config.model.width = width;
  config.train.tokens = 409600;
  config.seed = seed;
  CHECK(config_resolve(&config, &facts, "float32", &error));
  return config;
}

// Adds a run of a format on a corpus of so many tokens to the store; returns its id.
static inline const char *add_run_of(struct store *store, int64_t seed, int64_t width, const char *format,
                                     int64_t train_tokens) {
  struct run_config *config = arena_alloc(&arena, sizeof *config);
  struct error error = {0};
  struct corpus_facts facts = {.known = true,
                               .digest = "digest",
                               .train_tokens = train_tokens,
                               .bytes_per_token = 1,
                               .targets_per_token = NAN,
                               .irreducible_loss = NAN};
  *config = make_config(seed, width);
  config->format = format;
  struct digest id = config_identity(config, "digest", "train", "");
  struct run_record record = {.id = arena_string(&arena, id.hex),
                              .stage = "train",
                              .config = config,
                              .corpus = facts,
                              .quantities = config_quantities(config, &facts)};
  CHECK(store_run_add(store, &record, &error));
  CHECK_TEXT(error.text, "");
  return record.id;
}

static inline const char *add_run(struct store *store, int64_t seed, int64_t width) {
  return add_run_of(store, seed, width, "none", 1000000);
}

static inline bool set(struct store *store, const char *id, const char *name, struct value value) {
  struct error error = {0};
  struct store_field field = {name, value};
  return store_run_update(store, id, &field, 1, &error);
}

static inline struct store *fresh(const char *name) {
  struct error error = {0};
  struct store *store = store_open(file_of(name), STORE_CREATE, &error);
  CHECK_TEXT(error.text, "");
  return store;
}

static inline int count_rows(struct store_rows *rows) {
  struct error error = {0};
  int count = 0;
  while (rows && store_rows_next(rows, &error)) count++;
  CHECK_TEXT(error.text, "");
  store_rows_close(rows);
  return count;
}

static inline const char *text_of(struct store *store, const char *id, const char *column) {
  struct error error = {0};
  struct store_rows *rows = store_run(store, id, &error);
  struct value value = store_rows_get(rows, column);
  const char *text = value.kind == VALUE_TEXT ? arena_string(&arena, value.text) : "missing";
  store_rows_close(rows);
  return text;
}

static inline double number_of(struct store *store, const char *id, const char *column) {
  struct error error = {0};
  struct store_rows *rows = store_run(store, id, &error);
  struct value value = store_rows_get(rows, column);
  store_rows_close(rows);
  return value.kind == VALUE_NUMBER ? value.number : NAN;
}

// What follows from a format and from the corpus stands beside the run, one definition for all who read.
