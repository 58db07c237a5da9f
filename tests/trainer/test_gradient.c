// The whole model's loss and gradient: a double-precision reference model is checked by finite differences, and the
// trainer's float32 model against the reference, parameter by parameter.
#include "tests/trainer/fixture.h"
#include "tests/trainer/reference.h"

static const char tiny[] =
    "model.layers=2 model.width=32 model.heads=4 model.kv_heads=2 model.head_dim=8 model.mlp_width=48 model.context=9 "
    "model.vocabulary=37 model.init_std=0.2 model.rope_theta=100 train.batch_tokens=27 train.steps=10";

// Random parameters, norms around 1, all of them felt by the loss.
static double *parameters_for(struct arena *arena, const struct parameter_table *table, float *rounded) {
  double *p = arena_array(arena, (size_t)table->count, sizeof *p);
  for (int i = 0; i < table->tensor_count; i++) {
    const struct parameter_tensor *t = &table->tensors[i];
    for (int64_t j = 0; j < t->count; j++) {
      double pair[2];
      random_normal_pair(7, 1002, t->number, (uint64_t)j, pair);
      rounded[t->offset + j] = (float)(t->columns ? 0.2 * pair[0] : 1 + 0.3 * pair[0]);
      p[t->offset + j] = rounded[t->offset + j];
    }
  }
  return p;
}

// The float32 model is allowed 2e-6 of the loss and 2e-5 of a tensor's largest gradient; `looser` times as much.
static void compare(const char *name, const char *pairs, bool masked, double looser) {
  struct arena arena = {0};
  struct error error = {0};
  struct run_config config = fixture_config(&arena, pairs);
  struct fixture f = fixture_open(&config, MODEL_TRAIN);
  const struct parameter_table *table = &f.model->table;
  float *rounded = arena_array(&arena, (size_t)table->count, sizeof *rounded);
  float *got = arena_array(&arena, (size_t)table->count, sizeof *got);
  double *p = parameters_for(&arena, table, rounded);
  double *want = arena_array(&arena, (size_t)table->count, sizeof *want);
  int64_t targets;
  struct token_batch batch = fixture_batch(&arena, &config, config.train.batch_tokens, masked, 5, &targets);
  double loss = reference_loss(&config, table, p, &batch, want);

  f.ops->upload(f.device, f.model->parameters, rounded, (size_t)table->count * sizeof *rounded);
  model_prepare(f.model, 0);
  for (int64_t row = 0; row < batch.rows; row += f.model->rows) {
    struct token_batch micro = {f.model->rows, batch.tokens + row, batch.targets + row,
                                batch.mask ? batch.mask + row : NULL};
    model_gradient(f.model, &micro, 1 / (double)targets, row, row == 0, 0);
  }
  struct loss_sum sum;
  double unused;
  CHECK(model_results(f.model, 1, &sum, &unused, &error));
  CHECK(sum.targets == targets);
  CHECK_NEAR(sum.nats / (double)sum.targets, loss, 2e-6 * looser);
  CHECK(f.ops->download(f.device, got, f.model->gradients, (size_t)table->count * sizeof *got, &error));
  double overall = 0;
  for (int64_t j = 0; j < table->count; j++) overall = fmax(overall, fabs(want[j]));
  for (int i = 0; i < table->tensor_count; i++) {
    const struct parameter_tensor *t = &table->tensors[i];
    double largest = 0, worst = 0;
    for (int64_t j = t->offset; j < t->offset + t->count; j++) {
      largest = fmax(largest, fabs(want[j]));
      worst = fmax(worst, fabs(want[j] - got[j]));
    }
    // With one token of context the softmax has one term: query and key then have no gradient at all.
    bool none = config.model.context == 1 && (strstr(t->name, "q_proj") || strstr(t->name, "k_proj"));
    if (!CHECK(none ? largest < 1e-12 : largest > 0) || !CHECK(worst <= 2e-5 * looser * fmax(largest, 1e-2 * overall)))
      printf("# %s: %s: off by %.3g where the largest is %.3g\n", name, t->name, worst, largest);
  }
  fixture_close(&f);
  arena_free(&arena);
}

static void reference_by_finite_differences(void) {
  struct arena arena = {0};
  struct run_config config = fixture_config(&arena, tiny);
  struct parameter_table table = parameter_table(&arena, &config);
  float *rounded = arena_array(&arena, (size_t)table.count, sizeof *rounded);
  double *p = parameters_for(&arena, &table, rounded);
  double *gradient = arena_array(&arena, (size_t)table.count, sizeof *gradient);
  int64_t targets;
  struct token_batch batch = fixture_batch(&arena, &config, config.train.batch_tokens, true, 5, &targets);
  reference_loss(&config, &table, p, &batch, gradient);
  // Three parameters of every tensor, chosen at random, by central differences.
  const double step = 1e-5;
  for (int i = 0; i < table.tensor_count; i++) {
    const struct parameter_tensor *t = &table.tensors[i];
    for (uint64_t k = 0; k < 3; k++) {
      int64_t at = t->offset + (int64_t)random_below(9, 1003, (uint64_t)i, k, (uint64_t)t->count);
      double kept = p[at];
      p[at] = kept + step;
      double above = reference_loss(&config, &table, p, &batch, NULL);
      p[at] = kept - step;
      double below = reference_loss(&config, &table, p, &batch, NULL);
      p[at] = kept;
      if (!CHECK(fabs((above - below) / (2 * step) - gradient[at]) <= 1e-8 + 1e-6 * fabs(gradient[at])))
        printf("# %s: %.12g, by differences %.12g\n", t->name, gradient[at], (above - below) / (2 * step));
    }
  }
  arena_free(&arena);
}

static void grouped_heads(void) { compare("grouped", tiny, false, 1); }
static void masked_targets(void) { compare("masked", tiny, true, 1); }

static void tied_head(void) {
  char pairs[512];
  snprintf(pairs, sizeof pairs, "%s model.tied_head=true", tiny);
  compare("tied", pairs, true, 1);
}

static void accumulated(void) {
  char pairs[512];
  snprintf(pairs, sizeof pairs, "%s model.tied_head=true train.accumulation=3", tiny);
  compare("accumulated", pairs, true, 1);
}

static void one_layer_one_head(void) {
  compare("one layer",
          "model.layers=1 model.width=16 model.heads=1 model.head_dim=16 model.context=5 model.vocabulary=257 "
          "train.batch_tokens=10 train.steps=10",
          false, 1);
}

static void one_token_context(void) {
  compare("context 1",
          "model.layers=2 model.width=48 model.heads=3 model.kv_heads=1 model.head_dim=16 model.context=1 "
          "model.vocabulary=65 train.batch_tokens=13 train.steps=10",
          false, 1);
}

// Where the device has bfloat16 products: eight bits of precision instead of 24.
static void bfloat16_products(void) {
  char pairs[512];
  snprintf(pairs, sizeof pairs, "%s model.dtype=bfloat16 model.tied_head=true", tiny);
  compare("bfloat16", pairs, true, 3000);
}

int main(void) {
  RUN(reference_by_finite_differences);
  RUN(grouped_heads);
  RUN(masked_targets);
  RUN(tied_head);
  RUN(accumulated);
  RUN(one_layer_one_head);
  RUN(one_token_context);
  RUN(bfloat16_products);
  return check_end();
}
