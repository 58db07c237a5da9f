// Reading ahead: while a kernel multiplies a block, it asks for the operands of the next one, a few cache lines at a
// time, so that packing and multiplying find them in the second cache. A hint, without any effect on results.
#pragma once
#include <stdint.h>

#define AHEAD_REGIONS 2
#define AHEAD_PAIRS 16  // a kernel asks for some lines with every so many pairs of a tile of C

struct ahead_region {
  const char *from;             // NULL: none, and none behind it
  int64_t rows, bytes, stride;  // stride: bytes from row to row
};

// Where a kernel is on its way through a block's regions.
struct ahead {
  const struct ahead_region *region, *end;
  const char *row, *at;
  int64_t rows;   // left of the region
  int64_t lines;  // to ask for at a time
};

static inline void ahead_enter(struct ahead *ahead) {
  if (ahead->region == ahead->end || !ahead->region->from) {
    ahead->lines = 0;
    return;
  }
  ahead->at = ahead->row = ahead->region->from;
  ahead->rows = ahead->region->rows;
}

// `times`: how often ahead_some will be called.
static inline struct ahead ahead_start(const struct ahead_region regions[AHEAD_REGIONS], int64_t times) {
  int64_t lines = 0;
  for (int i = 0; i < AHEAD_REGIONS && regions[i].from; i++) lines += regions[i].rows * ((regions[i].bytes + 127) / 64);
  struct ahead ahead = {
      .region = regions, .end = regions + AHEAD_REGIONS, .lines = lines ? (lines + times - 1) / times : 0};
  ahead_enter(&ahead);
  return ahead;
}

static inline void ahead_some(struct ahead *ahead) {
  for (int64_t line = 0; line < ahead->lines; line++) {
    __builtin_prefetch(ahead->at, 0, 2);
    ahead->at += 64;
    if (ahead->at < ahead->row + ahead->region->bytes + 63) continue;
    ahead->at = ahead->row += ahead->region->stride;
    if (--ahead->rows > 0) continue;
    ahead->region++;
    ahead_enter(ahead);
  }
}
