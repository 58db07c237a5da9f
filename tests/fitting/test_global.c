// The check on a grid: laws of many minima whose starts miss the lowest one, laws of one minimum, laws with too many
// coefficients for a grid.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

// k and -k fit nearly alike: a small term tells them apart, and between them lies a barrier.
static const char well[] =
    "law: well\nformula: \"a + (k ^ 2 - 4) * x + 0.05 * k * x ^ 2\"\npredicts: y\nresidual: plain\nobjective: "
    "least-squares\nparameters:\n  a: {starts: [0]}\n  k: {starts: [-1.5, -3]}\n";
static const char wells[] =
    "law: wells\nformula: \"a + (k ^ 2 - 4) * x + 0.05 * k * x ^ 2 + (m ^ 2 - 1) * z + 0.05 * m * z ^ 2\"\npredicts: "
    "y\nresidual: plain\nobjective: huber:0.5\nparameters:\n  a: {starts: [0]}\n  k: {starts: [-1.5, -3]}\n"
    "  m: {starts: [-0.7, -2]}\n";
static const char many[] =
    "law: many\nformula: \"a * sin(k * x + p) * exp(0 - d * x ^ g)\"\npredicts: y\nresidual: plain\nobjective: "
    "least-squares\nparameters:\n  a: {starts: [1]}\n  k: {positive: true, starts: [1]}\n  p: {starts: [0]}\n"
    "  d: {positive: true, starts: [0.2]}\n  g: {positive: true, starts: [1]}\n";

enum { ROWS = 60 };

static void make_wells(struct table *table, double k, double m) {
  table_init(table, "wells", ROWS);
  size_t x = table_add_number(table, "x", ROLE_UNKNOWN), z = table_add_number(table, "z", ROLE_UNKNOWN),
         y = table_add_number(table, "y", ROLE_UNKNOWN);
  for (size_t row = 0; row < ROWS; row++) {
    double normal[2], at = 0.2 + (double)(row % 10) / 5, to = 0.1 + (double)(row / 10) / 3;
    random_normal_pair(9, 1, 0, row, normal);
    table->columns[x].numbers[row] = at;
    table->columns[z].numbers[row] = to;
    table->columns[y].numbers[row] = 0.5 + (k * k - 4) * at + 0.05 * k * at * at + 0.02 * normal[0];
    if (m != 0) table->columns[y].numbers[row] += (m * m - 1) * to + 0.05 * m * to * to;
  }
}

// The sum of squares of the well at its best a, in closed form, over a fine row of k.
static double lowest_well(const struct table *table, double *k) {
  double best = INFINITY;
  const double *x = table->columns[0].numbers, *y = table->columns[2].numbers;
  for (double at = -4; at < 4; at += 1e-5) {
    double sum = 0, squares = 0;
    for (int i = 0; i < ROWS; i++) {
      double off = y[i] - (at * at - 4) * x[i] - 0.05 * at * x[i] * x[i];
      sum += off;
      squares += off * off;
    }
    squares = 0.5 * (squares - sum * sum / ROWS);
    if (squares < best) *k = at;
    best = fmin(best, squares);
  }
  return best;
}

static void finds_the_lower_one(void) {
  struct law law;
  struct table table;
  struct fit_result plain, checked;
  double k = 0;
  if (!parse_law(&law, well)) return;
  make_wells(&table, 2.1, 0);
  double lowest = lowest_well(&table, &k);
  struct fit_options options = {.bootstrap = 0, .bare = true};
  bool fine = run_fit(&law, &table, &options, &plain);
  options.global_check = true;
  fine = run_fit(&law, &table, &options, &checked) && fine;
  if (fine && CHECK(checked.global_count == 1 && plain.global_count == 0)) {
    const struct fit_global *global = checked.globals;
    CHECK(plain.objective > 2 * lowest && value_of(&plain, "k") < 0);  // both starts end elsewhere
    CHECK_NEAR(checked.objective, lowest, 1e-6 * lowest);
    CHECK_NEAR(value_of(&checked, "k"), k, 1e-4);
    CHECK(global->lower && global->axis_count == 1 && global->points == 257 && global->followed == 2);
    CHECK_TEXT(global->axes[0].name, "k");
    CHECK_NEAR(global->axes[0].low, -6, 1e-9);
    CHECK_NEAR(global->axes[0].high, 6, 1e-9);
    CHECK_NEAR(global->before, plain.objective, 1e-9 * plain.objective);
    CHECK_NEAR(global->lowest, checked.objective, 1e-9 * lowest);
    CHECK(checked.stationary && checked.runner_up_objective > checked.objective);
    struct arena arena = {0};
    CHECK(strstr(fit_global_sentence(&arena, &checked, global),
                 "a lower minimum was found on a grid of 257 points over k"));
    arena_free(&arena);
  }
  fit_result_free(&plain);
  fit_result_free(&checked);
  // unasked, where it costs little: told of only when it changes the fit
  options = (struct fit_options){.bootstrap = 0};
  if (run_fit(&law, &table, &options, &checked)) {
    CHECK_NEAR(checked.objective, lowest, 1e-6 * lowest);
    CHECK(checked.global_count == 1 && checked.globals->lower);
  }
  fit_result_free(&checked);
  table_free(&table);
  make_wells(&table, -1.9, 0);
  if (run_fit(&law, &table, &options, &checked)) CHECK(checked.global_count == 0);
  fit_result_free(&checked);
  table_free(&table);
  law_free(&law);
}

// Two axes, Huber's loss, absolute deviations and others: each ends where a search from the truth does.
static void two_axes(void) {
  struct law law, near;
  struct table table;
  struct fit_result checked, told;
  if (!parse_law(&law, wells)) return;
  char *text = strdup(wells);
  for (char *at = text; (at = strstr(at, "[-")); at++) memcpy(at, "[ ", 2);  // starts on the right side
  if (!parse_law(&near, text)) return;
  make_wells(&table, 2.1, 0.9);
  static const char *const objectives[] = {"huber:0.5", "lad", "student-t:4", "asymmetric:3"};
  for (int k = 0; k < 4; k++) {
    struct fit_options options = {.bootstrap = 0, .bare = true, .objective = objectives[k]};
    bool fine = run_fit(&near, &table, &options, &told);
    options.global_check = true;
    fine = run_fit(&law, &table, &options, &checked) && fine;
    if (fine && CHECK(checked.global_count == 1)) {
      CHECK_NEAR(checked.objective, told.objective, 1e-5 * told.objective);
      CHECK_NEAR(value_of(&checked, "k"), value_of(&told, "k"), 1e-3);
      CHECK_NEAR(value_of(&checked, "m"), value_of(&told, "m"), 1e-3);
      CHECK(checked.globals->lower && checked.globals->points == 33 * 33 && checked.globals->axis_count == 2);
      CHECK(isnan(checked.globals->lowest) == (k == 1 || k == 2));
    }
    fit_result_free(&told);
    fit_result_free(&checked);
  }
  free(text);
  table_free(&table);
  law_free(&law);
  law_free(&near);
}

// A law of one minimum is told to have no lower one, and is not moved in any bit.
static void nothing_lower(void) {
  struct law law;
  struct table table;
  struct fit_result plain, checked;
  if (!load_law(&law, "chinchilla")) return;
  table_init(&table, "made", 40);
  size_t n = table_add_number(&table, "parameters", ROLE_UNKNOWN), d = table_add_number(&table, "tokens", ROLE_UNKNOWN),
         loss = table_add_number(&table, "loss", ROLE_UNKNOWN);
  for (size_t row = 0; row < 40; row++) {
    double N = 5e7 * pow(2, (double)(row % 8)), D = 1e9 * pow(3, (double)(row / 8)), normal[2];
    random_normal_pair(5, 1, 0, row, normal);
    table.columns[n].numbers[row] = N;
    table.columns[d].numbers[row] = D;
    table.columns[loss].numbers[row] = (1.69 + 406.4 / pow(N, 0.34) + 410.7 / pow(D, 0.28)) * exp(0.003 * normal[0]);
  }
  struct fit_options options = {.bootstrap = 0, .bare = true};
  bool fine = run_fit(&law, &table, &options, &plain);
  options.global_check = true;
  fine = run_fit(&law, &table, &options, &checked) && fine;
  if (fine && CHECK(checked.global_count == 1)) {
    const struct fit_global *global = checked.globals;
    CHECK(!global->lower && fabs(global->lowest / checked.objective - 1) < 1e-9 && global->points == 1089);
    CHECK(checked.objective == plain.objective && value_of(&checked, "A") == value_of(&plain, "A"));
    CHECK(global->axes[0].low < 0.34 && global->axes[0].high > 0.34);
    struct text text = {0}, again = {0};
    struct json_writer writer = json_writer(&text, false), second = json_writer(&again, false);
    fit_result_json(&checked, &writer);
    struct fit_result read;
    struct error error = {0};
    if (CHECK(fit_result_read(&read, text_string(&text), &error))) {
      fit_result_json(&read, &second);
      CHECK_TEXT(text_string(&again), text_string(&text));
      CHECK(strstr(text_string(&text), "no lower minimum on a grid of 1089 points over alpha"));
    }
    fit_result_free(&read);
    text_free(&text);
    text_free(&again);
  }
  fit_result_free(&plain);
  fit_result_free(&checked);
  table_free(&table);
  law_free(&law);
}

static void too_many_axes(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  if (!parse_law(&law, many)) return;
  make_wells(&table, 2, 0);
  struct fit_options options = {.bootstrap = 0, .bare = true, .global_check = true};
  if (run_fit(&law, &table, &options, &result) && CHECK(result.global_count == 1)) {
    CHECK(result.globals->reason &&
          strstr(result.globals->reason, "4 coefficients enter the law nonlinearly (k, p, d, g)"));
    CHECK(!result.globals->points && !result.globals->lower);
  }
  fit_result_free(&result);
  static const struct fit_fix held[] = {{"g", 1}};
  options.fixes = held;
  options.fix_count = 1;
  if (run_fit(&law, &table, &options, &result))
    CHECK(result.globals->points == 13 * 13 * 13 && !result.globals->reason);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

int main(void) {
  fitting_start();
  RUN(finds_the_lower_one);
  RUN(two_axes);
  RUN(nothing_lower);
  RUN(too_many_axes);
  return check_end();
}
