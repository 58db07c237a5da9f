// Queries: run columns, rows, filters in the expression language.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/store_internal.h"

struct store_rows {
  struct store *store;
  sqlite3_stmt *statement;
  struct arena arena;
  const struct store_column *columns;  // of a query over runs, else NULL
  struct expression *where;
  int *where_columns;  // column of each name in `where`
  struct value *slots;
  int64_t limit, given;
};

enum { MOST_OWN = 256 };

// Fields that specs declare for trainers of their own, and those of tasks, as the runs of the store have them.
static void load_own_columns(struct store *store) {
  struct arena *arena = &store->arena;
  sqlite3_stmt *s = NULL;
  const char *sql =
      "SELECT j.key, max(j.type = 'text'), min(j.type IN ('true', 'false')) FROM runs r, json_each(r.config, '$.own') j "
      "WHERE (r.command IS NOT NULL OR r.stage LIKE 'task %') GROUP BY j.key ORDER BY j.key LIMIT 256";
  if (sqlite3_prepare_v2(store->database, sql, -1, &s, NULL) != SQLITE_OK) return;  // of a version before
  while (sqlite3_step(s) == SQLITE_ROW) {
    const char *name = arena_string(arena, (const char *)sqlite3_column_text(s, 0));
    if (strpbrk(name, "'\"") || run_column_find(name) || field_find(name, NULL)) continue;
    // Of one name that is text in some experiment and a number in another, all are read as text.
    bool text = sqlite3_column_int(s, 1) != 0;
    const char *value = arena_format(arena, "json_extract(r.config, '$.own.\"%s\"')", name);
    store->columns[store->column_count++] = (struct store_column){
        name, text ? arena_format(arena, "CAST(%s AS TEXT)", value) : value, text, sqlite3_column_int(s, 2) != 0};
  }
  sqlite3_finalize(s);
}

void store_load_columns(struct store *store) {
  struct arena *arena = &store->arena;
  size_t room = run_column_count + run_field_count + MOST_OWN + store_task_column_room();
  store->columns = arena_array(arena, room, sizeof *store->columns);
  store->column_names = arena_array(arena, room, sizeof *store->column_names);
  store->column_count = 0;
  for (size_t i = 0; i < run_column_count; i++) {
    const struct run_column *column = &run_columns[i];
    if (!run_column_listed(column)) continue;
    store->columns[store->column_count++] =
        (struct store_column){column->name, column->sql ? column->sql : arena_format(arena, "r.%s", column->name),
                              column->type == TYPE_TEXT, false};
  }
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    const char *value = arena_format(arena, "json_extract(r.config, '$.\"%s\"')", field->path);
    // A training of before there was the stage, or a choice of tasks, has the default.
    if ((field->stage || field->groups & GROUP_ALL_TASKS) && field->type >= FIELD_CHOICE)
      value = arena_format(arena, "coalesce(%s, '%s')", value, field->fallback);
    store->columns[store->column_count++] =
        (struct store_column){field->path, value, field->type >= FIELD_CHOICE, field->type == FIELD_BOOLEAN};
  }
  load_own_columns(store);
  store_load_task_columns(store);
  for (int i = 0; i < store->column_count; i++) store->column_names[i] = store->columns[i].name;
}

void store_columns_renew(struct store *store) { store_load_columns(store); }

const char *const *store_run_columns(struct store *store, int *count) {
  *count = store->column_count;
  return store->column_names;
}

static void select_columns(struct store *store, struct text *sql) {
  text_add(sql, "SELECT ");
  for (int i = 0; i < store->column_count; i++)
    text_format(sql, "%s%s AS \"%s\"", i ? ", " : "", store->columns[i].sql, store->columns[i].name);
}

// ---- rows ----

int store_rows_columns(const struct store_rows *rows) { return sqlite3_column_count(rows->statement); }
const char *store_rows_name(const struct store_rows *rows, int column) {
  return sqlite3_column_name(rows->statement, column);
}

int store_rows_find(const struct store_rows *rows, const char *name) {
  int count = store_rows_columns(rows);
  for (int i = 0; i < count; i++)
    if (strcmp(store_rows_name(rows, i), name) == 0) return i;
  return -1;
}

bool store_rows_is_text(const struct store_rows *rows, int column) { return rows->columns[column].text; }

struct value store_rows_value(const struct store_rows *rows, int column) {
  struct value value = {.kind = VALUE_MISSING};
  switch (sqlite3_column_type(rows->statement, column)) {
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
      value.kind = rows->columns && rows->columns[column].boolean ? VALUE_BOOLEAN : VALUE_NUMBER;
      value.number = sqlite3_column_double(rows->statement, column);
      break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
      value.kind = VALUE_TEXT;
      value.text = (const char *)sqlite3_column_text(rows->statement, column);
      break;
    default:
      break;
  }
  return value;
}

bool store_rows_long(const struct store_rows *rows, int column, int64_t *value) {
  if (sqlite3_column_type(rows->statement, column) != SQLITE_INTEGER) return false;
  *value = sqlite3_column_int64(rows->statement, column);
  return *value < -(INT64_C(1) << 53) || *value > INT64_C(1) << 53;
}

double store_rows_number(const struct store_rows *rows, int column) {
  struct value value = store_rows_value(rows, column);
  return value.kind == VALUE_NUMBER ? value.number : NAN;
}

struct value store_rows_get(const struct store_rows *rows, const char *name) {
  int column = store_rows_find(rows, name);
  return column < 0 ? (struct value){.kind = VALUE_MISSING} : store_rows_value(rows, column);
}

void store_rows_close(struct store_rows *rows) {
  if (!rows) return;
  sqlite3_finalize(rows->statement);
  arena_free(&rows->arena);
  free(rows);
}

static bool row_matches(struct store_rows *rows, bool *matches, struct error *error) {
  *matches = true;
  if (!rows->where) return true;
  for (int i = 0; i < rows->where->name_count; i++) {
    int column = rows->where_columns[i];
    struct value value = store_rows_value(rows, column);
    if (value.kind == VALUE_MISSING)
      value = rows->columns[column].text ? (struct value){.kind = VALUE_TEXT, .text = ""}
                                         : (struct value){.kind = VALUE_NUMBER, .number = NAN};
    rows->slots[i] = value;
  }
  return expression_condition(rows->where, rows->slots, matches, error);
}

bool store_rows_next(struct store_rows *rows, struct error *error) {
  while (!rows->limit || rows->given < rows->limit) {
    int code = sqlite3_step(rows->statement);
    if (code == SQLITE_DONE) return store_unchanged(rows->store, error) && false;
    if (code != SQLITE_ROW) return store_fail(rows->store, error, "reading");
    bool matches;
    if (!row_matches(rows, &matches, error)) return false;
    if (!matches) continue;
    rows->given++;
    return true;
  }
  return false;
}

struct store_rows *store_rows_of(struct store *store, sqlite3_stmt *statement) {
  struct store_rows *rows = memory_get(sizeof *rows);
  rows->store = store;
  rows->statement = statement;
  return rows;
}

static struct store_rows *rows_new(struct store *store, const char *sql, struct error *error) {
  struct store_rows *rows = store_rows_of(store, NULL);
  if (sqlite3_prepare_v2(store->database, sql, -1, &rows->statement, NULL) == SQLITE_OK) return rows;
  store_fail(store, error, "reading");
  store_rows_close(rows);
  return NULL;
}

struct store_rows *store_select(struct store *store, const char *sql, const struct value *values, size_t count,
                                struct error *error) {
  struct store_rows *rows = rows_new(store, sql, error);
  if (!rows) return NULL;
  if (!sqlite3_stmt_readonly(rows->statement)) {
    error_set(error, EXIT_USAGE_ERROR, "this statement would write: %s", sql);
    store_rows_close(rows);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) bind_value(rows->statement, (int)i + 1, &values[i]);
  return rows;
}

// ---- runs ----

static int find_column(struct store *store, const char *name) {
  for (int i = 0; i < store->column_count; i++)
    if (strcmp(store->columns[i].name, name) == 0) return i;
  return -1;
}

static bool unknown_column(struct store *store, const char *name, struct error *error) {
  const char *near = nearest_name(name, store->column_names, (size_t)store->column_count);
  error_set(error, EXIT_USAGE_ERROR, "runs have no column '%s'", name);
  return error_hint(error, near, " (text is written in quotes; `isoloss runs --columns help` lists the columns)");
}

static const char *spell(void *context, const char *name, const char *text, struct arena *arena) {
  (void)context;
  return run_text_spelling(name, text, arena);
}

static bool parse_where(struct store_rows *rows, const char *where, struct error *error) {
  rows->where = expression_parse(&rows->arena, where, error);
  if (!rows->where) return error_context(error, "condition '%s'", where);
  expression_spell_texts(rows->where, &rows->arena, spell, NULL);
  size_t count = (size_t)rows->where->name_count;
  rows->where_columns = arena_array(&rows->arena, count, sizeof *rows->where_columns);
  rows->slots = arena_array(&rows->arena, count, sizeof *rows->slots);
  for (size_t i = 0; i < count; i++) {
    const struct expression_name *name = &rows->where->names[i];
    if (name->index)
      return error_set(error, EXIT_USAGE_ERROR, "condition '%s': column %d: runs have no '%s[%s]'", where,
                       name->offset + 1, name->name, name->index);
    rows->where_columns[i] = find_column(rows->store, name->name);
    if (rows->where_columns[i] < 0) {
      unknown_column(rows->store, name->name, error);
      return error_context(error, "condition '%s': column %d", where, name->offset + 1);
    }
  }
  return true;
}

struct store_rows *store_runs(struct store *store, const struct run_query *query, struct error *error) {
  int sort = -1;
  bool falling = query->sort && query->sort[0] == '-';
  if (query->sort) {
    const char *name = query->sort + falling;
    sort = find_column(store, column_canonical(name));
    if (sort < 0) {
      unknown_column(store, name, error);
      return NULL;
    }
  }
  struct text sql = {0};
  select_columns(store, &sql);
  text_add(&sql, query->experiment ? " FROM experiment_runs e JOIN " RUNS_AND_FORMATS
                                     " WHERE r.id = e.run AND e.experiment = ?1"
                                   : " FROM " RUNS_AND_FORMATS " WHERE 1");
  if (query->state) text_add(&sql, " AND r.state = ?2");
  text_add(&sql, " ORDER BY ");
  if (sort >= 0) text_format(&sql, "%s %s NULLS LAST, ", store->columns[sort].sql, falling ? "DESC" : "ASC");
  text_add(&sql, query->experiment ? "e.position" : "r.rowid");
  struct store_rows *rows = rows_new(store, text_string(&sql), error);
  text_free(&sql);
  if (!rows) return NULL;
  rows->columns = store->columns;
  rows->limit = query->limit;
  if (query->experiment) bind_text(rows->statement, 1, query->experiment);
  if (query->state) bind_text(rows->statement, 2, query->state);
  if (!query->where || parse_where(rows, query->where, error)) return rows;
  store_rows_close(rows);
  return NULL;
}

struct store_rows *store_run(struct store *store, const char *id, struct error *error) {
  struct text sql = {0};
  select_columns(store, &sql);
  text_add(&sql, " FROM " RUNS_AND_FORMATS " WHERE r.id = ?1");
  struct store_rows *rows = rows_new(store, text_string(&sql), error);
  text_free(&sql);
  if (!rows) return NULL;
  rows->columns = store->columns;
  bind_text(rows->statement, 1, id);
  if (store_rows_next(rows, error)) return rows;
  store_rows_close(rows);
  return NULL;
}

struct store_rows *store_experiments(struct store *store, const char *name, struct error *error) {
  struct value value = store_text(name);
  struct text sql = {0};
  text_add(&sql, "SELECT e.name, e.about, e.spec_path, e.spec_text, e.created_at, e.updated_at, count(r.id) AS runs");
  for (enum run_state state = 0; state < RUN_STATES; state++)
    text_format(&sql, ", sum(r.state IS '%s') AS %s", run_state_name(state), run_state_name(state));
  text_add(&sql,
           " FROM experiments e LEFT JOIN experiment_runs m ON m.experiment = e.name "
           "LEFT JOIN runs r ON r.id = m.run WHERE ?1 IS NULL OR e.name = ?1 "
           "GROUP BY e.name ORDER BY e.created_at, e.name");
  struct store_rows *rows = store_select(store, text_string(&sql), &value, 1, error);
  text_free(&sql);
  return rows;
}

bool store_overlay(struct store *store, const struct store *other, struct error *error) {
  const char *path = other->uri ? other->uri : other->path;
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(store->database, "ATTACH ?1 AS other", -1, &s, NULL) != SQLITE_OK)
    return store_fail(store, error, "opening another store");
  struct text name = {0};
  bind_text(s, 1, path);
  bool fine = store_step_done(store, s, "opening another store", error);
  sqlite3_finalize(s);
  if (!fine) return error_context(error, "%s", path);
  // By name: a migrated store has its columns in another order.
  sqlite3_prepare_v2(store->database,
                     "SELECT group_concat(name, ', ') FROM pragma_table_info('runs') "
                     "WHERE name IN (SELECT name FROM pragma_table_info('runs', 'other')) AND name <> 'id'",
                     -1, &s, NULL);
  fine = sqlite3_step(s) == SQLITE_ROW || store_fail(store, error, "reading another store");
  if (fine) {
    const char *columns = (const char *)sqlite3_column_text(s, 0);
    text_format(&name,
                "UPDATE main.runs SET (%s) = (SELECT %s FROM other.runs o WHERE o.id = main.runs.id) "
                "WHERE id IN (SELECT id FROM other.runs)",
                columns, columns);
  }
  sqlite3_finalize(s);
  fine = fine && store_execute(store, text_string(&name), "reading another store", error);
  // What was measured of formats; an older store has no such table.
  if (fine && sqlite3_table_column_metadata(store->database, "other", "formats", NULL, NULL, NULL, NULL, NULL, NULL) ==
                  SQLITE_OK)
    fine = store_execute(store, "INSERT OR REPLACE INTO main.formats SELECT * FROM other.formats",
                         "reading another store", error);
  if (fine &&
      sqlite3_table_column_metadata(store->database, "other", "marks", NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK)
    fine = store_execute(store,
                         "INSERT OR REPLACE INTO main.marks SELECT run, mark, marked_by, marked_at FROM other.marks "
                         "WHERE run IN (SELECT id FROM main.runs)",
                         "reading another store", error);
  text_free(&name);
  sqlite3_exec(store->database, "DETACH other", NULL, NULL, NULL);
  return fine;
}

// ---- an experiment as a list of runs has it ----

// One number that a query over the view gives; ?1 is the experiment's name.
static bool view_count(struct store *store, const char *sql, const char *name, size_t *count, struct error *error) {
  struct value value = store_text(name);
  struct store_rows *rows = store_select(store, sql, &value, 1, error);
  if (rows && store_rows_next(rows, error)) *count = (size_t)store_rows_value(rows, 0).number;
  store_rows_close(rows);
  return !error->code;
}

// A plain transaction: one for writing would need the right to write.
static bool view_runs(struct store *store, const char *name, const char *const *ids, size_t count,
                      struct error *error) {
  if (!store_execute(store, "BEGIN", "looking at an experiment", error)) return false;
  store->in_transaction = true;
  bool fine = store_experiment_set_runs(store, name, ids, count, error);
  store->in_transaction = false;
  return store_execute(store, fine ? "COMMIT" : "ROLLBACK", "looking at an experiment", error) && fine;
}

// A temporary table of the same name comes before the stored one in every query of this connection.
bool store_view_experiment(struct store *store, const char *name, const char *const *ids, size_t count,
                           struct experiment_view *view, struct error *error) {
  *view = (struct experiment_view){0};
  bool fine =
      store_execute(store,
                    "DROP TABLE IF EXISTS temp.experiment_runs; "
                    "CREATE TEMP TABLE experiment_runs AS SELECT * FROM main.experiment_runs; "
                    "CREATE UNIQUE INDEX temp.experiment_runs_of_view ON experiment_runs (experiment, position)",
                    "looking at an experiment", error) &&
      view_runs(store, name, ids, count, error) &&
      store_execute(store, "DELETE FROM temp.experiment_runs WHERE run NOT IN (SELECT id FROM main.runs)",
                    "looking at an experiment", error) &&
      view_count(store, "SELECT count(*) FROM temp.experiment_runs WHERE experiment = ?1", name, &view->there, error) &&
      view_count(store,
                 "SELECT count(*) FROM temp.experiment_runs e JOIN main.runs r ON r.id = e.run "
                 "WHERE e.experiment = ?1 AND r.state = 'done'",
                 name, &view->done, error) &&
      view_count(store,
                 "SELECT count(*) FROM main.experiment_runs e JOIN main.runs r ON r.id = e.run "
                 "WHERE e.experiment = ?1 AND r.state = 'done' "
                 "AND e.run NOT IN (SELECT run FROM temp.experiment_runs WHERE experiment = ?1)",
                 name, &view->left_out, error);
  for (enum run_state state = 0; state < RUN_STATES && fine; state++) {
    if (!run_state_ended_without_loss(state)) continue;
    struct text sql = {0};
    size_t ended = 0;
    text_format(&sql,
                "SELECT count(*) FROM temp.experiment_runs e JOIN main.runs r ON r.id = e.run "
                "WHERE e.experiment = ?1 AND r.state = '%s'",
                run_state_name(state));
    fine = view_count(store, text_string(&sql), name, &ended, error);
    view->ended += ended;
    text_free(&sql);
  }
  return fine;
}
