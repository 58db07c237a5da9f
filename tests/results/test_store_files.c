// Files of stores: damaged ones, ones of others, and those of earlier versions.
#include "tests/results/store_test.h"

static void write_file(const char *name, const char *bytes, size_t length) {
  struct error error = {0};
  CHECK(file_write_atomic(file_of(name), bytes, length, &error));
}

static void bad_files_are_told(void) {
  struct error error = {0};
  char junk[8192];
  memset(junk, 'x', sizeof junk);
  write_file("junk.db", junk, sizeof junk);
  for (int mode = STORE_READ; mode <= STORE_CREATE; mode++) {
    error = (struct error){0};
    CHECK(!store_open(file_of("junk.db"), (enum store_mode)mode, &error));
    CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "damaged"));
    error = (struct error){0};
    CHECK(!store_open("/dev/null/x.db", (enum store_mode)mode, &error));
    CHECK(error.code == EXIT_ENVIRONMENT);
  }
  error = (struct error){0};
  CHECK(!store_open(file_of("missing.db"), STORE_READ, &error) && strstr(error.text, "isoloss run"));
  CHECK(!file_exists(file_of("missing.db")));

  struct store *store = fresh("newer.db");
  CHECK(store_execute(store, "PRAGMA user_version = 1000", "test", &error) || true);
  store_close(store);
  for (int mode = STORE_READ; mode <= STORE_CREATE; mode++) {
    error = (struct error){0};
    CHECK(!store_open(file_of("newer.db"), (enum store_mode)mode, &error));
    CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "newer"));
  }
  sqlite3 *other = NULL;
  CHECK(sqlite3_open(file_of("other.db"), &other) == SQLITE_OK);
  CHECK(sqlite3_exec(other, "CREATE TABLE runs (id)", NULL, NULL, NULL) == SQLITE_OK);
  sqlite3_close(other);
  for (int mode = STORE_READ; mode <= STORE_CREATE; mode++) {
    error = (struct error){0};
    CHECK(!store_open(file_of("other.db"), (enum store_mode)mode, &error));
    CHECK(strstr(error.text, "another program") != NULL);
  }
  // A page overwritten in the middle of the file: found when it is read, not a crash.
  store = fresh("hurt.db");
  for (int i = 0; i < 200; i++) add_run(store, i, 64);
  store_close(store);
  size_t length;
  error = (struct error){0};
  char *bytes = file_read(&arena, file_of("hurt.db"), &length, &error);
  for (size_t at = 4096; at < length; at++) bytes[at] = 'x';
  write_file("hurt.db", bytes, length);
  store = store_open(file_of("hurt.db"), STORE_READ, &error);
  if (store) {
    struct store_rows *rows = store_runs(store, &(struct run_query){0}, &error);
    while (rows && store_rows_next(rows, &error)) continue;
    store_rows_close(rows);
  }
  CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "damaged"));
  store_close(store);
}

// ---- migrations ----

static int version_of(struct store *store) {
  struct error error = {0};
  struct store_rows *rows = store_select(store, "PRAGMA user_version", NULL, 0, &error);
  int version = rows && store_rows_next(rows, &error) ? (int)store_rows_value(rows, 0).number : -1;
  store_rows_close(rows);
  return version;
}

static const char *format_of(struct store *store, const char *id, const char *column) {
  struct error error = {0};
  char sql[160];
  snprintf(sql, sizeof sql, "SELECT json_extract(%s, '$.format') FROM runs WHERE id = '%s'", column, id);
  struct store_rows *rows = store_select(store, sql, NULL, 0, &error);
  const char *text = rows && store_rows_next(rows, &error) ? arena_string(&arena, store_rows_value(rows, 0).text) : "";
  store_rows_close(rows);
  return text;
}

static double count_of(struct store *store, const char *sql) {
  struct error error = {0};
  struct store_rows *rows = store_select(store, sql, NULL, 0, &error);
  double count = rows && store_rows_next(rows, &error) ? store_rows_value(rows, 0).number : -1;
  store_rows_close(rows);
  return count;
}

// A store of before has the recipe to nearest as quartet and the published one as quartet-sr. Their ids are those of
// the same runs now, and nothing is mixed.
static void renames_recipes(void) {
  static const char *const now[] = {"quartet-rtn", "quartet", "quartet-rtn after 0.5", "quartet after 0.5", "w4a4"};
  static const char *const before[] = {"quartet", "quartet-sr", "quartet after 0.5", "quartet-sr after 0.5", "w4a4"};
  enum { RUNS = 5 };
  const char *ids[RUNS];
  char sql[400];
  struct error error = {0};
  struct store *store = fresh("eleven.db");
  for (int i = 0; i < RUNS; i++) ids[i] = add_run_of(store, i, 64, now[i], 1000000);
  CHECK(store_execute(store, "DELETE FROM formats", "test", &error));
  for (int i = 0; i < RUNS; i++) {
    snprintf(sql, sizeof sql,
             "UPDATE runs SET config = json_set(config, '$.format', '%s'), canonical = json_set(canonical, '$.format', "
             "'%s') WHERE id = '%s'; INSERT INTO formats (format, backward) VALUES ('%s', 'as it was')",
             before[i], before[i], ids[i], before[i]);
    CHECK(store_execute(store, sql, "test", &error));
  }
  CHECK(store_execute(store, "PRAGMA user_version = 11", "test", &error));
  store_close(store);
  store = store_open(file_of("eleven.db"), STORE_WRITE, &error);
  if (!CHECK(store != NULL)) printf("# %s\n", error.text);
  for (int i = 0; store && i < RUNS; i++) {
    CHECK_TEXT(format_of(store, ids[i], "config"), now[i]);
    CHECK_TEXT(format_of(store, ids[i], "canonical"), now[i]);
    CHECK_TEXT(add_run_of(store, i, 64, now[i], 1000000), ids[i]);
  }
  CHECK(count_of(store, "SELECT count(*) FROM runs") == RUNS);
  CHECK(count_of(store, "SELECT count(*) FROM formats WHERE format = 'quartet' AND backward LIKE '%stochastic%'") == 1);
  CHECK(count_of(store, "SELECT count(*) FROM formats WHERE format = 'quartet-rtn' AND backward LIKE '%nearest%'") ==
        1);
  CHECK(count_of(store, "SELECT count(*) FROM formats WHERE format LIKE 'quartet-sr%'") == 0);
  store_close(store);
}

static void migrates_by_steps(void) {
  static const struct migration good[] = {{2, "ALTER TABLE t ADD COLUMN b"}, {3, "UPDATE t SET b = a + 1"}};
  static const struct migration bad[] = {{2, "ALTER TABLE t ADD COLUMN b"}, {3, "UPDATE no_such_table SET b = 1"}};
  struct error error = {0};
  struct store store = {.path = "migrating"};
  CHECK(sqlite3_open(file_of("steps.db"), &store.database) == SQLITE_OK);
  CHECK(store_migrate(&store, "CREATE TABLE t (a); INSERT INTO t VALUES (1)", 1, NULL, 0, &error));
  CHECK(version_of(&store) == 1);
  // A step that fails leaves everything as it was.
  CHECK(!store_migrate(&store, "", 3, bad, 2, &error));
  CHECK(error.code == EXIT_ENVIRONMENT && version_of(&store) == 1);
  error = (struct error){0};
  CHECK(store_migrate(&store, "", 3, good, 2, &error));
  CHECK_TEXT(error.text, "");
  CHECK(version_of(&store) == 3);
  struct store_rows *rows = store_select(&store, "SELECT b FROM t", NULL, 0, &error);
  CHECK(store_rows_next(rows, &error) && store_rows_value(rows, 0).number == 2);
  store_rows_close(rows);
  CHECK(store_migrate(&store, "", 3, good, 2, &error));  // nothing left to do
  CHECK(!store_migrate(&store, "", 2, good, 1, &error) && strstr(error.text, "newer"));
  for (int i = 0; i < store.cached; i++) sqlite3_finalize(store.cache[i].statement);
  sqlite3_close(store.database);
}

// A store as the first version wrote it (version-1.sql, never changed) opens, keeps its rows, and has the tables of a
// store made today.
static void reads_version_1(void) {
  const char *source = getenv("TEST_SOURCE");
  struct error error = {0};
  sqlite3 *old = NULL;
  char *sql = file_read(&arena, path_join(&arena, source ? source : ".", "version-1.sql"), NULL, &error);
  CHECK_TEXT(error.text, "");
  CHECK(sqlite3_open(file_of("old.db"), &old) == SQLITE_OK);
  CHECK(sqlite3_exec(old, sql, NULL, NULL, NULL) == SQLITE_OK);
  const char *formatted =
      "INSERT INTO runs (id, stage, state, parameters, parameters_active, parameters_prunable, tokens, epochs, "
      "created_at, canonical, config) VALUES ('aa', 'train', 'done', 1000, 600, 800, 5000, 2.5, 1, "
      "'{\"format\":\"w2a4\"}', '{}'), ('bb', 'train', 'done', 1000, 1000, 800, 5000, 0.5, 1, "
      "'{\"format\":\"not-known\"}', '{}')";
  CHECK(sqlite3_exec(old, formatted, NULL, NULL, NULL) == SQLITE_OK);
  sqlite3_close(old);
  struct store *store = store_open(file_of("old.db"), STORE_WRITE, &error), *today = fresh("today.db");
  CHECK_TEXT(error.text, "");
  const char *sql_tables =
      "SELECT group_concat(t, ';') FROM (SELECT m.name || ':' || (SELECT group_concat(c, ',') FROM (SELECT name || ' ' "
      "|| "
      "type || ' ' || \"notnull\" || ' ' || pk AS c FROM pragma_table_info(m.name) ORDER BY name)) AS t FROM "
      "sqlite_schema m "
      "WHERE m.type = 'table' ORDER BY m.name)";
  struct store_rows *a = store_select(store, sql_tables, NULL, 0, &error),
                    *b = store_select(today, sql_tables, NULL, 0, &error);
  CHECK(store_rows_next(a, &error) && store_rows_next(b, &error));
  CHECK_TEXT(store_rows_value(a, 0).text, store_rows_value(b, 0).text);
  store_rows_close(a);
  store_rows_close(b);
  struct store_rows *rows = store_runs(store, &(struct run_query){.experiment = "first"}, &error);
  CHECK(store_rows_next(rows, &error));
  CHECK_TEXT(store_rows_get(rows, "state").text, "done");
  CHECK_NEAR(store_rows_get(rows, "loss").number, 2.5, 0);
  CHECK_NEAR(store_rows_get(rows, "train.lr").number, 0.004, 0);
  const char *id = arena_string(&arena, store_rows_get(rows, "id").text);
  store_rows_close(rows);
  CHECK(count_rows(store_metrics(store, id, METRIC_TRAIN, &error)) == 2);
  CHECK(count_rows(store_fits(store, "first", &error)) == 1);
  // Its formats are known now, as far as they can be.
  CHECK_TEXT(text_of(store, "aa", "forward"), "w2a4");
  CHECK_NEAR(number_of(store, "aa", "weight_bits"), 2, 0);
  CHECK_NEAR(number_of(store, "aa", "sparsity"), 0.5, 1e-15);
  CHECK_NEAR(number_of(store, "aa", "unique_tokens"), 2000, 0);
  CHECK_NEAR(number_of(store, "aa", "kv_bits"), 16, 0);
  CHECK_TEXT(text_of(store, "bb", "forward"), "missing");
  CHECK_NEAR(number_of(store, "bb", "unique_tokens"), 5000, 0);
  CHECK_TEXT(text_of(store, id, "forward"), "missing");
  size_t count;
  const char **names = store_formats_unmeasured(store, &arena, &count, &error);
  CHECK(count == 1);
  if (count == 1) CHECK_TEXT(names[0], "w2a4");
  store_close(store);
  store_close(today);
}

int main(int argc, char **argv) {
  struct error error = {0};
  snprintf(folder, sizeof folder, "%s/isoloss-store-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(folder)) return 1;
  RUN(bad_files_are_told);
  RUN(migrates_by_steps);
  RUN(renames_recipes);
  RUN(reads_version_1);
  folder_remove(folder, &error);
  arena_free(&arena);
  return check_end();
}
