// The CPU device: what the ops of this folder share.
#pragma once
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/level.h"
#include "kernels/ops.h"

struct device {
  int threads;
  const struct cpu_level *level;
  struct gemm_context *gemm;
  void *workspace;  // the caller's
  size_t workspace_bytes;
  struct error error;  // the first failure; later entries do nothing
};

struct weight_format;
struct weight {
  struct weight_description description;
  struct weight_format *format;           // NULL: none
  const float *values, *values_backward;  // float32 operands of forward and input gradient: the master, or what a
                                          // format makes of it
  // In the caller's memory, each NULL where it is not needed: the bfloat16 copy in the master's layout, and the
  // operands of the forward product and of the input gradient in the library's layout.
  void *rounded, *packed_forward, *packed_backward;
  float *widened;          // of a master in bfloat16
  void *rounded_backward;  // of values_backward; mostly `rounded` itself
  bool ready;
};

// device.c
struct device *cpu_open(const struct device_options *options, struct error *error);
void cpu_close(struct device *device);
void cpu_describe(const struct device *device, struct text *out);
void cpu_choices(const struct device *device, struct text *out);
bool cpu_dtype_supported(const struct device *device, enum dtype dtype);
bool cpu_dtype_fast(const struct device *device, enum dtype dtype);
void *cpu_allocate(struct device *device, size_t bytes, struct error *error);
void cpu_free(struct device *device, void *memory);
void cpu_upload(struct device *device, void *to, const void *from_host, size_t bytes);
bool cpu_download(struct device *device, void *to_host, const void *from, size_t bytes, struct error *error);
void cpu_copy(struct device *device, void *to, const void *from, size_t bytes);
void cpu_clear(struct device *device, void *memory, size_t bytes);
bool cpu_synchronize(struct device *device, struct error *error);
void cpu_convert(struct device *device, int64_t count, enum dtype from_dtype, const void *from, enum dtype to_dtype,
                 void *to);
void cpu_set_workspace(struct device *device, void *memory, size_t bytes);
// The workspace, when it holds `bytes`; otherwise the device fails and NULL comes back.
void *device_scratch(struct device *device, size_t bytes, const char *what);
// Runs a pass on the device's threads, unless the device has failed.
void device_run(struct device *device, range_pass *pass, const void *call, int64_t count, int64_t grain);
// Whether all `count` ids are within [0, limit); otherwise the device fails.
bool device_check_ids(struct device *device, const int32_t *ids, int64_t count, int64_t limit, const char *what);

// plan.c
bool cpu_shape_supported(const struct device *device, enum op_kind kind, const struct op_shape *shape,
                         struct error *error);
size_t cpu_workspace_bytes(const struct device *device, enum op_kind kind, const struct op_shape *shape);
int64_t cpu_rows_at_a_time(const struct device *device, enum dtype dtype);
int64_t head_tile_rows(int64_t rows, int64_t vocabulary);
int64_t head_stride(int64_t vocabulary, enum dtype dtype);
int64_t head_logit_rows(int64_t rows, int64_t vocabulary, enum dtype dtype);
size_t head_scratch_bytes(int64_t rows, int64_t vocabulary, enum dtype dtype, bool training);
size_t norm_scratch_bytes(int64_t rows, int64_t width);
size_t optimizer_scratch_bytes(int64_t count);
// What multiplies in attention of this shape: a kernel for bfloat16 where we have one, NULL for float32.
const struct bfloat16_kernel *attention_kernel(const struct device *device, const struct attention *shape);
int64_t attention_scratch_stride(const struct device *device, const struct attention *shape, bool backward);  // floats
// The same of attention over so many keys as shape->context, whose products are in float32.
int64_t attention_cached_scratch(const struct device *device, const struct attention *shape);

// blocks.c
void cpu_embedding_forward(struct device *device, int64_t rows, int64_t width, int64_t vocabulary,
                           const int32_t *tokens, const float *table, float *residual);
void cpu_embedding_backward(struct device *device, int64_t rows, int64_t width, int64_t vocabulary,
                            const int32_t *tokens, const float *d_residual, float *d_table);
void cpu_rmsnorm_forward(struct device *device, int64_t rows, int64_t width, float eps, enum dtype dtype,
                         const float *residual_in, const void *branch, const float *scale, float *residual_out, void *y,
                         float *inverse_rms);
void cpu_rmsnorm_backward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const float *residual,
                          const float *inverse_rms, const float *scale, const void *d_y, const float *d_residual_out,
                          float *d_residual_in, void *d_branch, float *d_scale);
void cpu_rope_table(struct device *device, int64_t context, int64_t head_dim, double theta, float *table);
void cpu_qkv_forward(struct device *device, const struct attention *shape, const void *qkv, const float *table, void *q,
                     void *k, void *v);
void cpu_qkv_backward(struct device *device, const struct attention *shape, const void *d_q, const void *d_k,
                      const void *d_v, const float *table, void *d_qkv);
void cpu_attention_forward(struct device *device, const struct attention *shape, const void *q, const void *k,
                           const void *v, void *o, float *log_sum);
void cpu_attention_cached(struct device *device, const struct attention *shape, const struct attention_cache *cache,
                          const void *q, const void *k, const void *v, void *o, float *log_sum);
void cpu_attention_backward(struct device *device, const struct attention *shape, const void *q, const void *k,
                            const void *v, const void *o, const float *log_sum, const void *d_o, void *d_q, void *d_k,
                            void *d_v);
void cpu_swiglu_forward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                        void *y);
void cpu_swiglu_backward(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                         const void *d_y, void *d_gate_up, void *y);

// linear.c
size_t cpu_weight_bytes(const struct device *device, const struct weight_description *description);
struct weight *cpu_weight_create(struct device *device, const struct weight_description *description, void *memory,
                                 struct error *error);
void cpu_weight_free(struct device *device, struct weight *weight);
void cpu_weight_prepare(struct device *device, struct weight *weight, const void *master, int64_t step);
void cpu_weight_gradient_finish(struct device *device, struct weight *weight, float *d_weight);
void cpu_weight_learned(struct device *device, struct weight *weight, float *values, float *d_values);
void cpu_weights_prune(struct device *device, const struct pruned_weight *weights, int count, int64_t step);  // prune.c
size_t cpu_linear_saved_bytes(const struct device *device, const struct weight_description *description, int64_t rows);
void cpu_linear_forward(struct device *device, const struct linear *linear, const void *x, void *saved, void *y);
void cpu_linear_input_gradient(struct device *device, const struct linear *linear, const void *saved, const void *d_y,
                               void *d_x);
void cpu_linear_weight_gradient(struct device *device, const struct linear *linear, const void *x, const void *saved,
                                const void *d_y, float *d_weight, bool accumulate);
// The three products with a prepared weight, for linear layers and the head. y may be float32 with bfloat16 operands.
// `stride`: elements from row to row of y or d_y; 0 means tight.
void weight_forward(struct device *device, const struct weight *weight, int64_t rows, const void *x, enum dtype y_dtype,
                    void *y, int64_t stride);
void weight_input_gradient(struct device *device, const struct weight *weight, int64_t rows, const void *d_y,
                           int64_t stride, void *d_x);
void weight_gradient(struct device *device, const struct weight *weight, int64_t rows, const void *x, const void *d_y,
                     int64_t stride, float *d_weight, bool accumulate);

// head.c
void cpu_head_loss(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                   const uint8_t *mask, struct loss_sum *sum, float *row_nats, void *d_x, float *d_weight,
                   bool accumulate);
void cpu_head_evaluate(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                       const uint8_t *mask, struct loss_sum *sum, float *row_nats);

// optimizer.c
void cpu_square_sum(struct device *device, const struct tensor_span *spans, int count, double *sum);
void cpu_adamw_step(struct device *device, const struct adamw *adamw, const struct optimizer_tensor *tensors, int count,
                    const double *square_sum);
void cpu_momentum_step(struct device *device, const struct momentum *momentum, const struct optimizer_tensor *tensors,
                       int count, const double *square_sum);
void cpu_fill_normal(struct device *device, float *data, int64_t count, double std, uint64_t seed, uint32_t tensor);
void cpu_fill_constant(struct device *device, float *data, int64_t count, float value);

// orthogonal.c
size_t orthogonal_scratch_bytes(int64_t rows, int64_t columns);
void cpu_orthogonalize(struct device *device, int64_t rows, int64_t columns, int steps, float *x);
void cpu_normalize_rows(struct device *device, int64_t rows, int64_t columns, double beta2, float *v, float *x);

// dct.c
size_t dct_scratch_bytes(int64_t rows, int64_t columns);
void cpu_dct_basis(struct device *device, int64_t rows, int64_t columns, int64_t rank, enum dct_score score,
                   enum dct_path path, const float *x, int32_t *chosen, int32_t *came_from, float *basis);

// matrices.c
void cpu_product(struct device *device, enum gemm_form form, int64_t m, int64_t n, int64_t k, const float *a,
                 const float *b, float *c, bool accumulate);
void cpu_add_losses(struct device *device, int count, const struct loss_sum *parts, struct loss_sum *sum);
void cpu_mix(struct device *device, int64_t count, float *to, float keep, const float *from, float share);
void cpu_gather(struct device *device, int64_t rows, int64_t columns, bool by_column, const int32_t *order,
                const float *from, float *to);
void cpu_rotate_moments(struct device *device, int64_t rank, int64_t count, const float *rotation, double c1, double c2,
                        const float *m, const float *v, float *m_to, float *v_to);
void cpu_orthonormalize(struct device *device, int64_t rank, int64_t side, float *x, const float *by, int32_t *order);
void cpu_eigenvectors(struct device *device, int64_t n, float *x, double exponent, double damping);
