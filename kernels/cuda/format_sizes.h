// The memory of linear layers with formats on a GPU: what is where in a prepared weight and in the workspace.
// Arithmetic alone, in C, so that it can be done without a device. All sizes and offsets are in bytes.
#pragma once
#include "kernels/formats/apply.h"

enum {
  CUDA_SELECT_BINS = 2048,       // of the magnitudes' bits that are counted at once
  CUDA_TIE_BLOCKS = 1024,        // parts of an array whose equal magnitudes are counted apart
  CUDA_FORMAT_GROUP_LEAST = 8,   // scales of groups of that many columns to CUDA_FORMAT_GROUP_MOST, powers of two, are
  CUDA_FORMAT_GROUP_MOST = 256,  // found on the way; of others, in a pass before
};

// Of a weight without a format, `values` alone (0 where the master has the products' dtype: it is used).
struct cuda_weight_layout {
  size_t values;    // [outputs, inputs] in the products' dtype
  size_t backward;  // the same for d_x, where it differs
  size_t mask;      // [outputs, mask_stride(inputs)]
  size_t signs;     // of a random transform over inputs, as bits
  size_t chosen;    // struct tensor_choice of a threshold over all weights
  size_t tables;    // of the grids of the three operands
  size_t native;    // struct cuda_native_weight
  size_t total;
};
struct cuda_weight_layout cuda_weight_layout_of(const struct weight_description *description);

// Floats of a grid's tables, in this order.
struct cuda_table_sizes {
  int64_t levels, edges, points, half_norms;
};
struct cuda_table_sizes cuda_table_sizes_of(const struct grid *grid);

// Offsets into the workspace of one call with that many rows in such windows (struct linear).
struct cuda_format_scratch {
  size_t row_absmax, row_squares, row_sums;  // [longest axis, of the gradients' cut by windows]
  size_t choices;                            // struct row_choice [longest axis]
  size_t unit_scales;                        // of groups that are not found on the way
  size_t statistics;                         // of each window
  size_t signs, chosen, state, counts, ties;
  size_t staged;       // a matrix in float32, transformed ahead of its selection or of its scales
  size_t matrices[4];  // in the products' dtype: gradients and what is represented once more; or their codes
  size_t native_scales[2], native_numbers[2];  // of the two operands of a native product
  size_t product_numbers;
  size_t sums;  // float32 [rows, inputs]: d_x over parts that have scales of their own
  size_t total;
};
// `native` is cuda_native_layer of the description, or NULL: without what native products need, which comes last.
struct native_layer;
struct cuda_format_scratch cuda_format_scratch_of(const struct weight_description *description,
                                                  const struct native_layer *native, int64_t rows, int64_t window);

// Whether scales of groups come from a pass before, and whether selection or scales need the transformed matrix in
// memory.
bool cuda_group_apart(const struct scale *scale, const struct grid *grid);
bool cuda_staged(const struct representation *representation);
