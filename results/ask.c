// Questions in SQL that people ask of a store: one statement, which may read and nothing else.
#include <string.h>

#include "results/store_internal.h"

// Pragmas that describe tables; others set something.
static bool reads_only(const char *pragma, const char *value) {
  static const char *const describing[] = {"table_info", "table_xinfo", "table_list", "index_list", "index_info"};
  for (size_t i = 0; i < sizeof describing / sizeof *describing; i++)
    if (strcmp(pragma, describing[i]) == 0) return true;
  return !value && strcmp(pragma, "user_version") == 0;
}

static int authorize(void *context, int action, const char *first, const char *second, const char *database,
                     const char *trigger) {
  (void)context, (void)database, (void)trigger;
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_FUNCTION:
      return strcmp(second, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
      return reads_only(first, second) ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

static sqlite3_stmt *prepare(struct store *store, const char *sql, const char **rest, struct error *error) {
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v2(store->database, sql, -1, &statement, rest);
  int primary = code & 0xff;
  if (code == SQLITE_OK) return statement;
  if (primary == SQLITE_AUTH)
    error_set(error, EXIT_USAGE_ERROR, "this statement would do more than read: give a SELECT");
  else if (primary != SQLITE_ERROR && primary != SQLITE_TOOBIG)
    store_fail(store, error, "reading");
  else
    error_set(error, EXIT_USAGE_ERROR, "%s", sqlite3_errmsg(store->database));
  return NULL;
}

struct store_rows *store_ask(struct store *store, const char *sql, struct error *error) {
  const char *rest = sql;
  sqlite3_set_authorizer(store->database, authorize, NULL);
  sqlite3_stmt *statement = prepare(store, sql, &rest, error), *next = NULL;
  while (statement && !error->code && *rest && !next) next = prepare(store, rest, &rest, error);
  if (!statement && !error->code)
    error_set(error, EXIT_USAGE_ERROR, "there is no statement: give a SELECT");
  else if (next)
    error_set(error, EXIT_USAGE_ERROR, "give one statement: behind the first there is another");
  else if (!error->code && (!sqlite3_stmt_readonly(statement) || sqlite3_column_count(statement) == 0))
    error_set(error, EXIT_USAGE_ERROR, "this statement would do more than read: give a SELECT");
  sqlite3_finalize(next);
  if (!error->code) return store_rows_of(store, statement);
  sqlite3_finalize(statement);
  return NULL;
}
