// Grids and their exact Gaussian errors; see grid.h.
#include "kernels/formats/grid.h"

#include <math.h>

#include "kernels/formats/gaussian.h"

struct grid grid_uniform(int count, double first) {
  return (struct grid){
      .kind = GRID_UNIFORM, .count = count, .first = first, .low = first, .high = first + count - 1, .dimension = 1};
}

struct grid grid_mid_rise(int bits) {
  return grid_uniform(1 << bits, -0.5 * ((1 << bits) - 1));
}

struct grid grid_mid_tread(int bits) {
  return grid_uniform((1 << bits) - 1, 1 - (1 << (bits - 1)));
}

struct grid grid_twos_complement(int bits) {
  return grid_uniform(1 << bits, -(1 << (bits - 1)));
}

struct grid grid_float(int exponent_bits, int mantissa_bits) {
  int bias = (1 << (exponent_bits - 1)) - 1, codes = 1 << (exponent_bits + mantissa_bits);  // of one sign
  int reserved = 0;
  if (exponent_bits == 4 && mantissa_bits == 3) reserved = 1;
  if (exponent_bits == 5 && mantissa_bits == 2) reserved = 4;
  int last = codes - 1 - reserved, exponent = last >> mantissa_bits, mantissa = last & ((1 << mantissa_bits) - 1);
  double high = exponent == 0 ? ldexp(mantissa, 1 - bias - mantissa_bits)
                              : ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
  return (struct grid){.kind = GRID_FLOAT,
                       .count = 2 * (codes - reserved) - 1,  // +0 and -0 are one level
                       .exponent_bits = exponent_bits,
                       .mantissa_bits = mantissa_bits,
                       .low = -high,
                       .high = high,
                       .dimension = 1};
}

struct grid grid_levels(const double *levels, int count) {
  return (struct grid){.kind = GRID_LEVELS,
                       .count = count,
                       .low = levels[0],
                       .high = levels[count - 1],
                       .levels = levels,
                       .dimension = 1};
}

bool grid_is_scalar(const struct grid *grid) {
  return grid->kind == GRID_UNIFORM || grid->kind == GRID_FLOAT || grid->kind == GRID_LEVELS;
}

int grid_level_list(const struct grid *grid, double levels[GRID_LEVEL_LIMIT]) {
  if (grid->kind == GRID_FLOAT) {
    int bias = (1 << (grid->exponent_bits - 1)) - 1, half = grid->count / 2, bits = grid->mantissa_bits;
    for (int code = 0; code <= half; code++) {
      int exponent = code >> bits, mantissa = code & ((1 << bits) - 1);
      double value =
          exponent == 0 ? ldexp(mantissa, 1 - bias - bits) : ldexp((1 << bits) + mantissa, exponent - bias - bits);
      levels[half + code] = value;
      levels[half - code] = code ? -value : 0;
    }
  } else {
    for (int i = 0; i < grid->count; i++) levels[i] = grid->kind == GRID_LEVELS ? grid->levels[i] : grid->first + i;
  }
  return grid->count;
}

double grid_bits(const struct grid *grid) {
  switch (grid->kind) {
    case GRID_NONE:
      return 16;
    case GRID_FLOAT:
      return 1 + grid->exponent_bits + grid->mantissa_bits;
    case GRID_NOISE:
      return -0.5 * log2(grid->variance);
    default:
      return log2(grid->count) / grid->dimension;
  }
}

double grid_largest_gap(const struct grid *grid) {
  double levels[GRID_LEVEL_LIMIT], gap = 0;
  int count = grid_level_list(grid, levels);
  for (int i = 1; i < count; i++) gap = fmax(gap, levels[i] - levels[i - 1]);
  return gap;
}

double grid_reach(const struct grid *grid) {
  if (grid->low >= 0 || grid->high <= 0) return fmax(fabs(grid->low), fabs(grid->high));
  return fmin(grid->high, -grid->low);
}

struct level_set {
  int count;
  double levels[GRID_LEVEL_LIMIT];
};

// Edges of the cell of level i, for levels times scale.
static double cell_low(const struct level_set *set, double scale, int i) {
  return i == 0 ? -INFINITY : 0.5 * scale * (set->levels[i - 1] + set->levels[i]);
}

static double cell_high(const struct level_set *set, double scale, int i) {
  return i == set->count - 1 ? INFINITY : cell_low(set, scale, i + 1);
}

static double set_error(const struct level_set *set, double scale) {
  double error = 0;
  for (int i = 0; i < set->count; i++) {
    double low = cell_low(set, scale, i), high = cell_high(set, scale, i), g = scale * set->levels[i];
    error +=
        normal_second_moment(low, high) - 2 * g * normal_first_moment(low, high) + g * g * normal_between(low, high);
  }
  return error;
}

// Half the derivative of the error with respect to the scale.
static double set_slope(const void *context, double scale) {
  const struct level_set *set = context;
  double slope = 0;
  for (int i = 0; i < set->count; i++) {
    double low = cell_low(set, scale, i), high = cell_high(set, scale, i), c = set->levels[i];
    slope += c * (scale * c * normal_between(low, high) - normal_first_moment(low, high));
  }
  return slope;
}

double grid_gaussian_error(const struct grid *grid, double scale) {
  struct level_set set;
  set.count = grid_level_list(grid, set.levels);
  return set_error(&set, scale);
}

double grid_gaussian_scale(const struct grid *grid) {
  struct level_set set;
  set.count = grid_level_list(grid, set.levels);
  double reach = fmax(fabs(grid->low), fabs(grid->high)), best_scale = 0, best_error = INFINITY;
  if (reach == 0) return 1;
  // The greatest level is between 0.25 and 256 standard deviations. Evenly spaced levels have one minimum, below 8.
  bool even = grid->kind == GRID_UNIFORM;
  double ratio = exp2(even ? 0.25 : 1.0 / 24);
  double before = 0.25 / reach, slope_before = set_slope(&set, before);
  int places = even ? 5 * 4 + 1 : 10 * 24 + 1;  // one beyond 8, or 256
  for (int place = 1; place <= places; place++) {
    double scale = 0.25 * pow(ratio, place) / reach, slope = set_slope(&set, scale);
    if (slope_before < 0 && slope >= 0) {
      double root = find_root(set_slope, &set, before, scale, 0), error = set_error(&set, root);
      if (error < best_error * (1 - 1e-9)) {
        best_error = error;
        best_scale = root;
      }
    }
    before = scale;
    slope_before = slope;
  }
  return best_scale > 0 ? best_scale : 1 / reach;
}

struct pruned_problem {
  pruned_probability *pruned;
  const void *context;
  double level;
  bool rounded;
};
static double pruned_integrand(const void *context, double x) {
  const struct pruned_problem *problem = context;
  double chance = problem->pruned(problem->context, fabs(x)), left = problem->rounded ? x - problem->level : 0;
  return normal_density(x) * (chance * x * x + (1 - chance) * left * left);
}

// Pieces fine enough for a rule of ten points: a quarter of a standard deviation at most.
static double pruned_range(const struct pruned_problem *problem, double low, double high) {
  return low < high ? integrate(pruned_integrand, problem, low, high, (int)ceil((high - low) * 4)) : 0;
}

double grid_gaussian_error_pruned(const struct grid *grid, double scale, pruned_probability *pruned,
                                  const void *context, double jump) {
  const double far = 12;  // the density is 2e-32 there
  struct level_set set = {1, {0}};
  if (grid) set.count = grid_level_list(grid, set.levels);
  struct pruned_problem problem = {pruned, context, 0, grid != NULL};
  double error = 0;
  for (int i = 0; i < set.count; i++) {
    double low = fmax(cell_low(&set, scale, i), -far), high = fmin(cell_high(&set, scale, i), far);
    problem.level = scale * set.levels[i];
    // Split where the probability jumps, and at 0 where |x| has its corner.
    double cuts[5] = {low, -jump, 0, jump, high};
    for (int cut = 0; cut < 4; cut++)
      error += pruned_range(&problem, fmin(fmax(cuts[cut], low), high), fmin(fmax(cuts[cut + 1], low), high));
  }
  return error;
}
