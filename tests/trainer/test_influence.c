// Arithmetic of choosing windows (trainer/stages/influence.h): sketches keep inner products, ridge regression against a
// dense solution, round robin and linear weights by hand, and a corpus of selected windows.
#include <stdlib.h>
#include <string.h>

#include "kernels/hadamard.h"
#include "tests/check.h"
#include "trainer/data/selection.h"
#include "trainer/stages/influence.h"

static float noise(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)((double)(*state >> 40) / (1 << 23) - 1);
}

static double dot(const float *a, const float *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
  return sum;
}

static void sketches_keep_inner_products(void) {
  enum { COUNT = 700, ALL = 1024 };
  float a[COUNT], b[COUNT], sa[ALL], sb[ALL];
  uint64_t state = 1;
  for (int i = 0; i < COUNT; i++) a[i] = noise(&state), b[i] = 0.5f * a[i] + noise(&state);
  // All coordinates: exactly. A quarter: on average over seeds, and scattering as 1 / sqrt(dimensions).
  struct sketcher s = sketcher_make(COUNT, 5000, 3);
  CHECK(s.dimensions == ALL);
  sketch(&s, a, 1, sa), sketch(&s, b, 2, sb);
  CHECK_NEAR(dot(sa, sb, ALL) / (2 * dot(a, b, COUNT)), 1, 1e-5);
  sketcher_free(&s);
  double mean = 0, largest = 0;
  for (uint64_t seed = 0; seed < 40; seed++) {
    s = sketcher_make(COUNT, 256, seed);
    sketch(&s, a, 1, sa), sketch(&s, b, 1, sb);
    double ratio = dot(sa, sb, 256) / dot(a, b, COUNT);
    mean += ratio / 40;
    if (fabs(ratio - 1) > largest) largest = fabs(ratio - 1);
    sketcher_free(&s);
  }
  CHECK(fabs(mean - 1) < 0.05 && largest < 0.5 && largest > 0);
}

// By its definition, block by block; both types.
static void the_transform_is_the_matrix(void) {
  enum { COUNT = 24, BLOCK = 8 };
  float single[COUNT];
  double x[COUNT], both[COUNT];
  uint64_t state = 5;
  for (int i = 0; i < COUNT; i++) single[i] = noise(&state), x[i] = both[i] = single[i];
  hadamard_float(single, COUNT, BLOCK), hadamard_double(both, COUNT, BLOCK);
  for (int i = 0; i < COUNT; i++) {
    double sum = 0;
    for (int j = 0; j < BLOCK; j++)
      sum += (__builtin_parity((unsigned)(i % BLOCK & j)) ? -1 : 1) * x[i / BLOCK * BLOCK + j];
    CHECK_NEAR(both[i], sum, 1e-14);
    CHECK_NEAR(single[i], sum, 1e-6);
  }
}

static void ridge_regression_solves_its_equations(void) {
  // Two landmarks at distance d: the median is d, the kernel between them exp(-1/2).
  const float x[] = {0, 0, 3, 4}, at[] = {0, 0, 3, 4, 100, 100};
  const double values[] = {1, 10, 2, 20}, k = exp(-0.5), d = 1.25, det = d * d - k * k;
  double out[6];
  struct error error = {0};
  CHECK(ridge_predict(x, 2, 2, values, 2, 0.25, at, 3, out, &error));
  const double s1 = (d * 1 - k * 2) / det, s2 = (d * 2 - k * 1) / det;
  CHECK_NEAR(out[0], s1 + k * s2, 1e-12);
  CHECK_NEAR(out[1], 10 * (s1 + k * s2), 1e-11);
  CHECK_NEAR(out[2], k * s1 + s2, 1e-12);
  CHECK_NEAR(out[4], 0, 1e-12);  // far from all
}

static void turns_are_taken(void) {
  // Both targets like window 3 best; whoever is first has it, the other takes what it likes second.
  const double p[] = {0.1, 0.9, 0.2, 0.1, 0.8, 0.2, 1, 1, 0, 0};
  int64_t chosen[5];
  choose_round_robin(p, 5, 2, 4, 7, chosen);
  CHECK(chosen[0] == 3);
  CHECK(chosen[1] == 0 || chosen[1] == 2);
  bool second = chosen[1] == 0;  // the second target was second
  CHECK(chosen[2] == (second ? 2 : 0));
  CHECK(chosen[3] == 2 || chosen[3] == 1);
  choose_round_robin(p, 5, 2, 5, 7, chosen);
  int seen = 0;
  for (int i = 0; i < 5; i++) seen |= 1 << chosen[i];
  CHECK(seen == 31);
  const double equal[] = {1, 2, 2, 0};
  choose_largest(equal, 4, 3, chosen);
  CHECK(chosen[0] == 1 && chosen[1] == 2 && chosen[2] == 0);
}

static void linear_weights_meet_their_conditions(void) {
  enum { WINDOWS = 50, COUNT = 12 };
  double p[WINDOWS], weights[COUNT], sum = 0;
  int64_t chosen[COUNT], best[COUNT];
  uint64_t state = 5;
  for (int i = 0; i < WINDOWS; i++) p[i] = noise(&state);
  double lambda = linear_weights(p, WINDOWS, COUNT, chosen, weights);
  choose_largest(p, WINDOWS, COUNT, best);
  CHECK(memcmp(chosen, best, sizeof best) == 0);
  for (int i = 0; i < COUNT; i++) sum += weights[i];
  CHECK_NEAR(sum, COUNT, 1e-9);
  double tau = p[chosen[0]] - lambda * weights[0];
  for (int i = 0; i < COUNT; i++) CHECK(weights[i] > 0);
  for (int i = 0; i < COUNT; i++) CHECK_NEAR(weights[i], (p[chosen[i]] - tau) / lambda, 1e-9);
  for (int i = 0; i < WINDOWS; i++)
    if (p[i] < p[chosen[COUNT - 1]]) CHECK(p[i] <= tau + 1e-12);
}

static struct corpus *open(struct run_config *config) {
  struct error error = {0};
  config_default(config);
  config->corpus.mixture = "0.5 markov2:1 + 0.5 markov2:2";
  config->model.context = 16;
  return corpus_open(NULL, NULL, config, &error);
}

static void an_epoch_has_each_selected_window_once(void) {
  enum { COUNT = 21, CONTEXT = 16 };
  struct run_config config;
  struct error error = {0};
  struct arena arena = {0};
  struct corpus *corpus = open(&config), *plain = open(&config);
  int64_t windows[COUNT];
  for (int i = 0; i < COUNT; i++) windows[i] = 5 * i + 2;
  struct selection made = {.stream = 11, .count = COUNT, .windows = windows}, read;
  memcpy(made.corpus, corpus_digest(corpus), sizeof made.corpus);
  char path[] = "/tmp/isoloss-selection-XXXXXX";
  CHECK(mkstemp(path) >= 0 && selection_write(&made, path, &error) && selection_read(path, &arena, &read, &error));
  CHECK(read.count == COUNT && read.stream == 11 && !read.weights &&
        memcmp(read.windows, windows, sizeof windows) == 0);
  CHECK(selection_wrap(&corpus, &read, &error));
  CHECK_TEXT(corpus_digest(corpus), corpus_digest(plain));
  CHECK(corpus_facts(corpus, CONTEXT).train_tokens == COUNT * CONTEXT);
  int seen[COUNT] = {0};
  for (int64_t step = 0; step < 2 * COUNT / 3; step++) {
    int32_t in[3 * CONTEXT], out[3 * CONTEXT], own_in[CONTEXT], own_out[CONTEXT];
    struct corpus_batch all = {.seed = 9, .step = step, .batch_rows = 3, .rows = 3, .context = CONTEXT};
    CHECK(corpus_batch(corpus, &all, in, out, NULL, &error));
    for (int row = 0; row < 3; row++)
      for (int i = 0; i < COUNT; i++) {
        struct corpus_batch one = selection_request(11, windows[i], CONTEXT);
        CHECK(corpus_batch(plain, &one, own_in, own_out, NULL, &error));
        seen[i] += memcmp(own_in, in + row * CONTEXT, sizeof own_in) == 0;
      }
  }
  for (int i = 0; i < COUNT; i++) CHECK(seen[i] == 2);
  // With weights: drawn in proportion.
  double weights[COUNT] = {0};
  weights[3] = 3, weights[8] = 1;
  made.weights = weights;
  CHECK(selection_write(&made, path, &error) && selection_read(path, &arena, &read, &error) && read.weights);
  struct corpus *weighted = open(&config);
  CHECK(selection_wrap(&weighted, &read, &error));
  int of[2] = {0}, other = 0;
  for (int64_t step = 0; step < 400; step++) {
    int32_t in[CONTEXT], out[CONTEXT], own_in[CONTEXT], own_out[CONTEXT];
    struct corpus_batch any = {.seed = 9, .step = step, .batch_rows = 1, .rows = 1, .context = CONTEXT};
    struct corpus_batch third = selection_request(11, windows[3], CONTEXT);
    CHECK(corpus_batch(weighted, &any, in, out, NULL, &error) &&
          corpus_batch(plain, &third, own_in, own_out, NULL, &error));
    bool first = memcmp(own_in, in, sizeof in) == 0;
    third = selection_request(11, windows[8], CONTEXT);
    CHECK(corpus_batch(plain, &third, own_in, own_out, NULL, &error));
    bool second = memcmp(own_in, in, sizeof in) == 0;
    of[0] += first, of[1] += second, other += !first && !second;
  }
  CHECK(other == 0 && of[0] > 260 && of[0] < 340);
  // Damage, and another corpus.
  FILE *file = fopen(path, "r+");
  CHECK(file && fseek(file, 60, SEEK_SET) == 0 && fputc('7', file) == '7' && fclose(file) == 0);
  struct error damaged = {0};
  CHECK(!selection_read(path, &arena, &read, &damaged) && damaged.code == EXIT_ENVIRONMENT);
  struct selection wrong = made;
  wrong.corpus[0] ^= 1;
  struct error another = {0};
  CHECK(!selection_wrap(&plain, &wrong, &another) && another.code == EXIT_USAGE_ERROR);
  remove(path);
  corpus_close(corpus), corpus_close(plain), corpus_close(weighted);
  arena_free(&arena);
}

int main(void) {
  RUN(sketches_keep_inner_products);
  RUN(the_transform_is_the_matrix);
  RUN(ridge_regression_solves_its_equations);
  RUN(turns_are_taken);
  RUN(linear_weights_meet_their_conditions);
  RUN(an_epoch_has_each_selected_window_once);
  return check_end();
}
