// What shapes the CPU kernels take, and the scratch they need.
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/linear_format.h"

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

// A tile holds enough rows for the products with its gradients to run well, and few enough for these to stay close.
int64_t head_tile_rows(int64_t rows, int64_t vocabulary) {
  int64_t tile = ((int64_t)1 << 20) / vocabulary / 16 * 16;
  if (tile < 64) tile = 64;
  if (tile > 512) tile = 512;
  return tile < rows ? tile : rows;
}

// Elements from row to row of the logits and their gradients. Rows of bfloat16 ones stand an odd number of cache lines
// apart: at a power of two, as vocabularies are, all rows would fall on the same few sets of the caches.
int64_t head_stride(int64_t vocabulary, enum dtype dtype) {
  return dtype == DTYPE_FLOAT32 ? vocabulary : ((vocabulary + 31) / 32 | 1) * 32;
}

// Float32 gradients replace the logits, so that all of a tile exist; for bfloat16 ones a part of the tile's logits at a
// time stays in L2.
int64_t head_logit_rows(int64_t rows, int64_t vocabulary, enum dtype dtype) {
  int64_t tile = head_tile_rows(rows, vocabulary);
  if (dtype == DTYPE_FLOAT32) return tile;
  int64_t part = ((int64_t)128 << 10) / vocabulary / 16 * 16;
  if (part < 32) part = 32;
  return part < tile ? part : tile;
}

size_t head_scratch_bytes(int64_t rows, int64_t vocabulary, enum dtype dtype, bool training) {
  int64_t tile = head_tile_rows(rows, vocabulary), logits = head_logit_rows(rows, vocabulary, dtype);
  int64_t stride = head_stride(vocabulary, dtype);
  size_t bytes = aligned((size_t)(logits * stride) * sizeof(float)) + aligned((size_t)tile * sizeof(double));
  if (training && dtype != DTYPE_FLOAT32) bytes += aligned((size_t)(tile * stride) * dtype_bytes(dtype));
  return bytes;
}

size_t norm_scratch_bytes(int64_t rows, int64_t width) {
  return (size_t)((rows + NORM_BLOCK - 1) / NORM_BLOCK * width) * sizeof(float);
}

size_t optimizer_scratch_bytes(int64_t count) {
  return (size_t)((count + SQUARE_BLOCK - 1) / SQUARE_BLOCK) * sizeof(double);
}

int64_t attention_scratch_stride(const struct device *device, const struct attention *shape, bool backward) {
  return (device->level->attention_scratch(shape, attention_kernel(device, shape), backward) + 15) / 16 * 16;
}

int64_t attention_cached_scratch(const struct device *device, const struct attention *shape) {
  return (device->level->attention_scratch(shape, NULL, false) + 15) / 16 * 16;
}

const struct bfloat16_kernel *attention_kernel(const struct device *device, const struct attention *shape) {
  const struct bfloat16 *library = shape->dtype == DTYPE_BFLOAT16 ? gemm_bfloat16(device->gemm) : NULL;
  return library ? bfloat16_kernel(library) : NULL;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static struct attention attention_of(const struct op_shape *shape) {
  return (struct attention){.sequences = 1,
                            .context = shape->context,
                            .heads = shape->heads,
                            .kv_heads = shape->kv_heads,
                            .head_dim = shape->head_dim,
                            .dtype = shape->dtype};
}

size_t cpu_workspace_bytes(const struct device *device, enum op_kind kind, const struct op_shape *shape) {
  struct attention attention = attention_of(shape);
  switch (kind) {
    case OP_RMSNORM:
      return shape->training ? norm_scratch_bytes(shape->rows, shape->width) : 0;
    case OP_ATTENTION:
      return larger((size_t)attention_scratch_stride(device, &attention, shape->training),
                    (size_t)attention_cached_scratch(device, &attention)) *
             sizeof(float) * (size_t)device->threads;
    case OP_HEAD:
      return head_scratch_bytes(shape->rows, shape->vocabulary, shape->dtype, shape->training);
    case OP_OPTIMIZER:
      return optimizer_scratch_bytes(shape->rows);
    case OP_ORTHOGONALIZE:
      return larger(orthogonal_scratch_bytes(shape->rows, shape->width), dct_scratch_bytes(shape->rows, shape->width));
    case OP_GROUP:
    case OP_EMBEDDING:
    case OP_QKV:
    case OP_SWIGLU:
      return 0;
    case OP_LINEAR:
      if (!shape->weight || format_is_none(shape->weight->format)) return 0;
      return weight_format_workspace(shape->weight, shape->rows, shape->context, device->threads);
  }
  return 0;
}

// So many rows of an MLP's hidden values fit into the second cache at widths of a few hundred.
int64_t cpu_rows_at_a_time(const struct device *device, enum dtype dtype) {
  return gemm_rows_stand_alone(device->gemm, dtype) ? 256 * device->threads : 0;
}

bool cpu_shape_supported(const struct device *device, enum op_kind kind, const struct op_shape *shape,
                         struct error *error) {
  if (kind == OP_LINEAR && shape->weight && !format_is_none(shape->weight->format))
    return format_check_shape(shape->weight->format, shape->weight->outputs, shape->weight->inputs,
                              shape->context > 0 ? shape->context : shape->rows, error);
  if (kind != OP_QKV && kind != OP_ATTENTION) return true;
  if (shape->head_dim < 2 || shape->head_dim > 256 || shape->head_dim % 2)
    return error_set(error, EXIT_USAGE_ERROR, "head dimension %lld: must be even, 2 to 256",
                     (long long)shape->head_dim);
  if (shape->kv_heads < 1 || shape->heads < shape->kv_heads || shape->heads % shape->kv_heads)
    return error_set(error, EXIT_USAGE_ERROR, "%lld key heads must divide %lld query heads", (long long)shape->kv_heads,
                     (long long)shape->heads);
  return true;
}
