// Rounding against scales that stand: for methods that round a matrix input by input and move the values that are yet
// to be rounded (trainer/compress). In double precision, a value or vector at a time; the passes of quantize.h round
// whole rows by scales that follow from them.
#pragma once
#include "kernels/formats/quantize.h"

// The levels of a scalar grid or the points of a vector grid.
struct nearest {
  int count, dimension;
  bool uniform, unbounded;  // unbounded: the levels of a uniform grid continue for ever
  double first;             // of a uniform grid
  double gap;               // the largest between neighbouring levels; 0 for points
  double levels[GRID_LEVEL_LIMIT], edges[GRID_LEVEL_LIMIT];  // scalar: ascending, and the points between them
  const float *points;                                       // vector: [dimension][count]
};
// False for grids with neither (none, noise).
bool nearest_make(struct nearest *nearest, const struct grid *grid, bool unbounded);
// The nearest level to z, and its number (unbounded: level = first + number, of any size). In the middle between two
// the even number of a uniform grid, as in the passes; of other grids the upper one.
double nearest_level(const struct nearest *nearest, double z, int32_t *number);
// The number of the nearest of `count` points [dimension][count] to z, the first one among equals.
int32_t nearest_point(const double *points, int dimension, int count, const double *z);

// Scales of a row: 1, or one for each group (the last one may be short).
int64_t quantizer_scale_units(const struct quantizer *quantizer);
// struct scales_call, a range_pass of format_level: the scales that the quantize pass would take for rows of x, which
// is as it is rounded (transformed). `shrink` multiplies the size that a scale follows from; 1: none.
struct scales_call {
  const struct quantizer *quantizer;
  const struct tensor_statistics *statistics;  // as of quantize_call
  const float *from;                           // [rows, columns]
  float shrink;
  float *scales;   // [rows, quantizer_scale_units], written
  float *scratch;  // per worker, quantize_scratch(columns) floats
};
