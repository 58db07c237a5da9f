// The version of a database and the way from older ones to this. PRAGMA user_version holds the version,
// PRAGMA application_id says that the file is ours.
#include <stdio.h>

#include "results/store_internal.h"

enum { APPLICATION_ID = 0x49534C53 };  // "ISLS"

static const char schema_sql[] =
#include "schema.sql.inc"
    ;

static const char migration_2_sql[] =
#include "migration-2.sql.inc"
    ;

static const char migration_3_sql[] =
#include "migration-3.sql.inc"
    ;

static const char migration_4_sql[] =
#include "migration-4.sql.inc"
    ;

static const char migration_5_sql[] =
#include "migration-5.sql.inc"
    ;

static const char migration_6_sql[] =
#include "migration-6.sql.inc"
    ;

static const char migration_7_sql[] =
#include "migration-7.sql.inc"
    ;

static const char migration_8_sql[] =
#include "migration-8.sql.inc"
    ;

static const char migration_9_sql[] =
#include "migration-9.sql.inc"
    ;

static const char migration_10_sql[] =
#include "migration-10.sql.inc"
    ;

static const char migration_11_sql[] =
#include "migration-11.sql.inc"
    ;

static const char migration_12_sql[] =
#include "migration-12.sql.inc"
    ;

static const char migration_13_sql[] =
#include "migration-13.sql.inc"
    ;

// Version N is reached from the one before by migration-N.sql, and by what SQL cannot do.
static const struct migration migrations_here[] = {{2, migration_2_sql, store_formats_of_runs},
                                                   {3, migration_3_sql, NULL},
                                                   {4, migration_4_sql, store_spell_old},
                                                   {5, migration_5_sql, NULL},
                                                   {6, migration_6_sql, NULL},
                                                   {7, migration_7_sql, NULL},
                                                   {8, migration_8_sql, NULL},
                                                   {9, migration_9_sql, NULL},
                                                   {10, migration_10_sql, NULL},
                                                   {11, migration_11_sql, NULL},
                                                   {12, migration_12_sql, store_rename_formats},
                                                   {13, migration_13_sql, NULL}};

static bool read_integer(struct store *store, const char *sql, int *value, struct error *error) {
  sqlite3_stmt *statement = NULL;
  bool fine = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
              sqlite3_step(statement) == SQLITE_ROW;
  if (fine)
    *value = sqlite3_column_int(statement, 0);
  else
    store_fail(store, error, "reading the database's version");
  sqlite3_finalize(statement);
  return fine;
}

// Version of the database; 0: empty. An error when it is somebody else's or newer.
static bool read_version(struct store *store, int newest, int *version, struct error *error) {
  int application, tables;
  if (!read_integer(store, "PRAGMA application_id", &application, error) ||
      !read_integer(store, "PRAGMA user_version", version, error) ||
      !read_integer(store, "SELECT count(*) FROM sqlite_schema", &tables, error))
    return false;
  if (tables == 0) {
    *version = 0;
    return true;
  }
  if (application != APPLICATION_ID)
    return error_set(error, EXIT_ENVIRONMENT, "%s: a database of another program, not an isoloss store", store->path);
  if (*version > newest)
    return error_set(error, EXIT_ENVIRONMENT,
                     "%s: made by a newer isoloss (schema version %d, this program knows %d); use that one, or another "
                     "ISOLOSS_HOME",
                     store->path, *version, newest);
  return true;
}

static bool run_step(struct store *store, const char *sql, int version, struct error *error) {
  char end[128];
  snprintf(end, sizeof end, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID, version);
  if (store_execute(store, sql, "making the tables", error) && store_execute(store, end, "making the tables", error))
    return true;
  return error_context(error, "schema version %d", version);
}

bool store_migrate(struct store *store, const char *schema, int schema_version, const struct migration *migrations,
                   size_t count, struct error *error) {
  int version;
  if (!read_version(store, schema_version, &version, error)) return false;
  if (version == schema_version) return true;
  // One transaction for the whole way: a step that fails leaves the database as it was. Looked at again inside it,
  // since another program may just have done the same.
  if (!store_begin(store, error)) return false;
  bool fine = read_version(store, schema_version, &version, error);
  if (fine && version == 0) {
    fine = run_step(store, schema, schema_version, error);
  } else {
    for (size_t i = 0; i < count && fine; i++)
      if (migrations[i].version > version)
        fine = run_step(store, migrations[i].sql, migrations[i].version, error) &&
               (!migrations[i].then || migrations[i].then(store, error));
  }
  if (fine) return store_commit(store, error);
  store_rollback(store);
  return false;
}

bool store_migrate_here(struct store *store, struct error *error) {
  return store_migrate(store, schema_sql, SCHEMA_VERSION, migrations_here,
                       sizeof migrations_here / sizeof *migrations_here, error);
}

bool store_needs_migration(struct store *store, bool *needed, struct error *error) {
  int version;
  if (!read_version(store, SCHEMA_VERSION, &version, error)) return false;
  if (version == 0)
    return error_set(error, EXIT_ENVIRONMENT, "%s: an empty database; `isoloss run SPEC` fills it", store->path);
  *needed = version < SCHEMA_VERSION;
  return true;
}
