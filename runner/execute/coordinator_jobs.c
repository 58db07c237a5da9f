// The runs of a set: registering them, taking over those of an earlier coordinator, their workers and logs.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runner/execute/coordinator_halving.h"
#include "runner/execute/coordinator_state.h"

void coordinator_describe(struct coordinator *c, const struct job *job) {
  memset(&c->described, 0, sizeof c->described);
  c->described.seconds = c->described.memory = c->described.work = NAN;
  c->described.parent = NO_JOB;
  c->set->describe(c->set->context, job->index, &c->described);
  if (!c->described.record.config) c->described.record.config = &c->described.file.config;
  c->described.record.id = c->described.file.id;
}

// Of the corpus of the run that was described last; NAN: not known.
static double described_bytes_per_token(const struct coordinator *c) {
  const struct corpus_facts *corpus = &c->described.record.corpus;
  return corpus->known ? corpus->bytes_per_token : NAN;
}

// ---- workers ----

struct worker *coordinator_add_worker(struct coordinator *c, struct job *job) {
  struct worker *worker = memory_get(sizeof *worker);
  worker->job = job;
  worker->folder = run_folder(&worker->arena, c->options->home, job->id);
  worker->started = clock_seconds();
  worker->bytes_per_token = NAN;
  worker->gpu = NO_GPU;
  worker->share.joules = NAN;
  if (job->index != FOREIGN) {
    coordinator_describe(c, job);
    memcpy(worker->label, c->described.label, sizeof worker->label);
    worker->bytes_per_token = described_bytes_per_token(c);
  }
  // The lowest slot that is free.
  for (bool taken = true; taken;) {
    taken = false;
    for (size_t i = 0; i < c->worker_count; i++) taken = taken || c->workers[i]->slot == worker->slot;
    if (taken) worker->slot++;
  }
  if (c->worker_count == c->worker_capacity) {
    c->worker_capacity = c->worker_capacity ? 2 * c->worker_capacity : 16;
    c->workers = memory_grow(c->workers, c->worker_capacity * sizeof *c->workers);
  }
  c->workers[c->worker_count++] = worker;
  return worker;
}

void coordinator_remove_worker(struct coordinator *c, size_t i) {
  arena_free(&c->workers[i]->arena);
  free(c->workers[i]);
  c->workers[i] = c->workers[--c->worker_count];
}

bool coordinator_wrote(const struct worker *worker) {
  const struct events_reader *now = &worker->log.reader, *before = &worker->log_before;
  return !worker->child || now->offset != before->offset || now->check != before->check;
}

bool coordinator_ingest_log(struct coordinator *c, struct worker *worker, struct error *error) {
  bool fine =
      run_log_ingest(&worker->log, c->store, worker->job->id, path_join(&worker->arena, worker->folder, "events.jsonl"),
                     worker->bytes_per_token, NULL, error);
  if (worker->log.progressed && coordinator_wrote(worker)) c->any_progress = true;
  if (fine && strcmp(worker->resumed_under, worker->log.resumed_under) != 0) {
    memcpy(worker->resumed_under, worker->log.resumed_under, sizeof worker->resumed_under);
    if (coordinator_wrote(worker) && worker->resumed_under[0])
      progress_note(&c->progress, true, "resumed  %.8s  %s: %s; losses may differ in rounding", worker->job->id,
                    worker->label, worker->resumed_under);
  }
  return fine;
}

bool coordinator_read_log(struct coordinator *c, struct worker *worker, struct error *error) {
  struct error inner = {0};
  if (!store_begin(c->store, error)) return false;
  if (coordinator_ingest_log(c, worker, &inner)) return store_commit(c->store, error);
  store_rollback(c->store);
  error_take(error, &inner);
  return false;
}

// ---- registering ----

static bool put_experiment(struct coordinator *c, struct error *error) {
  const char **ids = arena_array(&c->arena, c->set_count, sizeof *ids);
  if (!store_experiment_put(c->store, c->options->experiment, error)) return false;
  for (size_t i = 0; i < c->set_count; i++) {
    struct job *job = &c->jobs[i];
    job->index = i;
    coordinator_describe(c, job);
    memcpy(job->id, c->described.file.id, sizeof job->id);
    job->threads = (int)c->described.file.config.train.threads;
    // A weight in the order of work and the time left; of a trainer that says no FLOPs beforehand, the tokens.
    const struct run_quantities *quantities = &c->described.record.quantities;
    job->flops = isnan(quantities->flops) ? (double)quantities->tokens : quantities->flops;
    if (!isnan(c->described.work)) job->flops = c->described.work;
    coordinator_link(c, i, c->described.parent);
    job->may_share = c->described.parent == NO_JOB && !c->described.file.config.stage;
    job->seconds = c->described.seconds;
    job->rung_step = c->described.stop_step;
    job->memory = c->described.memory;
    ids[i] = job->id;
    if (!store_run_add(c->store, &c->described.record, error)) return false;
  }
  return store_experiment_set_runs(c->store, c->options->experiment->name, ids, c->set_count, error);
}

bool coordinator_set_state(struct coordinator *c, struct job *job, enum run_state state, const char *message,
                           struct error *error) {
  struct store_field fields[] = {
      {"state", store_text(run_state_name(state))},
      {"message", store_text(message)},
      {"finished_at", store_number(state == RUN_PENDING || state == RUN_RUNNING ? NAN : (double)time(NULL))},
  };
  job->state = state;
  return store_run_update(c->store, job->id, fields, sizeof fields / sizeof *fields, error);
}

bool coordinator_put_result(struct coordinator *c, struct job *job, const struct run_log *log, double measured_seconds,
                            struct error *error) {
  double seconds = isnan(log->seconds) ? measured_seconds : log->seconds;
  struct store_field wall = {"wall_seconds", store_number(seconds)};
  enum run_state state = log->end == EVENT_DONE ? RUN_DONE : RUN_DIVERGED;
  const char *message = log->message[0] ? log->message : NULL;
  return store_run_update(c->store, job->id, &wall, isnan(seconds) ? 0 : 1, error) &&
         coordinator_set_state(c, job, state, message, error);
}

// A run that is not finished by the store: a worker may live, or have ended, since the store last knew.
static bool take_over(struct coordinator *c, struct job *job, int64_t offset, int64_t check, pid_t pid,
                      struct error *error) {
  struct arena scratch = {0};
  const char *folder = run_folder(&scratch, c->options->home, job->id);
  const char *events = path_join(&scratch, folder, "events.jsonl");
  bool fine = true, alive = false;
  struct run_log log;
  if (!file_exists(folder)) goto end;
  alive = worker_alive(&scratch, folder);
  run_log_init(&log, offset, check);
  if (!alive && !file_exists(events)) goto end;
  if (job->index != FOREIGN) coordinator_describe(c, job);
  fine = store_begin(c->store, error) &&
         run_log_ingest(&log, c->store, job->id, events, job->index == FOREIGN ? NAN : described_bytes_per_token(c),
                        NULL, error);
  if (fine && alive)
    fine = coordinator_set_state(c, job, RUN_RUNNING, NULL, error);
  else if (fine && log.unreadable[0])
    fine = coordinator_set_state(c, job, RUN_FAILED, log.unreadable, error);
  else if (fine && (log.end == EVENT_DONE || log.end == EVENT_DIVERGED))
    fine = coordinator_put_result(c, job, &log, NAN, error);
  else if (fine && job->state == RUN_RUNNING)
    fine = coordinator_set_state(c, job, RUN_KILLED, "its worker and the coordinator ended before it did", error);
  fine = fine && provenance_ingest(c->store, job->id, folder, error) && store_commit(c->store, error);
  if (!fine) store_rollback(c->store);
  if (fine && alive) {
    struct worker *worker = coordinator_add_worker(c, job);
    worker->pid = log.pid > 0 ? (pid_t)log.pid : pid;
    worker->log = log;
    worker->gpu = coordinator_gpu_of(c, worker->folder, worker->pid);
    if (log.progressed) c->any_progress = true;
    progress_note(&c->progress, false, "adopted  %.8s  %s", job->id, worker->label);
  }
end:
  // The store said running, but there is not even a folder: nothing has been done.
  if (fine && !alive && job->state == RUN_RUNNING) fine = coordinator_set_state(c, job, RUN_PENDING, NULL, error);
  arena_free(&scratch);
  return fine;
}

struct stored {
  enum run_state state;
  int64_t offset, check;
  pid_t pid;
  char id[40];
};

static struct stored *load_states(struct coordinator *c, const char *sql, const char *experiment, size_t *count,
                                  struct error *error) {
  struct value value = store_text(experiment);
  struct store_rows *rows = store_select(c->store, sql, &value, 1, error);
  struct stored *stored = NULL;
  size_t capacity = 0;
  *count = 0;
  while (rows && store_rows_next(rows, error)) {
    if (*count == capacity) {
      stored = arena_grow(&c->arena, stored, capacity, capacity ? 2 * capacity : 64, sizeof *stored);
      capacity = capacity ? 2 * capacity : 64;
    }
    struct stored *one = &stored[(*count)++];
    *one = (struct stored){
        .state = run_state_parse(store_rows_value(rows, 1).text),
        .offset = (int64_t)store_rows_value(rows, 2).number,
        .check = (int64_t)store_rows_value(rows, 3).number,
        .pid = (pid_t)store_rows_value(rows, 4).number,
    };
    snprintf(one->id, sizeof one->id, "%s", store_rows_value(rows, 0).text);
  }
  store_rows_close(rows);
  return stored;
}

// Runs of other experiments that some coordinator left at work: those that live are followed, and take up cores.
static bool take_over_foreign(struct coordinator *c, struct error *error) {
  size_t count;
  struct stored *stored = load_states(c,
                                      "SELECT id, state, log_offset, log_check, pid FROM runs WHERE state = 'running' "
                                      "AND id NOT IN (SELECT run FROM experiment_runs WHERE experiment = ?1)",
                                      c->options->experiment->name, &count, error);
  if (error->code) return false;
  // Workers point at jobs: the array must not move any more.
  struct job *jobs = arena_grow(&c->arena, c->jobs, c->set_count, c->set_count + count, sizeof *jobs);
  c->jobs = jobs;
  c->job_count = c->set_count + count;
  for (size_t i = 0; i < count; i++) {
    struct job *job = &jobs[c->set_count + i];
    memcpy(job->id, stored[i].id, sizeof job->id);
    job->index = FOREIGN;
    job->state = RUN_RUNNING;
    job->threads = 1;
    job->memory = NAN;
    if (!take_over(c, job, stored[i].offset, stored[i].check, stored[i].pid, error)) return false;
  }
  return true;
}

static int by_duration(const void *left, const void *right) {
  const struct job *a = *(struct job *const *)left, *b = *(struct job *const *)right;
  bool known = !isnan(a->seconds) && !isnan(b->seconds);
  double x = known ? a->seconds : a->flops, y = known ? b->seconds : b->flops;
  if (x != y) return x > y ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

// The runs that are trained again leave the store, in a transaction in which they are added anew.
static bool forget_runs(struct coordinator *c, struct error *error) {
  struct arena scratch = {0};
  bool fine = true;
  for (size_t i = 0; i < c->options->again_count && fine; i++) {
    const char *id = c->options->again[i];
    if (worker_alive(&scratch, run_folder(&scratch, c->options->home, id)))
      fine = error_set(error, EXIT_ENVIRONMENT,
                       "a worker is at work on run %.8s: it cannot be trained again before it ends", id);
    else
      fine = store_run_forget(c->store, id, error);
  }
  arena_free(&scratch);
  return fine;
}

// After the store has forgotten them: interrupted in between, their logs are read again, and nothing is lost.
static bool remove_folders(struct coordinator *c, struct error *error) {
  struct arena scratch = {0};
  bool fine = true;
  for (size_t i = 0; i < c->options->again_count && fine; i++) {
    const char *folder = run_folder(&scratch, c->options->home, c->options->again[i]);
    if (file_exists(folder))
      progress_note(&c->progress, false, "removed  %.8s  to train it again", c->options->again[i]);
    fine = folder_remove(folder, error);
  }
  arena_free(&scratch);
  return fine;
}

bool coordinator_register(struct coordinator *c, struct error *error) {
  c->set_count = c->job_count = c->set->count;
  c->jobs = arena_array(&c->arena, c->set_count, sizeof *c->jobs);
  if (!store_begin(c->store, error)) return false;
  if (!forget_runs(c, error) || !put_experiment(c, error)) {
    store_rollback(c->store);
    return false;
  }
  if (!store_commit(c->store, error) || !remove_folders(c, error) || !take_over_foreign(c, error)) return false;
  size_t count;
  struct stored *stored = load_states(c,
                                      "SELECT r.id, r.state, r.log_offset, r.log_check, r.pid FROM experiment_runs e "
                                      "JOIN runs r ON r.id = e.run WHERE e.experiment = ?1 ORDER BY e.position",
                                      c->options->experiment->name, &count, error);
  if (error->code) return false;
  c->queue = arena_array(&c->arena, c->set_count, sizeof *c->queue);
  c->retries = arena_array(&c->arena, c->set_count, sizeof *c->retries);
  for (size_t i = 0; i < count; i++) {
    struct job *job = &c->jobs[i];
    job->state = stored[i].state;
    bool before = run_state_has_result(job->state);
    if (!before && !take_over(c, job, stored[i].offset, stored[i].check, stored[i].pid, error)) return false;
    if (c->set->chosen && !c->set->chosen[i]) {
      job->left_out = true;
      job->index = FOREIGN;
      c->left_out++;
      continue;
    }
    if (run_state_has_result(job->state)) c->already++;
    if (job->state == RUN_FAILED && c->options->retry_failed &&
        !coordinator_set_state(c, job, RUN_PENDING, NULL, error))
      return false;
  }
  coordinator_find_trunks(c);
  for (size_t i = 0; i < count; i++) {
    struct job *job = &c->jobs[i];
    bool to_do = !job->left_out && (job->state == RUN_PENDING || job->state == RUN_KILLED);
    if (to_do && !coordinator_queue(c, job, error)) return false;
  }
  qsort(c->queue, c->queue_count, sizeof *c->queue, by_duration);
  return coordinator_follow_marks(c, true, error);
}

bool coordinator_queue_again(struct coordinator *c, struct job *job, struct error *error) {
  // What was started has left room in front.
  memmove(c->queue, c->queue + c->next, (c->queue_count - c->next) * sizeof *c->queue);
  c->queue_count -= c->next;
  c->next = 0;
  bool fine = coordinator_queue(c, job, error);
  qsort(c->queue, c->queue_count, sizeof *c->queue, by_duration);
  return fine;
}
