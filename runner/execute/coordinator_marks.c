// What people ask of runs while they are trained: pausing, cancelling, trying again. See runner/execute/marking.h for
// who asks; here is who follows.
#include <stdio.h>
#include <string.h>

#include "runner/execute/coordinator_halving.h"

enum { GRACE_SECONDS = 30 };  // for a checkpoint, before a worker that was to stop is killed

static const char *held_word(enum run_mark mark) { return mark == MARK_CANCELLED ? "cancelled" : "paused"; }

// ---- holding back ----

static size_t without(struct job **list, size_t begin, size_t count, const struct job *job) {
  size_t kept = begin;
  for (size_t i = begin; i < count; i++)
    if (list[i] != job) list[kept++] = list[i];
  return kept;
}

static bool is_waiting(const struct coordinator *c, const struct job *job) {
  for (size_t i = c->next; i < c->queue_count; i++)
    if (c->queue[i] == job) return true;
  for (size_t i = 0; i < c->retry_count; i++)
    if (c->retries[i] == job) return true;
  return false;
}

static struct worker *worker_of(const struct coordinator *c, const struct job *job) {
  for (size_t i = 0; i < c->worker_count; i++)
    if (c->workers[i]->job == job) return c->workers[i];
  return NULL;
}

static void stop_worker(struct coordinator *c, struct worker *worker, enum run_mark mark) {
  if (worker->stopped_for == MARK_NONE && !c->stopping) {
    worker->stop_asked = clock_seconds();
    coordinator_signal(worker, SIGTERM);
  }
  worker->stopped_for = mark;
}

static void hold(struct coordinator *c, struct job *job, bool told) {
  struct worker *worker = worker_of(c, job);
  bool waits = is_waiting(c, job);
  c->queue_count = without(c->queue, c->next, c->queue_count, job);
  c->retry_count = without(c->retries, 0, c->retry_count, job);
  if (worker) stop_worker(c, worker, job->mark);
  if (!told && !job->left_out && (worker || waits))
    progress_note(&c->progress, false, "%-9s%.8s  by %s%s", held_word(job->mark), job->id, job->marked_by,
                  worker ? ": it writes a checkpoint and ends" : "");
}

// ---- going on ----

// A run that is no longer held, or failed and is to be tried again.
static bool release(struct coordinator *c, struct job *job, const char *why, struct error *error) {
  if (job->left_out || job->index == FOREIGN || worker_of(c, job) || is_waiting(c, job)) return true;
  if (job->state != RUN_PENDING && job->state != RUN_KILLED && job->state != RUN_FAILED) return true;
  job->failures = 0;
  job->not_before = 0;
  progress_note(&c->progress, false, "%-8s %.8s", why, job->id);
  if (job->waiting) return true;  // for those that it competes with
  if (job->halved) return coordinator_halving_left_out(c, job, error);
  if (!coordinator_fits(c, job)) {
    const char *small = "not started: it needs more memory than there is (isoloss run says what would fit)";
    progress_note(&c->progress, true, "pending  %.8s  %s", job->id, small);
    return coordinator_set_state(c, job, RUN_PENDING, small, error);
  }
  return coordinator_set_state(c, job, RUN_PENDING, NULL, error) && coordinator_queue_again(c, job, error) &&
         (job->blocked || coordinator_await(c, job, error));
}

// A try again is over once it has begun.
static bool try_again(struct coordinator *c, struct job *job, struct error *error) {
  bool mine = !job->left_out && job->index != FOREIGN;
  if (!mine && job->state == RUN_FAILED) return true;  // whoever trains it does
  job->mark = MARK_NONE;
  return store_mark_set(c->store, job->id, MARK_NONE, NULL, error) &&
         (job->state != RUN_FAILED || release(c, job, "again", error));
}

// ---- reading ----

static struct job *job_of(struct coordinator *c, const struct store_rows *rows) {
  struct value position = store_rows_get(rows, "position");
  if (position.kind == VALUE_NUMBER) return &c->jobs[(size_t)position.number];
  const char *id = store_rows_get(rows, "run").text;
  for (size_t i = c->set_count; i < c->job_count; i++)
    if (strcmp(c->jobs[i].id, id) == 0) return &c->jobs[i];
  return NULL;
}

// What is asked of each job now, one a job; and by whom, in the jobs.
static enum run_mark *read_marks(struct coordinator *c, struct arena *arena, struct error *error) {
  enum run_mark *marks = arena_array(arena, c->job_count, sizeof *marks);
  struct value name = store_text(c->options->experiment->name);
  struct store_rows *rows = store_select(c->store,
                                         "SELECT m.run, m.mark, m.marked_by, e.position FROM marks m LEFT JOIN "
                                         "experiment_runs e ON e.run = m.run AND e.experiment = ?1",
                                         &name, 1, error);
  while (rows && store_rows_next(rows, error)) {
    struct job *job = job_of(c, rows);
    if (!job) continue;
    marks[job - c->jobs] = run_mark_parse(store_rows_get(rows, "mark").text);
    snprintf(job->marked_by, sizeof job->marked_by, "%s", store_rows_get(rows, "marked_by").text);
  }
  store_rows_close(rows);
  return error->code ? NULL : marks;
}

static bool follow(struct coordinator *c, struct job *job, enum run_mark mark, bool first, struct error *error) {
  bool was_held = run_mark_holds(job->mark);
  if (mark == job->mark && mark != MARK_RETRY) return true;
  job->mark = mark;
  if (run_state_has_result(job->state)) return true;
  if (run_mark_holds(mark)) hold(c, job, first);
  if (mark == MARK_CANCELLED && (!coordinator_halving_next(c, job, error) || !coordinator_release(c, job, error)))
    return false;
  if (mark == MARK_RETRY) return try_again(c, job, error);
  // Of one that failed and was held, the hold alone is over.
  if (mark == MARK_NONE && was_held && job->state != RUN_FAILED) return release(c, job, "resumed", error);
  return true;
}

// What was asked before we came, in one line.
static void tell_held(struct coordinator *c) {
  size_t paused = 0, cancelled = 0;
  for (size_t i = 0; i < c->set_count; i++) {
    const struct job *job = &c->jobs[i];
    if (job->left_out || run_state_has_result(job->state)) continue;
    paused += job->mark == MARK_PAUSED;
    cancelled += job->mark == MARK_CANCELLED;
  }
  if (paused > 0) progress_note(&c->progress, false, "paused   %zu run%s", paused, paused == 1 ? "" : "s");
  if (cancelled > 0)
    progress_note(&c->progress, false, "left out %zu run%s, cancelled", cancelled, cancelled == 1 ? "" : "s");
}

// Workers that were asked to stop and do not.
static void kill_deaf(struct coordinator *c) {
  for (size_t i = 0; i < c->worker_count; i++) {
    struct worker *worker = c->workers[i];
    if (worker->stopped_for != MARK_NONE && clock_seconds() > worker->stop_asked + GRACE_SECONDS)
      coordinator_signal(worker, SIGKILL);
  }
}

bool coordinator_follow_marks(struct coordinator *c, bool first, struct error *error) {
  struct arena scratch = {0};
  int64_t version;
  kill_deaf(c);
  if (!store_data_version(c->store, &version, error)) return false;
  if (!first && version == c->data_version) return true;
  if (first && !store_marks_of_finished_remove(c->store, error)) return false;
  c->data_version = version;
  const enum run_mark *marks = read_marks(c, &scratch, error);
  bool fine = marks != NULL;
  for (size_t i = 0; i < c->job_count && fine; i++) fine = follow(c, &c->jobs[i], marks[i], first, error);
  if (fine && first) tell_held(c);
  arena_free(&scratch);
  return fine;
}

// ---- settling ----

bool coordinator_settle_marked(struct coordinator *c, struct worker *worker, struct error *error) {
  struct job *job = worker->job;
  const struct run_log *log = &worker->log;
  struct text message = {0};
  bool held = run_mark_holds(job->mark);
  text_format(&message, "%s by %s", held_word(worker->stopped_for), job->marked_by);
  if (log->step > 0) text_format(&message, " at step %lld", (long long)log->step);
  if (log->step > 0 && log->steps > 0) text_format(&message, " of %lld", (long long)log->steps);
  bool fine = coordinator_set_state(c, job, RUN_KILLED, text_string(&message), error);
  progress_note(&c->progress, false, "stopped  %.8s  %s: %s", job->id, worker->label, text_string(&message));
  text_free(&message);
  // Meanwhile it was taken back.
  if (held || c->stopping || job->left_out || job->index == FOREIGN) return fine;
  if (fine && job->halved) return coordinator_halving_left_out(c, job, error);
  return fine && coordinator_queue_again(c, job, error);
}
