// The figure of a comparison of two groups of runs: the difference of each pair.
#pragma once
#include "plots/plots.h"

struct plot_paired {
  const char *a, *b;  // names of the groups
  size_t count;
  const double *x;  // NULL: pairs are drawn side by side in their order
  const char *x_label, *x_unit;
  enum figure_ticks ticks;   // of x, whose scale is logarithmic
  const double *difference;  // B - A in y_unit, or where `percent` is set, what B needs more than A in percent
  bool percent;
  const char *y_label, *y_unit;
  double mean, low, high;  // of all pairs, with its interval (NAN: none)
};

// The figure is owned by the arena; it points into `data`.
void plot_paired(struct arena *arena, const struct plot_paired *data, struct figure *figure);
