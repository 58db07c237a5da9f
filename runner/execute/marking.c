// See marking.h.
#include "runner/execute/marking.h"

#include <signal.h>

#include "runner/execute/home_lock.h"
#include "runner/execute/worker.h"

// ---- what becomes of a mark ----

static const char *const finished[] = {"done: a result is final (isoloss run SPEC --again trains it anew)",
                                       "diverged: a result is final (isoloss run SPEC --again trains it anew)"};

static struct marked_run unchanged(const struct named_run *run, const char *why) {
  return (struct marked_run){.run = *run, .becomes = run->mark, .unchanged = why};
}

static struct marked_run becomes(const struct named_run *run, enum run_mark mark) {
  return (struct marked_run){.run = *run, .becomes = mark, .changed = true};
}

static struct marked_run pause_run(const struct named_run *run) {
  if (run->mark == MARK_PAUSED) return unchanged(run, "paused before");
  if (run->mark == MARK_CANCELLED) return unchanged(run, "cancelled (isoloss retry takes that back)");
  if (run->state != RUN_FAILED) return becomes(run, MARK_PAUSED);
  if (run->mark == MARK_RETRY) return becomes(run, MARK_NONE);  // failed again: nothing starts it
  return unchanged(run, "failed: not tried again unless asked (isoloss retry)");
}

static struct marked_run resume_run(const struct named_run *run) {
  if (run->mark == MARK_PAUSED) return becomes(run, MARK_NONE);
  return unchanged(run, run->mark == MARK_CANCELLED ? "cancelled (isoloss retry takes that back)" : "not paused");
}

static struct marked_run cancel_run(const struct named_run *run) {
  return run->mark == MARK_CANCELLED ? unchanged(run, "cancelled before") : becomes(run, MARK_CANCELLED);
}

static struct marked_run retry_run(const struct named_run *run) {
  enum run_mark wanted = run->state == RUN_FAILED ? MARK_RETRY : MARK_NONE;
  if (run->mark == MARK_PAUSED) return unchanged(run, "paused (isoloss resume continues it)");
  if (run->mark != wanted) return becomes(run, wanted);
  return unchanged(run, wanted == MARK_RETRY ? "to be tried again already" : "neither failed nor cancelled");
}

static struct marked_run decide(enum marking_verb verb, const struct named_run *run) {
  static struct marked_run (*const verbs[])(const struct named_run *) = {
      [MARKING_PAUSE] = pause_run,
      [MARKING_RESUME] = resume_run,
      [MARKING_CANCEL] = cancel_run,
      [MARKING_RETRY] = retry_run,
  };
  if (run_state_has_result(run->state)) return unchanged(run, finished[run->state == RUN_DIVERGED]);
  return verbs[verb](run);
}

// ---- finding and doing ----

bool marking_find(struct marking *marking, struct store *store, const char *home, enum marking_verb verb,
                  const struct runs_request *request, struct error *error) {
  *marking = (struct marking){0};
  if (!named_runs_find(&marking->named, store, request, error)) return false;
  marking->count = marking->named.count;
  marking->runs = arena_array(&marking->arena, marking->count, sizeof *marking->runs);
  for (size_t i = 0; i < marking->count; i++) {
    struct marked_run *run = &marking->runs[i];
    *run = decide(verb, &marking->named.runs[i]);
    run->alive = !run_state_has_result(run->run.state) &&
                 worker_alive(&marking->arena, run_folder(&marking->arena, home, run->run.id));
    marking->changed += run->changed;
  }
  return true;
}

// A worker whose coordinator is gone.
static bool stop_worker(struct marking *marking, struct marked_run *run, struct store *store, const char *home,
                        struct error *error) {
  struct value id = store_text(run->run.id);
  struct store_rows *rows = store_select(store, "SELECT pid FROM runs WHERE id = ?1", &id, 1, error);
  pid_t pid = rows && store_rows_next(rows, error) ? (pid_t)store_rows_value(rows, 0).number : 0;
  store_rows_close(rows);
  if (!error->code && pid > 0)
    run->signalled = worker_signal(run_folder(&marking->arena, home, run->run.id), pid, SIGTERM);
  return !error->code;
}

bool marking_do(struct marking *marking, struct store *store, const char *home, struct error *error) {
  const char *who = store_marker(&marking->arena);
  bool fine = store_begin(store, error);
  if (!fine) return false;
  for (size_t i = 0; i < marking->count && fine; i++) {
    const struct marked_run *run = &marking->runs[i];
    fine = !run->changed || store_mark_set(store, run->run.id, run->becomes, who, error);
  }
  if (!fine || !store_commit(store, error)) {
    store_rollback(store);
    return false;
  }
  // Who comes to work from here on reads the marks.
  if (home_lock_holder(home)) return true;
  for (size_t i = 0; i < marking->count && fine; i++) {
    struct marked_run *run = &marking->runs[i];
    if (run->alive && run->changed && run_mark_holds(run->becomes))
      fine = stop_worker(marking, run, store, home, error);
  }
  return fine;
}

void marking_free(struct marking *marking) {
  named_runs_free(&marking->named);
  arena_free(&marking->arena);
}
