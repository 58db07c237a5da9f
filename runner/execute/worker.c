// See worker.h.
#include "runner/execute/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

char *run_folder(struct arena *arena, const char *home, const char *id) {
  char full[PATH_MAX];
  const char *base = realpath(home, full) ? full : home;
  return arena_format(arena, "%s/runs/%s", base, id);
}

char *run_events_path(struct arena *arena, const char *home, const char *id) {
  return path_join(arena, run_folder(arena, home, id), "events.jsonl");
}

// ---- the command ----

// The text for a placeholder, or NULL when it is none of ours.
static const char *placeholder(struct arena *arena, const char *name, const char *folder, const struct run_file *file) {
  if (strcmp(name, "config") == 0) return path_join(arena, folder, "config.json");
  if (strcmp(name, "folder") == 0) return folder;
  if (strcmp(name, "id") == 0) return file->id;
  const struct run_field *field = field_find(name, NULL);
  for (size_t i = 0; i < file->config.own.count && !field; i++)
    if (strcmp(file->config.own.fields[i].path, name) == 0) field = &file->config.own.fields[i];
  if (!field) return NULL;
  char number[32];
  return arena_string(arena, field_text(field, field_get(&file->config, field), number));
}

static char *fill_in(struct arena *arena, const char *argument, const char *folder, const struct run_file *file) {
  struct text out = {0};
  for (const char *c = argument; *c;) {
    const char *end = *c == '{' ? strchr(c, '}') : NULL;
    const char *value = NULL;
    if (end) value = placeholder(arena, arena_copy(arena, c + 1, (size_t)(end - c - 1)), folder, file);
    if (value) {
      text_add(&out, value);
      c = end + 1;
    } else {
      text_char(&out, *c++);
    }
  }
  char *copy = arena_string(arena, text_string(&out));
  text_free(&out);
  return copy;
}

bool worker_command_make(struct arena *arena, const char *const *command, size_t count, const char *folder,
                         const struct run_file *file, int slot, const char *gpu, struct worker_command *out,
                         struct error *error) {
  static const char *const thread_variables[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"};
  enum { THREAD_VARIABLES = 3 };
  if (!command) {
    count = 2;
    out->arguments = arena_array(arena, count + 1, sizeof *out->arguments);
    out->arguments[0] = path_of_program(arena, "isoloss-train");
    out->arguments[1] = path_join(arena, folder, "config.json");
    if (access(out->arguments[0], X_OK) != 0)
      return error_set_errno(error, EXIT_ENVIRONMENT, "cannot start the trainer %s", out->arguments[0]);
  } else {
    out->arguments = arena_array(arena, count + 1, sizeof *out->arguments);
    for (size_t i = 0; i < count; i++) out->arguments[i] = fill_in(arena, command[i], folder, file);
  }
  char *added[THREAD_VARIABLES + 6];
  int additions = 0;
  for (int i = 0; i < THREAD_VARIABLES; i++)
    added[additions++] = arena_format(arena, "%s=%" PRId64, thread_variables[i], file->config.train.threads);
  if (gpu) {
    added[additions++] = arena_string(arena, "CUDA_DEVICE_ORDER=PCI_BUS_ID");  // numbers as nvidia-smi has them
    added[additions++] = arena_format(arena, "CUDA_VISIBLE_DEVICES=%s", gpu);
  }
  int always = additions;  // belong to the line that starts the built-in trainer by hand
  added[additions++] = arena_format(arena, "ISOLOSS_RUN=%s", folder);
  added[additions++] = arena_format(arena, "ISOLOSS_EVENTS=%s/events.jsonl", folder);
  added[additions++] = arena_format(arena, "ISOLOSS_ID=%s", file->id);
  added[additions++] = arena_format(arena, "ISOLOSS_SLOT=%d", slot);
  size_t inherited = 0, used = 0;
  while (environ[inherited]) inherited++;
  out->environment = arena_array(arena, inherited + (size_t)additions + 1, sizeof *out->environment);
  for (size_t i = 0; i < inherited; i++) {
    bool replaced = false;
    for (int j = 0; j < additions && !replaced; j++)
      replaced = strncmp(environ[i], added[j], (size_t)(strchr(added[j], '=') - added[j]) + 1) == 0;
    if (!replaced) out->environment[used++] = environ[i];
  }
  struct text line = {0};
  for (int j = 0; j < additions; j++) {
    out->environment[used++] = added[j];
    if (j < always || (command && j < additions - 1)) {
      text_format(&line, "%.*s=", (int)(strchr(added[j], '=') - added[j]), added[j]);
      text_add_shell(&line, strchr(added[j], '=') + 1);
      text_char(&line, ' ');
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (i) text_char(&line, ' ');
    text_add_shell(&line, out->arguments[i]);
  }
  out->shown = arena_string(arena, text_string(&line));
  text_free(&line);
  return true;
}

// ---- starting ----

static bool write_head(int file, const char *shown) {
  struct text head = {0};
  char when[32];
  time_t now = time(NULL);
  struct tm parts;
  strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&now, &parts));
  text_format(&head, "# %s\n$ %s\n", when, shown);
  bool fine = write(file, head.bytes, head.length) == (ssize_t)head.length;
  text_free(&head);
  return fine;
}

// A whole file or none, which is not waited for until the disk has it: a worker that starts again writes it anew, and
// the store has what it says. Two waits a run are most of what a short one takes.
static bool write_config(const char *folder, const struct text *config, struct error *error) {
  struct arena scratch = {0};
  const char *path = path_join(&scratch, folder, "config.json"),
             *draft = path_join(&scratch, folder, "config.json.new");
  int file = file_open_own(draft, O_WRONLY | O_CREAT | O_TRUNC, error);
  bool fine = file >= 0 && file_write_all(file, config->bytes, config->length);
  if (file >= 0 && close(file) != 0) fine = false;
  if (file >= 0 && (!fine || rename(draft, path) != 0)) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", fine ? path : draft);
    unlink(draft);
    fine = false;
  }
  arena_free(&scratch);
  return fine;
}

static pid_t spawn(const struct worker_command *command, int lock, int log, struct error *error) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, log, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, lock, lock);  // the same number: only keeps it open
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  pid_t pid = -1;
  int code = posix_spawnp(&pid, command->arguments[0], &actions, &attributes, command->arguments, command->environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (code == 0) return pid;
  errno = code;
  error_set_errno(error, EXIT_ENVIRONMENT, "cannot start %s", command->arguments[0]);
  return -1;
}

pid_t worker_start(const struct run_file *file, const char *folder, const struct worker_command *command,
                   struct error *error) {
  struct arena scratch = {0};
  struct text config = {0};
  pid_t pid = -1;
  int lock = -1, log = -1;
  bool busy = false;
  run_file_write(file, &config);
  text_char(&config, '\n');
  const char *log_path = path_join(&scratch, folder, "log.txt");
  if (!folder_make(folder, error) || !write_config(folder, &config, error)) goto end;
  // Whoever asks whether the worker lives holds the lock for a moment; what a dead worker left holds it for ever.
  for (int try = 0; try < 40 && (try == 0 || busy); try++) {
    if (try) nanosleep(&(struct timespec){.tv_nsec = 25 * 1000 * 1000}, NULL);
    lock = file_lock(path_join(&scratch, folder, "worker.lock"), &busy, error);
    if (busy && try % 10 == 0 && !worker_alive(&scratch, folder)) worker_end_survivors(folder);
  }
  if (busy) error_set(error, EXIT_ENVIRONMENT, "%s: another worker is at work there", folder);
  if (lock < 0) goto end;
  log = file_open_own(log_path, O_WRONLY | O_CREAT | O_APPEND, error);
  if (log < 0) goto end;
  if (!write_head(log, command->shown)) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", log_path);
    goto end;
  }
  pid = ftruncate(lock, 0) == 0 ? spawn(command, lock, log, error) : -1;
  if (pid > 0) worker_process_note(lock, pid);
end:
  if (lock >= 0) close(lock);  // the worker's copy keeps the lock
  if (log >= 0) close(log);
  text_free(&config);
  arena_free(&scratch);
  return pid;
}

// ---- life ----

bool worker_log_still(const char *folder, int64_t size) {
  char path[PATH_MAX];
  struct stat status;
  snprintf(path, sizeof path, "%s/events.jsonl", folder);
  return stat(path, &status) == 0 ? status.st_size == size : size == 0;
}
