// isoloss sql: asks the store in SQL.
#include <stdio.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/execute/rows.h"

// An object has each name once.
static bool names_differ(const struct store_rows *rows, struct error *error) {
  for (int i = 0; i < store_rows_columns(rows); i++)
    if (store_rows_find(rows, store_rows_name(rows, i)) != i)
      return error_set(error, EXIT_USAGE_ERROR, "sql: two columns are named '%s': give one another name with AS",
                       store_rows_name(rows, i));
  return true;
}

static bool print_json(struct store_rows *rows, struct error *error) {
  struct text text = {0};
  bool fine = names_differ(rows, error) && rows_write_json(rows, NULL, 0, &text, error);
  if (fine) fwrite(text.bytes, 1, text.length, stdout);
  text_free(&text);
  return fine;
}

static bool print_table(struct store_rows *rows, struct arena *arena, struct error *error) {
  int count = store_rows_columns(rows);
  int *columns = arena_array(arena, (size_t)count, sizeof *columns);
  size_t shown;
  for (int i = 0; i < count; i++) columns[i] = i;
  if (!rows_write_table(rows, columns, count, stdout, &shown, error)) return false;
  if (shown == 0) fprintf(stderr, "no rows\n");
  return true;
}

void command_sql(struct command_line *line) {
  bool json = false, csv = false;
  const struct option options[] = {
      {"json", 0, OPTION_FLAG, &json, NULL, "one JSON array of objects, numbers that read back exactly"},
      {"csv", 0, OPTION_FLAG, &csv, NULL, "comma-separated values"},
      {0}};
  const struct command_usage usage = {
      "isoloss sql \"SELECT ...\" [--csv|--json]",
      "Asks the store one question in SQL; nothing can be changed by it. run_table has a row per run, metric_table\n"
      "the points of the curves with their runs' columns; docs/store.md describes the tables. What is printed rounds\n"
      "numbers and cuts ids, as isoloss runs does: scripts take --json or --csv.",
      1, 1, "one statement"};
  if (!command_begin(line, &usage, options)) return;
  struct error *error = &line->error;
  if (csv && json) {
    error_set(error, EXIT_USAGE_ERROR, "--csv or --json, not both");
    return;
  }
  struct store *store = store_open_home(STORE_READ, error);
  struct store_rows *rows = store ? store_ask(store, line->arguments[0], error) : NULL;
  if (rows && json)
    print_json(rows, error);
  else if (rows && csv)
    rows_write_csv(rows, NULL, 0, stdout, error);
  else if (rows)
    print_table(rows, &line->arena, error);
  else if (store)
    error_context(error, "sql");
  store_rows_close(rows);
  store_close(store);
}
