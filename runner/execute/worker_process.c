// A worker's processes: whether it lives, signals to it, and what it leaves behind when it dies.
//
// Its children inherit the lock on RUN/worker.lock. So that they keep nothing alive, the lock's file names the process
// that was started, with its start time (numbers are used again) and the space in which the number holds. Every process
// of a worker has ISOLOSS_RUN in its environment: by that they are found, in whatever session or group they are.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/execute/worker.h"

// ---- who it is ----

struct process {
  char state;
  long long parent;
  unsigned long long started;  // in clock ticks since the machine began
};

static bool read_process(long long pid, struct process *out) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%lld/stat", pid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t got = read(file, text, sizeof text - 1);
  close(file);
  if (got <= 0) return false;
  text[got] = '\0';
  const char *end = strrchr(text, ')');  // the name before it may hold anything
  // man proc: state, ppid, then 17 fields, then the start time.
  return end && sscanf(end + 1, " %c %lld %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                       &out->state, &out->parent, &out->started) == 3;
}

// Of two machines that see one home the first spaces have the same number: this start of the machine distinguishes
// them.
static unsigned long long process_space(void) {
  struct stat status;
  char boot[64];
  int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t got = file >= 0 ? read(file, boot, sizeof boot) : 0;
  if (file >= 0) close(file);
  if (got <= 0 || stat("/proc/self/ns/pid", &status) != 0) return 0;
  return hash64(boot, (size_t)got, 0) ^ (unsigned long long)status.st_ino;
}

int worker_process_text(pid_t pid, char text[128]) {
  struct process process;
  text[0] = '\0';
  if (!read_process(pid, &process)) return 0;
  return snprintf(text, 128, "%lld %llu %llu", (long long)pid, process.started, process_space());
}

void worker_process_note(int lock, pid_t pid) {
  char text[128 + 1];
  int length = worker_process_text(pid, text);
  if (length <= 0) return;
  text[length++] = '\n';
  if (pwrite(lock, text, (size_t)length, 0) != length && ftruncate(lock, 0) != 0) return;  // then the lock alone tells
}

bool worker_process_dead(const char *text) {
  long long pid;
  unsigned long long started, space;
  struct process process;
  if (sscanf(text, "%lld %llu %llu", &pid, &started, &space) != 3 || space == 0 || space != process_space())
    return false;
  if (!read_process(pid, &process)) return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
  return process.started != started || process.state == 'Z' || process.state == 'X';
}

// The worker that the lock's file names is dead, for certain: a lock that is held is held by what it left.
static bool known_dead(int lock) {
  char text[128];
  ssize_t got = pread(lock, text, sizeof text - 1, 0);
  text[got > 0 ? got : 0] = '\0';
  return worker_process_dead(text);
}

static bool locked(const char *path, bool names_its_holder) {
  int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // not waiting, should a pipe be in its place
  if (file < 0) return false;
  bool held = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (held && names_its_holder) held = !known_dead(file);
  close(file);
  return held;
}

bool worker_alive(struct arena *arena, const char *folder) {
  return locked(path_join(arena, folder, "worker.lock"), true) ||
         locked(path_join(arena, folder, "events.jsonl"), false);
}

// ---- what it leaves ----

// Whether the process was started for this run: its environment says so. `folder` may end in '/': of any run in it.
static bool is_of_run(long long pid, const char *folder) {
  size_t length = strlen(folder);
  bool any = length > 0 && folder[length - 1] == '/';
  char path[64];
  snprintf(path, sizeof path, "/proc/%lld/environ", pid);
  FILE *file = fopen(path, "re");
  if (!file) return false;
  static const char name[] = "ISOLOSS_RUN=";
  char *variable = NULL;
  size_t capacity = 0;
  bool found = false;
  while (!found && getdelim(&variable, &capacity, '\0', file) > 0)
    found = strncmp(variable, name, sizeof name - 1) == 0 &&
            strncmp(variable + sizeof name - 1, folder, any ? length : SIZE_MAX) == 0;
  free(variable);
  fclose(file);
  return found;
}

static size_t end_processes(const char *folder, bool only_children) {
  size_t found = 0;
  DIR *processes = opendir("/proc");
  if (!processes) return 0;
  for (struct dirent *entry; (entry = readdir(processes));) {
    char *end;
    long long pid = strtoll(entry->d_name, &end, 10);
    struct process process;
    if (*end || pid <= 1 || pid == getpid() || !is_of_run(pid, folder)) continue;
    if (!read_process(pid, &process) || process.state == 'Z' || (only_children && process.parent != getpid())) continue;
    found += kill((pid_t)pid, SIGKILL) == 0;
  }
  closedir(processes);
  return found;
}

size_t worker_end_survivors(const char *folder) { return end_processes(folder, false); }

size_t worker_end_orphans(const char *home) {
  struct arena scratch = {0};
  size_t found = end_processes(run_folder(&scratch, home, ""), true);
  arena_free(&scratch);
  return found;
}

bool worker_left_something(const char *folder, pid_t pid) {
  char path[PATH_MAX];
  if (pid > 0 && kill(-pid, 0) == 0) return true;
  snprintf(path, sizeof path, "%s/worker.lock", folder);
  if (locked(path, false)) return true;
  snprintf(path, sizeof path, "%s/events.jsonl", folder);
  return locked(path, false);
}

// ---- signals ----

static bool has_file_open(pid_t pid, const char *folder) {
  char path[64], target[PATH_MAX], full[PATH_MAX];
  bool found = false;
  if (!realpath(folder, full)) return false;
  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *descriptors = opendir(path);
  if (!descriptors) return false;
  struct dirent *entry;
  size_t length = strlen(full);
  while (!found && (entry = readdir(descriptors))) {
    ssize_t size = readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target - 1);
    if (size <= 0) continue;
    target[size] = '\0';
    found = strncmp(target, full, length) == 0 && target[length] == '/';
  }
  closedir(descriptors);
  return found;
}

bool worker_signal(const char *folder, pid_t pid, int signal) {
  if (pid <= 1 || !has_file_open(pid, folder)) return false;
  return kill(getpgid(pid) == pid ? -pid : pid, signal) == 0;
}

char *worker_gpu(struct arena *arena, const char *folder, pid_t pid) {
  static const char name[] = "\nCUDA_VISIBLE_DEVICES=";
  char path[64];
  if (pid <= 1 || !has_file_open(pid, folder)) return NULL;
  snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  FILE *file = fopen(path, "r");
  if (!file) return NULL;
  struct text all = {0};
  text_char(&all, '\n');
  for (int c; (c = fgetc(file)) != EOF;) text_char(&all, c ? (char)c : '\n');
  fclose(file);
  const char *found = strstr(text_string(&all), name);
  char *gpu = NULL;
  if (found) {
    found += sizeof name - 1;
    gpu = arena_copy(arena, found, strcspn(found, "\n"));
  }
  text_free(&all);
  return gpu;
}
