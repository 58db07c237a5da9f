// isoloss rm: removes runs or an experiment, rows and files.
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/execute/home_lock.h"
#include "runner/execute/removal.h"
#include "runner/slurm/status.h"
#include "runner/terminal/table.h"

static void print_json(const struct removal *removal, bool removed) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_boolean(&json, "removed", removed);
  json_key_string(&json, "experiment", removal->experiment);
  json_key_integer(&json, "fits", (int64_t)removal->fits);
  json_key_integer(&json, "claims", (int64_t)removal->claims);
  json_key(&json, "runs");
  json_array_begin(&json);
  for (size_t i = 0; i < removal->count; i++) {
    const struct removal_run *run = &removal->runs[i];
    json_object_begin(&json);
    json_key_string(&json, "id", run->id);
    json_key_string(&json, "state", run->state);
    json_key_string(&json, "folder", run->folder);
    json_key_number(&json, "bytes", run->bytes);
    json_key_boolean(&json, "alive", run->alive);
    json_key(&json, "experiments");
    json_array_begin(&json);
    for (size_t e = 0; e < run->experiment_count; e++) json_put_string(&json, run->experiments[e]);
    json_array_end(&json);
    json_object_end(&json);
  }
  json_array_end(&json);
  json_key_integer(&json, "orphans", (int64_t)removal->orphans);
  json_key(&json, "kept");
  json_array_begin(&json);
  for (size_t i = 0; i < removal->kept_count; i++) json_put_string(&json, removal->kept[i]);
  json_array_end(&json);
  json_object_end(&json);
  text_char(&text, '\n');
  fputs(text_string(&text), stdout);
  text_free(&text);
}

static void print_runs(const struct removal *removal) {
  struct text_table table = {.gap = 2};
  char bytes[32];
  text_table_columns(&table,
                     (const struct text_column[]){{"id"}, {"state"}, {"files", .right = true}, {"experiments"}, {0}});
  for (size_t i = 0; i < removal->count; i++) {
    const struct removal_run *run = &removal->runs[i];
    struct text names = {0};
    for (size_t e = 0; e < run->experiment_count; e++) text_format(&names, "%s%s", e ? ", " : "", run->experiments[e]);
    text_table_cell(&table, "%.8s", run->id);
    text_table_cell(&table, "%s%s", run->state, run->alive ? ", at work" : "");
    text_table_cell(&table, "%s", bytes_human(run->bytes, bytes));
    text_table_cell(&table, "%s", text_string(&names));
    text_free(&names);
  }
  if (removal->count) text_table_print(&table, stdout);
  text_table_free(&table);
}

static void print_people(const struct removal *removal, bool removed) {
  char bytes[32];
  if (!removed) print_runs(removal);
  if (removal->kept_count)
    printf("%zu run%s of %s stay%s: other experiments have %s too\n", removal->kept_count,
           removal->kept_count == 1 ? "" : "s", removal->experiment, removal->kept_count == 1 ? "s" : "",
           removal->kept_count == 1 ? "it" : "them");
  printf("%s ", removed ? "removed" : "would remove");
  if (removal->experiment)
    printf("experiment %s with %zu fit%s and %zu claim%s, ", removal->experiment, removal->fits,
           removal->fits == 1 ? "" : "s", removal->claims, removal->claims == 1 ? "" : "s");
  printf("%zu run%s and their files, %s", removal->count, removal->count == 1 ? "" : "s",
         bytes_human(removal->bytes, bytes));
  printf(removed ? "\n" : "; nothing is changed without --yes\n");
  if (removal->orphans)
    printf("%zu run%s that follow%s them stay%s with %s results; what is still to follow them trains them again\n",
           removal->orphans, removal->orphans == 1 ? "" : "s", removal->orphans == 1 ? "s" : "",
           removal->orphans == 1 ? "s" : "", removal->orphans == 1 ? "its" : "their");
  if (!removed && removal->alive)
    printf("workers are at work on %zu of them: with --yes nothing would be removed until they end\n", removal->alive);
}

// Of those that jobs of Slurm's are at work on, wherever.
static bool nobody_has_them(const struct removal *removal, const char *home, struct error *error) {
  struct arena arena = {0};
  const char **ids = arena_array(&arena, removal->count + 1, sizeof *ids);
  for (size_t i = 0; i < removal->count; i++) ids[i] = removal->runs[i].id;
  bool fine = slurm_leaves_alone(home, ids, removal->count, "removed", error);
  arena_free(&arena);
  return fine;
}

static bool remove_runs(const struct runs_request *request, bool yes, bool json, struct error *error) {
  struct arena arena = {0};
  struct removal removal = {0};
  const char *home = isoloss_home(&arena);
  // A home without a store is not made by the lock.
  struct store *store = store_open_home(STORE_READ, error);
  int lock = -1;
  bool fine = store != NULL;
  if (fine && yes) {
    store_close(store);
    lock = home_lock(home, false, NULL, error);
    store = lock >= 0 ? store_open_home(STORE_WRITE, error) : NULL;
    fine = store != NULL;
  }
  fine = fine && removal_find(&removal, store, home, request, error) &&
         (!yes || (nobody_has_them(&removal, home, error) && removal_do(&removal, store, error)));
  if (fine && json) print_json(&removal, yes);
  if (fine && !json) print_people(&removal, yes);
  removal_free(&removal);
  store_close(store);
  if (lock >= 0) close(lock);
  arena_free(&arena);
  return fine;
}

void command_rm(struct command_line *line) {
  const char *where = NULL;
  bool yes = false, json = false;
  const struct option options[] = {
      {"where", 'w', OPTION_TEXT, &where, "EXPR", "the runs for which this holds, of the experiment or of the store"},
      {"yes", 'y', OPTION_FLAG, &yes, NULL, "remove; without it nothing is changed"},
      {"json", 0, OPTION_FLAG, &json, NULL,
       "one JSON object: removed, experiment, fits, claims, runs, kept (ids of runs that stay)"},
      {0}};
  const struct command_usage usage = {
      "isoloss rm RUN... | EXPERIMENT | [EXPERIMENT] --where EXPR [--yes] [--json]",
      "Lists what would be removed, and with --yes removes it: rows of the store and folders of runs. RUN is the\n"
      "beginning of a run's id, at least 4 characters. An EXPERIMENT goes with its fits and claims and the runs that no\n"
      "other experiment has; with --where it stays, without the runs for which the condition holds (that of isoloss "
      "runs).\nLinks are removed, never followed. Nothing is removed while a worker is at work on one of the runs, or\n"
      "isoloss run on the store. Fits made on the runs before stay as they are.",
      0, INT_MAX, "runs, an experiment, or --where"};
  if (!command_begin(line, &usage, options)) return;
  if (!line->count && !where) {
    error_set(&line->error, EXIT_USAGE_ERROR, "rm: give %s (isoloss rm --help says more)", usage.arguments);
    return;
  }
  struct runs_request request = {line->arguments, (size_t)line->count, where};
  remove_runs(&request, yes, json, &line->error);
}
