// isoloss import: a table from elsewhere into the store, under a name that fits and predictions take.
#include "runner/fits/import.h"

#include <string.h>
#include <time.h>

#include "runner/commands.h"
#include "runner/terminal/table.h"

struct import_arguments {
  const char *as, *map, *where, *remove, *show;
  bool list, json;
};

// ---- importing ----

static void print_json(const char *name, const struct imported *imported) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  json_object_begin(&writer);
  json_key_string(&writer, "name", name);
  json_key_string(&writer, "path", imported->path);
  json_key_string(&writer, "digest", imported->digest.hex);
  json_key_integer(&writer, "rows", (int64_t)imported->table.row_count);
  json_key_integer(&writer, "duplicates", (int64_t)imported->duplicates);
  json_key(&writer, "columns");
  json_array_begin(&writer);
  for (size_t c = 0; c < imported->table.column_count; c++) json_put_string(&writer, imported->table.columns[c].name);
  json_array_end(&writer);
  json_key(&writer, "mapping");
  json_put_raw(&writer, imported->mapping);
  json_key_boolean(&writer, "replaced", imported->change.there);
  json_key_integer(&writer, "rows_added", (int64_t)imported->change.added);
  json_key_integer(&writer, "rows_removed", (int64_t)imported->change.removed);
  json_key_integer(&writer, "rows_changed", (int64_t)imported->change.changed);
  json_key(&writer, "warnings");
  json_array_begin(&writer);
  for (size_t i = 0; i < imported->table.note_count; i++) json_put_string(&writer, imported->table.notes[i]);
  json_array_end(&writer);
  json_object_end(&writer);
  printf("%s\n", text_string(&text));
  text_free(&text);
}

static void print_people(const char *name, const struct imported *imported) {
  const struct import_change *change = &imported->change;
  printf("%s: %zu row%s, %zu column%s\n", name, imported->table.row_count, imported->table.row_count == 1 ? "" : "s",
         imported->table.column_count, imported->table.column_count == 1 ? "" : "s");
  if (imported->duplicates)
    printf("  %zu row%s others; fits count them once\n", imported->duplicates,
           imported->duplicates == 1 ? " repeats" : "s repeat");
  for (size_t i = 0; i < imported->table.note_count; i++) printf("  warning: %s\n", imported->table.notes[i]);
  if (change->same) printf("  nothing has changed since it was imported\n");
  if (!change->there || change->same) return;
  printf("  in the place of the former table: %zu row%s added, %zu removed, %zu changed\n", change->added,
         change->added == 1 ? "" : "s", change->removed, change->changed);
  if (change->columns_changed.length) printf("  changed in: %s\n", text_string(&change->columns_changed));
  if (change->columns_added.length) printf("  new columns: %s\n", text_string(&change->columns_added));
  if (change->columns_removed.length) printf("  columns gone: %s\n", text_string(&change->columns_removed));
}

static void import(const struct import_arguments *arguments, const char *path, struct error *error) {
  const struct import_request request = {arguments->as, path, arguments->map, arguments->where};
  struct imported imported;
  if (import_file(&request, &imported, error)) {
    if (arguments->json)
      print_json(arguments->as, &imported);
    else
      print_people(arguments->as, &imported);
  }
  imported_free(&imported);
}

// ---- looking ----

static bool list_imports(struct store *store, bool json, struct error *error) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  struct store_rows *rows = store ? store_imports(store, NULL, error) : NULL;
  json_array_begin(&writer);
  size_t count = 0;
  static const struct text_column columns[] = {
      {"name", .least = 24}, {"rows", .right = true}, {"imported"}, {"file"}, {0}};
  struct text_table table = {.gap = 2};
  text_table_columns(&table, columns);
  while (rows && store_rows_next(rows, error)) {
    const char *name = store_rows_get(rows, "name").text, *path = store_rows_get(rows, "path").text;
    double number = store_rows_get(rows, "rows").number;
    time_t when = (time_t)store_rows_get(rows, "created_at").number;
    char day[32] = "";
    struct tm parts;
    if (localtime_r(&when, &parts)) strftime(day, sizeof day, "%Y-%m-%d %H:%M", &parts);
    if (!json) {
      text_table_cell(&table, "%s", name);
      text_table_cell(&table, "%.0f", number);
      text_table_cell(&table, "%s", day);
      text_table_cell(&table, "%s", path);
      count++;
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
  if (count) text_table_print(&table, stdout);
  text_table_free(&table);
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
      import_row_json(&table, row, &document);
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
      {"map", 'm', OPTION_TEXT, &a.map, "LIST",
       "columns by other names, or computed: parameters=N_total,tokens=D_billions*1e9"},
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
      "become parameters, tokens and flops. The file's digest is kept; importing a changed file under the same name says\n"
      "what has changed.",
      0, 1, arguments};
  if (!command_begin(line, &usage, options)) return;
  int asked = a.list + (a.show != NULL) + (a.remove != NULL);
  if (asked > 1 || (asked && (line->count || a.as)) || (!asked && (!line->count || !a.as)))
    error_set(&line->error, EXIT_USAGE_ERROR, "import: give %s", arguments);
  else if (asked)
    look(&a, &line->error);
  else
    import(&a, line->arguments[0], &line->error);
}
