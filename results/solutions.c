// What kind of solution a training is at, step by step: table solutions.
#include "results/store_internal.h"

bool store_solution_put(struct store *store, const char *run, const char *name, int64_t step, double tokens,
                        double value, struct error *error) {
  sqlite3_stmt *s = store_statement(
      store, "INSERT OR REPLACE INTO solutions (run, name, step, tokens, value) VALUES (?1, ?2, ?3, ?4, ?5)", error);
  if (!s) return false;
  bind_text(s, 1, run);
  bind_text(s, 2, name);
  sqlite3_bind_int64(s, 3, step);
  bind_number(s, 4, tokens);
  bind_number(s, 5, value);
  return store_step_done(store, s, "writing metrics", error);
}

bool store_solutions_cut(struct store *store, const char *run, int64_t step, struct error *error) {
  sqlite3_stmt *s = store_statement(store, "DELETE FROM solutions WHERE run = ?1 AND step > ?2", error);
  if (!s) return false;
  bind_text(s, 1, run);
  sqlite3_bind_int64(s, 2, step);
  return store_step_done(store, s, "writing metrics", error);
}
