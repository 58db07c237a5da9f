// See send.h.
#include "runner/live/send.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

// A file of memory: nobody waits for a command that does not read.
static int open_document(const char *document, struct error *error) {
  int file = memfd_create("notice", MFD_CLOEXEC);
  size_t length = strlen(document);
  if (file >= 0 && file_write_all(file, document, length) && lseek(file, 0, SEEK_SET) == 0) return file;
  error_set_errno(error, EXIT_ENVIRONMENT, "--notify: cannot write the document");
  if (file >= 0) close(file);
  return -1;
}

static bool wait_for(pid_t child, const char *command, double seconds, struct error *error) {
  const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
  double end = clock_seconds() + seconds;
  for (int status;; nanosleep(&pause, NULL)) {
    pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended < 0 && errno != EINTR) return true;  // somebody else waited for it
    if (ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    if (ended == child && WIFEXITED(status))
      return error_set(error, EXIT_ENVIRONMENT, "--notify: '%s' ended with exit code %d", command, WEXITSTATUS(status));
    if (ended == child)
      return error_set(error, EXIT_ENVIRONMENT, "--notify: '%s' was ended by signal %d", command, WTERMSIG(status));
    if (clock_seconds() > end)
      return error_set(error, EXIT_ENVIRONMENT, "--notify: '%s' is still at work after %.0f seconds and is left to it",
                       command, seconds);
  }
}

bool send_document(const char *command, const char *document, double seconds, struct error *error) {
  int file = open_document(document, error);
  if (file < 0) return false;
  char *const arguments[] = {"sh", "-c", (char *)command, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, usual;
  pid_t child;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  posix_spawnattr_init(&attributes);
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  sigaddset(&usual, SIGXFSZ);
  // In a group of its own: Ctrl-C is for the runs.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  int problem = posix_spawnp(&child, "sh", &actions, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(file);
  if (problem != 0) return error_set(error, EXIT_ENVIRONMENT, "--notify: cannot begin a shell: %s", strerror(problem));
  return seconds <= 0 || wait_for(child, command, seconds, error);
}
