// See sizes.h.
#include "kernels/cuda/sizes.h"

#include "kernels/cuda/format_sizes.h"
#include "kernels/cuda/native_sizes.h"

size_t cuda_aligned_bytes(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }
static int64_t parts_of(int64_t count, int64_t part) { return (count + part - 1) / part; }

int64_t cuda_norm_part_rows(int64_t rows) {
  int64_t part = parts_of(rows, 256);
  return part < CUDA_NORM_WARPS ? CUDA_NORM_WARPS : part > 64 ? 64 : part;
}

size_t cuda_norm_scratch_bytes(int64_t rows, int64_t width) {
  return (size_t)(parts_of(rows, cuda_norm_part_rows(rows)) * width) * sizeof(float);
}

size_t cuda_square_scratch_bytes(int64_t count) { return (size_t)parts_of(count, CUDA_SQUARE_BLOCK) * sizeof(double); }
size_t cuda_group_scratch_bytes(int64_t count, int64_t ranks) {
  int64_t piece = count < CUDA_GROUP_PIECE ? parts_of(count, 64) * 64 : CUDA_GROUP_PIECE;
  return (size_t)(piece * ranks) * sizeof(float);
}
size_t cuda_attention_scratch_bytes(int64_t rows, int64_t heads) { return (size_t)(rows * heads) * sizeof(float); }

int64_t cuda_head_lead(int64_t vocabulary) { return parts_of(vocabulary, 64) * 64; }

int64_t cuda_head_tile_rows(int64_t rows, int64_t vocabulary) {
  int64_t small = ((int64_t)16 << 20) / vocabulary / 128 * 128, large = ((int64_t)128 << 20) / vocabulary / 128 * 128;
  int64_t tile = large < 2048 ? large : 2048;
  if (tile < small) tile = small;
  if (tile < 256) tile = 256;
  return tile < rows ? tile : rows;
}

struct cuda_head_scratch cuda_head_scratch(int64_t rows, int64_t vocabulary, enum dtype dtype, bool training) {
  size_t tile = (size_t)cuda_head_tile_rows(rows, vocabulary), lead = (size_t)cuda_head_lead(vocabulary);
  struct cuda_head_scratch s = {0};
  s.nats = cuda_aligned_bytes(tile * lead * sizeof(float));
  s.d_logits = s.nats + cuda_aligned_bytes(tile * sizeof(double));
  s.end = s.d_logits;
  if (training && dtype != DTYPE_FLOAT32) s.end += cuda_aligned_bytes(tile * lead * dtype_bytes(dtype));
  return s;
}

struct cuda_orthogonal_scratch cuda_orthogonal_scratch(int64_t rows, int64_t columns) {
  int64_t side = rows < columns ? rows : columns, blocks = parts_of(rows * columns, CUDA_SQUARE_BLOCK);
  size_t square = cuda_aligned_bytes((size_t)(side * side) * sizeof(float));
  struct cuda_orthogonal_scratch s = {.product = cuda_aligned_bytes((size_t)(rows * columns) * sizeof(float))};
  s.square = s.product + square;
  s.sums = s.square + square;
  s.end = s.sums + (size_t)((blocks > 2 * rows ? blocks : 2 * rows) + 2) * sizeof(double);
  return s;
}

struct cuda_dct_scratch cuda_dct_scratch(int64_t rows, int64_t columns) {
  int64_t side = rows < columns ? rows : columns;
  struct cuda_dct_scratch s = {.all = cuda_aligned_bytes((size_t)(rows * columns) * sizeof(float))};
  s.scores = s.all + cuda_aligned_bytes((size_t)(side * side) * sizeof(float));
  s.places = s.scores + cuda_aligned_bytes((size_t)side * sizeof(double));
  s.ranks = s.places + cuda_aligned_bytes((size_t)side * sizeof(int32_t));
  s.end = s.ranks + (size_t)side * sizeof(int32_t);
  return s;
}

struct cuda_sort_scratch cuda_sort_scratch(int64_t rows, int64_t width) {
  size_t order = cuda_aligned_bytes((size_t)rows * sizeof(int32_t));
  struct cuda_sort_scratch s = {.orders = {0, order}, .counts = 2 * order};
  s.parts =
      s.counts + cuda_aligned_bytes((size_t)(parts_of(rows, CUDA_SORT_ROWS) * CUDA_SORT_DIGITS) * sizeof(int32_t));
  s.end = s.parts + (size_t)(parts_of(rows, CUDA_EMBEDDING_SEGMENT) * 2 * width) * sizeof(float);
  return s;
}

size_t cuda_workspace_bytes(const struct device *device, enum op_kind kind, const struct op_shape *shape) {
  switch (kind) {
    case OP_RMSNORM:
      return shape->training ? cuda_norm_scratch_bytes(shape->rows, shape->width) : 0;
    case OP_ATTENTION:
      return shape->training ? cuda_attention_scratch_bytes(shape->rows, shape->heads) : 0;
    case OP_HEAD:
      return cuda_head_scratch(shape->rows, shape->vocabulary, shape->dtype, shape->training).end;
    case OP_OPTIMIZER:
      return cuda_square_scratch_bytes(shape->rows);
    case OP_ORTHOGONALIZE: {
      size_t orthogonal = cuda_orthogonal_scratch(shape->rows, shape->width).end;
      size_t dct = cuda_dct_scratch(shape->rows, shape->width).end;
      return dct > orthogonal ? dct : orthogonal;
    }
    case OP_EMBEDDING:
      return shape->training ? cuda_sort_scratch(shape->rows, shape->width).end : 0;
    case OP_GROUP:
      return shape->ranks > 1 ? cuda_group_scratch_bytes(shape->rows, shape->ranks) : 0;
    case OP_QKV:
    case OP_SWIGLU:
      return 0;
    case OP_LINEAR: {
      if (!shape->weight || format_is_none(shape->weight->format)) return 0;
      struct native_layer native = cuda_native_layer(shape->weight);
      return cuda_format_scratch_of(shape->weight, &native, shape->rows, shape->context).total;
    }
  }
  return 0;
}

bool cuda_shape_supported(const struct device *device, enum op_kind kind, const struct op_shape *shape,
                          struct error *error) {
  if (kind == OP_LINEAR && shape->weight && !format_is_none(shape->weight->format))
    return format_check_shape(shape->weight->format, shape->weight->outputs, shape->weight->inputs,
                              shape->context > 0 ? shape->context : shape->rows, error);
  if (kind == OP_EMBEDDING && shape->vocabulary > 0x7fffffff)
    return error_set(error, EXIT_USAGE_ERROR, "a vocabulary of %lld: must be below 2^31", (long long)shape->vocabulary);
  if (kind == OP_EMBEDDING && shape->rows > 0x7fffffff)
    return error_set(error, EXIT_USAGE_ERROR, "%lld tokens in a micro-batch: must be below 2^31; raise %s",
                     (long long)shape->rows, "train.accumulation");
  if (kind != OP_QKV && kind != OP_ATTENTION) return true;
  if (shape->head_dim < 2 || shape->head_dim > CUDA_HEAD_DIM_LIMIT || shape->head_dim % 2)
    return error_set(error, EXIT_USAGE_ERROR, "model.head_dim %lld: must be even, 2 to %d on CUDA",
                     (long long)shape->head_dim, CUDA_HEAD_DIM_LIMIT) ||
           error_about(error, "model.head_dim", NULL);
  if (shape->kv_heads < 1 || shape->heads < shape->kv_heads || shape->heads % shape->kv_heads)
    return error_set(error, EXIT_USAGE_ERROR, "%lld key heads must divide %lld query heads", (long long)shape->kv_heads,
                     (long long)shape->heads);
  if (shape->context > 0 && shape->rows / shape->context * shape->heads > 65535)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%lld sequences of %lld heads in a micro-batch: CUDA takes 65535 pairs; raise train.accumulation",
                     (long long)(shape->rows / shape->context), (long long)shape->heads) ||
           error_about(error, "train.accumulation", NULL);
  return true;
}

size_t cuda_weight_bytes(const struct device *device, const struct weight_description *w) {
  return cuda_weight_layout_of(w).total;
}

size_t cuda_linear_saved_bytes(const struct device *device, const struct weight_description *w, int64_t rows) {
  if (format_is_none(w->format)) return 0;
  struct arena arena = {0};
  struct error error = {0};
  struct linear_format plan;
  size_t bytes = 0;
  if (linear_format_make(&plan, w, &arena, &error)) bytes = linear_format_saved(&plan, rows, w->dtype).total;
  arena_free(&arena);
  return bytes;
}

static bool any_dtype(const struct device *device, enum dtype dtype) { return true; }

const struct ops cuda_planning_ops = {
    .name = "cuda",
    .dtype_supported = any_dtype,
    .dtype_fast = any_dtype,
    .shape_supported = cuda_shape_supported,
    .workspace_bytes = cuda_workspace_bytes,
    .weight_bytes = cuda_weight_bytes,
    .linear_saved_bytes = cuda_linear_saved_bytes,
};
