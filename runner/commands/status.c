// isoloss status: how far the runs are, and whether those at work are alive.
#include "runner/slurm/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/execute/events_reader.h"
#include "runner/execute/halved.h"
#include "runner/execute/home_lock.h"
#include "runner/execute/rows.h"
#include "runner/execute/run_notes.h"
#include "runner/execute/selection.h"
#include "runner/execute/time_left.h"
#include "runner/execute/worker.h"
#include "runner/terminal/table.h"

struct counted {
  const char *name;
  double runs, counts[RUN_STATES], marks[RUN_MARKS];
  double seconds_left;  // NAN: not known
  size_t halved;        // of the killed ones: stopped by halving
  const char *halved_words;
};

struct at_work {
  const char *id;
  bool alive;
  double step, steps, loss;
  struct events_damage damage;
  const char *message;     // of the coordinator: that it is silent for too long; NULL: none
  const char *unreadable;  // why its log cannot be read; NULL: it can
  pid_t pid;               // as its log says; 0: not known
  const char *gpu;         // it was given; NULL: none
  const char *node;        // where a job of Slurm's works on it; NULL: none does
};

// ---- what the logs say ----

static bool forget(void *context, struct error *error) { return true; }

static bool follow(void *context, const struct event *event, struct error *error) {
  struct at_work *run = context;
  double step = event_number(event, "step"), loss = event_number(event, "loss"), steps = event_number(event, "steps");
  if (!isnan(step)) run->step = step;
  if (!isnan(loss)) run->loss = loss;
  if (!isnan(steps)) run->steps = steps;
  double pid = event_number(event, "pid");
  if (pid > 0 && pid < 1e9) run->pid = (pid_t)pid;
  return true;
}

// From the log itself: the coordinator may be gone while its workers go on.
static struct at_work look_at(struct arena *arena, const char *home, const char *id, double steps) {
  struct at_work run = {.id = id, .step = 0, .steps = steps, .loss = NAN};
  struct events_reader reader = {0};
  struct events_handler handler = {&run, forget, follow};
  struct error error = {0};
  run.node = slurm_run_host(arena, home, id);
  run.alive = run.node || worker_alive(arena, run_folder(arena, home, id));
  if (!events_read(&reader, run_events_path(arena, home, id), &handler, &run.damage, &error))
    run.unreadable = arena_string(arena, error.text);
  if (run.alive) run.gpu = worker_gpu(arena, run_folder(arena, home, id), run.pid);
  return run;
}

// ---- what the store says ----

// How many runs of the experiment have each mark.
static bool count_marks(struct store *store, struct counted *one, struct error *error) {
  struct value value = store_text(one->name);
  struct store_rows *rows = store_select(store,
                                         "SELECT m.mark, count(*) FROM experiment_runs e JOIN marks m ON m.run = e.run "
                                         "WHERE e.experiment = ?1 GROUP BY m.mark",
                                         &value, 1, error);
  while (rows && store_rows_next(rows, error))
    one->marks[run_mark_parse(store_rows_value(rows, 0).text)] = store_rows_value(rows, 1).number;
  store_rows_close(rows);
  return !error->code;
}

static struct counted *count_experiments(struct store *store, const char *name, struct arena *arena, size_t *count,
                                         struct error *error) {
  struct counted *list = NULL;
  *count = 0;
  struct store_rows *rows = store_experiments(store, name, error);
  while (rows && store_rows_next(rows, error)) {
    list = arena_grow(arena, list, *count, *count + 1, sizeof *list);
    struct counted *one = &list[(*count)++];
    one->name = arena_string(arena, store_rows_get(rows, "name").text);
    one->runs = store_rows_get(rows, "runs").number;
    for (enum run_state i = 0; i < RUN_STATES; i++) one->counts[i] = store_rows_get(rows, run_state_name(i)).number;
  }
  store_rows_close(rows);
  for (size_t i = 0; i < *count && !error->code; i++) {
    struct counted *one = &list[i];
    bool unfinished = one->counts[RUN_PENDING] + one->counts[RUN_RUNNING] + one->counts[RUN_KILLED] > 0;
    if (!count_marks(store, one, error)) break;
    if (!halved_words(store, one->name, arena, &one->halved, &one->halved_words, error)) break;
    unfinished = unfinished &&
                 one->counts[RUN_PENDING] + one->counts[RUN_RUNNING] + one->counts[RUN_KILLED] > (double)one->halved;
    one->seconds_left = unfinished ? experiment_time_left(store, one->name, error) : 0;
  }
  return list;
}

static struct at_work *list_at_work(struct store *store, const char *home, const char *experiment, struct arena *arena,
                                    size_t *count, struct error *error) {
  struct at_work *list = NULL;
  struct run_query query = {.experiment = experiment, .state = run_state_name(RUN_RUNNING)};
  *count = 0;
  struct store_rows *rows = store_runs(store, &query, error);
  while (rows && store_rows_next(rows, error)) {
    list = arena_grow(arena, list, *count, *count + 1, sizeof *list);
    const char *id = arena_string(arena, store_rows_get(rows, "id").text);
    struct value message = store_rows_get(rows, "message");
    list[*count] = look_at(arena, home, id, store_rows_get(rows, "steps").number);
    list[(*count)++].message = message.kind == VALUE_TEXT ? arena_string(arena, message.text) : NULL;
  }
  store_rows_close(rows);
  return list;
}

// ---- output ----

static void print_people(const struct counted *experiments, size_t count, const struct at_work *runs, size_t run_count,
                         int64_t coordinator, const struct slurm_status *slurm, const char *home, struct arena *arena) {
  char text[32];
  struct text_table table = {.gap = 2};
  text_table_column(&table, (struct text_column){"experiment"});
  text_table_column(&table, (struct text_column){"runs", .right = true, .least = 6});
  for (enum run_state i = 0; i < RUN_STATES; i++)
    text_table_column(&table, (struct text_column){run_state_name(i), .right = true, .least = 8});
  // Of what nothing was asked nothing is said.
  bool marked[RUN_MARKS] = {false};
  for (size_t i = 0; i < count; i++)
    for (enum run_mark m = MARK_NONE + 1; m < RUN_MARKS; m++) marked[m] |= experiments[i].marks[m] > 0;
  for (enum run_mark m = MARK_NONE + 1; m < RUN_MARKS; m++)
    if (marked[m]) text_table_column(&table, (struct text_column){run_mark_name(m), .right = true, .least = 8});
  text_table_column(&table, (struct text_column){"time left"});
  for (size_t i = 0; i < count; i++) {
    const struct counted *one = &experiments[i];
    text_table_cell(&table, "%s", one->name);
    text_table_cell(&table, "%.0f", one->runs);
    for (enum run_state s = 0; s < RUN_STATES; s++) text_table_cell(&table, "%.0f", one->counts[s]);
    for (enum run_mark m = MARK_NONE + 1; m < RUN_MARKS; m++)
      if (marked[m]) text_table_cell(&table, "%.0f", one->marks[m]);
    text_table_cell(&table, "%s",
                    one->seconds_left == 0     ? (one->counts[RUN_RUNNING] > 0 ? "evaluating" : "-")
                    : isnan(one->seconds_left) ? "not known yet"
                                               : seconds_human(one->seconds_left, text));
  }
  text_table_print(&table, stdout);
  text_table_free(&table);
  for (size_t i = 0; i < count; i++)
    if (experiments[i].halved)
      printf("%s: %s; they count as killed, and are not trained on while the spec has halving\n", experiments[i].name,
             experiments[i].halved_words);
  if (coordinator)
    printf("\nisoloss run is at work on %s (process %lld)\n", home, (long long)coordinator);
  else if (slurm->any)
    printf("\nSlurm: %s\n", slurm->words);
  else if (run_count)
    printf("\nno isoloss run is at work: call it again to go on with these\n");
  if (slurm->said)
    printf("squeue does not answer, so jobs are taken to go on as they were: %s\n", visible(arena, slurm->said));
  if (slurm->why) printf("what jobs did is not read into the store now: %s\n", visible(arena, slurm->why));
  for (size_t i = 0; i < run_count; i++) {
    const struct at_work *run = &runs[i];
    printf("  %.8s  step %.0f", run->id, run->step);
    if (run->steps > 0) printf("/%.0f", run->steps);
    if (!isnan(run->loss)) printf("  loss %s", loss_human(run->loss, text));
    if (run->gpu) printf("  GPU %s", run->gpu);
    if (run->node) printf("  on %s", visible(arena, run->node));
    printf("  %s\n", run->alive ? "alive" : "dead");
    if (run->message) printf("            %s\n", visible(arena, run->message));
    if (run->unreadable) printf("            %s\n", visible(arena, run->unreadable));
  }
}

static void print_notes(const struct run_notes *notes, size_t built_in) {
  struct text text = {0};
  run_notes_say(notes, &text);
  if (built_in)
    text_format(&text,
                "  %zu run%s of custom trainers with parameters as the built-in model counts them (isoloss show)\n",
                built_in, built_in == 1 ? "" : "s");
  if (text.length) printf("\n%s", text_string(&text));
  text_free(&text);
}

// Why runs failed, the first line of each.
static bool print_failed(const struct selection *selection, struct error *error) {
  enum { MOST = 5 };
  struct run_query query = {.experiment = selection->experiment, .state = run_state_name(RUN_FAILED)};
  struct store_rows *rows = store_runs(selection->store, &query, error);
  struct arena arena = {0};
  size_t count = 0;
  for (; rows && store_rows_next(rows, error); count++) {
    struct value message = store_rows_get(rows, "message");
    if (count >= MOST || message.kind != VALUE_TEXT) continue;
    const char *line = arena_copy(&arena, message.text, strcspn(message.text, "\n"));
    printf("%s  %.8s  failed: %s\n", count ? "" : "\n", store_rows_get(rows, "id").text, visible(&arena, line));
  }
  if (count > MOST) printf("  and %zu more (isoloss runs --where 'state == \"failed\"')\n", count - MOST);
  store_rows_close(rows);
  arena_free(&arena);
  return !error->code;
}

static void print_json(const struct counted *experiments, size_t count, const struct at_work *runs, size_t run_count,
                       const struct run_notes *notes, size_t built_in, int64_t coordinator,
                       const struct slurm_status *slurm, const char *home) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_string(&json, "home", home);
  json_key(&json, "coordinator");
  if (coordinator)
    json_put_integer(&json, coordinator);
  else
    json_put_null(&json);
  json_key(&json, "slurm");
  slurm_status_json(slurm, &json);
  json_key(&json, "experiments");
  json_array_begin(&json);
  for (size_t i = 0; i < count; i++) {
    json_object_begin(&json);
    json_key_string(&json, "name", experiments[i].name);
    json_key_integer(&json, "runs", (int64_t)experiments[i].runs);
    for (enum run_state s = 0; s < RUN_STATES; s++)
      json_key_integer(&json, run_state_name(s), (int64_t)experiments[i].counts[s]);
    for (enum run_mark m = MARK_NONE + 1; m < RUN_MARKS; m++)
      json_key_integer(&json, run_mark_name(m), (int64_t)experiments[i].marks[m]);
    json_key_integer(&json, "halved", (int64_t)experiments[i].halved);
    json_key_number(&json, "seconds_left", experiments[i].seconds_left);
    json_object_end(&json);
  }
  json_array_end(&json);
  json_key(&json, "running");
  json_array_begin(&json);
  for (size_t i = 0; i < run_count; i++) {
    json_object_begin(&json);
    json_key_string(&json, "id", runs[i].id);
    json_key_boolean(&json, "alive", runs[i].alive);
    json_key_number(&json, "step", runs[i].step);
    json_key_number(&json, "steps", runs[i].steps);
    json_key_number(&json, "loss", runs[i].loss);
    json_key_string(&json, "gpu", runs[i].gpu);
    json_key_string(&json, "node", runs[i].node);
    json_key_integer(&json, "log_damaged", runs[i].damage.lines);
    json_key_string(&json, "log_unreadable", runs[i].unreadable);
    json_key_string(&json, "message", runs[i].message);
    json_object_end(&json);
  }
  json_array_end(&json);
  json_key(&json, "notes");
  run_notes_json(notes, &json);
  json_key_integer(&json, "built_in_counts", (int64_t)built_in);
  json_object_end(&json);
  text_char(&text, '\n');
  fwrite(text.bytes, 1, text.length, stdout);
  text_free(&text);
}

static bool status(const char *argument, const struct spec_choices *choices, bool as_json, struct error *error) {
  struct selection selection;
  struct arena arena = {0};
  size_t count = 0, run_count = 0;
  struct counted *experiments = NULL;
  struct at_work *runs = NULL;
  const char *home = isoloss_home(&arena);
  struct slurm_status slurm;
  slurm_status_take(&slurm, home);
  bool fine = selection_open(&selection, argument, choices, error);
  if (fine) experiments = count_experiments(selection.store, selection.experiment, &arena, &count, error);
  if (fine && !error->code) runs = list_at_work(selection.store, home, selection.experiment, &arena, &run_count, error);
  struct run_notes notes = {0};
  size_t built_in = 0;
  fine = fine && !error->code && run_notes_read(&notes, selection.store, selection.experiment, &arena, error) &&
         run_notes_built_in_counts(selection.store, selection.experiment, NULL, &built_in, error);
  if (fine && as_json)
    print_json(experiments, count, runs, run_count, &notes, built_in, home_lock_holder(home), &slurm, home);
  if (fine && !as_json) {
    print_people(experiments, count, runs, run_count, home_lock_holder(home), &slurm, home, &arena);
    fine = print_failed(&selection, error);
    print_notes(&notes, built_in);
  }
  selection_close(&selection);
  slurm_status_free(&slurm);
  arena_free(&arena);
  return fine;
}

void command_status(struct command_line *line) {
  bool as_json = false;
  struct spec_choices choices = {0};
  const struct option options[] = {
      {"set", 0, OPTION_LIST, &choices.set, "PATH=VALUE", "with a spec: as given to isoloss run"},
      {"preset", 0, OPTION_TEXT, &choices.preset, "NAME", "with a spec: as given to isoloss run"},
      {"json", 0, OPTION_FLAG, &as_json, NULL,
       "one JSON object: home, coordinator, slurm, experiments, running, notes, built_in_counts"},
      {0}};
  const struct command_usage usage = {"isoloss status [SPEC|EXPERIMENT] [--json]",
                                      "Without an argument: every experiment of the store.", 0, 1,
                                      "one spec or experiment, or none"};
  if (command_begin(line, &usage, options))
    status(line->count ? line->arguments[0] : NULL, &choices, as_json, &line->error);
}
