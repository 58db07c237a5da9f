// The design of sweeps: predicted errors against the spread of real fits, designs of known weakness, clear refusals.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static const char truth_text[] = "E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28";

// sizes x budgets; tokens = ratio * N when `ratio` is given, else from `tokens` by factors of `step`.
static void make_sweep(struct table *table, size_t sizes, double first, double step, size_t budgets, double tokens,
                       double token_step, double ratio) {
  table_init(table, "sweep", sizes * budgets);
  table_add_number(table, "parameters", ROLE_QUANTITY);
  table_add_number(table, "tokens", ROLE_QUANTITY);
  for (size_t row = 0; row < sizes * budgets; row++) {
    double N = first * pow(step, (double)(row / budgets));
    table->columns[0].numbers[row] = N;
    table->columns[1].numbers[row] = ratio > 0 ? ratio * N * pow(1.0000001, (double)(row % budgets))
                                               : tokens * pow(token_step, (double)(row % budgets));
  }
}

static bool design(const char *law_name, const struct table *table, const char *assume, struct design_options options,
                   struct design_result *result, struct error *error) {
  struct law law;
  struct arena arena = {0};
  struct design_assumption *assumptions;
  size_t count;
  static const struct fit_options fit = {.objective = "huber:1e-3", .bootstrap = 0};
  bool fine = load_law(&law, law_name) && design_assumptions_parse(&arena, assume, &assumptions, &count, error);
  *result = (struct design_result){0};
  if (fine) {
    options.assumptions = assumptions;
    options.assumption_count = count;
    if (options.noise == 0) options.noise = 0.003;
    fine = design_run(&law, table, &fit, &options, result, error);
  }
  arena_free(&arena);
  law_free(&law);
  return fine;
}

static const struct design_quantity *find(const struct design_result *result, const char *name) {
  static const struct design_quantity none = {.name = "", .linear_se = NAN, .sd = NAN};
  for (size_t q = 0; q < result->quantity_count; q++)
    if (strcmp(result->quantities[q].name, name) == 0) return &result->quantities[q];
  check_fail(__FILE__, __LINE__, name);
  return &none;
}

// Standard deviations of fits on tables with noise of the test's own.
static void actual_spread(const struct table *sweep, const char *const *names, size_t count, int repeats, double *sd) {
  struct law law;
  double sum[8] = {0}, squares[8] = {0};
  if (!load_law(&law, "chinchilla")) return;
  struct table table;
  table_init(&table, "drawn", sweep->row_count);
  for (size_t c = 0; c < 2; c++) {
    table_add_number(&table, sweep->columns[c].name, ROLE_QUANTITY);
    memcpy(table.columns[c].numbers, sweep->columns[c].numbers, sweep->row_count * sizeof(double));
  }
  size_t loss = table_add_number(&table, "loss", ROLE_OUTCOME);
  for (int r = 0; r < repeats; r++) {
    for (size_t row = 0; row < table.row_count; row++) {
      double N = table.columns[0].numbers[row], D = table.columns[1].numbers[row], pair[2];
      random_normal_pair(77, RANDOM_STREAM_MONTE_CARLO, (uint64_t)r, row, pair);
      table.columns[loss].numbers[row] = (1.69 + 406.4 / pow(N, 0.34) + 410.7 / pow(D, 0.28)) * exp(0.003 * pair[1]);
    }
    struct fit_result result;
    if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .starts = 12, .threads = 2}, &result))
      for (size_t i = 0; i < count; i++) {
        double value = find_coefficient(&result, names[i])->value;
        sum[i] += value;
        squares[i] += value * value;
      }
    fit_result_free(&result);
  }
  for (size_t i = 0; i < count; i++) sd[i] = sqrt((squares[i] - sum[i] * sum[i] / repeats) / (repeats - 1));
  table_free(&table);
  law_free(&law);
}

static void identified(void) {
  static const char *const names[] = {"E", "alpha", "beta"};
  struct table table;
  struct design_result result;
  struct error error = {0};
  double sd[3];
  make_sweep(&table, 8, 1e6, 3, 8, 1e8, 3, 0);
  CHECK(design("chinchilla", &table, truth_text, (struct design_options){.repeats = 120, .bootstrap = 30, .starts = 24},
               &result, &error));
  CHECK(result.rows == 64 && result.repeats == 120 && result.failed == 0);
  CHECK(isfinite(result.log_determinant) && result.unidentified_count == 0);
  actual_spread(&table, names, 3, 120, sd);
  for (int i = 0; i < 3; i++) {
    const struct design_quantity *quantity = find(&result, names[i]);
    CHECK_NEAR(quantity->linear_se / sd[i], 1, 0.2);
    CHECK_NEAR(quantity->sd / sd[i], 1, 0.2);
    CHECK(fabs(quantity->bias) < quantity->sd);
    CHECK(quantity->low95 < quantity->low90 && quantity->high90 < quantity->high95);
    CHECK(quantity->coverage95 >= 0.8 && quantity->coverage95 >= quantity->coverage90);
    CHECK(quantity->not_identified == 0 && quantity->at_bound == 0);
  }
  const struct design_quantity *a = find(&result, "a");
  CHECK(a->derived);
  CHECK_NEAR(a->truth, 0.28 / 0.62, 1e-12);
  CHECK_NEAR(a->linear_se / a->sd, 1, 0.25);
  for (size_t i = 0; i < result.pair_count; i++)
    if (strcmp(result.pairs[i].first, "A") == 0 && strcmp(result.pairs[i].second, "alpha") == 0)
      CHECK(result.pairs[i].separable);
  design_free(&result);
  table_free(&table);
}

// With least squares the linearised errors are those of ordinary theory: checked against the simulation too.
static void objectives(void) {
  struct table table;
  struct law law;
  struct error error = {0};
  struct arena arena = {0};
  struct design_assumption *assumptions;
  size_t count;
  double se[6];
  make_sweep(&table, 6, 1e6, 3, 6, 1e8, 3, 0);
  CHECK(design_assumptions_parse(&arena, truth_text, &assumptions, &count, &error));
  if (!load_law(&law, "chinchilla")) return;
  static const char *const kinds[] = {"least-squares",     "huber:1e-4",        "student-t:1e9:0.003",
                                      "student-t:1:0.003", "asymmetric:1:1e-4", "asymmetric:3"};
  for (int k = 0; k < 6; k++) {
    struct design_result result;
    struct fit_options fit = {.objective = kinds[k]};
    struct design_options options = {.assumptions = assumptions, .assumption_count = count, .noise = 0.003};
    CHECK(design_run(&law, &table, &fit, &options, &result, &error));
    se[k] = find(&result, "alpha")->linear_se;
    design_free(&result);
  }
  // the efficiency of the median: pi / 2 in the variance, nearly reached at delta / s = 1/30
  CHECK_NEAR(se[1] * se[1] / (se[0] * se[0]), 1.5708, 0.06);
  CHECK_NEAR(se[2] / se[0], 1, 1e-6);
  CHECK_NEAR(se[4] / se[1], 1, 1e-3);
  // Cauchy's psi of normal errors, and the expectile at 3/4 (level -c: E max(z + c, 0) 3 = E max(-z - c, 0))
  double slope = 0, square = 0, level = 0, steep = 0, steep_square = 0;
  for (int pass = 0; pass < 200; pass++) {
    double above = 0, below = 0;
    for (double z = -9; z < 9; z += 1e-3) {
      double density = 1e-3 * 0.3989422804 * exp(-0.5 * z * z), r = z + level;
      above += density * fmax(r, 0);
      below += density * fmax(-r, 0);
    }
    level += 0.5 * (below - 3 * above);
  }
  for (double z = -9; z < 9; z += 1e-4) {
    double density = 1e-4 * 0.3989422804 * exp(-0.5 * z * z), r = z + level, part = 1 + z * z;
    slope += density * (1 - z * z) / (part * part);
    square += density * z * z / (part * part);
    steep += density * (r > 0 ? 3 : 1);
    steep_square += density * r * r * (r > 0 ? 9 : 1);
  }
  CHECK_NEAR(se[3] / se[0], sqrt(square) / slope, 1e-3);
  CHECK_NEAR(se[5] / se[0], sqrt(steep_square) / steep, 1e-3);
  struct design_result result;
  struct fit_options free_scale = {.objective = "student-t:4"};
  struct design_options options = {.assumptions = assumptions, .assumption_count = count, .noise = 0.003};
  CHECK(!design_run(&law, &table, &free_scale, &options, &result, &error) && strstr(error.text, "student-t:4:0.003"));
  design_free(&result);
  arena_free(&arena);
  law_free(&law);
  table_free(&table);
}

static bool inseparable(const struct design_result *result, const char *one, const char *other) {
  for (size_t i = 0; i < result->pair_count; i++) {
    const struct design_pair *pair = &result->pairs[i];
    bool these = (strcmp(pair->first, one) == 0 && strcmp(pair->second, other) == 0) ||
                 (strcmp(pair->first, other) == 0 && strcmp(pair->second, one) == 0);
    if (these && !pair->separable) return true;
  }
  return false;
}

static void constant_ratio(void) {
  struct table fixed, varied;
  struct design_result one, other;
  struct error error = {0};
  make_sweep(&fixed, 5, 1e7, 2, 4, 0, 0, 20);
  make_sweep(&varied, 5, 1e7, 2, 4, 4e8, 3, 0);
  CHECK(design("chinchilla", &fixed, truth_text, (struct design_options){0}, &one, &error));
  CHECK(design("chinchilla", &varied, truth_text, (struct design_options){0}, &other, &error));
  CHECK(inseparable(&one, "E", "beta") || inseparable(&one, "E", "alpha"));
  CHECK(inseparable(&one, "alpha", "beta"));
  CHECK(!inseparable(&other, "alpha", "beta"));
  CHECK(find(&one, "beta")->linear_se > 10 * find(&other, "beta")->linear_se);
  const struct design_quantity *g = find(&one, "G");  // a power of positive numbers
  CHECK(g->positive && g->linear_se > g->truth && g->linear_low >= 0 && g->linear_high > g->truth);
  CHECK(one.log_determinant > other.log_determinant + 5);  // the better of two designs of equal size
  design_free(&one);
  table_free(&fixed);
  make_sweep(&fixed, 8, 1e7, 2, 4, 0, 0, 20);  // more sizes: no direction is quite flat, all are useless
  CHECK(design("chinchilla", &fixed, truth_text, (struct design_options){0}, &one, &error));
  CHECK(one.unidentified_count == 0 && inseparable(&one, "E", "beta") && find(&one, "beta")->linear_se > 1);
  design_free(&one);
  design_free(&other);
  table_free(&fixed);
  table_free(&varied);
}

// One size only: A, alpha and E are a single number.
static void one_size(void) {
  struct table table;
  struct design_result result;
  struct error error = {0};
  make_sweep(&table, 1, 1e7, 2, 12, 1e8, 2, 0);
  CHECK(design("chinchilla", &table, truth_text, (struct design_options){0}, &result, &error));
  CHECK(result.unidentified_count >= 1);
  CHECK(isinf(find(&result, "A")->linear_se) && isinf(find(&result, "alpha")->linear_se));
  CHECK(isinf(result.log_determinant));
  design_free(&result);
  table_free(&table);
}

static void formats(void) {
  struct table table;
  struct design_result result;
  struct error error = {0};
  make_sweep(&table, 6, 1e7, 2, 8, 4e8, 2, 0);
  size_t format = table_add_category(&table, "format", ROLE_SETTING);
  for (size_t row = 0; row < table.row_count; row++)
    table_set_category(&table, format, row, row % 3 == 0 ? "none" : row % 3 == 1 ? "w4a4" : "w2a2");
  CHECK(!design("effective-parameters", &table, truth_text, (struct design_options){0}, &result, &error));
  CHECK(strstr(error.text, "eff[w4a4]") && strstr(error.text, "eff[w2a2]") && error.code == EXIT_USAGE_ERROR);
  design_free(&result);
  error = (struct error){0};
  char assume[200];
  snprintf(assume, sizeof assume, "%s,eff[w4a4]=0.6,eff[w2a2]=0.2", truth_text);
  CHECK(
      design("effective-parameters", &table, assume, (struct design_options){.target = "eff[w2a2]"}, &result, &error));
  CHECK(find(&result, "eff[w4a4]")->linear_se > 0 && find(&result, "eff[w4a4]")->linear_se < 0.3);
  CHECK(result.addition.found && result.addition.se_after < result.addition.se_before);
  design_free(&result);
  table_free(&table);
}

// The run that is suggested does lower the spread, in the linearised numbers as in the simulated ones.
static void added_run(void) {
  struct table table;
  struct design_result result;
  struct error error = {0};
  make_sweep(&table, 4, 1e7, 3, 3, 4e8, 3, 0);
  CHECK(design("chinchilla", &table, truth_text,
               (struct design_options){.repeats = 60, .bootstrap = 0, .target = "beta", .starts = 24}, &result,
               &error));
  CHECK(result.addition.found && result.addition.se_after < 0.9 * result.addition.se_before);
  CHECK(result.addition.sd_after < result.addition.sd_before);
  CHECK(result.addition.flops <= 6.01 * 1e7 * 27 * 4e8 * 9);
  CHECK(isnan(find(&result, "E")->coverage95));
  design_free(&result);
  table_free(&table);
}

static bool stop_after(void *context, int done, int repeats) { return done < *(const int *)context; }

static void interruption_and_threads(void) {
  struct table table;
  struct design_result one, two;
  struct error error = {0};
  int limit = 5;
  make_sweep(&table, 4, 1e7, 3, 4, 4e8, 3, 0);
  struct design_options options = {.repeats = 12, .bootstrap = 0, .starts = 40, .threads = 1, .seed = 3};
  CHECK(design("chinchilla", &table, truth_text, options, &one, &error));
  options.threads = 2;
  CHECK(design("chinchilla", &table, truth_text, options, &two, &error));
  for (size_t q = 0; q < one.quantity_count; q++) CHECK(one.quantities[q].sd == two.quantities[q].sd);
  design_free(&two);
  options.progress = stop_after;
  options.context = &limit;
  options.threads = 1;
  CHECK(design("chinchilla", &table, truth_text, options, &two, &error));
  CHECK(two.interrupted && two.repeats == 5 && isfinite(find(&two, "E")->sd));
  design_free(&one);
  design_free(&two);
  table_free(&table);
}

static void refusals(void) {
  static const struct {
    const char *assume, *law, *words;
    double noise;
  } cases[] = {
      {"E=1.69,A=406.4,B=410.7,alpha=0.34", "chinchilla", "nothing is assumed for beta", 0},
      {"E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28,gama=1", "chinchilla", "no parameter 'gama'", 0},
      {"E=1.69,A=406.4,B=410.7,alpha=0.34,bet=0.28", "chinchilla", "did you mean 'beta'", 0},
      {"E=1.69,A=406.4,B=410.7,alpha=0.34,beta=28", "chinchilla", "beta cannot be 28", 0},
      {"E=-1,A=406.4,B=410.7,alpha=0.34,beta=0.28", "chinchilla", "E cannot be -1", 0},
      {"E=1.69,E=1", "chinchilla", "assumed twice", 0},
      {"E=", "chinchilla", "NAME=NUMBER", 0},
      {"", "chinchilla", "NAME=NUMBER", 0},
      {"E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28", "power-sum", "E is held at 0", 0},
      {"k=1,a=0.5", "optimal-size", "flops", 0},
      {"E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28", "chinchilla", "the noise is", 3},
  };
  struct table table;
  make_sweep(&table, 4, 1e7, 3, 4, 4e8, 3, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct design_result result;
    struct error error = {0};
    CHECK(!design(cases[i].law, &table, cases[i].assume, (struct design_options){.noise = cases[i].noise}, &result,
                  &error));
    if (!CHECK(error.code == EXIT_USAGE_ERROR && strstr(error.text, cases[i].words))) printf("# %s\n", error.text);
    design_free(&result);
  }
  struct design_result result;
  struct error error = {0};
  CHECK(!design("chinchilla", &table, truth_text, (struct design_options){.target = "betta"}, &result, &error));
  CHECK(strstr(error.text, "did you mean 'beta'"));
  design_free(&result);
  table_free(&table);
}

int main(void) {
  fitting_start();
  RUN(refusals);
  RUN(constant_ratio);
  RUN(one_size);
  RUN(formats);
  RUN(objectives);
  RUN(interruption_and_threads);
  RUN(added_run);
  RUN(identified);
  return check_end();
}
