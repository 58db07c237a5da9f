// The vector grids: points in 2 and 4 dimensions, trained on N(0, I) when isoloss is built.
#pragma once
#include <stdbool.h>

struct vector_grid {
  int dimension, count;
  const float *points;  // [dimension][count]
};
// NULL when there is none of that size.
const struct vector_grid *vector_grid_find(int dimension, int count);
