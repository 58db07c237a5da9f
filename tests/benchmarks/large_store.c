// Fills the store of $ISOLOSS_HOME with many made-up runs, to measure what commands take on them:
//   large-store RUNS POINTS EXPERIMENT SPEC
// Sizes times token budgets times seeds, all done, each with POINTS evaluations and as many points of the training
// loss. SPEC is the file that the experiment is said to have come from.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "results/store.h"

enum { SIZES = 20, BUDGETS = 10 };

struct filler {
  struct store *store;
  struct arena arena;
  const char **ids;
  size_t count, points;
};

static void stop(const struct error *error) {
  fprintf(stderr, "large-store: %s\n", error->text);
  exit(3);
}

static void set(struct filler *f, struct run_config *config, const char *path, const char *value) {
  struct error error = {0};
  if (!config_set(config, field_find(path, NULL), value, &f->arena, &error)) stop(&error);
}

static double loss_at(double size, double tokens) { return 0.9 + 28 * pow(size, -0.36) + 46 * pow(tokens, -0.33); }

static double noise(uint64_t run, uint64_t point) {
  double pair[2];
  random_normal_pair(11, RANDOM_STREAM_NOISE, run, point, pair);
  return 1 + 0.004 * pair[0];
}

static void put_curves(struct filler *f, const char *id, size_t run, double size, double tokens, double batch) {
  struct error error = {0};
  for (int kind = 0; kind < 2; kind++)
    for (size_t k = 0; k < f->points; k++) {
      double at = batch * 4 * pow(tokens / (batch * 4), (double)(k + 1) / (double)f->points);
      struct metric metric = {.kind = kind ? METRIC_TRAIN : METRIC_EVAL,
                              .step = (int64_t)k + 1,
                              .tokens = at,
                              .loss = loss_at(size, at) * noise(run, k + 1),
                              .lr = NAN,
                              .seconds = NAN,
                              .gradient_norm = NAN,
                              .tokens_per_second = NAN,
                              .oracle_loss = NAN,
                              .active_parameters = NAN};
      if (!store_metric_put(f->store, id, &metric, &error)) stop(&error);
    }
}

static void add_run(struct filler *f, size_t run) {
  struct error error = {0};
  struct run_config config;
  struct corpus_facts facts = {.known = true,
                               .digest = "0123456789abcdef0123456789abcdef",
                               .vocabulary = 257,
                               .train_tokens = 38000000,
                               .validation_tokens = 400000,
                               .bytes_per_token = 1,
                               .targets_per_token = 1,
                               .irreducible_loss = NAN};
  size_t width = 16 * (1 + run % SIZES), budget = run / SIZES % BUDGETS, seed = run / (SIZES * BUDGETS);
  config_default(&config);
  set(f, &config, "corpus.source", "gcide");
  set(f, &config, "model.layers", "2");
  set(f, &config, "model.head_dim", "8");
  set(f, &config, "model.width", arena_format(&f->arena, "%zu", width));
  set(f, &config, "train.tokens", arena_format(&f->arena, "%g", 1e6 * pow(1.5, (double)budget)));
  set(f, &config, "seed", arena_format(&f->arena, "%zu", seed));
  if (!config_resolve(&config, &facts, "float32", &error)) stop(&error);
  struct run_record record = {
      .stage = "train", .config = &config, .corpus = facts, .quantities = config_quantities(&config, &facts)};
  struct digest digest = config_identity(&config, facts.digest, "train", "");
  const char *id = record.id = f->ids[f->count++] = arena_string(&f->arena, digest.hex);
  double size = (double)record.quantities.parameters.non_embedding, tokens = (double)config.train.tokens;
  double loss = loss_at(size, tokens) * noise(run, 0);
  const struct store_field fields[] = {
      {"state", store_text("done")},
      {"loss", store_number(loss)},
      {"bits_per_byte", store_number(loss / log(2))},
      {"step", store_number((double)config.train.steps)},
      {"wall_seconds", store_number(6 * size * tokens / 4e9)},
      {"tokens_per_second", store_number(4e9 / 6 / size)},
      {"backend", store_text("cpu")},
      {"dtype", store_text("float32")},
      {"host", store_text("laptop")},
      {"trainer", store_text("isoloss-train")},
      {"finished_at", store_number(1000)},
  };
  if (!store_run_add(f->store, &record, &error) ||
      !store_run_update(f->store, id, fields, sizeof fields / sizeof *fields, &error))
    stop(&error);
  put_curves(f, id, run, size, tokens, (double)config.train.batch_tokens);
}

int main(int argc, char **argv) {
  struct filler f = {0};
  struct error error = {0};
  int64_t runs, points;
  if (argc != 5 || !integer_parse(argv[1], &runs) || !integer_parse(argv[2], &points) || runs < 1 || points < 1) {
    fprintf(stderr, "usage: large-store RUNS POINTS EXPERIMENT SPEC\n");
    return 2;
  }
  f.points = (size_t)points;
  f.ids = arena_array(&f.arena, (size_t)runs, sizeof *f.ids);
  const char *spec = file_read(&f.arena, argv[4], NULL, &error);
  if (!spec || !(f.store = store_open_home(STORE_CREATE, &error)) || !store_begin(f.store, &error) ||
      !store_experiment_put(
          f.store, &(struct experiment_record){.name = argv[3], .spec_path = argv[4], .spec_text = spec, .about = ""},
          &error))
    stop(&error);
  for (size_t i = 0; i < (size_t)runs; i++) add_run(&f, i);
  if (!store_experiment_set_runs(f.store, argv[3], f.ids, f.count, &error) || !store_commit(f.store, &error))
    stop(&error);
  store_close(f.store);
  arena_free(&f.arena);
  return 0;
}
