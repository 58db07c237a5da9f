// Training towards sparse weights (trainer/stages/admm.h) against the same in double precision, by plain gradient
// steps; lambda 0 is no part in the training; FP8 values against all of its codes.
#include <math.h>
#include <string.h>

#include "tests/trainer/fixture.h"
#include "trainer/stages/admm.h"

#define TINY                                                                                                  \
  "model.layers=2 model.width=32 model.context=16 model.vocabulary=16 train.batch_tokens=128 train.steps=12 " \
  "train.schedule=constant train.warmup_steps=0 train.weight_decay=0 train.clip_norm=0 "
#define PLAIN TINY "train.optimizer=sgd train.momentum=0 train.lr=0.1"
enum { STEPS = 12, INTERVAL = 3 };

static struct compress_settings elsa(struct arena *arena, const char *lambda, const char *schedule, const char *penalty,
                                     const char *memory) {
  struct compress_settings settings;
  struct error error = {0};
  const struct compress_method *method = compress_method_find("elsa", NULL);
  const char *const pairs[][2] = {{"lambda", lambda},   {"lambda_schedule", schedule},
                                  {"penalty", penalty}, {"memory", memory},
                                  {"interval", "3"},    {"sparsity", "0.6"}};
  compress_default(&settings, method);
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    CHECK(compress_set(&settings, compress_setting_find(method, pairs[i][0], NULL), pairs[i][1], arena, &error));
  CHECK(compress_resolve(&settings, arena, &error));
  return settings;
}

static void fetch(const struct model *m, const float *from, float *to) {
  struct error error = {0};
  size_t bytes = (size_t)(m->table.matrices_end - m->table.norms_end) * sizeof *to;
  CHECK(m->ops->download(m->device, to, from + m->table.norms_end, bytes, &error));
}

// Trains with the settings (NULL: plainly) and keeps the blocks' matrices after each step; returns how many they are.
struct history {
  float *x[STEPS + 1], *sparse;
  int64_t count;
};
static void train(const char *config_text, const struct compress_settings *settings, struct history *history,
                  struct arena *arena) {
  struct run_config config = fixture_config(arena, config_text);
  struct fixture f = fixture_open(&config, MODEL_TRAIN);
  struct error error = {0};
  int64_t targets;
  model_initialise(f.model, 3);
  history->count = f.model->table.matrices_end - f.model->table.norms_end;
  for (int i = 0; i <= STEPS; i++) history->x[i] = arena_array(arena, (size_t)history->count, sizeof(float));
  history->sparse = arena_array(arena, (size_t)history->count, sizeof(float));
  fetch(f.model, f.model->parameters, history->x[0]);
  struct admm *admm = settings ? admm_make(f.model, settings, STEPS, &error) : NULL;
  for (int step = 0; step < STEPS; step++) {
    struct token_batch batch = fixture_batch(arena, &config, 128, false, (uint64_t)step, &targets);
    model_step(f.model, &batch, targets, config.train.lr, step, 0);
    if (admm) CHECK(admm_after_step(admm, step + 1, &error));
    fetch(f.model, f.model->parameters, history->x[step + 1]);
  }
  if (admm) memcpy(history->sparse, admm_sparse(admm), (size_t)history->count * sizeof(float));
  admm_free(admm);
  fixture_close(&f);
}

// The gradient of a model with these matrices at a step of `train`. All else moves too, so what is compared is the
// movement of a step under a penalty: x' = x - lr (g + lambda (x - z + u)), with g from a plain step at the same place.
static void moves(const char *penalty, const char *schedule) {
  struct arena arena = {0};
  struct history sparse;
  struct compress_settings settings = elsa(&arena, "0.4", schedule, penalty, "full");
  struct run_config config = fixture_config(&arena, PLAIN);
  struct fixture f = fixture_open(&config, MODEL_TRAIN);
  struct error error = {0};
  int64_t targets, count, layers = config.model.layers;
  train(PLAIN, &settings, &sparse, &arena);
  count = sparse.count;
  double *z = arena_array(&arena, (size_t)count, sizeof *z), *u = arena_array(&arena, (size_t)count, sizeof *u);
  float *gradient = arena_array(&arena, (size_t)count, sizeof *gradient),
        *sum = arena_array(&arena, (size_t)count, sizeof *sum),
        *projected = arena_array(&arena, (size_t)count, sizeof *projected);
  // Shapes of the blocks' matrices in their order.
  struct matrix_part {
    struct compress_layer layer;
    int64_t at;
  } parts[8];
  int part_count = 0;
  const int64_t heads = config.model.heads * config.model.head_dim,
                keys = config.model.kv_heads * config.model.head_dim, width = config.model.width,
                hidden = config.model.mlp_width;
  int64_t at = 0;
  for (int64_t l = 0; l < layers; l++) {
    const struct compress_layer shapes[] = {
        {.outputs = heads + 2 * keys, .inputs = width, .parts = 3, .part_outputs = {heads, keys, keys}},
        {.outputs = width, .inputs = heads},
        {.outputs = 2 * hidden, .inputs = width, .parts = 2, .part_outputs = {hidden, hidden}},
        {.outputs = width, .inputs = hidden}};
    for (int i = 0; i < 4; i++) {
      parts[part_count++] = (struct matrix_part){shapes[i], at};
      at += shapes[i].outputs * shapes[i].inputs;
    }
  }
  CHECK(at == count);
  model_initialise(f.model, 3);
  struct admm *admm = admm_make(f.model, &settings, STEPS, &error);
  double lambda_before = 0, worst = 0;
  for (int step = 0; step <= STEPS; step++) {
    const float *x = sparse.x[step];
    double lambda = step ? admm_lambda(&settings, step - 1, STEPS) : 0;
    if (step % INTERVAL == 0) {
      double scale = lambda_before > 0 ? lambda_before / lambda : 1;
      for (int64_t i = 0; i < count; i++) sum[i] = (float)((double)x[i] + scale * u[i]);
      for (int p = 0; p < part_count; p++)
        compress_project(&settings, &parts[p].layer, sum + parts[p].at, NULL, projected + parts[p].at);
      for (int64_t i = 0; i < count; i++) {
        z[i] = (double)projected[i];
        u[i] = (double)x[i] + scale * u[i] - z[i];
        if (step == 0) u[i] = 0;
      }
      lambda_before = lambda;
    }
    if (step == STEPS) break;
    // The same model, the same step: its gradient without the penalty.
    struct token_batch batch = fixture_batch(&arena, &config, 128, false, (uint64_t)step, &targets);
    const struct model_partner *partner = f.model->partner;
    f.model->partner = NULL;
    model_gradient(f.model, &batch, 1 / (double)targets, 0, true, 0);
    model_finish_gradients(f.model);
    fetch(f.model, f.model->gradients, gradient);
    f.model->partner = partner;
    model_step(f.model, &batch, targets, config.train.lr, step, 0);
    CHECK(admm_after_step(admm, step + 1, &error));
    lambda = admm_lambda(&settings, step, STEPS);
    double scale = lambda_before > 0 ? lambda_before / lambda : 1;
    for (int64_t i = 0; i < count; i++) {
      // Apart from the gradient the weights move from where the optimizer has brought them.
      double from = (double)x[i], plain = from - config.train.lr * (double)gradient[i];
      double drawn = strcmp(penalty, "decoupled") == 0 ? plain : from;
      double want = plain - config.train.lr * lambda * (drawn - z[i] + scale * u[i]);
      worst = fmax(worst, fabs((double)sparse.x[step + 1][i] - want));
    }
  }
  CHECK(worst < 2e-7);
  int64_t zeroes = 0, other = 0;
  for (int64_t i = 0; i < count; i++) {
    zeroes += sparse.sparse[i] == 0;
    other += fabs((double)sparse.sparse[i] - z[i]) > 1e-6;
  }
  CHECK_NEAR((double)zeroes / (double)count, 0.6, 0.001);
  CHECK(other == 0);
  admm_free(admm);
  fixture_close(&f);
  arena_free(&arena);
}

static void in_the_gradient(void) { moves("in_gradient", "constant"); }
static void apart_from_it(void) { moves("decoupled", "constant"); }
static void with_a_growing_lambda(void) { moves("in_gradient", "linear"); }

static void lambda_0_is_plain_training(void) {
  struct arena arena = {0};
  struct history plain, with;
  static const char *const texts[] = {PLAIN, TINY "train.lr=0.01", TINY "train.optimizer=muon train.lr=0.01"};
  for (int i = 0; i < 3; i++)
    for (int p = 0; p < 2; p++) {
      struct compress_settings settings = elsa(&arena, "0", "constant", p ? "decoupled" : "in_gradient", "full");
      train(texts[i], NULL, &plain, &arena);
      train(texts[i], &settings, &with, &arena);
      CHECK(memcmp(plain.x[STEPS], with.x[STEPS], (size_t)plain.count * sizeof(float)) == 0);
    }
  arena_free(&arena);
}

// FP8 and bfloat16 in place of float32 move weights about as far, and what comes out is as sparse.
static void narrow_memory_is_near(void) {
  struct arena arena = {0};
  struct history full, low;
  struct compress_settings settings = elsa(&arena, "1", "constant", "in_gradient", "full");
  train(PLAIN, &settings, &full, &arena);
  settings = elsa(&arena, "1", "constant", "in_gradient", "low");
  train(PLAIN, &settings, &low, &arena);
  double apart = 0, moved = 0;
  int64_t zeroes = 0;
  for (int64_t i = 0; i < full.count; i++) {
    apart += pow((double)low.x[STEPS][i] - (double)full.x[STEPS][i], 2);
    moved += pow((double)full.x[STEPS][i] - (double)full.x[0][i], 2);
    zeroes += low.sparse[i] == 0;
  }
  CHECK(apart > 0);
  CHECK(apart < 0.01 * moved);
  CHECK_NEAR((double)zeroes / (double)full.count, 0.6, 0.001);
  arena_free(&arena);
}

static void schedules_of_lambda(void) {
  struct arena arena = {0};
  struct compress_settings constant = elsa(&arena, "2", "constant", "decoupled", "full"),
                           linear = elsa(&arena, "2", "linear", "decoupled", "full"),
                           cosine = elsa(&arena, "2", "cosine", "decoupled", "full"),
                           exponential = elsa(&arena, "2", "exponential", "decoupled", "full");
  CHECK_NEAR(admm_lambda(&constant, 0, 10), 2, 0);
  CHECK_NEAR(admm_lambda(&linear, 0, 10), 0.2, 1e-15);
  CHECK_NEAR(admm_lambda(&cosine, 4, 10), 1, 1e-15);
  CHECK_NEAR(admm_lambda(&exponential, 4, 10), 2 / sqrt(1000), 1e-12);
  CHECK_NEAR(admm_lambda(&linear, 9, 10), 2, 1e-15);
  CHECK_NEAR(admm_lambda(&cosine, 9, 10), 2, 1e-15);
  CHECK_NEAR(admm_lambda(&exponential, 9, 10), 2, 1e-15);
  arena_free(&arena);
}

// E4M3: 1 + fraction of 3 bits, exponents from -6 (below it steps of 2^-9) to 8, 448 the largest.
static void fp8_is_the_nearest(void) {
  enum { COUNT = 4000 };
  static float values[COUNT], back[COUNT];
  static uint8_t codes[COUNT];
  struct narrow_values narrow = {.codes = codes};
  for (int i = 0; i < COUNT; i++)
    values[i] = (float)(448 * pow(random_uniform(4, RANDOM_STREAM_NOISE, 0, (uint64_t)i), 12)) * (i % 2 ? -1 : 1);
  values[0] = 448;
  narrow_put(&narrow, values, COUNT);
  CHECK(narrow.scale == 1);
  narrow_get(&narrow, back, COUNT);
  for (int i = 0; i < COUNT; i++) {
    double nearest = 0;
    for (int e = 0; e <= 15; e++)
      for (int f = 0; f < 8; f++) {
        double level = e ? ldexp(1 + f / 8.0, e - 7) : ldexp(f, -9);
        if (e == 15 && f == 7) continue;  // NaN
        if (fabs(fabs((double)values[i]) - level) < fabs(fabs((double)values[i]) - nearest)) nearest = level;
      }
    CHECK_NEAR(fabs((double)values[i] - (double)back[i]), fabs(fabs((double)values[i]) - nearest), 1e-12);
  }
}

int main(void) {
  check_run(in_the_gradient, "steps with the penalty in the gradient");
  check_run(apart_from_it, "steps with the penalty apart");
  check_run(with_a_growing_lambda, "multipliers stay where lambda grows");
  check_run(lambda_0_is_plain_training, "lambda 0 is plain training, to the bit");
  check_run(narrow_memory_is_near, "FP8 and bfloat16 in place of float32");
  check_run(schedules_of_lambda, "schedules of lambda");
  check_run(fp8_is_the_nearest, "FP8 values are the nearest");
  return check_end();
}
