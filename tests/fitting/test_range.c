// What a fit was made on, how far outside of it a question lies, and what the rows then cannot tell.
#include <stdlib.h>

#include "fitting/range.h"
#include "tests/fitting/fitting_test.h"

static void factors(void) {
  static const struct {
    double value, low, high, factor;
  } cases[] = {{5, 1, 10, 1},        {10, 1, 10, 1},   {10.0000000001, 1, 10, 1},
               {30, 1, 10, 3},       {0.25, 1, 10, 4}, {2, 1, 1, 2},
               {0.2, 0, 0.1, 2},     {3, -1, 1, 3},    {-5, -1, 1, 5},
               {0, 1, 11, 1.1},      {-9, 1, 11, 2},   {1, -21, -1, 1.1},
               {1e12, 1e6, 1e8, 1e4}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    CHECK_NEAR(range_factor(cases[i].value, cases[i].low, cases[i].high), cases[i].factor, 1e-12);
  CHECK(range_factor(NAN, 1, 10) == 1);
  CHECK(!range_is_far(10) && range_is_far(10.1) && !range_is_far(NAN));
}

// N from 1e6 to 32e6 (w2a2: to 2e6), D from 1e8 to 8e8; one row of w3a3 is held out.
static void make_formats(struct table *table) {
  static const struct {
    const char *format;
    double worth;
    int sizes;
  } formats[] = {{"none", 1, 6}, {"w4a4", 0.7, 6}, {"w2a2", 0.3, 2}};
  struct text text = {0};
  int k = 0;
  text_add(&text, "N,D,format,loss\n");
  for (size_t f = 0; f < 3; f++)
    for (int i = 0; i < formats[f].sizes; i++)
      for (int j = 0; j < 4; j++, k++) {
        double n = 1e6 * pow(2, i), d = 1e8 * pow(2, j);
        double loss = 1.7 + 400 / pow(n * formats[f].worth, 0.34) + 900 / pow(d, 0.31);
        text_format(&text, "%.17g,%.17g,%s,%.17g\n", n, d, formats[f].format,
                    loss * (1 + 0.002 * sin(12.9898 * k * k)));
      }
  text_add(&text, "1e9,1e8,w3a3,3\n");
  CHECK(parse_table(table, text_string(&text)));
  text_free(&text);
}

static const struct fit_category *category_of(const struct fit_ranges *ranges, const char *name) {
  static const struct fit_category none = {0};
  for (size_t i = 0; i < ranges->category_count; i++)
    if (strcmp(ranges->categories[i].category, name) == 0) return &ranges->categories[i];
  return &none;
}

static void check_ranges(const struct fit_ranges *ranges) {
  if (!CHECK(ranges->column_count == 2 && ranges->category_count == 3)) return;
  CHECK_TEXT(ranges->columns[0].column, "parameters");
  CHECK(ranges->columns[0].low == 1e6 && ranges->columns[0].high == 32e6);  // not the row held out
  CHECK(ranges->columns[1].low == 1e8 && ranges->columns[1].high == 8e8);
  const struct fit_category *w2a2 = category_of(ranges, "w2a2"), *none = category_of(ranges, "none");
  CHECK(w2a2->rows == 8 && w2a2->own && w2a2->range_count == 2 && w2a2->ranges[0].high == 2e6);
  CHECK(none->rows == 24 && !none->own && !category_of(ranges, "w3a3")->column);
}

static const struct fit_options few = {.bootstrap = 60, .starts = 100, .threads = 1, .holdout = "N > 1e8"};

static void ranges_of_a_fit(void) {
  struct law law;
  struct table table;
  struct fit_result result, read = {0};
  struct text document = {0}, again = {0};
  struct error error = {0};
  make_formats(&table);
  if (!load_law(&law, "effective-parameters") || !run_fit(&law, &table, &few, &result)) return;
  check_ranges(&result.ranges);
  struct json_writer writer = json_writer(&document, false);
  fit_result_json(&result, &writer);
  if (CHECK(fit_result_read(&read, text_string(&document), &error))) {
    check_ranges(&read.ranges);
    writer = json_writer(&again, false);
    fit_result_json(&read, &writer);
    CHECK_TEXT(text_string(&again), text_string(&document));
  }
  fit_result_free(&read);
  // of a version that did not keep them, and a damaged one
  CHECK(fit_result_read(&read, "{\"parameters\":{}}", &error) && !read.ranges.column_count);
  fit_result_free(&read);
  CHECK(!fit_result_read(&read, "{\"parameters\":{},\"ranges\":{\"columns\":{\"x\":[2,1]}}}", &error) &&
        strstr(error.text, "'x' is no range"));
  fit_result_free(&read);
  text_free(&document);
  text_free(&again);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

static struct law_input number_input(const char *name, double number) {
  return (struct law_input){name, {.kind = VALUE_NUMBER, .number = number}};
}

static void predict_at(struct arena *arena, const struct fitted_law *fitted, double n, double d, const char *format,
                       struct prediction *prediction) {
  const struct law_input inputs[] = {
      number_input("N", n), number_input("D", d), {"format", {.kind = VALUE_TEXT, .text = format}}};
  fitted_law_predict(arena, fitted, inputs, format ? 3 : 2, prediction);
}

// 3 times outside: an interval and a mark; far outside, or far from its own category's rows: neither.
static void far_outside(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  struct fitted_law fitted;
  struct arena arena = {0};
  struct prediction p;
  make_formats(&table);
  if (!load_law(&law, "effective-parameters") || !run_fit(&law, &table, &few, &result)) return;
  fitted_law_of(&arena, &law, &table, &result, false, 0, &fitted);
  predict_at(&arena, &fitted, 3e6, 2e8, "w4a4", &p);
  CHECK(p.outside_count == 0 && p.outside_most == 1 && !prediction_cannot_tell(&p) && p.law.low < p.law.high);
  predict_at(&arena, &fitted, 96e6, 2e8, "w4a4", &p);
  CHECK(p.outside_count == 1 && !prediction_cannot_tell(&p) && p.law.low < p.law.high && p.run_low < p.run_high);
  CHECK_NEAR(p.outside_most, 3, 1e-12);
  CHECK_TEXT(outside_sentence(&arena, p.outside),
             "N = 9.6e+07 lies 3 times outside the fitted range (1e+06 .. 3.2e+07)");
  CHECK(!cannot_tell_sentence(&arena, &p.law, p.outside, p.outside_count, &result));
  predict_at(&arena, &fitted, 1e12, 2e8, "w4a4", &p);
  CHECK(prediction_cannot_tell(&p) && p.law.status == COEFFICIENT_UNIDENTIFIED && isfinite(p.law.value));
  CHECK(isnan(p.law.low) && isnan(p.law.high) && isnan(p.run_low) && isnan(p.run_high));
  const char *why = cannot_tell_sentence(&arena, &p.law, p.outside, p.outside_count, &result);
  CHECK(why && strstr(why, "these runs cannot tell: N = 1e+12 lies 3.12e+04 times outside") &&
        strstr(why, "what would: runs of N = 1e+11 or more"));
  // inside the rows, but 15 times beyond those of its format
  predict_at(&arena, &fitted, 30e6, 2e8, "w2a2", &p);
  CHECK_NEAR(p.outside_most, 15, 1e-12);
  if (!CHECK(prediction_cannot_tell(&p) && p.outside_count == 1)) return;
  CHECK_TEXT(p.outside[0].category, "w2a2");
  CHECK(strstr(outside_sentence(&arena, p.outside), "15 times outside the range fitted for format = w2a2"));
  // a format's own rows are not what is left farther
  predict_at(&arena, &fitted, 3e6, 4e7, "w2a2", &p);
  CHECK(p.outside_count == 2 && !prediction_cannot_tell(&p));
  predict_at(&arena, &fitted, 3e6, 2e8, "w5a5", &p);
  if (!CHECK(p.missing && p.outside_count == 1 && p.outside[0].unseen && isinf(p.outside_most))) return;
  CHECK_TEXT(outside_sentence(&arena, p.outside), "no fitted row has format = w5a5");
  arena_free(&arena);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

// Rows of one law with D bound to N, or of one D.
static void make_narrow(struct table *table, double tokens, double per_parameter, double noise) {
  struct text text = {0};
  text_add(&text, "N,D,loss\n");
  for (int i = 0; i < 12; i++) {
    double n = 1e7 * pow(1.7, i), d = tokens + per_parameter * n;
    double loss = 1.7 + 400 / pow(n, 0.34) + 900 / pow(d, 0.31);
    text_format(&text, "%.17g,%.17g,%.17g\n", n, d, loss * (1 + noise * sin(12.9898 * i * i)));
  }
  CHECK(parse_table(table, text_string(&text)));
  text_free(&text);
}

// D = 20 N: E, the powers of N and those of D trade; along the line the prediction is known, off it it is not.
static void not_determined(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  struct fitted_law fitted;
  struct arena arena = {0};
  struct prediction on, off;
  make_narrow(&table, 0, 20, 0.002);
  if (!load_law(&law, "chinchilla") ||
      !run_fit(&law, &table, &(struct fit_options){.bootstrap = 100, .threads = 2}, &result))
    return;
  CHECK(find_coefficient(&result, "alpha")->status != COEFFICIENT_FITTED && result.open_count > 0);
  fitted_law_of(&arena, &law, &table, &result, false, 0, &fitted);
  CHECK(fitted.open_count == result.open_count);
  predict_at(&arena, &fitted, 1e8, 2e9, NULL, &on);
  CHECK(on.law.status == COEFFICIENT_FITTED && on.law.low < on.law.high && !on.law.hangs_on);
  CHECK_NEAR(on.law.value, 1.7 + 400 / pow(1e8, 0.34) + 900 / pow(2e9, 0.31), 0.01);
  predict_at(&arena, &fitted, 1e7, 6e10, NULL, &off);  // both within their ranges
  CHECK(off.outside_count == 0);
  // which of the powers takes all is chance: open where it leads nowhere, else as wide as both ends, and it says so
  double truth = 1.7 + 400 / pow(1e7, 0.34) + 900 / pow(6e10, 0.31);
  bool open = isnan(off.law.low) || isnan(off.law.high);
  CHECK(open == (off.law.status == COEFFICIENT_ONE_SIDED || off.law.status == COEFFICIENT_UNIDENTIFIED));
  CHECK(off.law.hangs_on && hangs_on_sentence(&arena, &off.law));
  CHECK(open || off.law.high - off.law.low > 2);
  CHECK(!(off.law.low > truth) && !(off.law.high < truth));
  CHECK(isnan(off.law.low) == isnan(off.run_low) || off.law.status == COEFFICIENT_UNIDENTIFIED);
  // the same rows with the exponents held: nothing is open
  fit_result_free(&result);
  const struct fit_fix fixes[] = {{"alpha", 0.34}, {"beta", 0.31}, {"A", 400}};
  if (!run_fit(&law, &table, &(struct fit_options){.bootstrap = 100, .threads = 2, .fixes = fixes, .fix_count = 3},
               &result))
    return;
  fitted_law_of(&arena, &law, &table, &result, false, 0, &fitted);
  predict_at(&arena, &fitted, 1e7, 6e10, NULL, &off);
  CHECK(off.law.status == COEFFICIENT_FITTED && off.law.low < off.law.high);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
  arena_free(&arena);
}

// Of one D, without noise, no profile can be walked: the column says that nothing is known away from it.
static void one_value(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  struct fitted_law fitted;
  struct arena arena = {0};
  struct prediction at, away;
  make_narrow(&table, 1e9, 0, 0);
  if (!load_law(&law, "chinchilla") ||
      !run_fit(&law, &table, &(struct fit_options){.bootstrap = 50, .threads = 2}, &result))
    return;
  fitted_law_of(&arena, &law, &table, &result, false, 0, &fitted);
  predict_at(&arena, &fitted, 1e8, 1e9, NULL, &at);
  predict_at(&arena, &fitted, 1e8, 2e9, NULL, &away);
  CHECK(!prediction_cannot_tell(&at) && at.law.status == COEFFICIENT_FITTED);
  CHECK(prediction_cannot_tell(&away) && away.outside_count == 1 && away.outside[0].open);
  CHECK(isnan(away.law.low) && isnan(away.run_high));
  for (size_t i = 0; i < result.derived_count; i++) CHECK(result.derived[i].status == COEFFICIENT_UNIDENTIFIED);
  // D's term is given: then the law is known away from it as well
  fit_result_free(&result);
  const struct fit_fix fixes[] = {{"B", 900}, {"beta", 0.31}};
  if (!run_fit(&law, &table, &(struct fit_options){.bootstrap = 50, .threads = 2, .fixes = fixes, .fix_count = 2},
               &result))
    return;
  fitted_law_of(&arena, &law, &table, &result, false, 0, &fitted);
  predict_at(&arena, &fitted, 1e8, 2e9, NULL, &away);
  CHECK(!prediction_cannot_tell(&away) && !away.outside[0].open);
  CHECK_NEAR(away.law.value, 1.7 + 400 / pow(1e8, 0.34) + 900 / pow(2e9, 0.31), 1e-6);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
  arena_free(&arena);
}

static const struct fit_derived *derived_named(const struct fit_result *result, const char *name, size_t place) {
  size_t found = 0;
  for (size_t i = 0; i < result->derived_count; i++)
    if (strncmp(result->derived[i].name, name, strlen(name)) == 0 && found++ == place) return &result->derived[i];
  check_fail(__FILE__, __LINE__, name);
  return &result->derived[0];
}

// Compute-optimal quantities at 1, 10 and 100 times the largest compute: each as far outside as the farthest of
// compute, size and tokens there.
static void derived(void) {
  static const double multiples[] = {1, 10, 100};
  struct law law;
  struct table table;
  struct fit_result result;
  struct arena arena = {0};
  make_formats(&table);
  if (!load_law(&law, "chinchilla") ||
      !run_fit(&law, &table, &(struct fit_options){.bootstrap = 60, .threads = 2, .where = "format == 'none'"},
               &result))
    return;
  CHECK(isnan(derived_named(&result, "a", 0)->outside) &&
        !derived_outside_sentence(&arena, derived_named(&result, "a", 0)));
  for (size_t place = 0; place < 3; place++) {
    const struct fit_derived *n = derived_named(&result, "parameters_optimal", place),
                             *d = derived_named(&result, "tokens_optimal", place),
                             *l = derived_named(&result, "loss_optimal", place);
    double factor = fmax(multiples[place], fmax(n->value / 32e6, d->value / 8e8));
    CHECK(n->value / 32e6 < multiples[place] && factor > 1);
    const struct fit_derived *const all[] = {n, d, l};
    for (size_t i = 0; i < 3; i++) {
      const char *mark = derived_outside_sentence(&arena, all[i]);
      CHECK_NEAR(all[i]->outside, factor, 1e-12);
      CHECK_TEXT(all[i]->outside_of, factor > multiples[place] ? "tokens" : "flops");
      CHECK(mark && (strstr(mark, "these runs cannot tell") != NULL) == (factor > 10));
      if (factor > 10)
        CHECK(isnan(all[i]->low) && isnan(all[i]->se) && all[i]->status == COEFFICIENT_UNIDENTIFIED &&
              isfinite(all[i]->value));
      else
        CHECK(all[i]->low < all[i]->high && all[i]->status == COEFFICIENT_FITTED);
    }
  }
  CHECK(derived_named(&result, "loss_optimal", 0)->outside < 10 && derived_held_back_sentence(&arena, &result));
  arena_free(&arena);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

// Errors by hand: of three observed rows one has no prediction.
static void scores(void) {
  const struct prediction predictions[] = {{.law = {.value = 2}, .run_low = 1.9, .run_high = 2.1},
                                           {.law = {.value = 3.3}, .run_low = 3.2, .run_high = 3.4},
                                           {.law = {.value = NAN}, .run_low = NAN, .run_high = NAN},
                                           {.law = {.value = 5}, .run_low = NAN, .run_high = NAN}};
  const double observed[] = {2.05, 3, 4, NAN};
  struct prediction_score score = {0};
  predictions_score(predictions, observed, 4, &score);
  CHECK(score.rows == 2 && score.judged == 2 && score.held == 1);
  CHECK_NEAR(score.mean_absolute, (0.05 + 0.3) / 2, 1e-12);
  CHECK_NEAR(score.mean_error, (0.05 / 2.05 + 0.1) / 2, 1e-12);
  CHECK_NEAR(score.rms, sqrt((0.05 / 2.05 * 0.05 / 2.05 + 0.01) / 2), 1e-12);
  CHECK_NEAR(score.largest, 0.1, 1e-12);
  CHECK_NEAR(score.r_squared, 1 - (0.0025 + 0.09) / (2 * 0.475 * 0.475), 1e-12);
}

int main(void) {
  fitting_start();
  RUN(factors);
  RUN(ranges_of_a_fit);
  RUN(far_outside);
  RUN(not_determined);
  RUN(one_value);
  RUN(derived);
  RUN(scores);
  return check_end();
}
