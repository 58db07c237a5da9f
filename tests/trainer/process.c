// See process.h.
#include "tests/trainer/process.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t process_start(const char *program, const char *output, int64_t file_limit, char *const arguments[]) {
  char *all[8] = {(char *)(uintptr_t)program};
  for (int i = 0; arguments[i] && i < 6; i++) all[i + 1] = arguments[i];
  pid_t process = fork();
  if (process != 0) return process;
  int file = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  signal(SIGINT, SIG_DFL);  // a shell's background job ignores it, which programs inherit and keep to
  if (file_limit > 0) setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)file_limit, (rlim_t)file_limit});
  execv(program, all);
  _exit(127);
}

int process_wait(pid_t process) {
  int status;
  if (waitpid(process, &status, 0) != process) return -1000;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int process_run(const char *program, const char *output, int64_t file_limit, char *const arguments[]) {
  return process_wait(process_start(program, output, file_limit, arguments));
}

char *log_without_times(struct arena *arena, const char *path, struct error *error) {
  static const char *const times[] = {
      "time",         "pid",           "host",        "seconds",     "tokens_per_second",
      "wall_seconds", "train_seconds", "peak_memory", "resumed_from"};
  char *text = file_read(arena, path, NULL, error);
  struct text kept = {0};
  if (!text) return NULL;
  for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    json_t *event = json_loads(line, 0, NULL);
    const char *name = json_string_value(json_object_get(event, "event"));
    if (!name) {
      text_format(&kept, "not an event: %s\n", line);
    } else if (strcmp(name, "start") != 0) {
      for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) json_object_del(event, times[i]);
      // 17 digits tell doubles apart.
      char *dump = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(17));
      text_format(&kept, "%s\n", dump);
      free(dump);
    }
    json_decref(event);
  }
  char *copy = arena_string(arena, text_string(&kept));
  text_free(&kept);
  return copy;
}

int log_count(const char *path, const char *event) {
  struct arena arena = {0};
  struct error error = {0};
  char *text = file_read(&arena, path, NULL, &error), *want = arena_format(&arena, "{\"event\":\"%s\"", event);
  int count = 0;
  for (char *at = text; at && (at = strstr(at, want)); at++) count++;
  arena_free(&arena);
  return count;
}
