// What people ask of runs: pausing, cancelling, trying again.
#include <pwd.h>
#include <time.h>
#include <unistd.h>

#include "results/store_internal.h"

bool store_mark_set(struct store *store, const char *id, enum run_mark mark, const char *marked_by,
                    struct error *error) {
  sqlite3_stmt *s = mark == MARK_NONE
                        ? store_statement(store, "DELETE FROM marks WHERE run = ?1", error)
                        : store_statement(store, "INSERT OR REPLACE INTO marks VALUES (?1, ?2, ?3, ?4)", error);
  if (!s) return false;
  bind_text(s, 1, id);
  if (mark != MARK_NONE) {
    bind_text(s, 2, run_mark_name(mark));
    bind_text(s, 3, marked_by);
    bind_number(s, 4, (double)time(NULL));
  }
  return store_step_done(store, s, "marking a run", error);
}

bool store_marks_of_finished_remove(struct store *store, struct error *error) {
  return store_execute(store,
                       "DELETE FROM marks WHERE run IN (SELECT id FROM runs WHERE state IN ('done', 'diverged'))",
                       "removing marks", error);
}

const char *store_marker(struct arena *arena) {
  const struct passwd *user = getpwuid(geteuid());
  const char *host = store_host(arena);
  return user ? arena_format(arena, "%s@%s", user->pw_name, host)
              : arena_format(arena, "%lld@%s", (long long)geteuid(), host);
}

bool store_data_version(struct store *store, int64_t *version, struct error *error) {
  struct store_rows *rows = store_select(store, "PRAGMA data_version", NULL, 0, error);
  if (rows && store_rows_next(rows, error)) *version = (int64_t)store_rows_value(rows, 0).number;
  store_rows_close(rows);
  return !error->code;
}
