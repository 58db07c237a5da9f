// Rounding ranges of a row in cache: its working arrays, what is measured of a range, grids of every kind. See
// quantize.h.
#pragma once
#include <math.h>
#include <stdlib.h>

#include "kernels/formats/nearest.h"
#include "kernels/formats/pass_random.h"
#include "kernels/formats/pass_transform.h"
#include "kernels/formats/scale_value.h"

// A row's working arrays, each of `padded` elements.
struct row_arrays {
  float *x, *y;
  int32_t *keep, *pass;  // all ones or 0
  uint32_t *words;
};
INLINE struct row_arrays row_arrays(float *scratch, int64_t columns) {
  int64_t padded = quantize_scratch(columns) / 5;
  return (struct row_arrays){scratch, scratch + padded, (int32_t *)(scratch + 2 * padded),
                             (int32_t *)(scratch + 3 * padded), (uint32_t *)(scratch + 4 * padded)};
}

INLINE vfloat magnitude(vfloat a) { return (vfloat)((vuint)a & 0x7FFFFFFFu); }
INLINE vint load_ints(const int32_t *from) { return (vint)load((const float *)from); }
INLINE void store_ints(int32_t *to, vint value) { store((float *)to, (vfloat)value); }
// To the nearest integer, ties to even; |a| below 2^22.
INLINE vfloat round_even(vfloat a) { return (a + 12582912.0f) - 12582912.0f; }
INLINE vfloat one_where(vint condition) { return (vfloat)(condition & (vint)splat(1.0f)); }

INLINE vfloat round_down(vfloat a) {
  vfloat near = round_even(a);
  return near - one_where(near > a);
}

// ---- statistics of a range ----

// Compared as integers, as magnitudes may be: a NaN is the largest of all.
INLINE float range_absmax(const float *x, int64_t count) {
  vint most = {0};
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    vint bits = (vint)magnitude(load(x + i));
    most = (vint)select_lanes(bits > most, (vfloat)bits, (vfloat)most);
  }
  uint32_t result = 0;
  for (int lane = 0; lane < LANES; lane++) result = (uint32_t)most[lane] > result ? (uint32_t)most[lane] : result;
  for (; i < count; i++) {
    uint32_t bits = float_bits(x[i]) & 0x7FFFFFFFu;
    result = bits > result ? bits : result;
  }
  return float_of_bits(result);
}

INLINE float range_squares(const float *x, int64_t count) {
  vfloat sums[4] = {{0}, {0}, {0}, {0}};
  int64_t i = 0;
  for (; i + 4 * LANES <= count; i += 4 * LANES)
    for (int part = 0; part < 4; part++) {
      vfloat value = load(x + i + part * LANES);
      sums[part] = fma_add(value, value, sums[part]);
    }
  for (; i + LANES <= count; i += LANES) {
    vfloat value = load(x + i);
    sums[0] = fma_add(value, value, sums[0]);
  }
  float sum = lane_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < count; i++) sum += x[i] * x[i];
  return sum;
}

// ---- scales ----

// What the scale of a range follows from, by the rule.
INLINE float range_size(const struct quantizer *quantizer, const struct tensor_statistics *statistics, const float *x,
                        int64_t count) {
  bool tensor = quantizer->unit == SCALE_PER_TENSOR;
  float size = 0;
  if (quantizer->rule == SCALE_ABSMAX) size = tensor ? statistics->absmax : range_absmax(x, count);
  if (quantizer->rule == SCALE_RMS)
    size = tensor ? statistics->rms : __builtin_sqrtf(range_squares(x, count) / (float)count);
  if (quantizer->rule == SCALE_LEARNED) size = statistics->learned;
  return size;
}

INLINE float sized_scale(const struct quantizer *quantizer, const struct tensor_statistics *statistics, float size) {
  return scale_value(quantizer, size, scale_type_is_e4m3(quantizer->type) ? statistics->absmax : 0);
}

// ---- rounding ----

struct rounder {
  vfloat low, high, offset;  // UNIFORM
  vfloat tie;                // UNIFORM: the magnitude of both levels next to 0; NAN where 0 is a level
  vint least_exponent;       // FLOAT: of a normal number, as float32 bits
  int mantissa_shift;
};
INLINE struct rounder rounder_of(const struct quantizer *quantizer) {
  int bias = (1 << (quantizer->exponent_bits > 0 ? quantizer->exponent_bits - 1 : 0)) - 1;
  float offset = quantizer->first - __builtin_floorf(quantizer->first);
  return (struct rounder){splat(quantizer->low),
                          splat(quantizer->high),
                          splat(offset),
                          splat(quantizer_tie(quantizer)),
                          (vint){0} + ((127 + 1 - bias) << 23),
                          quantizer->mantissa_bits << 23};
}

// Comparisons are arranged so that a NaN stays one.
INLINE vfloat round_uniform(const struct rounder *r, vfloat z, bool stochastic, vfloat u) {
  vfloat t = vector_min(r->high, vector_max(r->low, z)) - r->offset;
  if (!stochastic) {
    // Both levels next to 0 are as near to it: the sign decides, also where t has lost what a tiny z is.
    vfloat y = round_even(t) + r->offset;
    vint ties = magnitude(y) == r->tie, sign = (vint)splat(-0.0f);
    return (vfloat)(((vint)y & ~(ties & sign)) | ((vint)z & ties & sign));
  }
  vfloat below = round_down(t);
  return below + one_where(u < t - below) + r->offset;
}

INLINE vfloat round_float(const struct rounder *r, vfloat z, bool stochastic, vfloat u) {
  vfloat t = vector_min(r->high, magnitude(z));
  vint exponent = (vint)vector_max((vfloat)r->least_exponent, (vfloat)((vint)t & 0x7F800000));
  vint step = exponent - r->mantissa_shift;
  vfloat units = t * (vfloat)((254 << 23) - step), near;
  if (stochastic) {
    vfloat below = round_down(units);
    near = below + one_where(u < units - below);
  } else {
    near = round_even(units);
  }
  return (vfloat)((vint)(near * (vfloat)step) | ((vint)z & (int32_t)0x80000000));
}

// The loop over a range that shares a scale: `grid`, `stochastic` and `masked` are constants where this is expanded.
INLINE void round_range(const struct quantizer *quantizer, enum grid_kind grid, bool stochastic, bool masked,
                        float scale, const struct row_arrays *row, int64_t begin, int64_t end) {
  struct rounder r = rounder_of(quantizer);
  vfloat s = splat(scale), inverse = splat(1 / scale), blend = splat(quantizer->blend);
  vfloat limit = splat(quantizer->limit * scale), center = splat(quantizer->center * scale), u = {0};
  for (int64_t i = begin; i < end; i += LANES) {
    vfloat x = load(row->x + i), z = x * inverse, y;
    if (stochastic) u = uniform_lanes(row->words + i);
    if (grid == GRID_UNIFORM)
      y = round_uniform(&r, z, stochastic, u) * s;
    else
      y = round_float(&r, z, stochastic, u) * s;
    // A range may end within a vector: what lies behind is written again by the next one.
    store(row->y + i, y);
    if (masked) store_ints(row->pass + i, magnitude(x - blend * y - center) <= limit);
  }
}

INLINE void round_range_kind(const struct quantizer *quantizer, enum grid_kind grid, bool masked, float scale,
                             const struct row_arrays *row, int64_t begin, int64_t end) {
  if (quantizer->rounding == ROUND_STOCHASTIC) {
    if (masked)
      round_range(quantizer, grid, true, true, scale, row, begin, end);
    else
      round_range(quantizer, grid, true, false, scale, row, begin, end);
  } else {
    if (masked)
      round_range(quantizer, grid, false, true, scale, row, begin, end);
    else
      round_range(quantizer, grid, false, false, scale, row, begin, end);
  }
}

// Any list of levels: how many edges lie below.
static void round_levels(const struct quantizer *quantizer, bool masked, float scale, const struct row_arrays *row,
                         int64_t begin, int64_t end) {
  float inverse = 1 / scale;
  for (int64_t i = begin; i < end; i++) {
    bool stochastic = quantizer->rounding == ROUND_STOCHASTIC;
    float z = row->x[i] * inverse;
    if (!stochastic) z = below_zero(z);
    int low = 0, high = quantizer->count - 1;  // the level lies in [low, high]
    const float *edges = stochastic ? quantizer->levels + 1 : quantizer->edges;
    while (low < high) {
      int middle = (low + high) / 2;
      if (z >= edges[middle])
        low = middle + 1;
      else
        high = middle;
    }
    float level = quantizer->levels[low];
    if (stochastic && z > level && low + 1 < quantizer->count) {
      float above = quantizer->levels[low + 1], u = (float)(row->words[i] >> 8) * 0x1p-24f;
      if (u * (above - level) < z - level) level = above;
    }
    row->y[i] = (z == z ? level : z) * scale;
    float apart = row->x[i] - quantizer->blend * row->y[i] - quantizer->center * scale;
    if (masked) row->pass[i] = fabsf(apart) <= quantizer->limit * scale ? -1 : 0;
  }
}

// The nearest of `count` points to groups of `dimension` neighbours: the largest of p.c - |c|^2 / 2.
INLINE void round_points(const struct quantizer *quantizer, int dimension, bool masked, float scale,
                         const struct row_arrays *row, int64_t begin, int64_t end) {
  float inverse = 1 / scale, limit = quantizer->limit * quantizer->limit;
  int count = quantizer->count;
  for (int64_t at = begin; at < end; at += LANES * dimension) {
    int64_t groups = (end - at) / dimension < LANES ? (end - at) / dimension : LANES;
    float coordinates[4][LANES] = {{0}};
    for (int64_t group = 0; group < groups; group++)
      for (int d = 0; d < dimension; d++) coordinates[d][group] = row->x[at + group * dimension + d] * inverse;
    vfloat z[4], best = splat(-INFINITY), norm = {0};
    for (int d = 0; d < dimension; d++) {
      z[d] = load(coordinates[d]);
      norm = fma_add(z[d], z[d], norm);
    }
    vint index = {0};
    for (int point = 0; point < count; point++) {
      vfloat score = splat(-quantizer->half_norms[point]);
      for (int d = 0; d < dimension; d++) score = fma_add(z[d], splat(quantizer->points[d * count + point]), score);
      vint better = score > best;
      best = select_lanes(better, score, best);
      index = (better & point) | (index & ~better);
    }
    for (int64_t group = 0; group < groups; group++) {
      bool inside = norm[group] <= limit, number = norm[group] == norm[group];
      for (int d = 0; d < dimension; d++) {
        int64_t place = at + group * dimension + d;
        row->y[place] = (number ? quantizer->points[d * count + index[group]] : NAN) * scale;
        if (masked) row->pass[place] = inside ? -1 : 0;
      }
    }
  }
}

// x + scale * noise * normal (Box-Muller on two words for two neighbours of a vector's halves).
static void add_noise(const struct quantizer *quantizer, float scale, const struct row_arrays *row, int64_t begin,
                      int64_t end) {
  float deviation = scale * quantizer->noise;
  for (int64_t i = begin; i < end; i++) {
    // Words of one Philox block stand 16 apart: the first two make the pair of normals of their places, and so on.
    int64_t base = i & ~(int64_t)31, lane = i & 15;
    float u = ((float)(row->words[base + lane] >> 8) + 0.5f) * 0x1p-24f;
    float angle = (float)(row->words[base + 16 + lane] >> 8) * (6.28318530717958647692f * 0x1p-24f);
    float radius = sqrtf(-2 * logf(u));
    row->y[i] = row->x[i] + deviation * radius * (i & 16 ? sinf(angle) : cosf(angle));
  }
}

static void round_unit(const struct quantizer *quantizer, bool masked, float scale, const struct row_arrays *row,
                       int64_t begin, int64_t end) {
  switch (quantizer->grid) {
    case GRID_UNIFORM:
      round_range_kind(quantizer, GRID_UNIFORM, masked, scale, row, begin, end);
      break;
    case GRID_FLOAT:
      round_range_kind(quantizer, GRID_FLOAT, masked, scale, row, begin, end);
      break;
    case GRID_LEVELS:
      round_levels(quantizer, masked, scale, row, begin, end);
      break;
    case GRID_VECTOR:
      if (quantizer->dimension == 2)
        round_points(quantizer, 2, masked, scale, row, begin, end);
      else
        round_points(quantizer, 4, masked, scale, row, begin, end);
      break;
    case GRID_NOISE:
      add_noise(quantizer, scale, row, begin, end);
      break;
    case GRID_NONE:
      break;
  }
}
