// Keyed pseudo-random permutations of [0, count) without a table of that size: a Feistel network over the smallest
// power-of-two domain that holds count, walked along its cycle until it falls inside (Black & Rogaway 2002, "Ciphers
// with arbitrary finite domains"). Tiny counts, where a network has too few different round functions, are shuffled.
// Used for the order of windows in an epoch and for the hidden structure of synthetic sources; it scatters well and is
// no cipher.
#pragma once
#include <stdint.h>

enum { PERMUTATION_ROUNDS = 10, PERMUTATION_SHUFFLED = 16 };
struct permutation {
  uint64_t count;
  int left_bits, right_bits;
  uint64_t keys[PERMUTATION_ROUNDS];
  uint8_t shuffled[PERMUTATION_SHUFFLED];  // the whole permutation when count is at most this
};

// A bijection of 64-bit words that spreads every bit (the finalizer of splitmix64, Steele et al. 2014).
static inline uint64_t mix64(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9u;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

// The permutation of [0, count) that belongs to the key; count at least 1, below 2^62.
struct permutation permutation(uint64_t key, uint64_t count);
// Where `index` < count goes.
uint64_t permute(const struct permutation *permutation, uint64_t index);
