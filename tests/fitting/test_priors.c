// Normal priors: against ridge regression in closed form, brute force, and limits where only the prior or only the rows
// speak.
#include <gsl/gsl_cdf.h>
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static const char decay[] =
    "law: decay\nformula: \"c * exp(0 - k * x)\"\npredicts: y\nobjective: huber:0.01\n"
    "parameters: {c: {positive: true, starts: [1, 5]}, k: {positive: true, starts: [0.01, 0.1]}}\n";

static void set(struct fit_options *options, const char *const *priors, size_t count) {
  options->priors = priors;
  options->prior_count = count;
}

struct sums {
  double n, x, y, xx, xy, yy;
};

static struct sums sums_of(const struct table *table) {
  struct sums s = {.n = (double)table->row_count};
  for (size_t i = 0; i < table->row_count; i++) {
    double x = table->columns[0].numbers[i], y = table->columns[1].numbers[i];
    s.x += x;
    s.y += y;
    s.xx += x * x;
    s.xy += x * y;
    s.yy += y * y;
  }
  return s;
}

// (M + P) t = v + P m for M the line's normal equations and P diagonal; the inverse's diagonal too.
static void ridge(const struct sums *s, const double p[2], const double mean[2], double t[2], double inverse[2]) {
  double aa = s->n + p[0], ab = s->x, bb = s->xx + p[1], va = s->y + p[0] * mean[0], vb = s->xy + p[1] * mean[1];
  double determinant = aa * bb - ab * ab;
  t[0] = (bb * va - ab * vb) / determinant;
  t[1] = (aa * vb - ab * va) / determinant;
  inverse[0] = bb / determinant;
  inverse[1] = aa / determinant;
}

static double squares(const struct sums *s, const double t[2]) {
  return s->yy + t[0] * t[0] * s->n + t[1] * t[1] * s->xx - 2 * t[0] * s->y - 2 * t[1] * s->xy + 2 * t[0] * t[1] * s->x;
}

// Least squares with priors is ridge regression with the noise's variance over the priors'.
static void ridge_of_a_line(void) {
  struct law law;
  struct table table = {0};
  if (!parse_law(&law, plain_line)) return;
  make_line(&table, 20, 1);
  static const double mean[2] = {3, 0.4}, sd[2] = {0.5, 0.05}, none[2] = {0};
  struct sums s = sums_of(&table);
  double alone[2], t[2], inverse[2], own[2], p[2];
  ridge(&s, none, none, alone, own);
  double noise = squares(&s, alone) / 18;
  for (int k = 0; k < 2; k++) p[k] = noise / (sd[k] * sd[k]);
  ridge(&s, p, mean, t, inverse);
  double penalty = 0;
  for (int k = 0; k < 2; k++) penalty += 0.5 * p[k] * (t[k] - mean[k]) * (t[k] - mean[k]);
  struct fit_options options = {.bootstrap = 3000, .profile_all = true};
  set(&options, (const char *const[]){"a=3~0.5", "b=0.4~0.05"}, 2);
  struct fit_result result;
  if (run_fit(&law, &table, &options, &result) && CHECK(result.prior_count == 2)) {
    CHECK_NEAR(result.penalty, penalty, 1e-8 * penalty);
    CHECK_NEAR(result.objective, 0.5 * squares(&s, t) + penalty, 1e-9 * result.objective);
    for (int k = 0; k < 2; k++) {
      const struct fit_prior *prior = &result.priors[k];
      const struct coefficient *c = &result.coefficients[k];
      double posterior = sqrt(noise * inverse[k]), tail = gsl_cdf_tdist_Pinv(0.975, 18);
      CHECK_NEAR(c->value, t[k], 1e-8);
      CHECK(prior->coefficient == (size_t)k && c->status == COEFFICIENT_FITTED);
      CHECK_NEAR(prior->alone, alone[k], 1e-8);
      CHECK_NEAR(prior->alone_se, sqrt(noise * own[k]), 1e-7);
      CHECK_NEAR(prior->moved, (t[k] - mean[k]) / sd[k], 1e-6);
      CHECK_NEAR(prior->narrowed, posterior / sd[k], 1e-6);
      CHECK_NEAR(prior->distance, (alone[k] - mean[k]) / sqrt(noise * own[k] + sd[k] * sd[k]), 1e-6);
      CHECK_NEAR(result.profiles[k].high, t[k] + tail * posterior, 2e-3 * posterior * tail);
      CHECK_NEAR(result.profiles[k].low, t[k] - tail * posterior, 2e-3 * posterior * tail);
      CHECK_NEAR(c->se / posterior, 1, 0.15);  // of resamples, rows and priors drawn anew
    }
    // what is written is read again, to the byte
    struct text text = {0};
    check_written_again(&result, &text);
    CHECK(strstr(text_string(&text), "\"penalty\":") && strstr(text_string(&text), "\"narrowed\":"));
    text_free(&text);
  }
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

// Every row eight times, which the groups tell: the rows' weight beside the prior is that of the points, not of copies.
static void copies_weigh_once(void) {
  struct law law;
  struct table table = {0}, copies = {0};
  struct fit_result once, grouped, apart;
  if (!parse_law(&law, plain_line)) return;
  make_line(&table, 20, 1);
  make_line(&copies, 20, 8);
  struct fit_options options = {.bootstrap = 0, .bare = true};
  set(&options, (const char *const[]){"b=0.2~0.03"}, 1);
  bool fine = run_fit(&law, &table, &options, &once);
  options.group = "run";
  fine = run_fit(&law, &copies, &options, &grouped) && fine;
  options.group = "none";
  fine = run_fit(&law, &copies, &options, &apart) && fine;
  if (fine) {
    double b = value_of(&once, "b"), mean = 0.2, by_rows = once.priors[0].alone;
    CHECK(b > mean && b < by_rows);
    CHECK_NEAR(value_of(&grouped, "b"), b, 0.1 * (by_rows - mean));
    CHECK(value_of(&apart, "b") > b + 0.1 * (by_rows - mean));
  }
  fit_result_free(&once);
  fit_result_free(&grouped);
  fit_result_free(&apart);
  table_free(&table);
  table_free(&copies);
  law_free(&law);
}

static double decay_sum(const struct table *table, double c, double k) {
  double sum = 0;
  for (size_t i = 0; i < table->row_count; i++) {
    double r = log(table->columns[1].numbers[i]) - log(c) + k * table->columns[0].numbers[i], size = fabs(r);
    sum += size <= 0.01 ? 0.5 * r * r : 0.01 * (size - 0.005);
  }
  return sum;
}

// A prior on a logarithm and one on the value of a coefficient that is fitted through its logarithm: no point near the
// estimate lies lower, on a scale that the printed penalty gives.
static void logarithms(void) {
  struct law law;
  struct table table = {0};
  if (!parse_law(&law, decay)) return;
  table_init(&table, "decay", 30);
  size_t x = table_add_number(&table, "x", ROLE_UNKNOWN), y = table_add_number(&table, "y", ROLE_UNKNOWN);
  for (size_t row = 0; row < 30; row++) {
    double normal[2];
    random_normal_pair(4, 1, 0, row, normal);
    table.columns[x].numbers[row] = (double)row;
    table.columns[y].numbers[row] = 3 * exp(-0.05 * (double)row + 0.02 * normal[0]);
  }
  struct fit_options options = {.bootstrap = 0, .bare = true};
  set(&options, (const char *const[]){"log(c)=1.13~0.004", "k=0.0475~0.0005"}, 2);
  struct fit_result result;
  if (run_fit(&law, &table, &options, &result)) {
    double c = value_of(&result, "c"), k = value_of(&result, "k");
    double off_c = (log(c) - 1.13) / 0.004, off_k = (k - 0.0475) / 0.0005;
    double scale = 2 * result.penalty / (off_c * off_c + off_k * off_k);
    CHECK(fabs(off_c) > 0.05 && fabs(off_k) > 0.05 && result.stationary);
    CHECK_NEAR(result.objective, decay_sum(&table, c, k) + result.penalty, 1e-9 * result.objective);
    for (int i = -1; i <= 1; i++)
      for (int j = -1; j <= 1; j++) {
        double c2 = c * (1 + 1e-4 * i), k2 = k * (1 + 1e-4 * j), a = (log(c2) - 1.13) / 0.004,
               b = (k2 - 0.0475) / 0.0005;
        CHECK(decay_sum(&table, c2, k2) + 0.5 * scale * (a * a + b * b) >= result.objective * (1 - 1e-12));
      }
  }
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

// x never changes, so only a + b is known: b stays where its prior is, as wide as that, and says so.
static void nothing_but_the_prior(void) {
  struct law law;
  struct table table = {0};
  struct fit_result result;
  if (!parse_law(&law, plain_line)) return;
  make_line(&table, 24, 1);
  double mean = 0;
  for (size_t row = 0; row < 24; row++) {
    table.columns[1].numbers[row] -= 0.5 * table.columns[0].numbers[row];
    table.columns[0].numbers[row] = 1;
    mean += table.columns[1].numbers[row] / 24;
  }
  static const char *const objectives[] = {"least-squares", "huber:0.5", "lad", "student-t:4"};
  for (int k = 0; k < 4; k++) {
    struct fit_options options = {.bootstrap = 1000, .objective = objectives[k], .profile_all = true};
    set(&options, (const char *const[]){"b=3~0.25"}, 1);
    if (!run_fit(&law, &table, &options, &result)) continue;
    const struct coefficient *b = find_coefficient(&result, "b");
    double tail = gsl_cdf_tdist_Pinv(0.975, 22);
    CHECK_NEAR(b->value, 3, 1e-3);
    CHECK(b->status == COEFFICIENT_BY_PRIOR && strstr(b->note, "not by the data"));
    CHECK(result.priors[0].alone_status == COEFFICIENT_UNIDENTIFIED && isnan(result.priors[0].distance));
    CHECK_NEAR(result.priors[0].narrowed, 1, 1e-3);
    CHECK_NEAR(b->low, 3 - 1.96 * 0.25, 0.06);
    CHECK_NEAR(b->high, 3 + 1.96 * 0.25, 0.06);
    if (CHECK(result.profile_count == 2)) CHECK_NEAR(result.profiles[1].high, 3 + tail * 0.25, 0.02);
    CHECK_NEAR(result.penalty, 0, 1e-6);
    if (k == 0) CHECK_NEAR(value_of(&result, "a"), mean - 3, 1e-6);
    bool told = false;
    for (size_t i = 0; i < result.warning_count; i++) told |= strstr(result.warnings[i], "rests on that prior") != NULL;
    CHECK(told);
    fit_result_free(&result);
  }
  table_free(&table);
  law_free(&law);
}

// Absolute values: for each slope the best level is a median; the lowest of a fine row of slopes is the estimate.
static void absolute_values(void) {
  struct law law;
  struct table table = {0};
  struct fit_result result;
  if (!parse_law(&law, plain_line)) return;
  make_line(&table, 21, 1);
  struct fit_options options = {.bootstrap = 0, .bare = true, .objective = "lad"};
  set(&options, (const char *const[]){"b=0.3~0.02"}, 1);
  if (run_fit(&law, &table, &options, &result)) {
    double b = value_of(&result, "b"), scale = 2 * result.penalty / pow((b - 0.3) / 0.02, 2), best = INFINITY, at = 0;
    CHECK(b > 0.31 && b < result.priors[0].alone - 0.01);
    for (double slope = 0.25; slope < 0.6; slope += 1e-5) {
      double off[21], sum = 0;
      for (int i = 0; i < 21; i++) off[i] = table.columns[1].numbers[i] - slope * i;
      for (int i = 0; i < 21; i++)
        for (int k = i + 1; k < 21; k++)
          if (off[k] < off[i]) {
            double other = off[i];
            off[i] = off[k];
            off[k] = other;
          }
      for (int i = 0; i < 21; i++) sum += fabs(off[i] - off[10]);
      sum += 0.5 * scale * pow((slope - 0.3) / 0.02, 2);
      if (sum < best) at = slope;
      best = fmin(best, sum);
    }
    CHECK_NEAR(result.objective, best, 1e-5 * best);
    CHECK_NEAR(b, at, 1e-3);
  }
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

static void mistakes(void) {
  struct law law, levels;
  struct table table = {0};
  if (!parse_law(&law, plain_line)) return;
  make_line(&table, 20, 1);
  struct fit_options options = {.bootstrap = 0, .bare = true};
  static const struct {
    const char *prior, *with;
  } wrong[] = {{"b=0.5", "not of the form NAME=MEAN~SD"},
               {"b=0.5~", "not of the form"},
               {"=0.5~1", "not of the form"},
               {"b=x~1", "not of the form"},
               {"b=0.5~0", "must be above 0 (--fix"},
               {"b=0.5~-1", "must be above 0"},
               {"log(b)=1~1", "has no logarithm"},
               {"bb=1~1", "did you mean 'b'"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    set(&options, &wrong[i].prior, 1);
    refuse_fit(&law, &table, &options, wrong[i].with);
  }
  set(&options, (const char *const[]){"b=1~1", "b=2~1"}, 2);
  refuse_fit(&law, &table, &options, "b has two priors");
  set(&options, (const char *const[]){"b=1~1"}, 1);
  options.interval = INTERVAL_T;
  refuse_fit(&law, &table, &options, "--interval bca or percentile");
  options.interval = INTERVAL_BY_DEFAULT;
  options.fixes = &(struct fit_fix){"b", 0.5};
  options.fix_count = 1;
  refuse_fit(&law, &table, &options, "b is held");
  options.fix_count = 0;
  options.ties = (const char *const[]){"b=a"};
  options.tie_count = 1;
  refuse_fit(&law, &table, &options, "b is tied");
  // a category that no fitted row has is not fitted, and its prior says nothing of rows
  if (parse_law(&levels,
                "law: levels\nformula: \"m[run]\"\npredicts: y\nobjective: least-squares\n"
                "parameters: {m: {by: run, positive: true, starts: [1]}}\n")) {
    struct table pairs = {0};
    struct fit_result result;
    make_line(&pairs, 6, 3);
    struct fit_options all = {.bootstrap = 0, .bare = true, .group = "none"};
    set(&all, (const char *const[]){"m=4~1"}, 1);
    if (run_fit(&levels, &pairs, &all, &result)) CHECK(result.prior_count == 6);
    fit_result_free(&result);
    table_free(&pairs);
  }
  table_free(&table);
  law_free(&law);
  law_free(&levels);
}

int main(void) {
  fitting_start();
  RUN(ridge_of_a_line);
  RUN(copies_weigh_once);
  RUN(logarithms);
  RUN(nothing_but_the_prior);
  RUN(absolute_values);
  RUN(mistakes);
  return check_end();
}
