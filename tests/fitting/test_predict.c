// Predictions from a fit: points, intervals, compute-optimal sizes against closed forms and published numbers, costs of
// over-training, alternatives; likelihoods against numerical integrals; comparisons of laws on made-up rows.
#include <math.h>
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static struct coefficient given(const char *name, double value) {
  return (struct coefficient){
      .name = name, .parameter = name, .value = value, .status = COEFFICIENT_FIXED, .low = NAN, .high = NAN, .se = NAN};
}

struct chinchilla {
  struct coefficient coefficients[5];
  struct fitted_law fitted;
};

static void make_chinchilla(struct chinchilla *made, const struct law *law, double E, double A, double B, double alpha,
                            double beta) {
  const struct coefficient all[] = {given("E", E), given("A", A), given("B", B), given("alpha", alpha),
                                    given("beta", beta)};
  memcpy(made->coefficients, all, sizeof all);
  made->fitted =
      (struct fitted_law){.law = law, .coefficients = made->coefficients, .coefficient_count = 5, .confidence = 0.95};
}

static bool near(double value, double wanted, double relative) { return fabs(value / wanted - 1) <= relative; }

// N* = G (C/6)^a, and the numbers that were published for the two sets of coefficients.
static void allocations(void) {
  struct law law;
  struct error error = {0};
  struct arena arena = {0};
  struct allocation best;
  static const struct {
    double e, a, b, alpha, beta, flops, parameters, ratio, loss;
  } published[] = {{0.59711196, 6.17795598, 7.64273236, 0.34781303, 0.36585412, 1e21, 2.782e9, 21.53, 2.3048},
                   {0.59711196, 6.17795598, 7.64273236, 0.34781303, 0.36585412, 5.76e23, 7.236e10, 18.34, 1.9740},
                   {0.5267228, 6.0073404, 6.0179186, 0.33917084, 0.2849083, 1e21, 2.217e9, 33.91, NAN},
                   {0.5267228, 6.0073404, 6.0179186, 0.33917084, 0.2849083, 5.76e23, 4.036e10, 58.93, 1.9184}};
  if (!load_law(&law, "chinchilla")) return;
  for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
    struct chinchilla made;
    double A = exp(published[i].a), B = exp(published[i].b), alpha = published[i].alpha, beta = published[i].beta;
    make_chinchilla(&made, &law, exp(published[i].e), A, B, alpha, beta);
    CHECK(fitted_law_allocate(&arena, &made.fitted, NULL, 0, published[i].flops, INFINITY, &best, &error));
    double G = pow(alpha * A / (beta * B), 1 / (alpha + beta));
    CHECK(near(best.parameters.value, G * pow(published[i].flops / 6, beta / (alpha + beta)), 1e-6));
    CHECK(near(best.parameters.value, published[i].parameters, 3e-4));
    CHECK(near(best.tokens_per_parameter.value, published[i].ratio, 5e-4));
    CHECK(isnan(published[i].loss) || fabs(best.loss.value - published[i].loss) < 6e-5);
    CHECK(best.unbounded == 0 && !best.at_limit);
    // within a memory: at its limit below the optimum, as before above it
    double limit = best.parameters.value / 2, full = best.loss.value;
    CHECK(fitted_law_allocate(&arena, &made.fitted, NULL, 0, published[i].flops, limit, &best, &error));
    CHECK(best.at_limit && near(best.parameters.value, limit, 1e-9) && best.loss.value > full);
    CHECK(near(best.parameters.value * best.tokens.value * 6, published[i].flops, 1e-12));
    CHECK(fitted_law_allocate(&arena, &made.fitted, NULL, 0, published[i].flops, 4 * limit, &best, &error));
    CHECK(!best.at_limit && near(best.loss.value, full, 1e-12));
  }
  // without a term of tokens the loss falls with N to the end
  struct chinchilla flat;
  make_chinchilla(&flat, &law, 1, 400, 0, 0.3, 0.3);
  CHECK(fitted_law_allocate(&arena, &flat.fitted, NULL, 0, 1e20, INFINITY, &best, &error) && best.unbounded == 1);
  law_free(&law);
  CHECK(load_law(&law, "power-law"));
  flat.fitted.law = &law;
  const struct coefficient power[] = {given("E", 1.7), given("K", 100), given("gamma", 0.1)};
  struct fitted_law only_compute = {.law = &law, .coefficients = power, .coefficient_count = 3};
  CHECK(!fitted_law_allocate(&arena, &only_compute, NULL, 0, 1e20, INFINITY, &best, &error) &&
        strstr(error.text, "no N and D"));
  law_free(&law);
  arena_free(&arena);
}

// The compute that the optimum needs for the loss of (N, D), found by hand for alpha = beta, where
// L*(C) = E + K (C/6)^(-alpha/2), K = 2 sqrt(A B).
static void overtraining_cost(void) {
  struct law law;
  struct error error = {0};
  struct arena arena = {0};
  struct chinchilla made;
  struct overtraining cost;
  if (!load_law(&law, "chinchilla")) return;
  make_chinchilla(&made, &law, 1.7, 400, 900, 0.34, 0.34);
  for (int i = 0; i < 3; i++) {
    double n = 1e8, d = 2e9 * pow(10, i);
    const struct law_input inputs[] = {{"N", {.kind = VALUE_NUMBER, .number = n}},
                                       {"tokens", {.kind = VALUE_NUMBER, .number = d}}};
    double above = 400 / pow(n, 0.34) + 900 / pow(d, 0.34);
    double flops = 6 * pow(2 * sqrt(400.0 * 900) / above, 2 / 0.34);
    CHECK(fitted_law_overtraining(&arena, &made.fitted, inputs, 2, &cost, &error));
    CHECK(near(cost.flops, 6 * n * d, 1e-12));
    CHECK(near(cost.optimal_flops.value, flops, 1e-5));
    CHECK(near(cost.cost_ratio.value, 6 * n * d / flops, 1e-5) && cost.cost_ratio.value >= 1 - 1e-9);
    CHECK(near(cost.optimal_loss.value, 1.7 + 2 * sqrt(400.0 * 900) * pow(n * d, -0.17), 1e-9));
  }
  law_free(&law);
  arena_free(&arena);
}

// Counted costs: C per token = 6 N + 12 N^(2/3) a row, interpolated in the logarithms, 6 N-like beyond.
static void counted_cost(void) {
  const double n[] = {1e6, 1e7, 1e8};
  double x[3], y[3];
  for (int i = 0; i < 3; i++) {
    x[i] = log(n[i]);
    y[i] = log(6 * n[i] + 1200 * pow(n[i], 2.0 / 3));
  }
  struct cost_model cost = {3, x, y};
  for (int i = 0; i < 3; i++) CHECK(near(cost_per_token(&cost, n[i]), exp(y[i]), 1e-12));
  CHECK(near(cost_per_token(&cost, sqrt(1e13)), exp((y[0] + y[1]) / 2), 1e-12));
  CHECK(near(cost_per_token(&cost, 1e9), 10 * exp(y[2]), 1e-12));
  CHECK(near(cost_per_token(&cost, 1e5), exp(y[0]) / 10, 1e-12));
  CHECK(cost_per_token(&(struct cost_model){0}, 5) == 30);
  // the optimum under it is one of C = f(N) D: no neighbour is better
  struct law law;
  struct error error = {0};
  struct arena arena = {0};
  struct chinchilla made;
  struct allocation best;
  if (!load_law(&law, "chinchilla")) return;
  make_chinchilla(&made, &law, 1.7, 400, 900, 0.34, 0.30);
  made.fitted.cost = cost;
  CHECK(fitted_law_allocate(&arena, &made.fitted, NULL, 0, 1e17, INFINITY, &best, &error));
  for (int i = -1; i <= 1; i += 2) {
    double size = best.parameters.value * (1 + 1e-3 * i), tokens = 1e17 / cost_per_token(&cost, size);
    CHECK(1.7 + 400 / pow(size, 0.34) + 900 / pow(tokens, 0.30) > best.loss.value);
  }
  law_free(&law);
  arena_free(&arena);
}

// Losses of the law times e^noise; N from 1e6 to 81e6, D from 1e7 to 81e7.
static double draw_noise(uint64_t seed, uint64_t index) {
  double pair[2];
  random_normal_pair(seed, RANDOM_STREAM_NOISE, 0, index, pair);
  return pair[0];
}

static bool make_table(struct table *table, double noise, double gamma, uint64_t seed) {
  struct text text = {0};
  text_add(&text, "N,D,loss,run\n");
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 5; j++)
      for (int k = 0; k < 2; k++) {
        double n = 1e6 * pow(3, i), d = 1e7 * pow(3, j), drawn = draw_noise(seed, (uint64_t)(i * 10 + j * 2 + k));
        double loss = 1.7 + pow(400 / pow(n, 0.34) + 900 / pow(d, 0.31), gamma);
        text_format(&text, "%.17g,%.17g,%.17g,%d\n", n, d, loss * exp(noise * drawn), i * 5 + j);
      }
  bool fine = parse_table(table, text_string(&text));
  text_free(&text);
  return fine;
}

static void points_of_a_fit(void) {
  struct law law;
  struct table table, points;
  struct fit_result result;
  struct fitted_law fitted;
  struct arena arena = {0};
  struct error error = {0};
  static const char *const texts[] = {"N=3e6..3e8:3log,D=1e8", "N=1e7,M=3", "N=1e7,C=6e15", "D=1e8"};
  if (!load_law(&law, "chinchilla") || !make_table(&table, 0.003, 1, 11)) return;
  if (!run_fit(&law, &table, &(struct fit_options){.bootstrap = 300, .threads = 2, .bare = true}, &result)) return;
  fitted_law_of(&arena, &law, &table, &result, true, 0, &fitted);
  CHECK(fitted.cost.count == 0 && fitted.scatter_count == 50 && fitted.ranges.column_count == 2);
  CHECK(fitted.ranges.columns[0].low == 1e6 && near(fitted.ranges.columns[0].high, 8.1e7, 1e-12));
  CHECK(points_parse(&points, texts, 4, &error) && points.row_count == 6);
  struct prediction predictions[6];
  for (size_t row = 0; row < points.row_count; row++) {
    struct law_input inputs[8];
    size_t count = 0;
    for (size_t c = 0; c < points.column_count; c++) {
      const char *name = strcmp(points.columns[c].name, "M") == 0 ? "tokens_per_parameter" : points.columns[c].name;
      inputs[count++] = (struct law_input){name, table_value(&points, c, row)};
    }
    fitted_law_predict(&arena, &fitted, inputs, count, &predictions[row]);
  }
  for (int row = 0; row < 3; row++) {
    const struct prediction *p = &predictions[row];
    double n = 3e6 * pow(10, row), truth = 1.7 + 400 / pow(n, 0.34) + 900 / pow(1e8, 0.31);
    CHECK(!p->missing && near(p->law.value, truth, row == 2 ? 0.02 : 0.005));
    CHECK(p->law.low < p->law.value && p->law.value < p->law.high);
    // a run scatters by 0.3 % about the law: its interval is about 4 sigma wide where the law is well known
    CHECK(p->run_low < p->law.low && p->run_high > p->law.high);
    double width = log(p->run_high / p->run_low);
    CHECK(row == 2 || (width > 0.008 && width < 0.02));
    CHECK(p->outside_count == (row == 2));
  }
  CHECK(strcmp(predictions[2].outside[0].column, "parameters") == 0 &&
        near(predictions[2].outside[0].factor, 3e8 / 8.1e7, 1e-9));
  CHECK(!predictions[3].missing && !predictions[4].missing);  // D = 3e7, D = C / 6N = 1e8
  CHECK(near(predictions[3].law.value, 1.7 + 400 / pow(1e7, 0.34) + 900 / pow(3e7, 0.31), 0.005));
  CHECK(near(predictions[4].law.value, 1.7 + 400 / pow(1e7, 0.34) + 900 / pow(1e8, 0.31), 0.005));
  CHECK(predictions[5].missing && strstr(predictions[5].missing, "parameters is not given"));
  struct allocation best;
  CHECK(fitted_law_allocate(&arena, &fitted, NULL, 0, 1e17, INFINITY, &best, &error));
  CHECK(best.parameters.low < best.parameters.value && best.parameters.value < best.parameters.high);
  table_free(&points);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
  arena_free(&arena);
}

// Over tables of the same law with other noise: how often the law's interval holds the truth, and a run's interval a
// new run.
static void coverage(void) {
  struct law law;
  int total = 0, law_held = 0, run_held = 0;
  if (!load_law(&law, "chinchilla")) return;
  for (uint64_t seed = 100; seed < 140; seed++) {
    struct table table;
    struct fit_result result;
    struct fitted_law fitted;
    struct arena arena = {0};
    if (!make_table(&table, 0.003, 1, seed)) return;
    struct fit_options options = {
        .bootstrap = 200, .threads = 1, .starts = 20, .objective = "least-squares", .bare = true};
    if (!run_fit(&law, &table, &options, &result)) return;
    fitted_law_of(&arena, &law, &table, &result, false, seed, &fitted);
    for (int i = 0; i < 9; i++) {
      double n = 2e6 * pow(5, i % 3), d = 2e7 * pow(5, i / 3);
      double truth = 1.7 + 400 / pow(n, 0.34) + 900 / pow(d, 0.31);
      double run = truth * exp(0.003 * draw_noise(seed, 1000 + (uint64_t)i));
      const struct law_input inputs[] = {{"N", {.kind = VALUE_NUMBER, .number = n}},
                                         {"D", {.kind = VALUE_NUMBER, .number = d}}};
      struct prediction p;
      fitted_law_predict(&arena, &fitted, inputs, 2, &p);
      total++;
      law_held += p.law.low <= truth && truth <= p.law.high;
      run_held += p.run_low <= run && run <= p.run_high;
    }
    fit_result_free(&result);
    table_free(&table);
    arena_free(&arena);
  }
  printf("# of %d: the truth within the law's interval %d times, a run within a run's %d times\n", total, law_held,
         run_held);
  CHECK(law_held >= 0.85 * total && law_held <= 0.99 * total);  // percentile intervals are somewhat narrow
  CHECK(run_held >= 0.90 * total && run_held <= 0.99 * total);
  law_free(&law);
}

static void point_texts(void) {
  static const struct {
    const char *text, *words;
  } wrong[] = {{"N=", "column 3: a value is missing"},
               {"N", "NAME=VALUE is missing"},
               {"=3", "a name is missing"},
               {"N=1,N=2", "column 5: this name is here twice"},
               {"N=1,D=", "a value is missing"},
               {"N=1e3..1e2:5log", "column 3: a logarithmic range"},
               {"N=1..2", "how many values"},
               {"N=1..x:3", "numbers"},
               {"N=1..2:0", "1 to 100000"},
               {"N=0..2:3log", "logarithmic"},
               {"N=1..2:1000000", "1 to 100000"},
               {"N=1..9:1000,D=1..9:1000", "more than 100000"},
               {"N=1|a", "numbers and texts"},
               {"format=int4[absmax", "not closed"},
               {"format=a)b", "not closed"},
               {"N=inf", "finite"},
               {"", "NAME=VALUE is missing"}};
  struct table table;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct error error = {0};
    bool fine = points_parse(&table, &wrong[i].text, 1, &error);
    CHECK(!fine && error.code == EXIT_USAGE_ERROR && strstr(error.text, wrong[i].words));
    if (fine || !strstr(error.text, wrong[i].words)) printf("# %s: %s\n", wrong[i].text, error.text);
    table_free(&table);
  }
  struct error error = {0};
  static const char *const texts[] = {"N=1e8..1e10:5log, format=int4[absmax,group(32)]|\"a, b\"|w4a4, D=2..4:3linear",
                                      "C=1e21"};
  CHECK(points_parse(&table, texts, 2, &error) && table.row_count == 46 && table.column_count == 4);
  CHECK(table.columns[1].category_count == 3 && strcmp(table.columns[1].categories[0], "int4[absmax,group(32)]") == 0 &&
        strcmp(table.columns[1].categories[1], "a, b") == 0);
  CHECK(near(table.columns[0].numbers[9], sqrt(1e17), 1e-12) && table.columns[0].numbers[44] == 1e10);
  CHECK(table.columns[2].numbers[0] == 2 && table.columns[2].numbers[1] == 3 && isnan(table.columns[2].numbers[45]));
  CHECK(table_find(&table, "flops") == 3 && table.columns[3].numbers[45] == 1e21);
  table_free(&table);
}

static double integral(struct objective objective, double precision) {
  double sum = 0, step = 1e-3, reach = 60;  // of units of 1 / sqrt(precision)
  for (double t = -reach + step / 2; t < reach; t += step) {
    double r = t / sqrt(precision), size = fabs(r), rho = size;
    if (objective.kind == OBJECTIVE_LEAST_SQUARES) rho = 0.5 * r * r;
    if (objective.kind == OBJECTIVE_HUBER)
      rho = size <= objective.delta ? 0.5 * r * r : objective.delta * (size - 0.5 * objective.delta);
    sum += exp(-precision * rho) * step / sqrt(precision);
  }
  return sum;
}

static void likelihoods(void) {
  const struct objective kinds[] = {{.kind = OBJECTIVE_LEAST_SQUARES},
                                    {.kind = OBJECTIVE_LAD},
                                    {OBJECTIVE_HUBER, .delta = 0.5},
                                    {OBJECTIVE_HUBER, .delta = 2}};
  for (size_t i = 0; i < 4; i++)
    for (double precision = 0.5; precision < 20; precision *= 4)
      CHECK(near(exp(objective_log_normalizer(kinds[i], precision)), integral(kinds[i], precision), 1e-4));
  // least squares: the known maximum of the normal likelihood; a wide Huber is the same, a narrow one Laplace's
  double residuals[] = {0.3, -0.1, 0.25, -0.4, 0.05, 0.2}, squares = 0, sizes = 0, scale;
  for (int i = 0; i < 6; i++) {
    squares += residuals[i] * residuals[i] / 2;
    sizes += fabs(residuals[i]);
  }
  double normal = -3 * (log(2 * 3.14159265358979323846 * 2 * squares / 6) + 1), laplace = -6 * (log(2 * sizes / 6) + 1);
  CHECK(near(objective_log_likelihood(kinds[0], squares, 6, NULL, &scale), normal, 1e-12) &&
        near(scale, sqrt(2 * squares / 6), 1e-12));
  CHECK(near(objective_log_likelihood(kinds[1], sizes, 6, NULL, &scale), laplace, 1e-12) &&
        near(scale, sizes / 6, 1e-12));
  CHECK(near(objective_log_likelihood((struct objective){OBJECTIVE_HUBER, .delta = 1e3}, squares, 6, NULL, NULL),
             normal, 1e-9));
  double tiny = 1e-7, narrow = 0;
  for (int i = 0; i < 6; i++) narrow += tiny * (fabs(residuals[i]) - tiny / 2);
  CHECK(near(objective_log_likelihood((struct objective){OBJECTIVE_HUBER, .delta = tiny}, narrow, 6, NULL, NULL),
             laplace, 1e-5));
  // a weight w is a residual of sqrt(w) times the size, less its Jacobian
  double weights[] = {1, 2, 1, 3, 1, 1}, weighted = 0;
  for (int i = 0; i < 6; i++) weighted += weights[i] * residuals[i] * residuals[i] / 2;
  double plain = objective_log_likelihood(kinds[0], weighted, 6, NULL, NULL);
  CHECK(near(objective_log_likelihood(kinds[0], weighted, 6, weights, NULL), plain + 0.5 * log(6), 1e-12));
}

static void alternatives(void) {
  double a[200], b[200], c[200];
  for (int i = 0; i < 200; i++) {
    double common = sin(i), own = 0.001 * cos(3 * i);
    a[i] = 2.0 + common;
    b[i] = 2.01 + common + own;    // much scatter, but always behind a
    c[i] = 2.0005 + common + own;  // crosses a
  }
  struct alternative two[] = {{.loss = 2.0, .losses = a}, {.loss = 2.01, .losses = b}, {.loss = NAN, .losses = b}};
  bool decided;
  struct fitted_law resampled = {.replicate_count = 200, .confidence = 0.95}, plain = {.confidence = 0.95};
  CHECK(alternatives_judge(two, 2, &resampled, &decided) == 0 && decided);
  CHECK(two[0].share_best == 1 && two[1].behind.low > 0.008 && two[1].behind.high < 0.012);
  struct alternative close[] = {{.loss = 2.0005, .losses = c}, {.loss = 2.0, .losses = a}};
  CHECK(alternatives_judge(close, 2, &resampled, &decided) == 1 && !decided && close[0].share_best > 0.1);
  CHECK(alternatives_judge(two, 2, &plain, &decided) == 0 && !decided);
  CHECK(alternatives_judge(two, 1, &resampled, &decided) == 0 && !decided);
  two[0].loss = two[1].loss = NAN;
  CHECK(alternatives_judge(two, 3, &resampled, &decided) == -1 && !decided);
}

static const struct law_standing *standing_of(const struct comparison *comparison, const char *law) {
  for (size_t l = 0; l < comparison->count; l++)
    if (strcmp(comparison->laws[l].law, law) == 0) return &comparison->laws[l];
  return NULL;
}

// Rows of a law with gamma = 0.6 tell it from the plain sum; rows of the plain sum do not tell gamma from 1.
static void comparisons(void) {
  struct law laws[3];
  if (!load_law(&laws[0], "chinchilla") || !load_law(&laws[1], "distillation") || !load_law(&laws[2], "power-sum"))
    return;
  for (int curved = 0; curved < 2; curved++) {
    struct table table;
    struct comparison comparison;
    struct error error = {0};
    struct compare_options options = {.fit = {.group = "run", .threads = 2, .starts = 300}};
    if (!make_table(&table, 0.002, curved ? 0.6 : 1, 11)) return;
    bool fine = laws_compare(laws, 3, &table, &options, &comparison, &error);
    CHECK(fine);
    if (!fine) printf("# %s\n", error.text);
    if (fine) {
      const struct law_standing *plain = standing_of(&comparison, "chinchilla");
      const struct law_standing *gamma = standing_of(&comparison, "distillation");
      const struct law_standing *none = standing_of(&comparison, "power-sum");
      CHECK(comparison.groups == 25 && comparison.folds == 5 && comparison.held_out == 50 && comparison.rows == 50);
      CHECK(plain->parameters == 6 && gamma->parameters == 7 && none->parameters == 5);
      // the wider law fits at least as well; its likelihood says the same
      CHECK(gamma->objective <= plain->objective * (1 + 1e-6) && gamma->log_likelihood >= plain->log_likelihood - 1e-3);
      CHECK(plain->objective <= none->objective * (1 + 1e-9));
      CHECK(near(plain->aicc, plain->aic + 2.0 * 6 * 7 / (50 - 7), 1e-12));
      CHECK(none->told_apart && none->aicc_behind > 20);
      if (curved)
        CHECK(strcmp(comparison.laws[0].law, "distillation") == 0 && plain->told_apart);
      else
        CHECK(!gamma->told_apart && !gamma->predicts_better && !plain->told_apart);
      CHECK(comparison.laws[0].held_out_error < 0.01 && none->held_out_behind > 0);
    }
    comparison_free(&comparison);
    table_free(&table);
  }
  struct table table;
  struct comparison comparison;
  struct error error = {0};
  make_table(&table, 0.002, 1, 11);
  struct compare_options options = {.fit = {.holdout = "N > 2e7", .threads = 2, .starts = 300}};
  CHECK(laws_compare(laws, 2, &table, &options, &comparison, &error));
  CHECK(comparison.holdout && comparison.held_out == 20 && comparison.rows == 30);
  comparison_free(&comparison);
  CHECK(!laws_compare(laws, 1, &table, &options, &comparison, &error) && strstr(error.text, "at least two"));
  comparison_free(&comparison);
  table_free(&table);
  for (int l = 0; l < 3; l++) law_free(&laws[l]);
}

int main(void) {
  fitting_start();
  RUN(allocations);
  RUN(overtraining_cost);
  RUN(counted_cost);
  RUN(points_of_a_fit);
  RUN(coverage);
  RUN(point_texts);
  RUN(likelihoods);
  RUN(alternatives);
  RUN(comparisons);
  return check_end();
}
