// Names to numbers by hash, so that a table of many columns, or a column of many categories, is filled in linear time.
#include <string.h>

#include "fitting/table_internal.h"

struct name_entry {
  const char *name;  // NULL: empty
  int number;
};

static struct name_entry *find_entry(const struct name_map *map, const char *name) {
  size_t at = hash64(name, strlen(name), 0) & (map->size - 1);
  while (map->entries[at].name && strcmp(map->entries[at].name, name) != 0) at = (at + 1) & (map->size - 1);
  return &map->entries[at];
}

int name_map_get(const struct name_map *map, const char *name) {
  if (!map->count) return -1;
  const struct name_entry *entry = find_entry(map, name);
  return entry->name ? entry->number : -1;
}

bool name_map_put(struct arena *arena, struct name_map *map, const char *name, int number) {
  if (2 * map->count >= map->size) {
    struct name_map before = *map;
    map->size = before.size ? 4 * before.size : 16;
    map->entries = arena_array(arena, map->size, sizeof *map->entries);
    for (size_t i = 0; i < before.size; i++)
      if (before.entries[i].name) *find_entry(map, before.entries[i].name) = before.entries[i];
  }
  struct name_entry *entry = find_entry(map, name);
  if (entry->name) return false;
  *entry = (struct name_entry){name, number};
  map->count++;
  return true;
}
