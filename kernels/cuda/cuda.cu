// The CUDA backend as one translation unit, for nvcc's start-up is most of the time that a kernel takes to compile, and
// its ops table. emulator/cuda_emulated.cpp is the same for the emulated device.
#include "kernels/cuda/attention_launch.cuh"
#include "kernels/cuda/blocks.cuh"
#include "kernels/cuda/dct.cuh"
#include "kernels/cuda/head.cuh"
#include "kernels/cuda/matrices.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/orthogonal.cuh"

namespace {

constexpr struct ops make_ops(const char *name) {
  struct ops ops = {};
  ops.name = name;
  ops.open = open_device;
  ops.close = close_device;
  ops.describe = describe;
  ops.choices = choices;
  ops.dtype_supported = dtype_supported;
  ops.dtype_fast = dtype_fast;
  ops.shape_supported = cuda_shape_supported;
  ops.allocate = allocate;
  ops.free = free_memory;
  ops.available = available;
  ops.upload = upload;
  ops.download = download;
  ops.copy = copy;
  ops.clear = clear;
  ops.synchronize = synchronize;
  ops.convert = convert;
  ops.workspace_bytes = cuda_workspace_bytes;
  ops.set_workspace = set_workspace;
  ops.repeat_begin = repeat_begin;
  ops.repeat_end = repeat_end;
  ops.repeat_forget = repeat_forget;
  ops.weight_bytes = cuda_weight_bytes;
  ops.weight_create = weight_create;
  ops.weight_free = weight_free;
  ops.weight_learned = weight_learned;
  ops.weights_prune = weights_prune;
  ops.weight_prepare = weight_prepare;
  ops.weight_gradient_finish = weight_gradient_finish;
  ops.linear_saved_bytes = cuda_linear_saved_bytes;
  ops.linear_forward = linear_forward;
  ops.linear_input_gradient = linear_input_gradient;
  ops.linear_weight_gradient = linear_weight_gradient;
  ops.embedding_forward = embedding_forward;
  ops.embedding_backward = embedding_backward;
  ops.rmsnorm_forward = rmsnorm_forward;
  ops.rmsnorm_backward = rmsnorm_backward;
  ops.rope_table = rope_table;
  ops.qkv_forward = qkv_forward;
  ops.qkv_backward = qkv_backward;
  ops.attention_forward = attention_forward;
  ops.attention_backward = attention_backward;
  ops.swiglu_forward = swiglu_forward;
  ops.swiglu_backward = swiglu_backward;
  ops.head_loss = head_loss;
  ops.head_evaluate = head_evaluate;
  ops.square_sum = square_sum;
  ops.adamw_step = adamw_step;
  ops.momentum_step = momentum_step;
  ops.orthogonalize = orthogonalize;
  ops.normalize_rows = normalize_rows;
  ops.product = product;
  ops.mix = mix;
  ops.gather = gather;
  ops.dct_basis = dct_basis;
  ops.rotate_moments = rotate_moments;
  ops.orthonormalize = orthonormalize;
  ops.eigenvectors = eigenvectors;
  ops.fill_normal = fill_normal;
  ops.fill_constant = fill_constant;
  return ops;
}

}  // namespace

// The face to C: see kernels/ops.c for how a program comes to have a backend.
#if defined(ISOLOSS_EMULATED)
extern "C" {
extern const struct ops cuda_emulated_ops;
const struct ops cuda_emulated_ops = make_ops("cuda-emulated");
}
#else
extern "C" {
extern const struct ops cuda_ops;
const struct ops cuda_ops = make_ops("cuda");
}
#endif
