// See machine.h.
#include "base/machine.h"

#include <gnu/libc-version.h>
#include <limits.h>
#include <link.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

// The number that a file begins with; INFINITY where there is none ("max").
static double number_in(const char *path) {
  double number;
  FILE *file = fopen(path, "re");
  if (!file) return INFINITY;
  bool found = fscanf(file, "%lf", &number) == 1 && number > 0;
  fclose(file);
  return found ? number : INFINITY;
}

static double machine_bytes(const char *root) {
  char path[4200], line[256];
  double kibibytes = INFINITY;
  snprintf(path, sizeof path, "%s/proc/meminfo", root);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "MemTotal: %lf kB", &kibibytes) == 1) break;
  if (file) fclose(file);
  return kibibytes * 1024;
}

// The least limit of a control group's folder and those around it. Inside a container the folder is often not there:
// what is mounted is our group.
static double group_bytes(const char *root, const char *mount, char *folder, const char *name) {
  char path[8400];
  snprintf(path, sizeof path, "%s%s/%s", root, mount, name);
  double least = number_in(path);
  for (char *end = folder + strlen(folder); end > folder; end = strrchr(folder, '/')) {
    *end = '\0';
    snprintf(path, sizeof path, "%s%s%s/%s", root, mount, folder, name);
    least = fmin(least, number_in(path));
  }
  return least;
}

double memory_usable_under(const char *root, const char **limit) {
  char path[4200], line[4096];
  double bytes = machine_bytes(root), least = INFINITY;
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    char *version1 = strstr(line, ":memory:");
    if (strncmp(line, "0::/", 4) == 0)
      least = fmin(least, group_bytes(root, "/sys/fs/cgroup", line + 3, "memory.max"));
    else if (version1)
      least = fmin(least, group_bytes(root, "/sys/fs/cgroup/memory", version1 + 8, "memory.limit_in_bytes"));
  }
  if (file) fclose(file);
  if (limit) *limit = least < bytes ? "this control group" : "this machine";
  return fmin(bytes, least);
}

double memory_usable(const char **limit) { return memory_usable_under("", limit); }

// ---- libraries ----

struct library_list {
  struct arena *arena;
  const char **items;
  size_t count;
};

// "/usr/lib/libdnnl.so.2" leads to libdnnl.so.2.6: what follows ".so." is the version.
static int note_library(struct dl_phdr_info *info, size_t size, void *context) {
  struct library_list *list = context;
  char full[PATH_MAX];
  if (!info->dlpi_name || !realpath(info->dlpi_name, full)) return 0;
  const char *slash = strrchr(full, '/'), *name = slash ? slash + 1 : full, *version = strstr(name, ".so.");
  if (!version || strspn(version + 4, "0123456789.") != strlen(version + 4) || !strchr(version + 4, '.')) return 0;
  list->items = arena_grow(list->arena, list->items, list->count, list->count + 1, sizeof *list->items);
  list->items[list->count++] = arena_format(list->arena, "%.*s %s", (int)(version - name), name, version + 4);
  return 0;
}

static int by_text(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

const char *machine_libraries(struct arena *arena) {
  struct library_list list = {.arena = arena};
  struct text words = {0};
  dl_iterate_phdr(note_library, &list);
  if (list.count) qsort(list.items, list.count, sizeof *list.items, by_text);
  text_format(&words, "glibc %s", gnu_get_libc_version());
  for (size_t i = 0; i < list.count; i++) text_format(&words, ", %s", list.items[i]);
  const char *kept = arena_string(arena, text_string(&words));
  text_free(&words);
  return kept;
}
