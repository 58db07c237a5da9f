// Trainings that share a trunk (trainer/trunk.h), in groups.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "trainer/config.h"

struct trunk_member {
  uint64_t key;           // of trunk_key; equal where a trunk can be shared
  int64_t shared, steps;  // that others may share; in all
  size_t number;          // the caller's
};
// What a resolved training shares; false where it shares nothing. `number` is left to the caller.
bool trunk_member_of(const struct run_config *resolved, const char *corpus_digest, struct trunk_member *member);
// Brings those of one key together, first that which shares most: the trunk of the others.
void trunk_members_sort(struct trunk_member *members, size_t count);
// How many of them, from the first on, have the first one's key.
size_t trunk_members_group(const struct trunk_member *members, size_t count);
