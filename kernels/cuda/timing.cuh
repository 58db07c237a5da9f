// The GPU's own clock: the time between two marks of the stream, and how fast its matrix products are at best.
#pragma once
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/products.cuh"

namespace {

void convert(struct device *device, int64_t count, enum dtype from_dtype, const void *from, enum dtype to_dtype,
             void *to);

void mark(struct device *device, int slot) {
  if (!going(device) || slot < 0 || slot >= DEVICE_MARKS) return;
  cudaEvent_t *event = &device->marks[slot];
  if (!*event && !check(device, cudaEventCreate(event), "marking a time")) return;
  check(device, cudaEventRecord(*event, device->stream), "marking a time");
}

double between(struct device *device, int from, int to) {
  float milliseconds = 0;
  if (!going(device) || !device->marks[from] || !device->marks[to]) return NAN;
  if (!wait_for(device, device->marks[to])) return NAN;
  if (!check(device, cudaEventElapsedTime(&milliseconds, device->marks[from], device->marks[to]), "reading a time"))
    return NAN;
  return milliseconds * 1e-3;
}

// Memory of so many normal numbers of a dtype; NULL where there is no room.
inline void *normal_numbers(struct device *device, int64_t count, enum dtype dtype, uint32_t tensor) {
  void *wide = nullptr, *memory = nullptr;
  if (cudaMalloc(&wide, (size_t)count * sizeof(float)) != cudaSuccess) {
    (void)cudaGetLastError();
    return nullptr;
  }
  run(device, fill_normal_kernel, {"fill_normal", element_blocks((count + 1) / 2), ELEMENT_THREADS, 0}, count,
      view((float *)wide, count), 1.0, (uint64_t)0, (uint32_t)RANDOM_STREAM_INIT, tensor);
  if (dtype == DTYPE_FLOAT32) return wide;
  if (cudaMalloc(&memory, (size_t)count * dtype_bytes(dtype)) == cudaSuccess)
    convert(device, count, DTYPE_FLOAT32, wide, dtype, memory);
  else
    (void)cudaGetLastError();
  check(device, cudaStreamSynchronize(device->stream), "the work asked of it");
  check(device, cudaFree(wide), "freeing memory");
  return memory;
}

// FLOP/s of the fastest of the library's proposals for a square product of so many rows, of ordinary numbers (zeroes
// would draw less power and run faster); NAN where there is no room for it.
inline double square_product_rate(struct device *device, enum dtype dtype, int64_t size) {
  void *a = normal_numbers(device, size * size, dtype, 0), *b = a ? normal_numbers(device, size * size, dtype, 1) : a;
  void *d = nullptr;
  cudaEvent_t before = nullptr, after = nullptr;
  double best = NAN;
  gemm_shape shape = {size, size, size, true, false, dtype, dtype};
  const gemm_plan *plan = b ? plan_find(device, shape) : nullptr;
  if (plan && !plan->refused && cudaMalloc(&d, (size_t)(size * size) * dtype_bytes(dtype)) == cudaSuccess &&
      cudaEventCreate(&before) == cudaSuccess && cudaEventCreate(&after) == cudaSuccess)
    for (int i = 0; i < plan->proposal_count; i++) {
      chosen_algorithm candidate = {plan->proposals[i].algo, plan->proposals[i].workspaceSize};
      float took =
          trial_time(device, before, after, [&] { return multiply_with(device, plan, candidate, a, b, d, false, {}); });
      double rate = took > 0 ? 2.0 * (double)size * (double)size * (double)size / (took * 1e-3) : NAN;
      if (!(best >= rate) && rate > 0) best = rate;
    }
  (void)cudaGetLastError();
  if (before) (void)cudaEventDestroy(before);
  if (after) (void)cudaEventDestroy(after);
  for (void *memory : {a, b, d})
    if (memory) check(device, cudaFree(memory), "freeing memory");
  return best;
}

// Large enough for every GPU of today to be full, and some milliseconds at most.
double product_peak(struct device *device, enum dtype dtype) {
#if defined(ISOLOSS_EMULATED)
  int64_t size = 64, least = 64;
#else
  int64_t size = dtype == DTYPE_FLOAT32 ? 4096 : 8192, least = 2048;
#endif
  double rate = NAN;
  if (device->repeat.mode != REPEAT_NONE) return NAN;
  for (; size >= least && !(rate > 0) && going(device); size /= 2) rate = square_product_rate(device, dtype, size);
  return rate;
}

}  // namespace
