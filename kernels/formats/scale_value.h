// The scale that follows from the size of what shares it: one definition for the CPU's passes and the GPU's kernels, in
// C that both compile.
#pragma once
#include <string.h>

#include "kernels/formats/quantize.h"

FORMAT_FUNCTION uint32_t float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

FORMAT_FUNCTION float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Ties at 0 follow their sign, + and - alike, so that zeroes and what rounds to them make no bias: the magnitude of the
// levels next to 0 of evenly spaced ones, where 0 is halfway between them; NAN where it is not.
FORMAT_FUNCTION float quantizer_tie(const struct quantizer *quantizer) {
  bool between = quantizer->first + 0.5f == (float)(int)(quantizer->first + 0.5f);
  return between && quantizer->low < 0 && quantizer->high > 0 ? 0.5f : float_of_bits(0x7FC00000u);
}

// The same for a list of levels, of which a value on an edge takes the upper: a negative zero lies below 0.
FORMAT_FUNCTION float below_zero(float z) { return float_bits(z) == 0x80000000u ? -0x1p-126f : z; }

// 2^floor(log2 v), 2^(nearest integer to log2 v), 2^ceil(log2 v) for v > 0, kept within normal numbers.
FORMAT_FUNCTION float power_of_two(float v, enum scale_type type) {
  uint32_t bits = float_bits(v), exponent = bits >> 23 & 0xFF, mantissa = bits & 0x7FFFFF;
  if (exponent == 255) return v;                                     // not finite, and stays so
  if (type == SCALE_POWER_ROUND && mantissa > 0x3504F3) exponent++;  // sqrt(2)
  if (type == SCALE_POWER_CEIL && mantissa > 0) exponent++;
  if (exponent < 1) exponent = 1;
  if (exponent > 254) exponent = 254;
  return float_of_bits(exponent << 23);
}

// To an FP8 E4M3 number, at most 448: nearest, ties to even, or that below or above. v is not negative.
FORMAT_FUNCTION float rounded_e4m3(float v, enum scale_type type) {
  if (v > 448) return 448;
  uint32_t exponent = float_bits(v) & 0x7F800000u, least = (127u - 6) << 23;
  if (exponent < least) exponent = least;
  float step = float_of_bits(exponent - (3u << 23)), units = v / step;
  float near = (units + 12582912.0f) - 12582912.0f;
  if (type == SCALE_E4M3_FLOOR && near > units) near -= 1;
  if (type == SCALE_E4M3_CEIL && near < units) near += 1;
  return near * step;
}
FORMAT_FUNCTION float nearest_e4m3(float v) { return rounded_e4m3(v, SCALE_E4M3); }
// To the FP8 E4M3 number below or above, at most 448, whose mean over u in [0, 1) is v.
FORMAT_FUNCTION float stochastic_e4m3(float v, float u) {
  float below = rounded_e4m3(v, SCALE_E4M3_FLOOR), above = rounded_e4m3(v, SCALE_E4M3_CEIL);
  return u * (above - below) < v - below ? above : below;
}

// The magnitude with its mantissa rounded to that of elements, halves up; what is not finite stays.
FORMAT_FUNCTION float rounded_to_mantissa(float size, uint32_t even_step) {
  uint32_t bits = float_bits(size);
  return bits >= 0x7F800000u ? size : float_of_bits(bits + even_step);
}

// The float32 that the FP8 scales of a tensor are multiples of (SCALE_E4M3).
FORMAT_FUNCTION float scale_unit_of_tensor(const struct quantizer *quantizer, float tensor_absmax) {
  float unit = tensor_absmax * quantizer->tensor_factor;
  return unit < 1e-30f ? 1e-30f : unit;
}

// `size` is the largest magnitude, the root mean square or the learned scale, as the rule has it.
FORMAT_FUNCTION float scale_value(const struct quantizer *quantizer, float size, float tensor_absmax) {
  float v = quantizer->factor;
  switch (quantizer->rule) {
    case SCALE_ABSMAX:
      if (scale_type_is_of_exponent(quantizer->type)) {
        // OCP's rule, of the magnitude as it is or as it will be in the elements; the exponent may not leave the range
        // of float32.
        size = rounded_to_mantissa(size, quantizer->even_step);
        float power =
            power_of_two(size, SCALE_POWER_FLOOR) * float_of_bits((uint32_t)(127 - quantizer->reach_exponent) << 23);
        if (power < 0x1p-99f) power = 0x1p-99f;  // stays a power of two, above the least scale
        v = quantizer->power_factor * power;
      } else {
        v *= size;
      }
      break;
    case SCALE_RMS:
      v *= size;
      break;
    case SCALE_LEARNED:
      v = size;
      break;
    case SCALE_STATIC:
      break;
  }
  if (v < 1e-30f) v = 1e-30f;  // all zeroes; a NaN continues
  if (scale_type_is_e4m3(quantizer->type)) {
    float unit = scale_unit_of_tensor(quantizer, tensor_absmax);
    v = rounded_e4m3(v / unit, quantizer->type) * unit;
    if (v < 1e-30f) v = 0x1p-9f * unit;  // below the least FP8 number
  } else if (quantizer->type != SCALE_FLOAT &&
             !(quantizer->rule == SCALE_ABSMAX && scale_type_is_of_exponent(quantizer->type))) {
    v = power_of_two(v, quantizer->type);
  }
  return v;
}
