// Prepared corpora in the cache, which homes share: which of them nobody needs as far as this machine can tell.
#pragma once
#include "base/base.h"
#include "results/store.h"

struct cache_item {
  const char *digest, *source, *path;
  double bytes;
  double age;        // seconds since its tokens were last read or written, as the file system keeps it (often to a day)
  const char *kept;  // why it stays: NULL: it may go
};

struct caches {
  struct arena arena;
  struct cache_item *items;
  size_t count, removable;
  double bytes;  // of those that may go
};

// Looks at every prepared corpus and changes nothing. One stays that a run of this home was or is to be trained on,
// that a process has open, or that was used less than `least_age` seconds ago (another home may need it), and so do the
// parts of a mixture that stays. caches_free in either case.
bool caches_find(struct caches *caches, struct store *store, double least_age, struct error *error);
// Removes those that may go; each is looked at once more for processes that have it open.
bool caches_remove(struct caches *caches, struct error *error);
void caches_free(struct caches *caches);
