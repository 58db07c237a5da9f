// isoloss runs: lists runs, filtered, sorted, by chosen columns.
#include <string.h>

#include "runner/commands.h"
#include "runner/execute/rows.h"
#include "runner/execute/selection.h"
#include "runner/terminal/table.h"
#include "trainer/tasks/task.h"

struct runs_options {
  struct spec_choices choices;
  const char *where, *sort, *columns;
  int64_t limit;
  bool csv, json;
};

// "a,b,c" to columns of the rows.
static bool parse_columns(const char *list, struct store_rows *rows, struct store *store, struct arena *arena,
                          int **columns, int *count, struct error *error) {
  size_t named;
  const char **names = text_split(arena, list, ", ", &named);
  *columns = arena_array(arena, named, sizeof **columns);
  *count = 0;
  for (size_t i = 0; i < named; i++) {
    const char *name = names[i];
    int column = store_rows_find(rows, column_canonical(name));
    if (column < 0) {
      int known;
      const char *const *columns_known = store_run_columns(store, &known);
      error_set(error, EXIT_USAGE_ERROR, "--columns: runs have no column '%s'", name);
      return error_hint(error, nearest_name(name, columns_known, (size_t)known), " (--columns help lists them)");
    }
    (*columns)[(*count)++] = column;
  }
  return *count > 0 || error_set(error, EXIT_USAGE_ERROR, "--columns needs at least one name");
}

// Fields that other columns of the table imply: the length of the training by `tokens`, shapes by the width.
static bool follows_from_others(const char *path) {
  const struct run_field *field = field_find(path, NULL);
  return field && field->groups & (GROUP_BUDGET | GROUP_FOLLOWS | GROUP_FOUND);
}

// The columns that every table for people has: notes, or the others.
static void add_always(const struct store_rows *rows, bool notes, int *columns, int *count) {
  for (size_t i = 0; i < run_column_count; i++)
    if (run_columns[i].place == PLACE_ALWAYS && (run_columns[i].role == RUN_NOTE) == notes)
      columns[(*count)++] = store_rows_find(rows, run_columns[i].name);
}

// Columns of the table for people: what every reader wants, and the settings that differ among these runs.
static bool choose_columns(const struct selection *selection, const struct run_query *query, struct arena *arena,
                           int **columns, int *count, struct error *error) {
  struct store_rows *rows = store_runs(selection->store, query, error);
  if (!rows) return false;
  int total = store_rows_columns(rows);
  bool *varies = arena_array(arena, (size_t)total, sizeof *varies);
  struct value *values = arena_array(arena, (size_t)total, sizeof *values);
  *columns = arena_array(arena, (size_t)total, sizeof **columns);
  *count = 0;
  bool marked = false, chains = false;
  for (bool begun = false; store_rows_next(rows, error); begun = true) {
    marked |= store_rows_get(rows, "mark").kind == VALUE_TEXT;
    chains |= store_rows_get(rows, "parent").kind == VALUE_TEXT;
    for (int i = 0; i < total; i++) {
      const char *name = store_rows_name(rows, i);
      // A name of neither table is a field of a spec's own.
      const struct run_field *field = field_find(name, NULL);
      if ((run_column_find(name) && !field) || varies[i]) continue;
      struct value value = store_rows_value(rows, i);
      if (field && field_is_untouched(field, value)) continue;
      if (!begun || (field && field_is_untouched(field, values[i]))) {
        values[i] = value;
        if (value.kind == VALUE_TEXT) values[i].text = arena_string(arena, value.text);
      } else if (value.kind != values[i].kind) {
        varies[i] = true;
      } else {
        varies[i] =
            value.kind == VALUE_TEXT ? strcmp(value.text, values[i].text) != 0 : value.number != values[i].number;
      }
    }
  }
  add_always(rows, true, *columns, count);
  if (marked) (*columns)[(*count)++] = store_rows_find(rows, "mark");
  if (chains) {
    (*columns)[(*count)++] = store_rows_find(rows, "stage");
    (*columns)[(*count)++] = store_rows_find(rows, "parent");
  }
  for (int i = 0; i < total; i++) {
    if (varies[i] && !follows_from_others(store_rows_name(rows, i))) (*columns)[(*count)++] = i;
  }
  add_always(rows, false, *columns, count);
  store_rows_close(rows);
  return !error->code;
}

static void list_column(struct text_table *table, const char *name, const char *unit, const char *help) {
  text_table_cell(table, "%s", name);
  text_table_cell(table, "%s", unit ? unit : "");
  text_table_cell(table, "%s", help);
}

static void list_columns(const struct run_field *own, size_t own_count, struct store *store) {
  struct text_table table = {.gap = 2};
  text_table_columns(&table, (const struct text_column[]){{"column"}, {"unit"}, {"what it is"}, {0}});
  for (size_t i = 0; i < run_column_count; i++)
    if (run_column_listed(&run_columns[i]))
      list_column(&table, run_columns[i].name, run_columns[i].unit, run_columns[i].help);
  for (size_t i = 0; i < run_field_count; i++)
    list_column(&table, run_fields[i].path, run_fields[i].unit, run_fields[i].help);
  for (size_t i = 0; i < own_count; i++)
    list_column(&table, own[i].path, own[i].unit,
                own[i].help && *own[i].help ? own[i].help : "of the spec's own fields");
  int count = 0;
  const char *const *names = store ? store_run_columns(store, &count) : NULL;
  for (int i = 0; i < count; i++) {
    if (run_column_find(names[i]) || field_find(names[i], NULL)) continue;
    const struct task_result *result = run_result_find(names[i]);
    if (result)
      list_column(&table, names[i], result->unit, result->help);
    else if (!(own_count && task_of_field(names[i])))  // the spec's task has them among its own
      list_column(&table, names[i], NULL, task_of_field(names[i]) ? "field of a task" : "field of a spec's own");
  }
  text_table_print(&table, stdout);
  text_table_free(&table);
}

// With the fields that the spec declares, else with those that the runs of the store have of their own.
static bool help_columns(const char *named, const struct spec_choices *choices, struct error *error) {
  struct spec spec = {0};
  struct selection selection = {0};
  bool fine = true, file = named && spec_is_file(named);
  if (file)
    fine = spec_open(&spec, named, choices, error);
  else if (named || store_exists_home())
    fine = selection_open(&selection, named, choices, error);
  if (fine) list_columns(spec.own, spec.own_count, selection.store);
  selection_close(&selection);
  if (file) spec_free(&spec);
  return fine;
}

static bool list(const struct selection *selection, const struct runs_options *options, struct error *error) {
  struct arena arena = {0};
  struct run_query query = {selection->experiment, NULL, options->where, options->sort, options->limit};
  int *columns = NULL, count = 0;
  struct store_rows *rows = store_runs(selection->store, &query, error);
  bool fine = rows != NULL;
  if (fine && options->columns)
    fine = parse_columns(options->columns, rows, selection->store, &arena, &columns, &count, error);
  if (fine && !options->columns && !options->json && !options->csv)
    fine = choose_columns(selection, &query, &arena, &columns, &count, error);
  if (fine && options->json) {
    struct text text = {0};
    fine = rows_write_json(rows, columns, count, &text, error);
    if (fine) fwrite(text.bytes, 1, text.length, stdout);
    text_free(&text);
  } else if (fine && options->csv) {
    fine = rows_write_csv(rows, columns, count, stdout, error);
  } else if (fine) {
    size_t shown;
    fine = rows_write_table(rows, columns, count, stdout, &shown, error);
    if (fine && shown == 0) fprintf(stderr, "no runs%s\n", options->where ? " for which the condition holds" : "");
  }
  store_rows_close(rows);
  arena_free(&arena);
  return fine;
}

static void select_runs(const struct runs_options *a, const char *named, struct error *error) {
  struct selection selection = {0};
  if (a->columns && strcmp(a->columns, "help") == 0)
    help_columns(named, &a->choices, error);
  else if (selection_open(&selection, named, &a->choices, error))
    list(&selection, a, error);
  selection_close(&selection);
}

void command_runs(struct command_line *line) {
  struct runs_options a = {0};
  const struct option options[] = {
      {"where", 'w', OPTION_TEXT, &a.where, "EXPR", "only runs for which this holds: 'N > 1e5 and seed == 1'"},
      {"sort", 's', OPTION_TEXT, &a.sort, "COLUMN", "by this column; --sort=-loss falls"},
      {"columns", 'c', OPTION_TEXT, &a.columns, "A,B,C", "these columns ('help' lists all)"},
      {"limit", 'n', OPTION_INTEGER, &a.limit, "N", "at most this many"},
      {"csv", 0, OPTION_FLAG, &a.csv, NULL, "comma-separated values, all columns unless chosen"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON array, all columns unless chosen"},
      {"set", 0, OPTION_LIST, &a.choices.set, "PATH=VALUE", "with a spec: as given to isoloss run"},
      {"preset", 0, OPTION_TEXT, &a.choices.preset, "NAME", "with a spec: as given to isoloss run"},
      {0}};
  const struct command_usage usage = {
      "isoloss runs [SPEC|EXPERIMENT] [options]",
      "Of a spec (runs that are not trained yet are pending), of an experiment of the store, or of the whole store. The\n"
      "condition is the expression language of specs over the columns; N, D, C are parameters, tokens, flops. A number\n"
      "that is not known yet compares as false, a text that is not known is \"\".",
      0, 1, "one spec or experiment, or none"};
  if (!command_begin(line, &usage, options)) return;
  if (a.limit < 0 || (a.csv && a.json))
    error_set(&line->error, EXIT_USAGE_ERROR, a.limit < 0 ? "--limit cannot be negative" : "--csv or --json, not both");
  else
    select_runs(&a, line->count ? line->arguments[0] : NULL, &line->error);
}
