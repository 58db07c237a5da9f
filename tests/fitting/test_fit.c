// Tests of fits: known answers, honesty about what cannot be fitted, the same result whatever the threads.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

// A grid of sizes and durations with losses of a chinchilla law, `noise` the standard deviation of ln(loss).
static void make_grid(struct table *table, const double truth[5], double noise, uint64_t seed) {
  table_init(table, "grid", 40);
  size_t n = table_add_number(table, "parameters", ROLE_UNKNOWN), d = table_add_number(table, "tokens", ROLE_UNKNOWN);
  size_t loss = table_add_number(table, "loss", ROLE_UNKNOWN);
  for (size_t row = 0; row < 40; row++) {
    double size = 1e6 * pow(4, (double)(row / 8)), tokens = 2e7 * pow(3, (double)(row % 8)), normal[2];
    random_normal_pair(seed, 1, 0, row, normal);
    table->columns[n].numbers[row] = size;
    table->columns[d].numbers[row] = tokens;
    table->columns[loss].numbers[row] =
        (truth[0] + truth[1] * pow(size, -truth[3]) + truth[2] * pow(tokens, -truth[4])) * exp(noise * normal[0]);
  }
}

static const double truth[5] = {1.7, 400, 900, 0.34, 0.31};
static const char *const names[5] = {"E", "A", "B", "alpha", "beta"};

static void exact_recovery(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  make_grid(&table, truth, 0, 0);
  if (load_law(&law, "chinchilla") && run_fit(&law, &table, &(struct fit_options){.bootstrap = 0}, &result)) {
    for (int i = 0; i < 5; i++) CHECK_NEAR(value_of(&result, names[i]) / truth[i], 1, 1e-7);
    CHECK(result.objective < 1e-20 && result.stationary && result.residual_rms < 1e-10);
    CHECK_NEAR(derived_of(&result, "a"), 0.31 / 0.65, 1e-7);
    double g = pow(0.34 * 400 / (0.31 * 900), 1 / 0.65);
    // the largest run takes 6 * 2.56e8 * 4.374e10 FLOPs
    CHECK_NEAR(derived_of(&result, "parameters_optimal[flops=6.7e+20]") / (g * pow(6.7e20 / 6, 0.31 / 0.65)), 1, 1e-6);
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

static void noisy_recovery(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  make_grid(&table, truth, 0.003, 5);
  if (load_law(&law, "chinchilla") &&
      run_fit(&law, &table, &(struct fit_options){.bootstrap = 300, .confidence = 0.99, .seed = 1}, &result)) {
    for (int i = 0; i < 5; i++) {
      const struct coefficient *c = find_coefficient(&result, names[i]);
      if (!CHECK(c->low <= truth[i] && truth[i] <= c->high && c->se > 0))
        printf("# %s %g in %g .. %g\n", names[i], truth[i], c->low, c->high);
    }
    CHECK_NEAR(result.residual_rms, 0.003, 0.0008);
    CHECK(result.starts == 4500 && result.starts_agreeing >= 100);
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

static void threads_agree(void) {
  struct law law;
  struct table table;
  struct text documents[3] = {0};
  make_grid(&table, truth, 0.01, 2);
  if (load_law(&law, "chinchilla")) {
    for (int i = 0; i < 3; i++) {
      struct fit_result result;
      struct json_writer writer = json_writer(&documents[i], false);
      if (run_fit(&law, &table,
                  &(struct fit_options){.bootstrap = 60,
                                        .seed = 3,
                                        .threads = 1 + 2 * i,
                                        .starts = 300,
                                        .profile_all = true,
                                        .leave_out = (const char *const[]){"parameters"},
                                        .leave_out_count = 1},
                  &result))
        fit_result_json(&result, &writer);
      fit_result_free(&result);
    }
    CHECK(documents[0].length > 1000);
    CHECK_TEXT(text_string(&documents[0]), text_string(&documents[1]));
    CHECK_TEXT(text_string(&documents[0]), text_string(&documents[2]));
  }
  for (int i = 0; i < 3; i++) text_free(&documents[i]);
  law_free(&law);
  table_free(&table);
}

static const char line_law[] =
    "law: line\nformula: a + b * x\npredicts: y\nresidual: plain\nobjective: least-squares\n"
    "parameters: {a: {starts: [0, 5]}, b: {starts: [-1, 1]}}\nderived: {ratio: a / b}\n";

// Least squares has a closed form; so have the standard errors, which the bootstrap must meet.
static void linear_regression(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  enum { ROWS = 60 };
  make_line(&table, ROWS, 1);
  double sx = 0, sy = 0, sxx = 0, sxy = 0, squares = 0;
  for (size_t row = 0; row < ROWS; row++) {
    double x = table.columns[0].numbers[row], y = table.columns[1].numbers[row];
    sx += x / ROWS;
    sy += y / ROWS;
    sxx += x * x / ROWS;
    sxy += x * y / ROWS;
  }
  double b = (sxy - sx * sy) / (sxx - sx * sx), a = sy - b * sx;
  for (size_t row = 0; row < ROWS; row++)
    squares += pow(table.columns[1].numbers[row] - a - b * table.columns[0].numbers[row], 2);
  if (parse_law(&law, line_law) &&
      run_fit(&law, &table, &(struct fit_options){.bootstrap = 2000, .seed = 4}, &result)) {
    CHECK_NEAR(value_of(&result, "a"), a, 1e-9);
    CHECK_NEAR(value_of(&result, "b"), b, 1e-10);
    CHECK_NEAR(result.objective, squares / 2, 1e-10);
    double se = sqrt(squares / (ROWS - 2) / ROWS / (sxx - sx * sx));
    CHECK(fabs(find_coefficient(&result, "b")->se / se - 1) < 0.2);
    CHECK_NEAR(derived_of(&result, "ratio"), a / b, 1e-8);
    CHECK_NEAR(result.trust_region_objective, squares / 2, 1e-8);
    CHECK_NEAR(result.bfgs_objective, squares / 2, 1e-6);
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

// Points of one run are resampled together: copies of a point tell nothing new.
static void groups(void) {
  struct law law;
  struct table single, copied;
  struct fit_result one, together, apart;
  make_line(&single, 40, 1);
  make_line(&copied, 40, 4);
  if (parse_law(&law, line_law) && run_fit(&law, &single, &(struct fit_options){.bootstrap = 1000}, &one) &&
      run_fit(&law, &copied, &(struct fit_options){.bootstrap = 1000, .group = "run"}, &together) &&
      run_fit(&law, &copied, &(struct fit_options){.bootstrap = 1000, .group = "none"}, &apart)) {
    double se = find_coefficient(&one, "b")->se;
    CHECK(fabs(find_coefficient(&together, "b")->se / se - 1) < 0.02);
    CHECK(fabs(find_coefficient(&apart, "b")->se / se - 0.5) < 0.1);
  }
  fit_result_free(&one);
  fit_result_free(&together);
  fit_result_free(&apart);
  law_free(&law);
  table_free(&single);
  table_free(&copied);
}

// The least sum of absolute deviations of a line passes through two of the points: all pairs are tried.
// y = e + a x^p - b z in two units of a and b that differ by 1e9: the same objective, the coefficients in proportion;
// losses are negative, and no start lists their sizes.
static void units_do_not_matter(void) {
  static const char *const laws[] = {
      "law: signed\nformula: \"e + a * x^p - b * z\"\npredicts: y\nresidual: plain\nobjective: least-squares\n"
      "parameters:\n  e: {starts: [0]}\n  a: {starts: [1]}\n  b: {starts: [1]}\n  p: {low: -3, high: 0, starts: [-2, -1]}",
      "law: scaled\nformula: \"e + 1e-9 * a * x^p - 1e9 * b * z\"\npredicts: y\nresidual: plain\n"
      "objective: least-squares\nparameters:\n  e: {starts: [0]}\n  a: {starts: [1]}\n  b: {starts: [1]}\n"
      "  p: {low: -3, high: 0, starts: [-2, -1]}"};
  struct table table;
  struct fit_result results[2] = {0};
  table_init(&table, "signed", 60);
  size_t x = table_add_number(&table, "x", ROLE_UNKNOWN), z = table_add_number(&table, "z", ROLE_UNKNOWN),
         y = table_add_number(&table, "y", ROLE_UNKNOWN);
  for (size_t row = 0; row < table.row_count; row++) {
    double normal[2], size = 1 + (double)row, other = (double)(row * 7 % 11);
    random_normal_pair(5, 1, 0, row, normal);
    table.columns[x].numbers[row] = size;
    table.columns[z].numbers[row] = other;
    table.columns[y].numbers[row] = -30000 + 12000 * pow(size, -0.4) - 700 * other + normal[0];
  }
  for (int i = 0; i < 2; i++) {
    struct law law;
    if (parse_law(&law, laws[i]) &&
        run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .bare = true}, &results[i])) {
      CHECK(results[i].stationary && results[i].starts_agreeing >= 2);
      CHECK(results[i].starts_elsewhere == 0 && results[i].starts_not_stationary == 0);
    }
    law_free(&law);
  }
  CHECK_NEAR(value_of(&results[0], "p"), -0.4, 1e-3);
  CHECK_NEAR(results[1].objective / results[0].objective, 1, 1e-10);
  CHECK_NEAR(value_of(&results[1], "a") * 1e-9 / value_of(&results[0], "a"), 1, 1e-6);
  CHECK_NEAR(value_of(&results[1], "b") * 1e9 / value_of(&results[0], "b"), 1, 1e-6);
  for (int i = 0; i < 2; i++) fit_result_free(&results[i]);
  table_free(&table);
}

static void least_absolute_deviations(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  make_line(&table, 25, 1);
  table.columns[1].numbers[3] += 30;  // an outlier
  const double *x = table.columns[0].numbers, *y = table.columns[1].numbers;
  double best = INFINITY;
  for (int i = 0; i < 25; i++)
    for (int j = 0; j < i; j++) {
      double b = (y[i] - y[j]) / (x[i] - x[j]), a = y[i] - b * x[i], sum = 0;
      for (int k = 0; k < 25; k++) sum += fabs(y[k] - a - b * x[k]);
      best = fmin(best, sum);
    }
  if (parse_law(&law, line_law) &&
      run_fit(&law, &table, &(struct fit_options){.objective = "lad", .bootstrap = 0}, &result)) {
    CHECK(result.objective >= best * (1 - 1e-12) && result.objective <= best * (1 + 1e-6));
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

static void weights_count(void) {
  struct law law;
  struct table table, twice;
  struct fit_result weighted, repeated;
  const char *text = "x,y,w\n0,1,2\n1,2,1\n2,2,1\n3,5,2\n";
  if (parse_law(&law, line_law) && parse_table(&table, text) &&
      parse_table(&twice, "x,y\n0,1\n0,1\n1,2\n2,2\n3,5\n3,5\n") &&
      run_fit(&law, &table, &(struct fit_options){.weight = "w", .bootstrap = 0}, &weighted) &&
      run_fit(&law, &twice, &(struct fit_options){.bootstrap = 0}, &repeated)) {
    CHECK_NEAR(value_of(&weighted, "b"), value_of(&repeated, "b"), 1e-12);
    CHECK_NEAR(weighted.objective, repeated.objective, 1e-12);
  }
  fit_result_free(&weighted);
  fit_result_free(&repeated);
  table_free(&table);
  table_free(&twice);
  law_free(&law);
}

static const char *refusal(const char *law_name, const char *csv, const struct fit_options *options) {
  static struct error error;
  struct law law;
  struct table table;
  struct fit_result result;
  error = (struct error){0};
  if (load_law(&law, law_name) && parse_table(&table, csv)) {
    bool fine = fit_run(&law, &table, options, &result, &error);
    CHECK(fine == !error.code);
    fit_result_free(&result);
    table_free(&table);
  }
  law_free(&law);
  return error.code ? error.text : "no error";
}

#define ROWS_8 "1e6,1e7,4\n2e6,1e7,3.8\n4e6,1e7,3.7\n1e6,4e7,3.6\n2e6,4e7,3.4\n4e6,4e7,3.2\n1e6,2e8,3.3\n2e6,2e8,3\n"

static void refuses_honestly(void) {
  struct fit_options none = {.bootstrap = 0};
  CHECK_TEXT(refusal("chinchilla", "N,tokns,loss\n" ROWS_8, &none),
             "test.csv: the law chinchilla needs the column, but there is no column 'tokens'; did you mean 'tokns'? "
             "(--map tokens=COLUMN gives it another)");
  CHECK_TEXT(refusal("chinchilla", "N,D,perplexity\n" ROWS_8, &none),
             "test.csv: the law predicts it, but there is no column 'loss'; there are: parameters, tokens, perplexity");
  CHECK_TEXT(refusal("chinchilla", "N,D,loss\n1,2,3\n2,3,4\n", &none),
             "test.csv: 2 rows cannot determine 5 parameters of the law chinchilla; at least 6 are needed");
  CHECK_TEXT(refusal("chinchilla", "N,D,loss\n" ROWS_8, &(struct fit_options){.where = "N > 5e6"}),
             "test.csv: 0 rows cannot determine 5 parameters of the law chinchilla; at least 6 are needed");
  CHECK_TEXT(refusal("chinchilla", "N,D,loss\n1e6,1e7,0\n1e6,1e8,-3\n1e6,1e8,x\n", &none),
             "test.csv: column 'loss' holds texts, not numbers");
  CHECK(strstr(refusal("chinchilla", "N,D,loss\n1e6,1e7,0\n1e6,1e8,-3\n1e6,1e8,\n", &none), "--residual plain"));
  CHECK_TEXT(refusal("effective-parameters",
                     "format,N,D,loss\nw4,1e6,1e7,4\nw4,2e6,1e7,3.8\nw2,1e6,2e7,3.9\nw2,2e6,2e7,3.7\n", &none),
             "test.csv: no row has format = 'none', 'BF16', 'bf16', 'FP16', 'fp16', 'FP32', 'fp32', 'float32', "
             "'bfloat16', 'dense', to which eff is relative; add such runs, or name another category with --baseline "
             "format=CATEGORY, or hold all other parameters (--fix)");
  CHECK(strstr(refusal("chinchilla", "N,D,loss\n" ROWS_8,
                       &(struct fit_options){.fixes = &(struct fit_fix){"Z", 1}, .fix_count = 1}),
               "has no parameter 'Z'"));
  CHECK(strstr(refusal("chinchilla", "N,D,loss\n" ROWS_8, &(struct fit_options){.objective = "mse"}),
               "objective 'mse' is none of"));
  CHECK(strstr(refusal("chinchilla", "N,D,loss\n" ROWS_8, &(struct fit_options){.holdout = "loss <"}),
               "condition 'loss <'"));
  CHECK(strstr(refusal("chinchilla", "N,D,loss\n" ROWS_8, &(struct fit_options){.group = "run"}), "no column 'run'"));
}

static void lists_exclusions(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  if (load_law(&law, "chinchilla") &&
      parse_table(&table,
                  "run_id,N,D,loss\na,1e6,1e7,4\nb,2e6,1e7,3.8\nc,4e6,1e7,3.7\nd,1e6,4e7,3.6\ne,2e6,4e7,3.4\n"
                  "f,4e6,4e7,3.2\ng,1e6,2e8,3.3\nh,2e6,2e8,3\ni,4e6,,3\nj,4e6,2e8,0\nk,4e6,2e8,-1\n"
                  "l,4e6,2e8,inf\nm,4e6,4e8,2.9\nn,0,2e8,3\no,-4e6,2e8,3\n") &&
      run_fit(&law, &table, &(struct fit_options){.holdout = "D > 3e8", .bootstrap = 0}, &result)) {
    CHECK(result.rows == 8 && result.excluded_count == 6 && result.held_out == 1);
    CHECK_TEXT(result.exclusions[0].row, "i");
    CHECK_TEXT(result.exclusions[0].reason, "tokens is missing");
    CHECK_TEXT(result.exclusions[1].reason, "loss is zero, and its logarithm is fitted");
    CHECK_TEXT(result.exclusions[2].reason, "loss is negative, and its logarithm is fitted");
    CHECK_TEXT(result.exclusions[3].reason, "loss is not finite");
    CHECK_TEXT(result.exclusions[4].reason, "parameters is 0, where the law gives no finite loss");
    CHECK_TEXT(result.exclusions[5].reason, "parameters is -4e+06, where the law gives no finite loss");
    const struct fit_row *last = &result.table[result.table_count - 1];
    CHECK(last->use == ROW_HELD_OUT);
    CHECK_NEAR(result.holdout_error, fabs(last->predicted / 2.9 - 1), 1e-14);
    fit_result_free(&result);
  }
  table_free(&table);
  law_free(&law);
}

// What lies at its bound, and what the data cannot tell, is said.
static void boundaries_and_directions(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  const double without_e[5] = {0, 400, 900, 0.2, 0.21};
  make_grid(&table, without_e, 0.002, 8);
  for (size_t row = 0; row < 40; row++) table.columns[2].numbers[row] -= 0.4;  // less than a sum of powers can be
  if (load_law(&law, "chinchilla") && run_fit(&law, &table, &(struct fit_options){.bootstrap = 0}, &result)) {
    CHECK(find_coefficient(&result, "E")->status == COEFFICIENT_AT_LOW && value_of(&result, "E") < 1e-6);
    CHECK(find_coefficient(&result, "E")->note &&
          strstr(find_coefficient(&result, "E")->note, "at bound 0: the data ask for a value below it"));
    CHECK(isnan(find_coefficient(&result, "E")->low) && isnan(find_coefficient(&result, "E")->se));
    fit_result_free(&result);
  }
  table_free(&table);
  make_grid(&table, truth, 0.002, 8);
  for (size_t row = 0; row < 40; row++) {  // one duration: E, B, beta are one number
    table.columns[2].numbers[row] += truth[2] * (pow(1e9, -truth[4]) - pow(table.columns[1].numbers[row], -truth[4]));
    table.columns[1].numbers[row] = 1e9;
  }
  if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0}, &result)) {
    enum coefficient_status e = find_coefficient(&result, "E")->status, b = find_coefficient(&result, "B")->status;
    CHECK(e == COEFFICIENT_UNIDENTIFIED || b == COEFFICIENT_UNIDENTIFIED);
    CHECK(result.warning_count > 0);
    fit_result_free(&result);
  }
  table_free(&table);
  law_free(&law);
}

// Eff factors of formats, a format that only held-out rows have, a fixed and a freed parameter, tied exponents.
static void categories_and_fixes(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  static const struct {
    const char *format;
    double eff;
  } formats[] = {{"BF16", 1}, {"w4a4", 0.7}, {"2:4+int4", 0.3}, {"w1", 0.05}};
  table_init(&table, "formats", 4 * 20);
  size_t n = table_add_number(&table, "parameters", ROLE_UNKNOWN), d = table_add_number(&table, "tokens", ROLE_UNKNOWN);
  size_t loss = table_add_number(&table, "loss", ROLE_UNKNOWN),
         format = table_add_category(&table, "format", ROLE_UNKNOWN);
  for (size_t row = 0; row < 80; row++) {
    size_t k = row % 4, point = row / 4;
    double size = 1e6 * pow(4, (double)(point / 4)), tokens = 2e7 * pow(4, (double)(point % 4));
    table.columns[n].numbers[row] = size;
    table.columns[d].numbers[row] = tokens;
    table.columns[loss].numbers[row] = 1.7 + 400 * pow(size * formats[k].eff, -0.34) + 900 * pow(tokens, -0.31);
    table_set_category(&table, format, row, formats[k].format);
  }
  if (load_law(&law, "effective-parameters") &&
      run_fit(&law, &table, &(struct fit_options){.holdout = "format == 'w1'", .bootstrap = 20}, &result)) {
    CHECK_NEAR(value_of(&result, "eff[w4a4]"), 0.7, 1e-6);
    CHECK_NEAR(value_of(&result, "eff[2:4+int4]"), 0.3, 1e-6);
    CHECK(find_coefficient(&result, "eff[BF16]")->status == COEFFICIENT_BASELINE);
    CHECK(find_coefficient(&result, "eff[w1]")->status == COEFFICIENT_UNFITTED && isnan(value_of(&result, "eff[w1]")));
    CHECK(isnan(result.holdout_error) && result.held_out == 20);
    // predictions from the coefficients alone, one point at a time, and back from the document
    struct text text = {0};
    struct fit_result read;
    struct json_writer writer = json_writer(&text, true);
    struct error error = {0};
    fit_result_json(&result, &writer);
    if (CHECK(fit_result_read(&read, text_string(&text), &error)) &&
        CHECK(read.coefficient_count == result.coefficient_count)) {
      struct law_input inputs[] = {{"N", {.kind = VALUE_NUMBER, .number = 3e7}},
                                   {"tokens", {.kind = VALUE_NUMBER, .number = 1e9}},
                                   {"format", {.kind = VALUE_TEXT, .text = "2:4+int4"}}};
      double expected = 1.7 + 400 * pow(3e7 * 0.3, -0.34) + 900 * pow(1e9, -0.31);
      CHECK_NEAR(law_evaluate(&law, read.coefficients, read.coefficient_count, inputs, 3), expected, 1e-7);
      inputs[2].value.text = "w9";
      CHECK(isnan(law_evaluate(&law, read.coefficients, read.coefficient_count, inputs, 3)));
    }
    fit_result_free(&read);
    text_free(&text);
  }
  fit_result_free(&result);
  struct fit_fix fixes[] = {{"E", 1.7}, {"eff[w4a4]", 0.7}};
  if (run_fit(&law, &table,
              &(struct fit_options){.bootstrap = 0,
                                    .fixes = fixes,
                                    .fix_count = 2,
                                    .baselines = &(struct fit_baseline){"format", "w1"},
                                    .baseline_count = 1},
              &result)) {
    CHECK(find_coefficient(&result, "eff[w4a4]")->status == COEFFICIENT_FIXED);
    CHECK(find_coefficient(&result, "eff[w1]")->status == COEFFICIENT_BASELINE);
    CHECK_NEAR(value_of(&result, "E"), 1.7, 1e-15);
  }
  fit_result_free(&result);
  law_free(&law);
  if (parse_law(&law,
                "law: tied\nformula: E + A / N^alpha + B / D^beta\nresidual: log\nparameters:\n"
                "  E: {positive: true, starts: [1, 2]}\n  A: {positive: true, starts: [10, 1000]}\n"
                "  B: {positive: true, starts: [10, 1000]}\n  eta: {low: 0, starts: [0.1, 0.2]}\n"
                "  alpha: {tied: 2 * eta}\n  beta: {tied: alpha - 0.03}\n") &&
      run_fit(&law, &table, &(struct fit_options){.where = "format == 'BF16'", .bootstrap = 0}, &result)) {
    CHECK_NEAR(value_of(&result, "eta"), 0.17, 1e-7);
    CHECK_NEAR(value_of(&result, "B") / 900, 1, 1e-6);
  }
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
}

// What spreads over orders of magnitude has an interval, but no standard error that could be added to it.
static void no_error_of_many_sizes(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  if (!load_law(&law, "power-law")) return;
  table_init(&table, "made", 12);
  size_t c = table_add_number(&table, "flops", ROLE_UNKNOWN), loss = table_add_number(&table, "loss", ROLE_UNKNOWN);
  for (size_t row = 0; row < 12; row++) {
    double normal[2];
    random_normal_pair(9, 1, 0, row, normal);
    table.columns[c].numbers[row] = 1e18 * pow(3, (double)row);
    table.columns[loss].numbers[row] = (1.5 + 300 / pow(table.columns[c].numbers[row], 0.12)) * exp(0.02 * normal[0]);
  }
  const struct fit_fix e = {"E", 1.5};
  struct fit_options options = {.bootstrap = 200, .bare = true, .interval = INTERVAL_BCA};
  if (run_fit(&law, &table, &options, &result)) {
    const struct coefficient *k = find_coefficient(&result, "K"), *gamma = find_coefficient(&result, "gamma");
    if (!CHECK(k->high > 20 * k->low && k->low > 0 && isnan(k->se) && isnan(k->intervals.robust_se)))
      printf("# %g .. %g, %g, %g\n", k->low, k->high, k->se, k->intervals.robust_se);
    CHECK(gamma->se > 0 && gamma->se < gamma->high - gamma->low);
  }
  fit_result_free(&result);
  options.fixes = &e;
  options.fix_count = 1;
  if (run_fit(&law, &table, &options, &result))  // with E held it is known to a few percent
    CHECK(find_coefficient(&result, "K")->se > 0 && find_coefficient(&result, "K")->intervals.robust_se > 0);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

int main(void) {
  fitting_start();
  RUN(exact_recovery);
  RUN(noisy_recovery);
  RUN(threads_agree);
  RUN(linear_regression);
  RUN(groups);
  RUN(least_absolute_deviations);
  RUN(units_do_not_matter);
  RUN(weights_count);
  RUN(refuses_honestly);
  RUN(lists_exclusions);
  RUN(boundaries_and_directions);
  RUN(categories_and_fixes);
  RUN(no_error_of_many_sizes);
  return check_end();
}
