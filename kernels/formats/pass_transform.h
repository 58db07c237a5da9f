// The orthonormal Hadamard transform of blocks of a row, in place, and what moves whole matrices: transforms with signs
// and masks, transposition.
#pragma once
#include "kernels/cpu/simd.h"
#include "kernels/formats/quantize.h"

// The lanes of a vector in another order. gcc 11 has no __builtin_shufflevector, clang no __builtin_shuffle.
#if defined(__clang__)
#define SWAPPED(a, ...) __builtin_shufflevector(a, a, __VA_ARGS__)
#else
#define SWAPPED(a, ...) __builtin_shuffle(a, (vint){__VA_ARGS__})
#endif

// Neighbours at a distance within a vector change places.
INLINE vfloat swap_1(vfloat a) {
#if LANES == 16
  return SWAPPED(a, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
#elif LANES == 8
  return SWAPPED(a, 1, 0, 3, 2, 5, 4, 7, 6);
#else
  return SWAPPED(a, 1, 0, 3, 2);
#endif
}

INLINE vfloat swap_2(vfloat a) {
#if LANES == 16
  return SWAPPED(a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
#elif LANES == 8
  return SWAPPED(a, 2, 3, 0, 1, 6, 7, 4, 5);
#else
  return SWAPPED(a, 2, 3, 0, 1);
#endif
}
#if LANES >= 8
INLINE vfloat swap_4(vfloat a) {
#if LANES == 16
  return SWAPPED(a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
#else
  return SWAPPED(a, 4, 5, 6, 7, 0, 1, 2, 3);
#endif
}
#endif
#if LANES >= 16
INLINE vfloat swap_8(vfloat a) { return SWAPPED(a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7); }
#endif

// (a, b) -> (a + b, a - b) for pairs at a distance: the partner, plus the value with its sign changed in second places.
INLINE vfloat butterfly(vfloat value, vfloat partner, int distance) {
  vuint sign;
  for (int lane = 0; lane < LANES; lane++) sign[lane] = lane & distance ? 0x80000000u : 0;
  return partner + (vfloat)((vuint)value ^ sign);
}

// One vector: all distances below both the block and the vector's length.
INLINE vfloat hadamard_vector(vfloat value, int block) {
  if (block > 1) value = butterfly(value, swap_1(value), 1);
  if (block > 2) value = butterfly(value, swap_2(value), 2);
#if LANES >= 8
  if (block > 4) value = butterfly(value, swap_4(value), 4);
#endif
#if LANES >= 16
  if (block > 8) value = butterfly(value, swap_8(value), 8);
#endif
  return value;
}

// Up to 16 vectors stay in registers; `block` is a constant where this is expanded.
INLINE void hadamard_block_in_registers(float *x, int block, float scale) {
  enum { MOST = 16 };
  vfloat values[MOST];
  int vectors = block / LANES;
  for (int i = 0; i < vectors; i++) values[i] = hadamard_vector(load(x + i * LANES), block);
  for (int distance = 1; distance < vectors; distance *= 2)
    for (int i = 0; i < vectors; i++)
      if (!(i & distance)) {
        vfloat a = values[i], b = values[i + distance];
        values[i] = a + b;
        values[i + distance] = a - b;
      }
  for (int i = 0; i < vectors; i++) store(x + i * LANES, values[i] * scale);
}

INLINE void hadamard_blocks(float *x, int64_t columns, int block, float scale) {
  for (int64_t at = 0; at < columns; at += block) hadamard_block_in_registers(x + at, block, scale);
}

// columns is a multiple of block; x has room up to the next multiple of LANES.
static void hadamard_row(float *x, int64_t columns, int block) {
  float scale = 1 / __builtin_sqrtf((float)block);
  switch (block) {
    case 1:
      return;
    case 16:
      hadamard_blocks(x, columns, 16, scale);
      return;
    case 32:
      hadamard_blocks(x, columns, 32, scale);
      return;
    case 64:
      hadamard_blocks(x, columns, 64, scale);
      return;
    case 128:
      if (LANES >= 8) {
        hadamard_blocks(x, columns, 128, scale);
        return;
      }
      break;
    case 256:
      if (LANES >= 16) {
        hadamard_blocks(x, columns, 256, scale);
        return;
      }
      break;
    default:
      break;
  }
  for (int64_t i = 0; i < columns; i += LANES) store(x + i, hadamard_vector(load(x + i), block) * scale);
  for (int distance = LANES; distance < block; distance *= 2)
    for (int64_t at = 0; at < columns; at += 2 * distance)
      for (int64_t i = at; i < at + distance; i += LANES) {
        vfloat a = load(x + i), b = load(x + i + distance);
        store(x + i, a + b);
        store(x + i + distance, a - b);
      }
}

INLINE void load_row(float *x, enum dtype dtype, const void *from, int64_t first, int64_t columns) {
  int64_t i = 0;
  if (dtype == DTYPE_FLOAT32)
    for (; i < columns; i += LANES) store(x + i, load_as_part(DTYPE_FLOAT32, from, first + i, columns - i));
  else
    for (; i < columns; i += LANES) store(x + i, load_as_part(DTYPE_BFLOAT16, from, first + i, columns - i));
}

INLINE void store_row(const float *x, enum dtype dtype, void *to, int64_t first, int64_t columns) {
  int64_t i = 0;
  if (dtype == DTYPE_FLOAT32)
    for (; i < columns; i += LANES) store_as_part(DTYPE_FLOAT32, to, first + i, load(x + i), columns - i);
  else
    for (; i < columns; i += LANES) store_as_part(DTYPE_BFLOAT16, to, first + i, load(x + i), columns - i);
}

INLINE void apply_signs(float *x, const uint32_t *signs, int64_t columns) {
  for (int64_t i = 0; i < columns; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    bits ^= signs[i];
    memcpy(x + i, &bits, sizeof bits);
  }
}

static void transform_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct transform_call *call = argument;
  float *x = call->scratch + worker * quantize_scratch(call->columns);
  for (int64_t row = begin; row < end; row++) {
    load_row(x, call->from_dtype, call->from, row * call->columns, call->columns);
    if (call->signs) apply_signs(x, call->signs, call->columns);
    hadamard_row(x, call->columns, call->block);
    store_row(x, call->to_dtype, call->to, row * call->columns, call->columns);
  }
}

// Zeroes where mask bits are 0.
INLINE void apply_mask(float *x, const uint8_t *mask, int64_t columns) {
#if SIMD_LEVEL == 2
  for (int64_t i = 0; i < columns; i += LANES) {
    unsigned bits = mask[i / 8];
    if (i + 8 < columns) bits |= (unsigned)mask[i / 8 + 1] << 8;
    store(x + i, (vfloat)_mm512_maskz_mov_ps((__mmask16)bits, (__m512)load(x + i)));
  }
#else
  for (int64_t i = 0; i < columns; i += 8)
    for (int64_t j = i; j < i + 8 && j < columns; j++) x[j] = mask[i / 8] >> (j - i) & 1 ? x[j] : 0;
#endif
}

static void inverse_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct transform_call *call = argument;
  float *x = call->scratch + worker * quantize_scratch(call->columns);
  for (int64_t row = begin; row < end; row++) {
    load_row(x, call->from_dtype, call->from, row * call->columns, call->columns);
    if (call->mask) apply_mask(x, call->mask + row * mask_stride(call->columns), call->columns);
    hadamard_row(x, call->columns, call->block);
    if (call->signs) apply_signs(x, call->signs, call->columns);
    store_row(x, call->to_dtype, call->to, row * call->columns, call->columns);
  }
}

// Sixteen by sixteen elements at a time, so that both sides are read and written by cache lines.
INLINE void transpose_rows(const struct transpose_call *call, size_t size, int64_t begin, int64_t end) {
  enum { TILE = 16 };
  const char *from = call->from;
  char *to = call->to;
  for (int64_t i = begin; i < end; i += TILE)
    for (int64_t j = 0; j < call->rows; j += TILE) {
      int64_t i_end = i + TILE < end ? i + TILE : end, j_end = j + TILE < call->rows ? j + TILE : call->rows;
      for (int64_t a = i; a < i_end; a++)
        for (int64_t b = j; b < j_end; b++)
          memcpy(to + (size_t)(a * call->rows + b) * size, from + (size_t)(b * call->columns + a) * size, size);
    }
}

static void transpose_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct transpose_call *call = argument;
  if (call->dtype == DTYPE_FLOAT32)
    transpose_rows(call, 4, begin, end);
  else
    transpose_rows(call, 2, begin, end);
}
