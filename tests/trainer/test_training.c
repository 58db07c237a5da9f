// Training itself: it learns, it repeats bit for bit, accumulation and recomputation change nothing, decay goes where
// it should, and memory is what was planned.
#include <malloc.h>
#include <unistd.h>

#include "kernels/cpu/gemm.h"
#include "tests/trainer/fixture.h"
#include "trainer/layout.h"

static const char small[] =
    "model.layers=3 model.width=32 model.heads=2 model.kv_heads=1 model.head_dim=16 model.context=16 "
    "model.vocabulary=61 train.batch_tokens=64 train.steps=100 ";

static struct run_config config_with(struct arena *arena, const char *more) {
  return fixture_config(arena, arena_format(arena, "%s%s", small, more));
}

static float *read_floats(struct arena *arena, struct fixture *f, const float *from) {
  struct error error = {0};
  float *to = arena_array(arena, (size_t)f->model->table.count, sizeof *to);
  CHECK(f->ops->download(f->device, to, from, (size_t)f->model->table.count * sizeof *to, &error));
  return to;
}

// Trains some steps on random batches from the start; the losses in losses[steps].
static void train_model(struct arena *arena, struct model *model, int steps, double *losses) {
  const struct run_config *config = &model->config;
  struct error error = {0};
  model_initialise(model, 3);
  for (int step = 0; step < steps; step++) {
    int64_t targets;
    struct token_batch batch = fixture_batch(arena, config, config->train.batch_tokens, true, (uint64_t)step, &targets);
    struct loss_sum sum;
    double square_sum;
    model_step(model, &batch, targets, config->train.lr, step, 0);
    CHECK(model_results(model, 1, &sum, &square_sum, &error) && sum.targets == targets);
    losses[step] = sum.nats / (double)sum.targets;
  }
}

// The same with a model of its own; returns its parameters.
static float *train(struct arena *arena, const struct run_config *config, int steps, double *losses) {
  struct fixture f = fixture_open(config, MODEL_TRAIN);
  train_model(arena, f.model, steps, losses);
  float *parameters = read_floats(arena, &f, f.model->parameters);
  fixture_close(&f);
  return parameters;
}

static void overfits_a_tiny_text(void) {
  static const char text[] = "It was the best of times, it was the worst of times, it was the age of wisdom...";
  struct arena arena = {0};
  struct error error = {0};
  struct run_config config = fixture_config(&arena,
                                            "model.layers=2 model.width=64 model.context=80 model.vocabulary=257 "
                                            "train.batch_tokens=80 train.steps=150 train.lr=3e-3");
  struct fixture f = fixture_open(&config, MODEL_TRAIN);
  model_initialise(f.model, 0);
  int32_t tokens[81];
  for (int i = 0; i <= 80; i++) tokens[i] = (unsigned char)text[i];
  struct token_batch batch = {80, tokens, tokens + 1, NULL};
  double first = 0, loss = 0;
  for (int step = 0; step < 150; step++) {
    struct loss_sum sum;
    double square_sum;
    model_step(f.model, &batch, 80, 3e-3, step, 0);
    CHECK(model_results(f.model, 1, &sum, &square_sum, &error));
    loss = sum.nats / 80;
    if (step == 0) first = loss;
  }
  CHECK_NEAR(first, log(257), 0.02);  // an untrained model knows nothing
  if (!CHECK(loss < 0.01)) printf("# loss %g\n", loss);
  struct loss_sum sum = {0};
  float nats[80];
  CHECK(model_evaluate(f.model, &batch, 0, &sum, nats, &error) && sum.targets == 80);
  CHECK(sum.nats / 80 < 0.01);
  double total = 0;
  for (int i = 0; i < 80; i++) total += nats[i];
  CHECK_NEAR(total, sum.nats, 1e-5);
  fixture_close(&f);
  arena_free(&arena);
}

static void repeats(const char *dtype) {
  struct arena arena = {0};
  struct run_config config = config_with(&arena, arena_format(&arena, "train.lr=3e-3 model.dtype=%s", dtype));
  double a[20], b[20];
  float *x = train(&arena, &config, 20, a), *y = train(&arena, &config, 20, b);
  CHECK(memcmp(a, b, sizeof a) == 0);
  CHECK(memcmp(x, y, (size_t)config_parameters(&config).total * sizeof *x) == 0);
  CHECK(a[19] != a[18]);
  arena_free(&arena);
}

static void repeats_bit_for_bit(void) { repeats("float32"); }
static void repeats_in_bfloat16(void) { repeats("bfloat16"); }

static void recompute(const char *dtype) {
  struct arena arena = {0};
  const char *const modes[] = {"none", "norm", "ffn", "qkv", "block"};
  double losses[5][20];
  float *parameters[5];
  int64_t bytes[5], count = 0;
  for (int i = 0; i < 5; i++) {
    struct run_config config =
        config_with(&arena, arena_format(&arena, "train.lr=3e-3 train.recompute=%s model.dtype=%s", modes[i], dtype));
    parameters[i] = train(&arena, &config, 20, losses[i]);
    // Of micro-batches that take more than an evaluation.
    struct run_config large = config_with(
        &arena, arena_format(&arena, "train.batch_tokens=16384 train.recompute=%s model.dtype=%s", modes[i], dtype));
    bytes[i] = trainer_memory_bytes(&large, &(struct error){0});
    count = config_parameters(&config).total;
  }
  for (int i = 1; i < 5; i++) {
    CHECK(memcmp(losses[0], losses[i], sizeof losses[0]) == 0);
    CHECK(memcmp(parameters[0], parameters[i], (size_t)count * sizeof *parameters[0]) == 0);
    CHECK(bytes[i] < bytes[i - 1]);
  }
  arena_free(&arena);
}

static void recomputation_changes_no_bit(void) { recompute("float32"); }
static void recomputation_changes_no_bit_of_bfloat16(void) { recompute("bfloat16"); }

// Our own bfloat16 products take some rows at a time through the MLP, more than one time here: with the same bits as
// all rows at once, and as what is recomputed.
static void rows_at_a_time_change_no_bit(void) {
  struct arena arena = {0};
  struct error error = {0};
  setenv("ISOLOSS_GEMM", gemm_library_available(GEMM_AVX512_BF16) ? "avx512-bf16" : "amx-emulated", true);
  double losses[3][4];
  for (int way = 0; way < 3; way++) {
    struct run_config config =
        config_with(&arena, way == 2 ? "train.batch_tokens=576 model.dtype=bfloat16 train.recompute=block"
                                     : "train.batch_tokens=576 model.dtype=bfloat16");
    struct fixture f = {0};
    CHECK(trainer_device_open("cpu", 1, &f.ops, &f.device, &error));
    int64_t most = f.ops->rows_at_a_time(f.device, DTYPE_BFLOAT16);
    CHECK(most > 0 && most < config.train.batch_tokens && f.ops->rows_at_a_time(f.device, DTYPE_FLOAT32) == 0);
    struct ops all_rows = *f.ops;
    all_rows.rows_at_a_time = NULL;
    if (way == 0) f.ops = &all_rows;
    f.model = model_create(f.ops, f.device, &config, MODEL_TRAIN, &error);
    train_model(&arena, f.model, 4, losses[way]);
    if (way > 0) CHECK(memcmp(losses[0], losses[way], sizeof losses[0]) == 0);
    fixture_close(&f);
  }
  CHECK(losses[0][3] != losses[0][2]);
  unsetenv("ISOLOSS_GEMM");
  arena_free(&arena);
}

static void two_threads_repeat_too(void) {
  struct arena arena = {0};
  struct run_config one = config_with(&arena, "train.lr=3e-3"),
                    two = config_with(&arena, "train.lr=3e-3 train.threads=2");
  double a[10], b[10], c[10];
  train(&arena, &one, 10, a);
  float *x = train(&arena, &two, 10, b), *y = train(&arena, &two, 10, c);
  CHECK(memcmp(b, c, sizeof b) == 0);
  CHECK(memcmp(x, y, (size_t)config_parameters(&two).total * sizeof *x) == 0);
  for (int i = 0; i < 10; i++) CHECK_NEAR(a[i], b[i], 1e-5);
  arena_free(&arena);
}

// Tokens of which the next one follows by a rule nine times of ten, so that there is something to learn: at best the
// loss is what the tenth costs.
static struct token_batch rule_batch(struct arena *arena, const struct run_config *config, uint64_t seed) {
  int64_t rows = config->train.batch_tokens, vocabulary = config->model.vocabulary, unused;
  struct token_batch batch = fixture_batch(arena, config, rows, false, seed, &unused);
  int32_t *tokens = arena_array(arena, (size_t)rows + 1, sizeof *tokens);
  memcpy(tokens, batch.tokens, (size_t)rows * sizeof *tokens);
  for (int64_t i = 1; i <= rows; i++) {
    bool rule = random_below(seed, 1002, 0, (uint64_t)i, 10) > 0;
    tokens[i] = rule ? (int32_t)((tokens[i - 1] * 7 + 3) % vocabulary) : i < rows ? batch.tokens[i] : 0;
  }
  return (struct token_batch){rows, tokens, tokens + 1, NULL};
}

// The mean loss of 20 batches not trained on, after 200 others.
static double loss_after_training(const char *dtype) {
  struct arena arena = {0};
  struct error error = {0};
  struct run_config config = config_with(
      &arena, arena_format(&arena, "train.batch_tokens=256 train.steps=200 train.lr=3e-3 model.dtype=%s", dtype));
  struct fixture f = fixture_open(&config, MODEL_TRAIN);
  struct loss_sum sum = {0};
  model_initialise(f.model, 3);
  for (int step = 0; step < 200; step++) {
    struct token_batch batch = rule_batch(&arena, &config, (uint64_t)step);
    double square_sum;
    model_step(f.model, &batch, batch.rows, config.train.lr, step, 0);
    CHECK(model_results(f.model, 1, &sum, &square_sum, &error));
  }
  sum = (struct loss_sum){0};
  for (int i = 0; i < 20; i++) {
    struct token_batch batch = rule_batch(&arena, &config, (uint64_t)(1000 + i));
    CHECK(model_evaluate(f.model, &batch, 0, &sum, NULL, &error));
  }
  fixture_close(&f);
  arena_free(&arena);
  return sum.nats / (double)sum.targets;
}

// Products in bfloat16 cost no loss: they differ by 0.014 % here.
static void bfloat16_learns_as_well(void) {
  double wide = loss_after_training("float32"), narrow = loss_after_training("bfloat16");
  printf("# loss %.5f in float32, %.5f in bfloat16\n", wide, narrow);
  CHECK(wide < 2);  // chance is 4.11
  CHECK(narrow != wide);
  CHECK_NEAR(narrow / wide, 1, 0.005);
}

static void accumulation_equals_one_batch(void) {
  struct arena arena = {0};
  struct run_config one = config_with(&arena, "train.lr=1e-3"),
                    four = config_with(&arena, "train.lr=1e-3 train.accumulation=4");
  double a[10], b[10];
  train(&arena, &one, 10, a);
  train(&arena, &four, 10, b);
  for (int i = 0; i < 10; i++) CHECK_NEAR(a[i], b[i], 1e-5);
  arena_free(&arena);
}

// A learning rate so small that AdamW's own step is nothing beside a decay of 10 times it: what shrinks is decayed.
static void decays_matrices_only(void) {
  struct arena arena = {0};
  for (int tied = 0; tied < 2; tied++) {
    struct run_config config = config_with(
        &arena,
        arena_format(&arena, "model.tied_head=%s train.weight_decay=10 train.adam_eps=1", tied ? "true" : "false"));
    struct fixture f = fixture_open(&config, MODEL_TRAIN);
    int64_t targets;
    struct token_batch batch = fixture_batch(&arena, &config, 64, false, 1, &targets);
    model_initialise(f.model, 3);
    float *before = read_floats(&arena, &f, f.model->parameters);
    model_step(f.model, &batch, targets, 1e-3, 0, 0);
    float *after = read_floats(&arena, &f, f.model->parameters);
    for (int i = 0; i < f.model->table.tensor_count; i++) {
      const struct parameter_tensor *t = &f.model->table.tensors[i];
      bool block_matrix = strstr(t->name, "_proj") != NULL;
      double x = 0, y = 0;
      for (int64_t j = t->offset; j < t->offset + t->count; j++) {
        x += (double)before[j] * before[j];
        y += (double)before[j] * after[j];
      }
      if (!CHECK(fabs(y / x - (block_matrix ? 0.99 : 1)) < 2e-3)) printf("# %s: %g\n", t->name, y / x);
    }
    fixture_close(&f);
  }
  arena_free(&arena);
}

static void starts_as_the_table_says(void) {
  struct arena arena = {0};
  struct run_config config = fixture_config(&arena,
                                            "model.layers=8 model.width=128 model.context=16 model.vocabulary=300 "
                                            "train.batch_tokens=16 train.steps=1");
  struct fixture f = fixture_open(&config, MODEL_TRAIN);
  model_initialise(f.model, 11);
  float *p = read_floats(&arena, &f, f.model->parameters);
  for (int i = 0; i < f.model->table.tensor_count; i++) {
    const struct parameter_tensor *t = &f.model->table.tensors[i];
    double sum = 0, squares = 0;
    for (int64_t j = t->offset; j < t->offset + t->count; j++) {
      sum += p[j];
      squares += (double)p[j] * p[j];
    }
    double std = strstr(t->name, "o_proj") || strstr(t->name, "down_proj") ? 0.02 / 4 : 0.02;
    double mean = sum / (double)t->count, variance = squares / (double)t->count;
    if (strstr(t->name, "norm"))
      CHECK(mean == 1 && variance == 1);
    else if (!CHECK(fabs(mean) < 4 * std / sqrt((double)t->count)) || !CHECK_NEAR(sqrt(variance) / std, 1, 0.02))
      printf("# %s: mean %g, deviation %g\n", t->name, mean, sqrt(variance));
    // No two tensors share their values.
    for (int k = 0; k < i; k++)
      if (t->columns && f.model->table.tensors[k].columns)
        CHECK(p[t->offset] / std != p[f.model->table.tensors[k].offset] / 0.02);
  }
  fixture_close(&f);
  arena_free(&arena);
}

// Resident memory of this process, bytes.
static double resident(void) {
  long pages = 0, resident_pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!CHECK(file && fscanf(file, "%ld %ld", &pages, &resident_pages) == 2)) return 0;
  fclose(file);
  return (double)resident_pages * (double)sysconf(_SC_PAGESIZE);
}

// Bytes that a model and one step of it take, and the bytes planned for them.
static double memory_of_a_step(struct arena *arena, const struct run_config *config, double *planned) {
  malloc_trim(0);  // what earlier models left in the heap is none of this one's
  double before = resident();
  struct fixture f = {0};
  struct error error = {0};
  CHECK(trainer_device_open("cpu", 1, &f.ops, &f.device, &error));
  *planned = (double)trainer_memory(f.ops, f.device, config).total;
  f.model = model_create(f.ops, f.device, config, MODEL_TRAIN, &error);
  CHECK(f.model != NULL);
  int64_t targets;
  struct token_batch batch = fixture_batch(arena, config, config->train.batch_tokens, false, 1, &targets);
  model_initialise(f.model, 0);
  model_step(f.model, &batch, targets, 1e-3, 0, 0);
  malloc_trim(0);  // nor what its making has given back
  double used = resident() - before;
  fixture_close(&f);
  return used;
}

// What the product library loads and generates once in a process, megabytes on some CPUs, is in the first times only.
#define MEASUREMENTS 4
__attribute__((unused)) static void memory_is_as_planned(void) {
  struct arena arena = {0};
  const char *const modes[] = {"none", "norm", "ffn", "qkv", "block"};
  for (int i = 0; i < 5; i++) {
    struct run_config config =
        fixture_config(&arena, arena_format(&arena,
                                            "model.layers=8 model.width=128 model.context=128 model.vocabulary=1024 "
                                            "train.batch_tokens=4096 train.steps=1 train.recompute=%s",
                                            modes[i]));
    double planned = 0, used = INFINITY;
    for (int time = 0; time < MEASUREMENTS; time++) used = fmin(used, memory_of_a_step(&arena, &config, &planned));
    printf("# recompute %s: planned %.1f MB, used %.1f MB\n", modes[i], planned / 1e6, used / 1e6);
    CHECK(fabs(used / planned - 1) < 0.05);
  }
  arena_free(&arena);
}

static void refuses_what_it_cannot_do(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct run_config config = config_with(&arena, "format=w4a44");
  const struct ops *ops;
  struct device *device;
  CHECK(trainer_device_open("cpu", 1, &ops, &device, &error));
  CHECK(!model_create(ops, device, &config, MODEL_TRAIN, &error) && error.code == EXIT_USAGE_ERROR);
  CHECK(strstr(error.text, "format"));
  ops->close(device);
  error = (struct error){0};
  CHECK(!trainer_device_open("cuda:x", 1, &ops, &device, &error) && error.code == EXIT_USAGE_ERROR);
  error = (struct error){0};
  CHECK(!trainer_device_open("tpu", 1, &ops, &device, &error) && strstr(error.text, "tpu"));
  arena_free(&arena);
}

int main(void) {
  RUN(overfits_a_tiny_text);
  RUN(repeats_bit_for_bit);
  RUN(recomputation_changes_no_bit);
  RUN(repeats_in_bfloat16);
  RUN(recomputation_changes_no_bit_of_bfloat16);
  RUN(bfloat16_learns_as_well);
  RUN(rows_at_a_time_change_no_bit);
  RUN(two_threads_repeat_too);
  RUN(accumulation_equals_one_batch);
  RUN(decays_matrices_only);
  RUN(starts_as_the_table_says);
#ifdef __SANITIZE_ADDRESS__
  check_skip("memory_is_as_planned", "the sanitizer's own memory cannot be told apart");
#else
  RUN(memory_is_as_planned);
#endif
  RUN(refuses_what_it_cannot_do);
  return check_end();
}
