// isoloss gc: removes files of a home that no run needs, and prepared corpora that nobody uses.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/execute/caches.h"
#include "runner/execute/garbage.h"
#include "runner/execute/home_lock.h"
#include "runner/slurm/status.h"
#include "runner/terminal/table.h"

static void print_json(const struct garbage *garbage, bool removed) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_boolean(&json, "removed", removed);
  json_key_number(&json, "bytes", garbage->bytes);
  json_key_integer(&json, "alive", (int64_t)garbage->alive);
  json_key(&json, "items");
  json_array_begin(&json);
  for (size_t i = 0; i < garbage->count; i++) {
    json_object_begin(&json);
    json_key_string(&json, "path", garbage->items[i].path);
    json_key_string(&json, "what", garbage->items[i].what);
    json_key_number(&json, "bytes", garbage->items[i].bytes);
    json_object_end(&json);
  }
  json_array_end(&json);
  json_object_end(&json);
  text_char(&text, '\n');
  fputs(text_string(&text), stdout);
  text_free(&text);
}

static void print_people(const struct garbage *garbage, bool removed) {
  struct text_table table = {.gap = 2};
  char bytes[32];
  text_table_columns(&table, (const struct text_column[]){{"files", .right = true}, {"what"}, {"path"}, {0}});
  for (size_t i = 0; i < garbage->count; i++) {
    text_table_cell(&table, "%s", bytes_human(garbage->items[i].bytes, bytes));
    text_table_cell(&table, "%s", garbage->items[i].what);
    text_table_cell(&table, "%s", garbage->items[i].path);
  }
  if (garbage->count && !removed) text_table_print(&table, stdout);
  text_table_free(&table);
  printf("%s %zu folder%s, %s%s\n", removed ? "removed" : "would remove", garbage->count,
         garbage->count == 1 ? "" : "s", bytes_human(garbage->bytes, bytes),
         removed || !garbage->count ? "" : "; nothing is changed without --yes");
  if (garbage->alive)
    printf("%zu folder%s that the store does not have left alone: workers are at work there\n", garbage->alive,
           garbage->alive == 1 ? "" : "s");
}

// ---- prepared corpora ----

static void print_caches_json(const struct caches *caches, bool removed) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_boolean(&json, "removed", removed);
  json_key_number(&json, "bytes", caches->bytes);
  json_key_integer(&json, "removable", (int64_t)caches->removable);
  json_key(&json, "caches");
  json_array_begin(&json);
  for (size_t i = 0; i < caches->count; i++) {
    const struct cache_item *item = &caches->items[i];
    json_object_begin(&json);
    json_key_string(&json, "digest", item->digest);
    json_key_string(&json, "source", item->source);
    json_key_string(&json, "path", item->path);
    json_key_number(&json, "bytes", item->bytes);
    json_key_number(&json, "age", item->age);
    json_key_string(&json, "kept", item->kept);
    json_object_end(&json);
  }
  json_array_end(&json);
  json_object_end(&json);
  text_char(&text, '\n');
  fputs(text_string(&text), stdout);
  text_free(&text);
}

static void print_caches(const struct caches *caches, bool removed) {
  struct text_table table = {.gap = 2};
  char text[32];
  text_table_columns(&table, (const struct text_column[]){{"files", .right = true},
                                                          {"age", .right = true},
                                                          {"digest"},
                                                          {"source"},
                                                          {removed ? "" : "stays, since"},
                                                          {0}});
  for (size_t i = 0; i < caches->count; i++) {
    const struct cache_item *item = &caches->items[i];
    text_table_cell(&table, "%s", bytes_human(item->bytes, text));
    text_table_cell(&table, "%s", seconds_human(item->age, text));
    text_table_cell(&table, "%.8s", item->digest);
    text_table_cell(&table, "%s", item->source);
    text_table_cell(&table, "%s", item->kept ? item->kept : "");
  }
  if (caches->count && !removed) text_table_print(&table, stdout);
  text_table_free(&table);
  printf("%s %zu of %zu prepared corpora, %s%s\n", removed ? "removed" : "would remove", caches->removable,
         caches->count, bytes_human(caches->bytes, text),
         removed || !caches->removable ? "" : "; nothing is changed without --yes");
}

static bool clean_caches(struct store *store, double days, bool yes, bool json, struct error *error) {
  struct caches caches = {0};
  bool fine = caches_find(&caches, store, days * 24 * 3600, error) && (!yes || caches_remove(&caches, error));
  if (fine && json)
    print_caches_json(&caches, yes);
  else if (fine)
    print_caches(&caches, yes);
  caches_free(&caches);
  return fine;
}

// Whether no job on some machine is at work in what would be removed: a worker's lock is seen on its own machine only.
static bool jobs_leave_it(const struct garbage *garbage, const char *home, struct error *error) {
  struct arena scratch = {0};
  const char **ids = arena_array(&scratch, garbage->count + 1, sizeof *ids);
  size_t begin = strlen(path_join(&scratch, home, "runs")) + 1;
  for (size_t i = 0; i < garbage->count; i++)
    ids[i] = arena_copy(&scratch, garbage->items[i].path + begin, DIGEST_LENGTH);
  bool fine = slurm_leaves_alone(home, ids, garbage->count, "removed", error);
  arena_free(&scratch);
  return fine;
}

static bool clean_home(struct store *store, const char *home, bool yes, bool json, struct error *error) {
  struct garbage garbage = {0};
  bool fine = garbage_find(&garbage, store, home, error) &&
              (!yes || (jobs_leave_it(&garbage, home, error) && garbage_remove(&garbage, error)));
  if (fine && json)
    print_json(&garbage, yes);
  else if (fine)
    print_people(&garbage, yes);
  garbage_free(&garbage);
  return fine;
}

void command_gc(struct command_line *line) {
  bool yes = false, json = false, of_caches = false;
  int64_t days = 7;
  const struct option options[] = {
      {"yes", 'y', OPTION_FLAG, &yes, NULL, "remove; without it nothing is changed"},
      {"caches", 0, OPTION_FLAG, &of_caches, NULL, "of the prepared corpora in the cache, in place of the home"},
      {"older-than", 0, OPTION_INTEGER, &days, "DAYS", "with --caches: only what nobody read for so long (default 7)"},
      {"json", 0, OPTION_FLAG, &json, NULL,
       "one JSON object: removed, bytes, alive, items (path, what, bytes); of caches removable and caches (digest, "
       "source, path, bytes, age, kept)"},
      {0}};
  const struct command_usage usage = {
      "isoloss gc [--caches [--older-than DAYS]] [--yes] [--json]",
      "Lists what no run of the home needs, and with --yes removes it: folders of runs that the store does not have\n"
      "(isoloss run with their spec would still read them), and checkpoints of finished runs but the newest whole one,\n"
      "also where train.keep_checkpoints kept more. Links are not followed. With --caches it lists the prepared corpora\n"
      "instead, which all homes share, and removes those that no run of this home names, no process has open and nobody\n"
      "read for DAYS; isoloss run prepares one again where it is needed.",
      0, 0, "no arguments"};
  if (!command_begin(line, &usage, options)) return;
  struct error *error = &line->error;
  bool days_given = false;
  for (size_t i = 0; i < line->given_count; i++) days_given |= strcmp(line->given[i].option, "--older-than") == 0;
  if (days < 0 || (days_given && !of_caches)) {
    error_set(error, EXIT_USAGE_ERROR,
              days < 0 ? "gc: --older-than cannot be negative" : "gc: --older-than needs --caches");
    return;
  }
  const char *home = isoloss_home(&line->arena);
  struct store *store = store_open_home(STORE_READ, error);  // without one nothing is known to be needed
  int lock = store && yes ? home_lock(home, false, NULL, error) : -1;
  if (store && (!yes || lock >= 0)) {
    if (of_caches)
      clean_caches(store, (double)days, yes, json, error);
    else
      clean_home(store, home, yes, json, error);
  }
  store_close(store);
  if (lock >= 0) close(lock);
}
