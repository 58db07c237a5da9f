// Parts of `isoloss bench`: the timing backend changes no result, sees every call, and the floor holds the products it
// should.
#include <stdlib.h>

#include "runner/bench/model.h"
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

static int calls_of(const struct bench_profile *profile, enum bench_op op) {
  int count = 0;
  for (size_t i = 0; i < profile->count; i++) count += profile->calls[i].op == op;
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
    enum bench_op op;
    int calls;
  } expected[] = {{BENCH_LINEAR_FORWARD, 12},
                  {BENCH_LINEAR_INPUT_GRADIENT, 12},
                  {BENCH_LINEAR_WEIGHT_GRADIENT, 12},
                  {BENCH_HEAD_LOSS, 1},
                  {BENCH_ATTENTION_FORWARD, 3},
                  {BENCH_ATTENTION_BACKWARD, 3},
                  {BENCH_RMSNORM_FORWARD, 7},
                  {BENCH_RMSNORM_BACKWARD, 7},
                  {BENCH_QKV_FORWARD, 3},
                  {BENCH_QKV_BACKWARD, 3},
                  {BENCH_SWIGLU_FORWARD, 3},
                  {BENCH_SWIGLU_BACKWARD, 3},
                  {BENCH_EMBEDDING_FORWARD, 1},
                  {BENCH_EMBEDDING_BACKWARD, 1},
                  {BENCH_WEIGHT_PREPARE, 13},
                  {BENCH_SQUARE_SUM, 1},
                  {BENCH_ADAMW, 1}};
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    int got = calls_of(&m.profile, expected[i].op);
    if (got != expected[i].calls) printf("# %s: %d calls\n", bench_op_name(expected[i].op), got);
    CHECK(got == expected[i].calls);
  }
  double flops = 0, parts = 0;
  for (size_t i = 0; i < m.profile.count; i++) {
    const struct bench_call *call = &m.profile.calls[i];
    CHECK(call->repeats == 4 && call->best > 0 && call->total >= 4 * call->best * (1 - 1e-9));
    flops += call->flops;
  }
  // What the calls multiply is what the run's FLOPs count.
  CHECK_NEAR(flops / bench_model_flops(&m), 1, 1e-12);
  for (int op = 0; op < BENCH_OPS_COUNT; op++) {
    enum bench_op which = (enum bench_op)op;
    parts += bench_profile_best(&m.profile, &which);
  }
  CHECK_NEAR(parts / bench_profile_best(&m.profile, NULL), 1, 1e-9);
  bench_model_close(&m);
  bench_close(&bench);
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
  RUN(floor_has_all_products);
  RUN(peaks_only_rise);
  return check_end();
}
