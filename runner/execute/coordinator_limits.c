// Limits on each run: time in all, time without an event; and what the system says of memory.
#include <stdio.h>
#include <string.h>

#include "runner/execute/coordinator_state.h"

enum { GRACE_SECONDS = 30 };  // for a checkpoint, before a worker over its time is killed

static bool say(struct coordinator *c, struct worker *worker, const char *message, struct error *error) {
  struct store_field field = {"message", store_text(message)};
  return store_run_update(c->store, worker->job->id, &field, 1, error);
}

// Events came: what was told of the silence before them is taken back.
static bool note_events(struct coordinator *c, struct worker *worker, double now, struct error *error) {
  if (worker->log.reader.offset == worker->heard_offset && worker->heard > 0) return true;
  worker->heard = now;
  worker->heard_offset = worker->log.reader.offset;
  if (!worker->stalled) return true;
  worker->stalled = false;
  return say(c, worker, NULL, error);
}

static bool watch_silence(struct coordinator *c, struct worker *worker, double now, struct error *error) {
  double limit = c->options->stall_limit, silent = now - worker->heard;
  char silence[32], allowed[32];
  if (!(limit > 0) || silent <= limit || worker->stalled || worker->over_limit) return true;
  worker->stalled = true;
  snprintf(worker->limit_message, sizeof worker->limit_message, "no event for %s (run.stall_limit: %s)%s",
           seconds_human(silent, silence), seconds_human(limit, allowed),
           c->options->retry_stalled ? ": killed" : "; its worker continues");
  progress_note(&c->progress, true, "stalled  %.8s  %s: %s", worker->job->id, worker->label, worker->limit_message);
  if (c->options->retry_stalled) {
    worker->over_limit = LIMIT_STALL;
    coordinator_signal(worker, SIGKILL);
    return true;
  }
  return say(c, worker, worker->limit_message, error);
}

static void watch_time(struct coordinator *c, struct worker *worker, double now) {
  // What the log says counts earlier workers, too.
  double limit = c->options->time_limit, elapsed = now - worker->started;
  char allowed[32];
  if (worker->log.seconds > elapsed) elapsed = worker->log.seconds;
  if (!(limit > 0) || elapsed <= limit) return;
  if (worker->over_limit == LIMIT_TIME && now > worker->stop_asked + GRACE_SECONDS) coordinator_signal(worker, SIGKILL);
  if (worker->over_limit) return;
  worker->over_limit = LIMIT_TIME;
  worker->stop_asked = now;
  struct text message = {0};
  text_format(&message, "stopped at its time limit of %s (run.time_limit)", seconds_human(limit, allowed));
  if (worker->log.step > 0) text_format(&message, " at step %lld", (long long)worker->log.step);
  text_add(&message, "; with a longer one, isoloss run --retry-failed continues it");
  snprintf(worker->limit_message, sizeof worker->limit_message, "%s", text_string(&message));
  text_free(&message);
  coordinator_signal(worker, SIGTERM);
}

bool coordinator_watch_limits(struct coordinator *c, struct worker *worker, struct error *error) {
  double now = clock_seconds();
  worker_log_trim(worker->folder);
  if (worker->job->index == FOREIGN || c->stopping) return true;
  if (!note_events(c, worker, now, error) || !watch_silence(c, worker, now, error)) return false;
  watch_time(c, worker, now);
  return true;
}

// ---- memory ----

// The number behind "oom_kill " in a file of the system's; 0 where there is none.
static long long count_in(const char *path) {
  long long count = 0;
  char line[256];
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "oom_kill %lld", &count) == 1) break;
  if (file) fclose(file);
  return count;
}

long long coordinator_oom_kills(void) {
  char line[1024], path[1200];
  long long count = count_in("/proc/vmstat");
  FILE *file = fopen("/proc/self/cgroup", "re");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "0::", 3) == 0)
      snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.events", line + 3);
    else if (strstr(line, ":memory:"))
      snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.oom_control", strstr(line, ":memory:") + 8);
    else
      continue;
    long long here = count_in(path);
    if (here > count) count = here;
  }
  if (file) fclose(file);
  return count;
}
