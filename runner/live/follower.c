// See follower.h.
#include "runner/live/follower.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/live/notices.h"
#include "runner/live/tensorboard.h"

enum { INTERVAL = 5000 };  // milliseconds between two looks

struct work {
  const char *path;  // of the store
  struct tensorboard *board;
  struct failures failures;
};

// Fine where nothing was stored yet: no run has failed either.
static bool look(struct work *work, enum stream_look at, struct error *error) {
  if (!file_exists(work->path)) return work->failures.begun = true;
  struct store *store = store_open(work->path, STORE_READ, error);
  bool fine = store && (!work->board || tensorboard_take(work->board, store, at, error)) &&
              (!work->failures.command || failures_look(&work->failures, store, at, error));
  store_close(store);
  return fine;
}

static int follow(struct work *work, int life) {
  struct pollfd end = {life, POLLIN, 0};
  struct error error = {0};
  for (bool over = false; !over;) {
    over = poll(&end, 1, INTERVAL) > 0;
    // A store that is being made cannot be read for a moment, a full disk may get room: only the last look counts.
    error_clear(&error);
    look(work, over ? STREAM_ALL : STREAM_DUE, &error);
  }
  if (error.code)
    fprintf(stderr, "isoloss: %s: %s\n", work->board ? "TensorBoard's files are not whole" : "--notify", error.text);
  return error.code ? 1 : 0;
}

static void work_free(struct work *work, struct arena *arena) {
  tensorboard_close(work->board);
  failures_free(&work->failures);
  arena_free(arena);
}

bool follower_begin(struct follower *follower, const struct follower_wishes *wishes, const char *experiment,
                    const char *home, struct error *error) {
  struct arena arena = {0};
  struct work work = {.failures = {.command = wishes->notify, .stream = {.experiment = experiment}}};
  int ends[2];
  *follower = (struct follower){0};
  if (!wishes->tensorboard && !wishes->notify) return true;
  work.path = path_join(&arena, home, "isoloss.db");
  if (wishes->tensorboard && !(work.board = tensorboard_open(wishes->tensorboard, experiment, error))) goto fail;
  // What had failed before is known before anything can fail.
  if (wishes->notify && !look(&work, STREAM_ALL, error)) goto fail;
  if (pipe2(ends, O_CLOEXEC) != 0) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot make a pipe");
    goto fail;
  }
  *follower = (struct follower){fork(), ends[1]};
  if (follower->process == 0) {
    // Ctrl-C reaches the whole group, and the last points come after it.
    sigset_t stops;
    sigfillset(&stops);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    close(ends[1]);
    int code = follow(&work, ends[0]);
    work_free(&work, &arena);
    _exit(code);
  }
  close(ends[0]);
  if (follower->process < 0) {
    close(ends[1]);
    *follower = (struct follower){0};
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot begin a process next to the runs");
  }
fail:
  work_free(&work, &arena);
  return !error->code;
}

void follower_end(struct follower *follower) {
  if (follower->process == 0) return;
  close(follower->life);
  // The coordinator waits for any child, so this one may be gone already.
  while (waitpid(follower->process, NULL, 0) < 0 && errno == EINTR) continue;
}
