// Representing rows: selection, scale, rounding and gradient mask on a row in cache. See quantize.h.
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

// ---- the scale of a range ----

// The squared error of a range at a scale: sums of eight neighbours, then of pairs of them half the range apart, a
// quarter, ...: in the order of the GPU's lanes, so that both choose alike.
static float range_error(const struct quantizer *quantizer, float scale, const struct row_arrays *row, int64_t begin,
                         int64_t end) {
  float sums[32] = {0};
  int octets = 1;
  round_range(quantizer, GRID_FLOAT, false, false, scale, row, begin, end);
  for (int64_t i = begin; i < end; i++) {
    float apart = row->x[i] - row->y[i];
    sums[(i - begin) / 8] += apart * apart;
  }
  while (octets * 8 < quantizer->group) octets *= 2;
  for (int half = octets / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) sums[i] += sums[i + half];
  return sums[0];
}

// The scale of a range of row->x; row->y is written over where two are compared.
static float range_scale(const struct quantizer *quantizer, const struct tensor_statistics *statistics,
                         const struct row_arrays *row, int64_t begin, int64_t end, float shrink) {
  float size = range_size(quantizer, statistics, row->x + begin, end - begin) * shrink;
  float scale = sized_scale(quantizer, statistics, size);
  if (!quantizer->four_over_six) return scale;
  float four = sized_scale(quantizer, statistics, 1.5f * size);
  float error_of_six = range_error(quantizer, scale, row, begin, end);
  return range_error(quantizer, four, row, begin, end) < error_of_six ? four : scale;
}

// ---- blocks of several rows ----

// As round_range does a value of a grid of floats, to nearest.
INLINE float round_float_value(const struct quantizer *quantizer, float z) {
  int bias = (1 << (quantizer->exponent_bits - 1)) - 1;
  float size = float_of_bits(float_bits(z) & 0x7FFFFFFFu), t = quantizer->high < size ? quantizer->high : size;
  uint32_t exponent = float_bits(t) & 0x7F800000u, least = (uint32_t)(127 + 1 - bias) << 23;
  if (exponent < least) exponent = least;
  uint32_t step = exponent - ((uint32_t)quantizer->mantissa_bits << 23);
  float units = t * float_of_bits((254u << 23) - step), near = (units + 12582912.0f) - 12582912.0f;
  return float_of_bits(float_bits(near * float_of_bits(step)) | (float_bits(z) & 0x80000000u));
}

// The squared error of a square at a scale, in the order of range_error with the octets of all its rows.
static float square_error(const struct quantizer *quantizer, const float *values, float scale) {
  float sums[2 * SQUARE] = {0}, inverse = 1 / scale;
  for (int i = 0; i < SQUARE * SQUARE; i++) {
    float apart = values[i] - round_float_value(quantizer, values[i] * inverse) * scale;
    sums[i / 8] += apart * apart;
  }
  for (int half = SQUARE; half > 0; half /= 2)
    for (int i = 0; i < half; i++) sums[i] += sums[i + half];
  return sums[0];
}

// The scale of the square that begins at a row and column; what lies outside the matrix counts as 0.
static float square_scale(const struct quantize_call *call, const struct tensor_statistics *statistics, int64_t row,
                          int64_t column) {
  const struct quantizer *quantizer = call->quantizer;
  float values[SQUARE * SQUARE];
  uint32_t most = 0;  // as range_absmax
  int64_t columns = quantizer->columns;
  for (int i = 0; i < SQUARE * SQUARE; i++) {
    int64_t r = row + i / SQUARE, c = column + i % SQUARE;
    bool inside = r < call->rows && c < columns;
    values[i] = 0;
    if (inside && call->from_dtype == DTYPE_FLOAT32) values[i] = ((const float *)call->from)[r * columns + c];
    if (inside && call->from_dtype == DTYPE_BFLOAT16)
      values[i] = float_of_bits((uint32_t)((const uint16_t *)call->from)[r * columns + c] << 16);
    uint32_t bits = float_bits(values[i]) & 0x7FFFFFFFu;
    most = bits > most ? bits : most;
  }
  float size = float_of_bits(most), scale = sized_scale(quantizer, statistics, size);
  if (!quantizer->four_over_six) return scale;
  float four = sized_scale(quantizer, statistics, 1.5f * size);
  return square_error(quantizer, values, four) < square_error(quantizer, values, scale) ? four : scale;
}

// ---- scales that are corrected ----

// MS-EDEN on a row that is rounded to nearest range by range, whose scales are in `scales`: over a block of the
// transform, or a group where that is larger, each FP8 scale is multiplied by sum z^2 / sum z q(z), z = x / scale, and
// rounded stochastically by the word of its first value. Sums are in the order of range_error.
static void correct_scales(const struct quantizer *quantizer, const struct tensor_statistics *statistics,
                           const struct row_arrays *row, const float *scales) {
  int64_t columns = quantizer->columns, group = quantizer->group;
  int64_t block = quantizer->hadamard_block > group ? quantizer->hadamard_block : group;
  float unit = scale_unit_of_tensor(quantizer, statistics->absmax);
  for (int64_t at = 0; at < columns; at += block) {
    float squares[32] = {0}, products[32] = {0};
    int64_t stop = at + block < columns ? at + block : columns;
    for (int64_t i = at; i < stop; i++) {
      float inverse = 1 / scales[i / group], z = row->x[i] * inverse, level = round_float_value(quantizer, z);
      squares[(i - at) / 8] += z * z;
      products[(i - at) / 8] += z * level;
    }
    for (int64_t half = block / 16; half > 0; half /= 2)
      for (int64_t i = 0; i < half; i++) {
        squares[i] += squares[i + half];
        products[i] += products[i + half];
      }
    float correction = products[0] == 0 ? 1 : squares[0] / products[0];
    for (int64_t first = at; first < stop; first += group) {
      float inverse = 1 / scales[first / group], code = nearest_e4m3(scales[first / group] / unit);
      float u = (float)(row->words[first] >> 8) * 0x1p-24f, scale = stochastic_e4m3(code * correction, u) * unit;
      for (int64_t i = first; i < first + group && i < stop; i++)
        row->y[i] = round_float_value(quantizer, row->x[i] * inverse) * scale;
    }
  }
}

// ---- selection ----

// The n largest of every m, earlier ones first among equals; `group` neighbours count as one by their norm. A last
// group that is short keeps its largest n too.
static void keep_n_of_m(const float *x, int32_t *keep, int64_t columns, int n, int m, int group) {
  float sizes[64];
  for (int64_t at = 0; at < columns; at += m) {
    int64_t left = columns - at < m ? columns - at : m;
    int count = (int)((left + group - 1) / group);
    for (int i = 0; i < count; i++) {
      sizes[i] = 0;
      for (int64_t j = i * group; j < (i + 1) * group && j < left; j++) sizes[i] += x[at + j] * x[at + j];
    }
    for (int i = 0; i < count; i++) {
      int larger = 0;
      for (int j = 0; j < i; j++) larger += sizes[j] >= sizes[i];
      for (int j = i + 1; j < count; j++) larger += sizes[j] > sizes[i];
      for (int64_t j = i * group; j < (i + 1) * group && j < left; j++) keep[at + j] = larger < n ? -1 : 0;
    }
  }
}

// |x| above the threshold, and equal to it up to column last_tie.
static void keep_above(const float *x, int32_t *keep, int64_t columns, float threshold, int64_t last_tie) {
  vint limit = (vint){0} + (int32_t)(last_tie < 0 ? -1 : last_tie < columns ? last_tie : columns);
  vint column = lane_numbers();
  vint bits = (vint){0} + (int32_t)float_bits(threshold);
  for (int64_t i = 0; i < columns; i += LANES) {
    vint size = (vint)magnitude(load(x + i));
    store_ints(keep + i, (size > bits) | ((size == bits) & (column <= limit)));
    column += LANES;
  }
}

// The wanted-th largest magnitude of the row (counting from 1), by quickselect on the bits in `work`.
static float row_threshold(const float *x, uint32_t *work, int64_t columns, int64_t wanted) {
  for (int64_t i = 0; i < columns; i++) work[i] = float_bits(x[i]) & 0x7FFFFFFFu;
  int64_t low = 0, high = columns - 1, target = columns - wanted;  // ascending order
  while (low < high) {
    uint32_t pivot = work[low + (high - low) / 2];
    int64_t i = low, j = high;
    while (i <= j) {
      while (work[i] < pivot) i++;
      while (work[j] > pivot) j--;
      if (i <= j) {
        uint32_t other = work[i];
        work[i++] = work[j];
        work[j--] = other;
      }
    }
    if (target <= j)
      high = j;
    else if (target >= i)
      low = i;
    else
      break;
  }
  return float_of_bits(work[target]);
}

// Fills row->keep and says where gradients are blocked.
static struct blocked_band select_row(const struct quantize_call *call, const struct row_arrays *row, int64_t number) {
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns;
  struct blocked_band band = {0, 0};
  switch (quantizer->sparsity) {
    case SPARSITY_NONE:
      break;
    case SPARSITY_N_M:
      keep_n_of_m(row->x, row->keep, columns, quantizer->n, quantizer->m, 1);
      break;
    case SPARSITY_PAIRED:
      keep_n_of_m(row->x, row->keep, columns, quantizer->n / 2, quantizer->m, 2);
      break;
    case SPARSITY_TOP:
      if (quantizer->scope == SCOPE_ROW) {
        int64_t kept = columns - (int64_t)llrintf(quantizer->pruned * (float)columns);
        float threshold = kept > 0 ? row_threshold(row->x, (uint32_t *)row->y, columns, kept) : INFINITY;
        int64_t above = 0, last_tie = -1;
        for (int64_t i = 0; i < columns; i++) above += fabsf(row->x[i]) > threshold;
        for (int64_t i = 0; i < columns && above < kept; i++)
          if (fabsf(row->x[i]) == threshold) {
            last_tie = i;
            above++;
          }
        keep_above(row->x, row->keep, columns, threshold, last_tie);
        if (quantizer->band_quantile > 0) {
          float other = quantizer->band_quantile * __builtin_sqrtf(range_squares(row->x, columns) / (float)columns);
          bool lower = other < threshold;
          band = (struct blocked_band){lower ? other : threshold, lower ? threshold : other};
          if (quantizer->backward == SPARSE_RMS) band = (struct blocked_band){0, other};
        }
      } else {
        int64_t last_tie = call->statistics->last_tie - number * columns;
        keep_above(row->x, row->keep, columns, call->statistics->threshold, last_tie);
        band = call->statistics->band;
      }
      break;
    case SPARSITY_RANDOM: {
      // Scores belong to places, not to steps: step 0 of their own stream.
      int64_t blocks = (columns + 63) / 64;
      random_words_pass(call->place.seed, RANDOM_STREAM_PRUNING, 0,
                        (call->place.tensor << 40) + (uint64_t)(number * blocks * 16), blocks, row->words);
      double pruned = (call->statistics ? call->statistics->pruned : quantizer->pruned) * 0x1p32;
      for (int64_t i = 0; i < columns; i++) row->keep[i] = row->words[i] >= pruned ? -1 : 0;
      break;
    }
  }
  return band;
}

// ---- rows ----

// Bits of eight lanes of all ones or 0.
INLINE void pack_mask(const int32_t *pass, uint8_t *mask, int64_t columns) {
  int64_t i = 0;
#if SIMD_LEVEL == 2
  for (; i + 16 <= columns; i += 16) {
    uint16_t bits = (uint16_t)_mm512_movepi32_mask(_mm512_loadu_si512(pass + i));
    memcpy(mask + i / 8, &bits, 2);
  }
#elif SIMD_LEVEL == 1
  for (; i + 8 <= columns; i += 8)
    mask[i / 8] = (uint8_t)_mm256_movemask_ps(_mm256_loadu_ps((const float *)(pass + i)));
#endif
  for (; i < columns; i += 8) {
    unsigned bits = 0;
    for (int64_t j = i; j < i + 8 && j < columns; j++) bits |= (unsigned)(pass[j] & 1) << (j - i);
    mask[i / 8] = (uint8_t)bits;
  }
}

// Pruned values become 0, and the gradient mask takes the selection into account.
static void apply_selection(const struct quantizer *quantizer, bool masked, struct blocked_band band,
                            const struct row_arrays *row) {
  enum sparsity_backward backward = quantizer->backward;
  bool by_place = backward == SPARSE_FORWARD;
  bool by_size = backward == SPARSE_RMS || backward == SPARSE_BAND || backward == SPARSE_BAND_SHARE;
  vfloat low = splat(band.low), high = splat(band.high);
  for (int64_t i = 0; i < quantizer->columns; i += LANES) {
    vint keep = load_ints(row->keep + i);
    store(row->y + i, (vfloat)((vint)load(row->y + i) & keep));
    if (!masked) continue;
    vint pass = load_ints(row->pass + i);
    vfloat size = magnitude(load(row->x + i));
    if (by_place) pass &= keep;
    if (by_size) pass &= ~((size >= low) & (size < high));
    // What is pruned has the represented value 0: the estimator's condition is |x| <= limit, done by the caller.
    store_ints(row->pass + i, pass);
  }
}

static void quantize_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct quantize_call *call = argument;
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns;
  struct row_arrays row = row_arrays(call->scratch + worker * quantize_scratch(columns), columns);
  bool masked = call->mask != NULL, sparse = quantizer->sparsity != SPARSITY_NONE;
  bool conditions = masked && quantizer->limit < INFINITY && quantizer->grid != GRID_NONE;
  bool random = quantizer->grid == GRID_NOISE || (quantizer->rounding != ROUND_NEAREST && quantizer->grid != GRID_NONE);
  bool squares = quantizer->unit == SCALE_PER_SQUARE, corrected = quantizer->rounding == ROUND_EDEN;
  int64_t unit = squares || quantizer->unit == SCALE_PER_GROUP ? quantizer->group : columns;
  int64_t blocks = (columns + 63) / 64, band = -1;
  // Scales of a band of squares, for all its rows, and those that are to be corrected: where nothing else is.
  float *scales = squares ? (float *)row.words : (float *)row.keep;
  for (int64_t number = begin; number < end; number++) {
    const struct tensor_statistics *statistics = call->statistics;
    if (statistics) statistics += window_of_row(&call->windows, number);
    load_row(row.x, call->from_dtype, call->from, number * columns, columns);
    if (quantizer->hadamard_block > 1 && !call->transformed) {
      if (call->signs) apply_signs(row.x, call->signs, columns);
      hadamard_row(row.x, columns, quantizer->hadamard_block);
    }
    struct blocked_band blocked = {0, 0};
    if (sparse) blocked = select_row(call, &row, number);
    if (random)
      random_words_pass(call->place.seed, quantizer->grid == GRID_NOISE ? RANDOM_STREAM_NOISE : RANDOM_STREAM_ROUNDING,
                        call->place.step,
                        (call->place.tensor << 40) +
                            (uint64_t)((call->place.first_row + row_number(&call->windows, number)) * blocks * 16),
                        blocks, row.words);
    if (masked && !conditions)
      for (int64_t i = 0; i < columns; i++) row.pass[i] = -1;
    if (quantizer->grid == GRID_NONE) {
      memcpy(row.y, row.x, (size_t)columns * sizeof *row.y);
    } else {
      for (int64_t at = 0; at < columns; at += unit) {
        int64_t stop = at + unit < columns ? at + unit : columns;
        if (squares && band != number / SQUARE)
          scales[at / unit] = square_scale(call, statistics, number / SQUARE * SQUARE, at);
        float scale = squares ? scales[at / unit] : range_scale(quantizer, statistics, &row, at, stop, 1);
        if (corrected) scales[at / unit] = scale;
        round_unit(quantizer, conditions, scale, &row, at, stop);
        if (conditions && sparse && quantizer->backward == SPARSE_TRUST)
          for (int64_t i = at; i < stop; i++)
            if (!row.keep[i])
              row.pass[i] = fabsf(row.x[i] - quantizer->center * scale) <= quantizer->limit * scale ? -1 : 0;
      }
      band = number / SQUARE;
      if (corrected) correct_scales(quantizer, statistics, &row, scales);
    }
    if (sparse) apply_selection(quantizer, masked, blocked, &row);
    store_row(row.y, call->to_dtype, call->to, number * columns, columns);
    if (masked) pack_mask(row.pass, call->mask + number * mask_stride(columns), columns);
  }
}

static void statistics_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct statistics_call *call = argument;
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns;
  float *x = call->scratch + worker * quantize_scratch(columns);
  for (int64_t number = begin; number < end; number++) {
    load_row(x, call->from_dtype, call->from, number * columns, columns);
    if (quantizer->hadamard_block > 1 && !call->transformed) {
      if (call->signs) apply_signs(x, call->signs, columns);
      hadamard_row(x, columns, quantizer->hadamard_block);
    }
    call->row_absmax[number] = range_absmax(x, columns);
    call->row_squares[number] = range_squares(x, columns);
  }
}

static void scales_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct scales_call *call = argument;
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns, units = quantizer_scale_units(quantizer);
  int64_t unit = quantizer->unit == SCALE_PER_GROUP ? quantizer->group : columns;
  struct row_arrays row = row_arrays(call->scratch + worker * quantize_scratch(columns), columns);
  for (int64_t number = begin; number < end; number++) {
    load_row(row.x, DTYPE_FLOAT32, call->from, number * columns, columns);
    for (int64_t i = 0; i < units; i++) {
      int64_t at = i * unit, stop = at + unit < columns ? at + unit : columns;
      call->scales[number * units + i] = range_scale(quantizer, call->statistics, &row, at, stop, call->shrink);
    }
  }
}

static void learned_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct learned_call *call = argument;
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns;
  struct row_arrays row = row_arrays(call->scratch + worker * quantize_scratch(columns), columns);
  struct tensor_statistics statistics = {.learned = call->scale};
  for (int64_t number = begin; number < end; number++) {
    load_row(row.x, call->from_dtype, call->from, number * columns, columns);
    if (quantizer->hadamard_block > 1) hadamard_row(row.x, columns, quantizer->hadamard_block);
    float scale = range_scale(quantizer, &statistics, &row, 0, columns, 1);
    round_unit(quantizer, false, scale, &row, 0, columns);
    float *gradient = (float *)row.keep;
    load_row(gradient, call->gradient_dtype, call->gradient, number * columns, columns);
    // What lies behind the row is 0, and so is its gradient.
    vfloat inverse = splat(1 / scale), low = splat(quantizer->low), high = splat(quantizer->high), sum = {0};
    vfloat least = splat(quantizer->learned_low), most = splat(quantizer->learned_high);
    for (int64_t i = 0; i < columns; i += LANES) {
      vfloat z = load(row.x + i) * inverse, inside = load(row.y + i) * inverse - z;
      vfloat slope = select_lanes(z < least, low, select_lanes(z > most, high, inside));
      sum = fma_add(load(gradient + i), slope, sum);
    }
    call->row_sums[number] = (double)lane_sum(sum);
  }
}
