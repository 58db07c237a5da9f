// What becomes of a run whose worker ended: its result, another try, a wait, or a failure that says why.
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "runner/execute/coordinator_halving.h"
#include "runner/execute/coordinator_state.h"
#include "trainer/stages/stage.h"
#include "trainer/tasks/task.h"

// Why the worker ended without a result, in words.
static void describe_end(const struct worker *worker, struct text *out) {
  struct arena scratch = {0};
  const struct run_log *log = &worker->log;
  bool wrote = coordinator_wrote(worker);
  if (worker->over_limit) {
    text_add(out, worker->limit_message);
    return;
  }
  if (wrote && log->end == EVENT_FAILED && log->message[0]) {
    text_add(out, log->message);
    return;
  }
  if (wrote && log->end == EVENT_STOPPED)
    text_format(out, "stopped from outside at step %lld", (long long)log->step);
  else if (worker->child && WIFSIGNALED(worker->status))
    text_format(out, "killed by signal %d (%s)%s", WTERMSIG(worker->status), strsignal(WTERMSIG(worker->status)),
                WTERMSIG(worker->status) == SIGKILL && coordinator_oom_kills() > worker->oom_kills
                    ? ", probably for memory: the system killed a process for want of it meanwhile"
                    : "");
  else if (wrote && log->results)
    text_add(out, "its log goes on after `done`, which has to be the last that a trainer says of its steps");
  else if (worker->child && WEXITSTATUS(worker->status) == 0)
    text_add(out, "ended without a `done` event");
  else if (worker->child)
    text_format(out, "exit code %d without a `done` event", WEXITSTATUS(worker->status));
  else
    text_add(out, "its process is gone");
  if (log->damage.lines) text_add(out, "; ");
  events_damage_say(out, (double)log->damage.lines, (double)log->damage.first);
  if (worker->child && coordinator_disk_is_full(worker->folder)) text_add(out, "; the disk is full");
  const char *tail = worker_log_tail(&scratch, worker->folder, 5);
  if (*tail) text_format(out, "; last lines of its log:\n%s", tail);
  arena_free(&scratch);
}

static void note_throughput(struct coordinator *c, const struct worker *worker) {
  const struct run_log *log = &worker->log;
  double seconds = isnan(log->train_seconds) ? log->seconds : log->train_seconds;
  if (c->options->command || worker->job->index == FOREIGN || !(seconds > 0) || !(log->tokens > 0)) return;
  coordinator_describe(c, worker->job);
  struct run_config config = c->described.file.config;
  if (task_of(&config)) return;
  const struct stage *stage = stage_find(config.stage);
  if (stage_trains(stage, &config)) stage->training(&config);
  struct arena scratch = {0};
  struct error ignored = {0};
  struct store_rows *rows = store_run(c->store, worker->job->id, &ignored);
  const char *backend = rows ? store_rows_get(rows, "backend").text : NULL;
  struct throughput throughput = {
      .backend = arena_string(&scratch, backend ? backend : "cpu"),
      .source = "run",
      .config = &config,
      .flops_per_token = stage ? config_quantities(&config, &c->described.record.corpus).flops_per_token
                               : c->described.record.quantities.flops_per_token,
      .tokens_per_second = log->tokens / seconds,
  };
  store_rows_close(rows);
  // An estimate's base: worth no failure of the run.
  store_throughput_put(c->store, &throughput, &ignored);
  arena_free(&scratch);
}

bool coordinator_fail(struct coordinator *c, struct worker *worker, const char *message, struct error *error) {
  const struct job *job = worker->job;
  if (!coordinator_set_state(c, worker->job, RUN_FAILED, message, error)) return false;
  progress_note(&c->progress, true, "failed   %.8s  %s: %s (isoloss show %.8s)", job->id, worker->label, message,
                job->id);
  return true;
}

// Whether somebody else asked the worker to stop, as batch systems do that want its place: it said so, or such a signal
// ended it, or (128 and more, as shells tell it) what it had started.
static bool was_preempted(const struct worker *worker) {
  static const int asks[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
  const struct run_log *log = &worker->log;
  if (worker->over_limit || !coordinator_wrote(worker) || !log->progressed) return false;
  if (log->step <= worker->job->preempted_at && worker->job->preemptions > 0) return false;
  bool asked = log->end == EVENT_STOPPED;
  for (size_t i = 0; i < sizeof asks / sizeof *asks && worker->child && log->end == EVENT_OTHER; i++)
    asked |= (WIFSIGNALED(worker->status) && WTERMSIG(worker->status) == asks[i]) ||
             (WIFEXITED(worker->status) && WEXITSTATUS(worker->status) == 128 + asks[i]);
  return asked;
}

// No crash, as long as it comes further each time.
static bool settle_preempted(struct coordinator *c, struct worker *worker, struct error *error) {
  struct job *job = worker->job;
  struct text message = {0};
  job->preemptions++;
  job->preempted_at = worker->log.step;
  text_format(&message, "stopped from outside at step %lld (%d time%s)", (long long)worker->log.step, job->preemptions,
              job->preemptions == 1 ? "" : "s");
  bool fine = coordinator_set_state(c, job, RUN_PENDING, text_string(&message), error);
  progress_note(&c->progress, true, "preempted %.8s  %s: %s; it continues from %s", job->id, worker->label,
                text_string(&message), worker->log.end == EVENT_STOPPED ? "there" : "its last checkpoint");
  c->retries[c->retry_count++] = job;
  text_free(&message);
  return fine;
}

static bool settle_crash(struct coordinator *c, struct worker *worker, struct error *error) {
  struct job *job = worker->job;
  struct text message = {0};
  if (was_preempted(worker)) return settle_preempted(c, worker, error);
  describe_end(worker, &message);
  const char *said = text_string(&message);
  bool hopeless = worker->child && WIFEXITED(worker->status) && WEXITSTATUS(worker->status) == EXIT_USAGE_ERROR;
  bool environment = coordinator_blames_environment(c, worker, said), fine;
  job->failures++;
  coordinator_note_fault(c, worker, environment, said);
  if (c->fault && !c->aside) {
    // The fault lies outside of the runs: none of them is marked failed for it.
    fine = true;
    for (size_t i = 0; i < c->set_count && fine; i++)
      if (c->jobs[i].faulted) fine = coordinator_set_state(c, &c->jobs[i], RUN_PENDING, c->fault_message, error);
  } else if (!hopeless && job->failures <= c->options->retries) {
    fine = coordinator_set_state(c, job, RUN_PENDING, said, error);
    progress_note(&c->progress, true, "crashed  %.8s  %s: %s (try %d of %lld follows)", job->id, worker->label, said,
                  job->failures + 1, (long long)c->options->retries + 1);
    job->not_before = clock_seconds() + (worker->log.progressed ? 0 : 0.5 * job->failures);
    c->retries[c->retry_count++] = job;
  } else if (environment && !c->options->keep_going) {
    fine = coordinator_set_state(c, job, worker->log.step > 0 ? RUN_KILLED : RUN_PENDING, said, error);
    progress_note(&c->progress, true, "put off  %.8s  %s: %s", job->id, worker->label, said);
    coordinator_put_off(c, said);
    job->put_off = true;
  } else {
    fine = coordinator_fail(c, worker, said, error);
  }
  text_free(&message);
  return fine;
}

static bool settle_killed(struct coordinator *c, struct worker *worker, struct error *error) {
  struct text message = {0};
  text_add(&message, c->stop_signals > 1 ? "killed" : "stopped");
  if (worker->log.step > 0) text_format(&message, " at step %lld", (long long)worker->log.step);
  if (worker->log.step > 0 && worker->log.steps > 0) text_format(&message, " of %lld", (long long)worker->log.steps);
  text_add(&message, "; isoloss run continues it");
  bool fine = coordinator_set_state(c, worker->job, RUN_KILLED, text_string(&message), error);
  progress_note(&c->progress, false, "stopped  %.8s  %s", worker->job->id, worker->label);
  text_free(&message);
  return fine;
}

// Reads what is left of the log. A trainer may have ended without ending its last line.
static bool read_to_the_end(struct coordinator *c, struct worker *worker, struct error *error) {
  if (!coordinator_ingest_log(c, worker, error)) return false;
  if (worker->log.end != EVENT_OTHER || worker->log.unreadable[0]) return true;
  struct arena scratch = {0};
  struct error ignored = {0};  // one that cannot be mended says what it said
  bool mended = events_mend(path_join(&scratch, worker->folder, "events.jsonl"), NULL, &ignored);
  arena_free(&scratch);
  return !mended || coordinator_ingest_log(c, worker, error);
}

bool coordinator_settle(struct coordinator *c, struct worker *worker, struct error *error) {
  struct job *job = worker->job;
  worker_log_trim(worker->folder);
  if (!store_begin(c->store, error)) return false;
  bool fine = read_to_the_end(c, worker, error);
  char time_text[32], loss[32];
  if (!fine) {
    store_rollback(c->store);
    return false;
  }
  if (worker->log.end == EVENT_DONE || worker->log.end == EVENT_DIVERGED) {
    double seconds = worker->child ? clock_seconds() - worker->started : NAN;
    fine = coordinator_put_result(c, job, &worker->log, seconds, error);
    c->any_progress = true;
    c->aside_in_a_row = 0;
    c->flops_done += job->flops - job->flops_counted;
    fine = fine && (job->mark == MARK_NONE || store_mark_set(c->store, job->id, MARK_NONE, NULL, error));
    job->mark = MARK_NONE;
    if (fine && job->state == RUN_DONE) {
      note_throughput(c, worker);
      bool told = !isnan(worker->log.loss);  // a task may have none
      progress_note(&c->progress, false, "done     %.8s  %s%s%s  (%s)", job->id, worker->label, told ? "  loss " : "",
                    told ? loss_human(worker->log.loss, loss) : "",
                    seconds_human(isnan(worker->log.seconds) ? seconds : worker->log.seconds, time_text));
      if (worker->log.message[0])
        progress_note(&c->progress, true, "note     %.8s  %s: %s", job->id, worker->label, worker->log.message);
    } else if (fine) {
      progress_note(&c->progress, true, "diverged %.8s  %s  at step %lld%s%s", job->id, worker->label,
                    (long long)worker->log.step, worker->log.message[0] ? ": " : "", worker->log.message);
    }
  } else if (worker->log.unreadable[0]) {
    fine = coordinator_fail(c, worker, worker->log.unreadable, error);
  } else if (!(worker->stopped_for == MARK_CANCELLED && job->mark == MARK_CANCELLED) &&
             coordinator_halving_arrived(c, worker)) {
    fine = coordinator_halving_wait(c, worker, error);
  } else if (worker->over_limit == LIMIT_TIME) {
    fine = coordinator_fail(c, worker, worker->limit_message, error);
  } else if (worker->stopped_for != MARK_NONE) {
    fine = coordinator_settle_marked(c, worker, error);
  } else if (c->stopping || job->index == FOREIGN) {
    fine = c->fault && !c->aside ? coordinator_set_state(c, job, RUN_PENDING, NULL, error)
                                 : settle_killed(c, worker, error);
  } else {
    fine = settle_crash(c, worker, error);
  }
  fine = fine && coordinator_meter_settle(c, worker, error) && coordinator_release(c, job, error);
  if (fine) return store_commit(c->store, error);
  store_rollback(c->store);
  return false;
}
