// Opening a GPU, its memory, and conversion.
#pragma once
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/group.cuh"
#include "kernels/cuda/linear.cuh"
#include "kernels/cuda/repeat.cuh"

namespace {

constexpr int MINIMUM_CAPABILITY = 80;  // major * 10 + minor: bfloat16 tensor cores, cp.async

void close_device(struct device *device) {
  if (!device) return;
  if (device->stream) (void)cudaStreamSynchronize(device->stream);
  repeat_forget(device);
  plans_free(device);
  if (device->products) device->library.destroy(device->products);
  if (device->products_workspace) (void)cudaFree(device->products_workspace);
  if (device->bad) (void)cudaFree(device->bad);
  if (device->numbers) (void)cudaFree(device->numbers);
  for (cudaEvent_t event : device->marks)
    if (event) (void)cudaEventDestroy(event);
  if (device->stream) (void)cudaStreamDestroy(device->stream);
  std::free(device);
}

bool device_present() {
  int count = 0, driver = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return false;
  return status == cudaSuccess ? count > 0 : status != cudaErrorNoDevice;
}

bool find_device(struct device *device, int number, struct error *error) {
  int count = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  if (status != cudaSuccess || count == 0)
    return error_set(error, EXIT_ENVIRONMENT, "no CUDA device can be used: %s",
                     driver == 0             ? "there is no NVIDIA driver"
                     : status == cudaSuccess ? "the driver finds none"
                                             : cudaGetErrorString(status));
  if (number < 0 || number >= count)
    return error_set(error, EXIT_ENVIRONMENT, "there is no CUDA device %d: this machine has %d, counted from 0", number,
                     count);
  device->number = number;
  status = cudaSetDevice(number);
  if (status == cudaSuccess) status = cudaGetDeviceProperties(&device->properties, number);
  if (status != cudaSuccess)
    return error_set(error, EXIT_ENVIRONMENT, "CUDA device %d cannot be used: %s", number, cudaGetErrorString(status));
  if (device->properties.major * 10 + device->properties.minor < MINIMUM_CAPABILITY)
    return error_set(error, EXIT_ENVIRONMENT, "CUDA device %d (%s) has compute capability %d.%d; the minimum is 8.0",
                     number, device->properties.name, device->properties.major, device->properties.minor);
  return true;
}

// Whether this build has machine code (or PTX) for the GPU.
bool kernels_fit(const struct device *device, struct error *error) {
#if !defined(ISOLOSS_EMULATED)
  cudaFuncAttributes attributes;
  void (*kernel)(int64_t, device_pointer<float>, float) = fill_constant_kernel;
  cudaError_t status = cudaFuncGetAttributes(&attributes, reinterpret_cast<const void *>(kernel));
  if (status != cudaSuccess)
    return error_set(error, EXIT_ENVIRONMENT,
                     "this build has CUDA kernels for " ISOLOSS_GPU_ARCHS
                     ", not for compute capability %d.%d (%s): %s; configure with -Dgpu_archs=%d%d",
                     device->properties.major, device->properties.minor, device->properties.name,
                     cudaGetErrorString(status), device->properties.major, device->properties.minor);
#endif
  return device && error;
}

bool prepare_device(struct device *device, struct error *error) {
  cudaError_t status = cudaStreamCreate(&device->stream);
  if (status == cudaSuccess) status = cudaMalloc(&device->products_workspace, CUDA_PRODUCTS_WORKSPACE);
  void *bad = nullptr, *numbers = nullptr;
  if (status == cudaSuccess) status = cudaMalloc(&bad, sizeof *device->bad);
  if (status == cudaSuccess) status = cudaMalloc(&numbers, sizeof *device->numbers);
  device->bad = (bad_id *)bad;
  device->numbers = (step_numbers *)numbers;
  if (status == cudaSuccess) status = cudaMemsetAsync(device->bad, 0, sizeof *device->bad, device->stream);
  if (status != cudaSuccess)
    return error_set(error, EXIT_ENVIRONMENT, "CUDA device %d cannot be used: %s", device->number,
                     cudaGetErrorString(status));
  if (!library_open(&device->library, error)) return false;
  if (device->library.create(&device->products) != CUBLAS_STATUS_SUCCESS) {
    device->products = nullptr;
    return error_set(error, EXIT_ENVIRONMENT, "cuBLASLt cannot be used on CUDA device %d (%s)", device->number,
                     device->properties.name);
  }
  return true;
}

struct device *open_device(const struct device_options *options, struct error *error) {
  struct device *device = (struct device *)memory_get(sizeof *device);
  repeat_open(device);
  device->native = native_wanted();
  if (find_device(device, options->number, error) && kernels_fit(device, error) && prepare_device(device, error))
    return device;
  close_device(device);
  return nullptr;
}

void describe(const struct device *device, struct text *out) {
  int runtime = 0;
  char memory[32];
  (void)cudaRuntimeGetVersion(&runtime);
  text_format(out, "%s, compute capability %d.%d, %s, CUDA %d.%d, cuBLASLt %zu, %s", device->properties.name,
              device->properties.major, device->properties.minor,
              bytes_human((double)device->properties.totalGlobalMem, memory), runtime / 1000, runtime % 1000 / 10,
              device->library.version(),
              !device->native                          ? "native products off"
              : capability_has(device, NATIVE_BLOCK16) ? "native products of FP8, MXFP8 and NVFP4"
              : capability_has(device, NATIVE_TENSOR)  ? "native products of FP8"
                                                       : "no native products of formats");
}

// What of the results depends on this device and on measurements of it.
void choices(const struct device *device, struct text *out) {
  if (device->choice_count)
    text_format(out, "%d products, %016llx", device->choice_count, (unsigned long long)device->choices);
  for (int kind = 0; kind < NATIVE_PRODUCTS; kind++)
    if (device->native_used >> kind & 1)
      text_format(out, "%snative %s", out->length ? ", " : "", native_product_name((native_product_kind)kind));
}

bool dtype_supported(const struct device *, enum dtype) { return true; }
bool dtype_fast(const struct device *, enum dtype) { return true; }

void *allocate(struct device *device, size_t bytes, struct error *error) {
  void *memory = nullptr;
  cudaError_t status = cudaMalloc(&memory, bytes ? bytes : DEVICE_ALIGNMENT);
  if (status == cudaSuccess) return memory;
  char size[32], there[32], whole[32];
  size_t free_bytes = 0, total = 0;
  if (status == cudaErrorMemoryAllocation) (void)cudaGetLastError();  // not a failure of the device
  if (cudaMemGetInfo(&free_bytes, &total) == cudaSuccess)
    error_set(error, EXIT_ENVIRONMENT, "cannot allocate %s on %s: %s of %s are free", bytes_human((double)bytes, size),
              device->properties.name, bytes_human((double)free_bytes, there), bytes_human((double)total, whole));
  else
    error_set(error, EXIT_ENVIRONMENT, "cannot allocate %s on %s: %s", bytes_human((double)bytes, size),
              device->properties.name, cudaGetErrorString(status));
  return nullptr;
}

int64_t available(struct device *) {
  size_t free_bytes = 0, total = 0;
  return cudaMemGetInfo(&free_bytes, &total) == cudaSuccess ? (int64_t)free_bytes : -1;
}

void free_memory(struct device *device, void *memory) {
  if (memory) check(device, cudaFree(memory), "freeing memory");
}

void upload(struct device *device, void *to, const void *from_host, size_t bytes) {
  stage(device, to, from_host, bytes);
}

void copy(struct device *device, void *to, const void *from, size_t bytes) {
  if (!issue(device, to, from, bytes) || !bytes) return;
  check(device, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, device->stream), "copy");
}

void clear(struct device *device, void *memory, size_t bytes) {
  if (!issue(device, memory, bytes) || !bytes) return;
  check(device, cudaMemsetAsync(memory, 0, bytes, device->stream), "clear");
}

bool synchronize(struct device *device, struct error *error) {
  if (wait_for(device)) {
    bad_id bad = {};
    check(device, cudaMemcpyAsync(&bad, device->bad, sizeof bad, cudaMemcpyDeviceToHost, device->stream), "download");
    check(device, cudaStreamSynchronize(device->stream), "the work asked of it");
    if (going(device) && bad.what != ID_NONE)
      error_set(&device->error, EXIT_USAGE_ERROR, "%s %d in row %lld is not below the vocabulary of %lld",
                bad.what == ID_TOKEN ? "token" : "target", bad.id, (long long)bad.row, (long long)bad.limit);
  }
  if (going(device)) return true;
  return error_set(error, device->error.code, "%s", device->error.text);
}

bool download(struct device *device, void *to_host, const void *from, size_t bytes, struct error *error) {
  if (going(device) && bytes && group_settle(device))
    check(device, cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, device->stream), "download");
  return synchronize(device, error);
}

template <class From, class To>
void convert_as(struct device *device, int64_t count, const void *from, void *to) {
  constexpr int N = 8;
  int64_t wide_count = wide(N, N, from, to) ? count / N * N : 0;
  const From *source = (const From *)from;
  To *target = (To *)to;
  if (wide_count)
    run(device, convert_kernel<From, To, N>, {"convert", element_blocks(wide_count / N), ELEMENT_THREADS, 0},
        wide_count / N, view(source, count), view(target, count));
  if (count > wide_count)
    run(device, convert_kernel<From, To, 1>, {"convert", element_blocks(count - wide_count), ELEMENT_THREADS, 0},
        count - wide_count, view(source + wide_count, count - wide_count),
        view(target + wide_count, count - wide_count));
}

void convert(struct device *device, int64_t count, enum dtype from_dtype, const void *from, enum dtype to_dtype,
             void *to) {
  if (from_dtype == to_dtype) return copy(device, to, from, (size_t)count * dtype_bytes(to_dtype));
  if (from_dtype == DTYPE_FLOAT32)
    convert_as<float, bfloat16>(device, count, from, to);
  else
    convert_as<bfloat16, float>(device, count, from, to);
}

void set_workspace(struct device *device, void *memory, size_t bytes) {
  device->workspace = memory;
  device->workspace_bytes = bytes;
}

}  // namespace
