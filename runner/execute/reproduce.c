// See reproduce.h.
#include "runner/execute/reproduce.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/execute/coordinator.h"
#include "runner/execute/rows.h"
#include "runner/execute/worker.h"
#include "trainer/tasks/task.h"

enum { CHAIN_MOST = 16 };

// The run and those that it follows, the first one first.
struct chain {
  struct run_file files[CHAIN_MOST];
  struct coordinator_run runs[CHAIN_MOST];
  size_t count;
  const char *const *command;  // of a custom trainer, or NULL
  size_t command_count;
  const char *command_text;  // as the store has it
};

// ---- what was trained ----

static bool parse_command(const char *text, struct arena *arena, struct chain *chain, struct error *error) {
  json_t *list = json_loads(text, 0, NULL);
  size_t count = json_array_size(list);
  const char **command = arena_array(arena, count + 1, sizeof *command);
  bool fine = count > 0;
  for (size_t i = 0; i < count; i++) {
    const char *word = json_string_value(json_array_get(list, i));
    fine = fine && word;
    command[i] = word ? arena_string(arena, word) : NULL;
  }
  json_decref(list);
  chain->command = command;
  chain->command_count = count;
  chain->command_text = arena_string(arena, text);
  return fine || error_set(error, EXIT_ENVIRONMENT, "the store's command of the run's trainer cannot be read");
}

static bool read_command(struct store *store, const char *id, struct arena *arena, struct chain *chain,
                         struct error *error) {
  struct value value = store_text(id);
  struct store_rows *rows =
      store_select(store, "SELECT command FROM runs WHERE id = ?1 AND command IS NOT NULL", &value, 1, error);
  bool fine =
      rows && (!store_rows_next(rows, error) ? !error->code
                                             : parse_command(store_rows_value(rows, 0).text, arena, chain, error));
  store_rows_close(rows);
  return fine;
}

// Facts that the quantities of a record follow from; the store knows those of the run that was trained.
static void describe(struct coordinator_run *run, const struct store_rows *row, struct arena *arena) {
  struct corpus_facts facts = {0};
  double bytes = store_rows_get(row, "bytes_per_token").number;
  snprintf(facts.digest, sizeof facts.digest, "%s", run->file.corpus_digest);
  facts.bytes_per_token = bytes > 0 ? bytes : NAN;
  facts.irreducible_loss = NAN;
  run->record = (struct run_record){
      .id = run->file.id,
      .stage = arena_string(arena, store_rows_get(row, "stage").text),
      .parent = *run->file.parent ? run->file.parent : NULL,
      .corpus = facts,
      .quantities = config_quantities(&run->file.config, &facts),
  };
  run->seconds = run->work = run->memory = NAN;
  snprintf(run->label, sizeof run->label, "%s", run->record.stage);
}

static bool read_chain(struct store *store, const char *id, struct arena *arena, struct chain *chain,
                       struct error *error) {
  const char *home = isoloss_home(arena);
  for (const char *next = id; *next;) {
    struct store_rows *row = store_run(store, next, error);
    if (!row) return false;
    if (chain->count == CHAIN_MOST) {
      store_rows_close(row);
      return error_set(error, EXIT_USAGE_ERROR, "%s follows more than %d runs", id, CHAIN_MOST);
    }
    struct coordinator_run *run = &chain->runs[chain->count];
    const char *path = path_join(arena, run_folder(arena, home, next), "config.json");
    bool there = file_exists(path), fine = there && run_file_read(arena, path, &run->file, error);
    if (!there)
      error_set(error, EXIT_USAGE_ERROR, "%s is not there: isoloss run SPEC --again %.8s makes the run anew", path, id);
    if (fine && strcmp(run->file.id, next) != 0)
      fine = error_set(error, EXIT_ENVIRONMENT, "%s is another run's: %.40s", path, run->file.id);
    if (fine) {
      // Trained from its own start: who shares a trunk has the same losses alone.
      run->file.trunk[0] = '\0';
      run->file.branch_count = 0;
      describe(run, row, arena);
      if (chain->count == 0) fine = read_command(store, id, arena, chain, error);
      chain->count++;
    }
    store_rows_close(row);
    if (!fine) return false;
    next = run->file.parent;
  }
  for (size_t i = 0; i < chain->count / 2; i++) {
    struct coordinator_run last = chain->runs[chain->count - 1 - i];
    chain->runs[chain->count - 1 - i] = chain->runs[i];
    chain->runs[i] = last;
  }
  for (size_t i = 0; i < chain->count; i++) {
    chain->runs[i].parent = i > 0 ? i - 1 : SIZE_MAX;
    chain->runs[i].record.id = chain->runs[i].file.id;
    chain->runs[i].record.parent = *chain->runs[i].file.parent ? chain->runs[i].file.parent : NULL;
    chain->runs[i].record.trainer = chain->command_text;
  }
  return true;
}

static void give_run(void *context, size_t i, struct coordinator_run *run) {
  *run = ((struct chain *)context)->runs[i];
}

// What the store of the new home says of the first run without a result.
static bool why_not(const struct chain *chain, const char *home, struct error *error) {
  struct arena arena = {0};
  struct error reading = {0};
  struct store *store = store_open(path_join(&arena, home, "isoloss.db"), STORE_READ, &reading);
  const char *why = "it was not started";
  for (size_t i = 0; store && i < chain->count; i++) {
    struct store_rows *row = store_run(store, chain->runs[i].file.id, &reading);
    struct value message = store_rows_get(row, "message");
    bool without = row && !run_state_has_result(run_state_parse(store_rows_get(row, "state").text));
    if (without && message.kind == VALUE_TEXT) why = arena_string(&arena, message.text);
    store_rows_close(row);
    if (without) break;
  }
  store_close(store);
  error_set(error, EXIT_RUNS_FAILED, "the run was not trained to its end: %s", why);
  arena_free(&arena);
  return false;
}

static bool train(struct chain *chain, const char *home, bool quiet, struct error *error) {
  struct experiment_record experiment = {.name = "reproduced", .spec_path = "", .spec_text = ""};
  struct coordinator_set set = {chain->count, chain, give_run, NULL};
  struct coordinator_options options = {
      .home = home,
      .experiment = &experiment,
      .command = chain->command,
      .command_count = chain->command_count,
      .jobs = 1,
      .retries = 0,
      .quiet = quiet,
      .messages = stderr,
  };
  struct coordinator_outcome outcome = {0};
  enum exit_code code = coordinator_execute(&set, &options, &outcome, error);
  if (error->code) return false;
  if (outcome.interrupted) return error_set(error, EXIT_RUNS_FAILED, "stopped before the run was trained");
  return code == EXIT_DONE || why_not(chain, home, error);
}

// ---- comparing ----

static bool same_bits(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)); }

static void compare_point(struct reproduction *out, const char *kind, int64_t step, double before, double now) {
  out->points++;
  if (same_bits(before, now)) {
    out->same++;
    return;
  }
  if (!(fabs(before - now) <= out->largest)) out->largest = fabs(before - now);
  if (out->first_kind && out->first_step <= step) return;
  out->first_kind = kind;
  out->first_step = step;
  out->first_before = before;
  out->first_now = now;
}

// Both in order of step.
static bool compare_curves(struct store *before, struct store *now, enum metric_kind kind, struct reproduction *out,
                           struct error *error) {
  struct store_rows *a = store_metrics(before, out->id, kind, error);
  struct store_rows *b = a ? store_metrics(now, out->id, kind, error) : NULL;
  int step = b ? store_rows_find(a, "step") : 0, loss = b ? store_rows_find(a, "loss") : 0;
  bool more_a = b && store_rows_next(a, error), more_b = b && store_rows_next(b, error);
  while (more_a || more_b) {
    int64_t at_a = more_a ? (int64_t)store_rows_number(a, step) : INT64_MAX,
            at_b = more_b ? (int64_t)store_rows_number(b, step) : INT64_MAX;
    if (at_a == at_b)
      compare_point(out, kind == METRIC_EVAL ? "eval" : "train", at_a, store_rows_number(a, loss),
                    store_rows_number(b, loss));
    out->only_before += at_a < at_b;
    out->only_now += at_b < at_a;
    more_a = more_a && (at_a > at_b || store_rows_next(a, error));
    more_b = more_b && (at_b > at_a || store_rows_next(b, error));
  }
  store_rows_close(b);
  store_rows_close(a);
  return !error->code;
}

// What came out of the run itself; the loss is compared apart, and what follows from the configuration says nothing.
static bool is_result(const struct run_column *column) {
  return column->role == RUN_OUTCOME && column->place >= PLACE_LIST && strcmp(column->name, "loss") != 0 &&
         column->type != TYPE_TEXT && !column->planned;
}

static double number_or_nan(const struct value *value) { return value->kind == VALUE_NUMBER ? value->number : NAN; }

// One result, where at least one of the two has it.
static void compare_result(struct reproduction *out, const char *name, bool measured, const struct value *before,
                           const struct value *now) {
  const struct reproduced_number number = {name, number_or_nan(before), number_or_nan(now)};
  if (isnan(number.before) && isnan(number.now)) return;
  if (measured)
    out->measured[out->measured_count++] = number;
  else if (same_bits(number.before, number.now))
    out->results_same++;
  else
    out->results[out->result_count++] = number;
}

static void compare_results(const struct store_rows *a, const struct store_rows *b, struct reproduction *out) {
  size_t room = run_column_count;
  while (run_result_at(room - run_column_count)) room++;
  out->results = arena_array(&out->arena, room, sizeof *out->results);
  out->measured = arena_array(&out->arena, room, sizeof *out->measured);
  for (size_t i = 0; i < run_column_count; i++) {
    const struct value x = store_rows_get(a, run_columns[i].name), y = store_rows_get(b, run_columns[i].name);
    if (is_result(&run_columns[i])) compare_result(out, run_columns[i].name, run_columns[i].measured, &x, &y);
  }
  const struct task_result *result;
  for (size_t i = 0; (result = run_result_at(i)); i++) {
    const struct value x = store_rows_get(a, result->name), y = store_rows_get(b, result->name);
    compare_result(out, result->name, result->measured, &x, &y);
  }
}

static bool diverged(const struct store_rows *row) {
  return run_state_parse(store_rows_get(row, "state").text) == RUN_DIVERGED;
}

static bool compare_rows(struct store *before, struct store *now, struct reproduction *out, struct error *error) {
  struct store_rows *a = store_run(before, out->id, error);
  struct store_rows *b = a ? store_run(now, out->id, error) : NULL;
  for (size_t i = 0; b && i < run_column_count; i++) {
    const struct run_column *column = &run_columns[i];
    struct value x = store_rows_get(a, column->name), y = store_rows_get(b, column->name);
    // What a fit would warn of, and what a report lists of the machine.
    bool circumstance = column->mixed || column->label || strcmp(column->name, "device") == 0;
    if (!circumstance || x.kind == VALUE_MISSING || y.kind == VALUE_MISSING) continue;
    char numbers[2][32];
    const char *texts[2] = {arena_string(&out->arena, value_plain(&x, numbers[0])),
                            arena_string(&out->arena, value_plain(&y, numbers[1]))};
    if (strcmp(texts[0], texts[1]) == 0 || out->circumstance_count == REPRODUCE_NOTES) continue;
    out->circumstances[out->circumstance_count].column = column->name;
    out->circumstances[out->circumstance_count].before = texts[0];
    out->circumstances[out->circumstance_count++].now = texts[1];
  }
  if (b) {
    const struct value x = store_rows_get(a, "loss"), y = store_rows_get(b, "loss");
    out->loss_before = number_or_nan(&x);
    out->loss_now = number_or_nan(&y);
    out->diverged_before = diverged(a);
    out->diverged_now = diverged(b);
    compare_results(a, b, out);
  }
  store_rows_close(b);
  store_rows_close(a);
  return !error->code;
}

bool reproduction_same(const struct reproduction *r) {
  return same_bits(r->loss_before, r->loss_now) && r->diverged_before == r->diverged_now && r->same == r->points &&
         r->result_count == 0 && (!isnan(r->loss_now) || r->points > 0 || r->results_same > 0);
}

bool reproduce_run(const char *id, const char *home, bool quiet, struct reproduction *out, struct error *error) {
  struct chain *chain = memory_get(sizeof *chain);
  *out = (struct reproduction){.loss_before = NAN, .loss_now = NAN};
  out->id = arena_string(&out->arena, id);
  struct store *before = store_open_home(STORE_READ, error), *now = NULL;
  bool fine = before && read_chain(before, out->id, &out->arena, chain, error);
  if (fine) {
    struct store_rows *row = store_run(before, out->id, error);
    const char *state = row ? store_rows_get(row, "state").text : "";
    if (row && !run_state_has_result(run_state_parse(state)))
      fine = error_set(error, EXIT_USAGE_ERROR, "run %.8s is %s: there is no result to come to again", id, state);
    store_rows_close(row);
  }
  out->chain = chain->count;
  fine = fine && train(chain, home, quiet, error);
  if (fine) now = store_open(path_join(&out->arena, home, "isoloss.db"), STORE_READ, error);
  fine = fine && now && compare_curves(before, now, METRIC_TRAIN, out, error) &&
         compare_curves(before, now, METRIC_EVAL, out, error) && compare_rows(before, now, out, error);
  store_close(now);
  store_close(before);
  free(chain);
  return fine;
}

void reproduction_free(struct reproduction *reproduction) { arena_free(&reproduction->arena); }
