// Imported tables as tables of observations, read back from the rows that the store keeps as JSON objects.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/import.h"

bool import_exists(struct store *store, const char *name, bool *exists, struct error *error) {
  struct store_rows *rows = store_imports(store, name, error);
  *exists = rows && store_rows_next(rows, error);
  store_rows_close(rows);
  return !error->code;
}

static bool unknown_import(struct store *store, const char *name, struct error *error) {
  struct arena arena = {0};
  const char **names = NULL;
  size_t count = 0;
  struct store_rows *rows = store_imports(store, NULL, error);
  while (rows && store_rows_next(rows, error)) {
    names = arena_grow(&arena, names, count, count + 1, sizeof *names);
    names[count++] = arena_string(&arena, store_rows_get(rows, "name").text);
  }
  store_rows_close(rows);
  if (!error->code) {
    error_set(error, EXIT_USAGE_ERROR, "there is no table '%s'", name);
    error_hint(error, nearest_name(name, names, count), " (isoloss import --list lists the imported ones)");
  }
  arena_free(&arena);
  return false;
}

// How many rows there are, and the first of them.
static bool count_rows(struct store *store, const char *name, struct arena *arena, size_t *count, json_t **first,
                       bool **texts, struct error *error) {
  struct store_rows *rows = store_import_rows(store, name, error);
  *count = 0;
  *first = NULL;
  while (rows && store_rows_next(rows, error)) {
    json_t *row = json_loads(store_rows_get(rows, "document").text, 0, NULL);
    if (!json_is_object(row)) {
      json_decref(row);
      error_set(error, EXIT_ENVIRONMENT, "the imported table '%s' is damaged in row %zu; import it again", name,
                *count + 1);
      break;
    }
    if (!*count) *texts = arena_array(arena, json_object_size(row) + 1, sizeof **texts);
    size_t column = 0;
    const char *key;
    json_t *value;
    json_object_foreach(row, key, value) {
      if (column < json_object_size(*count ? *first : row)) (*texts)[column] |= json_is_string(value);
      column++;
    }
    if (!(*count)++)
      *first = row;
    else
      json_decref(row);
  }
  store_rows_close(rows);
  return !error->code;
}

static void fill_row(struct table *table, size_t row, const json_t *document) {
  for (size_t c = 0; c < table->column_count; c++) {
    const json_t *value = json_object_get(document, table->columns[c].name);
    if (table->columns[c].kind == COLUMN_CATEGORY)
      table_set_category(table, c, row, json_is_string(value) ? json_string_value(value) : NULL);
    else
      table->columns[c].numbers[row] = json_is_number(value) ? json_number_value(value) : NAN;
  }
  const json_t *id = json_object_get(document, "run_id");
  if (!json_is_string(id)) id = json_object_get(document, "id");
  if (json_is_string(id))
    table_name_row(table, row, json_string_value(id));
  else
    table->row_names[row] = arena_format(&table->arena, "row %zu", row + 1);
}

// The columns' names in the file, from the mapping that the import kept.
static bool name_originals(struct store *store, const char *name, struct table *table, struct error *error) {
  struct store_rows *rows = store_imports(store, name, error);
  if (rows && store_rows_next(rows, error)) {
    struct value mapping = store_rows_get(rows, "mapping");
    json_t *map = mapping.kind == VALUE_TEXT ? json_loads(mapping.text, 0, NULL) : NULL;
    for (size_t c = 0; c < table->column_count; c++) {
      const char *original = json_string_value(json_object_get(map, table->columns[c].name));
      if (original) table->columns[c].original = arena_string(&table->arena, original);
    }
    json_decref(map);
  }
  store_rows_close(rows);
  return !error->code;
}

bool import_table(struct store *store, const char *name, struct table *table, struct error *error) {
  struct arena arena = {0};
  *table = (struct table){0};
  size_t count;
  json_t *first = NULL;
  bool *texts = NULL, exists;
  bool fine = import_exists(store, name, &exists, error);
  if (fine && !exists) fine = unknown_import(store, name, error);
  fine = fine && count_rows(store, name, &arena, &count, &first, &texts, error);
  if (fine && !texts)
    fine = error_set(error, EXIT_ENVIRONMENT, "the imported table '%s' has no rows; import it again", name);
  if (fine) {
    table_init(table, name, count);
    const char *key;
    json_t *value;
    size_t column = 0;
    json_object_foreach(first, key, value) {
      if (texts[column++])
        table_add_category(table, key, ROLE_UNKNOWN);
      else
        table_add_number(table, key, ROLE_UNKNOWN);
    }
    struct store_rows *rows = store_import_rows(store, name, error);
    for (size_t row = 0; row < count && rows && store_rows_next(rows, error); row++) {
      json_t *document = json_loads(store_rows_get(rows, "document").text, 0, NULL);
      fill_row(table, row, document);
      json_decref(document);
    }
    store_rows_close(rows);
    fine = !error->code && name_originals(store, name, table, error);
  }
  json_decref(first);
  arena_free(&arena);
  return fine;
}
