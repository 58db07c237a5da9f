// See vector_grid.h.
#include "kernels/formats/vector_grid.h"

#include <stddef.h>

#include "vector_grids.inc"

const struct vector_grid *vector_grid_find(int dimension, int count) {
  for (int i = 0; vector_grids[i].dimension; i++)
    if (vector_grids[i].dimension == dimension && vector_grids[i].count == count) return &vector_grids[i];
  return NULL;
}
