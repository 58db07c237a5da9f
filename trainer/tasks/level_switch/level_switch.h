// Task `level_switch`: how long the search over layers (trainer/compress/search.h) takes to find the best layers to
// drop where what they cost adds up.
#pragma once
#include <stdint.h>

// Of `layers` layers `dropped` are to go, and each costs what it costs: 1 where the best `dropped` cost 0 (equal), or
// uniform numbers (random).
struct level_switch {
  const char *costs;                                              // "equal", "random"
  int64_t layers, dropped, offspring, repeats, most_generations;  // dropped AUTO_INTEGER: half
};
