// Opening the CPU as a device, its memory, and the ops table.
#include "kernels/cpu/device.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "kernels/cpu/cpu.h"

const struct cpu_level *cpu_level_find(enum isa_level isa) {
#if defined(__x86_64__)
  if (isa == ISA_AVX512_BF16) return &cpu_level_avx512_bf16;
  if (isa == ISA_AVX512) return &cpu_level_avx512;
  if (isa == ISA_AVX2) return &cpu_level_avx2;
#endif
  return &cpu_level_portable;
}

struct device *cpu_open(const struct device_options *options, struct error *error) {
  int threads = options->threads ? options->threads : 1;
  if (threads < 1 || threads > parallel_limit()) {
    error_set(error, EXIT_USAGE_ERROR, "%d threads: must be 1 to %d", threads, parallel_limit());
    return NULL;
  }
  enum isa_level isa;
  if (!isa_choose(options->isa, &isa, error)) return NULL;
  enum gemm_library library = GEMM_AUTO;
  const char *library_text = options->gemm, *environment = getenv("ISOLOSS_GEMM");
  if (!library_text && environment && *environment) library_text = environment;
  if (library_text && !gemm_library_find(library_text, &library)) {
    error_set(
        error, EXIT_USAGE_ERROR,
        "no matrix products named \"%s\" (there are: auto, trial, onednn, avx512-bf16, amx, amx-emulated, widened, "
        "reference)",
        library_text);
    return NULL;
  }
  parallel_open(threads);
  struct gemm_context *gemm = gemm_open(library, threads, error);
  if (!gemm) return NULL;
  struct device *device = memory_get(sizeof *device);
  device->threads = threads;
  device->level = cpu_level_find(isa);
  device->gemm = gemm;
  return device;
}

void cpu_close(struct device *device) {
  if (!device) return;
  gemm_close(device->gemm);
  free(device);
}

void cpu_describe(const struct device *device, struct text *out) {
  text_format(out, "cpu: %s passes, ", isa_name(device->level->isa));
  gemm_describe(device->gemm, out);
  text_format(out, ", %d thread%s", device->threads, device->threads == 1 ? "" : "s");
}

void cpu_choices(const struct device *device, struct text *out) { gemm_choices(device->gemm, out); }

bool cpu_dtype_supported(const struct device *device, enum dtype dtype) {
  return gemm_dtype_supported(device->gemm, dtype);
}

bool cpu_dtype_fast(const struct device *device, enum dtype dtype) { return gemm_dtype_fast(device->gemm, dtype); }

void *cpu_allocate(struct device *device, size_t bytes, struct error *error) {
  size_t rounded = (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
  // Large blocks begin at a huge page, and the kernel is asked to back them with some: products at long strides miss
  // few translations then. Where it has none to give, nothing changes.
  size_t alignment = rounded >= (size_t)4 << 20 ? (size_t)2 << 20 : DEVICE_ALIGNMENT;
  void *memory = NULL;
  if (rounded < bytes || posix_memalign(&memory, alignment, rounded ? rounded : DEVICE_ALIGNMENT) != 0) {
    char size[32];
    error_set(error, EXIT_ENVIRONMENT, "cannot allocate %s of memory", bytes_human((double)bytes, size));
    return NULL;
  }
#if defined(MADV_HUGEPAGE)
  if (alignment > DEVICE_ALIGNMENT) madvise(memory, rounded, MADV_HUGEPAGE);
#endif
  return memory;
}

void cpu_free(struct device *device, void *memory) { free(memory); }

void cpu_upload(struct device *device, void *to, const void *from_host, size_t bytes) {
  if (bytes) memcpy(to, from_host, bytes);
}

bool cpu_download(struct device *device, void *to_host, const void *from, size_t bytes, struct error *error) {
  if (!cpu_synchronize(device, error)) return false;
  if (bytes) memcpy(to_host, from, bytes);
  return true;
}

void cpu_copy(struct device *device, void *to, const void *from, size_t bytes) {
  if (bytes) memcpy(to, from, bytes);
}

void cpu_clear(struct device *device, void *memory, size_t bytes) {
  if (bytes) memset(memory, 0, bytes);
}

bool cpu_synchronize(struct device *device, struct error *error) {
  if (device->error.code == EXIT_DONE) return true;
  return error_set(error, device->error.code, "%s", device->error.text);
}

void cpu_convert(struct device *device, int64_t count, enum dtype from_dtype, const void *from, enum dtype to_dtype,
                 void *to) {
  struct convert_call call = {.from_dtype = from_dtype, .to_dtype = to_dtype, .from = from, .to = to};
  device_run(device, device->level->convert, &call, count, 1024);
}

void cpu_set_workspace(struct device *device, void *memory, size_t bytes) {
  device->workspace = memory;
  device->workspace_bytes = bytes;
}

void *device_scratch(struct device *device, size_t bytes, const char *what) {
  if (bytes <= device->workspace_bytes) return device->workspace;
  error_set(&device->error, EXIT_ENVIRONMENT, "%s needs a workspace of %zu bytes and has %zu", what, bytes,
            device->workspace_bytes);
  return NULL;
}

void device_run(struct device *device, range_pass *pass, const void *call, int64_t count, int64_t grain) {
  if (device->error.code == EXIT_DONE) parallel_ranges(device->threads, count, grain, pass, call);
}

bool device_check_ids(struct device *device, const int32_t *ids, int64_t count, int64_t limit, const char *what) {
  bool fine = true;
  for (int64_t i = 0; i < count; i++) fine &= ids[i] >= 0 && ids[i] < limit;
  if (fine) return true;
  for (int64_t i = 0; i < count; i++)
    if (ids[i] < 0 || ids[i] >= limit)
      return error_set(&device->error, EXIT_USAGE_ERROR, "%s %d in row %lld is not below the vocabulary of %lld", what,
                       ids[i], (long long)i, (long long)limit);
  return false;
}

const struct ops cpu_ops = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .choices = cpu_choices,
    .dtype_supported = cpu_dtype_supported,
    .dtype_fast = cpu_dtype_fast,
    .shape_supported = cpu_shape_supported,
    .allocate = cpu_allocate,
    .free = cpu_free,
    .upload = cpu_upload,
    .download = cpu_download,
    .copy = cpu_copy,
    .clear = cpu_clear,
    .synchronize = cpu_synchronize,
    .convert = cpu_convert,
    .workspace_bytes = cpu_workspace_bytes,
    .set_workspace = cpu_set_workspace,
    .rows_at_a_time = cpu_rows_at_a_time,
    .weight_bytes = cpu_weight_bytes,
    .weight_create = cpu_weight_create,
    .weight_free = cpu_weight_free,
    .weight_learned = cpu_weight_learned,
    .weights_prune = cpu_weights_prune,
    .weight_prepare = cpu_weight_prepare,
    .weight_gradient_finish = cpu_weight_gradient_finish,
    .linear_saved_bytes = cpu_linear_saved_bytes,
    .linear_forward = cpu_linear_forward,
    .linear_input_gradient = cpu_linear_input_gradient,
    .linear_weight_gradient = cpu_linear_weight_gradient,
    .embedding_forward = cpu_embedding_forward,
    .embedding_backward = cpu_embedding_backward,
    .rmsnorm_forward = cpu_rmsnorm_forward,
    .rmsnorm_backward = cpu_rmsnorm_backward,
    .rope_table = cpu_rope_table,
    .qkv_forward = cpu_qkv_forward,
    .qkv_backward = cpu_qkv_backward,
    .attention_forward = cpu_attention_forward,
    .attention_cached = cpu_attention_cached,
    .attention_backward = cpu_attention_backward,
    .swiglu_forward = cpu_swiglu_forward,
    .swiglu_backward = cpu_swiglu_backward,
    .head_loss = cpu_head_loss,
    .head_evaluate = cpu_head_evaluate,
    .square_sum = cpu_square_sum,
    .adamw_step = cpu_adamw_step,
    .momentum_step = cpu_momentum_step,
    .orthogonalize = cpu_orthogonalize,
    .normalize_rows = cpu_normalize_rows,
    .product = cpu_product,
    .mix = cpu_mix,
    .add_losses = cpu_add_losses,
    .gather = cpu_gather,
    .dct_basis = cpu_dct_basis,
    .rotate_moments = cpu_rotate_moments,
    .orthonormalize = cpu_orthonormalize,
    .eigenvectors = cpu_eigenvectors,
    .fill_normal = cpu_fill_normal,
    .fill_constant = cpu_fill_constant,
};
