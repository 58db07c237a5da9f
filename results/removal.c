// Removing runs and experiments. Their files are not the store's.
#include "results/store_internal.h"

// Runs each statement with ?1 bound to the text.
static bool for_each(struct store *store, const char *const *statements, size_t count, const char *text,
                     struct error *error) {
  for (size_t i = 0; i < count; i++) {
    sqlite3_stmt *s = store_statement(store, statements[i], error);
    if (!s) return false;
    bind_text(s, 1, text);
    if (!store_step_done(store, s, "removing", error)) return false;
  }
  return true;
}

bool store_run_remove(struct store *store, const char *id, struct error *error) {
  static const char *const statements[] = {"DELETE FROM experiment_runs WHERE run = ?1",
                                           "DELETE FROM runs WHERE id = ?1"};  // its metrics go with it
  return for_each(store, statements, sizeof statements / sizeof *statements, id, error);
}

bool store_run_forget(struct store *store, const char *id, struct error *error) {
  // The experiments' mention of it is looked at when the transaction ends.
  static const char *const statements[] = {"DELETE FROM runs WHERE id = ?1"};
  return store_execute(store, "PRAGMA defer_foreign_keys = ON", "removing", error) &&
         for_each(store, statements, 1, id, error);
}

bool store_experiment_remove(struct store *store, const char *name, struct error *error) {
  static const char *const statements[] = {
      "DELETE FROM claims WHERE experiment = ?1",
      // An imported table of the same name keeps its fits.
      "DELETE FROM fits WHERE source = ?1 AND NOT EXISTS (SELECT 1 FROM imports WHERE name = ?1)",
      "DELETE FROM experiment_runs WHERE experiment = ?1", "DELETE FROM experiments WHERE name = ?1"};
  return for_each(store, statements, sizeof statements / sizeof *statements, name, error);
}
