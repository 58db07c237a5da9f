// What runs of tasks report (trainer/tasks/task.h), and of stages next to their columns (trainer/stages/results.h): an
// object "results" in the JSON of column `config`, a number a name, so that a new task, or a new result of one, changes
// no table. Stores have columns of the tasks and stages that their runs have.
#include <string.h>

#include "results/columns.h"
#include "results/store_internal.h"
#include "trainer/stages/results.h"

bool store_result_put(struct store *store, const char *run, const char *name, double value, struct error *error) {
  sqlite3_stmt *s = store_statement(
      store, "UPDATE runs SET config = json_set(config, '$.results.\"' || ?2 || '\"', ?3) WHERE id = ?1", error);
  if (!s) return false;
  if (!run_column_is_result(name))
    return error_set(error, EXIT_ENVIRONMENT, "%s: no task and no stage reports '%s'", store->path, name);
  bind_text(s, 1, run);
  bind_text(s, 2, name);
  sqlite3_bind_double(s, 3, value);
  return store_step_done(store, s, "writing a run's results", error);
}

bool store_results_cut(struct store *store, const char *run, struct error *error) {
  sqlite3_stmt *s = store_statement(store,
                                    "UPDATE runs SET config = json_remove(config, '$.results') WHERE id = ?1 AND "
                                    "json_extract(config, '$.results') IS NOT NULL",
                                    error);
  if (!s) return false;
  bind_text(s, 1, run);
  return store_step_done(store, s, "removing a run's results", error);
}

size_t store_task_column_room(void) {
  size_t room = stage_result_count;
  for (size_t t = 0; run_tasks[t]; t++) room += run_tasks[t]->result_count;
  return room;
}

static bool has_stage(sqlite3_stmt *s, const char *stage) {
  sqlite3_reset(s);
  bind_text(s, 1, stage);
  return sqlite3_step(s) == SQLITE_ROW;
}

static void add_column(struct store *store, const char *name) {
  const char *sql = arena_format(&store->arena, "json_extract(r.config, '$.results.\"%s\"')", name);
  store->columns[store->column_count++] = (struct store_column){name, sql, false, false};
}

void store_load_task_columns(struct store *store) {
  sqlite3_stmt *s = NULL;
  const char *sql = "SELECT 1 FROM runs r WHERE r.stage = ?1 LIMIT 1";
  if (sqlite3_prepare_v2(store->database, sql, -1, &s, NULL) != SQLITE_OK) return;
  for (size_t t = 0; run_tasks[t]; t++) {
    bool there = has_stage(s, task_stage(run_tasks[t], &store->arena));
    for (size_t i = 0; i < run_tasks[t]->result_count && there; i++) add_column(store, run_tasks[t]->results[i].name);
  }
  for (size_t i = 0; i < stage_result_count; i++)
    if (has_stage(s, stage_results[i].stage)) add_column(store, stage_results[i].result.name);
  sqlite3_finalize(s);
}
