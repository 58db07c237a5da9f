// Laws that are linear in many nearly collinear coefficients: one solution is the minimum. The reference is a QR
// decomposition by modified Gram-Schmidt, twice, in long double.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

enum { ROWS = 300, MOST = 100 };

struct form {
  const char *name, *term;  // of coefficient %d and column %d; NULL: powers of ln z
  int count;
  double apart;  // columns differ by so much of themselves
  const char *residual, *objective, *bounds;
};

static double column_of(const struct form *form, size_t row, int k) {
  double shared[2], own[2];
  random_normal_pair(11, 1, 0, row, shared);
  random_normal_pair(11, 2, (uint64_t)k, row, own);
  return form->term ? 3 + shared[0] + form->apart * own[0] : pow(14 + 8 * random_uniform(11, 3, 0, row), k + 1);
}

static double outcome_of(const struct form *form, size_t row) {
  double sum = 1, noise[2];
  random_normal_pair(11, 4, 0, row, noise);
  for (int k = 0; k < form->count; k++)
    sum += (0.2 + sin(1.7 * k) * sin(1.7 * k)) * column_of(form, row, k) * (form->term ? 1 : pow(18, -k - 1));
  return sum + 0.01 * noise[0];
}

static void make(const struct form *form, struct law *law, struct table *table) {
  struct text text = {0};
  char name[32];
  text_format(&text, "law: form\npredicts: y\nresidual: plain\nobjective: %s\nformula: \"E", form->objective);
  for (int k = 0; k < form->count; k++)
    form->term ? text_format(&text, " + a%d * x%d", k, k) : text_format(&text, " + a%d * log(z) ^ %d", k, k + 1);
  text_format(&text, "\"\nparameters:\n  E: {starts: [1]}\n");
  for (int k = 0; k < form->count; k++)
    text_format(&text, "  a%d: {starts: [1]%s}\n", k, form->bounds ? form->bounds : "");
  parse_law(law, text_string(&text));
  text_free(&text);
  table_init(table, form->name, ROWS);
  for (int k = 0; k < (form->term ? form->count : 1); k++) {
    snprintf(name, sizeof name, form->term ? "x%d" : "z", k);
    size_t column = table_add_number(table, arena_string(&table->arena, name), ROLE_UNKNOWN);
    for (size_t row = 0; row < ROWS; row++)
      table->columns[column].numbers[row] = form->term ? column_of(form, row, k) : exp(column_of(form, row, 0));
  }
  size_t y = table_add_number(table, "y", ROLE_UNKNOWN);
  for (size_t row = 0; row < ROWS; row++) table->columns[y].numbers[row] = outcome_of(form, row);
}

// Half the sum of squares that is left of y.
static double least(const struct form *form, const struct table *table) {
  static long double columns[MOST + 1][ROWS], left[ROWS];
  long double sum = 0;
  int y = table_find(table, "y");
  for (int row = 0; row < ROWS; row++) left[row] = table->columns[y].numbers[row];
  for (int k = 0; k <= form->count; k++) {
    for (int row = 0; row < ROWS; row++)
      columns[k][row] = !k           ? 1
                        : form->term ? table->columns[k - 1].numbers[row]
                                     : powl(logl(table->columns[0].numbers[row]), k);
    long double length = 0;
    for (int pass = 0; pass < 2; pass++)
      for (int m = 0; m < k; m++) {
        long double product = 0;
        for (int row = 0; row < ROWS; row++) product += columns[m][row] * columns[k][row];
        for (int row = 0; row < ROWS; row++) columns[k][row] -= product * columns[m][row];
      }
    for (int row = 0; row < ROWS; row++) length += columns[k][row] * columns[k][row];
    for (int row = 0; row < ROWS; row++) columns[k][row] /= sqrtl(length);
  }
  for (int pass = 0; pass < 2; pass++)
    for (int k = 0; k <= form->count; k++) {
      long double product = 0;
      for (int row = 0; row < ROWS; row++) product += columns[k][row] * left[row];
      for (int row = 0; row < ROWS; row++) left[row] -= product * columns[k][row];
    }
  for (int row = 0; row < ROWS; row++) sum += left[row] * left[row];
  return (double)sum / 2;
}

static void fit_form(const struct form *form, const struct fit_options *options, struct fit_result *result) {
  struct law law;
  struct table table;
  make(form, &law, &table);
  if (run_fit(&law, &table, options, result) && !form->bounds) {
    double lowest = least(form, &table);
    if (!CHECK_NEAR(result->objective / lowest, 1, 1e-9)) printf("# %.15g, not %.15g\n", result->objective, lowest);
    CHECK(result->stationary && result->starts == 1);
  }
  law_free(&law);
  table_free(&table);
}

static void right_minimum(void) {
  static const struct form forms[] = {
      {"20 columns, 1e-3 apart", "x", 20, 1e-3, "plain", "least-squares", NULL},
      {"20 columns, 1e-6 apart", "x", 20, 1e-6, "plain", "least-squares", NULL},
      {"40 columns, 1e-7 apart", "x", 40, 1e-7, "plain", "least-squares", NULL},
      {"100 columns, 1e-5 apart", "x", 100, 1e-5, "plain", "least-squares", NULL},
      {"four powers of a logarithm", NULL, 4, 0, "plain", "least-squares", NULL},
      {"six powers of a logarithm", NULL, 6, 0, "plain", "least-squares", NULL},
  };
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    struct fit_result result;
    fit_form(&forms[i], &(struct fit_options){.bootstrap = 0, .bare = true}, &result);
    fit_result_free(&result);
  }
}

// Coefficients of columns that are nearly alike have wide intervals, not none; what stands apart has a narrow one.
static void whole_diagnosis(void) {
  struct form form = {"20 columns", "x", 20, 1e-6, "plain", "least-squares", NULL};
  struct fit_result result;
  fit_form(&form, &(struct fit_options){.bootstrap = 20}, &result);
  const struct coefficient *wide = find_coefficient(&result, "a3"), *sum = find_coefficient(&result, "E");
  // each column is 1e-6 from the others: an error of 0.01 / sqrt(300) / 1e-6, some 600, whatever the start
  CHECK(wide && wide->high - wide->low > 500);
  CHECK(sum && sum->high - sum->low < 0.1);
  fit_result_free(&result);
}

// With bounds, no coefficient that moves has a slope, and none at its bound is pulled off it.
static void within_bounds(void) {
  struct form form = {"30 columns", "x", 30, 1e-4, "plain", "least-squares", ", low: 0, high: 2"};
  struct law law;
  struct table table;
  struct fit_result result;
  int held = 0;
  make(&form, &law, &table);
  if (run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .bare = true}, &result)) {
    int y = table_find(&table, "y");
    for (int k = 0; k < form.count; k++) {
      double slope = 0, size = 0, value = result.coefficients[k + 1].value;
      for (size_t row = 0; row < ROWS; row++) {
        double difference = result.table[row].predicted - table.columns[y].numbers[row];
        slope += difference * table.columns[k].numbers[row];
        size += fabs(difference * table.columns[k].numbers[row]);
      }
      slope /= size;
      held += value == 0 || value == 2;
      CHECK(value >= 0 && value <= 2 && (value == 0 ? slope > -1e-7 : value == 2 ? slope < 1e-7 : fabs(slope) < 1e-7));
    }
    CHECK(held >= 10 && held < form.count);
  }
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
}

int main(void) {
  fitting_start();
  RUN(right_minimum);
  RUN(whole_diagnosis);
  RUN(within_bounds);
  return check_end();
}
