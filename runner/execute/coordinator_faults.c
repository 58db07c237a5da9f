// Faults that are not a run's own: the machine's, or common to all. None of the runs is marked failed for them.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "runner/execute/coordinator_state.h"

enum { LITTLE_ROOM = 1 << 16 };  // bytes: what does not hold the next line of a log or a checkpoint

bool coordinator_disk_is_full(const char *path) {
  struct statvfs status;
  if (statvfs(path, &status) != 0) return false;
  return (double)status.f_bavail * (double)status.f_frsize < LITTLE_ROOM ||
         (status.f_files > 0 && status.f_favail == 0);
}

bool coordinator_blames_environment(const struct coordinator *c, const struct worker *worker, const char *said) {
  if (!worker->child) return false;
  // 126 and 127: a shell's and the loader's, of programs and libraries that are missing.
  int code = WIFEXITED(worker->status) ? WEXITSTATUS(worker->status) : -1;
  if (code == EXIT_ENVIRONMENT || code == 126 || code == 127) return true;
  // A trainer of somebody's own that says what the system said.
  return code > 0 && (coordinator_disk_is_full(worker->folder) || strstr(said, strerror(ENOSPC)));
}

static void keep_message(struct coordinator *c, enum exit_code code, const char *message) {
  if (c->fault_message[0]) return;
  snprintf(c->fault_message, sizeof c->fault_message, "%.*s", (int)sizeof c->fault_message - 1, message);
  c->fault_code = code;
}

void coordinator_note_fault(struct coordinator *c, struct worker *worker, bool environment, const char *message) {
  struct job *job = worker->job;
  if ((worker->log.progressed && coordinator_wrote(worker)) || c->any_progress) {
    c->any_progress = true;
    return;
  }
  if (!job->faulted) {
    job->faulted = true;
    c->faulted++;
  }
  bool usage = worker->child && WIFEXITED(worker->status) && WEXITSTATUS(worker->status) == EXIT_USAGE_ERROR;
  keep_message(c, usage ? EXIT_USAGE_ERROR : EXIT_ENVIRONMENT, message);
  // Of a single run only its exit code tells that the fault is not its own, when no try is left.
  bool common = c->fault_limit > 1 || (environment && job->failures > c->options->retries);
  if (c->faulted >= c->fault_limit && common && !c->options->keep_going) c->fault = true;
}

void coordinator_put_off(struct coordinator *c, const char *message) {
  if (c->aside == 0) c->fault_message[0] = '\0';  // of a fault that went by
  keep_message(c, EXIT_ENVIRONMENT, message);
  c->aside++;
  // Nothing ended well in between: the next runs would fare the same.
  if (++c->aside_in_a_row >= 3) c->fault = true;
}

bool coordinator_home_there(const struct coordinator *c, struct error *error) {
  static const char *const names[] = {"coordinator.lock", "isoloss.db"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[4096];
    struct stat now;
    snprintf(path, sizeof path, "%s/%s", coordinator_store_home(c), names[i]);
    if (stat(path, &now) == 0 && now.st_ino == c->home_files[i].inode && now.st_dev == c->home_files[i].device)
      continue;
    return error_set(
        error, EXIT_ENVIRONMENT,
        "%s is gone, or another file than before: somebody removed or replaced it while isoloss run was at "
        "work. The runs are stopped and none is marked as failed; call isoloss run again",
        path);
  }
  return true;
}

void coordinator_look_at_home(struct coordinator *c) {
  struct arena scratch = {0};
  struct stat status;
  if (stat(path_join(&scratch, coordinator_store_home(c), "coordinator.lock"), &status) == 0)
    c->home_files[0] = (struct home_file){status.st_dev, status.st_ino};
  if (stat(path_join(&scratch, coordinator_store_home(c), "isoloss.db"), &status) == 0)
    c->home_files[1] = (struct home_file){status.st_dev, status.st_ino};
  arena_free(&scratch);
}

enum exit_code coordinator_fault_error(const struct coordinator *c, struct error *error) {
  struct text what = {0};
  if (c->aside > 0)
    text_format(&what, "%zu run%s could not go on, for reasons outside of %s%s", c->aside, c->aside == 1 ? "" : "s",
                c->aside == 1 ? "it" : "them", c->fault ? "; the others were stopped" : "");
  else if (c->faulted > 1)
    text_format(&what, "the first %zu runs all failed before their first step, so the others were not tried",
                c->faulted);
  else
    text_add(&what, "the run failed before its first step");
  error_set(error, c->fault_code, "%s:\n%s\nNothing is marked as failed: mend the cause and call isoloss run again%s",
            text_string(&what), c->fault_message,
            c->aside == 0 && c->faulted > 1 ? " (--keep-going tries all runs)" : "");
  text_free(&what);
  return error->code;
}
