// isoloss gc: removes files of a home that no run needs.
#include <stdio.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/execute/garbage.h"
#include "runner/execute/home_lock.h"
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

void command_gc(struct command_line *line) {
  bool yes = false, json = false;
  const struct option options[] = {
      {"yes", 'y', OPTION_FLAG, &yes, NULL, "remove; without it nothing is changed"},
      {"json", 0, OPTION_FLAG, &json, NULL, "one JSON object: removed, bytes, alive, items (path, what, bytes)"},
      {0}};
  const struct command_usage usage = {
      "isoloss gc [--yes] [--json]",
      "Lists what no run of the home needs, and with --yes removes it: folders of runs that the store does not have\n"
      "(isoloss run with their spec would still read them), and checkpoints of finished runs but the newest whole one,\n"
      "also where train.keep_checkpoints kept more. Links are not followed, corpora in the cache are not touched.",
      0, 0, "no arguments"};
  if (!command_begin(line, &usage, options)) return;
  struct error *error = &line->error;
  struct garbage garbage = {0};
  const char *home = isoloss_home(&line->arena);
  struct store *store = store_open_home(STORE_READ, error);  // without one nothing is known to be needed
  int lock = store && yes ? home_lock(home, false, NULL, error) : -1;
  bool fine = store && (!yes || lock >= 0) && garbage_find(&garbage, store, home, error) &&
              (!yes || garbage_remove(&garbage, error));
  if (fine && json)
    print_json(&garbage, yes);
  else if (fine)
    print_people(&garbage, yes);
  garbage_free(&garbage);
  store_close(store);
  if (lock >= 0) close(lock);
}
