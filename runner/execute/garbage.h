// What a home holds and no run needs: folders of runs that the store does not have, and checkpoints of finished runs
// but their newest whole one and those that other runs may still begin from.
#pragma once
#include "base/base.h"
#include "results/store.h"

struct garbage_item {
  const char *path, *what;
  double bytes;
};

struct garbage {
  struct arena arena;
  struct garbage_item *items;
  size_t count, room;
  double bytes;
  size_t alive;  // folders without a row that a worker is at work in: left alone
};

// Finds it and changes nothing; what links lead to is not looked at. garbage_free in either case.
bool garbage_find(struct garbage *garbage, struct store *store, const char *home, struct error *error);
// Removes it, by a caller who holds the home's lock and found it since.
bool garbage_remove(const struct garbage *garbage, struct error *error);
void garbage_free(struct garbage *garbage);
