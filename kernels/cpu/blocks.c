// The parts of a transformer block around its matrix products: from ops to passes over rows, heads and elements.
#include <math.h>

#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/device.h"

// Rows that one thread takes at least: below this, waking another costs more than it saves.
#define ROW_GRAIN 32

void cpu_embedding_forward(struct device *device, int64_t rows, int64_t width, int64_t vocabulary,
                           const int32_t *tokens, const float *table, float *residual) {
  if (!device_check_ids(device, tokens, rows, vocabulary, "token")) return;
  struct embedding_call call = {.rows = rows, .width = width, .tokens = tokens, .table = table, .residual = residual};
  device_run(device, device->level->embedding_forward, &call, rows, ROW_GRAIN);
}

void cpu_embedding_backward(struct device *device, int64_t rows, int64_t width, int64_t vocabulary,
                            const int32_t *tokens, const float *d_residual, float *d_table) {
  if (!device_check_ids(device, tokens, rows, vocabulary, "token")) return;
  struct embedding_backward_call call = {
      .rows = rows, .width = width, .tokens = tokens, .d_residual = d_residual, .d_table = d_table};
  device_run(device, device->level->embedding_backward, &call, width, 64);
}

void cpu_rmsnorm_forward(struct device *device, int64_t rows, int64_t width, float eps, enum dtype dtype,
                         const float *residual_in, const void *branch, const float *scale, float *residual_out, void *y,
                         float *inverse_rms) {
  struct rmsnorm_call call = {.width = width,
                              .eps = eps,
                              .dtype = dtype,
                              .residual_in = residual_in,
                              .branch = branch,
                              .scale = scale,
                              .residual_out = residual_out,
                              .y = y,
                              .inverse_rms = inverse_rms};
  device_run(device, device->level->rmsnorm_forward, &call, rows, ROW_GRAIN);
}

void cpu_rmsnorm_backward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const float *residual,
                          const float *inverse_rms, const float *scale, const void *d_y, const float *d_residual_out,
                          float *d_residual_in, void *d_branch, float *d_scale) {
  float *partial = device_scratch(device, norm_scratch_bytes(rows, width), "RMSNorm's backward pass");
  if (!partial) return;
  struct rmsnorm_backward_call call = {.width = width,
                                       .dtype = dtype,
                                       .residual = residual,
                                       .inverse_rms = inverse_rms,
                                       .scale = scale,
                                       .d_y = d_y,
                                       .d_residual_out = d_residual_out,
                                       .d_residual_in = d_residual_in,
                                       .d_branch = d_branch,
                                       .partial = partial};
  device_run(device, device->level->rmsnorm_backward, &call, rows, NORM_BLOCK);
  struct sum_call sum = {
      .to = d_scale, .from = partial, .count = (rows + NORM_BLOCK - 1) / NORM_BLOCK, .stride = width};
  device_run(device, device->level->sum, &sum, width, 1024);
}

void cpu_rope_table(struct device *device, int64_t context, int64_t head_dim, double theta, float *table) {
  for (int64_t position = 0; position < context; position++)
    for (int64_t i = 0; i < head_dim / 2; i++) {
      double angle = (double)position * pow(theta, -2.0 * (double)i / (double)head_dim);
      table[position * head_dim + i] = (float)cos(angle);
      table[position * head_dim + head_dim / 2 + i] = (float)sin(angle);
    }
}

void cpu_qkv_forward(struct device *device, const struct attention *shape, const void *qkv, const float *table, void *q,
                     void *k, void *v) {
  // The pass is one code for both directions; forward only reads `qkv`.
  struct qkv_call call = {.shape = *shape, .table = table, .qkv = (void *)(uintptr_t)qkv, .q = q, .k = k, .v = v};
  device_run(device, device->level->qkv_forward, &call, shape->sequences * shape->context, ROW_GRAIN);
}

void cpu_qkv_backward(struct device *device, const struct attention *shape, const void *d_q, const void *d_k,
                      const void *d_v, const float *table, void *d_qkv) {
  struct qkv_call call = {.shape = *shape,
                          .table = table,
                          .qkv = d_qkv,
                          .q = (void *)(uintptr_t)d_q,
                          .k = (void *)(uintptr_t)d_k,
                          .v = (void *)(uintptr_t)d_v};
  device_run(device, device->level->qkv_backward, &call, shape->sequences * shape->context, ROW_GRAIN);
}

static void run_attention(struct device *device, struct attention_call *call, bool backward) {
  if ((call->kernel = attention_kernel(device, &call->shape)))
    call->packing = bfloat16_packing(gemm_bfloat16(device->gemm));
  call->scratch_floats = attention_scratch_stride(device, &call->shape, backward);
  size_t bytes = (size_t)call->scratch_floats * sizeof(float) * (size_t)device->threads;
  if (!(call->scratch = device_scratch(device, bytes, "attention"))) return;
  if (backward)
    device_run(device, device->level->attention_backward, call, call->shape.sequences * call->shape.kv_heads, 1);
  else
    device_run(device, device->level->attention_forward, call, call->shape.sequences * call->shape.heads, 1);
}

void cpu_attention_forward(struct device *device, const struct attention *shape, const void *q, const void *k,
                           const void *v, void *o, float *log_sum) {
  struct attention_call call = {.shape = *shape,
                                .cache = {.capacity = shape->context, .keys = shape->context},
                                .q = q,
                                .k = k,
                                .v = v,
                                .o = o,
                                .log_sum = log_sum};
  run_attention(device, &call, false);
}

// Products are in float32 whatever the type: keys come a few rows of queries at a time.
void cpu_attention_cached(struct device *device, const struct attention *shape, const struct attention_cache *cache,
                          const void *q, const void *k, const void *v, void *o, float *log_sum) {
  struct attention_call call = {.shape = *shape, .cache = *cache, .q = q, .k = k, .v = v, .o = o, .log_sum = log_sum};
  struct attention over = *shape;
  over.context = cache->keys;
  call.scratch_floats = attention_cached_scratch(device, &over);
  size_t bytes = (size_t)call.scratch_floats * sizeof(float) * (size_t)device->threads;
  if (!(call.scratch = device_scratch(device, bytes, "attention over a cache"))) return;
  device_run(device, device->level->attention_forward, &call, shape->sequences * shape->heads, 1);
}

void cpu_attention_backward(struct device *device, const struct attention *shape, const void *q, const void *k,
                            const void *v, const void *o, const float *log_sum, const void *d_o, void *d_q, void *d_k,
                            void *d_v) {
  struct attention_call call = {.shape = *shape,
                                .q = q,
                                .k = k,
                                .v = v,
                                .o = (void *)(uintptr_t)o,
                                .log_sum = (float *)(uintptr_t)log_sum,
                                .d_o = d_o,
                                .d_q = d_q,
                                .d_k = d_k,
                                .d_v = d_v};
  run_attention(device, &call, true);
}

void cpu_swiglu_forward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                        void *y) {
  struct swiglu_call call = {.width = width, .dtype = dtype, .gate_up = gate_up, .y = y};
  device_run(device, device->level->swiglu_forward, &call, rows, ROW_GRAIN);
}

void cpu_swiglu_backward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                         const void *d_y, void *d_gate_up, void *y) {
  struct swiglu_call call = {
      .width = width, .dtype = dtype, .gate_up = gate_up, .y = y, .d_y = d_y, .d_gate_up = d_gate_up};
  device_run(device, device->level->swiglu_backward, &call, rows, ROW_GRAIN);
}
