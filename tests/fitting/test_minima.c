// Minima of laws that ship on the public tables in tests/data: objectives no higher than those of minima.txt, by 1e-9
// of them. Each line there is a table, a law and the lowest objective that any version of the search has found. What is
// lower now is named, so that the file can take it (--write prints all lines anew, of what the laws fit).
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static const double tolerance = 1e-9;

// Negative where the law and the table do not go together.
static double objective_of(const char *table_name, const char *law_name, struct error *error) {
  struct law law;
  struct table table;
  struct fit_result result = {0};
  struct diagnostics diagnostics = {0};
  struct fit_options options = {.bootstrap = 0, .bare = true, .group = "none"};
  char path[512];
  double objective = -1;
  snprintf(path, sizeof path, TABLES "/%s.csv", table_name);
  if (law_load(&law, law_name, &diagnostics, error) && table_read_csv(&table, path, NULL, 0, error)) {
    if (fit_run(&law, &table, &options, &result, error)) objective = result.objective;
    fit_result_free(&result);
    table_free(&table);
  }
  law_free(&law);
  diagnostics_free(&diagnostics);
  return objective;
}

static char line_table[64], line_law[64];
static double line_objective;

static void one_minimum(void) {
  struct error error = {0};
  double found = objective_of(line_table, line_law, &error);
  if (!CHECK(found >= 0)) {
    printf("# %s\n", error.text);
    return;
  }
  double off = found / line_objective - 1;
  if (!CHECK(off <= tolerance) || off < -tolerance)
    printf("# %s %s: %.17g, %+.1e of that in the file\n", line_table, line_law, found, off);
}

static void all_pairs(void) {
  static const char *const tables[] = {"datablations_repeat/runs", "gadre_overtraining/runs", "olmo_ladder/runs",
                                       "porian_isoflop/runs",      "porian_isoflop/optima",   "quartet_fp4/runs",
                                       "routed_moe/runs_Hash",     "routed_moe/runs_RL-R",    "routed_moe/runs_S-Base"};
  static const char *const laws[] = {"capacity",         "chinchilla",        "compression-loss",
                                     "data-constrained", "distillation",      "effective-compression",
                                     "power-sum",        "optimal-size",      "joint-learning-rate",
                                     "overtraining",     "linearity",         "effective-parameters",
                                     "power-law",        "precision",         "optimizer-rescaled",
                                     "quartet-beta1",    "sparse-foundation", "quartet",
                                     "routed",           "sparse-chinchilla", "tuned-parameters"};
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
    for (size_t l = 0; l < sizeof laws / sizeof *laws; l++) {
      struct error error = {0};
      double found = objective_of(tables[t], laws[l], &error);
      if (found > 0) printf("%s %s %.17g\n", tables[t], laws[l], found);
    }
}

int main(int argc, char **argv) {
  fitting_start();
  if (argc > 1 && strcmp(argv[1], "--write") == 0) {
    all_pairs();
    return 0;
  }
  FILE *file = fopen(MINIMA, "r");
  int count = 0;
  while (file && fscanf(file, "%63s %63s %lf", line_table, line_law, &line_objective) == 3) {
    char name[160];
    snprintf(name, sizeof name, "%s, %s", line_table, line_law);
    check_run(one_minimum, name);
    count++;
  }
  if (file) fclose(file);
  if (count < 40) {
    printf("Bail out! %s has %d lines\n", MINIMA, count);
    return 1;
  }
  return check_end();
}
