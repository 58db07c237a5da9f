// The store form of native products: levels of a grid as FP8 or FP4 codes, and scales where cuBLASLt looks for them. A
// level is a number of its type, so that encoding rounds nothing. See native_sizes.h.
#pragma once
#include "kernels/cuda/format_values.cuh"

namespace {

// The code of a number with that many bits of exponent and mantissa that has one; NaN is all ones (E2M1 has none, and
// its NaN are in the scales).
__device__ __forceinline__ uint32_t code_of_level(float level, int exponent_bits, int mantissa_bits) {
  int bias = (1 << (exponent_bits - 1)) - 1;
  uint32_t bits = __float_as_uint(level), size = bits & 0x7fffffffu, least = (uint32_t)(127 + 1 - bias) << 23;
  uint32_t code = (size >> (23 - mantissa_bits)) - ((uint32_t)(127 - bias) << mantissa_bits);
  // Below the least normal number codes are multiples of 2^(1 - bias - mantissa_bits).
  if (size < least) code = (uint32_t)(magnitude(level) * __uint_as_float((uint32_t)(126 + bias + mantissa_bits) << 23));
  uint32_t all = (1u << (exponent_bits + mantissa_bits)) - 1;
  if (size > 0x7f800000u) code = all;
  return (code & all) | bits >> 31 << (exponent_bits + mantissa_bits);
}

// Where the scale of a block is: 128 rows by 4 scales make a tile of 512 bytes, rows 32 apart side by side; tiles
// stand by rows (cuBLAS, "1D Block Scaling Factors Layout").
__device__ __forceinline__ int64_t scale_place(int64_t row, int64_t block, int64_t scale_columns) {
  int64_t tile =
      row / CUDA_SCALE_TILE_ROWS * (scale_columns / CUDA_SCALE_TILE_COLUMNS) + block / CUDA_SCALE_TILE_COLUMNS;
  int inside = (int)(row % CUDA_SCALE_TILE_ROWS);
  return tile * (CUDA_SCALE_TILE_ROWS * CUDA_SCALE_TILE_COLUMNS) + inside % 32 * 16 + inside / 32 * 4 +
         block % CUDA_SCALE_TILE_COLUMNS;
}

// Codes of columns column .. column + 7; rows are whole octets.
__device__ __forceinline__ void store_codes(const native_operand &native, device_pointer<uint8_t> codes, int64_t row,
                                            int64_t column, int64_t columns, const octet &levels) {
  if (column >= columns) return;
  uint32_t low = 0, high = 0;
  if (native.type == NATIVE_E2M1) {
#pragma unroll
    for (int j = 0; j < OCTET; j++) low |= code_of_level(levels.at[j], 2, 1) << 4 * j;
    store_word(codes, (row * columns + column) / 2, low);
    return;
  }
  int exponent_bits = native.type == NATIVE_E4M3 ? 4 : 5;
#pragma unroll
  for (int j = 0; j < OCTET / 2; j++) {
    low |= code_of_level(levels.at[j], exponent_bits, 7 - exponent_bits) << 8 * j;
    high |= code_of_level(levels.at[j + OCTET / 2], exponent_bits, 7 - exponent_bits) << 8 * j;
  }
  store_word(codes, row * columns + column, word_pair(low, high));
}

// The scale of the octet at `column`, by the thread that comes first in what shares it; `first`: in its window, which
// has a number of its own.
__device__ __forceinline__ void store_scale(const native_operand &native, const struct quantizer &q,
                                            device_pointer<uint8_t> scales, device_pointer<float> numbers, int64_t row,
                                            int64_t column, int64_t columns, float scale, float tensor_absmax,
                                            bool first, int64_t window) {
  if (native.scaling == NATIVE_ROW) {
    if (column == 0) numbers[row] = scale;
    return;
  }
  if (native.scaling == NATIVE_TENSOR) {
    if (first) numbers[window * CUDA_NATIVE_NUMBER_STRIDE] = scale;
    return;
  }
  bool by_power = native.scaling == NATIVE_BLOCK32;
  int block = by_power ? 32 : 16;
  if (column >= columns || column % block) return;
  int64_t blocks = (columns + block - 1) / block;
  int64_t scale_columns = (blocks + CUDA_SCALE_TILE_COLUMNS - 1) / CUDA_SCALE_TILE_COLUMNS * CUDA_SCALE_TILE_COLUMNS;
  uint32_t code;
  if (by_power) {
    code = __float_as_uint(scale / native.factor) >> 23;  // infinity and NaN are NaN
  } else {
    float unit = scale_unit_of_tensor(&q, tensor_absmax);
    code = code_of_level(nearest_e4m3(scale / unit), 4, 3);
    if (first) numbers[window * CUDA_NATIVE_NUMBER_STRIDE] = unit;
  }
  scales[scale_place(row, column / block, scale_columns)] = (uint8_t)code;
}

// What a product of tensors with numbers of their own is multiplied by, and what it is added to with: alpha, and 0 and
// 1 to choose beta from. One thread.
__global__ void __launch_bounds__(WARP_THREADS)
    product_numbers_kernel(device_pointer<const float> a, device_pointer<const float> b, device_pointer<float> out) {
  if (threadIdx.x) return;
  out[0] = a[0] * b[0];
  out[1] = 0;
  out[2] = 1;
}

}  // namespace
