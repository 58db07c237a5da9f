// An open mixture. Private to trainer/data/mixture*.c.
#pragma once
#include "trainer/data/mixture.h"

struct mixture {
  struct arena arena;
  struct mixture_parts parts;
  struct corpus *corpora[CORPUS_MOST_PARTS];
  int first[CORPUS_MOST_PARTS + 1];  // sums of shares: slots of a block
  uint8_t order[MIXTURE_BLOCK];      // of validation windows: the part of each of a block
  int16_t rank[MIXTURE_BLOCK];       // ... and how many of that part come before it
};

extern const struct corpus_ops mixture_ops;
// Fills `order` and `rank` from `first`.
void mixture_order(struct mixture *mixture);
