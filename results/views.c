// The views for people who write SQL: run_table and metric_table. They follow from the tables of columns and fields,
// and are made anew when a newer program, or a run with fields of its own, has other ones.
#include <string.h>

#include "results/store_internal.h"

// Columns of metrics, as metric_table has them.
static const char *const point_columns[] = {
    "kind",    "step",        "tokens",           "loss", "lr", "gradient_norm", "tokens_per_second",
    "seconds", "oracle_loss", "active_parameters"};
enum { POINT_COLUMNS = sizeof point_columns / sizeof *point_columns };

static bool is_point_column(const char *name) {
  for (size_t i = 0; i < POINT_COLUMNS; i++)
    if (strcmp(point_columns[i], name) == 0) return true;
  return false;
}

static void write_run_table(const struct store *store, struct text *sql) {
  text_add(sql, "CREATE VIEW run_table AS SELECT ");
  for (int i = 0; i < store->column_count; i++)
    text_format(sql, "%s%s AS \"%s\"", i ? ", " : "", store->columns[i].sql, store->columns[i].name);
  text_add(sql, " FROM " RUNS_AND_FORMATS);
}

// A point of a curve by its own names; what its run has under one of these is run_NAME.
static void write_metric_table(const struct store *store, struct text *sql) {
  text_add(sql, "CREATE VIEW metric_table AS SELECT p.run AS run");
  for (size_t i = 0; i < POINT_COLUMNS; i++) text_format(sql, ", p.%s AS %s", point_columns[i], point_columns[i]);
  for (int i = 0; i < store->column_count; i++) {
    const struct store_column *column = &store->columns[i];
    if (strcmp(column->name, "id") == 0 || strcmp(column->name, "run") == 0) continue;
    text_format(sql, ", %s AS \"%s%s\"", column->sql, is_point_column(column->name) ? "run_" : "", column->name);
  }
  text_add(sql, " FROM metrics p JOIN " RUNS_AND_FORMATS " WHERE r.id = p.run");
}

static bool is_as(struct store *store, const char *name, const char *sql) {
  sqlite3_stmt *s = NULL;
  bool same = false;
  if (sqlite3_prepare_v2(store->database, "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?1", -1, &s,
                         NULL) == SQLITE_OK) {
    bind_text(s, 1, name);
    same = sqlite3_step(s) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), sql) == 0;
  }
  sqlite3_finalize(s);
  return same;
}

static bool refresh(struct store *store, const char *name, const char *drop, const char *sql, struct error *error) {
  if (is_as(store, name, sql)) return true;
  bool fine = store_begin(store, error) && store_execute(store, drop, "making a view", error) &&
              store_execute(store, sql, "making a view", error) && store_commit(store, error);
  if (!fine) store_rollback(store);
  return fine;
}

bool store_refresh_views(struct store *store, struct error *error) {
  struct text runs = {0}, metrics = {0};
  write_run_table(store, &runs);
  write_metric_table(store, &metrics);
  bool fine = refresh(store, "run_table", "DROP VIEW IF EXISTS run_table", text_string(&runs), error) &&
              refresh(store, "metric_table", "DROP VIEW IF EXISTS metric_table", text_string(&metrics), error);
  text_free(&runs);
  text_free(&metrics);
  return fine;
}
