// See curves.h.
#include "runner/fits/curves.h"

#include <math.h>
#include <string.h>

static const struct law *find_law(const struct law *laws, size_t law_count) {
  const char *schedule, *step;
  for (size_t l = 0; l < law_count; l++)
    if (law_schedule(&laws[l], &schedule, &step)) return &laws[l];
  return NULL;
}

bool curves_prepare(struct fit_input *input, const struct law *laws, size_t law_count, struct error *error) {
  const struct fit_arguments *arguments = input->arguments;
  const struct law *law = find_law(laws, law_count);
  if (!law && (arguments->schedules || arguments->points || arguments->curves))
    return error_set(error, EXIT_USAGE_ERROR,
                     "--%s is for laws that sum over schedules of the learning rate; %s has none",
                     arguments->schedules ? "schedules"
                     : arguments->points  ? "curve-points"
                                          : "curves",
                     laws[0].name);
  if (!law) return true;
  if (input->has_spec && !arguments->curves)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the law %s is of points along loss curves: --curves eval takes those of the runs' evaluations, "
                     "--curves train those that training logged",
                     law->name);
  if (arguments->points < 0 || arguments->points == 1)
    return error_set(error, EXIT_USAGE_ERROR, "--curve-points takes 2 or more of each run");
  struct table schedules = {0};
  bool fine = !arguments->schedules || table_read_csv(&schedules, arguments->schedules, NULL, 0, error);
  fine = fine && curves_complete(&input->table, law, arguments->schedules ? &schedules : NULL, error);
  const char *where = arguments->entry.where.text;
  if (fine && where) {
    bool *keep = arena_array(&input->arena, input->table.row_count + 1, sizeof *keep);
    fine = table_where(&input->table, where, keep, error);
    if (fine) table_keep_rows(&input->table, keep);
  }
  size_t most = arguments->points ? (size_t)arguments->points : RUN_POINTS;
  fine = fine && curves_thin(&input->table, law, most, &input->left_out, error);
  table_free(&schedules);
  input->curve_law = fine ? law : NULL;
  return fine;
}

// ---- runs of the store ----

static bool is_finite_run(const struct table *runs, const char *name, size_t *row) {
  for (*row = 0; *row < runs->row_count; (*row)++)
    if (strcmp(runs->row_names[*row], name) == 0) return true;
  return false;
}

static size_t column_of(struct table *table, const char *name, bool text) {
  int column = table_find(table, name);
  if (column >= 0 && (table->columns[column].kind == COLUMN_CATEGORY) == text) return (size_t)column;
  return text ? table_add_category(table, name, ROLE_SETTING) : table_add_number(table, name, ROLE_OUTCOME);
}

// One point for each row of the query: its run's cells, then its own.
static bool add_points(const struct table *runs, struct store_rows *rows, struct table *table, struct error *error) {
  size_t capacity = 0, count = 0;
  for (size_t c = 0; c < runs->column_count; c++) {
    if (runs->columns[c].kind == COLUMN_NUMBER)
      table_add_number(table, runs->columns[c].name, runs->columns[c].role);
    else
      table_add_category(table, runs->columns[c].name, runs->columns[c].role);
  }
  size_t run_column = column_of(table, "run", true), loss = column_of(table, "loss", false),
         step = column_of(table, "step", false), tokens = column_of(table, "tokens", false),
         rate = column_of(table, "logged_lr", false);
  int run = store_rows_find(rows, "run"), at = store_rows_find(rows, "step"), lost = store_rows_find(rows, "loss"),
      seen = store_rows_find(rows, "tokens"), lr = store_rows_find(rows, "lr");
  while (store_rows_next(rows, error)) {
    size_t of;
    const char *name = store_rows_value(rows, run).text;
    if (!name || !is_finite_run(runs, name, &of)) continue;
    if (count == capacity) {
      capacity = 2 * capacity + 256;
      table_resize(table, capacity);
    }
    for (size_t c = 0; c < runs->column_count; c++) {
      struct value value = table_value(runs, c, of);
      if (runs->columns[c].kind == COLUMN_NUMBER)
        table->columns[c].numbers[count] = value.kind == VALUE_NUMBER ? value.number : NAN;
      else
        table_set_category(table, c, count, value.kind == VALUE_TEXT ? value.text : NULL);
    }
    table_set_category(table, run_column, count, name);
    table->columns[loss].numbers[count] = store_rows_number(rows, lost);
    table->columns[step].numbers[count] = store_rows_number(rows, at);
    table->columns[tokens].numbers[count] = store_rows_number(rows, seen);
    table->columns[rate].numbers[count] = store_rows_number(rows, lr);
    char line[160];
    snprintf(line, sizeof line, "%.100s step %.0f", name, store_rows_number(rows, at));
    table_name_row(table, count++, line);
  }
  table_resize(table, count);
  return !error->code;
}

// The schedule of each run, from the rates that its training logged.
static bool add_schedules(struct table *table, struct store *store, const char *experiment, struct error *error) {
  struct value values[] = {{.kind = VALUE_TEXT, .text = experiment}};
  struct store_rows *rows = store_select(
      store,
      "SELECT m.run AS run, m.step AS step, m.lr AS lr FROM metrics m JOIN experiment_runs e ON e.run = m.run WHERE "
      "e.experiment = ?1 AND m.kind = 'train' AND m.lr IS NOT NULL ORDER BY m.run, m.step",
      values, 1, error);
  if (!rows) return false;
  struct table logged;
  table_init(&logged, "the log of training", 0);
  size_t run = table_add_category(&logged, "run", ROLE_SETTING), step = table_add_number(&logged, "step", ROLE_SETTING),
         rate = table_add_number(&logged, "lr", ROLE_SETTING), count = 0, capacity = 0;
  int from = store_rows_find(rows, "run"), at = store_rows_find(rows, "step"), lr = store_rows_find(rows, "lr");
  while (store_rows_next(rows, error)) {
    if (count == capacity) {
      capacity = 2 * capacity + 256;
      table_resize(&logged, capacity);
    }
    table_set_category(&logged, run, count, store_rows_value(rows, from).text);
    logged.columns[step].numbers[count] = store_rows_number(rows, at);
    logged.columns[rate].numbers[count++] = store_rows_number(rows, lr);
  }
  store_rows_close(rows);
  table_resize(&logged, count);
  bool fine = !error->code;
  if (fine && !count) fine = error_set(error, EXIT_USAGE_ERROR, "%s: training logged no learning rate", table->source);
  fine = fine && curves_add_schedules(table, "schedule", &logged, error);
  table_free(&logged);
  return fine;
}

bool curves_of_runs(const struct spec *spec, struct store *store, const char *kind, struct table *table,
                    struct error *error) {
  struct table runs = {0};
  if (!finished_runs_table(spec, store, &runs, error)) {
    table_free(&runs);
    return false;
  }
  char source[300];
  snprintf(source, sizeof source, "curves of %.250s", spec->name);
  table_init(table, source, 0);
  struct value values[] = {{.kind = VALUE_TEXT, .text = spec->name}, {.kind = VALUE_TEXT, .text = kind}};
  struct store_rows *rows = store_select(
      store,
      "SELECT m.run AS run, m.step AS step, m.tokens AS tokens, m.loss AS loss, m.lr AS lr FROM metrics m JOIN "
      "experiment_runs e ON e.run = m.run WHERE e.experiment = ?1 AND m.kind = ?2 ORDER BY e.position, m.step",
      values, 2, error);
  bool fine = rows && add_points(&runs, rows, table, error);
  store_rows_close(rows);
  if (fine && !table->row_count)
    fine = error_set(error, EXIT_USAGE_ERROR, "no finished run of %s has points of kind %s (isoloss run %s)",
                     spec->name, kind, spec->call);
  fine = fine && add_schedules(table, store, spec->name, error);
  table_free(&runs);
  return fine;
}

// ---- what is said ----

void curves_tell(const struct fit_input *input, struct fit_result *result) {
  if (!input->curve_law || !result->coefficient_count) return;
  const struct law *law = input->curve_law;
  struct error error = {0};
  double largest;
  char off[32], kept[32], left[32];
  if (strcmp(law->name, result->law) != 0) return;
  if (curves_piece_error(law, result->coefficients, result->coefficient_count, &input->table, &largest, &error))
    fit_result_warn(result,
                    "sums over schedules take steps together, the farther back the more: next to every step by itself "
                    "that moves the %s by %s %% at most",
                    law->target, number_digits(100 * largest, 2, off));
  if (!input->left_out.row_count) return;
  double of_kept = curves_residual(law, result->coefficients, result->coefficient_count, &input->table),
         of_left = curves_residual(law, result->coefficients, result->coefficient_count, &input->left_out);
  fit_result_warn(result, "the law misses the points that are left out by %s %% (rms), those that are kept by %s %%",
                  number_digits(100 * of_left, 3, left), number_digits(100 * of_kept, 3, kept));
}
