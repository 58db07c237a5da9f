// What optimizers' steps on single matrices are made of: products, rows in another order, moments in other directions,
// and LAPACK's work on the host. See kernels/ops.h, which has the shapes.
#pragma once
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/optimizer.cuh"
#include "kernels/cuda/products.cuh"

namespace {

// to = a to + b from
__global__ void __launch_bounds__(ELEMENT_THREADS)
    mix_kernel(int64_t count, device_pointer<float> to, device_pointer<const float> from, float a, float b) {
  for (int64_t i = first_piece(); i < count; i += piece_stride()) to[i] = a * to[i] + b * from[i];
}

// to = a from
__global__ void __launch_bounds__(ELEMENT_THREADS)
    scale_kernel(int64_t count, device_pointer<float> to, device_pointer<const float> from, float a) {
  for (int64_t i = first_piece(); i < count; i += piece_stride()) to[i] = a * from[i];
}

__global__ void __launch_bounds__(ELEMENT_THREADS)
    gather_kernel(int64_t rows, int64_t columns, bool by_column, device_pointer<const int32_t> order,
                  device_pointer<const float> from, device_pointer<float> to) {
  for (int64_t at = first_piece(); at < rows * columns; at += piece_stride()) {
    int64_t row = at / columns, column = at % columns,
            source = by_column ? (int32_t)order[column] : (int32_t)order[row];
    to[at] = source < 0 ? 0.0f : (float)from[by_column ? row * columns + source : source * columns + column];
  }
}

// A thread an element of what is written.
__global__ void __launch_bounds__(ELEMENT_THREADS)
    rotate_moments_kernel(int64_t rank, int64_t count, device_pointer<const float> rotation, float inverse1,
                          float inverse2, float c2, device_pointer<const float> m, device_pointer<const float> v,
                          device_pointer<float> m_to, device_pointer<float> v_to) {
  for (int64_t at = first_piece(); at < rank * count; at += piece_stride()) {
    int64_t row = at / count, i = at % count;
    float mean = 0, spread = 0;
    for (int64_t k = 0; k < rank; k++) {
      float p = rotation[row * rank + k], one = m[k * count + i], scaled = one * inverse1;
      mean += p * one;
      spread += p * p * (v[k * count + i] * inverse2 - scaled * scaled);
    }
    float scaled = mean * inverse1;
    m_to[at] = mean;
    v_to[at] = fabsf(c2 * (spread + scaled * scaled));
  }
}

// As columns of columns: a row-major C = A B is C^T = B^T A^T.
void product(struct device *device, enum gemm_form form, int64_t m, int64_t n, int64_t k, const float *a,
             const float *b, float *c, bool accumulate) {
  multiply(device, {n, m, k, form == GEMM_NT, form == GEMM_TN, DTYPE_FLOAT32, DTYPE_FLOAT32}, b, a, c, accumulate);
}

void mix(struct device *device, int64_t count, float *to, float keep, const float *from, float share) {
  launch_shape shape = {keep == 0 ? "scale" : "mix", element_blocks(count), ELEMENT_THREADS, 0};
  if (keep == 0)
    run(device, scale_kernel, shape, count, view(to, count), view(from, count), share);
  else
    run(device, mix_kernel, shape, count, view(to, count), view(from, count), keep, share);
}

void gather(struct device *device, int64_t rows, int64_t columns, bool by_column, const int32_t *order,
            const float *from, float *to) {
  int64_t count = rows * columns;
  run(device, gather_kernel, {"gather", element_blocks(count), ELEMENT_THREADS, 0}, rows, columns, by_column,
      view(order, by_column ? columns : rows), view(from, count), view(to, count));
}

void rotate_moments(struct device *device, int64_t rank, int64_t count, const float *rotation, double c1, double c2,
                    const float *m, const float *v, float *m_to, float *v_to) {
  int64_t all = rank * count;
  run(device, rotate_moments_kernel, {"rotate_moments", element_blocks(all), ELEMENT_THREADS, 0}, rank, count,
      view(rotation, rank * rank), (float)(1 / c1), (float)(1 / c2), (float)c2, view(m, all), view(v, all),
      view(m_to, all), view(v_to, all));
}

// Brings an array to the host, which the caller frees; nullptr where the device has failed.
inline float *fetched(struct device *device, int64_t count, const float *x) {
  float *host = (float *)memory_get((size_t)count * sizeof *host);
  struct error error = {};
  if (download(device, host, x, (size_t)count * sizeof *host, &error)) return host;
  std::free(host);
  return nullptr;
}

void orthonormalize(struct device *device, int64_t rank, int64_t side, float *x, const float *by, int32_t *order) {
  float *host = fetched(device, rank * side, x), *other = by && host ? fetched(device, rank * side, by) : nullptr;
  int32_t *numbers = (int32_t *)memory_get((size_t)rank * sizeof *numbers);
  if (host && (other || !by) && lapack_orthonormalize(rank, side, host, other, numbers, &device->error)) {
    upload(device, x, host, (size_t)(rank * side) * sizeof *host);
    if (by) upload(device, order, numbers, (size_t)rank * sizeof *numbers);
  }
  std::free(host);
  std::free(other);
  std::free(numbers);
}

void eigenvectors(struct device *device, int64_t n, float *x, double exponent, double damping) {
  float *host = fetched(device, n * n, x);
  if (host && lapack_eigenvectors(n, host, exponent, damping, &device->error))
    upload(device, x, host, (size_t)(n * n) * sizeof *host);
  std::free(host);
}

}  // namespace
