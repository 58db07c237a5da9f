// Fits, claims, imported tables, benchmark documents: written by the commands of their own.
#include "results/store_internal.h"

bool store_fit_put(struct store *store, const char *source, const char *name, const char *law, const char *document,
                   struct error *error) {
  sqlite3_stmt *s = store_statement(
      store, "INSERT OR REPLACE INTO fits (source, name, law, document, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
      error);
  if (!s) return false;
  bind_text(s, 1, source);
  bind_text(s, 2, name);
  bind_text(s, 3, law);
  bind_text(s, 4, document);
  sqlite3_bind_double(s, 5, clock_wall());
  return store_step_done(store, s, "writing a fit", error);
}

struct store_rows *store_fits(struct store *store, const char *source, struct error *error) {
  struct value value = store_text(source);
  return store_select(store,
                      "SELECT source, name, law, document, created_at FROM fits WHERE ?1 IS NULL OR source = ?1 "
                      "ORDER BY created_at, rowid",
                      &value, 1, error);
}

static bool put_claim(struct store *store, const char *experiment, size_t position, const struct claim_record *claim,
                      struct error *error) {
  sqlite3_stmt *s = store_statement(store,
                                    "INSERT INTO claims (experiment, position, claim, outcome, detail, checked_at) "
                                    "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                                    error);
  if (!s) return false;
  bind_text(s, 1, experiment);
  sqlite3_bind_int64(s, 2, (sqlite3_int64)position);
  bind_text(s, 3, claim->claim);
  bind_text(s, 4, claim->outcome);
  bind_text(s, 5, claim->detail);
  sqlite3_bind_double(s, 6, clock_wall());
  return store_step_done(store, s, "writing a claim", error);
}

bool store_claims_set(struct store *store, const char *experiment, const struct claim_record *claims, size_t count,
                      struct error *error) {
  if (!store_begin(store, error)) return false;
  sqlite3_stmt *s = store_statement(store, "DELETE FROM claims WHERE experiment = ?1", error);
  if (s) bind_text(s, 1, experiment);
  bool fine = s && store_step_done(store, s, "writing claims", error);
  for (size_t i = 0; i < count && fine; i++) fine = put_claim(store, experiment, i, &claims[i], error);
  if (fine) return store_commit(store, error);
  store_rollback(store);
  return false;
}

struct store_rows *store_claims(struct store *store, const char *experiment, struct error *error) {
  struct value value = store_text(experiment);
  return store_select(store,
                      "SELECT claim, outcome, detail, checked_at FROM claims WHERE experiment = ?1 ORDER BY position",
                      &value, 1, error);
}

bool store_import_begin(struct store *store, const char *name, const char *path, const char *digest,
                        const char *mapping, struct error *error) {
  sqlite3_stmt *s = store_statement(store, "DELETE FROM import_rows WHERE import = ?1", error);
  if (!s) return false;
  bind_text(s, 1, name);
  if (!store_step_done(store, s, "writing an imported table", error)) return false;
  s = store_statement(store,
                      "INSERT INTO imports (name, path, digest, mapping, created_at) VALUES (?1, ?2, ?3, ?4, ?5) "
                      "ON CONFLICT (name) DO UPDATE SET path = ?2, digest = ?3, mapping = ?4, created_at = ?5",
                      error);
  if (!s) return false;
  bind_text(s, 1, name);
  bind_text(s, 2, path);
  bind_text(s, 3, digest);
  bind_text(s, 4, mapping);
  sqlite3_bind_double(s, 5, clock_wall());
  return store_step_done(store, s, "writing an imported table", error);
}

bool store_import_row(struct store *store, const char *name, int64_t position, const char *object,
                      struct error *error) {
  sqlite3_stmt *s =
      store_statement(store, "INSERT INTO import_rows (import, position, document) VALUES (?1, ?2, ?3)", error);
  if (!s) return false;
  bind_text(s, 1, name);
  sqlite3_bind_int64(s, 2, position);
  bind_text(s, 3, object);
  return store_step_done(store, s, "writing an imported table", error);
}

struct store_rows *store_import_rows(struct store *store, const char *name, struct error *error) {
  struct value value = store_text(name);
  return store_select(store, "SELECT position, document FROM import_rows WHERE import = ?1 ORDER BY position", &value,
                      1, error);
}

struct store_rows *store_imports(struct store *store, const char *name, struct error *error) {
  struct value value = store_text(name);
  return store_select(
      store,
      "SELECT name, path, digest, mapping, created_at, (SELECT count(*) FROM import_rows WHERE import = "
      "imports.name) AS rows FROM imports WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
      &value, 1, error);
}

bool store_import_remove(struct store *store, const char *name, bool *found, struct error *error) {
  *found = false;
  struct store_rows *rows = store_imports(store, name, error);
  if (!rows) return false;
  *found = store_rows_next(rows, error);
  store_rows_close(rows);
  if (error->code || !*found) return !error->code;
  if (!store_begin(store, error)) return false;
  static const char *const statements[] = {"DELETE FROM import_rows WHERE import = ?1",
                                           "DELETE FROM imports WHERE name = ?1"};
  bool fine = true;
  for (int i = 0; i < 2 && fine; i++) {
    sqlite3_stmt *s = store_statement(store, statements[i], error);
    if (s) bind_text(s, 1, name);
    fine = s && store_step_done(store, s, "removing an imported table", error);
  }
  if (fine) return store_commit(store, error);
  store_rollback(store);
  return false;
}

bool store_benchmark_put(struct store *store, const char *host, const char *suite, const char *document,
                         struct error *error) {
  struct arena scratch = {0};
  sqlite3_stmt *s = store_statement(
      store, "INSERT OR REPLACE INTO benchmarks (host, suite, document, measured_at) VALUES (?1, ?2, ?3, ?4)", error);
  if (s) {
    bind_text(s, 1, host ? host : store_host(&scratch));
    bind_text(s, 2, suite);
    bind_text(s, 3, document);
    sqlite3_bind_double(s, 4, clock_wall());
  }
  arena_free(&scratch);
  return s && store_step_done(store, s, "writing a benchmark", error);
}
