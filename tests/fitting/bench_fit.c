// Speed of fits with all that `isoloss fit` does by default: `bench_fit [--threads N] [--case NUMBER] [--json]`. Each
// line is the best of three runs: seconds, and processor seconds a thread, which do not depend on what else the machine
// does. The limits stand beside them.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fitting/fitting.h"

struct benchmark {
  const char *name, *law;
  size_t sizes, durations, formats, rows_each;  // a grid; rows_each copies with other noise
  int bootstrap;
  double limit;  // seconds on two threads
};

static const struct benchmark benchmarks[] = {
    {"chinchilla, 100 rows, 4500 starts", "chinchilla", 10, 10, 1, 1, 0, 0.1},
    {"chinchilla, 240 rows, 4500 starts", "chinchilla", 16, 15, 1, 1, 0, 1},
    {"chinchilla, 240 rows, 4500 starts and 4000 resamples", "chinchilla", 16, 15, 1, 1, 4000, 5},
    {"effective-parameters, 17 formats, 102 rows", "effective-parameters", 3, 2, 17, 1, 0, 0.1},
    {"effective-parameters, 17 formats, 102 rows, 1000 resamples", "effective-parameters", 3, 2, 17, 1, 1000, 10},
    {"chinchilla, 1000000 rows", "chinchilla", 40, 25, 1, 1000, 0, 30},
};

static void make_table(struct table *table, const struct benchmark *benchmark) {
  size_t rows = benchmark->sizes * benchmark->durations * benchmark->formats * benchmark->rows_each;
  table_init(table, "benchmark", rows);
  size_t n = table_add_number(table, "parameters", ROLE_UNKNOWN), d = table_add_number(table, "tokens", ROLE_UNKNOWN);
  size_t loss = table_add_number(table, "loss", ROLE_UNKNOWN),
         format = table_add_category(table, "format", ROLE_UNKNOWN);
  for (size_t row = 0; row < rows; row++) {
    size_t k = row % benchmark->formats, point = row / benchmark->formats;
    size_t i = point % benchmark->sizes, j = point / benchmark->sizes % benchmark->durations;
    double size = 4e7 * pow(400, (double)i / (double)(benchmark->sizes - 1)), normal[2];
    double tokens = 1e9 * pow(300, (double)j / (double)(benchmark->durations > 1 ? benchmark->durations - 1 : 1));
    double eff = 1 - (double)k / 20;
    char name[32];
    random_normal_pair(1, 1, 0, row, normal);
    snprintf(name, sizeof name, k ? "format %zu" : "none", k);
    table->columns[n].numbers[row] = size;
    table->columns[d].numbers[row] = tokens;
    table->columns[loss].numbers[row] =
        (1.82 + 482 * pow(size * eff, -0.348) + 2085 * pow(tokens, -0.366)) * exp(0.004 * normal[0]);
    table_set_category(table, format, row, name);
  }
}

static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv) {
  fitting_start();
  int threads = 2;
  bool json = false;
  size_t only = SIZE_MAX;  // its place in the list
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) threads = atoi(argv[++i]);
    if (strcmp(argv[i], "--case") == 0 && i + 1 < argc) only = strtoul(argv[++i], NULL, 10);
    json |= strcmp(argv[i], "--json") == 0;
  }
  struct text text = {0};
  struct json_writer writer = json_writer(&text, true);
  json_array_begin(&writer);
  for (size_t b = 0; b < sizeof benchmarks / sizeof *benchmarks; b++) {
    struct table table;
    struct law law;
    struct diagnostics diagnostics = {0};
    struct error error = {0};
    if (only != SIZE_MAX && b != only) continue;
    double best = INFINITY, least = INFINITY, objective = NAN;
    make_table(&table, &benchmarks[b]);
    bool fine = law_load(&law, benchmarks[b].law, &diagnostics, &error);
    for (int repeat = 0; fine && repeat < (table.row_count > 100000 ? 1 : 3); repeat++) {
      struct fit_result result;
      double before = processor_seconds();
      fine = fit_run(&law, &table, &(struct fit_options){.bootstrap = benchmarks[b].bootstrap, .threads = threads},
                     &result, &error);
      best = fmin(best, result.seconds);
      least = fmin(least, (processor_seconds() - before) / threads);
      objective = result.objective;
      fit_result_free(&result);
    }
    if (!fine) fprintf(stderr, "%s\n", error.text);
    json_object_begin(&writer);
    json_key_string(&writer, "name", benchmarks[b].name);
    json_key_integer(&writer, "threads", threads);
    json_key_number(&writer, "seconds", best);
    json_key_number(&writer, "processor_seconds_per_thread", least);
    json_key_number(&writer, "limit_seconds", benchmarks[b].limit);
    json_key_number(&writer, "objective", objective);
    json_object_end(&writer);
    if (!json)
      printf("%-60s %8.3f s on %d threads, %8.3f s of processor a thread (limit %g s)\n", benchmarks[b].name, best,
             threads, least, benchmarks[b].limit);
    fflush(stdout);
    diagnostics_free(&diagnostics);
    law_free(&law);
    table_free(&table);
    if (!fine) return 1;
  }
  json_array_end(&writer);
  if (json) printf("%s\n", text_string(&text));
  text_free(&text);
  return 0;
}
