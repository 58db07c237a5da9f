// Inside results/: the connection, its statement cache, errors, migrations.
#pragma once
#include <sqlite3.h>
#include <sys/stat.h>

#include "results/setting_sql.h"
#include "results/store.h"

enum { STATEMENT_CACHE = 32, UPDATE_CACHE = 16, SCHEMA_VERSION = 13 };

struct cached_statement {
  const char *sql;  // compared by address
  sqlite3_stmt *statement;
};

// An update of these columns of a run, whose statement is kept: the same few come again for every run.
struct cached_update {
  char *sql;  // on the heap
  sqlite3_stmt *statement;
};

struct store {
  struct arena arena;
  sqlite3 *database;
  const char *path;
  const char *uri;  // how the file is opened to be read; of one that nobody else writes with immutable=1
  bool read_only, in_transaction, copy;
  bool immutable;  // read without locks: that nobody wrote is looked at after each query
  struct stat seen;
  struct cached_statement cache[STATEMENT_CACHE];
  int cached;
  struct cached_update updates[UPDATE_CACHE];
  int updates_made;  // the oldest gives way when all are taken
  // Formats, as runs write them, that this connection has put into table formats.
  const char **formats;
  size_t format_count;
  struct store_column *columns;  // of runs as they are read: those of columns.h that are listed, then run fields
  const char **column_names;
  int column_count;
  const char *insert_run, *fill_in_run;  // statements, once they are needed
};

// A run r with what follows from its format f, and what was asked of it, m. Of a later stage the format is the last one
// that its weights were brought to or trained in (which is in its settings, not in what counts in its id); where that
// is no format but a grid of its own (higgs), or one for each matrix, there is none.
#define RUNS_AND_FORMATS \
  "runs r LEFT JOIN formats f ON f.format = CASE WHEN r.parent IS NULL THEN json_extract(r.canonical, '$.format') "   \
  "WHEN " SETTING("tune.after") " IN ('compress', 'search') THEN " SETTING("tune.format") " "                                  \
  "WHEN coalesce(" SETTING("compress.format") ", 'none') <> 'none' THEN " SETTING("compress.format") " "          \
  "WHEN " SETTING("search.space") " IN ('bits', 'sparsity') THEN NULL "                                            \
  "WHEN " SETTING("compress.method") " = 'higgs' OR " SETTING("compress.allocate.method") " <> 'none' THEN NULL " \
  "ELSE coalesce(nullif(" SETTING("tune.format") ", '" TUNE_PARENT_FORMAT "'), " SETTING("format") ") END "       \
  "LEFT JOIN marks m ON m.run = r.id"

struct store_column {
  const char *name, *sql;  // sql: over RUNS_AND_FORMATS
  bool text, boolean;
};

// The error of the last SQLite call, in words that say what to do. Always returns false.
bool store_fail(struct store *store, struct error *error, const char *doing);
// Of a file that is read without locks: true, unless somebody wrote to it since it was opened.
bool store_unchanged(struct store *store, struct error *error);
// A cached statement, reset and with no bindings. `sql` must live as long as the store (a literal). NULL on error.
sqlite3_stmt *store_statement(struct store *store, const char *sql, struct error *error);
// Runs a statement that returns no rows.
bool store_step_done(struct store *store, sqlite3_stmt *statement, const char *doing, struct error *error);
// Runs SQL text that returns no rows.
bool store_execute(struct store *store, const char *sql, const char *doing, struct error *error);
void bind_number(sqlite3_stmt *statement, int index, double value);  // NAN: NULL; whole numbers as integers
void bind_text(sqlite3_stmt *statement, int index, const char *text);
void bind_value(sqlite3_stmt *statement, int index, const struct value *value);

// migrate.c
struct migration {
  int version;  // the version that it leads to
  const char *sql;
  bool (*then)(struct store *store, struct error *error);  // what SQL cannot do, or NULL; in the same transaction
};
// Brings the database to the last migration's version, one transaction a step: `schema` makes a new one (version
// `schema_version`), migrations lead older ones there. A newer database is an error.
bool store_migrate(struct store *store, const char *schema, int schema_version, const struct migration *migrations,
                   size_t count, struct error *error);
bool store_migrate_here(struct store *store, struct error *error);
bool store_needs_migration(struct store *store, bool *needed, struct error *error);

// formats.c
// Puts what follows from a run's format into table formats, unless it is there.
bool store_format_add(struct store *store, const char *format, struct error *error);
bool store_formats_of_runs(struct store *store, struct error *error);  // those of all runs
// Of a store of before recipes were renamed: every place that names one gets its name of now (format_renamed).
bool store_rename_formats(struct store *store, struct error *error);

// spellings.c
// Spells what stores of before have as it was written: paths of files, formats of measured speeds.
bool store_spell_old(struct store *store, struct error *error);
// Spells the files of a run whose path is relative to a folder that only who trained it knew; `config` is the
// configuration of the same run as it is stored today.
bool store_spell_files(struct store *store, const char *id, const char *config, struct error *error);

// query.c
struct store_rows *store_rows_of(struct store *store, sqlite3_stmt *statement);  // which the rows then own
// Columns of the results of those tasks that runs of the store have, behind the others; and how many there can be.
void store_load_task_columns(struct store *store);
size_t store_task_column_room(void);
void store_load_columns(struct store *store);

// views.c
bool store_refresh_views(struct store *store, struct error *error);
