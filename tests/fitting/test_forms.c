// Sixty laws of ten families that researchers bring (forms/*.yaml), each on an invented table of 30 to 3000 rows: the
// fit is stationary, and its objective is no higher than an independent optimizer's.
//
//   test_fitting_forms [--only PART] [--starts N] [--whole] [--rows N] [--seed N] [--write FOLDER]
//
// --whole fits as `isoloss fit` does but for the resamples, from the law's starts, and prints what each took; --rows
// makes every table that long and --seed other tables of the same forms, for which the objective must be no higher
// than at the truth; --write writes each table and law for others to fit. An entry says:
// rows; columns, each drawn evenly in its logarithm ({log: [low, high]}), evenly ({linear: ...}), in turn (mixed) from
// a list ({of: ...}), or as a share of all columns {share: 1}; the true coefficients; noise (of the logarithm for a
// logarithmic residual); the law; and `reference`, the lowest objective that SciPy 1.17 found: least_squares (trust
// region, the same loss, derivatives by complex steps, coefficients scaled by their size), from the true coefficients
// and from 20 to 40 points drawn evenly within the range of each law's starts (in the logarithm for positive ones),
// tolerances 1e-15. SciPy begins at the truth, which isoloss does not see.
#include <stdlib.h>
#include <time.h>

#include "tests/fitting/fitting_test.h"

static const char *const families[] = {"joint",        "experts", "mixtures", "vocabulary", "sparsity",
                                       "exponentials", "signed",  "products", "poles",      "negative"};

enum { SEED = 5 };  // of the tables that the references are of

static struct {
  const char *only, *write;
  int starts, rows;
  uint64_t seed;
  bool whole;
  double at_truth;  // the objective there, of the table at hand
} settings = {.starts = 150, .seed = SEED};

static double number_of(const struct node *node, const char *key) {
  double value = NAN;
  CHECK(node_number(node_find(node, key), &value));
  return value;
}

// A range's point, a fair mix of a list, or a share before it is divided by the sum.
static void draw_number(const struct node *range, uint64_t column, size_t row, double *value) {
  const struct node *values = range->items[0];
  const char *kind = range->keys[0]->text;
  double low, high, u = random_uniform(settings.seed, 1, column, row);
  if (strcmp(kind, "of") == 0) {
    CHECK(node_number(values->items[random_below(settings.seed, 2, column, row, values->count)], value));
  } else if (strcmp(kind, "share") == 0) {
    *value = -log(1 - u);
  } else if (CHECK(node_number(values->items[0], &low) && node_number(values->items[1], &high))) {
    *value = strcmp(kind, "log") == 0 ? low * pow(high / low, u) : low + (high - low) * u;
  }
}

static void make_columns(const struct node *columns, struct table *table) {
  double *sums = calloc(table->row_count, sizeof *sums);
  for (size_t c = 0; c < columns->count && sums; c++) {
    const struct node *range = columns->items[c], *values = range->items[0];
    const char *name = column_canonical(columns->keys[c]->text);
    double number;
    bool category = strcmp(range->keys[0]->text, "of") == 0 && !node_number(values->items[0], &number);
    size_t column =
        category ? table_add_category(table, name, ROLE_UNKNOWN) : table_add_number(table, name, ROLE_UNKNOWN);
    for (size_t row = 0; row < table->row_count; row++) {
      if (category) {
        table_set_category(table, column, row, values->items[row % values->count]->text);
        continue;
      }
      draw_number(range, c, row, &table->columns[column].numbers[row]);
      if (strcmp(range->keys[0]->text, "share") == 0) sums[row] += table->columns[column].numbers[row];
    }
  }
  for (size_t c = 0; c < columns->count && sums; c++)
    if (strcmp(columns->items[c]->keys[0]->text, "share") == 0)
      for (size_t row = 0; row < table->row_count; row++) table->columns[c].numbers[row] /= sums[row];
  free(sums);
}

// The true coefficients: a number, or one for each category in the column's order.
static size_t make_truth(const struct law *law, const struct table *table, const struct node *truth,
                         struct coefficient *coefficients) {
  size_t count = 0;
  for (int p = 0; p < law->parameter_count; p++) {
    const struct law_parameter *parameter = &law->parameters[p];
    const struct node *node = node_find(truth, parameter->name);
    if (!CHECK(node)) continue;
    int column = parameter->by ? table_find(table, parameter->by) : -1;
    for (size_t k = 0; k < (parameter->by ? node->count : 1); k++) {
      coefficients[count] = (struct coefficient){.name = parameter->name, .parameter = parameter->name};
      if (parameter->by) coefficients[count].category = table->columns[column].categories[k];
      CHECK(node_number(parameter->by ? node->items[k] : node, &coefficients[count++].value));
    }
  }
  return count;
}

static bool make_target(const struct law *law, const struct node *form, struct table *table) {
  struct coefficient truth[64];
  struct error error = {0};
  size_t target = table_add_number(table, column_canonical(law->target), ROLE_UNKNOWN);
  double noise = number_of(form, "noise"), *predictions = calloc(table->row_count, sizeof *predictions);
  size_t count = make_truth(law, table, node_find(form, "truth"), truth);
  bool fine = predictions && law_predict(law, truth, count, table, predictions, &error);
  if (!fine) check_fail(__FILE__, __LINE__, error.text);
  settings.at_truth = 0;
  for (size_t row = 0; row < table->row_count && fine; row++) {
    double normal[2], value = predictions[row];
    random_normal_pair(settings.seed, 3, 0, row, normal);
    value = law->residual == RESIDUAL_LOG ? value * exp(noise * normal[0]) : value + noise * normal[0];
    table->columns[target].numbers[row] = value;
    settings.at_truth += objective_loss(law->objective, noise * normal[0]);
    fine = CHECK(isfinite(value) && (law->residual == RESIDUAL_PLAIN || value > 0));
  }
  free(predictions);
  return fine;
}

static void write_form(const char *family, size_t place, const struct node *form, const struct table *table) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s-%zu.csv", settings.write, family, place);
  FILE *file = fopen(path, "w");
  if (!CHECK(file)) return;
  for (size_t c = 0; c < table->column_count; c++) fprintf(file, "%s%s", c ? "," : "", table->columns[c].name);
  for (size_t row = 0; row < table->row_count; row++)
    for (size_t c = 0; c < table->column_count; c++) {
      struct value value = table_value(table, c, row);
      fprintf(file, c ? "," : "\n");
      if (value.kind == VALUE_TEXT)
        fprintf(file, "%s", value.text);
      else
        fprintf(file, "%.17g", value.number);
    }
  fprintf(file, "\n");
  fclose(file);
  snprintf(path, sizeof path, "%s/%s-%zu.law.yaml", settings.write, family, place);
  file = fopen(path, "w");
  if (!CHECK(file)) return;
  fprintf(file, "law: form\n%s", node_find(form, "law")->text);
  fclose(file);
}

static double processor_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void check_form(const char *family, const struct node *form, const struct law *law, const struct table *table) {
  struct fit_result result;
  struct fit_options options = {.bootstrap = 0, .starts = settings.starts, .bare = true, .group = "none"};
  if (settings.whole) options.starts = options.bare = 0;
  bool referenced = settings.seed == SEED && !settings.rows;
  double before = processor_seconds(), reference = referenced ? number_of(form, "reference") : settings.at_truth;
  if (run_fit(law, table, &options, &result)) {
    bool low = CHECK(result.objective <= reference * (1 + 1e-6)), still = CHECK(result.stationary);
    bool agree = CHECK(result.starts_agreeing + result.starts_elsewhere >= 2);
    if (settings.whole || !low || !still || !agree)
      printf(
          "# %-12s %-40s %.9g (%s %+.1e)  %s%.1e  %ld+%ld of %ld of %ld, %ld unsettled  %.2f s of processor, %.2f s\n",
          family, node_find(form, "name")->text, result.objective, referenced ? "reference" : "truth",
          result.objective / reference - 1, result.stationary ? "" : "NOT STATIONARY ", result.stationarity,
          (long)result.starts_agreeing, (long)result.starts_elsewhere, (long)result.starts_descended,
          (long)result.starts, (long)result.starts_not_stationary, processor_seconds() - before, result.seconds);
  }
  fit_result_free(&result);
}

static void try_form(const char *family, size_t place, const struct node *form) {
  struct law law;
  struct table table;
  const char *name = node_find(form, "name")->text;
  if (settings.only && !strstr(name, settings.only) && !strstr(family, settings.only)) return;
  struct text text = {0};
  text_format(&text, "law: form\n%s", node_find(form, "law")->text);
  table_init(&table, name, settings.rows > 0 ? (size_t)settings.rows : (size_t)number_of(form, "rows"));
  if (parse_law(&law, text_string(&text))) {
    make_columns(node_find(form, "columns"), &table);
    bool fine = make_target(&law, form, &table);
    if (fine && settings.write)
      write_form(family, place, form, &table);
    else if (fine)
      check_form(family, form, &law, &table);
    else
      printf("# %s, %s\n", family, name);
  }
  text_free(&text);
  law_free(&law);
  table_free(&table);
}

static const char *family;
static size_t form_count;

static void every_form(void) {
  struct arena arena = {0};
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  char path[512];
  snprintf(path, sizeof path, "%s/%s.yaml", FORMS, family);
  const struct node *forms = document_load(&arena, path, &diagnostics, &error);
  if (CHECK(forms && forms->kind == NODE_SEQUENCE))
    for (size_t i = 0; i < forms->count; i++) try_form(family, i, forms->items[i]);
  form_count += forms ? forms->count : 0;
  diagnostics_free(&diagnostics);
  arena_free(&arena);
}

static void sixty(void) { CHECK(form_count == 60); }

int main(int argc, char **argv) {
  fitting_start();
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) settings.only = argv[++i];
    if (strcmp(argv[i], "--write") == 0 && i + 1 < argc) settings.write = argv[++i];
    if (strcmp(argv[i], "--starts") == 0 && i + 1 < argc) settings.starts = atoi(argv[++i]);
    if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) settings.seed = (uint64_t)atoll(argv[++i]);
    if (strcmp(argv[i], "--rows") == 0 && i + 1 < argc) settings.rows = atoi(argv[++i]);
    settings.whole |= strcmp(argv[i], "--whole") == 0;
  }
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    family = families[i];
    check_run(every_form, family);
  }
  RUN(sixty);
  return check_end();
}
