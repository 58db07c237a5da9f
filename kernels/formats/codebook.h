// Scalar grids known by name: levels that are neither evenly spaced nor floats.
#pragma once
#include "kernels/formats/format.h"

struct codebook {
  const char *name;
  int count;
  const double *levels;  // [count], ascending
  int group;             // what shares a scale by the largest magnitude where nothing else is said; 0: by the recipe
};
extern const struct codebook codebooks[];  // ends with a NULL name

const struct codebook *codebook_find(const char *name);            // NULL: none
const struct codebook *codebook_of_grid(const struct grid *grid);  // whose levels it has, or NULL
// The levels of least squared error for N(0, 1) (Max 1960): each is the mean of its cell. Counts of 2, 4, 8 and 16;
// NULL for others.
const double *gaussian_levels(int count);
