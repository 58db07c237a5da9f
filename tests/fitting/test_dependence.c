// Rows that depend on each other: checkpoints of one run are found and resampled together, independent rows are left
// alone, and intervals hold the truth as often as they say.
//
//   test_fitting_dependence [--repeats N] [--strict] [--diagnosed] [--design K] [--first N]
//
// Prints TAP. --design counts for one design alone, from made table --first on, so that a long count can be made in
// parts. With --strict, 95 % intervals by default hold the truth in 91 to 98 % of the tables of 24 runs, within
// two standard errors of N repeats, and in 90 % or more of those of 8 runs. With --diagnosed the fits make profiles of
// what looks loose, as `isoloss fit` does; a side without a limit holds the truth.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

enum { CHECKPOINTS = 10, NAMES = 6 };
static const char *const names[NAMES] = {"E", "A", "B", "alpha", "beta", "a"};
static const double truth[NAMES] = {1.75, 380, 1500, 0.335, 0.36, 0.36 / (0.335 + 0.36)};

// Runs of several sizes and durations (or of one duration), whose checkpoints share an offset of 1 %, and have noise
// that persists from one to the next. `column` names the runs; NULL: nothing does.
static void make_runs(struct table *table, int runs, int sizes, const char *column, int repeat) {
  table_init(table, "made", (size_t)(runs * CHECKPOINTS));
  size_t n = table_add_number(table, "parameters", ROLE_UNKNOWN), d = table_add_number(table, "tokens", ROLE_UNKNOWN);
  size_t loss = table_add_number(table, "loss", ROLE_UNKNOWN),
         named = column ? table_add_category(table, column, ROLE_UNKNOWN) : 0;
  for (int run = 0; run < runs; run++) {
    double offset[2], persistent = 0, normal[2];
    int durations = runs / sizes;
    double size = 1e7 * pow(300, run % sizes / (sizes - 1.0));
    double last = durations > 1 ? 2e9 * pow(50, run / sizes / (durations - 1.0)) : 2e10;
    char name[16];
    snprintf(name, sizeof name, "r%d", run);
    random_normal_pair(77, 5, (uint64_t)repeat, (uint64_t)run, offset);
    for (int k = 0; k < CHECKPOINTS; k++) {
      size_t row = (size_t)(run * CHECKPOINTS + k);
      random_normal_pair(78, 6, (uint64_t)repeat, row, normal);
      persistent = k ? 0.8 * persistent + 0.6 * normal[0] : normal[0];
      double tokens = last * (k + 1) / CHECKPOINTS;
      table->columns[n].numbers[row] = size;
      table->columns[d].numbers[row] = tokens;
      table->columns[loss].numbers[row] =
          (truth[0] + truth[1] * pow(size, -truth[3]) + truth[2] * pow(tokens, -truth[4])) *
          exp(0.01 * offset[0] + 0.004 * persistent + 0.002 * normal[1]);
      if (column) table_set_category(table, named, row, name);
    }
  }
}

struct coverage {
  int held[NAMES], fits;
};

static struct {
  int repeats, design, first;
  bool strict, diagnosed;
} asked = {6, -1, 0, false, false};

static bool holds(double low, double high, double value) { return !(low > value) && !(high < value); }

static void cover(const struct law *law, int runs, int sizes, const char *group, int repeats,
                  struct coverage *coverage) {
  for (int repeat = asked.first; repeat < asked.first + repeats; repeat++) {
    struct table table;
    struct fit_result result;
    make_runs(&table, runs, sizes, "run", repeat);
    struct fit_options options = {
        .bootstrap = 50, .starts = 30, .bare = !asked.diagnosed, .seed = (uint64_t)repeat, .group = group};
    if (run_fit(law, &table, &options, &result)) {
      coverage->fits++;
      for (int i = 0; i < NAMES; i++) {
        for (size_t c = 0; c < result.coefficient_count; c++)
          if (strcmp(result.coefficients[c].name, names[i]) == 0)
            coverage->held[i] += holds(result.coefficients[c].low, result.coefficients[c].high, truth[i]);
        for (size_t c = 0; c < result.derived_count; c++)
          if (strcmp(result.derived[c].name, names[i]) == 0)
            coverage->held[i] += holds(result.derived[c].low, result.derived[c].high, truth[i]);
      }
    }
    fit_result_free(&result);
    table_free(&table);
  }
}

static double mean_coverage(const struct coverage *coverage) {
  double sum = 0;
  for (int i = 0; i < NAMES; i++) sum += 100.0 * coverage->held[i] / coverage->fits / NAMES;
  return sum;
}

static const struct {
  int runs, sizes;
  double low, high;
} designs[] = {{24, 6, 91, 98}, {24, 24, 91, 98}, {8, 4, 90, 100}, {8, 8, 90, 100}};

static void intervals_hold(const struct law *law, int repeats, bool strict) {
  for (size_t d = 0; d < sizeof designs / sizeof *designs; d += strict ? 1 : 2) {
    if (asked.design >= 0 && (size_t)asked.design != d) continue;
    struct coverage coverage = {0};
    cover(law, designs[d].runs, designs[d].sizes, NULL, repeats, &coverage);
    printf("# %d runs of %d sizes, %d repeats: 95 %% intervals hold the truth in percent of them:", designs[d].runs,
           designs[d].sizes, repeats);
    for (int i = 0; i < NAMES; i++) {
      double share = 100.0 * coverage.held[i] / coverage.fits, error = 200 * sqrt(0.95 * 0.05 / coverage.fits);
      printf(" %s %.1f", names[i], share);
      CHECK(!strict || (share >= designs[d].low - error && share <= designs[d].high + error));
    }
    printf(" (mean %.1f)\n", mean_coverage(&coverage));
    CHECK(mean_coverage(&coverage) > 85);
    if (d || strict) continue;
    struct coverage apart = {0};  // row by row they are far too narrow: the test can fail
    cover(law, designs[d].runs, designs[d].sizes, "none", repeats, &apart);
    printf("# the same row by row: mean %.1f\n", mean_coverage(&apart));
    CHECK(mean_coverage(&apart) < 80);
  }
}

static bool fit_made(const struct law *law, struct table *table, const char *group, struct fit_result *result) {
  return run_fit(law, table, &(struct fit_options){.bootstrap = 40, .starts = 60, .group = group}, result);
}

static void finds_runs(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  if (!load_law(&law, "chinchilla")) return;
  make_runs(&table, 24, 6, "run", 1);  // by name
  if (fit_made(&law, &table, NULL, &result)) {
    CHECK_TEXT(result.grouped_by, "run");
    CHECK(result.group_count == 24 && result.interval == INTERVAL_T && result.interval_degrees == 23);
    CHECK(result.interval_reason && strstr(result.interval_reason, "24 groups"));
    CHECK(strstr(result.grouping, "--group none"));
    for (size_t i = 0; i < result.warning_count; i++)  // the runs last longer and shorter
      CHECK(!strstr(result.warnings[i], "at the same tokens"));
  }
  fit_result_free(&result);
  if (fit_made(&law, &table, "none", &result)) CHECK(!result.grouped_by && result.group_count == 240);
  fit_result_free(&result);
  table_free(&table);
  make_runs(&table, 8, 8, "lineage", 1);  // by their residuals, named by the column that says the same
  if (fit_made(&law, &table, NULL, &result)) CHECK_TEXT(result.grouped_by, "lineage");
  fit_result_free(&result);
  table_free(&table);
  make_runs(&table, 8, 8, "lineage, by name", 1);  // the whole text is a column's name, else a list of names
  if (fit_made(&law, &table, "lineage, by name", &result)) CHECK(result.group_count == 8);
  fit_result_free(&result);
  if (fit_made(&law, &table, "parameters, tokens", &result)) CHECK(result.group_count == 80);
  fit_result_free(&result);
  table_free(&table);
  make_runs(&table, 8, 8, NULL, 1);
  if (fit_made(&law, &table, NULL, &result)) CHECK_TEXT(result.grouped_by, "parameters");
  fit_result_free(&result);
  table_free(&table);
  if (load_table(&table, TABLES "/made/same_tokens.csv")) {  // row by row: E up to 1.47, alpha up to 0.226
    if (fit_made(&law, &table, NULL, &result)) {
      CHECK_TEXT(result.grouped_by, "model");
      const struct coefficient *e = find_coefficient(&result, "E"), *alpha = find_coefficient(&result, "alpha");
      CHECK(e->status == COEFFICIENT_ONE_SIDED && isnan(e->low) && e->high > 1.75 && strstr(e->note, "at most"));
      CHECK(alpha->status == COEFFICIENT_UNIDENTIFIED && isnan(alpha->low) && isnan(alpha->high) && isnan(alpha->se));
      CHECK(result.answer && strstr(result.answer, "a is not determined by these rows"));
      CHECK(strstr(alpha->note, "not determined: ") && strstr(alpha->note, "fits within 2 %"));
      // B and beta are those of the curve that the six models share, whatever the law's are: their runs cannot tell
      bool told = false;
      for (size_t i = 0; i < result.warning_count; i++)
        told |= strstr(result.warnings[i], "all 6 runs have checkpoints at the same tokens") != NULL;
      CHECK(told);
      bool by_profile = false;  // E is one-sided: a least loss is known as far as E's profile goes
      for (size_t i = 0; i < result.derived_count; i++) {
        const struct fit_derived *loss = &result.derived[i];
        if (strncmp(loss->name, "loss_optimal[", 13) != 0 || isnan(loss->high)) continue;
        by_profile |= loss->intervals.kind == INTERVAL_PROFILE && loss->high >= 0.99 * e->high;
      }
      CHECK(by_profile);
    }
    fit_result_free(&result);
    table_free(&table);
  }
  law_free(&law);
}

// Rows with noise of their own, as a grid of runs has it; with a column of ids that are all different, and without.
static void leaves_rows_alone(void) {
  struct law law;
  int grouped = 0, tables = 60;
  if (!load_law(&law, "chinchilla")) return;
  for (int repeat = 0; repeat < tables; repeat++) {
    struct table table;
    struct fit_result result;
    make_runs(&table, 8, 8, NULL, repeat);
    for (size_t row = 0; row < table.row_count; row++) {
      double normal[2], *loss = &table.columns[2].numbers[row];
      random_normal_pair(79, 7, (uint64_t)repeat, row, normal);
      *loss = (truth[0] + truth[1] * pow(table.columns[0].numbers[row], -truth[3]) +
               truth[2] * pow(table.columns[1].numbers[row], -truth[4])) *
              exp(0.005 * normal[0]);
    }
    if (run_fit(&law, &table, &(struct fit_options){.bare = true, .bootstrap = 0, .starts = 20}, &result))
      grouped += result.grouped_by != NULL;
    fit_result_free(&result);
    table_free(&table);
  }
  printf("# %d of %d tables of independent rows were grouped\n", grouped, tables);
  CHECK(grouped <= 4);
  struct table table;
  struct fit_result result;
  if (load_table(&table, TABLES "/made/states.csv")) {  // how a run ended is no setting that parts it from others
    if (run_fit(&law, &table, &(struct fit_options){.bare = true, .bootstrap = 0}, &result)) CHECK(!result.grouped_by);
    fit_result_free(&result);
    table_free(&table);
  }
  law_free(&law);
}

// Two tokenizers in one table: the column that explains the residuals is named, one that does not is not.
static void names_what_explains(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  if (!load_law(&law, "chinchilla")) return;
  make_runs(&table, 24, 6, "run", 3);
  size_t tokenizer = table_add_category(&table, "tokenizer", ROLE_UNKNOWN),
         host = table_add_category(&table, "host", ROLE_UNKNOWN);
  for (size_t row = 0; row < table.row_count; row++) {
    size_t run = row / CHECKPOINTS;
    bool second = run % 3 == 0;
    if (second) table.columns[2].numbers[row] *= 1.04;
    table_set_category(&table, tokenizer, row, second ? "gpt2" : "llama");
    table_set_category(&table, host, row, run % 2 ? "a" : "b");
  }
  if (fit_made(&law, &table, NULL, &result)) {
    int named = 0, wrongly = 0;
    for (size_t i = 0; i < result.warning_count; i++) {
      named += strstr(result.warnings[i], "residuals go with tokenizer") != NULL;
      wrongly += strstr(result.warnings[i], "host") != NULL;
    }
    CHECK(named == 1 && wrongly == 0);
  }
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

static void coverage(void) {
  struct law law;
  if (!load_law(&law, "chinchilla")) return;
  intervals_hold(&law, asked.repeats, asked.strict);
  law_free(&law);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--repeats") == 0 && i + 1 < argc) asked.repeats = atoi(argv[++i]);
    if (strcmp(argv[i], "--design") == 0 && i + 1 < argc) asked.design = atoi(argv[++i]);
    if (strcmp(argv[i], "--first") == 0 && i + 1 < argc) asked.first = atoi(argv[++i]);
    if (strcmp(argv[i], "--strict") == 0) asked.strict = true;
    if (strcmp(argv[i], "--diagnosed") == 0) asked.diagnosed = true;
  }
  if (asked.design < 0) {
    RUN(finds_runs);
    RUN(leaves_rows_alone);
    RUN(names_what_explains);
  }
  RUN(coverage);
  return check_end();
}
