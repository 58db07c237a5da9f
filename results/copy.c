// One experiment as a store of its own.
#include <stdio.h>
#include <unistd.h>

#include "results/store_internal.h"

// What is not the experiment's leaves the copy; ?1 is its name.
static const char *const leave[] = {
    "DELETE FROM fits WHERE source <> ?1 OR EXISTS (SELECT 1 FROM imports WHERE name = ?1)",
    "DELETE FROM claims WHERE experiment <> ?1",
    "DELETE FROM halvings WHERE experiment <> ?1",
    "DELETE FROM experiment_runs WHERE experiment <> ?1",
    "DELETE FROM experiments WHERE name <> ?1",
    "DELETE FROM solutions WHERE run NOT IN (SELECT run FROM experiment_runs)",
    "DELETE FROM layers WHERE run NOT IN (SELECT run FROM experiment_runs)",
    "DELETE FROM metrics WHERE run NOT IN (SELECT run FROM experiment_runs)",
    "DELETE FROM marks WHERE run NOT IN (SELECT run FROM experiment_runs)",
    "DELETE FROM runs WHERE id NOT IN (SELECT run FROM experiment_runs)",
    "DELETE FROM formats WHERE format NOT IN (SELECT f.format FROM " RUNS_AND_FORMATS " WHERE f.format IS NOT NULL)",
    "DELETE FROM import_rows",
    "DELETE FROM imports",
    "DELETE FROM throughput",
    "DELETE FROM benchmarks",
};

static bool keep_only(struct store *copy, const char *name, struct error *error) {
  if (!store_begin(copy, error)) return false;
  for (size_t i = 0; i < sizeof leave / sizeof *leave; i++) {
    sqlite3_stmt *s = store_statement(copy, leave[i], error);
    if (s && sqlite3_bind_parameter_count(s) > 0) bind_text(s, 1, name);
    if (!s || !store_step_done(copy, s, "copying an experiment", error)) return false;
  }
  return store_commit(copy, error);
}

static bool copy_into(struct store *copy, struct store *store, const char *name, struct error *error) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (sqlite3_open_v2(copy->path, &copy->database, flags, NULL) != SQLITE_OK)
    return store_fail(copy, error, "making a copy");
  sqlite3_backup *backup = sqlite3_backup_init(copy->database, "main", store->database, "main");
  bool copied = backup && sqlite3_backup_step(backup, -1) == SQLITE_DONE;
  copied = sqlite3_backup_finish(backup) == SQLITE_OK && copied;
  if (!copied) return store_fail(copy, error, "making a copy");
  // One file, without a log next to it, and nothing of what left it.
  return store_unchanged(store, error) && store_execute(copy, "PRAGMA journal_mode = DELETE", "making a copy", error) &&
         keep_only(copy, name, error) && store_execute(copy, "VACUUM", "making a copy", error);
}

bool store_copy_experiment(struct store *store, const char *name, const char *path, struct error *error) {
  struct store *copy = memory_get(sizeof *copy);
  copy->path = arena_format(&copy->arena, "%s.tmp-%lld", path, (long long)getpid());
  struct arena scratch = {0};
  const char *temporary = arena_string(&scratch, copy->path);
  bool fine = copy_into(copy, store, name, error);
  store_close(copy);
  if (fine && rename(temporary, path) != 0) fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", path);
  if (!fine) unlink(temporary);
  arena_free(&scratch);
  return fine;
}
