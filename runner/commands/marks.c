// What isoloss pause, resume, cancel and retry share. See marks.h.
#include "runner/commands/marks.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "runner/execute/home_lock.h"
#include "runner/execute/marking.h"
#include "runner/slurm/collect.h"
#include "runner/spec/spec.h"

// ---- output ----

static void print_json(const struct marks_command *verb, const char *name, const struct marking *marking, bool done,
                       int64_t coordinator) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_string(&json, "command", name);
  json_key_boolean(&json, "done", done);
  json_key_integer(&json, "changed", (int64_t)marking->changed);
  json_key(&json, "coordinator");
  if (coordinator)
    json_put_integer(&json, coordinator);
  else
    json_put_null(&json);
  json_key(&json, "runs");
  json_array_begin(&json);
  for (size_t i = 0; i < marking->count; i++) {
    const struct marked_run *run = &marking->runs[i];
    json_object_begin(&json);
    json_key_string(&json, "id", run->run.id);
    json_key_string(&json, "state", run_state_name(run->run.state));
    json_key_string(&json, "mark", run_mark_name(run->becomes));
    json_key_boolean(&json, "changed", run->changed);
    json_key_boolean(&json, "alive", run->alive);
    json_key_string(&json, "unchanged", run->unchanged);
    json_object_end(&json);
  }
  json_array_end(&json);
  json_object_end(&json);
  text_char(&text, '\n');
  fputs(text_string(&text), stdout);
  text_free(&text);
}

// Runs that nothing was changed of, by the reason.
static void print_unchanged(const struct marking *marking) {
  for (size_t i = 0; i < marking->count; i++) {
    const char *why = marking->runs[i].unchanged;
    size_t same = 0;
    bool before = false;
    for (size_t j = 0; why && j < marking->count; j++) {
      bool alike = marking->runs[j].unchanged && strcmp(marking->runs[j].unchanged, why) == 0;
      before |= alike && j < i;
      same += alike;
    }
    if (why && !before) printf("unchanged: %zu run%s %s\n", same, same == 1 ? "" : "s", why);
  }
}

static void print_people(const struct marks_command *verb, const struct marking *marking, bool done,
                         int64_t coordinator) {
  size_t stopping = 0, signalled = 0;
  printf("%s: %zu run%s", done ? verb->done : verb->would, marking->changed, marking->changed == 1 ? "" : "s");
  if (marking->changed == 1)
    for (size_t i = 0; i < marking->count; i++)
      if (marking->runs[i].changed) printf(" (%.8s)", marking->runs[i].run.id);
  for (size_t i = 0; i < marking->count; i++) {
    const struct marked_run *run = &marking->runs[i];
    stopping += run->changed && run->alive && run_mark_holds(run->becomes);
    signalled += run->signalled;
  }
  if (stopping) printf(", of them %zu at work, which end%s with a checkpoint", stopping, stopping == 1 ? "s" : "");
  printf(done ? "\n" : "; nothing is changed with --dry-run\n");
  print_unchanged(marking);
  if (!done || !marking->changed) return;
  if (coordinator)
    printf("isoloss run (process %lld) follows this if the runs are its own\n", (long long)coordinator);
  else if (stopping > signalled)
    printf("%zu at work could not be asked to stop: the next isoloss run does\n", stopping - signalled);
  else if (verb->verb == MARKING_RESUME || verb->verb == MARKING_RETRY)
    printf("no isoloss run is at work: the next one continues them\n");
}

// ---- the commands ----

static bool mark(const struct marks_command *verb, const char *name, const struct runs_request *request, bool dry,
                 bool json, struct error *error) {
  struct arena arena = {0};
  struct marking marking = {0};
  const char *home = isoloss_home(&arena);
  struct store *store = store_open_home(dry ? STORE_READ : STORE_WRITE, error);
  bool fine = store && marking_find(&marking, store, home, verb->verb, request, error) &&
              (dry || (marking_do(&marking, store, home, error) && slurm_follow_marks(home, store, error)));
  int64_t coordinator = home_lock_holder(home);
  if (fine && json) print_json(verb, name, &marking, !dry, coordinator);
  if (fine && !json) print_people(verb, &marking, !dry, coordinator);
  marking_free(&marking);
  store_close(store);
  arena_free(&arena);
  return fine;
}

void marks_command_run(struct command_line *line, const struct marks_command *verb) {
  const char *where = NULL, *name = line->command->name;
  bool dry = false, json = false;
  const struct option options[] = {
      {"where", 'w', OPTION_TEXT, &where, "EXPR", "the runs for which this holds, of the experiment or of the store"},
      {"dry-run", 'n', OPTION_FLAG, &dry, NULL, "only say what would be done"},
      {"json", 0, OPTION_FLAG, &json, NULL,
       "one JSON object: command, done, changed, coordinator, runs (id, state, mark, changed, alive, unchanged)"},
      {0}};
  const char *lines =
      "RUN is the beginning of a run's id, at least 4 characters; the condition is that of isoloss runs.\n"
      "Who asked, and when, is shown by isoloss status, runs and show. Calling it twice does nothing "
      "the second time.";
  const struct command_usage usage = {
      arena_format(&line->arena, "isoloss %s RUN... | EXPERIMENT | [EXPERIMENT] --where EXPR [--dry-run] [--json]",
                   name),
      arena_format(&line->arena, "%s\n%s", verb->about, lines), 0, INT_MAX, "runs, an experiment, or --where"};
  if (!command_begin(line, &usage, options)) return;
  if (!line->count && !where) {
    error_set(&line->error, EXIT_USAGE_ERROR, "%s: give %s (isoloss %s --help says more)", name, usage.arguments, name);
    return;
  }
  for (int i = 0; i < line->count; i++)
    if (spec_is_file(line->arguments[i])) {
      error_set(&line->error, EXIT_USAGE_ERROR,
                "%s: '%s' is a file: give the experiment by its name, as isoloss status lists it", name,
                line->arguments[i]);
      return;
    }
  struct runs_request request = {line->arguments, (size_t)line->count, where};
  mark(verb, name, &request, dry, json, &line->error);
}
