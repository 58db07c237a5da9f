// How long a law of loss curves takes in processor seconds: 30 curves of cosines, constant and stable schedules with
// decays, 100 points of each, on one core, with everything that `isoloss fit` computes by default.
#include <stdlib.h>
#include <time.h>

#include "tests/fitting/fitting_test.h"

enum { CURVES = 30, POINTS = 100, ROWS = CURVES * POINTS };

static const char *schedule_of(struct arena *arena, int curve) {
  double peak = 1e-3 * pow(2, curve % 3 - 1), steps = 10000 + 2000 * (curve % 5);
  if (curve % 3 == 0) return arena_format(arena, "0:0,500:%g,%g:%g:cosine", peak, steps, 0.1 * peak);
  if (curve % 3 == 1) return arena_format(arena, "0:0,500:%g,%g:%g,%g:0", peak, 0.8 * steps, peak, steps);
  return arena_format(arena, "0:0,500:%g,%g:%g", peak, steps, 0.05 * peak);
}

static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv) {
  static const double truth[] = {3.04, 0.525, 0.508, 363.8, 2.066, 0.583, 0.641};
  static const char *const names[] = {"L0", "A", "alpha", "B", "c", "beta", "gamma"};
  static double losses[ROWS];
  struct arena arena = {0};
  struct table table;
  struct law law;
  struct coefficient coefficients[7];
  struct error error = {0};
  table_init(&table, "curves", ROWS);
  size_t step = table_add_number(&table, "step", ROLE_UNKNOWN), loss = table_add_number(&table, "loss", ROLE_UNKNOWN),
         column = table_add_category(&table, "schedule", ROLE_UNKNOWN),
         run = table_add_category(&table, "run", ROLE_UNKNOWN);
  for (int curve = 0; curve < CURVES; curve++) {
    const char *text = schedule_of(&arena, curve);
    struct rate_schedule schedule;
    if (!rate_schedule_parse(&arena, text, &schedule, &error)) return 1;
    for (int i = 0; i < POINTS; i++) {
      size_t row = (size_t)(curve * POINTS + i);
      table.columns[step].numbers[row] = floor(600 + (schedule.end - 600) * i / (POINTS - 1.0));
      table_set_category(&table, column, row, text);
      table_set_category(&table, run, row, arena_format(&arena, "run %d", curve));
    }
  }
  if (!load_law(&law, "multi-power")) return 1;
  for (int p = 0; p < 7; p++)
    coefficients[p] = (struct coefficient){.name = names[p], .parameter = names[p], .value = truth[p]};
  double started = processor_seconds();
  if (!law_predict(&law, coefficients, 7, &table, losses, &error)) return 1;
  printf("# predictions of %d rows: %.3f s\n", ROWS, processor_seconds() - started);
  for (size_t row = 0; row < ROWS; row++) {
    double normal[2], shared[2];
    random_normal_pair(5, 1, 0, row, normal);
    random_normal_pair(5, 2, 0, row / POINTS, shared);
    table.columns[loss].numbers[row] = losses[row] * exp(1e-3 * normal[0] + 3e-4 * shared[0]);
  }
  struct fit_options options = {.bootstrap = argc > 1 ? atoi(argv[1]) : -1, .bare = argc > 2, .threads = 1};
  struct fit_result result;
  started = processor_seconds();
  if (!run_fit(&law, &table, &options, &result)) return 1;
  double seconds = processor_seconds() - started;
  printf("# fit of %d curves of %d points: %.2f s, %d resamples\n", CURVES, POINTS, seconds, result.bootstrap);
  for (size_t c = 0; c < result.coefficient_count; c++)
    printf("# %s %g [%g, %g], made with %g\n", result.coefficients[c].name, result.coefficients[c].value,
           result.coefficients[c].low, result.coefficients[c].high, truth[c]);
  CHECK(seconds < 10);
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
  arena_free(&arena);
  return check_end();
}
