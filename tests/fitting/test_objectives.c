// The losses: their sums, derivatives and densities against formulas written out here, their minima against iterations
// of other kinds.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

enum { ROWS = 40 };

static void make_table(struct table *table) {
  make_line(table, ROWS, 1);
  for (size_t row = 5; row < ROWS; row += 11) table->columns[1].numbers[row] += 12;  // outliers above
}

// y - a - b x by weighted least squares in closed form, the weights from the residuals of the round before, until
// nothing moves. `scale` is updated by EM where `free_scale` is set.
static void reweight(const struct table *table, double (*weight)(double r, double scale), bool free_scale,
                     double *scale, double *a, double *b) {
  const double *x = table->columns[0].numbers, *y = table->columns[1].numbers;
  *a = *b = 0;
  for (int round = 0; round < 20000; round++) {
    double s = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, squares = 0;
    for (int i = 0; i < ROWS; i++) {
      double r = y[i] - *a - *b * x[i], w = weight(r, *scale);
      s += w;
      sx += w * x[i];
      sy += w * y[i];
      sxx += w * x[i] * x[i];
      sxy += w * x[i] * y[i];
    }
    *b = (s * sxy - sx * sy) / (s * sxx - sx * sx);
    *a = (sy - *b * sx) / s;
    for (int i = 0; i < ROWS; i++) {
      double r = y[i] - *a - *b * x[i];
      squares += weight(r, *scale) * r * r;
    }
    if (free_scale) *scale = sqrt(squares / ROWS);
  }
}

static double student_weight(double r, double s) { return 5 / (4 + r * r / (s * s)); }  // 4 degrees of freedom
static double steep_weight(double r, double s) {
  double size = fabs(r) > s ? s / fabs(r) : 1;
  return r < 0 ? 5 * size : size;  // r = y - prediction: below 0 the prediction is too high
}
static double squares_weight(double r, double s) {
  (void)s;
  return r < 0 ? 3 : 1;
}

static void check_minimum(const char *objective, double (*weight)(double, double), bool free_scale, double scale,
                          double (*loss)(double, double)) {
  struct law law;
  struct table table = {0};
  struct fit_result result;
  double a, b;
  if (!parse_law(&law, plain_line)) return;
  make_table(&table);
  struct fit_options options = {.bootstrap = 0, .objective = objective};
  reweight(&table, weight, free_scale, &scale, &a, &b);
  if (run_fit(&law, &table, &options, &result)) {
    double sum = 0;
    for (int i = 0; i < ROWS; i++)
      sum += loss(table.columns[1].numbers[i] - a - b * table.columns[0].numbers[i], scale);
    CHECK_NEAR(value_of(&result, "a"), a, 1e-7);
    CHECK_NEAR(value_of(&result, "b"), b, 1e-8);
    CHECK_NEAR(result.objective, sum, 1e-9 * sum);
    CHECK(result.stationary && result.scale_estimated == free_scale);
    if (free_scale) CHECK_NEAR(result.objective_kind.scale, scale, 1e-8 * scale);
    CHECK_NEAR(result.trust_region_objective, sum, 1e-7 * sum);
  }
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

static double student_loss(double r, double s) { return 2 * s * s * log(1 + r * r / (4 * s * s)); }
static double steep_loss(double r, double s) {
  double size = fabs(r), loss = size <= s ? 0.5 * r * r : s * (size - 0.5 * s);
  return r < 0 ? 5 * loss : loss;
}
static double lopsided_loss(double r, double s) {
  (void)s;
  return (r < 0 ? 1.5 : 0.5) * r * r;
}

static void minima(void) {
  check_minimum("student-t:4:0.8", student_weight, false, 0.8, student_loss);
  check_minimum("student-t:4", student_weight, true, 2, student_loss);
  check_minimum("asymmetric:5:0.7", steep_weight, false, 0.7, steep_loss);
  check_minimum("asymmetric:3", squares_weight, false, 1, lopsided_loss);
}

static const char *const texts[] = {
    "huber:0.5", "least-squares", "student-t:4:0.8", "student-t:2.5:1.5", "asymmetric:5:0.75", "asymmetric:0.5", "lad"};
enum { KINDS = sizeof texts / sizeof *texts };

static struct objective parse(const char *text) {
  struct objective objective;
  struct error error = {0};
  CHECK(objective_parse(text, &objective, &error));
  return objective;
}

// psi is the loss's difference quotient, psi' that of psi; the influence what is left of a residual's weight.
static void derivatives(void) {
  static const double at[] = {-3, -0.9, -0.31, 0.2, 0.6, 4};
  for (int k = 0; k < KINDS - 1; k++)
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
      struct objective objective = parse(texts[k]);
      double r = at[i], h = 1e-5;  // predicted - observed
      double slope = (objective_loss(objective, -(r + h)) - objective_loss(objective, -(r - h))) / (2 * h);
      double curvature = (objective_slope(objective, r + h) - objective_slope(objective, r - h)) / (2 * h);
      double near = objective_slope(objective, copysign(1e-9, r)) / copysign(1e-9, r);
      CHECK_NEAR(objective_slope(objective, r), slope, 1e-8);
      CHECK_NEAR(objective_curvature(objective, r), curvature, 1e-8);
      CHECK_NEAR(objective_influence(objective, -r), slope / r / near, 1e-8);
    }
  CHECK(objective_loss(parse("asymmetric:5"), -0.1) == 5 * objective_loss(parse("asymmetric:5"), 0.1));
}

static void names(void) {
  static const char *const wrong[] = {
      "student-t",     "student-t:",      "student-t:0",      "student-t:4:",  "student-t:x",
      "student-t:4:0", "asymmetric",      "asymmetric:-1",    "asymmetric:3:", "huber:1e-3:2",
      "huber:",        "student-t:4:1:2", "asymmetric:1e200", "student-t:nan"};
  for (int k = 0; k < KINDS; k++) {
    char text[OBJECTIVE_TEXT];
    objective_text(parse(texts[k]), text);
    CHECK_TEXT(text, texts[k]);
  }
  char text[OBJECTIVE_TEXT];
  objective_text(parse("student-t:4"), text);
  CHECK_TEXT(text, "student-t:4");
  objective_text(
      (struct objective){OBJECTIVE_STUDENT_T, .degrees = -1.2345678901234567e-300, .scale = -1.2345678901234567e-300},
      text);
  CHECK(strlen(text) < OBJECTIVE_TEXT - 1);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct objective objective;
    struct error error = {0};
    if (!CHECK(!objective_parse(wrong[i], &objective, &error) && strstr(error.text, "student-t:NU[:SCALE]")))
      printf("# %s\n", wrong[i]);
  }
}

// The density of the objective holds 1: its normalizer is the integral of exp(-precision loss).
static void densities(void) {
  for (int k = 0; k < KINDS; k++) {
    struct objective objective = parse(texts[k]);
    double precision = objective.kind == OBJECTIVE_STUDENT_T
                           ? (objective.degrees + 1) / (objective.degrees * objective.scale * objective.scale)
                           : 2.5;
    double sum = 0, step = 1e-4;  // over r = sinh(t): the tails of Student's t are long
    for (double t = -12; t < 12; t += step)
      sum += step * cosh(t) * exp(-precision * objective_loss(objective, sinh(t)));
    CHECK_NEAR(objective_log_normalizer(objective, precision), log(sum), 1e-6);
  }
  // n rows of Student's t: the sum of ln density, with its constant from the gamma function
  static const double r[] = {0.1, -0.4, 2.2, 0.7};
  struct objective student = parse("student-t:3:0.6");
  double sum = 0, expected = 0, scale;
  for (int i = 0; i < 4; i++) {
    sum += objective_loss(student, r[i]);
    expected += lgamma(2) - lgamma(1.5) - 0.5 * log(3 * 3.14159265358979323846) - log(0.6) -
                2 * log(1 + r[i] * r[i] / (3 * 0.36));
  }
  CHECK_NEAR(objective_log_likelihood(student, sum, 4, NULL, &scale), expected, 1e-12);
  CHECK(scale == 0.6);
}

// What stands around a fit: intervals, profiles, resamples, other objectives, one scale of absolute values.
static void around(void) {
  struct law law;
  struct table table = {0};
  struct fit_result result;
  if (!parse_law(&law, plain_line)) return;
  make_table(&table);
  static const char *const kinds[] = {"student-t:4", "asymmetric:2:1", "lad"};
  static const size_t others[] = {2, 3, 1};
  for (int k = 0; k < 3; k++) {
    struct fit_options options = {.bootstrap = 300, .objective = kinds[k], .profile_all = true};
    if (!run_fit(&law, &table, &options, &result)) continue;
    const struct coefficient *b = find_coefficient(&result, "b");
    const struct fit_profile *profile = &result.profiles[1];
    CHECK(b->low < 0.5 && b->high > 0.5 && b->high - b->low < 0.2 && result.bootstrap_failed == 0);
    // the profile's interval and the resamples' are of one size
    CHECK(profile->high - profile->low > 0.5 * (b->high - b->low) &&
          profile->high - profile->low < 2 * (b->high - b->low));
    CHECK(result.sensitivity_count == others[k] && isfinite(result.sensitivity[0].values[0]));
    CHECK(isnan(result.trust_region_objective) == (k == 2) && isnan(result.bfgs_objective) == (k == 2));
    // the profile's objective at the minimum is the fit's: one scale
    double lowest = INFINITY;
    for (size_t i = 0; i < profile->point_count; i++) lowest = fmin(lowest, profile->points[i].objective);
    CHECK_NEAR(lowest, result.objective, 1e-3 * result.objective);
    fit_result_free(&result);
  }
  struct error error = {0};
  struct table small = {0};
  CHECK(parse_table(&small, "x,y\n0,1\n1,2\n2,3\n3,5\n"));
  struct fit_options options = {.bootstrap = 0, .objective = "student-t:0.5"};
  CHECK(!fit_run(&law, &small, &options, &result, &error) && strstr(error.text, "runs to 0"));
  fit_result_free(&result);
  table_free(&small);
  table_free(&table);
  law_free(&law);
}

// Loss from 3 down with outliers of one sign: the law is above fewer rows the more an overestimate costs.
static void overestimates(void) {
  struct law law;
  struct table table = {0};
  if (!parse_law(&law, plain_line)) return;
  make_table(&table);
  size_t before = ROWS;
  static const char *const kinds[] = {"asymmetric:1:0.5", "asymmetric:4:0.5", "asymmetric:30:0.5"};
  for (int k = 0; k < 3; k++) {
    struct fit_result result;
    struct fit_options options = {.bootstrap = 0, .objective = kinds[k], .bare = true};
    if (!run_fit(&law, &table, &options, &result)) continue;
    size_t above = 0;
    for (size_t i = 0; i < result.table_count; i++) above += result.table[i].predicted > result.table[i].observed;
    CHECK(above < before);
    before = above;
    fit_result_free(&result);
  }
  table_free(&table);
  law_free(&law);
}

int main(void) {
  fitting_start();
  RUN(minima);
  RUN(derivatives);
  RUN(names);
  RUN(densities);
  RUN(around);
  RUN(overestimates);
  return check_end();
}
