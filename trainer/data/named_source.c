// See named_source.h.
#include "trainer/data/named_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// Follows the builder's standard error: progress to the caller, an "error" line to `failure`, the end of all else to
// `other` (a traceback, should there be one).
static void follow(FILE *output, corpus_progress *progress, void *context, struct text *failure, struct text *other) {
  char *line = NULL;
  size_t room = 0;
  ssize_t length;
  while ((length = getline(&line, &room, output)) > 0) {
    if (line[length - 1] == '\n') line[length - 1] = '\0';
    double share;
    int used = 0;
    if (sscanf(line, "progress %lf %n", &share, &used) == 1 && used > 0) {
      if (progress) progress(context, line + used, share < 0 ? -1 : share);
    } else if (starts_with(line, "error ")) {
      text_clear(failure);
      text_add(failure, line + strlen("error "));
    } else if (*line) {
      text_clear(other);
      text_add(other, line);
    }
  }
  free(line);
}

// Runs the program and waits for it; its exit code, or -1 with an error.
static int run_builder(char *const *arguments, corpus_progress *progress, void *context, struct text *failure,
                       struct text *other, struct error *error) {
  int pipes[2];
  if (pipe(pipes) != 0) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot make a pipe");
    return -1;
  }
  pid_t child = fork();
  if (child < 0) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot start a process");
    close(pipes[0]);
    close(pipes[1]);
    return -1;
  }
  if (child == 0) {
    // Its standard output is kept out of ours, which may be a JSON document.
    dup2(pipes[1], STDERR_FILENO);
    dup2(pipes[1], STDOUT_FILENO);
    close(pipes[0]);
    close(pipes[1]);
    execv("/usr/bin/python3", arguments);
    execvp("python3", arguments);
    dprintf(STDERR_FILENO,
            "error python3 is not on this machine, and named corpora are built by it: install python3\n");
    _exit(127);
  }
  close(pipes[1]);
  FILE *output = fdopen(pipes[0], "r");
  follow(output, progress, context, failure, other);
  fclose(output);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool named_source_get(const char *name, bool refresh, corpus_progress *progress, void *context, struct arena *arena,
                      struct named_source *source, struct error *error) {
  char *cache = isoloss_cache(arena);
  char *script = path_join(arena, isoloss_data(arena, "corpora"), "build_corpus.py");
  if (!file_exists(script))
    return error_set(error, EXIT_ENVIRONMENT, "%s is missing: install isoloss completely, or set ISOLOSS_DATA", script);
  if (!folder_make(cache, error)) return false;
  char *arguments[] = {"python3", "-B", script, "build", (char *)name, "--cache", cache, refresh ? "--refresh" : NULL,
                       NULL};
  struct text failure = {0}, other = {0};
  int code = run_builder(arguments, progress, context, &failure, &other, error);
  if (code > 0)
    error_set(error, EXIT_ENVIRONMENT, "corpus %s: %s", name,
              failure.length ? text_string(&failure)
                             : arena_format(arena, "%s ended with code %d (%s)", script, code, text_string(&other)));
  text_free(&failure);
  text_free(&other);
  if (code != 0) return false;
  char *folder = arena_format(arena, "%s/sources/%s", cache, name);
  source->text_path = path_join(arena, folder, "text");
  source->bounds_path = path_join(arena, folder, "bounds");
  source->description = file_read(arena, path_join(arena, folder, "source.json"), NULL, error);
  return source->description != NULL;
}
