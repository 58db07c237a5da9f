// Numbers that many runs of a plan share (a speed, a memory), found once and looked up by a hash of what they depend
// on.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memo_entry;
// All zeroes is empty and ready.
struct memo {
  struct memo_entry *entries;  // open addressing
  size_t count, capacity;
};
bool memo_find(const struct memo *memo, uint64_t key, double *value);
void memo_put(struct memo *memo, uint64_t key, double value);
void memo_free(struct memo *memo);
