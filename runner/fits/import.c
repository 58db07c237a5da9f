// See import.h. Rows are kept as JSON objects; import_table.c reads them back.
#include "runner/fits/import.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- checks ----

static bool check_name(const char *name, struct error *error) {
  bool fine = *name && strlen(name) <= 100 && *name != '-';
  for (const char *c = name; *c; c++)
    fine &= (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-';
  return fine || error_set(error, EXIT_USAGE_ERROR,
                           "import: '%s' cannot be the name of a table: letters, digits, - and _ make one", name);
}

// Quantities and outcomes of runs that the store keeps as numbers.
static bool numeric_name(const char *name) {
  const struct run_column *column = run_column_find(name);
  if (!column) return strcmp(name, "seed") == 0 || starts_with(name, "parameters");
  return column->type != TYPE_TEXT && column->role != RUN_NOTE;
}

// Columns that stand for numbers in the store hold numbers; the first cell that is none is named with its place.
static bool check_columns(const struct table *table, const char *path, struct error *error) {
  double number;
  for (size_t c = 0; c < table->column_count; c++) {
    const struct table_column *column = &table->columns[c];
    if (column->kind != COLUMN_CATEGORY || !numeric_name(column->name)) continue;
    for (size_t row = 0; row < table->row_count; row++) {
      if (column->codes[row] < 0 || number_parse(column->categories[column->codes[row]], &number)) continue;
      return error_set(
          error, EXIT_USAGE_ERROR,
          "%s:%d: column %zu, '%s': '%.100s' is no number, and %s is one (mend the cell, leave it empty, or "
          "map another column: --map %s=COLUMN)",
          path, table->row_lines ? table->row_lines[row] : 0, c + 1, column->original,
          column->categories[column->codes[row]], column->name, column->name);
    }
  }
  return true;
}

static bool read_file(struct arena *arena, const struct import_request *request, struct table *table,
                      struct error *error) {
  struct column_map *maps = NULL;
  size_t map_count = 0;
  if (request->map && !column_maps_parse(arena, request->map, &maps, &map_count, error)) return false;
  if (!table_read_csv(table, request->path, maps, map_count, error) || !check_columns(table, request->path, error))
    return false;
  if (request->where) {
    bool *keep = arena_array(arena, table->row_count + 1, sizeof *keep);
    if (!table_where(table, request->where, keep, error)) return false;
    table_keep_rows(table, keep);
    if (!table->row_count)
      return error_set(error, EXIT_USAGE_ERROR, "%s: no row is left where %s", request->path, request->where);
  }
  // rows are named as the store will name them
  int id = table_find(table, "run_id");
  if (id < 0 || table->columns[id].kind != COLUMN_CATEGORY) id = table_find(table, "id");
  for (size_t row = 0; row < table->row_count; row++) {
    struct value name = {.kind = VALUE_MISSING};
    if (id >= 0) name = table_value(table, (size_t)id, row);
    table->row_names[row] = name.kind == VALUE_TEXT ? name.text : arena_format(&table->arena, "row %zu", row + 1);
  }
  return true;
}

// ---- writing ----

void import_row_json(const struct table *table, size_t row, struct text *out) {
  struct json_writer writer = json_writer(out, false);
  json_object_begin(&writer);
  for (size_t c = 0; c < table->column_count; c++) {
    struct value value = table_value(table, c, row);
    json_key(&writer, table->columns[c].name);
    if (value.kind == VALUE_TEXT)
      json_put_string(&writer, value.text);
    else
      json_put_number(&writer, value.kind == VALUE_NUMBER ? value.number : NAN);
  }
  json_object_end(&writer);
}

static bool write_import(struct store *store, const char *name, const char *path, const struct digest *digest,
                         const char *mapping, const struct table *table, struct error *error) {
  if (!store_begin(store, error)) return false;
  bool fine = store_import_begin(store, name, path, digest->hex, mapping, error);
  struct text document = {0};
  for (size_t row = 0; row < table->row_count && fine; row++) {
    text_clear(&document);
    import_row_json(table, row, &document);
    fine = store_import_row(store, name, (int64_t)row, text_string(&document), error);
  }
  text_free(&document);
  if (fine) return store_commit(store, error);
  store_rollback(store);
  return false;
}

// ---- what has changed ----

static bool cells_equal(const struct table *a, size_t column_a, size_t row_a, const struct table *b, size_t column_b,
                        size_t row_b) {
  struct value x = table_value(a, column_a, row_a), y = table_value(b, column_b, row_b);
  if (x.kind != y.kind) return false;
  return x.kind == VALUE_TEXT ? strcmp(x.text, y.text) == 0 : x.kind == VALUE_MISSING || x.number == y.number;
}

struct named_row {
  const char *name;
  size_t row;
};

static int by_name(const void *a, const void *b) {
  const struct named_row *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : (x->row > y->row) - (x->row < y->row);
}

static struct named_row *sorted_rows(struct arena *arena, const struct table *table) {
  struct named_row *rows = arena_array(arena, table->row_count + 1, sizeof *rows);
  for (size_t row = 0; row < table->row_count; row++) rows[row] = (struct named_row){table->row_names[row], row};
  qsort(rows, table->row_count, sizeof *rows, by_name);
  return rows;
}

static void add_word(struct text *text, const char *word) { text_format(text, "%s%s", text->length ? ", " : "", word); }

// Rows are identified by their names: the file's own (run_id, id), else their numbers.
static void compare_tables(const struct table *old, const struct table *new, struct import_change *change) {
  struct arena arena = {0};
  bool *differs = arena_array(&arena, new->column_count + 1, sizeof *differs);
  struct named_row *before = sorted_rows(&arena, old), *after = sorted_rows(&arena, new);
  for (size_t c = 0; c < new->column_count; c++)
    if (table_find(old, new->columns[c].name) < 0) add_word(&change->columns_added, new->columns[c].name);
  for (size_t c = 0; c < old->column_count; c++)
    if (table_find(new, old->columns[c].name) < 0) add_word(&change->columns_removed, old->columns[c].name);
  size_t i = 0, j = 0;
  while (i < old->row_count || j < new->row_count) {
    int order = i == old->row_count ? 1 : j == new->row_count ? -1 : strcmp(before[i].name, after[j].name);
    if (order) {
      change->removed += order < 0;
      change->added += order > 0;
      i += order < 0;
      j += order > 0;
      continue;
    }
    bool changed = false;
    for (size_t c = 0; c < new->column_count; c++) {
      int from = table_find(old, new->columns[c].name);
      if (from < 0 || cells_equal(old, (size_t)from, before[i].row, new, c, after[j].row)) continue;
      changed = differs[c] = true;
    }
    change->changed += changed;
    i++;
    j++;
  }
  for (size_t c = 0; c < new->column_count; c++)
    if (differs[c]) add_word(&change->columns_changed, new->columns[c].name);
  arena_free(&arena);
}

// The mapping as a JSON object: the store's names of columns that are called otherwise in the file.
static const char *mapping_text(struct arena *arena, const struct table *table) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  json_object_begin(&writer);
  for (size_t c = 0; c < table->column_count; c++)
    if (strcmp(table->columns[c].name, table->columns[c].original) != 0)
      json_key_string(&writer, table->columns[c].name, table->columns[c].original);
  json_object_end(&writer);
  const char *made = arena_string(arena, text_string(&text));
  text_free(&text);
  return made;
}

static bool find_change(struct store *store, const char *name, const struct table *table, struct import_change *change,
                        struct error *error) {
  if (!import_exists(store, name, &change->there, error) || !change->there) return !error->code;
  struct table old;
  bool fine = import_table(store, name, &old, error);
  if (fine) compare_tables(&old, table, change);
  table_free(&old);
  change->same = fine && !change->added && !change->removed && !change->changed && !change->columns_added.length &&
                 !change->columns_removed.length;
  return fine;
}

bool import_file(const struct import_request *request, struct imported *imported, struct error *error) {
  struct arena *arena = &imported->arena;
  struct store *store = NULL;
  static const char *const keys[] = {"parameters", "tokens", "flops", "format"};
  *imported = (struct imported){0};
  bool fine = check_name(request->name, error) && read_file(arena, request, &imported->table, error) &&
              digest_file(request->path, &imported->digest, error) && (store = store_open_home(STORE_CREATE, error)) &&
              find_change(store, request->name, &imported->table, &imported->change, error);
  if (fine) {
    imported->duplicates = table_count_duplicates(&imported->table, "loss", keys, sizeof keys / sizeof *keys);
    char *absolute = realpath(request->path, NULL);
    imported->path = arena_string(arena, absolute ? absolute : request->path);
    imported->mapping = mapping_text(arena, &imported->table);
    free(absolute);
    fine = write_import(store, request->name, imported->path, &imported->digest, imported->mapping, &imported->table,
                        error);
  }
  store_close(store);
  return fine;
}

void imported_free(struct imported *imported) {
  text_free(&imported->change.columns_added);
  text_free(&imported->change.columns_removed);
  text_free(&imported->change.columns_changed);
  table_free(&imported->table);
  arena_free(&imported->arena);
}
