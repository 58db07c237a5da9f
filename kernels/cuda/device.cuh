// The CUDA device: what the ops of this folder share. Host code.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/embedding.cuh"
#include "kernels/cuda/group_library.cuh"
#include "kernels/cuda/library.cuh"

struct gemm_plan;
struct device_group;

// A repeated sequence of calls (ops->repeat_begin); see repeat.cuh.
enum repeat_mode { REPEAT_NONE, REPEAT_COUNTING, REPEAT_RECORDING, REPEAT_REPLAYING };
struct repeat_instance {
  cudaGraphExec_t graph;  // null: not recorded yet
  cudaEvent_t done;       // of the last time it ran
  char *staged;           // host memory that the graph's uploads read
};
struct repeat_sequence {
  int64_t rounds;           // begun since the last repeat_forget
  uint64_t expected_calls;  // what it is, as one number, to find a call that differs
  size_t staged_bytes;
  repeat_instance instances[2];  // one runs while the host fills the other
  repeat_instance *turn() { return &instances[rounds % 2]; }
};
struct repeat {
  bool enabled;
  repeat_mode mode;
  repeat_sequence sequences[REPEAT_SEQUENCES];
  repeat_sequence *now;  // the one that has begun
  uint64_t calls;        // of this round
  size_t staged_end;
};

// Numbers that change from step to step: kernels read them from device memory, so that a recorded step is any step.
struct adamw_numbers {
  double gradient_scale, clip_norm;
  // Bias corrections are folded in: step_size = lr / (1 - beta1^step), inverse_correction2 = 1 / sqrt(1 - beta2^step),
  // decay_factor = 1 - lr * weight_decay.
  float beta1, rest1, beta2, rest2, step_size, inverse_correction2, eps, decay_factor;
  // Of stochastic rounding.
  uint64_t seed, step;
};
// The same of struct momentum: step_size = lr, decay_factor = 1 - lr * weight_decay.
struct momentum_numbers {
  double gradient_scale, clip_norm;
  float beta1, share1, beta2, rest2, step_size, decay_factor;
  uint64_t seed, step;
};
// What formats draw and select by.
struct format_numbers {
  uint64_t step;
  double density;         // of the weights
  uint64_t random_limit;  // SPARSITY_RANDOM: words below are pruned
};
struct step_numbers {
  adamw_numbers adamw;
  momentum_numbers momentum;
  format_numbers format;
  float head_gradient_scale;
};

constexpr int DEVICE_MARKS = 2, ROOMY_KERNELS = 32;
struct roomy_kernel {  // one that may have more than 48 KiB of shared memory
  const void *kernel;
  size_t bytes;
};

struct device {
  int number;
  struct cudaDeviceProp properties;
  cudaStream_t stream;
  lt_library library;
  cublasLtHandle_t products;
  struct gemm_plan *plans;   // by shape, made when first asked for
  void *products_workspace;  // CUDA_PRODUCTS_WORKSPACE bytes
  bad_id *bad;               // device memory
  step_numbers *numbers;     // device memory
  format_numbers format;     // what is there, once `format_known`
  bool format_known;
  struct repeat repeat;
  uint64_t choices;  // of algorithms, as one number, and how many
  int choice_count;
  bool trials_refused;  // that was said
  bool native;          // products of encoded operands are wanted; see native_products.cuh
  unsigned native_said, native_used;
  roomy_kernel roomy[ROOMY_KERNELS];
  int roomy_count;
  cudaEvent_t marks[DEVICE_MARKS];
  void *workspace;  // the caller's
  size_t workspace_bytes;
  struct device_group *group;  // null: it works alone
  int rank;
  bool gathers;        // something was asked of the others that may not be here yet
  struct error error;  // the first failure; later entries do nothing
};

struct weight {
  struct weight_description description;
  void *rounded;  // the caller's memory: the master in the products' dtype, NULL where it is that; with a format, what
                  // represents it
  const void *backward;          // what d_x is made of; NULL: the same
  struct weight_format *format;  // see format_linear.cuh; NULL: none
  const void *master;
  bool ready;
};

namespace {

inline bool going(const struct device *device) { return device->error.code == EXIT_DONE; }

// Keeps the first failure of the runtime.
inline bool check(struct device *device, cudaError_t status, const char *what) {
  if (status == cudaSuccess) return going(device);
  return error_set(&device->error, EXIT_ENVIRONMENT, "the GPU failed in %s: %s", what, cudaGetErrorString(status));
}

// The runtime's current device is a thread's own: a call may come from another thread than the one before, or after a
// call for another device.
inline void use_device(struct device *device) {
  int current = -1;
  if (!device || (cudaGetDevice(&current) == cudaSuccess && current == device->number)) return;
  check(device, cudaSetDevice(device->number), "choosing it");
}

bool group_settle(struct device *device);  // group.cuh

// ---- calls of a repeated sequence ----
inline void repeat_note(struct repeat *r, uint64_t value) { r->calls = (r->calls ^ value) * 0x9E3779B97F4A7C15u + 1; }

template <class T>
uint64_t argument_bits(const T &argument) {
  // Structures repeat what shapes and addresses say.
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T>)
    return (uint64_t)argument;
  else
    return argument_address(argument);
}

// Whether a call is to be made: not while a recorded sequence is replayed, which makes it itself. Notes what it is.
template <class... A>
bool issue(struct device *device, const A &...arguments) {
  if (!going(device)) return false;
  if (device->repeat.mode == REPEAT_NONE) return true;
  (repeat_note(&device->repeat, argument_bits(arguments)), ...);
  return device->repeat.mode != REPEAT_REPLAYING;
}

template <class... P, class... A>
void run(struct device *device, void (*kernel)(P...), const launch_shape &shape, A... arguments) {
  if (!issue(device, (const void *)kernel, shape.grid.x, shape.grid.y, arguments...)) return;
  launch(kernel, shape, device->stream, arguments...);
  check(device, cudaGetLastError(), shape.name);
}

// Bytes of the host to device memory, in the stream's order; the host's memory is free again at once. In a repeated
// sequence other bytes may come each time.
inline void stage(struct device *device, void *to, const void *from_host, size_t bytes) {
  struct repeat *r = &device->repeat;
  bool made = issue(device, to, bytes);
  if (!going(device) || !bytes) return;
  if (r->mode == REPEAT_RECORDING || r->mode == REPEAT_REPLAYING) {
    if (r->staged_end + bytes > r->now->staged_bytes) {
      error_set(&device->error, EXIT_ENVIRONMENT, "a repeated step uploads more than the first time");
      return;
    }
    char *staged = r->now->turn()->staged + r->staged_end;
    std::memcpy(staged, from_host, bytes);
    from_host = staged;
  }
  r->staged_end += cuda_aligned_bytes(bytes);
  // Pageable memory may be read as late as the copy is made, with the host blocked until then.
  if (made && r->mode != REPEAT_RECORDING && !group_settle(device)) return;
  // From pageable memory this returns when the host's bytes have been taken.
  if (made) check(device, cudaMemcpyAsync(to, from_host, bytes, cudaMemcpyHostToDevice, device->stream), "upload");
}

// Lets a kernel have so much shared memory: more than 48 KiB must be asked for, which is done again for more alone.
template <class... P>
void want_shared_memory(struct device *device, void (*kernel)(P...), size_t bytes) {
  if (bytes <= (48 << 10)) return;
  int i = 0;
  while (i < device->roomy_count && device->roomy[i].kernel != (const void *)kernel) i++;
  if (i < device->roomy_count && device->roomy[i].bytes >= bytes) return;
  allow_shared_memory(kernel, bytes);
  if (i == ROOMY_KERNELS) return;
  device->roomy[i] = {(const void *)kernel, bytes};
  if (i == device->roomy_count) device->roomy_count++;
}

// The workspace, when it holds `bytes`; otherwise the device fails and NULL comes back.
inline char *scratch(struct device *device, size_t bytes, const char *what) {
  if (!going(device)) return nullptr;
  if (bytes <= device->workspace_bytes) return (char *)device->workspace;
  error_set(&device->error, EXIT_ENVIRONMENT, "%s needs a workspace of %zu bytes and has %zu", what, bytes,
            device->workspace_bytes);
  return nullptr;
}

// Calls `body` with a value of the dtype's type.
template <class Body>
void with_dtype(enum dtype dtype, Body body) {
  if (dtype == DTYPE_BFLOAT16)
    body(bfloat16{});
  else
    body(0.0f);
}

// Whether rows of `width` elements at all these addresses may be read `elements` at a time, in words of 16 bytes (of
// float32 next to bfloat16, several).
template <class... Pointers>
bool wide(int elements, int64_t width, Pointers... pointers) {
  return width % elements == 0 && (((uintptr_t)pointers % 16 == 0) && ...);
}

}  // namespace
