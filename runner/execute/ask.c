// See ask.h.
#include "runner/execute/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pid_t spawn(const char *const *arguments, int out, int said) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  pid_t pid = -1;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, said, STDERR_FILENO);
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  // Its own children end with it; what we hold back must not be held back in jobs.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  int code = posix_spawnp(&pid, arguments[0], &actions, &attributes, (char *const *)(void *)(size_t)arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  errno = code;
  return code == 0 ? pid : -1;
}

// Reads both ends until they close; false when the time is over.
static bool read_both(int out, int said, struct asked *asked, double end) {
  struct pollfd ends[2] = {{out, POLLIN, 0}, {said, POLLIN, 0}};
  struct text *texts[2] = {&asked->out, &asked->said};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    double left = end - clock_seconds();
    if (left <= 0) return false;
    if (poll(ends, 2, (int)(left * 1000) + 1) < 0 && errno != EINTR) return false;
    for (int i = 0; i < 2; i++) {
      char bytes[65536];
      if (ends[i].fd < 0 || !ends[i].revents) continue;
      ssize_t got = read(ends[i].fd, bytes, sizeof bytes);
      if (got > 0)
        text_append(texts[i], bytes, (size_t)got);
      else if (got == 0 || errno != EINTR)
        ends[i].fd = -1;
    }
  }
  return true;
}

void asked_run(struct asked *asked, const char *const *arguments, double seconds) {
  int out[2] = {-1, -1}, said[2] = {-1, -1}, status = 0;
  *asked = (struct asked){0};
  pid_t pid = -1;
  if (pipe2(out, O_CLOEXEC) == 0 && pipe2(said, O_CLOEXEC) == 0) pid = spawn(arguments, out[1], said[1]);
  if (pid < 0) text_format(&asked->said, "cannot start %s: %s", arguments[0], strerror(errno));
  if (out[1] >= 0) close(out[1]);
  if (said[1] >= 0) close(said[1]);
  if (pid > 0) {
    bool whole = read_both(out[0], said[0], asked, clock_seconds() + seconds);
    if (!whole) kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    asked->ran = whole;
    asked->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (!whole) text_format(&asked->said, "\n%s did not answer within %.0f s", arguments[0], seconds);
  }
  if (out[0] >= 0) close(out[0]);
  if (said[0] >= 0) close(said[0]);
}

void asked_free(struct asked *asked) {
  text_free(&asked->out);
  text_free(&asked->said);
}

const char *asked_words(const struct asked *asked, char out[304]) {
  const char *text = text_string(&asked->said);
  text += strspn(text, "\n\r ");
  if (!*text) text = text_string(&asked->out);
  text += strspn(text, "\n\r ");
  snprintf(out, 301, "%.*s", (int)strcspn(text, "\n\r"), text);
  out[utf8_valid_prefix(out, strlen(out))] = '\0';
  if (!*out) snprintf(out, 301, "no words, exit code %d", asked->code);
  return out;
}
