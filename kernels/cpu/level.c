// One instruction set level: this file is compiled once for each, with SIMD_LEVEL set and the compiler allowed the
// level's instructions. Nothing but the table leaves it.
#include "kernels/cpu/level.h"

#include "kernels/cpu/pass_attention.h"
#include "kernels/cpu/pass_attention_bfloat16.h"
#include "kernels/cpu/pass_loss.h"
#include "kernels/cpu/pass_memory.h"
#include "kernels/cpu/pass_norm.h"
#include "kernels/cpu/pass_qkv.h"
#include "kernels/cpu/pass_swiglu.h"

#if SIMD_LEVEL == 3
#define LEVEL_TABLE cpu_level_avx512_bf16
#elif SIMD_LEVEL == 2
#define LEVEL_TABLE cpu_level_avx512
#elif SIMD_LEVEL == 1
#define LEVEL_TABLE cpu_level_avx2
#else
#define LEVEL_TABLE cpu_level_portable
#endif

static void attention_forward(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct attention_call *call = argument;
  if (call->kernel)
    attention_bfloat16_forward_pass(call, begin, end, worker);
  else
    attention_forward_pass(call, begin, end, worker);
}

static void attention_backward(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct attention_call *call = argument;
  if (call->kernel)
    attention_bfloat16_backward_pass(call, begin, end, worker);
  else
    attention_backward_pass(call, begin, end, worker);
}

static int64_t attention_scratch(const struct attention *shape, const struct bfloat16_kernel *kernel, bool backward) {
  return kernel ? attention_bfloat16_scratch_floats(shape, kernel, backward)
                : attention_scratch_floats(shape, backward);
}

static void exponential(int64_t count, const float *x, float *y) {
  for (int64_t i = 0; i < count; i += LANES)
    store_as_part(DTYPE_FLOAT32, y, i, vector_exp(load_as_part(DTYPE_FLOAT32, x, i, count - i)), count - i);
}

static void rounded_exponential(int64_t count, const float *x, float *y) {
  for (int64_t i = 0; i < count; i += LANES)
    store_as_part(DTYPE_FLOAT32, y, i, rounded_exp(load_as_part(DTYPE_FLOAT32, x, i, count - i)), count - i);
}

const struct cpu_level LEVEL_TABLE = {
    .isa = (enum isa_level)SIMD_LEVEL,
    .convert = convert_pass,
    .rmsnorm_forward = rmsnorm_forward_pass,
    .rmsnorm_backward = rmsnorm_backward_pass,
    .qkv_forward = qkv_forward_pass,
    .qkv_backward = qkv_backward_pass,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .swiglu_forward = swiglu_forward_pass,
    .swiglu_backward = swiglu_backward_pass,
    .cross_entropy = cross_entropy_pass,
    .embedding_forward = embedding_forward_pass,
    .embedding_backward = embedding_backward_pass,
    .square_sum = square_sum_pass,
    .adamw = adamw_pass,
    .momentum = momentum_pass,
    .sum = sum_pass,
    .attention_scratch = attention_scratch,
    .exponential = exponential,
    .rounded_exponential = rounded_exponential,
};
