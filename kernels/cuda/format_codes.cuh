// Codes of float grids: a sign bit, exponent bits, mantissa bits, as FP8 (E4M3, E5M2) and FP4 (E2M1) have them in
// memory. Values are on the grid already, so that this is moving bits, on every architecture.
#pragma once
#include "kernels/cuda/format_values.cuh"

namespace {

// The code of a value of the grid; of a NaN all ones.
__device__ __forceinline__ uint32_t float_code(int exponent_bits, int mantissa_bits, float value) {
  int bias = (1 << (exponent_bits - 1)) - 1;
  uint32_t bits = __float_as_uint(value), size = bits & 0x7fffffffu;
  uint32_t sign = (bits >> 31) << (exponent_bits + mantissa_bits);
  if (size > 0x7f800000u) return sign | ((1u << (exponent_bits + mantissa_bits)) - 1);
  uint32_t least = (uint32_t)(127 + 1 - bias) << 23;  // of a normal number
  if (size < least) {
    float units = __uint_as_float(size) * __uint_as_float((uint32_t)(127 + bias - 1 + mantissa_bits) << 23);
    return sign | (uint32_t)units;
  }
  return sign | ((size >> (23 - mantissa_bits)) - ((uint32_t)(127 - bias) << mantissa_bits));
}

// Codes of eight bits of an octet of a row.
__device__ __forceinline__ void store_codes(const struct quantizer &q, device_pointer<grid_code> to, int64_t start,
                                            int64_t column, int64_t columns, bool words, const octet &values) {
  if (column >= columns) return;
  uint32_t halves[2] = {0, 0};
#pragma unroll
  for (int j = 0; j < OCTET; j++) {
    uint32_t code = float_code(q.exponent_bits, q.mantissa_bits, values.at[j]);
    halves[j / 4] |= code << j % 4 * 8;
    if (!words && column + j < columns) to[start + column + j] = grid_code{(uint8_t)code};
  }
  if (words) store_word(to, start + column, uint2{halves[0], halves[1]});
}

}  // namespace
