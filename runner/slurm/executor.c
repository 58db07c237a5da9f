// See executor.h.
#include "runner/slurm/executor.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/terminal.h"
#include "results/store.h"
#include "runner/execute/worker.h"
#include "runner/slurm/claim.h"
#include "runner/slurm/collect.h"
#include "runner/slurm/submit.h"

enum { FOLLOW_SECONDS = 10 };

bool slurm_profile_of(const struct spec *spec, struct slurm_profile *profile, struct arena *arena,
                      struct error *error) {
  const char *config = getenv("XDG_CONFIG_HOME"), *user = getenv("HOME");
  const char *folder = config && *config ? config : path_join(arena, user ? user : "/", ".config");
  slurm_profile_default(profile);
  if (!slurm_profile_load(path_join(arena, folder, "isoloss/slurm.yaml"), profile, arena, error)) return false;
  if (!spec->slurm) return true;
  struct diagnostics diagnostics = {0};
  slurm_profile_read(spec->slurm, profile, arena, &diagnostics);
  diagnostics_tell(&diagnostics, error);
  bool fine = diagnostics_check(&diagnostics, spec->path, error);
  diagnostics_free(&diagnostics);
  return fine;
}

// ---- what is missing ----

// How each run of the set stands.
enum standing {
  STANDS_DONE,
  STANDS_FAILED,
  STANDS_HELD,
  STANDS_IN_JOB,
  STANDS_BLOCKED,
  STANDS_MISSING,
  STANDS_LEFT_OUT
};

struct run_standing {
  const char *id;
  size_t parent;  // SIZE_MAX: none
  enum standing standing;
};

static enum standing stand(const struct slurm_request *request, const struct collection *collection,
                           struct store_rows *row, const char *id, struct slurm_outcome *outcome) {
  enum run_state state = row ? run_state_parse(store_rows_value(row, 0).text) : RUN_PENDING;
  struct value word = row ? store_rows_value(row, 1) : (struct value){.kind = VALUE_MISSING};
  enum run_mark mark = word.kind == VALUE_TEXT ? run_mark_parse(word.text) : MARK_NONE;
  const struct submitted_run *submitted = collection_find(collection, id);
  const struct task_view *task = submitted ? collection_task(collection, submitted) : NULL;
  outcome->total++;
  outcome->done += state == RUN_DONE;
  outcome->diverged += state == RUN_DIVERGED;
  if (run_state_has_result(state)) return STANDS_DONE;
  if (run_mark_holds(mark)) {
    outcome->cancelled += mark == MARK_CANCELLED;
    outcome->total -= mark == MARK_CANCELLED;
    outcome->held += mark == MARK_PAUSED;
    return STANDS_HELD;
  }
  if (task && task->state != TASK_ENDED && state != RUN_FAILED) {
    outcome->at_work += task->state == TASK_AT_WORK;
    outcome->queued += task->state == TASK_QUEUED;
    return STANDS_IN_JOB;
  }
  if (state == RUN_FAILED && !request->retry_failed && mark != MARK_RETRY) {
    outcome->failed++;
    return STANDS_FAILED;
  }
  return task && task->state != TASK_ENDED ? STANDS_IN_JOB : STANDS_MISSING;
}

// [plan->count] in the arena. The store may be NULL: then nothing was ever trained.
static struct run_standing *find_missing(const struct slurm_request *request, const struct collection *collection,
                                         struct store *store, struct arena *arena, struct slurm_outcome *outcome,
                                         struct error *error) {
  size_t count = request->set->plan->count;
  struct run_standing *runs = arena_array(arena, count, sizeof *runs);
  for (size_t i = 0; i < count && !error->code; i++) {
    struct planned_run planned;
    plan_run(request->set->plan, i, &planned);
    runs[i] = (struct run_standing){arena_string(arena, planned.id), planned.parent, STANDS_LEFT_OUT};
    if (request->chosen && !request->chosen[i]) continue;
    struct value id = store_text(planned.id);
    struct store_rows *rows =
        store ? store_select(store,
                             "SELECT r.state, m.mark FROM runs r LEFT JOIN marks m ON m.run = r.id WHERE r.id = ?1",
                             &id, 1, error)
              : NULL;
    bool there = rows && store_rows_next(rows, error);
    runs[i].standing = stand(request, collection, there ? rows : NULL, runs[i].id, outcome);
    store_rows_close(rows);
    // What follows a run goes with it, or once it is done.
    enum standing before = runs[i].parent == SIZE_MAX ? STANDS_DONE : runs[runs[i].parent].standing;
    if (runs[i].standing != STANDS_MISSING || before == STANDS_DONE || before == STANDS_MISSING) continue;
    outcome->blocked += before != STANDS_IN_JOB;
    outcome->queued += before == STANDS_IN_JOB;
    runs[i].standing = STANDS_BLOCKED;
  }
  return error->code ? NULL : runs;
}

static size_t root_of(const struct run_standing *runs, size_t i) {
  while (runs[i].parent != SIZE_MAX) i = runs[i].parent;
  return i;
}

// The missing runs in tasks: a training and all that follows it stay together.
static struct submitted_task *bundle(const struct run_standing *runs, size_t count, int64_t per_job,
                                     struct arena *arena, size_t *task_count) {
  size_t *sizes = arena_array(arena, count, sizeof *sizes), *task_of = arena_array(arena, count, sizeof *task_of);
  size_t tasks = 0, held = 0;
  for (size_t i = 0; i < count; i++) sizes[root_of(runs, i)] += runs[i].standing == STANDS_MISSING;
  for (size_t i = 0; i < count; i++) {
    if (!sizes[i]) continue;
    if (held == 0 || held + sizes[i] > (size_t)per_job) {
      tasks++;
      held = 0;
    }
    task_of[i] = tasks - 1;
    held += sizes[i];
  }
  struct submitted_task *list = arena_array(arena, tasks + 1, sizeof *list);
  for (size_t i = 0; i < count; i++) list[task_of[i]].run_count += sizes[i];
  for (size_t i = 0; i < tasks; i++) {
    list[i].runs = arena_array(arena, list[i].run_count + 1, sizeof *list->runs);
    list[i].run_count = 0;
  }
  for (size_t i = 0; i < count; i++) {
    if (runs[i].standing != STANDS_MISSING) continue;
    struct submitted_task *task = &list[task_of[root_of(runs, i)]];
    task->runs[task->run_count++] = runs[i].id;
  }
  *task_count = tasks;
  return list;
}

// ---- what went wrong before ----

// Jobs whose last try of a missing run ended before it was trained: the same again would end so again.
static bool look_for_faults(const struct slurm_request *request, const struct collection *collection,
                            const struct run_standing *runs, struct error *error) {
  size_t faults = 0;
  const struct submitted_run *first = NULL;
  const char *said = "";
  for (size_t i = 0; i < request->set->plan->count && !request->keep_going; i++) {
    const struct submitted_run *run =
        runs[i].standing == STANDS_MISSING ? collection_find(collection, runs[i].id) : NULL;
    if (!run) continue;
    const struct submitted_task *task = &collection->submissions[run->submission].tasks[run->task];
    const struct task_view *view = collection_task(collection, run);
    struct lease_holder holder = view->holder;
    if (!holder.generation) {
      struct arena scratch = {0};
      holder =
          lease_look(collection->submissions[run->submission].folder, submitted_task_lease(&scratch, run->task), 0);
      arena_free(&scratch);
    }
    bool never = task->ended && slurm_end_of(task->ended) == SLURM_FAILED && !holder.generation;
    bool fault = starts_with(holder.said, "error: ");
    if (!never && !fault) continue;
    if (!first) {
      first = run;
      said = arena_string(&request->set->arena, fault ? holder.said + strlen("error: ") : "");
    }
    faults++;
  }
  if (!first) return true;
  const struct submission *submission = &collection->submissions[first->submission];
  return error_set(error, EXIT_ENVIRONMENT,
                   "the last jobs of %zu missing run%s could not work: %s%s%s/output-%zu.txt has what one of them "
                   "printed. Nothing was submitted again; mend the cause, then call isoloss run with --keep-going",
                   faults, faults == 1 ? "" : "s", said, *said ? "\n" : "", submission->folder, first->task);
}

// ---- registering ----

static bool register_runs(const struct slurm_request *request, struct store *store, struct error *error) {
  const struct plan *plan = request->set->plan;
  const struct spec *spec = plan->spec;
  struct experiment_record experiment = {spec->name, spec->path, spec->source, spec->about};
  const char **ids = arena_array(&request->set->arena, plan->count, sizeof *ids);
  struct error inner = {0};
  if (!store_begin(store, error)) return false;
  bool fine = store_experiment_put(store, &experiment, &inner);
  for (size_t i = 0; i < plan->count && fine; i++) {
    struct coordinator_run run = {0};
    plan_set_describe(request->set, i, &run);
    ids[i] = arena_string(&request->set->arena, run.file.id);
    run.record.id = ids[i];
    run.record.config = &run.file.config;
    fine = store_run_add(store, &run.record, &inner);
  }
  fine = fine && store_experiment_set_runs(store, spec->name, ids, plan->count, &inner);
  if (fine) return store_commit(store, error);
  store_rollback(store);
  error_take(error, &inner);
  return false;
}

// What an earlier job of a run was asked, and is not asked any more.
static bool take_back_holds(const char *home, const struct submitted_task *tasks, size_t count, struct error *error) {
  struct arena scratch = {0};
  bool fine = true;
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < tasks[i].run_count && fine; j++)
      fine = held_write(run_folder(&scratch, home, tasks[i].runs[j]), MARK_NONE, NULL, error);
  arena_free(&scratch);
  return fine;
}

// Runs that failed and are submitted again.
static bool begin_again(struct store *store, const struct submitted_task *tasks, size_t count, struct error *error) {
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < tasks[i].run_count; j++) {
      struct value id = store_text(tasks[i].runs[j]);
      struct store_rows *rows = store_select(store, "SELECT state FROM runs WHERE id = ?1", &id, 1, error);
      bool failed =
          rows && store_rows_next(rows, error) && run_state_parse(store_rows_value(rows, 0).text) == RUN_FAILED;
      store_rows_close(rows);
      struct store_field fields[] = {{"state", store_text(run_state_name(RUN_PENDING))},
                                     {"message", {.kind = VALUE_MISSING}},
                                     {"finished_at", {.kind = VALUE_MISSING}}};
      if (error->code || (failed && (!store_run_update(store, tasks[i].runs[j], fields, 3, error) ||
                                     !store_mark_set(store, tasks[i].runs[j], MARK_NONE, NULL, error))))
        return false;
    }
  return true;
}

// ---- one round ----

static bool submit_missing(const struct slurm_request *request, const struct slurm_profile *profile,
                           struct collection *collection, struct store *store, struct slurm_outcome *outcome,
                           struct error *error) {
  struct arena *arena = &collection->arena;
  size_t task_count;
  struct run_standing *runs = find_missing(request, collection, store, arena, outcome, error);
  if (!runs || !look_for_faults(request, collection, runs, error)) return false;
  struct submitted_task *tasks = bundle(runs, request->set->plan->count, profile->runs_per_job, arena, &task_count);
  if (task_count == 0) return true;
  if (!request->dry_run && !take_back_holds(request->home, tasks, task_count, error)) return false;
  struct submit_request submit = {.plan = request->set->plan,
                                  .profile = profile,
                                  .home = request->home,
                                  .source = request->source,
                                  .set = request->options,
                                  .retries = request->retries,
                                  .keep_going = request->keep_going,
                                  .dry_run = request->dry_run};
  size_t begun = 0;
  bool fine = submit_tasks(&submit, arena, tasks, task_count, &begun, error);
  for (size_t i = 0; i < task_count; i++) {
    if (i < begun) outcome->submitted += tasks[i].run_count;
    if (i >= begun && fine) outcome->no_room += tasks[i].run_count;
  }
  outcome->jobs += begun;
  return (request->dry_run || begin_again(store, tasks, begun, error)) && fine;
}

static bool dry_round(const struct slurm_request *request, const struct slurm_profile *profile,
                      struct slurm_outcome *outcome, struct error *error) {
  struct collection collection = {0};
  struct store *store = store_exists_home() ? store_open_home(STORE_READ, error) : NULL;
  bool fine = !error->code && collection_look(&collection, request->home, error) &&
              submit_missing(request, profile, &collection, store, outcome, error);
  collection_free(&collection);
  store_close(store);
  return fine;
}

static bool round_of_calls(const struct slurm_request *request, const struct slurm_profile *profile,
                           struct slurm_outcome *outcome, struct error *error) {
  struct arena arena = {0};
  struct collection collection = {0};
  struct collector collector;
  struct lease_holder holder = {0};
  enum lease_answer answer = collector_begin(&collector, &arena, request->home, &holder, error);
  if (answer == LEASE_HELD)
    error_set(error, EXIT_ENVIRONMENT,
              "%s is collecting from this home's jobs at the moment; call again when it is done", holder.owner);
  if (answer != LEASE_TAKEN) {
    arena_free(&arena);
    return false;
  }
  struct store *store = store_open(path_join(&arena, request->home, "isoloss.db"), STORE_CREATE, error);
  bool fine = store && register_runs(request, store, error) && collection_look(&collection, request->home, error);
  if (fine && !collection.queue.answered && collection.queue.said)
    fprintf(stderr, "warning: squeue does not answer, so jobs are taken to go on as they were: %s\n",
            visible(&collection.arena, collection.queue.said));
  fine = fine && collection_read(&collection, store, request->quiet ? NULL : stderr, error) &&
         submit_missing(request, profile, &collection, store, outcome, error);
  struct text words = {0};
  collection_words(&collection, &words);
  snprintf(outcome->words, sizeof outcome->words, "%s", text_string(&words));
  text_free(&words);
  collection_free(&collection);
  store_close(store);
  collector_end(&collector);
  arena_free(&arena);
  return fine;
}

// Waits; true when a signal asks to stop.
static bool wait_asked(const sigset_t *signals, double seconds) {
  struct timespec timeout = {.tv_sec = (time_t)seconds};
  for (;;) {
    int got = sigtimedwait(signals, NULL, &timeout);
    if (got > 0) return true;
    if (errno != EINTR) return false;
  }
}

enum exit_code slurm_run(const struct slurm_request *request, struct slurm_outcome *outcome, struct error *error) {
  struct arena arena = {0};
  struct slurm_profile profile;
  sigset_t signals, before;
  size_t submitted = 0, jobs = 0;
  *outcome = (struct slurm_outcome){0};
  if (request->set->plan->halving)
    error_set(error, EXIT_USAGE_ERROR,
              "run: halving and --executor slurm do not go together yet: a rung needs all that compete");
  bool fine = !error->code && slurm_profile_of(request->set->plan->spec, &profile, &arena, error);
  if (fine && request->dry_run) fine = dry_round(request, &profile, outcome, error);
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (request->follow) sigprocmask(SIG_BLOCK, &signals, &before);
  while (fine && !request->dry_run) {
    *outcome = (struct slurm_outcome){0};
    fine = round_of_calls(request, &profile, outcome, error);
    outcome->submitted = submitted += outcome->submitted;
    outcome->jobs = jobs += outcome->jobs;
    bool left = outcome->at_work + outcome->queued + outcome->no_room + submitted > 0 &&
                outcome->done + outcome->diverged + outcome->failed + outcome->held + outcome->blocked < outcome->total;
    if (!fine || !request->follow || !left) break;
    if (!request->quiet)
      fprintf(stderr, "%zu of %zu done, %zu submitted by this call%s%s\n", outcome->done + outcome->diverged,
              outcome->total, outcome->submitted, outcome->words[0] ? "; " : "", outcome->words);
    if ((outcome->interrupted = wait_asked(&signals, FOLLOW_SECONDS))) break;
  }
  if (request->follow) sigprocmask(SIG_SETMASK, &before, NULL);
  arena_free(&arena);
  if (!fine) return error->code;
  return outcome->failed + outcome->held + outcome->blocked > 0 ? EXIT_RUNS_FAILED : EXIT_DONE;
}

bool slurm_has_runs(const struct plan_set *set, const char *home, size_t *count, struct error *error) {
  struct arena arena = {0};
  size_t submissions, ids = 0;
  struct submission *list = submissions_read(&arena, home, &submissions, error);
  const char **open = NULL;
  *count = 0;
  for (size_t i = 0; i < submissions && !error->code; i++)
    for (size_t j = 0; j < list[i].task_count && !list[i].refused; j++) {
      if (list[i].tasks[j].ended) continue;
      open = arena_grow(&arena, open, ids, ids + list[i].tasks[j].run_count, sizeof *open);
      for (size_t k = 0; k < list[i].tasks[j].run_count; k++) open[ids++] = list[i].tasks[j].runs[k];
    }
  struct store *store = ids && !error->code && store_exists_home() ? store_open_home(STORE_READ, error) : NULL;
  for (size_t i = 0; i < ids && store && !error->code; i++) {
    struct value values[] = {store_text(open[i]), store_text(set->plan->spec->name)};
    struct store_rows *rows =
        store_select(store,
                     "SELECT 1 FROM runs r JOIN experiment_runs e ON e.run = r.id WHERE r.id = ?1 "
                     "AND e.experiment = ?2 AND r.state NOT IN ('done', 'diverged', 'failed')",
                     values, 2, error);
    *count += rows && store_rows_next(rows, error);
    store_rows_close(rows);
  }
  store_close(store);
  arena_free(&arena);
  return !error->code;
}
