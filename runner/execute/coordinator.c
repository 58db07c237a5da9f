// The coordinator's loop: starts workers in free slots, reads their logs, settles those that ended, answers Ctrl-C.
// Everything happens in this one thread: signals are blocked and taken by sigtimedwait between rounds.
#include "runner/execute/coordinator.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/signals.h"
#include "runner/execute/coordinator_halving.h"
#include "runner/execute/coordinator_state.h"
#include "runner/execute/home_lock.h"

static const long round_nanoseconds = 200 * 1000 * 1000;
enum { PATIENCE_SECONDS = 5 };  // with what does not die of SIGKILL

// ---- signals ----

// Whoever handles the signal himself (a job of Slurm's) makes a SIGTERM of it in his time.
static bool is_handled(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

static void watched_signals(sigset_t *set) {
  static const int stops[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
  sigemptyset(set);
  for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
    if (!signal_is_ignored(stops[i]) && !is_handled(stops[i])) sigaddset(set, stops[i]);
  sigaddset(set, SIGCHLD);
}

void coordinator_signal(const struct worker *worker, int signal) {
  if (worker->child)
    kill(-worker->pid, signal);  // the group outlives its leader while a worker's own children go on
  else
    worker_signal(worker->folder, worker->pid, signal);
}

static void signal_workers(struct coordinator *c, int signal) {
  for (size_t i = 0; i < c->worker_count; i++)
    if (c->workers[i]->job->index != FOREIGN)
      coordinator_signal(c->workers[i], signal);  // others are left to their own
}

static void stop(struct coordinator *c) {
  if (!c->stopping) signal_workers(c, SIGTERM);
  c->stopping = true;
}

// Waits for a signal or the end of the round.
static void wait_round(struct coordinator *c, const sigset_t *set) {
  struct timespec timeout = {.tv_nsec = round_nanoseconds};
  for (int got; (got = sigtimedwait(set, NULL, &timeout)) > 0 || (got < 0 && errno == EINTR); timeout.tv_nsec = 0) {
    if (got < 0 || got == SIGCHLD) continue;
    c->interrupted = true;
    c->stop_signals++;
    size_t own = 0;
    for (size_t i = 0; i < c->worker_count; i++) own += c->workers[i]->job->index != FOREIGN;
    if (c->stop_signals == 1) {
      if (own > 0)
        progress_note(&c->progress, true,
                      "stopping: %zu run%s write%s a checkpoint first; once more (Ctrl-C) kills them", own,
                      own == 1 ? "" : "s", own == 1 ? "s" : "");
      stop(c);
    } else {
      c->stopping = true;
      if (c->kill_time == 0) c->kill_time = clock_seconds();
      signal_workers(c, SIGKILL);
      for (size_t i = 0; i < c->worker_count; i++)
        if (c->workers[i]->job->index != FOREIGN) worker_end_survivors(c->workers[i]->folder);
    }
  }
}

// ---- starting ----

static bool slot_free(const struct coordinator *c, const struct job *job) {
  int gpu;
  return coordinator_place(c, job, &gpu);
}

// The next run to start, taken from its queue, or NULL when there is none or no room. Runs that had crashed go first
// once their time has come, but behind the others while no run has got anywhere: then the fault may lie elsewhere.
static struct job *next_job(struct coordinator *c) {
  bool fresh = c->next < c->queue_count;
  if (fresh && !c->any_progress && c->faulted > 0) return slot_free(c, c->queue[c->next]) ? c->queue[c->next++] : NULL;
  double now = clock_seconds();
  for (size_t i = 0; i < c->retry_count; i++) {
    struct job *job = c->retries[i];
    if (job->not_before > now || !slot_free(c, job)) continue;
    memmove(c->retries + i, c->retries + i + 1, (c->retry_count - i - 1) * sizeof *c->retries);
    c->retry_count--;
    return job;
  }
  return fresh && slot_free(c, c->queue[c->next]) ? c->queue[c->next++] : NULL;
}

static bool note_started(struct coordinator *c, struct worker *worker, double attempts, struct error *error) {
  struct arena scratch = {0};
  struct store_field fields[] = {
      {"state", store_text(run_state_name(RUN_RUNNING))}, {"message", {.kind = VALUE_MISSING}},
      {"attempts", store_number(attempts + 1)},           {"started_at", store_number((double)time(NULL))},
      {"finished_at", {.kind = VALUE_MISSING}},           {"pid", store_number((double)worker->pid)},
      {"host", store_text(store_host(&scratch))},         {"halved_at", {.kind = VALUE_MISSING}},
  };
  bool fine = store_run_update(c->store, worker->job->id, fields, sizeof fields / sizeof *fields, error);
  arena_free(&scratch);
  return fine;
}

static bool start_worker(struct coordinator *c, struct job *job, struct error *error) {
  struct arena scratch = {0};
  struct worker_command command;
  struct error log_fault = {0};
  int gpu = NO_GPU;
  coordinator_place(c, job, &gpu);
  coordinator_describe(c, job);
  coordinator_meter_start(c);
  struct worker *worker = coordinator_add_worker(c, job);
  worker->gpu = gpu;
  coordinator_name_trunk(c, job, &worker->arena);
  const char *gpu_name = gpu == NO_GPU ? NULL : c->options->gpus.items[gpu].name;
  bool fine = worker_command_make(&scratch, c->options->command, c->options->command_count, worker->folder,
                                  &c->described.file, worker->slot, gpu_name, &command, error);
  if (fine) coordinator_halving_command(c, job, &scratch, &command);
  // A worker that was started may cut the log: what it said is read again, and what is the same is not written again.
  const char *events = path_join(&scratch, worker->folder, "events.jsonl");
  if (fine && !worker_alive(&scratch, worker->folder)) fine = events_mend(events, &worker->log_before, &log_fault);
  if (log_fault.code && log_fault.code != EXIT_RUNS_FAILED) *error = log_fault;
  struct value id = store_text(job->id);
  double attempts = 0;
  struct store_rows *rows =
      fine ? store_select(c->store, "SELECT log_offset, log_check, attempts FROM runs WHERE id = ?1", &id, 1, error)
           : NULL;
  if (rows && store_rows_next(rows, error)) {
    run_log_init(&worker->log, (int64_t)store_rows_value(rows, 0).number, (int64_t)store_rows_value(rows, 1).number);
    attempts = store_rows_value(rows, 2).number;
  }
  store_rows_close(rows);
  if (fine && !error->code) {
    double now = clock_seconds();
    if (now > c->oom_counted + 0.2) {  // many short runs: not for each
      c->oom_kills = coordinator_oom_kills();
      c->oom_counted = now;
    }
    worker->oom_kills = c->oom_kills;
    worker->pid = worker_start(&c->described.file, worker->folder, &command, error);
    worker->child = worker->pid > 0;
    if (worker->child) coordinator_meter_started(c, worker, &command);
  }
  fine = fine && worker->child && note_started(c, worker, attempts, error);
  if (log_fault.code == EXIT_RUNS_FAILED) {
    fine = coordinator_fail(c, worker, log_fault.text, error);
    coordinator_remove_worker(c, c->worker_count - 1);
  } else if (worker->child) {
    job->state = RUN_RUNNING;
    char from[80] = "";
    if (coordinator_branches_off(job))
      snprintf(from, sizeof from, "  from step %lld of %.8s", (long long)job->branch_step, c->jobs[job->trunk].id);
    progress_note(&c->progress, false, "started  %.8s  %s%s%s%s", job->id, worker->label, from,
                  gpu_name ? "  on GPU " : "", gpu_name ? gpu_name : "");
  } else {
    coordinator_remove_worker(c, c->worker_count - 1);
  }
  arena_free(&scratch);
  return fine;
}

// ---- ending ----

static void reap(struct coordinator *c) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (size_t i = 0; i < c->worker_count; i++) {
      if (!c->workers[i]->child || c->workers[i]->pid != pid) continue;
      c->workers[i]->reaped = true;
      c->workers[i]->status = status;
    }
  }
}

// The worker is over: its process was waited for, or is known to be gone. What it leaves is killed. After the second
// Ctrl-C nothing is waited for long, not even what cannot be killed.
static bool worker_over(const struct coordinator *c, struct worker *worker) {
  bool given_up = c->kill_time > 0 && clock_seconds() > c->kill_time + PATIENCE_SECONDS;
  if (worker->child && !worker->reaped) return given_up;
  struct arena scratch = {0};
  bool alive = false;
  if (worker->child) {
    if (worker_left_something(worker->folder, worker->pid)) {
      kill(-worker->pid, SIGKILL);
      worker_end_survivors(worker->folder);
    }
  } else {
    alive = worker_alive(&scratch, worker->folder);
    if (!alive) worker_end_survivors(worker->folder);
  }
  arena_free(&scratch);
  return !alive || given_up;
}

static bool follow_workers(struct coordinator *c, struct error *error) {
  for (size_t i = 0; i < c->worker_count;) {
    struct worker *worker = c->workers[i];
    bool over = worker_over(c, worker);  // asked before reading: what it wrote until then is in the log
    if (!over && worker->log.unreadable[0] && worker->job->index != FOREIGN) coordinator_signal(worker, SIGKILL);
    if (!over) {
      // While nothing is new the store is left alone.
      if (!worker_log_still(worker->folder, worker->log.reader.offset) && !coordinator_read_log(c, worker, error))
        return false;
      if (!coordinator_watch_limits(c, worker, error)) return false;
      coordinator_halving_watch(worker);
      i++;
      continue;
    }
    if (!coordinator_settle(c, worker, error) || !coordinator_halving_next(c, worker->job, error)) return false;
    if (worker->job->state == RUN_FAILED && c->options->fail_fast && !c->stopping) {
      progress_note(&c->progress, true, "stopping at the first failed run (--fail-fast)");
      stop(c);
    }
    if (c->fault && !c->stopping) stop(c);
    coordinator_remove_worker(c, i);
  }
  return true;
}

// ---- progress ----

static void show(struct coordinator *c, bool now) {
  if (!c->progress.out) return;
  struct progress_counts counts = {.total = c->set_count - c->left_out, .seconds_left = NAN};
  struct progress_line lines[16];
  size_t shown = 0;
  double left = 0, estimated = 0, done = c->flops_done, elapsed = clock_seconds() - c->began;
  if (!now && !c->progress.terminal && clock_seconds() - c->progress.last_drawn < 1) return;
  for (size_t i = 0; i < c->set_count; i++) {
    const struct job *job = &c->jobs[i];
    if (job->left_out) continue;
    counts.finished += run_state_has_result(job->state) || job->halved;
    counts.diverged += job->state == RUN_DIVERGED;
    counts.failed += job->state == RUN_FAILED;
    counts.running += job->state == RUN_RUNNING;
    if ((job->state != RUN_PENDING && job->state != RUN_KILLED) || job->blocked || job->halved ||
        run_mark_holds(job->mark))
      continue;
    double part = coordinator_halving_left(c, job, job->stopped_at, 1);
    left += part * job->flops;
    estimated += part * job->seconds;
  }
  for (size_t i = 0; i < c->worker_count; i++) {
    const struct worker *worker = c->workers[i];
    const struct run_log *log = &worker->log;
    int64_t from = coordinator_branches_off(worker->job) ? worker->job->branch_step : 0;
    double part = log->steps > from && log->step > from ? (double)(log->step - from) / (double)(log->steps - from) : 0;
    if (worker->job->index == FOREIGN) continue;
    if (shown < 16)
      lines[shown++] =
          (struct progress_line){.id = worker->job->id,
                                 .label = worker->label,
                                 .gpu = worker->gpu == NO_GPU ? NULL : c->options->gpus.items[worker->gpu].name,
                                 .step = log->step,
                                 .steps = log->steps,
                                 .loss = log->loss};
    double part_left = coordinator_halving_left(c, worker->job, log->step, 1 - part);
    done += part * worker->job->flops - worker->job->flops_counted;
    left += part_left * worker->job->flops;
    estimated += part_left * worker->job->seconds;
  }
  // Measured speed once there is some, before it the plan's estimate.
  if (done > 0 && elapsed > 3)
    counts.seconds_left = left * elapsed / done;
  else if (!isnan(estimated))
    counts.seconds_left = estimated / (double)(c->options->jobs > 0         ? c->options->jobs
                                               : c->options->gpus.count > 0 ? (int64_t)c->options->gpus.count
                                                                            : c->cores);
  progress_show(&c->progress, &counts, lines, shown, now);
}

// ---- the whole ----

static bool loop(struct coordinator *c, const sigset_t *set, struct error *error) {
  for (;;) {
    struct job *job;
    coordinator_release_branches(c);
    while (!c->stopping && (job = next_job(c)))
      if (!start_worker(c, job, error)) return false;
    bool waiting = !c->stopping && (c->next < c->queue_count || c->retry_count > 0);
    size_t own = 0;
    for (size_t i = 0; i < c->worker_count; i++) own += c->workers[i]->job->index != FOREIGN;
    if (own == 0 && !waiting) return true;
    show(c, false);
    coordinator_meter_round(c);
    wait_round(c, set);
    reap(c);
    if (!coordinator_home_there(c, error) || !coordinator_follow_marks(c, false, error) || !follow_workers(c, error))
      return false;
  }
}

// Nothing is at work any more: what workers left is killed and waited for.
static void end_orphans(const struct coordinator *c) {
  double began = clock_seconds();
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) >= 0 && clock_seconds() < began + PATIENCE_SECONDS;) {
    if (pid > 0) continue;
    if (worker_end_orphans(c->options->home) == 0 && clock_seconds() > began + 0.1)
      return;  // other children: not ours to end
    nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
  }
}

// The store or the disk failed: the workers are asked to stop and waited for; what they logged is read next time.
static void abandon(struct coordinator *c, const sigset_t *set) {
  signal_workers(c, SIGTERM);
  c->stopping = true;
  for (;;) {
    reap(c);
    size_t left = 0;
    for (size_t i = 0; i < c->worker_count; i++) left += c->workers[i]->child && !c->workers[i]->reaped;
    if (left == 0 || (c->kill_time > 0 && clock_seconds() > c->kill_time + PATIENCE_SECONDS)) return;
    wait_round(c, set);
  }
}

static enum exit_code report(struct coordinator *c, struct coordinator_outcome *outcome, struct error *error) {
  *outcome = (struct coordinator_outcome){.total = c->set_count - c->left_out,
                                          .already = c->already,
                                          .left_out = c->left_out,
                                          .interrupted = c->interrupted};
  size_t final = 0;  // follow a run that diverged: nothing is left to do
  for (size_t i = 0; i < c->set_count; i++) {
    enum run_state state = c->jobs[i].state;
    if (c->jobs[i].left_out) continue;
    if (run_mark_holds(c->jobs[i].mark) && !run_state_has_result(state)) {
      bool cancelled = c->jobs[i].mark == MARK_CANCELLED;
      outcome->cancelled += cancelled;
      outcome->paused += !cancelled;
      outcome->total -= cancelled;
      continue;
    }
    outcome->blocked += c->jobs[i].blocked;
    final += c->jobs[i].blocked && c->jobs[i].blocked_for_good;
    outcome->done += state == RUN_DONE;
    outcome->diverged += state == RUN_DIVERGED;
    outcome->failed += state == RUN_FAILED;
    bool halved = c->jobs[i].halved && state == RUN_KILLED;
    outcome->halved += halved;
    outcome->waiting += c->jobs[i].waiting;
    outcome->killed += state == RUN_KILLED && !halved && !c->jobs[i].waiting;
    outcome->pending += (state == RUN_PENDING && !c->jobs[i].waiting) || state == RUN_RUNNING;
  }
  if (error->code) return error->code;
  if (c->fault || c->aside > 0) return coordinator_fault_error(c, error);
  return outcome->done + outcome->diverged + outcome->halved + final == outcome->total ? EXIT_DONE : EXIT_RUNS_FAILED;
}

enum exit_code coordinator_execute(const struct coordinator_set *set, const struct coordinator_options *options,
                                   struct coordinator_outcome *outcome, struct error *error) {
  struct coordinator *c = memory_get(sizeof *c);
  sigset_t watched, before;
  *outcome = (struct coordinator_outcome){.total = set->count};
  c->set = set;
  c->options = options;
  c->cores = cores_usable();
  c->fault_limit = 3;
  int lock = home_lock(coordinator_store_home(c), options->wait, options->messages, error);
  if (lock < 0) {
    free(c);
    return error->code;
  }
  watched_signals(&watched);
  sigprocmask(SIG_BLOCK, &watched, &before);
  signal(SIGPIPE, SIG_IGN);          // whoever read the progress may leave: the runs go on
  signal(SIGXFSZ, SIG_IGN);          // a file size limit is an error of the write, like a full disk
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // what a worker leaves becomes our child, and is waited for
  c->began = clock_seconds();
  c->progress =
      progress_start(options->messages ? options->messages : stderr, options->experiment->name, options->quiet);
  c->store = store_open(path_join(&c->arena, coordinator_store_home(c), "isoloss.db"), STORE_CREATE, error);
  if (c->store) coordinator_look_at_home(c);
  bool fine = c->store && coordinator_register(c, error) && coordinator_halving_begin(c, error);
  if (fine) {
    size_t startable = c->queue_count + c->worker_count;
    if (c->fault_limit > startable) c->fault_limit = startable;
    show(c, true);
    fine = loop(c, &watched, error);
  }
  if (!fine) abandon(c, &watched);
  end_orphans(c);
  progress_end(&c->progress);
  enum exit_code code = report(c, outcome, error);
  while (c->worker_count > 0) coordinator_remove_worker(c, c->worker_count - 1);
  store_close(c->store);
  coordinator_meter_end(c);
  free(c->workers);
  arena_free(&c->arena);
  signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &before, NULL);
  close(lock);
  free(c);
  return code;
}
