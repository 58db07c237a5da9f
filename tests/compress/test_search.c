// The search over layers: totals stay, it finds what trying all finds, its length follows k (n - k) / lambda, it goes
// on from any generation to the same bits.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "trainer/compress/search.h"

static const struct search_round one_round[] = {{1000, 1}};

// ---- worths ----

struct table {
  int layers, levels;
  double cost[8][8];   // of a layer at a level
  double pairs[8][8];  // times the levels of two layers: what is not additive
};

static double of_table(const struct table *t, const int *choice) {
  double sum = 0;
  for (int i = 0; i < t->layers; i++) {
    sum += t->cost[i][choice[i]];
    for (int j = 0; j < i; j++) sum += t->pairs[i][j] * (t->levels - choice[i]) * (t->levels - choice[j]);
  }
  return sum;
}

static bool table_worth(void *context, const int *choice, const struct search_round *round, double *worth,
                        struct error *error) {
  (void)round, (void)error;
  *worth = of_table(context, choice);
  return true;
}

static struct table random_table(int layers, int levels, double interaction, uint64_t seed) {
  struct table t = {.layers = layers, .levels = levels};
  uint64_t at = 0;
  for (int i = 0; i < layers; i++) {
    double size = 0.2 + random_uniform(seed, RANDOM_STREAM_MONTE_CARLO, 0, at++);
    for (int l = 0; l < levels; l++)
      t.cost[i][l] = size * pow(0.3, l) * (0.8 + 0.4 * random_uniform(seed, RANDOM_STREAM_MONTE_CARLO, 0, at++));
    for (int j = 0; j < i; j++)
      t.pairs[i][j] = interaction * (random_uniform(seed, RANDOM_STREAM_MONTE_CARLO, 0, at++) - 0.5);
  }
  return t;
}

// Linear: the first k of n layers are those to drop, each other one that is dropped costs 1.
struct wrong {
  int layers, k;
};
static bool wrong_worth(void *context, const int *choice, const struct search_round *round, double *worth,
                        struct error *error) {
  (void)round, (void)error;
  const struct wrong *w = context;
  *worth = 0;
  for (int l = w->k; l < w->layers; l++) *worth += choice[l] == 0;
  return true;
}

// ---- tests ----

static void totals_stay(void) {
  enum { LAYERS = 12 };
  const int levels[LAYERS] = {5, 5, 5, 5, 3, 3, 3, 2, 2, 2, 2, 5}, group[LAYERS] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3};
  const struct search_space space = {LAYERS, levels, group};
  const int64_t units[] = {7, 3, 2, 1};
  struct error error = {0};
  int choice[LAYERS], next[LAYERS], same = 0, counts[4] = {0};
  CHECK(search_start(&space, units, 4, choice, &error));
  for (int64_t generation = 0; generation < 20000; generation++) {
    int64_t sums[4] = {0}, moved = 0;
    search_mutate(&space, 7, generation, generation % 5, choice, next);
    for (int l = 0; l < LAYERS; l++) {
      CHECK(next[l] >= 0 && next[l] < levels[l]);
      sums[group[l]] += next[l];
      moved += abs(next[l] - choice[l]);
    }
    CHECK(memcmp(sums, units, sizeof sums) == 0);
    same += moved == 0;
    if (moved / 2 <= 3) counts[moved / 2]++;
    CHECK(moved / 2 <= 3);
    memcpy(choice, next, sizeof choice);
  }
  CHECK(same == 0);
  CHECK(counts[1] > 0 && counts[2] > 0 && counts[3] > 0);
  const int64_t many[] = {17, 3, 2, 1};
  CHECK(!search_start(&space, many, 4, choice, &error));
  CHECK(strstr(error.text, "hold 16 units, not 17") != NULL);
}

// Of a choice without another one nothing is made; a group of one layer never moves.
static void where_nothing_can_move(void) {
  const int levels[] = {4, 4}, group[] = {0, 1};
  const struct search_space space = {2, levels, group};
  int choice[] = {2, 1}, next[2];
  search_mutate(&space, 1, 0, 0, choice, next);
  CHECK(next[0] == 2 && next[1] == 1);
}

static void finds_what_trying_all_finds(void) {
  enum { LAYERS = 6, LEVELS = 5 };
  const int levels[LAYERS] = {5, 5, 5, 5, 5, 5}, group[LAYERS] = {0, 0, 0, 1, 1, 1};
  const struct search_space space = {LAYERS, levels, group};
  const int64_t units[] = {6, 5};
  for (uint64_t seed = 0; seed < 30; seed++) {
    struct table table = random_table(LAYERS, LEVELS, 0.02, seed);
    struct search search = {&space, 16, one_round, 1, seed, table_worth, &table};
    struct error error = {0};
    int best[LAYERS], choice[LAYERS];
    double least, worth = NAN;
    int64_t tried = 0, asked = 0;
    CHECK(search_check(&search, &error));
    CHECK(search_start(&space, units, 2, best, &error));
    memcpy(choice, best, sizeof choice);
    CHECK(search_exhaustive(&search, 1000, best, &least, &tried, &error));
    CHECK_NEAR(least, of_table(&table, best), 0);
    double before = INFINITY;
    for (int64_t g = 0; g < 60; g++) {
      CHECK(search_generation(&search, g, choice, &worth, &asked, &error));
      CHECK(worth <= before);
      before = worth;
    }
    CHECK_NEAR(worth, least, 0);
    CHECK(asked == 60 * 16 + 1);
    CHECK_NEAR(worth, of_table(&table, choice), 0);
  }
}

// Those of three layers with levels 0 .. 4 and six units: by hand 19, times those of five units, 18.
static void all_choices_are_tried_once(void) {
  const int levels[] = {5, 5, 5, 5, 5, 5}, group[] = {0, 0, 0, 1, 1, 1};
  const struct search_space space = {6, levels, group};
  const int64_t units[] = {6, 5};
  struct table table = random_table(6, 5, 0, 1);
  struct search search = {&space, 1, one_round, 1, 0, table_worth, &table};
  struct error error = {0};
  int choice[6];
  double worth;
  int64_t tried = 0, expected = 0;
  for (int a = 0; a < 5; a++)
    for (int b = 0; b < 5; b++)
      for (int c = 0; c < 5; c++)
        for (int d = 0; d < 5; d++)
          for (int e = 0; e < 5; e++)
            for (int f = 0; f < 5; f++) expected += a + b + c == 6 && d + e + f == 5;
  CHECK(search_start(&space, units, 2, choice, &error));
  CHECK(search_exhaustive(&search, 1000, choice, &worth, &tried, &error));
  CHECK(tried == expected);
  tried = 0;
  CHECK(!search_exhaustive(&search, 10, choice, &worth, &tried, &error));
}

// Generations until the k layers are found, times lambda, over k (n - k): the length that theory gives for linear
// worths.
static void length_follows_the_law(void) {
  static const struct {
    int n, k, lambda, repeats;
  } cases[] = {{32, 8, 1, 60}, {32, 16, 4, 60}, {64, 16, 8, 30}, {64, 32, 16, 20}, {128, 32, 32, 8}};
  double sum = 0;
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    const int n = cases[c].n, k = cases[c].k;
    int levels[128], group[128] = {0};
    struct wrong wrong = {n, k};
    const struct search_space space = {n, levels, group};
    double generations = 0;
    for (int l = 0; l < n; l++) levels[l] = 2;
    for (int r = 0; r < cases[c].repeats; r++) {
      struct search search = {&space, cases[c].lambda, one_round, 1, (uint64_t)(r + 1), wrong_worth, &wrong};
      struct error error = {0};
      int choice[128];
      double worth = NAN;
      int64_t asked = 0, g = 0;
      for (int l = 0; l < n; l++) choice[l] = l < n - k;  // the last k are dropped
      for (; worth != 0 && g < 1000000; g++) CHECK(search_generation(&search, g, choice, &worth, &asked, &error));
      generations += (double)g / cases[c].repeats;
    }
    double ratio = generations * cases[c].lambda / ((double)k * (n - k));
    printf("# n %d, k %d, lambda %d: %.3f\n", n, k, cases[c].lambda, ratio);
    CHECK(ratio > 2 && ratio < 3.6);
    sum += ratio / (sizeof cases / sizeof *cases);
  }
  printf("# mean %.3f\n", sum);
  CHECK(sum > 2.4 && sum < 3.0);
}

// ---- rounds ----

struct noisy {
  struct table table;
  int64_t asked[3];
};

// On few tokens the worth is off by what depends on the choice and the tokens alone.
static bool noisy_worth(void *context, const int *choice, const struct search_round *round, double *worth,
                        struct error *error) {
  (void)error;
  struct noisy *n = context;
  uint64_t key = hash64(choice, sizeof *choice * (size_t)n->table.layers, (uint64_t)round->tokens);
  double noise = random_uniform(key, RANDOM_STREAM_NOISE, 0, 0) - 0.5;
  n->asked[round->tokens == 10 ? 0 : round->tokens == 100 ? 1 : 2]++;
  *worth = of_table(&n->table, choice) + 0.1 * noise / sqrt((double)round->tokens);
  return true;
}

static void rounds_narrow_and_resume(void) {
  enum { LAYERS = 6, GENERATIONS = 40 };
  const int levels[LAYERS] = {5, 5, 5, 5, 5, 5}, group[LAYERS] = {0};
  const struct search_space space = {LAYERS, levels, group};
  const struct search_round rounds[] = {{10, 8}, {100, 2}, {10000, 1}};
  const int64_t units[] = {11};
  struct noisy noisy = {.table = random_table(LAYERS, 5, 0.02, 3)}, other = noisy;
  struct search search = {&space, 32, rounds, 3, 9, noisy_worth, &noisy}, again = search;
  struct error error = {0};
  int choice[LAYERS], kept[GENERATIONS][LAYERS];
  double worth = NAN, worths[GENERATIONS];
  int64_t asked = 0;
  again.context = &other;
  CHECK(search_start(&space, units, 1, choice, &error));
  for (int g = 0; g < GENERATIONS; g++) {
    CHECK(search_generation(&search, g, choice, &worth, &asked, &error));
    memcpy(kept[g], choice, sizeof choice);
    worths[g] = worth;
  }
  CHECK(noisy.asked[0] == 32 * GENERATIONS && noisy.asked[1] == 8 * GENERATIONS &&
        noisy.asked[2] == 2 * GENERATIONS + 1);
  CHECK(asked == noisy.asked[0] + noisy.asked[1] + noisy.asked[2]);
  for (int stop = 1; stop < GENERATIONS; stop += 4) {  // from what was kept after any generation
    memcpy(choice, kept[stop - 1], sizeof choice);
    worth = worths[stop - 1];
    for (int g = stop; g < GENERATIONS; g++) CHECK(search_generation(&again, g, choice, &worth, &asked, &error));
    CHECK(worth == worths[GENERATIONS - 1] && memcmp(choice, kept[GENERATIONS - 1], sizeof choice) == 0);
  }
}

static void wrong_searches_are_refused(void) {
  const int levels[] = {2, 2}, group[] = {0, 0};
  const struct search_space space = {2, levels, group};
  const struct search_round shrink[] = {{100, 2}, {10, 1}}, grow[] = {{10, 2}, {100, 3}}, two[] = {{10, 2}};
  struct error error = {0};
  struct search search = {&space, 4, shrink, 2, 0, NULL, NULL};
  CHECK(!search_check(&search, &error));
  search.rounds = grow;
  CHECK(!search_check(&search, &error));
  search = (struct search){&space, 4, two, 1, 0, NULL, NULL};
  CHECK(!search_check(&search, &error));
  search = (struct search){&space, 0, one_round, 1, 0, NULL, NULL};
  CHECK(!search_check(&search, &error));
}

static void rank_correlations(void) {
  const double x[] = {1, 2, 3, 4, 5}, falling[] = {9, 7, 5, 3, 1}, some[] = {2, 1, 4, 3, 5}, tied[] = {1, 1, 2, 2, 3},
               flat[] = {1, 1, 1, 1, 1};
  CHECK_NEAR(rank_correlation(x, x, 5), 1, 1e-15);
  CHECK_NEAR(rank_correlation(x, falling, 5), -1, 1e-15);
  CHECK_NEAR(rank_correlation(x, some, 5), 1 - 6 * 4.0 / (5 * 24), 1e-15);
  CHECK_NEAR(rank_correlation(x, tied, 5), 9 / sqrt(10 * 9.0), 1e-12);
  CHECK(isnan(rank_correlation(x, flat, 5)));
}

int main(void) {
  check_run(totals_stay, "every mutation keeps each group's total and is another choice");
  check_run(where_nothing_can_move, "where nothing can move nothing does");
  check_run(finds_what_trying_all_finds, "six layers: what trying all finds");
  check_run(all_choices_are_tried_once, "trying all tries each once");
  check_run(length_follows_the_law, "length over k (n - k) / lambda");
  check_run(rounds_narrow_and_resume, "rounds ask as often as they say, and go on from any generation");
  check_run(wrong_searches_are_refused, "searches that cannot be are refused");
  check_run(rank_correlations, "rank correlations");
  return check_end();
}
