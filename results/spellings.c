// Spellings of stores of before, whose runs have formats and paths as somebody wrote them.
#include <string.h>

#include "results/store_internal.h"

// Every text that `list` finds is replaced through `change` (?1 the old, ?2 the new one) by what `spell` makes of it.
static bool respell(struct store *store, const char *list, const char *change,
                    const char *(*spell)(const char *text, struct arena *arena), struct error *error) {
  struct arena scratch = {0};
  const char **old = NULL;
  size_t count = 0;
  struct store_rows *rows = store_select(store, list, NULL, 0, error);
  while (rows && store_rows_next(rows, error)) {
    old = arena_grow(&scratch, old, count, count + 1, sizeof *old);
    old[count++] = arena_string(&scratch, store_rows_value(rows, 0).text);
  }
  store_rows_close(rows);
  for (size_t i = 0; i < count && !error->code; i++) {
    const char *spelling = spell(old[i], &scratch);
    if (strcmp(spelling, old[i]) == 0) continue;
    sqlite3_stmt *s = store_statement(store, change, error);
    if (!s) break;
    bind_text(s, 1, old[i]);
    bind_text(s, 2, spelling);
    store_step_done(store, s, "naming things in one way", error);
  }
  arena_free(&scratch);
  return !error->code;
}

// Relative paths start where `isoloss run` was called, which is not known: those that lead to nothing from here stay,
// until the run is met again (store_spell_files).
static const char *files_from_here(const char *text, struct arena *arena) {
  char *rest = NULL, *copy = arena_string(arena, text);
  for (char *path = strtok_r(copy, "\n", &rest); path; path = strtok_r(NULL, "\n", &rest))
    if (path[0] != '/' && path[0] != '~' && !file_exists(path)) return text;
  return run_text_spelling("corpus.files", text, arena);
}

static const char *tokenizer_from_here(const char *text, struct arena *arena) {
  return text[0] == '/' || text[0] == '~' || file_exists(text) ? run_text_spelling("corpus.tokenizer", text, arena)
                                                               : text;
}

static const char *format(const char *text, struct arena *arena) { return run_text_spelling("format", text, arena); }

bool store_spell_old(struct store *store, struct error *error) {
  return respell(
             store,
             "SELECT DISTINCT json_extract(config, '$.\"corpus.files\"') AS files FROM runs WHERE json_valid(config) "
             "AND files <> ''",
             "UPDATE runs SET config = json_set(config, '$.\"corpus.files\"', ?2) WHERE json_valid(config) AND "
             "json_extract(config, '$.\"corpus.files\"') = ?1",
             files_from_here, error) &&
         respell(store,
                 "SELECT DISTINCT json_extract(config, '$.\"corpus.tokenizer\"') AS tokenizer FROM runs WHERE "
                 "json_valid(config) AND tokenizer LIKE '%.model'",
                 "UPDATE runs SET config = json_set(config, '$.\"corpus.tokenizer\"', ?2) WHERE json_valid(config) AND "
                 "json_extract(config, '$.\"corpus.tokenizer\"') = ?1",
                 tokenizer_from_here, error) &&
         respell(store, "SELECT DISTINCT format FROM throughput",
                 "UPDATE OR REPLACE throughput SET format = ?2 WHERE format = ?1", format, error);
}

// Table formats: what follows from the formats of now.
static bool rename_known(struct store *store, struct error *error) {
  struct arena scratch = {0};
  const char **names = NULL;
  size_t count = 0;
  struct store_rows *rows = store_select(store, "SELECT format FROM formats", NULL, 0, error);
  while (rows && store_rows_next(rows, error)) {
    const char *old = arena_string(&scratch, store_rows_value(rows, 0).text);
    if (strcmp(format_renamed(old, &scratch), old) == 0) continue;
    names = arena_grow(&scratch, names, count, count + 1, sizeof *names);
    names[count++] = old;
  }
  store_rows_close(rows);
  for (size_t i = 0; i < count && !error->code; i++) {
    sqlite3_stmt *s = store_statement(store, "DELETE FROM formats WHERE format = ?1", error);
    if (!s) break;
    bind_text(s, 1, names[i]);
    store_step_done(store, s, "naming formats anew", error);
  }
  store->format_count = 0;  // of names that may mean another format now
  for (size_t i = 0; i < count && !error->code; i++) store_format_add(store, format_renamed(names[i], &scratch), error);
  arena_free(&scratch);
  return !error->code;
}

bool store_rename_formats(struct store *store, struct error *error) {
  // In the order of their names, in which quartet comes before quartet-sr, which takes its place.
#define RENAMED(column, path)                                                                                     \
  respell(store,                                                                                                  \
          "SELECT DISTINCT json_extract(" column ", '$.\"" path "\"') AS name FROM runs WHERE json_valid(" column \
          ") AND name IS NOT NULL ORDER BY name",                                                                 \
          "UPDATE runs SET " column " = json_set(" column ", '$.\"" path "\"', ?2) WHERE json_valid(" column      \
          ") AND json_extract(" column ", '$.\"" path "\"') = ?1",                                                \
          format_renamed, error)
  return RENAMED("config", "format") && RENAMED("canonical", "format") && RENAMED("config", "tune.format") &&
         RENAMED("canonical", "tune.format") && rename_known(store, error) &&
         respell(store, "SELECT DISTINCT format FROM throughput ORDER BY format",
                 "UPDATE OR REPLACE throughput SET format = ?2 WHERE format = ?1", format_renamed, error);
#undef RENAMED
}

bool store_spell_files(struct store *store, const char *id, const char *config, struct error *error) {
  sqlite3_stmt *s = store_statement(
      store,
      "UPDATE runs SET config = json_set(config, '$.\"corpus.files\"', json_extract(?2, '$.\"corpus.files\"')) "
      "WHERE id = ?1 AND json_extract(config, '$.\"corpus.files\"') NOT LIKE '/%'",
      error);
  if (!s) return false;
  bind_text(s, 1, id);
  bind_text(s, 2, config);
  return store_step_done(store, s, "writing a run", error);
}
