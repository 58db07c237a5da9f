// Rounding against scales that stand. See nearest.h.
#include "kernels/formats/nearest.h"

#include <math.h>

#include "kernels/formats/grid.h"
#include "kernels/formats/vector_grid.h"

bool nearest_make(struct nearest *nearest, const struct grid *grid, bool unbounded) {
  *nearest = (struct nearest){.count = grid->count, .dimension = 1};
  if (grid->kind == GRID_VECTOR) {
    nearest->dimension = grid->dimension;
    nearest->points = vector_grid_find(grid->dimension, grid->count)->points;
    return true;
  }
  if (!grid_is_scalar(grid)) return false;
  nearest->uniform = grid->kind == GRID_UNIFORM;
  nearest->unbounded = unbounded && nearest->uniform;
  nearest->first = grid->first;
  nearest->gap = grid_largest_gap(grid);
  grid_level_list(grid, nearest->levels);
  for (int i = 0; i + 1 < grid->count; i++) nearest->edges[i] = 0.5 * (nearest->levels[i] + nearest->levels[i + 1]);
  return true;
}

double nearest_level(const struct nearest *nearest, double z, int32_t *number) {
  if (nearest->uniform) {
    // Ties as round_uniform of the passes: to even after the offset is taken off, which is a half or nothing.
    double offset = nearest->first - floor(nearest->first), whole = floor(nearest->first);
    double at = nearbyint(z - offset) - whole, last = nearest->count - 1;
    if (nearest->unbounded)
      at = fmin(fmax(at, -0x1p30), 0x1p30);
    else
      at = fmin(fmax(at, 0), last);
    *number = (int32_t)at;
    return nearest->first + at;
  }
  int low = 0, high = nearest->count - 1;  // the level lies in [low, high]
  while (low < high) {
    int middle = (low + high) / 2;
    if (z >= nearest->edges[middle])
      low = middle + 1;
    else
      high = middle;
  }
  *number = low;
  return nearest->levels[low];
}

int32_t nearest_point(const double *points, int dimension, int count, const double *z) {
  double least = INFINITY;
  int32_t number = 0;
  for (int i = 0; i < count; i++) {
    double distance = 0;
    for (int d = 0; d < dimension; d++) {
      double apart = z[d] - points[d * count + i];
      distance += apart * apart;
    }
    if (distance < least) {
      least = distance;
      number = i;
    }
  }
  return number;
}

int64_t quantizer_scale_units(const struct quantizer *quantizer) {
  if (quantizer->unit != SCALE_PER_GROUP) return 1;
  return (quantizer->columns + quantizer->group - 1) / quantizer->group;
}
