// See permutation.h.
#include "trainer/data/permutation.h"

// Fisher-Yates on the first `count` numbers.
static void shuffle(struct permutation *p, uint64_t key) {
  for (uint64_t i = 0; i < p->count; i++) {
    key += 0x9E3779B97F4A7C15u;
    uint64_t j = (uint64_t)((unsigned __int128)mix64(key) * (i + 1) >> 64);
    p->shuffled[i] = p->shuffled[j];
    p->shuffled[j] = (uint8_t)i;
  }
}

struct permutation permutation(uint64_t key, uint64_t count) {
  struct permutation p = {.count = count};
  if (count <= PERMUTATION_SHUFFLED) {
    shuffle(&p, key);
    return p;
  }
  int bits = 5;
  while (bits < 62 && (uint64_t)1 << bits < count) bits++;
  p.left_bits = bits / 2;
  p.right_bits = bits - p.left_bits;
  for (int i = 0; i < PERMUTATION_ROUNDS; i++) p.keys[i] = mix64(key += 0x9E3779B97F4A7C15u);
  return p;
}

uint64_t permute(const struct permutation *p, uint64_t index) {
  if (p->count <= PERMUTATION_SHUFFLED) return p->shuffled[index];
  uint64_t left_mask = ((uint64_t)1 << p->left_bits) - 1, right_mask = ((uint64_t)1 << p->right_bits) - 1;
  do {
    uint64_t left = index >> p->right_bits, right = index & right_mask;
    // Each half is changed by a function of the other, in turn: invertible whatever the function is. The upper bits of
    // the mixed word are the better ones.
    for (int i = 0; i < PERMUTATION_ROUNDS; i += 2) {
      left ^= mix64(right ^ p->keys[i]) >> 24 & left_mask;
      right ^= mix64(left ^ p->keys[i + 1]) >> 24 & right_mask;
    }
    index = left << p->right_bits | right;
  } while (index >= p->count);
  return index;
}
