// Others' numbers on one's own rows: scores of given coefficients, against closed forms and published fits.
#include <gsl/gsl_cdf.h>
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static void score(struct fit_options *options, const char *const *texts, size_t count) {
  options->scores = texts;
  options->score_count = count;
}

// A line by least squares: the F test of given coefficients from sums of squares.
static void score_of_a_line(void) {
  struct law law;
  struct table table = {0};
  if (!parse_law(&law, plain_line)) return;
  make_line(&table, 20, 1);
  struct fit_options options = {.bootstrap = 0, .bare = true};
  score(&options, (const char *const[]){"a=2,b=0.5", "b=0.6, a=1.5"}, 2);
  struct fit_result result;
  if (run_fit(&law, &table, &options, &result) && CHECK(result.score_count == 2)) {
    static const double given[2][2] = {{2, 0.5}, {1.5, 0.6}};
    int y = table_find(&table, "y");
    double n = 20, mean_x = 9.5, mean_y = 0, xx = 0, xy = 0, least = 0;
    for (int i = 0; i < 20; i++) mean_y += table.columns[y].numbers[i] / n;
    for (int i = 0; i < 20; i++) {
      xx += (i - mean_x) * (i - mean_x);
      xy += (i - mean_x) * (table.columns[y].numbers[i] - mean_y);
    }
    for (int i = 0; i < 20; i++) {
      double off = table.columns[y].numbers[i] - mean_y - xy / xx * (i - mean_x);
      least += off * off;
    }
    for (int s = 0; s < 2; s++) {
      double squares = 0, sum = 0;
      for (int i = 0; i < 20; i++) {
        double off = table.columns[y].numbers[i] - given[s][0] - given[s][1] * i;
        squares += off * off;
        sum += off;
      }
      const struct fit_score *one = &result.scores[s];
      double f = (squares - least) / 2 / (least / 18);
      CHECK_NEAR(one->objective, 0.5 * squares, 1e-9 * squares);
      CHECK_NEAR(one->bias, sum / n, 1e-9);
      CHECK_NEAR(one->rms, sqrt(squares / n), 1e-9);
      CHECK_NEAR(one->statistic, f, 1e-6 * f);
      CHECK(one->degrees == 2 && one->error_degrees == 18 && !one->untested);
      CHECK_NEAR(one->p, gsl_cdf_fdist_Q(f, 2, 18), 1e-6);
    }
    CHECK(result.warning_count == 0);
  }
  fit_result_free(&result);
  // every point eight times, which the groups tell: F is that of the points, whatever the number of copies
  struct table copies = {0};
  struct fit_result once;
  make_line(&copies, 20, 8);
  score(&options, (const char *const[]){"a=2.4,b=0.5"}, 1);
  struct fit_options grouped = options;
  grouped.group = "run";
  if (run_fit(&law, &table, &options, &once) && run_fit(&law, &copies, &grouped, &result)) {
    double f = once.scores[0].statistic;
    CHECK(result.scores[0].error_degrees == 18);
    // the sandwich is not the residual variance: the same within what 20 points tell of their spread
    if (!CHECK(result.scores[0].statistic > f / 2.5 && result.scores[0].statistic < f * 2.5))
      printf("# %g of groups, %g of points\n", result.scores[0].statistic, f);
  }
  fit_result_free(&once);
  fit_result_free(&result);
  table_free(&copies);
  table_free(&table);
  law_free(&law);
}

// Loss of two power laws on a grid of N and D with 0.2 % noise.
static void made_table(struct table *table, double alpha, double beta) {
  table_init(table, "made", 60);
  size_t n = table_add_number(table, "parameters", ROLE_UNKNOWN), d = table_add_number(table, "tokens", ROLE_UNKNOWN),
         loss = table_add_number(table, "loss", ROLE_UNKNOWN);
  for (size_t row = 0; row < 60; row++) {
    double N = 5e7 * pow(2, (double)(row % 10)), D = 1e9 * pow(3, (double)(row / 10)), normal[2];
    random_normal_pair(5, 1, 0, row, normal);
    table->columns[n].numbers[row] = N;
    table->columns[d].numbers[row] = D;
    table->columns[loss].numbers[row] = (1.69 + 406.4 / pow(N, alpha) + 410.7 / pow(D, beta)) * exp(0.002 * normal[0]);
  }
}

// Rows made with Hoffmann's coefficients: theirs are not rejected, those of Besiroglu et al. 2024 are.
static void score_of_chinchilla(void) {
  struct law law;
  struct table table;
  if (!load_law(&law, "chinchilla")) return;
  made_table(&table, 0.34, 0.28);
  struct fit_options options = {.bootstrap = 0, .bare = true};
  score(&options,
        (const char *const[]){"E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28",
                              "E=1.8172,A=482.01,B=2085.43,alpha=0.3478,beta=0.3658"},
        2);
  struct fit_result result;
  if (run_fit(&law, &table, &options, &result)) {
    CHECK(result.scores[0].p > 0.05 && result.scores[0].objective >= result.objective);
    CHECK_NEAR(result.scores[0].bias, 0, 0.001);
    CHECK(result.scores[1].p < 1e-10 && result.scores[1].degrees == 5 && result.scores[1].error_degrees == 55);
  }
  fit_result_free(&result);
  static const struct {
    const char *text, *with;
  } wrong[] = {{"E=1.69,beta=0.3", "gives no value for A, B, alpha"},
               {"E=1.69,A=406.4,B=410.7,alfa=0.34,beta=0.28", "did you mean 'alpha'"},
               {"E=1.69,A", "'A' is not of the form NAME=NUMBER"},
               {"E=-1,A=406.4,B=410.7,alpha=0.34,beta=0.28", "E cannot be -1"},
               {"no/such.json", "no/such.json"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    score(&options, &wrong[i].text, 1);
    refuse_fit(&law, &table, &options, wrong[i].with);
  }
  score(&options, (const char *const[]){"E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28"}, 1);
  options.fixes = &(struct fit_fix){"beta", 0.3};
  options.fix_count = 1;
  refuse_fit(&law, &table, &options, "beta is 0.28 there, and this fit holds it at 0.3");
  table_free(&table);
  law_free(&law);
}

// --tie beta=alpha is the law with one exponent in both places, in every number.
static void ties(void) {
  struct law law, one;
  struct table table;
  if (!load_law(&law, "chinchilla")) return;
  if (!parse_law(&one,
                 "law: one\nformula: \"E + A / N^alpha + B / D^alpha\"\nobjective: huber:1e-3\nparameters:\n"
                 "  E: {positive: true, starts: [1, 2]}\n  A: {positive: true, starts: {log: [1, 1e6, 4]}}\n"
                 "  B: {positive: true, starts: {log: [1, 1e6, 4]}}\n"
                 "  alpha: {low: 0, high: 10, starts: [0.2, 0.5]}\nderived: {twice: \"2 * alpha\"}\n"))
    return;
  made_table(&table, 0.31, 0.31);
  struct fit_options options = {.bootstrap = 50,
                                .ties = (const char *const[]){"beta=alpha"},
                                .tie_count = 1,
                                .profiles = (const char *const[]){"alpha"},
                                .profile_count = 1};
  struct fit_result tied, same;
  if (run_fit(&law, &table, &options, &tied)) {
    struct fit_options plain = options;
    plain.tie_count = 0;
    if (run_fit(&one, &table, &plain, &same)) {
      const struct coefficient *alpha = find_coefficient(&tied, "alpha"), *beta = find_coefficient(&tied, "beta"),
                               *reference = find_coefficient(&same, "alpha");
      CHECK_NEAR(tied.objective, same.objective, 1e-9 * same.objective);
      CHECK(beta->status == COEFFICIENT_TIED && strcmp(beta->tied_to, "alpha") == 0 && beta->value == alpha->value);
      CHECK_NEAR(alpha->value, reference->value, 1e-6);
      CHECK_NEAR(alpha->low, reference->low, 1e-5);
      CHECK(beta->low == alpha->low && beta->high == alpha->high && beta->se == alpha->se);
      CHECK(tied.stages[0].parameters == 4);
      CHECK_NEAR(derived_of(&tied, "a"), 0.5, 1e-15);
      CHECK(tied.profile_count >= 1 && same.profile_count >= 1);
      CHECK_NEAR(tied.profiles[tied.profile_count - 1].low, same.profiles[same.profile_count - 1].low, 1e-4);
      for (int b = 0; b < 50; b++) CHECK(tied.replicates[b * 5 + 3] == tied.replicates[b * 5 + 4]);
    }
    fit_result_free(&same);
  }
  fit_result_free(&tied);
  options = (struct fit_options){.bootstrap = 0, .bare = true, .tie_count = 1};
  static const struct {
    const char *tie, *with;
  } wrong[] = {{"bet=alpha", "did you mean 'beta'"},
               {"beta=alfa", "did you mean 'alpha'"},
               {"beta=beta", "beta is tied to itself"},
               {"beta", "not of the form NAME=NAME"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    options.ties = &wrong[i].tie;
    refuse_fit(&law, &table, &options, wrong[i].with);
  }
  options.ties = (const char *const[]){"beta=alpha", "alpha=beta"};
  options.tie_count = 2;
  refuse_fit(&law, &table, &options, "by way of others");
  table_free(&table);
  law_free(&law);
  law_free(&one);
}

// A bound beyond the minimum moves nothing; one before it holds the coefficient, and the rest is what --fix gives.
static void bounds(void) {
  struct law law;
  struct table table;
  if (!load_law(&law, "chinchilla")) return;
  made_table(&table, 0.34, 0.28);
  struct fit_options options = {.bootstrap = 0, .bare = true};
  struct fit_result free_fit, wide, held, fixed;
  bool fine = run_fit(&law, &table, &options, &free_fit);
  options.lows = (const char *const[]){"E=1"};
  options.low_count = 1;
  fine = run_fit(&law, &table, &options, &wide) && fine;
  if (fine) CHECK_NEAR(value_of(&wide, "E"), value_of(&free_fit, "E"), 1e-6);
  options.lows = (const char *const[]){"E=1.8"};
  fine = run_fit(&law, &table, &options, &held) && fine;
  options.low_count = 0;
  options.fixes = &(struct fit_fix){"E", 1.8};
  options.fix_count = 1;
  fine = run_fit(&law, &table, &options, &fixed) && fine;
  if (fine) {
    CHECK_NEAR(value_of(&held, "E"), 1.8, 1e-9);
    CHECK(find_coefficient(&held, "E")->status == COEFFICIENT_AT_LOW);
    CHECK_NEAR(held.objective, fixed.objective, 1e-8 * fixed.objective);
    CHECK_NEAR(value_of(&held, "alpha"), value_of(&fixed, "alpha"), 1e-5);
  }
  fit_result_free(&free_fit);
  fit_result_free(&wide);
  fit_result_free(&held);
  fit_result_free(&fixed);
  options = (struct fit_options){.bootstrap = 0, .bare = true, .low_count = 1, .high_count = 1};
  static const struct {
    const char *low, *high, *with;
  } wrong[] = {{"E=3", "E=2", "E has no value to take: it is at least 3 and at most 2"},
               {"E=1", "alfa=2", "did you mean 'alpha'"},
               {"E=x", "E=2", "not of the form NAME=NUMBER"},
               {"E=1", "E=-2", "E is positive"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    options.lows = &wrong[i].low;
    options.highs = &wrong[i].high;
    refuse_fit(&law, &table, &options, wrong[i].with);
  }
  table_free(&table);
  law_free(&law);
}

// Two levels with noise: the ratio's interval ends at 1 where p is 1 - confidence, and t's p is that of the jackknife.
static void ratios(void) {
  struct law law;
  struct table table;
  if (!parse_law(&law,
                 "law: levels\nformula: \"m[kind]\"\npredicts: y\nobjective: least-squares\n"
                 "parameters: {m: {by: kind, positive: true, starts: [1]}}\n"))
    return;
  table_init(&table, "levels", 48);
  size_t y = table_add_number(&table, "y", ROLE_UNKNOWN), kind = table_add_category(&table, "kind", ROLE_UNKNOWN);
  for (size_t row = 0; row < 48; row++) {
    static const char *const names[] = {"a", "b/c", "d"};
    static const double levels[] = {1, 1.1, 2};
    double normal[2];
    random_normal_pair(3, 1, 0, row, normal);
    table.columns[y].numbers[row] = levels[row % 3] * exp(0.1 * normal[0]);
    table_set_category(&table, kind, row, names[row % 3]);
  }
  static const char *const wanted[] = {"m[b/c]/m[a]", "m[d]/m[b/c]", "m[a]/m[b/c]"};
  struct fit_options options = {.bootstrap = 2000, .bare = true, .ratios = wanted, .ratio_count = 3};
  struct fit_result result;
  for (int k = INTERVAL_PERCENTILE; k <= INTERVAL_T; k++) {
    if (k == INTERVAL_PROFILE) continue;
    options.interval = (enum interval_kind)k;
    options.confidence = 0.95;
    if (!run_fit(&law, &table, &options, &result)) break;
    const struct fit_ratio *ratio = &result.ratios[0], *other = &result.ratios[2];
    double p = ratio->p, value = value_of(&result, "m[b/c]") / value_of(&result, "m[a]");
    CHECK_NEAR(ratio->quantity.value, value, 1e-12);
    CHECK_NEAR(other->quantity.value, 1 / value, 1e-12);
    CHECK((p < 0.05) == (ratio->quantity.low > 1 || ratio->quantity.high < 1));
    CHECK(result.ratios[1].p < 0.002 && result.ratios[1].quantity.low > 1.5);
    if (k != INTERVAL_BCA) CHECK_NEAR(other->p, p, 1e-9);
    CHECK(isnan(ratio->p_least) == (k == INTERVAL_T));
    fit_result_free(&result);
    options.confidence = 1 - p;  // the interval ends at 1
    if (!run_fit(&law, &table, &options, &result)) break;
    CHECK_NEAR(result.ratios[0].quantity.low, 1, k == INTERVAL_T ? 1e-6 : 2e-3);
    fit_result_free(&result);
  }
  options = (struct fit_options){.bootstrap = 0, .bare = true, .ratio_count = 1};
  static const struct {
    const char *ratio, *with;
  } wrong[] = {
      {"m[a]/m[dd]", "no coefficient 'm[dd]'"}, {"m[a]", "not of the form"}, {"m[a]/m[a]", "is 1 by its form"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    options.ratios = &wrong[i].ratio;
    refuse_fit(&law, &table, &options, wrong[i].with);
  }
  table_free(&table);
  law_free(&law);
}

// Rows of one format alone, with everything else held: its factor is what made the rows.
static void one_category(void) {
  struct law law;
  struct table table;
  if (!load_law(&law, "effective-parameters")) return;
  table_init(&table, "w4", 12);
  size_t n = table_add_number(&table, "parameters", ROLE_UNKNOWN), d = table_add_number(&table, "tokens", ROLE_UNKNOWN),
         loss = table_add_number(&table, "loss", ROLE_UNKNOWN),
         format = table_add_category(&table, "format", ROLE_UNKNOWN);
  for (size_t row = 0; row < 12; row++) {
    double N = 1e7 * pow(2, (double)(row % 4)), D = 1e9 * pow(3, (double)(row / 4));
    table.columns[n].numbers[row] = N;
    table.columns[d].numbers[row] = D;
    table.columns[loss].numbers[row] = 1.69 + 406.4 / pow(0.7 * N, 0.34) + 410.7 / pow(D, 0.28);
    table_set_category(&table, format, row, "w4");
  }
  static const struct fit_fix rest[] = {{"E", 1.69}, {"A", 406.4}, {"B", 410.7}, {"alpha", 0.34}, {"beta", 0.28}};
  struct fit_options options = {.bootstrap = 0, .bare = true, .fixes = rest, .fix_count = 5};
  struct fit_result result;
  if (run_fit(&law, &table, &options, &result)) {
    CHECK_NEAR(value_of(&result, "eff[w4]"), 0.7, 1e-8);
    CHECK(result.warning_count && strstr(result.warnings[0], "relative to what the other parameters are held at"));
  }
  fit_result_free(&result);
  options.fix_count = 4;
  refuse_fit(&law, &table, &options, "or hold all other parameters (--fix)");
  table_free(&table);
  law_free(&law);
}

// Numbers of many values in bins: each row is predicted once, by a fit without the rows of its bin.
static void bins(void) {
  struct law law;
  struct table table = {0};
  if (!parse_law(&law, plain_line)) return;
  make_line(&table, 30, 1);
  const char *columns[] = {"x"};
  struct fit_options options = {.bootstrap = 0, .leave_out = columns, .leave_out_count = 1};
  struct fit_result result, held;
  if (run_fit(&law, &table, &options, &result)) {
    const struct fit_leave_out *left = &result.leave_out[0];
    size_t predicted = 0;
    CHECK(left->value_count == 10 && left->rollout_count == 9 && strstr(left->note, "30 values"));
    for (size_t i = 0; i < left->value_count; i++) predicted += left->values[i].predicted;
    CHECK(predicted == 30);
    CHECK_TEXT(left->values[1].value, "3 .. 5");
    struct fit_options without = {.bootstrap = 0, .bare = true, .holdout = "x >= 3 and x <= 5"};
    if (run_fit(&law, &table, &without, &held)) CHECK_NEAR(left->values[1].error, held.holdout_error, 1e-9);
    fit_result_free(&held);
  }
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

int main(void) {
  fitting_start();
  RUN(score_of_a_line);
  RUN(score_of_chinchilla);
  RUN(ties);
  RUN(bounds);
  RUN(ratios);
  RUN(one_category);
  RUN(bins);
  return check_end();
}
