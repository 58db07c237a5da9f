// What shapes the CUDA kernels take, and the scratch they need.
#pragma once
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/norm.cuh"
#include "kernels/cuda/optimizer.cuh"
#include "kernels/cuda/sort.cuh"

namespace {

constexpr int64_t HEAD_DIM_LIMIT = 128;

// Enough rows for the products to fill a GPU, and yet a tile of logits of about 64 MiB, near what large ones have in
// L2.
inline int64_t head_tile_rows(int64_t rows, int64_t vocabulary) {
  int64_t tile = ((int64_t)16 << 20) / vocabulary / 128 * 128;
  if (tile < 256) tile = 256;
  return tile < rows ? tile : rows;
}
struct head_scratch {  // byte offsets into the workspace
  size_t nats, d_logits, end;
};
inline head_scratch head_scratch_of(int64_t rows, int64_t vocabulary, enum dtype dtype, bool training) {
  size_t tile = (size_t)head_tile_rows(rows, vocabulary);
  head_scratch s;
  s.nats = aligned_bytes(tile * (size_t)vocabulary * sizeof(float));
  s.d_logits = s.nats + aligned_bytes(tile * sizeof(double));
  s.end = s.d_logits;
  if (training && dtype != DTYPE_FLOAT32) s.end += aligned_bytes(tile * (size_t)vocabulary * dtype_bytes(dtype));
  return s;
}
inline size_t norm_scratch_bytes(int64_t rows, int64_t width) {
  return (size_t)(ceil_div(rows, norm_part_rows(rows)) * width) * sizeof(float);
}
struct sort_scratch {  // byte offsets into the workspace
  size_t orders[2], counts, end;
};
inline sort_scratch sort_scratch_of(int64_t rows) {
  size_t order = aligned_bytes((size_t)rows * sizeof(int32_t));
  sort_scratch s = {{0, order}, 2 * order, 0};
  s.end = s.counts + aligned_bytes((size_t)(ceil_div(rows, SORT_THREADS) * SORT_DIGITS) * sizeof(int32_t));
  return s;
}
inline size_t square_scratch_bytes(int64_t count) { return (size_t)ceil_div(count, SQUARE_BLOCK) * sizeof(double); }
inline size_t attention_scratch_bytes(int64_t rows, int64_t heads) { return (size_t)(rows * heads) * sizeof(float); }

size_t workspace_bytes(const struct device *, enum op_kind kind, const struct op_shape *shape) {
  switch (kind) {
    case OP_RMSNORM:
      return shape->training ? norm_scratch_bytes(shape->rows, shape->width) : 0;
    case OP_ATTENTION:
      return shape->training ? attention_scratch_bytes(shape->rows, shape->heads) : 0;
    case OP_HEAD:
      return head_scratch_of(shape->rows, shape->vocabulary, shape->dtype, shape->training).end;
    case OP_OPTIMIZER:
      return square_scratch_bytes(shape->rows);
    case OP_EMBEDDING:
      return shape->training && shape->vocabulary > SORT_VOCABULARY ? sort_scratch_of(shape->rows).end : 0;
    case OP_QKV:
    case OP_SWIGLU:
    case OP_LINEAR:
      return 0;
  }
  return 0;
}

bool shape_supported(const struct device *, enum op_kind kind, const struct op_shape *shape, struct error *error) {
  if (kind == OP_LINEAR && shape->weight && !format_is_none(shape->weight->format))
    return error_set(error, EXIT_USAGE_ERROR, "the CUDA backend has no format but none");
  if (kind == OP_EMBEDDING && shape->vocabulary > 0x7fffffff)
    return error_set(error, EXIT_USAGE_ERROR, "a vocabulary of %lld: must be below 2^31", (long long)shape->vocabulary);
  if (kind != OP_QKV && kind != OP_ATTENTION) return true;
  if (shape->head_dim < 2 || shape->head_dim > HEAD_DIM_LIMIT || shape->head_dim % 2)
    return error_set(error, EXIT_USAGE_ERROR, "head dimension %lld: must be even, 2 to %lld on CUDA",
                     (long long)shape->head_dim, (long long)HEAD_DIM_LIMIT);
  if (shape->kv_heads < 1 || shape->heads < shape->kv_heads || shape->heads % shape->kv_heads)
    return error_set(error, EXIT_USAGE_ERROR, "%lld key heads must divide %lld query heads", (long long)shape->kv_heads,
                     (long long)shape->heads);
  if (shape->context > 0 && shape->rows / shape->context * shape->heads > 65535)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%lld sequences of %lld heads in a micro-batch: CUDA takes 65535 pairs; raise train.accumulation",
                     (long long)(shape->rows / shape->context), (long long)shape->heads);
  return true;
}

}  // namespace
