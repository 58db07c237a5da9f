// The figure of formats' errors.
#pragma once
#include "plots/plots.h"

struct plot_format {
  const char *label;
  double bits;  // stored per value
  double gmse;  // mean squared error relative to the data; only errors above 0 are drawn
};

// Error against stored bits, with the bound 4^-bits that no representation beats. The figure is owned by the arena;
// it points into `points`.
void plot_formats(struct arena *arena, const struct plot_format *points, size_t count, struct figure *figure);
