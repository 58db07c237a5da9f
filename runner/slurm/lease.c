// See lease.h.
#include "runner/slurm/lease.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "results/store.h"
#include "runner/execute/worker.h"

// ---- generations ----

static int generation_of(const char *file, const char *name) {
  size_t length = strlen(name);
  if (strncmp(file, name, length) != 0 || file[length] != '-') return 0;
  const char *digits = file + length + 1;
  if (!*digits || strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 8) return 0;
  return (int)strtol(digits, NULL, 10);
}

int generation_last(const char *folder, const char *name) {
  DIR *entries = opendir(folder);
  int last = 0;
  if (!entries) return 0;
  for (struct dirent *entry; (entry = readdir(entries));) {
    int generation = generation_of(entry->d_name, name);
    if (generation > last) last = generation;
  }
  closedir(entries);
  return last;
}

static void generation_path(char path[PATH_MAX], const char *folder, const char *name, int generation) {
  snprintf(path, PATH_MAX, "%s/%s-%d", folder, name, generation);
}

bool generation_make(const char *folder, const char *name, int generation, const char *text, struct error *error) {
  char path[PATH_MAX], draft[PATH_MAX];
  struct arena scratch = {0};
  generation_path(path, folder, name, generation);
  snprintf(draft, sizeof draft, "%s/.%s-%s-%ld", folder, name, store_host(&scratch), (long)getpid());
  arena_free(&scratch);
  struct stat status = {0};
  if (!file_write_atomic(draft, text, strlen(text), error)) return false;
  // Of a link whose answer was lost, the count of names says.
  bool made = link(draft, path) == 0 || (stat(draft, &status) == 0 && status.st_nlink == 2);
  int code = errno;
  unlink(draft);
  if (!made && code != EEXIST) {
    errno = code;
    return error_set_errno(error, EXIT_ENVIRONMENT, "cannot make %s", path);
  }
  if (!made) return false;
  if (generation_last(folder, name) > generation) {  // we looked too long ago
    unlink(path);
    return false;
  }
  for (int old = generation - 1; old > 0; old--) {
    generation_path(path, folder, name, old);
    if (unlink(path) != 0) break;
  }
  return true;
}

// ---- what a lease says ----

static void write_lease(struct lease *lease, bool released, const char *said, struct text *out) {
  char process[128] = "";
  struct json_writer json = json_writer(out, false);
  worker_process_text(getpid(), process);
  json_object_begin(&json);
  json_key_string(&json, "owner", lease->owner);
  json_key_string(&json, "host", lease->host);
  json_key_string(&json, "process", process);
  json_key_integer(&json, "beat", lease->beats);
  json_key_boolean(&json, "released", released);
  json_key_string(&json, "said", said);
  json_object_end(&json);
  text_char(out, '\n');
}

static void copy_text(char *out, size_t size, const json_t *value) {
  const char *text = json_string_value(value);
  snprintf(out, size, "%s", text ? text : "");
}

double lease_now(const char *folder) {
  char path[PATH_MAX];
  struct stat status;
  snprintf(path, sizeof path, "%s/.clock-XXXXXX", folder);
  int file = mkstemp(path);
  double now = clock_wall();
  if (file < 0) return now;
  if (write(file, "\n", 1) == 1 && fsync(file) == 0 && fstat(file, &status) == 0)
    now = (double)status.st_mtim.tv_sec + 1e-9 * (double)status.st_mtim.tv_nsec;
  close(file);
  unlink(path);
  return now;
}

struct lease_holder lease_look(const char *folder, const char *name, double now) {
  struct lease_holder holder = {.generation = generation_last(folder, name)};
  char path[PATH_MAX], text[2048];
  if (!holder.generation) return holder;
  generation_path(path, folder, name, holder.generation);
  json_t *root = NULL;
  struct stat status = {0};
  // Rewritten in place: what is read in between is no document, or none yet.
  for (int try = 0; try < 20 && !root; try++) {
    if (try) nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) break;
    ssize_t got = read(file, text, sizeof text);
    if (got > 0 && fstat(file, &status) == 0) root = json_loadb(text, (size_t)got, 0, NULL);
    close(file);
  }
  holder.age = now - ((double)status.st_mtim.tv_sec + 1e-9 * (double)status.st_mtim.tv_nsec);
  copy_text(holder.owner, sizeof holder.owner, json_object_get(root, "owner"));
  copy_text(holder.host, sizeof holder.host, json_object_get(root, "host"));
  copy_text(holder.said, sizeof holder.said, json_object_get(root, "said"));
  const char *process = json_string_value(json_object_get(root, "process"));
  holder.alive = root && !json_is_true(json_object_get(root, "released")) && holder.age < LEASE_SECONDS &&
                 !(process && worker_process_dead(process));
  json_decref(root);
  return holder;
}

// ---- holding one ----

static bool rewrite(const struct lease *lease, const struct text *text) {
  return pwrite(lease->file, text->bytes, text->length, 0) == (ssize_t)text->length &&
         ftruncate(lease->file, (off_t)text->length) == 0 && fsync(lease->file) == 0;
}

enum lease_answer lease_take(struct lease *lease, const char *folder, const char *name, const char *owner, bool wait,
                             struct lease_holder *holder, struct error *error) {
  struct lease_holder first = {0};
  struct arena scratch = {0};
  *lease = (struct lease){.folder = folder, .name = name, .owner = owner, .file = -1};
  for (bool asked = false;; asked = true) {
    *holder = lease_look(folder, name, lease_now(folder));
    if (!holder->alive) break;
    // It has written since: it lives for certain.
    bool wrote = asked && (holder->generation != first.generation || holder->age < first.age);
    if (!wait || wrote) return LEASE_HELD;
    first = *holder;
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
  }
  struct text text = {0};
  char path[PATH_MAX];
  char host[64];
  snprintf(host, sizeof host, "%s", store_host(&scratch));
  arena_free(&scratch);
  lease->host = strdup(host);
  lease->generation = holder->generation + 1;
  write_lease(lease, false, NULL, &text);
  bool made = generation_make(folder, name, lease->generation, text_string(&text), error);
  text_free(&text);
  generation_path(path, folder, name, lease->generation);
  if (made) lease->file = open(path, O_WRONLY | O_CLOEXEC);
  if (made && lease->file < 0) error_set_errno(error, EXIT_ENVIRONMENT, "cannot open %s", path);
  if (lease->file >= 0) return LEASE_TAKEN;
  free((char *)lease->host);
  lease->host = NULL;
  if (error->code) return LEASE_FAILED;
  *holder = lease_look(folder, name, lease_now(folder));
  return LEASE_HELD;
}

bool lease_beat(struct lease *lease) {
  struct text text = {0};
  lease->beats++;
  write_lease(lease, false, NULL, &text);
  // A write that fails is tried again: until the lease is given up by its age, nobody takes it.
  rewrite(lease, &text);
  text_free(&text);
  return generation_last(lease->folder, lease->name) == lease->generation;
}

void lease_release(struct lease *lease, const char *said) {
  if (lease->file < 0) return;
  struct text text = {0};
  char clipped[500];
  snprintf(clipped, sizeof clipped, "%s", said ? said : "");
  clipped[utf8_valid_prefix(clipped, strlen(clipped))] = '\0';
  write_lease(lease, true, clipped, &text);
  rewrite(lease, &text);
  text_free(&text);
  close(lease->file);
  lease->file = -1;
  free((char *)lease->host);
  lease->host = NULL;
}
