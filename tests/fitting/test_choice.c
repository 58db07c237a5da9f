// What best_over chose from a grid: how far off that is, and intervals of the law of it that hold the truth.
//
//   test_fitting_choice [--repeats N] [--strict]
//
// Prints TAP. With --strict, 95 % intervals of exponents by default hold the truth in 90 % or more of N tables of every
// design, within two standard errors.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static const char rate_law[] =
    "law: rate\nformula: \"k * (N / 1e8)^p * (D / 1e10)^q\"\npredicts: lr\nresidual: log\nobjective: least-squares\n"
    "parameters:\n  k: {positive: true, starts: [0.001]}\n  p: {starts: [0]}\n  q: {starts: [0]}\n";

static struct {
  int repeats;
  bool strict;
} asked = {30, false};

// Ratio of a grid's neighbours, noise of a loss, factors between sizes and between durations, how many of them.
struct design {
  double step, noise, size, duration;
  int sizes, durations;
};

static const struct design designs[] = {
    {1.41421356, 0.0002, 3, 4, 5, 4},                          // neighbours are told apart: the grid's steps alone
    {1.41421356, 0.004, 3, 4, 5, 4},                           // noise decides among neighbours
    {2, 0.002, 3, 4, 5, 4},           {4, 0.002, 2, 2, 5, 4},  // all sizes share two or three values
    {10, 0.002, 1.5, 1.5, 5, 4},                               // many share one
    {2, 0.002, 3, 4, 4, 2},                                    // few, so that intervals are Student's t's
    {10, 0.002, 1.5, 1.5, 4, 2},
};
static const double truth[2] = {-0.71, 0.31};

// A sweep of the learning rate at every size and duration, the grid moved by a part of its step from table to table.
static void make_sweep(struct table *table, const struct design *design, int repeat) {
  enum { RATES = 17 };
  double normal[2], offset = random_uniform(91, 1, 0, (uint64_t)repeat) - 0.5;
  table_init(table, "made", (size_t)(design->sizes * design->durations * RATES));
  size_t n = table_add_number(table, "parameters", ROLE_UNKNOWN), d = table_add_number(table, "tokens", ROLE_UNKNOWN),
         lr = table_add_number(table, "lr", ROLE_UNKNOWN), loss = table_add_number(table, "loss", ROLE_UNKNOWN),
         row = 0;
  for (int i = 0; i < design->sizes; i++)
    for (int j = 0; j < design->durations; j++)
      for (int k = 0; k < RATES; k++, row++) {
        double size = 1e8 * pow(design->size, i - (design->sizes - 1) / 2.0),
               tokens = 1e10 * pow(design->duration, j - (design->durations - 1) / 2.0);
        double best = log(0.004 * pow(size / 1e8, truth[0]) * pow(tokens / 1e10, truth[1]));
        double rate = log(0.004) + log(design->step) * (k - RATES / 2 + offset);
        random_normal_pair(92, 9, (uint64_t)repeat, row, normal);
        table->columns[n].numbers[row] = size;
        table->columns[d].numbers[row] = tokens;
        table->columns[lr].numbers[row] = exp(rate);
        table->columns[loss].numbers[row] = 3 + 0.03 * pow(rate - best, 2) + design->noise * normal[0];
      }
}

static const char *const axes[] = {"lr"}, *const keys[] = {"parameters", "tokens"};

// How often the intervals of p and q hold the truth in `repeats` tables; with the errors of the choice, or without.
static void cover(const struct law *law, const struct design *design, int repeats, bool with_error, double held[2]) {
  held[0] = held[1] = 0;
  for (int repeat = 0; repeat < repeats; repeat++) {
    struct table table;
    struct fit_result result;
    struct reduction reduction;
    struct error error = {0};
    make_sweep(&table, design, repeat);
    CHECK(table_best_over(&table, NULL, axes, 1, keys, 2, &reduction, &error));
    CHECK(table.row_count == (size_t)(design->sizes * design->durations));
    if (!with_error) table.choice_count = 0;
    struct fit_options options = {.bootstrap = 200, .starts = 4, .seed = (uint64_t)repeat};
    if (run_fit(law, &table, &options, &result))
      for (int i = 0; i < 2; i++) {
        const struct coefficient *c = find_coefficient(&result, i ? "q" : "p");
        bool none = isnan(c->low) && isnan(c->high);  // holds everything, and says nothing
        held[i] += !none && !(c->low > truth[i]) && !(c->high < truth[i]);
      }
    fit_result_free(&result);
    table_free(&table);
  }
  for (int i = 0; i < 2; i++) held[i] *= 100.0 / repeats;
}

static void intervals_hold(void) {
  struct law law;
  double slack = 200 * sqrt(0.9 * 0.1 / asked.repeats);
  if (!parse_law(&law, rate_law)) return;
  for (size_t d = 0; d < sizeof designs / sizeof *designs; d++) {
    double with[2], without[2];
    cover(&law, &designs[d], asked.repeats, true, with);
    cover(&law, &designs[d], asked.repeats, false, without);
    printf(
        "# rates %.2f apart, noise %g, %d sizes %g and %d durations %g apart: 95 %% intervals hold the truth in p %.1f q %.1f "
        "%% of %d tables (without the error of the choice %.1f, %.1f)\n",
        designs[d].step, designs[d].noise, designs[d].sizes, designs[d].size, designs[d].durations, designs[d].duration,
        with[0], with[1], asked.repeats, without[0], without[1]);
    for (int i = 0; i < 2; i++) CHECK(with[i] >= 90 - slack);
    if (d + 1 == sizeof designs / sizeof *designs) CHECK(without[0] < 80);  // the test can fail
  }
  law_free(&law);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--repeats") == 0 && i + 1 < argc) asked.repeats = atoi(argv[++i]);
    if (strcmp(argv[i], "--strict") == 0) asked.strict = true;
  }
  RUN(intervals_hold);
  return check_end();
}
