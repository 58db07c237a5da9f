// See settings.h.
#include "runner/live/settings.h"

#include <stdlib.h>
#include <string.h>

#include "runner/execute/rows.h"

// A run field, or one that a spec declares.
static bool is_setting(const char *column) {
  return field_find(column, NULL) || (!run_column_find(column) && !run_column_is_result(column));
}

// The values of settings run by run, as text.
struct table {
  struct arena arena;
  int *columns, count;
  const char **cells;  // [rows][count]
  size_t rows, capacity;
};

static bool read_table(struct table *table, struct store_rows *rows, struct error *error) {
  int columns = store_rows_columns(rows);
  table->columns = arena_array(&table->arena, (size_t)columns + 1, sizeof(int));
  for (int i = 0; i < columns; i++)
    if (is_setting(store_rows_name(rows, i))) table->columns[table->count++] = i;
  const char **last = arena_array(&table->arena, (size_t)table->count + 1, sizeof(char *));
  for (; store_rows_next(rows, error); table->rows++) {
    if (table->rows == table->capacity) {
      size_t before = table->capacity * (size_t)table->count;
      table->capacity = table->capacity ? 2 * table->capacity : 256;
      table->cells =
          arena_grow(&table->arena, table->cells, before, table->capacity * (size_t)table->count, sizeof(char *));
    }
    for (int i = 0; i < table->count; i++) {
      struct value value = store_rows_value(rows, table->columns[i]);
      char number[32];
      const char *text = value_plain(&value, number);
      // Runs that follow each other mostly share it: most cells are one text.
      if (!last[i] || strcmp(last[i], text) != 0) last[i] = arena_string(&table->arena, text);
      table->cells[table->rows * (size_t)table->count + (size_t)i] = last[i];
    }
  }
  return !error->code;
}

static const char *cell(const struct table *table, size_t row, int column) {
  return table->cells[row * (size_t)table->count + (size_t)column];
}

static bool differs(const struct table *table, int column) {
  for (size_t row = 1; row < table->rows; row++)
    if (strcmp(cell(table, row, column), cell(table, 0, column)) != 0) return true;
  return false;
}

struct pair {
  const char *a, *b;
};

static int by_pair(const void *left, const void *right) {
  const struct pair *x = left, *y = right;
  int order = strcmp(x->a, y->a);
  return order ? order : strcmp(x->b, y->b);
}

// Whether each value of one goes with one value of the other: it then says nothing that the other does not.
static bool follows(const struct table *table, int column, int from, struct pair *pairs) {
  for (size_t row = 0; row < table->rows; row++)
    pairs[row] = (struct pair){cell(table, row, from), cell(table, row, column)};
  qsort(pairs, table->rows, sizeof *pairs, by_pair);
  for (size_t row = 1; row < table->rows; row++)
    if (strcmp(pairs[row].a, pairs[row - 1].a) == 0 && strcmp(pairs[row].b, pairs[row - 1].b) != 0) return false;
  return true;
}

const char **differing_settings(struct store *store, const char *experiment, struct arena *arena, size_t *count,
                                struct error *error) {
  struct run_query query = {.experiment = experiment};
  struct table table = {0};
  struct store_rows *rows = store_runs(store, &query, error);
  bool fine = rows && read_table(&table, rows, error);
  const char **settings = arena_array(arena, (size_t)table.count + 1, sizeof(char *));
  int *kept = arena_array(&table.arena, (size_t)table.count + 1, sizeof(int));
  struct pair *pairs = arena_array(&table.arena, table.rows + 1, sizeof *pairs);
  *count = 0;
  for (int i = 0; fine && i < table.count; i++) {
    if (!differs(&table, i)) continue;
    bool said = false;
    for (size_t k = 0; k < *count && !said; k++) said = follows(&table, i, kept[k], pairs);
    if (said) continue;
    kept[*count] = i;
    settings[(*count)++] = arena_string(arena, store_rows_name(rows, table.columns[i]));
  }
  store_rows_close(rows);
  arena_free(&table.arena);
  return fine ? settings : NULL;
}
