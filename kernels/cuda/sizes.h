// What shapes the CUDA kernels take and the memory they need: arithmetic alone, in C, so that a program without CUDA
// can plan for a GPU.
#pragma once
#include "kernels/ops.h"

enum {
  CUDA_HEAD_DIM_LIMIT = 128,
  CUDA_NORM_WARPS = 8,
  CUDA_SQUARE_BLOCK = 4096,  // elements of a partial sum of squares
  CUDA_SORT_ROWS = 256,      // rows of a block that sorts
  CUDA_SORT_DIGITS = 256,
  CUDA_EMBEDDING_SEGMENT = 64,         // sorted rows that a block adds up by token
  CUDA_PRODUCTS_WORKSPACE = 32 << 20,  // bytes that cuBLASLt may use
  CUDA_GROUP_PIECE = 4 << 20,          // numbers that devices add up at a time
};
// Device memory of a process in addition to what it allocates: the context, the kernels and cuBLASLt's. Between GPUs
// and drivers it is a third to two thirds of this.
#define CUDA_PROCESS_BYTES ((int64_t)768 << 20)

size_t cuda_aligned_bytes(size_t bytes);  // up to DEVICE_ALIGNMENT

// Rows of a partial sum of d_scale: some 256 parts, to fill a GPU, of 8 to 64 rows, so that the sums cost little.
int64_t cuda_norm_part_rows(int64_t rows);
size_t cuda_norm_scratch_bytes(int64_t rows, int64_t width);
size_t cuda_square_scratch_bytes(int64_t count);
size_t cuda_group_scratch_bytes(int64_t count, int64_t ranks);  // of a sum: a piece of every rank
size_t cuda_attention_scratch_bytes(int64_t rows, int64_t heads);

// Elements from one row of logits to the next: whole lines of 128 bytes in bfloat16, so that products and passes over
// rows take wide words whatever the vocabulary.
int64_t cuda_head_lead(int64_t vocabulary);
// Rows of logits at a time. Each tile but the first reads and writes all of the head's weight gradient again, which
// costs about 300 / rows of the time of the tile's products on an H100 (8 bytes against 6 operations a weight and row,
// at 2.6 TB/s and 570 TFLOP/s: an estimate): 2048 rows where their float32 logits take up to 512 MiB, fewer in larger
// vocabularies, more where 64 MiB hold more.
int64_t cuda_head_tile_rows(int64_t rows, int64_t vocabulary);
struct cuda_head_scratch {  // byte offsets into the workspace
  size_t nats, d_logits, end;
};
struct cuda_head_scratch cuda_head_scratch(int64_t rows, int64_t vocabulary, enum dtype dtype, bool training);
struct cuda_orthogonal_scratch {  // from 0 a matrix of the same size; two squares of the smaller side; sums of squares
  size_t product, square, sums, end;
};
struct cuda_orthogonal_scratch cuda_orthogonal_scratch(int64_t rows, int64_t columns);
struct cuda_dct_scratch {  // from 0 a matrix of the same size; all directions; a score and two numbers for each
  size_t all, scores, places, ranks, end;
};
struct cuda_dct_scratch cuda_dct_scratch(int64_t rows, int64_t columns);
struct cuda_sort_scratch {  // parts: of tokens that cross segments of sorted rows
  size_t orders[2], counts, parts, end;
};
struct cuda_sort_scratch cuda_sort_scratch(int64_t rows, int64_t width);

// The ops table's entries of the same names.
size_t cuda_workspace_bytes(const struct device *device, enum op_kind kind, const struct op_shape *shape);
bool cuda_shape_supported(const struct device *device, enum op_kind kind, const struct op_shape *shape,
                          struct error *error);
size_t cuda_weight_bytes(const struct device *device, const struct weight_description *weight);
size_t cuda_linear_saved_bytes(const struct device *device, const struct weight_description *weight, int64_t rows);

// An ops table with these entries alone, for arithmetic on a device that is not open (NULL): named "cuda", with
// everything else NULL.
extern const struct ops cuda_planning_ops;
