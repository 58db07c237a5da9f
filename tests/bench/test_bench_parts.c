// Parts of `isoloss bench`: the timing backend changes no result and sees every call, the operations that are timed
// alone are those of a step, and the floor holds the products it should.
#include <stdlib.h>

#include "runner/bench/model.h"
#include "runner/bench/operations.h"
#include "tests/check.h"

static struct bench_options tiny(void) {
  return (struct bench_options){.quick = true,
                                .dtype = "float32",
                                .threads = 1,
                                .layers = 3,
                                .width = 32,
                                .vocabulary = 80,
                                .context = 24,
                                .batch = 2};
}

static bool open_tiny(struct bench *bench, const struct run_config **model, struct error *error) {
  struct bench_options options = tiny();
  int count;
  return bench_open(bench, &options, error) && bench_models(bench, model, &count, error) && count == 1;
}

static void train(const struct ops *ops, struct device *device, const struct run_config *config, double losses[3]) {
  struct error error = {0};
  struct model *model = model_create(ops, device, config, MODEL_TRAIN, &error);
  CHECK(model != NULL);
  if (!model) return;
  model_initialise(model, 7);
  int32_t tokens[2 * 48];
  for (int i = 0; i < 96; i++) tokens[i] = i * 37 % 80;
  struct token_batch batch = {.rows = 48, .tokens = tokens, .targets = tokens + 48};
  for (int step = 0; step < 3; step++) {
    struct loss_sum sum;
    double squares;
    model_step(model, &batch, 48, 1e-2, step, 0);
    CHECK(model_results(model, 1, &sum, &squares, &error));
    losses[step] = sum.nats;
  }
  model_free(model);
}

static void timing_changes_nothing(void) {
  struct bench bench = {0};
  struct error error = {0};
  const struct run_config *config;
  CHECK(open_tiny(&bench, &config, &error));
  struct bench_profile profile;
  bench_profile_open(&profile, &bench);
  double plain[3] = {0}, timed[3] = {1};
  train(bench.ops, bench.device, config, plain);
  train(&profile.ops, bench_profile_device(&profile), config, timed);
  for (int i = 0; i < 3; i++) CHECK(plain[i] == timed[i]);
  CHECK(plain[2] < plain[0]);
  bench_profile_close(&profile);
  bench_close(&bench);
}

static int calls_of(const struct bench_profile *profile, const char *name) {
  int count = 0;
  for (size_t i = 0; i < profile->count; i++) count += strcmp(profile->calls[i].name, name) == 0;
  return count;
}

static void every_call_is_seen(void) {
  struct bench bench = {0};
  struct error error = {0};
  const struct run_config *config;
  struct bench_model m = {0};
  CHECK(open_tiny(&bench, &config, &error) && bench_model_open(&m, &bench, config, &error));
  double seconds, wall;
  for (int i = 0; i < 4; i++) CHECK(bench_model_step(&m, &seconds, &wall, &error));
  const struct {
    const char *name;
    int calls;
  } expected[] = {{"linear forward", 12},
                  {"linear input gradient", 12},
                  {"linear weight gradient", 12},
                  {"head with loss", 1},
                  {"attention forward", 3},
                  {"attention backward", 3},
                  {"rmsnorm forward", 7},
                  {"rmsnorm backward", 7},
                  {"qkv forward", 3},
                  {"qkv backward", 3},
                  {"swiglu forward", 3},
                  {"swiglu backward", 3},
                  {"embedding forward", 1},
                  {"embedding backward", 1},
                  {"weight prepare", 13},
                  {"square sum", 1},
                  {"adamw", 1}};
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    int got = calls_of(&m.profile, expected[i].name);
    if (got != expected[i].calls) printf("# %s: %d calls\n", expected[i].name, got);
    CHECK(got == expected[i].calls);
  }
  for (size_t i = 0; i < m.profile.count; i++) {
    const struct bench_call *call = &m.profile.calls[i];
    CHECK(call->repeats == 4 && call->best > 0 && call->total >= 4 * call->best * (1 - 1e-9));
  }
  const char **names = arena_array(&bench.arena, m.profile.count, sizeof *names);
  size_t count = bench_profile_names(&m.profile, names);
  double parts = 0;
  for (size_t i = 0; i < count; i++) parts += bench_profile_best(&m.profile, names[i]);
  CHECK_NEAR(parts / bench_profile_best(&m.profile, NULL), 1, 1e-9);
  bench_model_close(&m);
  bench_close(&bench);
}

// How many calls of a step have a case's sizes: those of the first three numbers, rows, outputs and inputs.
static int calls_of_size(const struct bench_profile *profile, const char *name, const int64_t size[3]) {
  int count = 0;
  for (size_t i = 0; i < profile->count; i++)
    count += strcmp(profile->calls[i].name, name) == 0 && memcmp(profile->calls[i].size, size, 3 * sizeof *size) == 0;
  return count;
}

// What is timed alone is what a step does: each name of a step's calls is a pass of the table, and the products of the
// table's passes, as often as the step calls them, are the run's FLOPs.
static void operations_are_those_of_a_step(void) {
  struct bench bench = {0};
  struct error error = {0};
  const struct run_config *config;
  struct bench_model m = {0};
  CHECK(open_tiny(&bench, &config, &error) && bench_model_open(&m, &bench, config, &error));
  CHECK(bench_model_step(&m, NULL, NULL, &error));
  struct bench_operation *list;
  size_t count = bench_operations(&bench.arena, config, &list);
  const char **names = arena_array(&bench.arena, m.profile.count, sizeof *names);
  size_t name_count = bench_profile_names(&m.profile, names);
  for (size_t n = 0; n < name_count; n++) {
    bool known = strcmp(names[n], BENCH_MEMORY) == 0;
    for (size_t i = 0; i < count; i++)
      for (size_t pass = 0; pass < list[i].operation->pass_count; pass++)
        known |= strcmp(names[n], list[i].operation->passes[pass].name) == 0;
    if (!CHECK(known)) printf("# no pass %s\n", names[n]);
  }
  double flops = 0;
  for (size_t i = 0; i < count; i++) {
    struct op_case c;
    struct case_run run = {.c = &c, .ops = bench.ops, .device = bench.device};
    CHECK(case_make(&c, list[i].operation, &list[i].shape, list[i].dtype, false, &error));
    for (size_t pass = 0; pass < list[i].operation->pass_count; pass++) {
      const struct case_pass *p = &list[i].operation->passes[pass];
      struct case_cost cost = p->cost ? p->cost(&run) : (struct case_cost){0};
      bool layer = strcmp(list[i].operation->name, "linear") == 0;
      if (cost.flops > 0)
        flops += cost.flops *
                 (layer ? calls_of_size(&m.profile, p->name, list[i].shape.size) : calls_of(&m.profile, p->name));
    }
    case_free(&c);
  }
  CHECK_NEAR(flops / bench_model_flops(&m), 1, 1e-12);
  bench_model_close(&m);
  bench_close(&bench);
}

// The products that a pass says it has multiply as much as it says it does; attention's are not causal.
static void products_are_those_of_a_pass(void) {
  const struct case_model model = {.sequences = 3,
                                   .context = 10,
                                   .width = 24,
                                   .hidden = 40,
                                   .vocabulary = 50,
                                   .heads = 6,
                                   .kv_heads = 2,
                                   .head_dim = 4,
                                   .parameters = 1000};
  int multiplying = 0;
  for (size_t i = 0; i < operation_count; i++) {
    struct case_shape shapes[CASE_MODEL_SHAPES];
    int count = operations[i]->of_model ? operations[i]->of_model(&model, shapes) : 0;
    CHECK(count <= CASE_MODEL_SHAPES);
    for (int s = 0; s < count; s++) {
      struct op_case c;
      struct error error = {0};
      CHECK(case_make(&c, operations[i], &shapes[s], DTYPE_FLOAT32, false, &error));
      struct case_run run = {.c = &c};
      for (size_t pass = 0; pass < operations[i]->pass_count; pass++) {
        const struct case_pass *p = &operations[i]->passes[pass];
        if (!p->products) continue;
        struct case_product products[CASE_PRODUCTS];
        int product_count = p->products(&shapes[s], products);
        double flops = 0, causal = operations[i]->kind == OP_ATTENTION ? 2 * 10.0 / 11 : 1;
        for (int k = 0; k < product_count; k++)
          flops += 2 * products[k].count * (double)(products[k].m * products[k].n * products[k].k);
        CHECK_NEAR(flops / (causal * p->cost(&run).flops), 1, 1e-12);
        multiplying++;
      }
      case_free(&c);
    }
  }
  CHECK(multiplying == 4 * 3 + 1 + 2);
}

static void floor_has_all_products(void) {
  struct bench bench = {0};
  struct error error = {0};
  const struct run_config *config;
  struct bench_products products = {0};
  CHECK(open_tiny(&bench, &config, &error) && bench_products_of_step(&bench, config, &products, &error));
  double flops = 0, sum = 0;
  for (int i = 0; i < products.count; i++) {
    flops += products.items[i].count * bench_product_flops(&products.items[i]);
    products.items[i].best = i + 1;
    sum += products.items[i].count * (i + 1);
  }
  // Attention in full: T keys a query instead of the (T + 1) / 2 that the run's FLOPs count.
  struct corpus_facts facts = {0};
  double causal = config_quantities(config, &facts).flops_per_token * 48, pairs = 3 * 48 * 32 * 2.0 * 6;
  CHECK_NEAR(flops / (causal + pairs * (24 - 12.5)), 1, 1e-12);
  CHECK_NEAR(bench_products_floor(&products), sum, 1e-12);
  CHECK(bench_products_best(&products, GEMM_NT, 48, 80, 32) > 0);
  CHECK(isnan(bench_products_best(&products, GEMM_NT, 48, 81, 32)));
  CHECK(bench_products_time(&products, &error) && bench_products_pass(&products, &error));
  for (int i = 0; i < products.count; i++) CHECK(products.items[i].best > 0 && products.items[i].best < i + 1);
  bench_products_close(&products);
  bench_close(&bench);
}

static void peaks_only_rise(void) {
  struct bench bench = {0};
  struct error error = {0};
  const struct run_config *config;
  CHECK(open_tiny(&bench, &config, &error) && bench_peak(&bench, DTYPE_FLOAT32, &error));
  double peak = bench.peak[DTYPE_FLOAT32].flops;
  CHECK(peak > 0);
  bench_peak_seen(&bench, DTYPE_FLOAT32, peak / 2);
  CHECK(bench.peak[DTYPE_FLOAT32].flops == peak);
  bench_peak_seen(&bench, DTYPE_FLOAT32, 1e18);
  CHECK(bench.peak[DTYPE_FLOAT32].flops == 1e18);
  CHECK_TEXT(bench.peak[DTYPE_FLOAT32].source, "best product");
  CHECK(bench_peak(&bench, DTYPE_FLOAT32, &error) && bench.peak[DTYPE_FLOAT32].flops == 1e18);
  // Compute-bound and memory-bound ends of the roofline.
  double bandwidth = bench_bandwidth(&bench, 1e5);
  CHECK(bandwidth > 0 && bench_bandwidth(&bench, 1.1e5) == bandwidth);
  CHECK_NEAR(bench_roofline(&bench, DTYPE_FLOAT32, 2e18, 1e5), 2, 1e-12);
  CHECK_NEAR(bench_roofline(&bench, DTYPE_FLOAT32, 0, 1e5) * bandwidth / 1e5, 1, 1e-12);
  bench_close(&bench);
}

int main(void) {
  RUN(timing_changes_nothing);
  RUN(every_call_is_seen);
  RUN(operations_are_those_of_a_step);
  RUN(products_are_those_of_a_pass);
  RUN(floor_has_all_products);
  RUN(peaks_only_rise);
  return check_end();
}
