// See memo.h.
#include "runner/plan/memo.h"

#include <stdlib.h>

#include "base/arena.h"

enum { FIRST_CAPACITY = 64 };  // a power of two

struct memo_entry {
  uint64_t key;
  bool used;
  double value;
};

static struct memo_entry *entry_of(struct memo_entry *entries, size_t capacity, uint64_t key) {
  size_t slot = key & (capacity - 1);
  while (entries[slot].used && entries[slot].key != key) slot = (slot + 1) & (capacity - 1);
  return &entries[slot];
}

bool memo_find(const struct memo *memo, uint64_t key, double *value) {
  if (!memo->capacity) return false;
  const struct memo_entry *entry = entry_of(memo->entries, memo->capacity, key);
  if (entry->used) *value = entry->value;
  return entry->used;
}

void memo_put(struct memo *memo, uint64_t key, double value) {
  if (memo->count * 2 >= memo->capacity) {
    size_t capacity = memo->capacity ? memo->capacity * 2 : FIRST_CAPACITY;
    struct memo_entry *grown = memory_get(capacity * sizeof *grown);
    for (size_t i = 0; i < memo->capacity; i++)
      if (memo->entries[i].used) *entry_of(grown, capacity, memo->entries[i].key) = memo->entries[i];
    free(memo->entries);
    memo->entries = grown;
    memo->capacity = capacity;
  }
  struct memo_entry *entry = entry_of(memo->entries, memo->capacity, key);
  memo->count += !entry->used;
  *entry = (struct memo_entry){key, true, value};
}

void memo_free(struct memo *memo) {
  free(memo->entries);
  *memo = (struct memo){0};
}
