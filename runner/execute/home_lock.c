// See home_lock.h.
#include "runner/execute/home_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const long short_wait = 25 * 1000 * 1000, long_wait = 250 * 1000 * 1000;  // nanoseconds

static int64_t named_holder(struct arena *arena, const char *path, int64_t otherwise) {
  struct error ignored = {0};
  const char *text = file_read(arena, path, NULL, &ignored);
  return text ? strtoll(text, NULL, 10) : otherwise;
}

int64_t home_lock_holder(const char *home) {
  struct arena scratch = {0};
  int64_t holder = 0;
  bool busy = false;
  const char *path = path_join(&scratch, home, "coordinator.lock");
  if (file_exists(path)) {
    // Shared, so that others' homes can be asked about, too.
    int lock = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    busy = lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (lock >= 0) close(lock);
    if (busy) holder = named_holder(&scratch, path, 1);
  }
  arena_free(&scratch);
  return holder;
}

static bool name_ourselves(int lock, const char *path, struct error *error) {
  char text[64];
  int length = snprintf(text, sizeof text, "%lld\n", (long long)getpid());
  return (ftruncate(lock, 0) == 0 && pwrite(lock, text, (size_t)length, 0) == length) ||
         error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", path);
}

// Tries again until the lock is free. While the holder works, its home may be removed: then `path` is opened anew.
static int lock_in_turn(struct arena *arena, const char *home, const char *path, bool wait, FILE *messages, bool *busy,
                        struct error *error) {
  enum { PATIENCE = 20 };
  // A reader that asks who holds it has the lock for a moment: wait a little before believing that it is taken.
  for (int try = 0;; try++) {
    int lock = folder_make(home, error) ? file_lock(path, busy, error) : -1;
    if (lock >= 0 || !*busy || (!wait && try + 1 >= PATIENCE)) return lock;
    if (try == PATIENCE && messages) {
      fprintf(messages, "waiting for process %lld, which is at work on the store in %s (Ctrl-C ends the wait)\n",
              (long long)named_holder(arena, path, 0), home);
      fflush(messages);
    }
    nanosleep(&(struct timespec){.tv_nsec = try < PATIENCE ? short_wait : long_wait}, NULL);
  }
}

int home_lock(const char *home, bool wait, FILE *messages, struct error *error) {
  struct arena scratch = {0};
  bool busy = false;
  const char *path = path_join(&scratch, home, "coordinator.lock");
  int lock = lock_in_turn(&scratch, home, path, wait, messages, &busy, error);
  if (lock < 0 && busy)
    error_set(error, EXIT_ENVIRONMENT,
              "another `isoloss run` (process %lld) is at work on the store in %s; `isoloss status` shows how far it "
              "is. Wait for it (isoloss run --wait does), stop it with Ctrl-C, or set ISOLOSS_HOME to another folder",
              (long long)named_holder(&scratch, path, 0), home);
  if (lock >= 0 && !name_ourselves(lock, path, error)) {
    close(lock);
    lock = -1;
  }
  arena_free(&scratch);
  return lock;
}
