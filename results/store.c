// Opening, closing, transactions, errors.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "results/store_internal.h"

enum { BUSY_MILLISECONDS = 15000, FOLD_MILLISECONDS = 500 };

bool store_fail(struct store *store, struct error *error, const char *doing) {
  sqlite3 *database = store->database;
  int code = database ? sqlite3_errcode(database) : SQLITE_NOMEM;
  const char *message = database ? sqlite3_errmsg(database) : "out of memory";
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return error_set(error, EXIT_ENVIRONMENT,
                       "%s: another program keeps the database locked (waited %d s while %s); close it and try again",
                       store->path, BUSY_MILLISECONDS / 1000, doing);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return error_set(error, EXIT_ENVIRONMENT,
                       "%s: no permission to write (%s); set ISOLOSS_HOME to a folder of yours", store->path, doing);
    case SQLITE_CANTOPEN:
      return error_set(error, EXIT_ENVIRONMENT, "%s: cannot open the database (%s): %s", store->path, doing,
                       sqlite3_system_errno(database) ? strerror(sqlite3_system_errno(database)) : message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return error_set(error, EXIT_ENVIRONMENT,
                       "%s: the database is damaged (%s). Nothing of the runs is lost: move the file away and call "
                       "`isoloss run` with your specs, which reads the runs' event logs again",
                       store->path, message);
    case SQLITE_FULL:
      return error_set(error, EXIT_ENVIRONMENT, "%s: the disk is full (%s); make room and try again", store->path,
                       doing);
    case SQLITE_IOERR:
      return error_set(error, EXIT_ENVIRONMENT, "%s: the disk failed (%s): %s", store->path, doing,
                       sqlite3_system_errno(database) ? strerror(sqlite3_system_errno(database)) : message);
    default:
      return error_set(error, EXIT_ENVIRONMENT, "%s: %s: %s", store->path, doing, message);
  }
}

const char *store_host(struct arena *arena) {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0 || !*name) snprintf(name, sizeof name, "localhost");
  return arena_string(arena, name);
}

struct value store_number(double value) {
  if (isnan(value)) return (struct value){.kind = VALUE_MISSING};
  return (struct value){.kind = VALUE_NUMBER, .number = value};
}

struct value store_text(const char *text) {
  if (!text) return (struct value){.kind = VALUE_MISSING};
  return (struct value){.kind = VALUE_TEXT, .text = text};
}

void bind_number(sqlite3_stmt *statement, int index, double value) {
  if (isnan(value))
    sqlite3_bind_null(statement, index);
  else if (value == floor(value) && fabs(value) < 0x1p53)
    sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
  else
    sqlite3_bind_double(statement, index, value);
}

void bind_text(sqlite3_stmt *statement, int index, const char *text) {
  if (text)
    sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
  else
    sqlite3_bind_null(statement, index);
}

void bind_value(sqlite3_stmt *statement, int index, const struct value *value) {
  if (value->kind == VALUE_MISSING)
    sqlite3_bind_null(statement, index);
  else if (value->kind == VALUE_TEXT)
    bind_text(statement, index, value->text);
  else
    bind_number(statement, index, value->number);
}

sqlite3_stmt *store_statement(struct store *store, const char *sql, struct error *error) {
  for (int i = 0; i < store->cached; i++) {
    if (store->cache[i].sql != sql) continue;
    sqlite3_reset(store->cache[i].statement);
    sqlite3_clear_bindings(store->cache[i].statement);
    return store->cache[i].statement;
  }
  if (store->cached == STATEMENT_CACHE) {
    error_set(error, EXIT_ENVIRONMENT, "%s: more than %d kinds of statements", store->path, STATEMENT_CACHE);
    return NULL;
  }
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v3(store->database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
    store_fail(store, error, "preparing a statement");
    return NULL;
  }
  store->cache[store->cached++] = (struct cached_statement){sql, statement};
  return statement;
}

bool store_step_done(struct store *store, sqlite3_stmt *statement, const char *doing, struct error *error) {
  int code = sqlite3_step(statement);
  bool fine = code == SQLITE_DONE || code == SQLITE_ROW;
  if (!fine) store_fail(store, error, doing);
  sqlite3_reset(statement);
  return fine;
}

bool store_execute(struct store *store, const char *sql, const char *doing, struct error *error) {
  return sqlite3_exec(store->database, sql, NULL, NULL, NULL) == SQLITE_OK || store_fail(store, error, doing);
}

bool store_begin(struct store *store, struct error *error) {
  sqlite3_stmt *statement = store_statement(store, "BEGIN IMMEDIATE", error);
  if (!statement || !store_step_done(store, statement, "starting to write", error)) return false;
  store->in_transaction = true;
  return true;
}

bool store_commit(struct store *store, struct error *error) {
  sqlite3_stmt *statement = store_statement(store, "COMMIT", error);
  if (!statement || !store_step_done(store, statement, "writing", error)) {
    store_rollback(store);
    return false;
  }
  store->in_transaction = false;
  return true;
}

void store_rollback(struct store *store) {
  // SQLite itself may have rolled back already (a full disk): then there is nothing to do.
  if (!sqlite3_get_autocommit(store->database)) sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
  store->in_transaction = false;
  store->format_count = 0;  // they may have been put in just now
}

static bool look_at_file(struct store *store, struct error *error) {
  return store_execute(store, "SELECT count(*) FROM sqlite_schema", "opening", error);
}

static bool open_connection(struct store *store, const char *name, int flags, struct error *error) {
  if (sqlite3_open_v2(name, &store->database, flags, NULL) != SQLITE_OK) return store_fail(store, error, "opening");
  sqlite3_busy_timeout(store->database, BUSY_MILLISECONDS);
  return look_at_file(store, error);
}

static const char *uri_of(struct arena *arena, const char *path, const char *parameters) {
  struct text name = {0};
  text_add(&name, "file:");
  for (const char *c = path; *c; c++)
    if (strchr("%?#", *c))
      text_format(&name, "%%%02X", (unsigned)(unsigned char)*c);
    else
      text_char(&name, *c);
  text_format(&name, "?%s", parameters);
  const char *uri = arena_string(arena, text_string(&name));
  text_free(&name);
  return uri;
}

static void disconnect(struct store *store) {
  sqlite3_close(store->database);
  store->database = NULL;
}

// Whether changes wait in a log next to the file: then the file alone is not the store.
static bool has_log(struct store *store) {
  struct stat status;
  return stat(arena_format(&store->arena, "%s-wal", store->path), &status) == 0 && status.st_size > 0;
}

bool store_unchanged(struct store *store, struct error *error) {
  struct stat now;
  if (!store->immutable) return true;
  bool same = stat(store->path, &now) == 0 && now.st_size == store->seen.st_size && now.st_ino == store->seen.st_ino &&
              now.st_mtim.tv_sec == store->seen.st_mtim.tv_sec && now.st_mtim.tv_nsec == store->seen.st_mtim.tv_nsec;
  return (same && !has_log(store)) ||
         error_set(error, EXIT_ENVIRONMENT, "%s: somebody began to write to it while it was read; try again",
                   store->path);
}

// A database in a folder that we may not write, left by a program that ended well: no log next to it, so no writer.
static bool open_immutable(struct store *store, struct error *error) {
  if (has_log(store))
    return error_set(
        error, EXIT_ENVIRONMENT,
        "%s: changes wait in isoloss.db-wal next to it, and its folder may only be read; the next `isoloss "
        "run` of who may write there puts them in (or copy both files to a folder of yours)",
        store->path);
  disconnect(store);
  store->uri = uri_of(&store->arena, store->path, "immutable=1");
  store->immutable = stat(store->path, &store->seen) == 0;
  return open_connection(store, store->uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, error);
}

// Into memory, where it can be written.
static bool open_copy(struct store *store, struct error *error) {
  sqlite3 *from = store->database, *to = NULL;
  sqlite3_backup *backup = NULL;
  bool fine = sqlite3_open_v2(":memory:", &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK;
  if (fine) backup = sqlite3_backup_init(to, "main", from, "main");
  fine = backup && sqlite3_backup_step(backup, -1) == SQLITE_DONE;
  fine = sqlite3_backup_finish(backup) == SQLITE_OK && fine && store_unchanged(store, error);
  sqlite3_close(from);
  store->database = to;
  store->read_only = store->immutable = false;
  store->copy = true;
  if (!fine) return error->code ? false : store_fail(store, error, "reading");
  return store_execute(store, "PRAGMA foreign_keys=ON", "opening", error);
}

static bool may_not_write(const struct error *error, sqlite3 *database) {
  int code = error->code && database ? sqlite3_errcode(database) & 0xff : SQLITE_OK;
  return code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
}

static bool open_to_read(struct store *store, struct error *error) {
  struct error first = {0};
  bool needed;
  store->read_only = true;
  store->uri = uri_of(&store->arena, store->path, "mode=ro");
  if (!open_connection(store, store->uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &first) &&
      (!may_not_write(&first, store->database) || access(store->path, R_OK) != 0)) {
    error_take(error, &first);
    return false;
  }
  if (first.code && !open_immutable(store, error)) return false;
  if (!store_needs_migration(store, &needed, error)) return false;
  if (!needed) return true;
  // Of an older version: written anew, or where that may not be, a copy of it.
  bool writable = access(store->path, W_OK) == 0 && !first.code;
  if (writable) disconnect(store);
  if (writable ? !open_connection(store, store->path, SQLITE_OPEN_READWRITE, error) : !open_copy(store, error))
    return false;
  return store_migrate_here(store, error) || error_context(error, "bringing the database up to date");
}

static bool open_to_write(struct store *store, enum store_mode mode, struct error *error) {
  bool private = strcmp(store->path, ":memory:") == 0;
  if (mode == STORE_CREATE && !private) {
    char *folder = arena_string(&store->arena, store->path), *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
      *slash = '\0';
      if (!folder_make(folder, error)) return false;
    }
  }
  int flags = SQLITE_OPEN_READWRITE | (mode == STORE_CREATE ? SQLITE_OPEN_CREATE : 0) | (private ? SQLITE_OPEN_URI : 0);
  if (!open_connection(store, store->path, flags, error)) return false;
  if (sqlite3_db_readonly(store->database, "main") == 1)
    return error_set(error, EXIT_ENVIRONMENT, "%s: no permission to write; set ISOLOSS_HOME to a folder of yours",
                     store->path);
  // Write-ahead log: readers never wait for the coordinator. NORMAL keeps the file sound through a power cut; what the
  // last seconds lose is read from the event logs again.
  if (!store_execute(store, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON", "opening",
                     error))
    return false;
  return store_migrate_here(store, error);
}

// The file or its folder: SQLite needs to make files next to it.
static bool may_only_be_read(struct arena *arena, const char *path) {
  const char *slash = strrchr(path, '/');
  const char *folder = !slash ? "." : slash == path ? "/" : arena_copy(arena, path, (size_t)(slash - path));
  return access(path, W_OK) != 0 || access(folder, W_OK) != 0;
}

struct store *store_open(const char *path, enum store_mode mode, struct error *error) {
  struct store *store = memory_get(sizeof *store);
  store->path = arena_string(&store->arena, path);
  bool fine = false;
  if (mode != STORE_CREATE && !file_exists(path))
    error_set(error, EXIT_ENVIRONMENT, "%s: no database there yet; `isoloss run SPEC` makes it", path);
  else if (mode == STORE_READ || (mode == STORE_KEEP && may_only_be_read(&store->arena, path)))
    fine = open_to_read(store, error);
  else if (file_exists(path) && may_only_be_read(&store->arena, path))
    error_set(error, EXIT_ENVIRONMENT, "%s may only be read here (%s); set ISOLOSS_HOME to a folder of yours", path,
              strerror(errno));
  else
    fine = open_to_write(store, mode, error);
  if (fine && mode == STORE_KEEP && store->read_only) fine = open_copy(store, error);
  if (fine) store_load_columns(store);  // with the fields that its runs have of their own
  if (fine && (mode == STORE_READ || store_refresh_views(store, error))) return store;
  store_close(store);
  return NULL;
}

static char *home_path(struct arena *arena) { return path_join(arena, isoloss_home(arena), "isoloss.db"); }

struct store *store_open_home(enum store_mode mode, struct error *error) {
  struct arena scratch = {0};
  struct store *store = store_open(home_path(&scratch), mode, error);
  arena_free(&scratch);
  return store;
}

bool store_exists_home(void) {
  struct arena scratch = {0};
  bool exists = file_exists(home_path(&scratch));
  arena_free(&scratch);
  return exists;
}

const char *store_path(const struct store *store) { return store->path; }
bool store_read_only(const struct store *store) { return store->read_only; }
bool store_is_copy(const struct store *store) { return store->copy; }

// A reader of a log makes files next to the database that it may not remove. Whoever may write and leaves last, does;
// where others are at work on it, this does nothing.
static void fold_after_reading(struct store *store) {
  struct stat status;
  sqlite3 *database = NULL;
  if (!store->read_only || store->immutable || store->copy || may_only_be_read(&store->arena, store->path)) return;
  if (stat(arena_format(&store->arena, "%s-wal", store->path), &status) != 0) return;
  if (sqlite3_open_v2(store->path, &database, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
    sqlite3_busy_timeout(database, FOLD_MILLISECONDS);
    sqlite3_exec(database, "SELECT 1 FROM sqlite_master LIMIT 1", NULL, NULL, NULL);  // opens the log
  }
  sqlite3_close(database);
}

void store_close(struct store *store) {
  if (!store) return;
  for (int i = 0; i < store->cached; i++) sqlite3_finalize(store->cache[i].statement);
  for (int i = 0; i < UPDATE_CACHE; i++) {
    sqlite3_finalize(store->updates[i].statement);
    free(store->updates[i].sql);
  }
  if (store->database) {
    store_rollback(store);
    if (!store->read_only && !store->copy) {
      // Whoever copies isoloss.db alone then has all of it. A reader that continues may hinder that for now.
      sqlite3_busy_timeout(store->database, FOLD_MILLISECONDS);
      sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    sqlite3_close(store->database);
    fold_after_reading(store);
  }
  arena_free(&store->arena);
  free(store);
}
