// Grids: their levels, their exact error on Gaussian data, and the scale that makes it least.
#pragma once
#include "base/base.h"
#include "kernels/formats/format.h"

struct grid grid_uniform(int count, double first);  // levels first, first + 1, ...
struct grid grid_mid_rise(int bits);                // 2^bits levels around 0, without 0
struct grid grid_mid_tread(int bits);               // 2^bits - 1 levels around 0, with 0
struct grid grid_twos_complement(int bits);         // -2^(bits - 1) .. 2^(bits - 1) - 1
// Sign, `exponent_bits` (at least 1; bias 2^(exponent_bits - 1) - 1) and `mantissa_bits`, subnormals included; all
// codes are numbers, but E4M3 has its greatest (NaN) and E5M2 its greatest exponent (infinities, NaN) reserved, as
// OCP's FP8.
struct grid grid_float(int exponent_bits, int mantissa_bits);
struct grid grid_levels(const double *levels, int count);  // ascending; the array stays the caller's

// Levels of a scalar grid (UNIFORM, FLOAT, LEVELS), ascending, at most GRID_LEVEL_LIMIT. Returns how many.
int grid_level_list(const struct grid *grid, double levels[GRID_LEVEL_LIMIT]);
bool grid_is_scalar(const struct grid *grid);
double grid_bits(const struct grid *grid);         // log2 of the number of codes, per value
double grid_largest_gap(const struct grid *grid);  // between neighbouring levels
// What SCALE_ABSMAX maps the largest magnitude to: the greatest magnitude that the grid has on both sides.
double grid_reach(const struct grid *grid);

// Mean squared error of rounding N(0, 1) to the nearest of the levels times `scale`: sum over cells of
// M2 - 2 g M1 + g^2 P, with P, M1, M2 the cell's normal moments.
double grid_gaussian_error(const struct grid *grid, double scale);
// The scale of least error: the root of sum c_i (scale c_i P_i - M1_i), by scanning for brackets (grids with exponents
// have many minima) and Brent's method.
double grid_gaussian_scale(const struct grid *grid);

// How likely a standard normal value of magnitude `x` is to be pruned.
typedef double pruned_probability(const void *context, double x);
// As grid_gaussian_error when a value x is first set to 0 with probability pruned(|x|), which may jump at `jump`
// (0: nowhere) and is smooth elsewhere. grid NULL: values that are kept stay as they are.
double grid_gaussian_error_pruned(const struct grid *grid, double scale, pruned_probability *pruned,
                                  const void *context, double jump);
