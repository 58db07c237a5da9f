// See trunks.h.
#include "runner/plan/trunks.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/trunk.h"

bool trunk_member_of(const struct run_config *resolved, const char *corpus_digest, struct trunk_member *member) {
  int64_t shared = trunk_steps(resolved);
  if (shared < 1) return false;
  struct digest key = trunk_key(resolved, corpus_digest, true);
  *member = (struct trunk_member){
      .key = hash64(key.hex, sizeof key.hex, 0), .shared = shared, .steps = resolved->train.steps};
  return true;
}

static int by_trunk(const void *left, const void *right) {
  const struct trunk_member *a = left, *b = right;
  if (a->key != b->key) return a->key < b->key ? -1 : 1;
  if (a->shared != b->shared) return a->shared > b->shared ? -1 : 1;
  if (a->steps != b->steps) return a->steps > b->steps ? -1 : 1;
  return a->number < b->number ? -1 : a->number > b->number;
}

void trunk_members_sort(struct trunk_member *members, size_t count) {
  if (count) qsort(members, count, sizeof *members, by_trunk);
}

size_t trunk_members_group(const struct trunk_member *members, size_t count) {
  size_t same = 0;
  while (same < count && members[same].key == members[0].key) same++;
  return same;
}
