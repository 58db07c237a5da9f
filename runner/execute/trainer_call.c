// See trainer_call.h.
#include "runner/execute/trainer_call.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

bool trainer_call(const char *const *arguments, struct arena *arena, enum exit_code *code, struct error *error) {
  size_t count = 0;
  while (arguments[count]) count++;
  char *program = path_of_program(arena, "isoloss-train");
  char **words = arena_array(arena, count + 2, sizeof *words);
  words[0] = program;
  for (size_t i = 0; i < count; i++) words[i + 1] = arena_string(arena, arguments[i]);
  fflush(stdout);
  pid_t child;
  int failed = posix_spawn(&child, program, NULL, NULL, words, environ), status = 0;
  if (failed) {
    errno = failed;
    return error_set_errno(error, EXIT_ENVIRONMENT, "cannot start %s", program);
  }
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot wait for %s", program);
  if (WIFSIGNALED(status))
    return error_set(error, EXIT_ENVIRONMENT, "isoloss-train was killed: %s", strsignal(WTERMSIG(status)));
  *code = (enum exit_code)WEXITSTATUS(status);
  return true;
}
