// Tests of what stands beside the coefficients: intervals of both kinds, profiles, flat directions, influence, other
// objectives, trends, prediction of what is left out. References are closed forms of linear regression, and fits made
// anew by hand.
#include <gsl/gsl_cdf.h>
#include <stdlib.h>

#include "fitting/fit_internal.h"
#include "tests/fitting/fitting_test.h"

static const char line_law[] =
    "law: line\nformula: a + b * x\npredicts: y\nresidual: plain\nobjective: least-squares\n"
    "parameters: {a: {starts: [0, 5]}, b: {starts: [-1, 1]}}\n";

struct line {  // ordinary least squares
  double a, b, mean, sxx, variance;
};

static struct line regress(const struct table *table) {
  const double *x = table->columns[0].numbers, *y = table->columns[1].numbers;
  double n = (double)table->row_count, sx = 0, sy = 0, sxx = 0, sxy = 0, squares = 0;
  for (size_t i = 0; i < table->row_count; i++) {
    sx += x[i] / n;
    sy += y[i] / n;
  }
  for (size_t i = 0; i < table->row_count; i++) {
    sxx += (x[i] - sx) * (x[i] - sx);
    sxy += (x[i] - sx) * (y[i] - sy);
  }
  struct line line = {.b = sxy / sxx, .mean = sx, .sxx = sxx};
  line.a = sy - line.b * sx;
  for (size_t i = 0; i < table->row_count; i++) squares += pow(y[i] - line.a - line.b * x[i], 2);
  line.variance = squares / (n - 2);
  return line;
}

// Sizes times durations with losses of a chinchilla law.
static void make_grid(struct table *table, const double t[5], double noise, double ratio) {
  table_init(table, "grid", 40);
  size_t n = table_add_number(table, "parameters", ROLE_UNKNOWN), d = table_add_number(table, "tokens", ROLE_UNKNOWN);
  size_t loss = table_add_number(table, "loss", ROLE_UNKNOWN);
  for (size_t row = 0; row < 40; row++) {
    double size = 1e6 * pow(4, (double)(row / 8)), tokens = 2e7 * pow(3, (double)(row % 8)), normal[2];
    random_normal_pair(6, 1, 0, row, normal);
    if (ratio > 0) tokens = ratio * size * (1 + 0.005 * (double)(row % 8));
    table->columns[n].numbers[row] = size;
    table->columns[d].numbers[row] = tokens;
    table->columns[loss].numbers[row] =
        (t[0] + t[1] * pow(size, -t[3]) + t[2] * pow(tokens, -t[4])) * exp(noise * normal[0]);
  }
}

static const double truth[5] = {1.7, 400, 900, 0.34, 0.31};

// Values as tables print them: what has vanished is 0 and at its bound, whatever the state is called.
static void values_in_words(void) {
  static const struct {
    enum coefficient_status status;
    double value, high;
    const char *words;
  } cases[] = {{COEFFICIENT_FITTED, 0.31, 0.4, "0.31"},
               {COEFFICIENT_UNIDENTIFIED, 0.31, NAN, "(0.31)"},
               {COEFFICIENT_UNIDENTIFIED, 3e-20, NAN, "(0)"},
               {COEFFICIENT_ONE_SIDED, 1.2, 2.5, "1.2"},
               {COEFFICIENT_ONE_SIDED, 9.8e-8, 2.13, "0 (bound)"},
               {COEFFICIENT_ONE_SIDED, 9.8e-8, 2e-7, "9.8e-08"},
               {COEFFICIENT_AT_LOW, 2.5e-15, 0.12, "0 (bound)"},
               {COEFFICIENT_AT_LOW, 0, 0.12, "0 (bound)"},
               {COEFFICIENT_AT_LOW, 1.9, 2.1, "1.9 (bound)"},
               {COEFFICIENT_AT_HIGH, 10, NAN, "10 (bound)"},
               {COEFFICIENT_FITTED, NAN, NAN, ""}};
  struct arena arena = {0};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    CHECK_TEXT(fit_value_words(&arena, cases[i].status, cases[i].value, cases[i].high, 6), cases[i].words);
  struct coefficient c = {.name = "E", .status = COEFFICIENT_FITTED, .value = 1.77, .low = 1.5, .high = 2};
  CHECK_TEXT(fit_value_elsewhere(&arena, &c, 4.65e-12, 5), "0");
  CHECK_TEXT(fit_value_elsewhere(&arena, &c, 1.5, 5), "1.5");
  CHECK_TEXT(fit_value_elsewhere(&arena, &c, NAN, 5), "-");
  arena_free(&arena);
}

// Replicates that are the quantiles of a normal distribution: BCa's formula can be written down.
static void bca_formula(void) {
  enum { COUNT = 200001 };
  double *values = memory_get(COUNT * sizeof *values), low, high, se;
  for (int i = 0; i < COUNT; i++) values[i] = gsl_cdf_ugaussian_Pinv((i + 0.5) / COUNT);
  const double even[] = {-1, 1, -1, 1}, skewed[] = {0, 0, 0, -3};
  struct intervals intervals;
  struct replicates replicates = {values, COUNT, 1, even, 4, 1};
  double z = gsl_cdf_ugaussian_Pinv(0.975);
  interval_of(replicates, 0, 0.95, INTERVAL_BCA, &intervals, &low, &high, &se);
  CHECK_NEAR(se, 1, 1e-4);
  CHECK_NEAR(low, -z, 1e-3);
  CHECK_NEAR(high, z, 1e-3);
  CHECK_NEAR(intervals.percentile_low, -z, 1e-3);
  interval_of(replicates, 0.3, 0.95, INTERVAL_BCA, &intervals, &low, &high, &se);  // median bias of 0.3
  CHECK_NEAR(low, 0.6 - z, 1e-3);
  CHECK_NEAR(high, 0.6 + z, 1e-3);
  replicates.jackknife = skewed;  // deviations from the mean -0.75, -0.75, -0.75, 2.25
  double a = (3 * pow(-0.75, 3) + pow(2.25, 3)) / (6 * pow(3 * 0.75 * 0.75 + 2.25 * 2.25, 1.5));
  interval_of(replicates, 0, 0.95, INTERVAL_BCA, &intervals, &low, &high, &se);
  CHECK_NEAR(low, -z / (1 + a * z), 1e-3);
  CHECK_NEAR(high, z / (1 - a * z), 1e-3);
  interval_of(replicates, 7, 0.95, INTERVAL_BCA, &intervals, &low, &high, &se);  // all to one side
  CHECK(intervals.kind == INTERVAL_PERCENTILE && isnan(intervals.bca_low));
  CHECK_NEAR(high, z, 1e-3);
  free(values);
}

// The profile of least squares is a parabola, and its interval Student's.
static void profile_of_a_line(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  make_line(&table, 30, 1);
  struct line line = regress(&table);
  const char *names[] = {"b"};
  if (parse_law(&law, line_law) &&
      run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .profiles = names, .profile_count = 1}, &result) &&
      CHECK(result.profile_count == 1)) {
    const struct fit_profile *profile = &result.profiles[0];
    double t = gsl_cdf_tdist_Pinv(0.975, 28), se = sqrt(line.variance / line.sxx);
    CHECK_TEXT(result.coefficients[profile->coefficient].name, "b");
    CHECK_NEAR(profile->low, line.b - t * se, 2e-4);
    CHECK_NEAR(profile->high, line.b + t * se, 2e-4);
    CHECK(!profile->low_open && !profile->high_open && !profile->words && profile->point_count >= 8);
    for (size_t i = 0; i < profile->point_count; i++)
      CHECK_NEAR(profile->points[i].ratio, pow((profile->points[i].value - line.b) / (t * se), 2), 2e-3);
    for (size_t i = 1; i < profile->point_count; i++) CHECK(profile->points[i].value > profile->points[i - 1].value);
    fit_result_free(&result);
  }
  table_free(&table);
  // copies of a point in a group tell nothing new
  make_line(&table, 30, 4);
  if (run_fit(&law, &table,
              &(struct fit_options){.bootstrap = 0, .profiles = names, .profile_count = 1, .group = "run"}, &result)) {
    double width = result.profiles[0].high - result.profiles[0].low,
           plain = 2 * gsl_cdf_tdist_Pinv(0.975, 28) * sqrt(line.variance / line.sxx);
    CHECK(fabs(width / plain - 1) < 0.25);
    fit_result_free(&result);
  }
  struct error error = {0};
  CHECK(!fit_run(&law, &table, &(struct fit_options){.profiles = (const char *const[]){"c"}, .profile_count = 1},
                 &result, &error));
  CHECK_TEXT(error.text, "the law line has no parameter 'c' here to profile");
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
}

// A design at one ratio of tokens to parameters: E, A, B cannot be told apart, and it is said.
static void not_identified(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  make_grid(&table, truth, 0.004, 20);
  if (!load_law(&law, "chinchilla")) return;
  if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .starts = 150, .profile_all = true}, &result)) {
    size_t open = 0;
    for (size_t p = 0; p < result.profile_count; p++)
      if (result.profiles[p].words) open += strstr(result.profiles[p].words, "no ") != NULL;
    CHECK(result.profile_count == 5 && open > 0);
    bool advised = false, unidentified = false;
    for (size_t i = 0; i < result.direction_count; i++) {
      const struct fit_direction *direction = &result.directions[i];
      advised |= strstr(direction->advice, "vary D/N (it spans a factor of 1.04") != NULL;
      unidentified |= strstr(direction->words, " fits within 2 %") != NULL;
    }
    if (!CHECK(advised && unidentified))
      for (size_t i = 0; i < result.direction_count; i++) printf("# %s\n", result.directions[i].words);
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

// The range that a sentence tells is the one that fits with the parameter held show.
static void range_of_a_direction(void) {
  struct law law;
  struct table table;
  struct fit_result result, held;
  make_grid(&table, truth, 0.02, 0);
  if (!load_law(&law, "chinchilla")) return;
  if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .starts = 150}, &result) &&
      CHECK(result.direction_count > 0)) {
    const struct fit_direction *direction = &result.directions[0];
    CHECK(strstr(direction->advice, "says most at N = "));
    for (int end = 0; end < 2; end++)
      for (int beyond = 0; beyond < 2; beyond++) {
        if (end ? direction->high_open : direction->low_open) continue;
        double value = end ? direction->high : direction->low, away = (end == beyond) ? 1.05 : 1 / 1.05;
        struct fit_fix fix = {result.coefficients[direction->coefficient].name, value * away};
        if (!run_fit(&law, &table,
                     &(struct fit_options){.bootstrap = 0, .starts = 150, .bare = true, .fixes = &fix, .fix_count = 1},
                     &held))
          continue;
        double growth = held.objective / result.objective - 1;
        if (!CHECK(beyond ? growth > 0.02 : growth < 0.02))
          printf("# %s held at %g grows the objective by %g\n", fix.name, fix.value, growth);
        fit_result_free(&held);
      }
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

// Leverage and Cook's distance of a line in closed form; the coefficients without a row by fitting without it.
static void influence_of_a_line(void) {
  struct law law;
  struct table table;
  struct fit_result result, without;
  enum { ROWS = 25 };
  make_line(&table, ROWS, 1);
  table.columns[1].numbers[22] += 9;
  struct line line = regress(&table);
  if (parse_law(&law, line_law) && run_fit(&law, &table, &(struct fit_options){.bootstrap = 0}, &result)) {
    for (size_t i = 0; i < ROWS; i++) {
      double x = table.columns[0].numbers[i], r = table.columns[1].numbers[i] - line.a - line.b * x;
      double h = 1.0 / ROWS + (x - line.mean) * (x - line.mean) / line.sxx;
      CHECK_NEAR(result.table[i].leverage, h, 1e-9);
      CHECK_NEAR(result.table[i].distance, r * r * h / (2 * line.variance * (1 - h) * (1 - h)), 1e-6);
    }
    const struct fit_influential *most = &result.influential[0];
    CHECK(result.influential_count > 0 && result.table[most->row].place == 22 && most->exact && fabs(most->moves) > 1);
    CHECK(result.outlier_count == 1 && result.outliers[0].row == 22 && result.outliers[0].deviations > 4);
    if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .where = "x != 22"}, &without)) {
      for (size_t e = 0; e < 2; e++) CHECK_NEAR(most->without[e], without.coefficients[e].value, 1e-9);
      CHECK(without.outlier_count == 0);
      fit_result_free(&without);
    }
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

static void other_objectives(void) {
  struct law law;
  struct table table;
  struct fit_result result, other;
  make_grid(&table, truth, 0.004, 0);
  table.columns[2].numbers[5] *= 1.05;
  if (!load_law(&law, "chinchilla")) return;
  if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .starts = 150}, &result) &&
      CHECK(result.sensitivity_count == 4)) {
    static const char *const kinds[] = {"huber:0.0001", "huber:0.01", "least-squares", "lad"};
    for (size_t k = 0; k < 4; k++) {
      CHECK_TEXT(result.sensitivity[k].objective, kinds[k]);
      if (!run_fit(&law, &table,
                   &(struct fit_options){.bootstrap = 0, .starts = 150, .bare = true, .objective = kinds[k]}, &other))
        continue;
      double tolerance = k == 0 || k == 3 ? 0.05 : 1e-4;  // many shallow minima beside each other
      for (size_t e = 0; e < 5; e++)
        CHECK_NEAR(result.sensitivity[k].values[e] / other.coefficients[e].value, 1, tolerance);
      fit_result_free(&other);
    }
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

// A straight line fitted to a parabola leaves residuals that depend on |x - mean|; noise leaves none.
static void trends(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  make_line(&table, 60, 1);
  size_t bow = table_add_number(&table, "bow", ROLE_UNKNOWN), other = table_add_number(&table, "other", ROLE_UNKNOWN),
         again = table_add_number(&table, "again", ROLE_UNKNOWN);
  for (size_t i = 0; i < 60; i++) {
    table.columns[bow].numbers[i] = pow((double)i - 29.5, 2);
    table.columns[other].numbers[i] = random_uniform(8, 1, 0, i);
    table.columns[again].numbers[i] = table.columns[other].numbers[i];
  }
  if (!parse_law(&law, line_law)) return;
  if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0}, &result)) {
    CHECK(result.trend_count == 3);  // x, bow, other: what equals another column is looked at once
    for (size_t i = 0; i < result.trend_count; i++)
      CHECK(!result.trends[i].significant && !result.trends[i].spread_significant);
    fit_result_free(&result);
  }
  for (size_t i = 0; i < 60; i++) table.columns[1].numbers[i] += 0.01 * table.columns[bow].numbers[i];
  if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0}, &result)) {
    for (size_t i = 0; i < result.trend_count; i++) {
      const struct fit_trend *trend = &result.trends[i];
      bool here = strcmp(trend->column, "bow") == 0;
      CHECK(trend->significant == here);
      if (here) CHECK(trend->correlation > 0.8 && trend->slope > 0 && trend->p < 1e-6 && trend->logarithmic);
    }
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

// What is left out and predicted is what a holdout of the same rows gives.
static void leaving_out(void) {
  struct law law;
  struct table table;
  struct fit_result result, held;
  make_grid(&table, truth, 0.004, 0);
  if (!load_law(&law, "chinchilla")) return;
  const char *columns[] = {"N"};
  if (run_fit(&law, &table,
              &(struct fit_options){.bootstrap = 0, .starts = 150, .leave_out = columns, .leave_out_count = 1},
              &result) &&
      CHECK(result.leave_out_count == 1)) {
    const struct fit_leave_out *left = &result.leave_out[0];
    CHECK_TEXT(left->column, "parameters");
    CHECK(left->value_count == 5 && left->rollout_count == 4);
    CHECK_TEXT(left->values[4].value, "256000000");
    if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .starts = 150, .bare = true, .holdout = "N > 2e8"},
                &held)) {
      CHECK(left->values[4].predicted == 8 && left->values[4].fitted_rows == 32);
      CHECK_NEAR(left->values[4].error, held.holdout_error, 1e-6);
      CHECK_NEAR(left->rollout[3].error, held.holdout_error, 1e-6);
      double bias = 0;
      for (size_t i = 0; i < held.table_count; i++)
        if (held.table[i].use == ROW_HELD_OUT) bias += held.table[i].predicted / held.table[i].observed - 1;
      CHECK_NEAR(left->values[4].bias, bias / 8, 1e-6);
      fit_result_free(&held);
    }
    CHECK(left->rollout[0].trouble || left->rollout[0].predicted == 32);
    fit_result_free(&result);
  }
  struct error error = {0};
  columns[0] = "tokns";
  CHECK(!fit_run(&law, &table, &(struct fit_options){.leave_out = columns, .leave_out_count = 1}, &result, &error));
  CHECK_TEXT(error.text, "grid: leave out: there is no column 'tokns'; did you mean 'tokens'?");
  fit_result_free(&result);
  columns[0] = "loss";
  error = (struct error){0};
  CHECK(!fit_run(&law, &table, &(struct fit_options){.leave_out = columns, .leave_out_count = 1}, &result, &error));
  CHECK(strstr(error.text, "loss is what the law predicts"));
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
  // without its baseline the law has no scale, and without its rows a category has no factor
  if (load_law(&law, "effective-parameters") &&
      parse_table(&table,
                  "format,N,D,loss\nnone,1e6,1e7,4\nnone,2e6,1e7,3.8\nnone,4e6,1e7,3.7\nnone,1e6,4e7,3.6\n"
                  "none,2e6,4e7,3.4\nnone,4e6,4e7,3.2\nnone,1e6,2e8,3.3\nnone,2e6,2e8,3\nw4,1e6,1e7,4.1\n"
                  "w4,2e6,2e8,3.15\nw4,4e6,4e7,3.3\n")) {
    columns[0] = "format";
    if (run_fit(&law, &table,
                &(struct fit_options){.bootstrap = 0, .starts = 150, .leave_out = columns, .leave_out_count = 1},
                &result)) {
      CHECK(strstr(result.leave_out[0].values[0].trouble, "no row has format = 'none'"));
      CHECK(strstr(result.leave_out[0].values[1].trouble, "nothing predicts it"));
      struct arena arena = {0};
      const char *cannot = fit_not_left_out_sentence(&arena, &result.leave_out[0]);
      CHECK(cannot && strstr(cannot, "w4 cannot be left out: no fitted row has its category"));
      arena_free(&arena);
      CHECK(result.leave_out[0].rollout_count == 0 && isnan(result.leave_out[0].error));
      fit_result_free(&result);
    }
    table_free(&table);
  }
  law_free(&law);
}

int main(void) {
  fitting_start();
  RUN(values_in_words);
  RUN(bca_formula);
  RUN(profile_of_a_line);
  RUN(not_identified);
  RUN(range_of_a_direction);
  RUN(influence_of_a_line);
  RUN(other_objectives);
  RUN(trends);
  RUN(leaving_out);
  return check_end();
}
