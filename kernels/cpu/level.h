// The vectorised passes of one instruction set level, and the calls they take. A pass works on a range of its call's
// items (rows, unless said otherwise), so that parallel.h can split it; see kernels/ops.h for what is computed.
#pragma once
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/ops.h"

struct convert_call {  // items: elements
  enum dtype from_dtype, to_dtype;
  const void *from;
  void *to;
};

// Rows per partial sum of d_scale in RMSNorm's backward pass.
#define NORM_BLOCK 128
struct rmsnorm_call {
  int64_t width;
  float eps;
  enum dtype dtype;
  const float *residual_in;
  const void *branch;
  const float *scale;
  float *residual_out;
  void *y;
  float *inverse_rms;
};
struct rmsnorm_backward_call {  // begins at multiples of NORM_BLOCK
  int64_t width;
  enum dtype dtype;
  const float *residual, *inverse_rms, *scale;
  const void *d_y;
  const float *d_residual_out;
  float *d_residual_in;
  void *d_branch;
  float *partial;  // [blocks of NORM_BLOCK rows, width]: sums of d_scale, written
};

struct qkv_call {  // rows
  struct attention shape;
  const float *table;
  void *qkv, *q, *k, *v;
};

struct bfloat16_kernel;  // bfloat16.h
struct bfloat16_packing;
struct attention_call {  // items: forward sequences * heads, backward sequences * kv_heads
  struct attention shape;
  // Forward: the keys that there are, a head's rows in k and v; of attention within the rows both are the context.
  struct attention_cache cache;
  const void *q, *k, *v;
  void *o;
  float *log_sum;
  const void *d_o;
  void *d_q, *d_k, *d_v;
  const struct bfloat16_kernel *kernel;  // of bfloat16 products; NULL: products are in float32
  const struct bfloat16_packing *packing;
  float *scratch;  // per worker, attention_scratch floats each
  int64_t scratch_floats;
};

struct swiglu_call {
  int64_t width;
  enum dtype dtype;
  const void *gate_up;
  void *y;  // backward: may be NULL
  const void *d_y;
  void *d_gate_up;
};

struct cross_entropy_call {    // rows of a tile of logits
  int64_t vocabulary, stride;  // stride: floats between rows of logits
  float *logits;               // becomes d_logits where `gradient`
  const int32_t *targets;
  const uint8_t *mask;  // or NULL
  double *nats;         // per row of the tile: written
  bool gradient;
  float gradient_scale;
  enum dtype gradient_dtype;  // bfloat16: d_logits go to `d_logits`, same stride
  void *d_logits;
};

struct embedding_call {
  int64_t rows, width;
  const int32_t *tokens;
  const float *table;
  float *residual;
};
struct embedding_backward_call {  // items: columns
  int64_t rows, width;
  const int32_t *tokens;
  const float *d_residual;
  float *d_table;
};

// Elements per partial sum of squares.
#define SQUARE_BLOCK 4096
struct square_call {  // items: elements, begins at multiples of SQUARE_BLOCK
  const float *data;
  double *partial;  // [blocks]: written
};
struct optimizer_call {  // items: elements
  float *parameter;
  const float *gradient;
  float *m, *v;
  float gradient_factor, beta1, rest1, beta2, rest2, step_size, decay_factor;
  float inverse_correction2, eps;  // AdamW
  // Momentum: `direction` where there is no parameter; m may be NULL, v is.
  float *direction;
  bool nesterov, sign;
};
struct sum_call {  // items: elements; to += the sum of `count` arrays, `stride` apart, in order
  float *to;
  const float *from;
  int64_t count, stride;
};

struct cpu_level {
  enum isa_level isa;
  range_pass *convert;
  range_pass *rmsnorm_forward, *rmsnorm_backward;
  range_pass *qkv_forward, *qkv_backward;
  range_pass *attention_forward, *attention_backward;
  range_pass *swiglu_forward, *swiglu_backward;
  range_pass *cross_entropy;
  range_pass *embedding_forward, *embedding_backward;
  range_pass *square_sum, *adamw, *momentum, *sum;
  // Floats of scratch per worker; kernel as in the call.
  int64_t (*attention_scratch)(const struct attention *shape, const struct bfloat16_kernel *kernel, bool backward);
  // count exponentials, for tests of their accuracy; of the second kind those of rounded.h.
  void (*exponential)(int64_t count, const float *x, float *y);
  void (*rounded_exponential)(int64_t count, const float *x, float *y);
};

extern const struct cpu_level cpu_level_portable;
#if defined(__x86_64__)
extern const struct cpu_level cpu_level_avx2, cpu_level_avx512, cpu_level_avx512_bf16;
#endif
const struct cpu_level *cpu_level_find(enum isa_level isa);  // of an available level
