// Scales of ranges of a row: that which follows from the data, the better of two, one for a block of several rows, and
// those that are corrected after rounding (MS-EDEN).
#pragma once
#include "kernels/formats/pass_round.h"

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
