// How often intervals outside the fitted rows, and those of categories of few rows, hold the truth: tables are made
// from a known law, fitted, and asked.
//
//   test_fitting_extrapolation [--repeats N] [--resamples N] [--design K] [--strict]
//
// Prints TAP. For each design: 95 % intervals of the law at 3 and 8 times the largest N and D, those of a new run
// there, those of coefficients, and those of the rollouts that every fit makes (of a quarter of the tables). With
// --strict all designs, and narrower bounds.
#include <stdlib.h>

#include "fitting/rollout.h"
#include "tests/fitting/fitting_test.h"

static const char staged[] =
    "law: staged\nformula: \"E + A / (N * eff[format])^alpha + B / D^beta\"\nresidual: log\nobjective: huber:1e-3\n"
    "parameters:\n"
    "  E: {positive: true, starts: [1, 2]}\n  A: {positive: true, starts: {log: [1, 1e5, 3]}}\n"
    "  B: {positive: true, starts: {log: [1, 1e5, 3]}}\n  alpha: {low: 0, high: 10, starts: [0.2, 0.5]}\n"
    "  beta: {low: 0, high: 10, starts: [0.2, 0.5]}\n"
    "  eff: {positive: true, by: format, baseline: [none], starts: [0.3, 0.8]}\n"
    "stages:\n  - {name: dense, where: \"baseline(format)\", free: [E, A, B, alpha, beta]}\n"
    "  - {name: formats, where: \"not baseline(format)\", free: [eff]}\n";

enum { FORMATS = 5, POINTS = 4, CHECKPOINTS = 10, DENSE = 0 };
static const char *const formats[FORMATS] = {"none", "w4", "w3", "w2", "w1"};
static const double worth[FORMATS] = {1, 0.8, 0.5, 0.25, 0.1};

static const struct design {
  const char *words, *law;  // NULL: staged
  int sizes, durations;     // of the dense rows; of a design of checkpoints, runs
  int format_rows[FORMATS];
  bool checkpoints;
} designs[] = {{"grid of 7 x 6", "chinchilla", 7, 6, {0}, false},
               {"24 runs of 10 checkpoints", "chinchilla", 6, 4, {0}, true},
               {"two stages, 30 dense rows, formats of 12", NULL, 6, 5, {0, 12, 12}, false},
               {"formats of 1, 2, 3 and 4 rows", "effective-parameters", 6, 5, {0, 1, 2, 3, 4}, false}};
enum { DESIGNS = sizeof designs / sizeof *designs };

static const double size_high = 1e9, duration_high = 2e10, noise = 0.003, run_noise = 0.005;

static double loss_of(double n, double d) { return 1.75 + 380 / pow(n, 0.335) + 1500 / pow(d, 0.36); }

struct making {
  struct table *table;
  uint64_t repeat, row;
};

static void put_row(struct making *making, double n, double d, int format, double offset) {
  double normal[2];
  struct table *table = making->table;
  random_normal_pair(61, 9, making->repeat, making->row, normal);
  table->columns[0].numbers[making->row] = n;
  table->columns[1].numbers[making->row] = d;
  table->columns[2].numbers[making->row] = loss_of(n * worth[format], d) * exp(noise * normal[0] + offset);
  table_set_category(table, 3, making->row++, formats[format]);
}

static void make_table(struct table *table, const struct design *design, int repeat) {
  int dense = design->sizes * design->durations * (design->checkpoints ? CHECKPOINTS : 1), rows = dense;
  for (int f = 1; f < FORMATS; f++) rows += design->format_rows[f];
  table_init(table, "made", (size_t)rows);
  table_add_number(table, "parameters", ROLE_UNKNOWN);
  table_add_number(table, "tokens", ROLE_UNKNOWN);
  table_add_number(table, "loss", ROLE_UNKNOWN);
  table_add_category(table, "format", ROLE_UNKNOWN);
  if (design->checkpoints) table_add_category(table, "run", ROLE_UNKNOWN);
  struct making making = {table, (uint64_t)repeat, 0};
  for (int i = 0; i < design->sizes; i++)
    for (int j = 0; j < design->durations; j++) {
      double n = size_high * pow(300, (double)i / (design->sizes - 1) - 1),
             d = duration_high * pow(100, (double)j / (design->durations - 1) - 1), offset[2];
      random_normal_pair(62, 9, (uint64_t)repeat, making.row, offset);
      for (int k = 0; k < (design->checkpoints ? CHECKPOINTS : 1); k++) {
        char name[16];
        snprintf(name, sizeof name, "r%d", i * design->durations + j);
        if (design->checkpoints) table_set_category(table, 4, making.row, name);
        put_row(&making, n, design->checkpoints ? d * (k + 1) / CHECKPOINTS : d, DENSE,
                design->checkpoints ? run_noise * offset[0] : 0);
      }
    }
  for (int f = 1; f < FORMATS; f++)  // over the sizes, at durations that differ from format to format
    for (int k = 0; k < design->format_rows[f]; k++)
      put_row(&making, size_high * pow(300, ((k + f) % 6) / 5.0 - 1),
              duration_high * pow(100, ((2 * k + f) % 5) / 4.0 - 1), f, 0);
}

static int resamples = 200;

struct counts {
  int held, of;
};

struct coverage {
  struct counts law[POINTS], run[POINTS], coefficients, few[FORMATS], rollouts;
};

static void count(struct counts *counts, double low, double high, double truth) {
  if (isnan(low) && isnan(high)) return;
  counts->of++;
  counts->held += !(low > truth) && !(high < truth);
}

// N and D that many times outside, of no format and of the first.
static void ask(const struct law *law, const struct table *table, const struct fit_result *result,
                const struct design *design, int repeat, struct coverage *coverage) {
  static const double factors[POINTS] = {3, 8, 3, 8};
  struct arena arena = {0};
  struct fitted_law fitted;
  fitted_law_of(&arena, law, table, result, false, 1, &fitted);
  for (int p = 0; p < POINTS; p++) {
    int format = p / 2;
    if (format && !design->format_rows[format]) continue;
    double n = size_high * factors[p], d = duration_high * factors[p], normal[2];
    struct law_input inputs[] = {{"parameters", {.kind = VALUE_NUMBER, .number = n}},
                                 {"tokens", {.kind = VALUE_NUMBER, .number = d}},
                                 {"format", {.kind = VALUE_TEXT, .text = formats[format]}}};
    struct prediction prediction;
    fitted_law_predict(&arena, &fitted, inputs, 3, &prediction);
    double truth = loss_of(n * worth[format], d);
    random_normal_pair(63, 9, (uint64_t)repeat, (uint64_t)p, normal);
    count(&coverage->law[p], prediction.law.low, prediction.law.high, truth);
    count(&coverage->run[p], prediction.run_low, prediction.run_high,
          truth * exp(noise * normal[0] + (design->checkpoints ? run_noise * normal[1] : 0)));
  }
  arena_free(&arena);
}

static void count_coefficients(const struct fit_result *result, struct coverage *coverage) {
  static const char *const names[] = {"E", "A", "B", "alpha", "beta"};
  static const double truth[] = {1.75, 380, 1500, 0.335, 0.36};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const struct coefficient *c = find_coefficient(result, names[i]);
    count(&coverage->coefficients, c->low, c->high, truth[i]);
  }
  for (size_t i = 0; i < result->coefficient_count; i++)
    for (int f = 1; f < FORMATS; f++) {
      const struct coefficient *c = &result->coefficients[i];
      if (c->category && strcmp(c->category, formats[f]) == 0) count(&coverage->few[f], c->low, c->high, worth[f]);
    }
}

static void look(const struct law *law, const struct design *design, int repeat, struct coverage *coverage) {
  struct table table;
  struct fit_result result;
  make_table(&table, design, repeat);
  struct fit_options options = {
      .bootstrap = resamples, .starts = 30, .bare = repeat % 4 != 0, .seed = (uint64_t)repeat};
  if (run_fit(law, &table, &options, &result)) {
    count_coefficients(&result, coverage);
    ask(law, &table, &result, design, repeat, coverage);
    for (size_t i = 0; i < result.rollouts.error_count; i++) {
      coverage->rollouts.of += (int)result.rollouts.errors[i].judged;
      coverage->rollouts.held += (int)result.rollouts.errors[i].held;
    }
  }
  fit_result_free(&result);
  table_free(&table);
}

static double share(struct counts counts) { return 100.0 * counts.held / counts.of; }

// Prints a share where there is one; checked against the bounds.
static void judge(const char *words, struct counts counts, double low, double high) {
  if (!counts.of) return;
  printf("#   %-34s %5.1f of %d\n", words, share(counts), counts.of);
  CHECK(share(counts) >= low && share(counts) <= high);
}

static void judge_design(const struct design *design, const struct coverage *coverage, int repeats, double low,
                         double high) {
  static const char *const points[POINTS] = {"3 times outside", "8 times outside", "3 times outside, w4",
                                             "8 times outside, w4"};
  char words[64];
  printf("# %s, %d tables: 95 %% intervals hold the truth in percent of them\n", design->words, repeats);
  for (int p = 0; p < POINTS; p++) {
    snprintf(words, sizeof words, "of the law, %s", points[p]);
    judge(words, coverage->law[p], low, high);
    snprintf(words, sizeof words, "of a run, %s", points[p]);
    judge(words, coverage->run[p], low, high);
  }
  judge("of E, A, B, alpha, beta", coverage->coefficients, low, high);
  for (int f = 1; f < FORMATS; f++) {
    snprintf(words, sizeof words, "of eff[%s], %d rows", formats[f], design->format_rows[f]);
    judge(words, coverage->few[f], low, high);
  }
  judge("of rollouts", coverage->rollouts, low, high);
}

int main(int argc, char **argv) {
  fitting_start();
  int repeats = 40, only = 0;
  double low = 82, high = 100;  // of 40: a share of 95 % is as low once in 500 times
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--repeats") == 0 && i + 1 < argc) repeats = atoi(argv[++i]);
    if (strcmp(argv[i], "--resamples") == 0 && i + 1 < argc) resamples = atoi(argv[++i]);
    if (strcmp(argv[i], "--design") == 0 && i + 1 < argc) only = atoi(argv[++i]);
    if (strcmp(argv[i], "--strict") == 0) {
      low = 90;
      only = -1;
    }
  }
  for (int d = 0; d < DESIGNS; d++) {
    struct law law;
    struct coverage coverage = {0};
    if (only >= 0 && only != d) continue;
    if (designs[d].law ? !load_law(&law, designs[d].law) : !parse_law(&law, staged)) break;
    for (int repeat = 0; repeat < repeats; repeat++) look(&law, &designs[d], repeat, &coverage);
    judge_design(&designs[d], &coverage, repeats, low, high);
    law_free(&law);
  }
  printf("%sok 1 - extrapolation\n1..1\n", check_failures ? "not " : "");
  return check_failures != 0;
}
