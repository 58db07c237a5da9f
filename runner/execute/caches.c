// See caches.h.
#include "runner/execute/caches.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "trainer/data/cache.h"

// ---- who uses it ----

// Whoever lists the cache reads the manifests: that is no use.
static double last_use(const char *name, const struct stat *status) {
  double read = (double)status->st_atim.tv_sec, written = (double)status->st_mtim.tv_sec;
  return strcmp(name, "manifest.json") == 0 ? written : fmax(read, written);
}

static double age_of(const char *path) {
  struct arena scratch = {0};
  struct stat status;
  double last = stat(path, &status) == 0 ? (double)status.st_mtim.tv_sec : 0;
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder && (entry = readdir(folder));)
    if (entry->d_name[0] != '.' && stat(path_join(&scratch, path, entry->d_name), &status) == 0)
      last = fmax(last, last_use(entry->d_name, &status));
  if (folder) closedir(folder);
  arena_free(&scratch);
  return fmax(0, (double)time(NULL) - last);
}

// Whether a line of the process's memory map is a file in the folder.
static bool maps_it(const char *process, const char *folder) {
  char path[300], *line = NULL;
  size_t room = 0;
  bool found = false;
  snprintf(path, sizeof path, "/proc/%s/maps", process);
  FILE *file = fopen(path, "re");
  while (file && !found && getline(&line, &room, file) > 0) {
    const char *name = strchr(line, '/');
    found = name && strncmp(name, folder, strlen(folder)) == 0 && name[strlen(folder)] == '/';
  }
  free(line);
  if (file) fclose(file);
  return found;
}

static bool has_it_open(const char *process, const char *folder) {
  char path[300], link[600], name[4096];
  bool found = false;
  snprintf(path, sizeof path, "/proc/%s/fd", process);
  DIR *files = opendir(path);
  for (struct dirent *entry; files && !found && (entry = readdir(files));) {
    snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) continue;
    name[length] = '\0';
    found = strncmp(name, folder, strlen(folder)) == 0 && name[strlen(folder)] == '/';
  }
  if (files) closedir(files);
  return found;
}

// Processes of other users cannot be asked: their use shows by the age alone.
static bool is_open(const char *path) {
  char real[4096];
  bool open = false;
  if (!realpath(path, real)) return false;
  DIR *processes = opendir("/proc");
  for (struct dirent *entry; processes && !open && (entry = readdir(processes));)
    if (isdigit((unsigned char)entry->d_name[0]))
      open = maps_it(entry->d_name, real) || has_it_open(entry->d_name, real);
  if (processes) closedir(processes);
  return open;
}

static bool runs_of_home(struct store *store, const char *digest, size_t *count, struct error *error) {
  struct value value = store_text(digest);
  struct store_rows *rows = store_select(store, "SELECT count(*) FROM runs WHERE corpus_digest = ?1", &value, 1, error);
  *count = rows && store_rows_next(rows, error) ? (size_t)store_rows_value(rows, 0).number : 0;
  store_rows_close(rows);
  return !error->code;
}

// ---- finding and removing ----

static const char held_open[] = "a process has it open";

static struct cache_item *item_of(struct caches *caches, const char *digest) {
  for (size_t i = 0; i < caches->count; i++)
    if (strcmp(caches->items[i].digest, digest) == 0) return &caches->items[i];
  return NULL;
}

// A mixture is a description alone, whose tokens are its parts'. So it was used when one of them was, if not later, and
// while it stays its parts do.
static void look_at_mixtures(struct caches *caches, const struct corpus_entry *entries, double least_age) {
  for (size_t i = 0; i < caches->count; i++) {
    struct cache_item *mixture = &caches->items[i], *part;
    for (size_t k = 0; k < entries[i].part_count; k++) {
      if (!(part = item_of(caches, entries[i].parts[k]))) continue;
      mixture->age = fmin(mixture->age, part->age);
      if (!mixture->kept && part->kept == held_open) mixture->kept = "a process has a part of it open";
    }
    if (!mixture->kept && entries[i].part_count && mixture->age < least_age) mixture->kept = "used lately";
    for (size_t k = 0; k < entries[i].part_count && mixture->kept; k++)
      if ((part = item_of(caches, entries[i].parts[k])) && !part->kept)
        part->kept = arena_format(&caches->arena, "part of mixture %.8s: %s", mixture->digest, mixture->kept);
  }
}

bool caches_find(struct caches *caches, struct store *store, double least_age, struct error *error) {
  struct corpus_entry *entries;
  *caches = (struct caches){0};
  caches->count = corpus_cache_list(&caches->arena, &entries);
  caches->items = arena_array(&caches->arena, caches->count, sizeof *caches->items);
  for (size_t i = 0; i < caches->count; i++) {
    struct cache_item *item = &caches->items[i];
    size_t runs;
    *item = (struct cache_item){.digest = entries[i].digest,
                                .source = entries[i].source,
                                .path = entries[i].path,
                                .bytes = entries[i].size,
                                .age = age_of(entries[i].path)};
    if (!runs_of_home(store, item->digest, &runs, error)) return false;
    if (runs)
      item->kept = arena_format(&caches->arena, "%zu run%s of this home", runs, runs == 1 ? "" : "s");
    else if (is_open(item->path))
      item->kept = held_open;
    else if (item->age < least_age)
      item->kept = "used lately";
  }
  look_at_mixtures(caches, entries, least_age);
  for (size_t i = 0; i < caches->count; i++) {
    if (caches->items[i].kept) continue;
    caches->removable++;
    caches->bytes += caches->items[i].bytes;
  }
  return true;
}

bool caches_remove(struct caches *caches, struct error *error) {
  for (size_t i = 0; i < caches->count; i++) {
    struct cache_item *item = &caches->items[i];
    if (item->kept) continue;
    if (is_open(item->path)) {
      item->kept = held_open;
      caches->removable--;
      caches->bytes -= item->bytes;
    } else if (!folder_remove(item->path, error)) {
      return false;
    }
  }
  return true;
}

void caches_free(struct caches *caches) { arena_free(&caches->arena); }
