// isoloss import: a table from elsewhere into the store, under a name that fits and predictions take.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runner/commands.h"
#include "runner/fits/input.h"

struct import_arguments {
  const char *as, *map, *where, *remove, *show;
  bool list, json;
};

// ---- checks ----

static bool check_name(const char *name, struct error *error) {
  bool fine = *name && strlen(name) <= 100 && *name != '-';
  for (const char *c = name; *c; c++)
    fine &= (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-';
  return fine || error_set(error, EXIT_USAGE_ERROR,
                           "import: '%s' cannot be the name of a table: letters, digits, - and _ make one", name);
}

static bool numeric_name(const char *name) {
  static const char *const names[] = {"tokens",      "targets",      "steps", "epochs",        "flops",
                                      "flops_6nd",   "loss",         "seed",  "bits_per_byte", "tokens_per_parameter",
                                      "oracle_loss", "wall_seconds", "step"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0) return true;
  return starts_with(name, "parameters");
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

// ---- writing ----

static void row_document(const struct table *table, size_t row, struct text *out) {
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

static bool write_import(struct store *store, const struct import_arguments *arguments, const char *path,
                         const struct digest *digest, const char *mapping, const struct table *table,
                         struct error *error) {
  if (!store_begin(store, error)) return false;
  bool fine = store_import_begin(store, arguments->as, path, digest->hex, mapping, error);
  struct text document = {0};
  for (size_t row = 0; row < table->row_count && fine; row++) {
    text_clear(&document);
    row_document(table, row, &document);
    fine = store_import_row(store, arguments->as, (int64_t)row, text_string(&document), error);
  }
  text_free(&document);
  if (fine) return store_commit(store, error);
  store_rollback(store);
  return false;
}

// What an import replaced.
struct change {
  bool there, same;
  size_t added, removed, changed;
  struct text columns_added, columns_removed, columns_changed;
};

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

// Rows are told by their names: the file's own (run_id, id), else their numbers.
static void compare_tables(const struct table *old, const struct table *new, struct change *change) {
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

static bool find_change(struct store *store, const struct import_arguments *arguments, const struct table *table,
                        struct change *change, struct error *error) {
  if (!import_exists(store, arguments->as, &change->there, error) || !change->there) return !error->code;
  struct table old;
  bool fine = import_table(store, arguments->as, &old, error);
  if (fine) compare_tables(&old, table, change);
  table_free(&old);
  change->same = fine && !change->added && !change->removed && !change->changed && !change->columns_added.length &&
                 !change->columns_removed.length;
  return fine;
}

static void report_json(const struct import_arguments *arguments, const char *path, const struct digest *digest,
                        const char *mapping, const struct table *table, const struct change *change) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  json_object_begin(&writer);
  json_key_string(&writer, "name", arguments->as);
  json_key_string(&writer, "path", path);
  json_key_string(&writer, "digest", digest->hex);
  json_key_integer(&writer, "rows", (int64_t)table->row_count);
  json_key(&writer, "columns");
  json_array_begin(&writer);
  for (size_t c = 0; c < table->column_count; c++) json_put_string(&writer, table->columns[c].name);
  json_array_end(&writer);
  json_key(&writer, "mapping");
  json_put_raw(&writer, mapping);
  json_key_boolean(&writer, "replaced", change->there);
  json_key_integer(&writer, "rows_added", (int64_t)change->added);
  json_key_integer(&writer, "rows_removed", (int64_t)change->removed);
  json_key_integer(&writer, "rows_changed", (int64_t)change->changed);
  json_object_end(&writer);
  printf("%s\n", text_string(&text));
  text_free(&text);
}

static void report(const char *name, const struct table *table, const struct change *change) {
  printf("%s: %zu rows, %zu columns\n", name, table->row_count, table->column_count);
  if (change->same) printf("  nothing has changed since it was imported\n");
  if (!change->there || change->same) return;
  printf("  in the place of the former table: %zu rows added, %zu removed, %zu changed\n", change->added,
         change->removed, change->changed);
  if (change->columns_changed.length) printf("  changed in: %s\n", text_string(&change->columns_changed));
  if (change->columns_added.length) printf("  new columns: %s\n", text_string(&change->columns_added));
  if (change->columns_removed.length) printf("  columns gone: %s\n", text_string(&change->columns_removed));
}

static bool read_file(struct arena *arena, const struct import_arguments *arguments, const char *path,
                      struct table *table, struct error *error) {
  struct column_map *maps = NULL;
  size_t map_count = 0;
  if (arguments->map && !column_maps_parse(arena, arguments->map, &maps, &map_count, error)) return false;
  if (!table_read_csv(table, path, maps, map_count, error) || !check_columns(table, path, error)) return false;
  if (arguments->where) {
    bool *keep = arena_array(arena, table->row_count + 1, sizeof *keep);
    if (!table_where(table, arguments->where, keep, error)) return false;
    table_keep_rows(table, keep);
    if (!table->row_count)
      return error_set(error, EXIT_USAGE_ERROR, "%s: no row is left where %s", path, arguments->where);
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

static bool import_file(const struct import_arguments *arguments, const char *path, struct error *error) {
  struct arena arena = {0};
  struct table table = {0};
  struct digest digest;
  struct change change = {0};
  struct store *store = NULL;
  bool fine = check_name(arguments->as, error) && read_file(&arena, arguments, path, &table, error) &&
              digest_file(path, &digest, error) && (store = store_open_home(STORE_CREATE, error)) &&
              find_change(store, arguments, &table, &change, error);
  const char *mapping = fine ? mapping_text(&arena, &table) : NULL;
  char *absolute = realpath(path, NULL);
  fine = fine && write_import(store, arguments, absolute ? absolute : path, &digest, mapping, &table, error);
  if (fine && arguments->json)
    report_json(arguments, absolute ? absolute : path, &digest, mapping, &table, &change);
  else if (fine)
    report(arguments->as, &table, &change);
  free(absolute);
  text_free(&change.columns_added);
  text_free(&change.columns_removed);
  text_free(&change.columns_changed);
  store_close(store);
  table_free(&table);
  arena_free(&arena);
  return fine;
}

// ---- looking ----

static bool list_imports(struct store *store, bool json, struct error *error) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  struct store_rows *rows = store ? store_imports(store, NULL, error) : NULL;
  json_array_begin(&writer);
  size_t count = 0;
  while (rows && store_rows_next(rows, error)) {
    const char *name = store_rows_get(rows, "name").text, *path = store_rows_get(rows, "path").text;
    double number = store_rows_get(rows, "rows").number;
    time_t when = (time_t)store_rows_get(rows, "created_at").number;
    char day[32] = "";
    struct tm parts;
    if (localtime_r(&when, &parts)) strftime(day, sizeof day, "%Y-%m-%d %H:%M", &parts);
    if (!json) {
      if (!count++) printf("%-24s %8s  %-16s  %s\n", "name", "rows", "imported", "file");
      printf("%-24s %8.0f  %-16s  %s\n", name, number, day, path);
      continue;
    }
    json_object_begin(&writer);
    json_key_string(&writer, "name", name);
    json_key_string(&writer, "path", path);
    json_key_string(&writer, "digest", store_rows_get(rows, "digest").text);
    json_key_integer(&writer, "rows", (int64_t)number);
    json_key_number(&writer, "created_at", store_rows_get(rows, "created_at").number);
    json_key(&writer, "mapping");
    struct value mapping = store_rows_get(rows, "mapping");
    json_put_raw(&writer, mapping.kind == VALUE_TEXT ? mapping.text : "{}");
    json_object_end(&writer);
  }
  store_rows_close(rows);
  json_array_end(&writer);
  if (json && !error->code) printf("%s\n", text_string(&text));
  if (!json && !count && !error->code) printf("no table was imported yet (isoloss import FILE.csv --as NAME)\n");
  text_free(&text);
  return !error->code;
}

// A cell as CSV has it.
static void print_cell(const char *text) {
  if (!strpbrk(text, ",\"\n\r") && *text != ' ') {
    fputs(text, stdout);
    return;
  }
  putchar('"');
  for (; *text; text++) {
    if (*text == '"') putchar('"');
    putchar(*text);
  }
  putchar('"');
}

static bool show_import(struct store *store, const struct import_arguments *arguments, struct error *error) {
  struct table table = {0};
  bool fine = import_table(store, arguments->show, &table, error);
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  json_array_begin(&writer);
  for (size_t c = 0; c < table.column_count && fine && !arguments->json; c++) {
    if (c) putchar(',');
    print_cell(table.columns[c].name);
  }
  if (fine && !arguments->json) putchar('\n');
  for (size_t row = 0; row < table.row_count && fine; row++) {
    if (arguments->json) {
      struct text document = {0};
      row_document(&table, row, &document);
      json_put_raw(&writer, text_string(&document));
      text_free(&document);
      continue;
    }
    for (size_t c = 0; c < table.column_count; c++) {
      struct value value = table_value(&table, c, row);
      char number[32] = "";
      if (value.kind == VALUE_NUMBER) number_shortest(value.number, number);
      if (c) putchar(',');
      print_cell(value.kind == VALUE_TEXT ? value.text : number);
    }
    putchar('\n');
  }
  json_array_end(&writer);
  if (fine && arguments->json) printf("%s\n", text_string(&text));
  text_free(&text);
  table_free(&table);
  return fine;
}

static bool remove_import(struct store *store, const struct import_arguments *arguments, struct error *error) {
  bool found = false;
  if (!store_import_remove(store, arguments->remove, &found, error)) return false;
  if (!found)
    return error_set(error, EXIT_USAGE_ERROR, "import: there is no table '%s' (isoloss import --list)",
                     arguments->remove);
  if (arguments->json)
    printf("{\"removed\":\"%s\"}\n", arguments->remove);
  else
    printf("%s: removed\n", arguments->remove);
  return true;
}

static bool look(const struct import_arguments *arguments, struct error *error) {
  if (!store_exists_home()) {
    if (arguments->list) return list_imports(NULL, arguments->json, error);
    return error_set(error, EXIT_USAGE_ERROR, "import: there is no table '%s': nothing was imported yet",
                     arguments->show ? arguments->show : arguments->remove);
  }
  struct store *store = store_open_home(arguments->remove ? STORE_WRITE : STORE_READ, error);
  bool fine = store != NULL;
  if (fine)
    fine = arguments->list   ? list_imports(store, arguments->json, error)
           : arguments->show ? show_import(store, arguments, error)
                             : remove_import(store, arguments, error);
  store_close(store);
  return fine;
}

void command_import(struct command_line *line) {
  struct import_arguments a = {0};
  const struct option options[] = {
      {"as", 'a', OPTION_TEXT, &a.as, "NAME", "the table's name; one of that name is replaced"},
      {"map", 'm', OPTION_TEXT, &a.map, "LIST", "columns by other names: parameters=N_total,tokens=D_seen"},
      {"where", 'w', OPTION_TEXT, &a.where, "EXPR", "rows to take: \"N > 1e6\" (default: all)"},
      {"list", 'l', OPTION_FLAG, &a.list, NULL, "list the imported tables"},
      {"show", 0, OPTION_TEXT, &a.show, "NAME", "print an imported table as CSV"},
      {"remove", 0, OPTION_TEXT, &a.remove, "NAME", "remove an imported table"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"},
      {0}};
  static const char arguments[] =
      "one table and a name (isoloss import TABLE.csv --as NAME), or one of --list, --show NAME, --remove NAME";
  const struct command_usage usage = {
      "isoloss import TABLE.csv --as NAME [--map LIST] | --list | --show NAME | --remove NAME",
      "An imported table can be fitted, predicted from and pooled with runs by its name, wherever a TABLE.csv may stand:\n"
      "isoloss fit NAME --law chinchilla. Columns get the store's names with --map, the store's name on the left; N, D and C\n"
      "become parameters, tokens and flops. The file's digest is kept; importing a changed file under the same name tells\n"
      "what has changed.",
      0, 1, arguments};
  if (!command_begin(line, &usage, options)) return;
  int asked = a.list + (a.show != NULL) + (a.remove != NULL);
  if (asked > 1 || (asked && (line->count || a.as)) || (!asked && (!line->count || !a.as)))
    error_set(&line->error, EXIT_USAGE_ERROR, "import: give %s", arguments);
  else if (asked)
    look(&a, &line->error);
  else
    import_file(&a, line->arguments[0], &line->error);
}
