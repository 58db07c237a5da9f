// The CUDA backend as one translation unit, for nvcc's start-up is most of the time that a kernel takes to compile, and
// its ops table. emulator/cuda_emulated.cpp is the same for the emulated device.
#include "kernels/cuda/attention_launch.cuh"
#include "kernels/cuda/blocks.cuh"
#include "kernels/cuda/dct.cuh"
#include "kernels/cuda/group_sum.cuh"
#include "kernels/cuda/head.cuh"
#include "kernels/cuda/matrices.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/orthogonal.cuh"
#include "kernels/cuda/timing.cuh"

namespace {

// An entry of the table that reaches the runtime: on the thread that calls, the device's own GPU is the current one.
template <auto ENTRY>
struct on_device;
template <class Result, class... A, Result (*ENTRY)(struct device *, A...)>
struct on_device<ENTRY> {
  static Result call(struct device *device, A... arguments) {
    use_device(device);
    return ENTRY(device, arguments...);
  }
};

constexpr struct ops make_ops(const char *name) {
  struct ops ops = {};
  ops.name = name;
  ops.present = device_present;
  ops.open = open_device;
  ops.close = on_device<close_device>::call;
  ops.describe = describe;
  ops.choices = choices;
  ops.dtype_supported = dtype_supported;
  ops.dtype_fast = dtype_fast;
  ops.shape_supported = cuda_shape_supported;
  ops.allocate = on_device<allocate>::call;
  ops.free = on_device<free_memory>::call;
  ops.available = on_device<available>::call;
  ops.upload = on_device<upload>::call;
  ops.download = on_device<download>::call;
  ops.copy = on_device<copy>::call;
  ops.clear = on_device<clear>::call;
  ops.synchronize = on_device<synchronize>::call;
  ops.mark = on_device<mark>::call;
  ops.between = on_device<between>::call;
  ops.product_peak = on_device<product_peak>::call;
  ops.convert = on_device<convert>::call;
  ops.workspace_bytes = cuda_workspace_bytes;
  ops.set_workspace = on_device<set_workspace>::call;
  ops.repeat_begin = on_device<repeat_begin>::call;
  ops.repeat_end = on_device<repeat_end>::call;
  ops.repeat_forget = on_device<repeat_forget>::call;
  ops.group_open = group_open;
  ops.group_close = group_close;
  ops.group_leave = on_device<group_leave>::call;
  ops.group_sum = on_device<group_sum>::call;
  ops.group_gather = on_device<group_gather>::call;
  ops.add_losses = on_device<add_losses>::call;
  ops.weight_bytes = cuda_weight_bytes;
  ops.weight_create = on_device<weight_create>::call;
  ops.weight_free = on_device<weight_free>::call;
  ops.weight_learned = on_device<weight_learned>::call;
  ops.weights_prune = on_device<weights_prune>::call;
  ops.weight_prepare = on_device<weight_prepare>::call;
  ops.weight_gradient_finish = on_device<weight_gradient_finish>::call;
  ops.linear_saved_bytes = cuda_linear_saved_bytes;
  ops.linear_forward = on_device<linear_forward>::call;
  ops.linear_input_gradient = on_device<linear_input_gradient>::call;
  ops.linear_weight_gradient = on_device<linear_weight_gradient>::call;
  ops.embedding_forward = on_device<embedding_forward>::call;
  ops.embedding_backward = on_device<embedding_backward>::call;
  ops.rmsnorm_forward = on_device<rmsnorm_forward>::call;
  ops.rmsnorm_backward = on_device<rmsnorm_backward>::call;
  ops.rope_table = on_device<rope_table>::call;
  ops.qkv_forward = on_device<qkv_forward>::call;
  ops.qkv_backward = on_device<qkv_backward>::call;
  ops.attention_forward = on_device<attention_forward>::call;
  ops.attention_cached = on_device<attention_cached>::call;
  ops.attention_backward = on_device<attention_backward>::call;
  ops.swiglu_forward = on_device<swiglu_forward>::call;
  ops.swiglu_backward = on_device<swiglu_backward>::call;
  ops.head_loss = on_device<head_loss>::call;
  ops.head_evaluate = on_device<head_evaluate>::call;
  ops.square_sum = on_device<square_sum>::call;
  ops.adamw_step = on_device<adamw_step>::call;
  ops.momentum_step = on_device<momentum_step>::call;
  ops.orthogonalize = on_device<orthogonalize>::call;
  ops.normalize_rows = on_device<normalize_rows>::call;
  ops.product = on_device<product>::call;
  ops.mix = on_device<mix>::call;
  ops.gather = on_device<gather>::call;
  ops.dct_basis = on_device<dct_basis>::call;
  ops.rotate_moments = on_device<rotate_moments>::call;
  ops.orthonormalize = on_device<orthonormalize>::call;
  ops.eigenvectors = on_device<eigenvectors>::call;
  ops.fill_normal = on_device<fill_normal>::call;
  ops.fill_constant = on_device<fill_constant>::call;
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
