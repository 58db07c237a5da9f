// Which products of a linear layer with a format a GPU can make of encoded operands: one byte (FP8) or half a byte
// (FP4) a value, with scales as cuBLASLt takes them. A grid is encoded in the narrowest type that has all its levels
// (MXFP4, MXFP6 and small integers are numbers of E4M3 too), so that a product of codes is the product of the
// represented values, up to the order of summation. Arithmetic alone, in C: what the device at hand has is asked
// elsewhere (native_products.cuh).
#pragma once
#include "kernels/formats/apply.h"

enum native_type { NATIVE_NONE, NATIVE_E4M3, NATIVE_E5M2, NATIVE_E2M1 };
// What shares a scale, along the axis that is summed over.
enum native_scaling {
  NATIVE_TENSOR,   // one float32
  NATIVE_ROW,      // a float32 for each row
  NATIVE_BLOCK32,  // a power of two (UE8M0) for each 32 values
  NATIVE_BLOCK16   // an E4M3 number (UE4M3) for each 16 values, times one float32 for the tensor
};
struct native_operand {
  enum native_type type;
  enum native_scaling scaling;
  float factor;  // NATIVE_BLOCK32: of the powers of two; else 1
};

// The products, with their operands as cuBLASLt counts them: a's rows are the product's contiguous axis.
enum native_product_kind {
  NATIVE_FORWARD,          // y = x W^T: a is W [outputs, inputs], b is x [rows, inputs]
  NATIVE_INPUT_GRADIENT,   // d_x = d_y W: a is W^T [inputs, outputs], b is d_y [rows, outputs]
  NATIVE_WEIGHT_GRADIENT,  // d_W = d_y^T x: a is x^T [inputs, rows], b is d_y^T [outputs, rows]
  NATIVE_PRODUCTS
};
struct native_product {
  struct native_operand a, b;  // of type NATIVE_NONE both: it is of values
};
struct native_layer {
  struct native_product products[NATIVE_PRODUCTS];
  // d_x is of the prepared weights, transposed; d_W of the saved activations or of those represented once more
  // (ORIGINAL), transposed. Otherwise (REQUANTIZE) both operands of a backward product are represented along its axis
  // when it is made.
  bool turned;
};
struct native_layer cuda_native_layer(const struct weight_description *description);
static inline bool native_there(const struct native_product *product) { return product->a.type != NATIVE_NONE; }
// What the axis that is summed over must be a multiple of, and every other one but b's rows.
int64_t cuda_native_alignment(const struct native_operand *operand);
enum { CUDA_NATIVE_ALIGNMENT = 16 };

// Bytes of an encoded matrix [rows, columns], and of its scales: for blocks, tiles of 128 rows and 4 scales.
enum { CUDA_SCALE_TILE_ROWS = 128, CUDA_SCALE_TILE_COLUMNS = 4 };
int64_t cuda_native_block(const struct native_operand *operand);                           // 1 without blocks
int64_t cuda_native_scale_columns(const struct native_operand *operand, int64_t columns);  // in whole tiles
size_t cuda_native_code_bytes(const struct native_operand *operand, int64_t rows, int64_t columns);
size_t cuda_native_scale_bytes(const struct native_operand *operand, int64_t rows, int64_t columns);
// Float32 scales of rows, or of up to WEIGHT_PARTS tensors, each at a multiple of 16 bytes.
enum { CUDA_NATIVE_NUMBER_STRIDE = 4 };
size_t cuda_native_number_bytes(const struct native_operand *operand, int64_t rows);

// What of it a prepared weight holds next to its values, as sizes in this order.
struct cuda_native_weight {
  size_t codes, scales, numbers;  // for y
  size_t turned, turned_numbers;  // for d_x: [inputs, outputs]
  size_t total;
};
struct cuda_native_weight cuda_native_weight_of(const struct weight_description *description);
