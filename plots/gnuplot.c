// Running gnuplot as a child: no shell, no start-up files, the C locale. The script goes in through a memory file, so
// that a child that dies early costs no SIGPIPE and a long script no dead lock. It is named as a file: what "-" is
// for is read byte by byte.
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plots/internal.h"

extern char **environ;

// The environment without what could change gnuplot's output.
static char **clean_environment(struct arena *arena) {
  static const char *const dropped[] = {"GNUTERM=", "GNUPLOT_", "GNUFITLOG=", "LC_", "LANG=", "LANGUAGE="};
  size_t count = 0;
  while (environ[count]) count++;
  char **kept = arena_array(arena, count + 2, sizeof *kept);
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    bool keep = true;
    for (size_t d = 0; d < sizeof dropped / sizeof *dropped; d++) keep &= !starts_with(environ[i], dropped[d]);
    if (keep) kept[n++] = environ[i];
  }
  kept[n] = arena_string(arena, "LC_ALL=C");
  return kept;
}

static bool read_all(int descriptor, struct text *out) {
  char buffer[65536];
  for (;;) {
    ssize_t got = read(descriptor, buffer, sizeof buffer);
    if (got > 0)
      text_append(out, buffer, (size_t)got);
    else if (got == 0)
      return true;
    else if (errno != EINTR)
      return false;
  }
}

// The first line of gnuplot's complaint that says something.
static void complaint(int descriptor, char out[300]) {
  struct text text = {0};
  out[0] = '\0';
  if (lseek(descriptor, 0, SEEK_SET) == 0 && read_all(descriptor, &text)) {
    for (char *line = text.bytes; line && *line;) {
      char *end = strchr(line, '\n');
      if (end) *end = '\0';
      while (*line == ' ' || *line == '\t') line++;
      if (strlen(line) > 3 && line[0] != '^') {
        snprintf(out, 300, "%s", line);
        if (strstr(line, "line ") && !strstr(line, "warning:")) break;
      }
      line = end ? end + 1 : NULL;
    }
  }
  text_free(&text);
}

// Leaves the file at its beginning, to be read.
static bool write_script(const struct text *script, int file, struct error *error) {
  for (size_t done = 0; done < script->length;) {
    ssize_t wrote = write(file, script->bytes + done, script->length - done);
    if (wrote < 0 && errno != EINTR)
      return error_set_errno(error, EXIT_ENVIRONMENT, "cannot write the figure's script");
    if (wrote > 0) done += (size_t)wrote;
  }
  lseek(file, 0, SEEK_SET);
  return true;
}

static bool not_installed(bool *missing, struct error *error) {
  *missing = true;
  return error_set(error, EXIT_ENVIRONMENT,
                   "gnuplot is not installed (or not in PATH); figures need it: install the package gnuplot-nox");
}

bool gnuplot_run(const struct text *script, struct text *out, bool *missing, struct error *error) {
  struct arena arena = {0};
  int input = memfd_create("figure.gnuplot", MFD_CLOEXEC), complaints = memfd_create("figure.errors", MFD_CLOEXEC);
  int output[2] = {-1, -1};
  bool fine = false;
  *missing = false;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (input < 0 || complaints < 0 || pipe2(output, O_CLOEXEC) != 0) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot start gnuplot");
    goto end;
  }
  if (!write_script(script, input, error)) goto end;
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
  static char name[] = "gnuplot", no_start_up_files[] = "-d", from_input[] = "/dev/stdin";
  char *arguments[] = {name, no_start_up_files, from_input, NULL};
  pid_t child;
  const char *own = path_of_program(&arena, "gnuplot");  // of a bundle
  int problem =
      posix_spawnp(&child, file_exists(own) ? own : name, &actions, NULL, arguments, clean_environment(&arena));
  if (problem) {
    if (problem == ENOENT) {
      not_installed(missing, error);
    } else {
      errno = problem;
      error_set_errno(error, EXIT_ENVIRONMENT, "cannot start gnuplot");
    }
    goto end;
  }
  close(output[1]);
  output[1] = -1;
  bool read_fine = read_all(output[0], out);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  char words[300];
  complaint(complaints, words);
  // How a shell says so; and a spawned child, where an emulator keeps its errno from us.
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !*words) {
    not_installed(missing, error);
    goto end;
  }
  if (!read_fine || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    error_set(error, EXIT_ENVIRONMENT, "gnuplot failed (%s %d)%s%s", WIFSIGNALED(status) ? "signal" : "exit code",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), *words ? ": " : "", words);
    goto end;
  }
  fine = true;
end:
  posix_spawn_file_actions_destroy(&actions);
  if (input >= 0) close(input);
  if (complaints >= 0) close(complaints);
  if (output[0] >= 0) close(output[0]);
  if (output[1] >= 0) close(output[1]);
  arena_free(&arena);
  return fine;
}
