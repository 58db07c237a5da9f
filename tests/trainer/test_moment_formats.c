// Moments in few bits: what becomes of them is the format's, by arithmetic of its own; what is no matrix stays; a root
// never becomes 0; a training goes on from what is represented, and what does not go together is refused.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/trainer/fixture.h"
#include "trainer/layout.h"
#include "trainer/moment_formats.h"

#define SHAPE \
  "model.layers=2 model.width=32 model.context=16 model.head_dim=16 model.vocabulary=64 train.batch_tokens=64 "

enum { GROUP = 16 };

// The nearest of 2^bits levels half a unit off the whole numbers, the outermost at a group's largest magnitude.
static void round_group(int bits, const double *x, double *to) {
  double largest = 0, outermost = ((double)(1 << bits) - 1) / 2;
  for (int i = 0; i < GROUP; i++) largest = fmax(largest, fabs(x[i]));
  for (int i = 0; i < GROUP; i++) {
    double unit = largest / outermost, level = floor(x[i] / unit) + 0.5;
    to[i] = largest > 0 ? fmin(fmax(level, -outermost), outermost) * unit : x[i];
  }
}

struct bench {
  struct arena arena;
  struct run_config config;
  struct fixture fixture;
  float *m, *v, *before_m, *before_v;
  const struct parameter_table *table;
};

static void open_bench(struct bench *b, const char *pairs) {
  struct error error = {0};
  *b = (struct bench){0};
  b->config = fixture_config(&b->arena, pairs);
  b->fixture = fixture_open(&b->config, MODEL_TRAIN);
  b->table = &b->fixture.model->table;
  size_t count = (size_t)b->table->count;
  b->m = b->fixture.ops->allocate(b->fixture.device, count * sizeof(float), &error);
  b->v = b->fixture.ops->allocate(b->fixture.device, count * sizeof(float), &error);
  b->before_m = arena_array(&b->arena, count, sizeof(float));
  b->before_v = arena_array(&b->arena, count, sizeof(float));
  for (size_t i = 0; i < count; i++) {
    double pair[2];
    random_normal_pair(5, RANDOM_STREAM_NOISE, 0, i, pair);
    b->before_m[i] = (float)(1e-3 * pow(pair[0], 3));
    b->before_v[i] = (float)(1e-6 * pow(pair[1], 6));
  }
  b->fixture.ops->upload(b->fixture.device, b->m, b->before_m, count * sizeof(float));
  b->fixture.ops->upload(b->fixture.device, b->v, b->before_v, count * sizeof(float));
}

static void close_bench(struct bench *b) {
  b->fixture.ops->free(b->fixture.device, b->m);
  b->fixture.ops->free(b->fixture.device, b->v);
  fixture_close(&b->fixture);
  arena_free(&b->arena);
}

static bool in_a_matrix(const struct bench *b, int64_t at) {
  for (int64_t layer = 0; layer < b->config.model.layers; layer++)
    for (int which = 0; which < MATRIX_HEAD; which++) {
      struct weight_description d = layout_weight(&b->config, (enum model_matrix)which, layer);
      int64_t offset = layout_weight_offset(b->table, (enum model_matrix)which, layer);
      if (at >= offset && at < offset + d.outputs * d.inputs) return true;
    }
  return false;
}

static void moments_are_those_of_the_format(void) {
  static const struct {
    const char *pairs;
    int first, second;
  } cases[] = {{SHAPE "train.first_moment=int8-g16 train.second_moment=int4-g16", 8, 4},
               {SHAPE "train.second_moment=int8-g16", 0, 8},
               {SHAPE "train.first_moment=int4-g16 train.optimizer=lion", 4, 0}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    struct bench b;
    struct error error = {0};
    struct moment_formats_result result;
    open_bench(&b, cases[k].pairs);
    struct moment_formats *formats = moment_formats_make(&b.config);
    moment_formats_apply(formats, b.fixture.ops, b.fixture.device, b.table, b.m, b.v, 3);
    CHECK(moment_formats_result(formats, &result, &error));
    double wrong[2] = {0}, squares[2] = {0};
    for (int64_t at = 0; at < b.table->count; at++) {
      if (!in_a_matrix(&b, at)) {
        CHECK(b.m[at] == b.before_m[at] && b.v[at] == b.before_v[at]);
        continue;
      }
      if (at % GROUP) continue;  // tensors begin at multiples of a group
      double m[GROUP], root[GROUP], of_m[GROUP], of_root[GROUP];
      for (int i = 0; i < GROUP; i++) {
        m[i] = (double)b.before_m[at + i];
        root[i] = sqrt((double)b.before_v[at + i]);
      }
      round_group(cases[k].first, m, of_m);
      round_group(cases[k].second, root, of_root);
      for (int i = 0; i < GROUP; i++) {
        double v = root[i] * root[i], of_v = cases[k].second ? of_root[i] * of_root[i] : v;
        if (!cases[k].first) of_m[i] = m[i];
        // Values half-way between two levels may go to either.
        CHECK_NEAR((double)b.m[at + i], of_m[i], 2e-6 * fabs(of_m[i]) + 1e-12);
        CHECK_NEAR((double)b.v[at + i], of_v, 4e-6 * of_v + 1e-18);
        CHECK(b.v[at + i] > 0);
        wrong[0] += pow(of_m[i] - m[i], 2), squares[0] += m[i] * m[i];
        wrong[1] += pow(of_v - v, 2), squares[1] += v * v;
      }
    }
    if (cases[k].first) CHECK_NEAR(result.first_error, wrong[0] / squares[0], 1e-4 * wrong[0] / squares[0]);
    if (cases[k].second) CHECK_NEAR(result.second_error, wrong[1] / squares[1], 1e-4 * wrong[1] / squares[1]);
    CHECK(cases[k].first ? result.first_bits == cases[k].first + 1 : isnan(result.first_error));  // 16 / 16 for scales
    CHECK(cases[k].second ? result.second_bits == cases[k].second + 1 : isnan(result.second_error));
    moment_formats_free(formats);
    close_bench(&b);
  }
}

// Rounded at random, the mean over steps is the moment, and a step depends on no other.
static void random_rounding_is_by_the_step(void) {
  enum { STEPS = 400 };
  struct bench b;
  open_bench(&b, SHAPE "train.first_moment=w(int4[absmax,group(16),stochastic])");
  struct moment_formats *formats = moment_formats_make(&b.config), *late = moment_formats_make(&b.config);
  int64_t offset = layout_weight_offset(b.table, MATRIX_DOWN, 1);
  double sums[GROUP] = {0};
  float last[GROUP];
  size_t bytes = (size_t)b.table->count * sizeof(float);
  for (int64_t step = 0; step < STEPS; step++) {
    b.fixture.ops->upload(b.fixture.device, b.m, b.before_m, bytes);
    moment_formats_apply(formats, b.fixture.ops, b.fixture.device, b.table, b.m, b.v, step);
    for (int i = 0; i < GROUP; i++) sums[i] += (double)b.m[offset + i];
  }
  memcpy(last, b.m + offset, sizeof last);
  double largest = 0;
  for (int i = 0; i < GROUP; i++) largest = fmax(largest, fabs((double)b.before_m[offset + i]));
  for (int i = 0; i < GROUP; i++)  // a unit is largest / 7.5, and half of it the most that a draw deviates by
    CHECK_NEAR(sums[i] / STEPS, (double)b.before_m[offset + i], 4.5 * largest / 15 / sqrt(STEPS));
  b.fixture.ops->upload(b.fixture.device, b.m, b.before_m, bytes);
  moment_formats_apply(late, b.fixture.ops, b.fixture.device, b.table, b.m, b.v, STEPS - 1);
  CHECK(memcmp(last, b.m + offset, sizeof last) == 0);
  moment_formats_free(formats);
  moment_formats_free(late);
  close_bench(&b);
}

// In eight bits a training is as good as without, in two of second moments it is another one.
static void a_training_goes_on_from_them(void) {
  static const char *const pairs[] = {"train.lr=1e-2",
                                      "train.lr=1e-2 train.first_moment=int8-g16 train.second_moment=int8-g16",
                                      "train.lr=1e-2 train.second_moment=int2-g16"};
  double losses[3];
  for (int k = 0; k < 3; k++) {
    struct arena arena = {0};
    struct error error = {0};
    int64_t targets;
    struct run_config config = fixture_config(&arena, arena_format(&arena, SHAPE "%s", pairs[k]));
    struct fixture f = fixture_open(&config, MODEL_TRAIN);
    model_initialise(f.model, 1);
    struct token_batch batch = fixture_batch(&arena, &config, 64, false, 9, &targets);
    struct loss_sum sum;
    for (int64_t step = 0; step < 12; step++) {
      model_step(f.model, &batch, targets, 1e-2, step, 0);
      CHECK(model_results(f.model, 1, &sum, NULL, &error));
    }
    losses[k] = sum.nats / (double)targets;
    fixture_close(&f);
    arena_free(&arena);
  }
  CHECK(losses[0] < 3.5);
  CHECK(losses[1] != losses[0] && fabs(losses[1] / losses[0] - 1) < 0.02);
  CHECK(losses[2] != losses[0] && losses[2] != losses[1]);
}

static void what_does_not_go_is_refused(void) {
  static const struct {
    const char *pairs, *words;
  } cases[] = {
      {"train.second_moment=absmax-fp8-e4m3", "has a level at 0"},
      {"train.second_moment=w4", "has a Hadamard transform"},
      {"train.second_moment=2:4", "sets some of them to 0"},
      {"train.second_moment=int8-g16 train.optimizer=lion", "the optimizer lion keeps no second moment"},
      {"train.first_moment=int8-g16 train.optimizer=ldadam", "the optimizer ldadam keeps no first moment"},
      {"train.first_moment=int8-g16 train.optimizer=sgd train.momentum=0", "the optimizer sgd keeps no first moment"},
      {"train.first_moment=w4a4", "as weights are"},
      {"train.first_moment=lsq-w4", "as weights are"},
      {"train.first_moment=int8-g16 train.optimizer_state=bfloat16", "train.optimizer_state has to be that"}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    struct arena arena = {0};
    struct error error = {0};
    struct corpus_facts facts = {0};
    struct run_config config;
    config_default(&config);
    char *copy = arena_format(&arena, SHAPE "%s", cases[k].pairs);
    for (char *save, *pair = strtok_r(copy, " ", &save); pair; pair = strtok_r(NULL, " ", &save)) {
      char *equals = strchr(pair, '=');
      *equals = '\0';
      CHECK(config_set(&config, field_find(pair, NULL), equals + 1, &arena, &error));
    }
    CHECK(!config_resolve(&config, &facts, "float32", &error) && error.code == EXIT_USAGE_ERROR);
    if (!CHECK(strstr(error.text, cases[k].words))) printf("# %s: %s\n", cases[k].pairs, error.text);
    arena_free(&arena);
  }
}

static void without_a_format_there_is_none(void) {
  struct run_config config;
  config_default(&config);
  CHECK(moment_formats_make(&config) == NULL && moment_formats_bytes(&config) == 0);
}

int main(int argc, char **argv) {
  RUN(moments_are_those_of_the_format);
  RUN(random_rounding_is_by_the_step);
  RUN(a_training_goes_on_from_them);
  RUN(what_does_not_go_is_refused);
  RUN(without_a_format_there_is_none);
  return check_end();
}
