// Tests of laws of loss curves: schedules read and summed against brute force over their steps, sums over them compiled
// and differentiated, coefficients recovered from simulated curves of some schedules and another one predicted.
#include <stdlib.h>

#include "fitting/program_internal.h"
#include "tests/fitting/fitting_test.h"

static const char cosine[] = "0:0,100:1e-3,4000:1e-4:cosine";
static const char constant[] = "0:0 100:1e-3 4000:1e-3";
static const char wsd[] = "0:0;100:1e-3;3000:1e-3;4000:0";
static const char jumps[] = "0:1e-3,1500:1e-3,1500:3e-4,3000:3e-4,3000:6e-4,4000:6e-4";

static bool read_schedule(struct arena *arena, const char *text, struct rate_schedule *schedule) {
  struct error error = {0};
  bool fine = rate_schedule_parse(arena, text, schedule, &error);
  if (!fine) check_fail(__FILE__, __LINE__, error.text);
  return fine;
}

static void rates(void) {
  struct arena arena = {0};
  struct rate_schedule schedule;
  if (!read_schedule(&arena, wsd, &schedule)) return;
  CHECK_NEAR(rate_schedule_rate(&schedule, 1), 1e-5, 1e-18);
  CHECK_NEAR(rate_schedule_rate(&schedule, 100), 1e-3, 1e-18);
  CHECK_NEAR(rate_schedule_rate(&schedule, 3000), 1e-3, 1e-18);
  CHECK_NEAR(rate_schedule_rate(&schedule, 3250), 7.5e-4, 1e-18);
  CHECK_NEAR(rate_schedule_rate(&schedule, 4000), 0, 1e-18);
  CHECK(schedule.end == 4000 && schedule.warmup_end == 100 && schedule.peak == 1e-3);
  if (!read_schedule(&arena, jumps, &schedule)) return;
  CHECK_NEAR(rate_schedule_rate(&schedule, 1500), 1e-3, 1e-18);
  CHECK_NEAR(rate_schedule_rate(&schedule, 1501), 3e-4, 1e-18);
  CHECK_NEAR(rate_schedule_rate(&schedule, 3001), 6e-4, 1e-18);
  CHECK(schedule.warmup_end == 0);
  if (!read_schedule(&arena, cosine, &schedule)) return;
  for (double step = 100; step <= 4000; step += 13)
    CHECK_NEAR(rate_schedule_rate(&schedule, step), 1e-4 + 9e-4 * 0.5 * (1 + cos(M_PI * (step - 100) / 3900)),
               2e-5 * 1e-3);
  arena_free(&arena);
}

// Sums of pieces against the steps themselves, added up one by one.
static void pieces_of(const char *text, double step, double share) {
  struct arena arena = {0};
  struct rate_schedule schedule;
  struct rate_piece *pieces = NULL;
  size_t capacity = 0;
  if (!read_schedule(&arena, text, &schedule)) return;
  double area = 0;
  for (double k = 1; k <= step; k++) area += rate_schedule_rate(&schedule, k);
  CHECK_NEAR(rate_schedule_area(&schedule, step), area, 1e-12);
  size_t count = rate_schedule_pieces(&schedule, step, share, &pieces, &capacity);
  double steps = 0, sum = 0, drop = 0, last = step;
  for (size_t i = 0; i < count; i++) {
    double first = last - pieces[i].steps + 1, mean = 0, since = 0, within = 0;
    for (double k = first; k <= last; k++) mean += rate_schedule_rate(&schedule, k) / pieces[i].steps;
    for (double k = first; k <= last; k++) since += (step - k + 1) / pieces[i].steps;
    for (double k = first; k <= last; k++) {
      double from = 0;
      for (double j = k; j <= step; j++) from += rate_schedule_rate(&schedule, j);
      within += from / pieces[i].steps;
    }
    double least = 1e-6 * schedule.peak;
    CHECK_NEAR(pieces[i].lr, fmax(mean, least), 1e-12);
    CHECK_NEAR(pieces[i].since, since, 1e-9);
    CHECK_NEAR(pieces[i].area, fmax(within, least), 1e-11);
    CHECK(pieces[i].steps <= fmax(1, share * (step - last + 1)));
    steps += pieces[i].steps;
    sum += pieces[i].lr * pieces[i].steps;
    drop += pieces[i].drop;
    last = first - 1;
  }
  CHECK(steps == step);
  CHECK_NEAR(sum, area, 1e-9);
  double top = rate_schedule_rate(&schedule, fmax(schedule.warmup_end, 1));
  CHECK_NEAR(drop, top - rate_schedule_rate(&schedule, step), 1e-15);
  free(pieces);
  arena_free(&arena);
}

static void pieces(void) {
  static const char *const texts[] = {cosine, constant, wsd, jumps};
  for (size_t i = 0; i < 4; i++) {
    pieces_of(texts[i], 4000, 0.1);
    pieces_of(texts[i], 3137, 0.1);
    pieces_of(texts[i], 1501, 0.25);
    pieces_of(texts[i], 400, 0);
  }
}

static void refuse(const char *text, const char *with) {
  struct arena arena = {0};
  struct rate_schedule schedule;
  struct error error = {0};
  if (!CHECK(!rate_schedule_parse(&arena, text, &schedule, &error) && strstr(error.text, with)))
    printf("# '%s': %s\n", text, error.text);
  arena_free(&arena);
}

static void bad_schedules(void) {
  refuse("", "empty");
  refuse("0:0,100", "STEP:RATE");
  refuse("0:0,100:fast", "column 9");
  refuse("0:0,x:1e-3", "column 5: expected a step");
  refuse("0:1e-3,50:1e-3,40:0", "ascend");
  refuse("0:1e-3,50:-1", "not below 0");
  refuse("0:0,50:0", "always 0");
  refuse("0:1e-3", "no step");
  refuse("0:1e-3,10.5:1e-3", "whole number");
  refuse("0:1e-3,10:1e-4:linear", "cosine");
  struct text text = {0};
  for (int k = 0; k <= 500; k++) text_format(&text, "%d:1e-3,", k);
  refuse(text_string(&text), "more than 500 knots");
  text_free(&text);
}

// Logged rates as a text of few knots, and how far it is off.
static void thinned_rates(void) {
  enum { LOGGED = 1000 };
  static double steps[LOGGED], logged[LOGGED];
  struct arena arena = {0};
  struct rate_schedule schedule, thinned;
  if (!read_schedule(&arena, cosine, &schedule)) return;
  for (int i = 0; i < LOGGED; i++) {
    steps[i] = 1 + 4 * i;
    logged[i] = rate_schedule_rate(&schedule, steps[i]);
  }
  double error_share;
  const char *text = rate_schedule_text(&arena, steps, logged, LOGGED, 5e-4, &error_share);
  CHECK(error_share > 0 && error_share <= 5e-4 && strlen(text) < 2000);
  if (!read_schedule(&arena, text, &thinned)) return;
  double worst = 0;
  for (int i = 0; i < LOGGED; i++) worst = fmax(worst, fabs(rate_schedule_rate(&thinned, steps[i]) - logged[i]) / 1e-3);
  CHECK_NEAR(worst, error_share, 1e-8);
  arena_free(&arena);
}

// ---- the laws ----

static void add_curve(struct table *table, size_t *row, const char *run, const char *schedule, int points) {
  int step = table_find(table, "step"), column = table_find(table, "schedule"), name = table_find(table, "run");
  for (int i = 0; i < points; i++, (*row)++) {
    table->columns[step].numbers[*row] = 150 + floor(3850.0 * i / (points - 1));
    table_set_category(table, (size_t)column, *row, schedule);
    table_set_category(table, (size_t)name, *row, run);
  }
}

static void begin_curves(struct table *table, size_t rows) {
  table_init(table, "curves", rows);
  table_add_number(table, "step", ROLE_UNKNOWN);
  table_add_number(table, "loss", ROLE_UNKNOWN);
  table_add_category(table, "schedule", ROLE_UNKNOWN);
  table_add_category(table, "run", ROLE_UNKNOWN);
}

// Losses step by step, by the sums of the papers as they are written there.
static double multi_power(const struct rate_schedule *schedule, double step, const double *p) {
  double gain = 0, since = 0;
  for (double k = step; k >= 1; k--) {
    double rate = rate_schedule_rate(schedule, k);
    since += rate;
    if (k <= schedule->warmup_end) continue;
    double before = k > 1 ? rate_schedule_rate(schedule, k - 1) : schedule->knots[0].rate;
    if (rate > 0) gain += (before - rate) * (1 - pow(1 + p[4] * pow(rate, -p[6]) * since, -p[5]));
  }
  return p[0] + p[1] * pow(since, -p[2]) - p[3] * gain;
}

static double annealing(const struct rate_schedule *schedule, double step, const double *p) {
  double sum = 0, momentum = 0, area = 0;
  for (double k = 1; k <= step; k++) {
    double rate = rate_schedule_rate(schedule, k);
    double before = k > 1 ? rate_schedule_rate(schedule, k - 1) : schedule->knots[0].rate;
    momentum = (1 - 1 / p[4]) * momentum + (k <= schedule->warmup_end ? 0 : before - rate);
    sum += momentum;
    area += rate;
  }
  return p[0] + p[1] * pow(area, -p[2]) - p[3] * sum;
}

typedef double curve_law(const struct rate_schedule *schedule, double step, const double *p);

// The published coefficients of a model of 25 million parameters (multi-power), and made ones.
static const double multi_power_truth[] = {3.04, 0.525, 0.508, 363.8, 2.066, 0.583, 0.641};
static const double annealing_truth[] = {2.6, 0.6, 0.45, 0.3, 1000};
static const char *const multi_power_names[] = {"L0", "A", "alpha", "B", "c", "beta", "gamma"};
static const char *const annealing_names[] = {"L0", "A", "alpha", "c", "memory"};

static void fill_losses(struct table *table, curve_law *law, const double *truth, double noise) {
  struct arena arena = {0};
  int step = table_find(table, "step"), column = table_find(table, "schedule"), loss = table_find(table, "loss");
  for (size_t row = 0; row < table->row_count; row++) {
    struct rate_schedule schedule;
    double normal[2];
    if (!read_schedule(&arena, table_value(table, (size_t)column, row).text, &schedule)) return;
    random_normal_pair(5, 1, 0, row, normal);
    table->columns[loss].numbers[row] =
        law(&schedule, table->columns[step].numbers[row], truth) * exp(noise * normal[0]);
  }
  arena_free(&arena);
}

static void compiled_one(const char *name, curve_law *truth_law, const double *truth, const char *const *names) {
  enum { POINTS = 12, ROWS = 4 * POINTS };
  struct table table;
  struct law law;
  struct arena arena = {0};
  struct error error = {0};
  size_t row = 0, rows[ROWS];
  struct element elements[8];
  struct coefficient coefficients[8];
  double x[8], predicted[ROWS], exact[ROWS], high[ROWS], low[ROWS];
  begin_curves(&table, ROWS);
  add_curve(&table, &row, "a", cosine, POINTS);
  add_curve(&table, &row, "b", constant, POINTS);
  add_curve(&table, &row, "c", wsd, POINTS);
  add_curve(&table, &row, "d", jumps, POINTS);
  fill_losses(&table, truth_law, truth, 0);
  if (!load_law(&law, name)) return;
  for (int p = 0; p < law.parameter_count; p++) {
    bool positive = law.parameters[p].positive;
    CHECK_TEXT(law.parameters[p].name, names[p]);
    x[p] = positive ? log(truth[p]) : truth[p];
    elements[p] = (struct element){.name = names[p], .parameter = p, .logarithmic = positive, .value = x[p]};
    coefficients[p] = (struct coefficient){.name = names[p], .parameter = names[p], .value = truth[p]};
  }
  for (size_t i = 0; i < ROWS; i++) rows[i] = i;
  const double *loss = table.columns[table_find(&table, "loss")].numbers;
  for (int every = 0; every < 2; every++) {
    struct row_list list = {rows, ROWS, NULL, every};
    struct program *program =
        program_compile(&arena, &law, &table, list, elements, law.parameter_count, RESIDUAL_PLAIN, &error);
    if (!CHECK(program)) printf("# %s\n", error.text);
    if (!program) return;
    CHECK(program->padded <= PROGRAM_BLOCK && program_row_cost(program) > 1);
    struct program_state *state = program_state_new(&arena, program);
    program_begin(state, x);
    memcpy(exact, program_forward(state, 0, program->padded), sizeof exact);
    double worst = 0;
    for (int i = 0; i < ROWS; i++) worst = fmax(worst, fabs(exact[i] - loss[i]));
    printf("# %s, %s: off by %.2g at most\n", name, every ? "every step" : "pieces", worst);
    CHECK(worst < (every ? 1e-6 : 1e-4));  // a rate of 0 counts as a millionth of the peak
    if (every) continue;
    CHECK(law_predict(&law, coefficients, (size_t)law.parameter_count, &table, predicted, &error));
    for (int i = 0; i < ROWS; i++) CHECK_NEAR(predicted[i], exact[i], 1e-11);
    const double *adjoint[PROGRAM_LEAVES];
    double copy[8][ROWS];
    program_backward(state, 0, program->padded, adjoint);
    CHECK(program->leaf_count == law.parameter_count);
    for (int l = 0; l < program->leaf_count; l++) memcpy(copy[l], adjoint[l], sizeof copy[l]);
    for (int l = 0; l < program->leaf_count; l++) {
      int e = program->leaves[l].element;
      double at = x[e], h = 1e-5 * fmax(fabs(at), 0.1);
      x[e] = at + h;
      program_begin(state, x);
      memcpy(high, program_forward(state, 0, program->padded), sizeof high);
      x[e] = at - h;
      program_begin(state, x);
      memcpy(low, program_forward(state, 0, program->padded), sizeof low);
      x[e] = at;
      for (int i = 0; i < ROWS; i++) {
        double difference = (high[i] - low[i]) / (2 * h);
        if (!CHECK(fabs(copy[l][i] - difference) < 1e-6 * fmax(1, fabs(difference))))
          printf("# %s, d/d%s, row %d: %.10g, by differences %.10g\n", name, names[e], i, copy[l][i], difference);
      }
    }
  }
  arena_free(&arena);
  law_free(&law);
  table_free(&table);
}

static void compiled(void) {
  compiled_one("multi-power", multi_power, multi_power_truth, multi_power_names);
  compiled_one("annealing", annealing, annealing_truth, annealing_names);
}

// Fitted on a constant schedule and a cosine, the curve of a warm-up, stable, decay schedule is predicted.
static void recover_one(const char *name, curve_law *truth_law, const double *truth, const char *const *names) {
  enum { POINTS = 60, ROWS = 4 * POINTS };
  struct table table;
  struct law law;
  size_t row = 0;
  struct fit_result result;
  begin_curves(&table, ROWS);
  add_curve(&table, &row, "cosine", cosine, POINTS);
  add_curve(&table, &row, "constant", constant, POINTS);
  add_curve(&table, &row, "two thirds", "0:0,100:7e-4,4000:7e-5:cosine", POINTS);
  add_curve(&table, &row, "wsd", wsd, POINTS);
  fill_losses(&table, truth_law, truth, 1e-4);
  if (!load_law(&law, name)) return;
  struct fit_options options = {.holdout = "run == 'wsd'", .bootstrap = 20, .bare = true, .threads = 1};
  if (run_fit(&law, &table, &options, &result)) {
    printf("# %s: %.2f s, held out %.2g\n", name, result.seconds, result.holdout_error);
    CHECK(result.stationary);
    CHECK(result.residual_rms < 1.5e-4);
    CHECK(result.holdout_error < 3e-4);
    CHECK(result.grouped_by && strcmp(result.grouped_by, "run") == 0);
    for (int p = 0; p < law.parameter_count; p++) {
      bool loose = strcmp(names[p], "beta") == 0 || (law.parameter_count == 7 && strcmp(names[p], "c") == 0);
      // How fast and with what exponent a fall gains go together.
      if (!CHECK(fabs(log(value_of(&result, names[p]) / truth[p])) < (loose ? 0.4 : 0.03)))
        printf("# %s: %s is %g, made with %g\n", name, names[p], value_of(&result, names[p]), truth[p]);
    }
  }
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
}

// Fits without one run come from the law made linear at the fit of all: each is the minimum that a fit of the other
// runs finds by itself.
static void runs_left_out(void) {
  enum { POINTS = 60, ROWS = 5 * POINTS };
  static const char *const runs[] = {"cosine", "constant", "low", "wsd", "jumps"};
  static const char *const texts[] = {cosine, constant, "0:0,100:7e-4,4000:7e-5:cosine", wsd, jumps};
  struct table table;
  struct law law;
  size_t row = 0;
  struct fit_result result;
  begin_curves(&table, ROWS);
  for (int i = 0; i < 5; i++) add_curve(&table, &row, runs[i], texts[i], POINTS);
  fill_losses(&table, annealing, annealing_truth, 2e-3);
  if (!load_law(&law, "annealing")) return;
  struct fit_options options = {.bootstrap = 10, .bare = true, .threads = 1, .group = "run"};
  if (run_fit(&law, &table, &options, &result) && CHECK(result.jackknife_count == 5)) {
    for (int i = 0; i < 5; i++) {
      char where[40];
      struct fit_result alone;
      snprintf(where, sizeof where, "run != '%s'", runs[i]);
      struct fit_options others = {.where = where, .bootstrap = 0, .bare = true, .threads = 1};
      if (!run_fit(&law, &table, &others, &alone)) break;
      for (size_t c = 0; c + 1 < alone.coefficient_count; c++) {
        double left = result.jackknife[(size_t)i * result.coefficient_count + c], own = alone.coefficients[c].value;
        if (!CHECK(fabs(left - own) < 0.02 * result.coefficients[c].se))
          printf("# without %s: %s is %.9g, of itself %.9g (se %.2g)\n", runs[i], alone.coefficients[c].name, left, own,
                 result.coefficients[c].se);
      }
      fit_result_free(&alone);
    }
  }
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
}

static void recovery(void) {
  recover_one("multi-power", multi_power, multi_power_truth, multi_power_names);
  recover_one("annealing", annealing, annealing_truth, annealing_names);
}

int main(void) {
  RUN(rates);
  RUN(pieces);
  RUN(bad_schedules);
  RUN(thinned_rates);
  RUN(compiled);
  RUN(recovery);
  RUN(runs_left_out);
  return check_end();
}
