// What the sources of this folder are written in: CUDA C++ where nvcc compiles them, and the same words on the emulated
// device where a C++ compiler does (ISOLOSS_EMULATED; see emulator/language.h).
//
// Three things differ from plain CUDA, so that the emulated device can check every access: kernels take
// device_pointer<T> (made by `view` from an address and a count), which nvcc sees as T *; shared memory comes from
// shared_memory and shared_array; wide accesses go through load_word and store_word.
#pragma once
#include <cstdint>

#if defined(ISOLOSS_EMULATED)
#include "kernels/cuda/emulator/cublaslt.h"
#include "kernels/cuda/emulator/language.h"
#else
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <tuple>
#include <type_traits>
#include <utility>

template <class T>
using device_pointer = T *;
template <class T>
using shared_pointer = T *;

// `count` elements at a device address.
template <class T>
device_pointer<T> view(T *device, int64_t) {
  return device;
}

// Where a pointer among a kernel's arguments points to; 0 for what is none.
template <class T>
uint64_t argument_address(const T &argument) {
  if constexpr (std::is_pointer_v<T>)
    return reinterpret_cast<uint64_t>(argument);
  else
    return 0;
}

// A 4, 8 or 16 byte word V at element i: i must be a multiple of what makes it aligned.
template <class V, class T>
__device__ __forceinline__ V load_word(T *p, int64_t i) {
  return *reinterpret_cast<const V *>(p + i);
}

template <class V, class T>
__device__ __forceinline__ void store_word(T *p, int64_t i, V word) {
  *reinterpret_cast<V *>(p + i) = word;
}

// `count` elements of the block's dynamic shared memory, from a byte offset on.
template <class T>
__device__ __forceinline__ shared_pointer<T> shared_memory(size_t offset, size_t) {
  extern __shared__ uint4 dynamic_shared_memory[];
  return reinterpret_cast<T *>(reinterpret_cast<char *>(dynamic_shared_memory) + offset);
}

// A shared array of the kernel's own; arrays of one type and count are distinguished by TAG.
template <class T, int COUNT, int TAG>
__device__ __forceinline__ shared_pointer<T> shared_array() {
  __shared__ T array[COUNT];
  return array;
}

// mma.sync m16n8k16 of bfloat16 with float32 accumulation; lanes as in emulator/language.h and the PTX manual.
__device__ __forceinline__ void mma_16816(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}

// Where element i of shared memory lies there, in 32 bits; a constant i goes into the access itself.
template <class T>
__device__ __forceinline__ unsigned shared_address(T *p, int64_t i) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p)) +
         static_cast<unsigned>(i) * static_cast<unsigned>(sizeof(T));
}

// ldmatrix.x4 of 2-byte elements, each lane by the address of one row of 16 bytes; layouts as in emulator/language.h.
template <class T>
__device__ __forceinline__ void load_matrices(uint32_t to[4], T *p, int64_t i) {
  unsigned address = shared_address(p, i);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

template <class T>
__device__ __forceinline__ void load_matrices_transposed(uint32_t to[4], T *p, int64_t i) {
  unsigned address = shared_address(p, i);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

// cp.async of 16 bytes to element i of shared memory from element j of global memory; where nothing is `there`, zeroes,
// and nothing is read.
template <class T>
__device__ __forceinline__ void copy_async(T *to, int64_t i, const T *from, int64_t j, bool there = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to, i)), "l"(from + j),
               "r"(there ? 16 : 0)
               : "memory");
}

__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int GROUPS>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
}

// 2^x as the GPU's unit for it gives it; what would lie below the smallest normal number is 0. exp2f keeps those, for
// four more instructions.
__device__ __forceinline__ float exp2_normal(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// To be called once for a kernel that is launched with more than 48 KiB of shared memory.
template <class... P>
void allow_shared_memory(void (*kernel)(P...), size_t bytes) {
  cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                       static_cast<int>(bytes));
}

struct launch_shape {
  const char *name;  // of the kernel, for messages
  dim3 grid, block;
  size_t shared_bytes;
};
template <class Tuple, size_t... I>
void launch_with(const void *kernel, const launch_shape &shape, cudaStream_t stream, Tuple &values,
                 std::index_sequence<I...>) {
  void *pointers[] = {const_cast<void *>(static_cast<const void *>(&std::get<I>(values)))...};
  // A failure sticks: whoever asks cudaGetLastError next finds it.
  (void)cudaLaunchKernel(kernel, shape.grid, shape.block, pointers, shape.shared_bytes, stream);
}

template <class... P, class... A>
void launch(void (*kernel)(P...), const launch_shape &shape, cudaStream_t stream, A... arguments) {
  std::tuple<P...> values(arguments...);
  launch_with(reinterpret_cast<const void *>(kernel), shape, stream, values, std::index_sequence_for<P...>());
}
#endif

namespace {

constexpr int WARP_THREADS = 32;
constexpr unsigned WHOLE_WARP = 0xffffffffu;

// bfloat16 by its bits: float32's upper half.
struct bfloat16 {
  uint16_t bits;
};

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(bfloat16 value) { return __uint_as_float((uint32_t)value.bits << 16); }

// Rounds to nearest even; a NaN stays one.
__device__ __forceinline__ uint16_t bfloat16_bits(float value) {
#if defined(ISOLOSS_EMULATED)
  uint32_t bits = __float_as_uint(value);
  if (value != value) return 0x7FFF;
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
#else
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
#endif
}

template <class T>
__device__ __forceinline__ T from_float(float value);
template <>
__device__ __forceinline__ float from_float<float>(float value) {
  return value;
}

template <>
__device__ __forceinline__ bfloat16 from_float<bfloat16>(float value) {
  return bfloat16{bfloat16_bits(value)};
}

// Two bfloat16 in a register, the first in the lower half.
__device__ __forceinline__ uint32_t bfloat16_pair(float low, float high) {
  return (uint32_t)bfloat16_bits(high) << 16 | bfloat16_bits(low);
}

// N adjacent elements as floats, in as few accesses as may be: N 1 takes any address, N 4 words of 16 or 8 bytes, N 8
// words of 16.
template <int N>
struct floats {
  float at[N];
};
__device__ __forceinline__ uint2 word_pair(uint32_t x, uint32_t y) { return uint2{x, y}; }

template <int N>
__device__ __forceinline__ floats<N> load_floats(device_pointer<const float> p, int64_t i) {
  floats<N> values;
  if constexpr (N == 1) {
    values.at[0] = p[i];
  } else {
    static_assert(N % 4 == 0, "words of 16 bytes");
#pragma unroll
    for (int part = 0; part < N; part += 4) {
      uint4 word = load_word<uint4>(p, i + part);
      values.at[part] = __uint_as_float(word.x);
      values.at[part + 1] = __uint_as_float(word.y);
      values.at[part + 2] = __uint_as_float(word.z);
      values.at[part + 3] = __uint_as_float(word.w);
    }
  }
  return values;
}

template <int N>
__device__ __forceinline__ floats<N> load_floats(device_pointer<const bfloat16> p, int64_t i) {
  floats<N> values;
  if constexpr (N == 1) {
    values.at[0] = to_float(p[i]);
  } else {
    static_assert(N % 4 == 0, "words of 8 or 16 bytes");
    uint32_t words[N / 2];
    if constexpr (N % 8 == 0) {
#pragma unroll
      for (int part = 0; part < N / 8; part++) {
        uint4 word = load_word<uint4>(p, i + part * 8);
        words[part * 4] = word.x;
        words[part * 4 + 1] = word.y;
        words[part * 4 + 2] = word.z;
        words[part * 4 + 3] = word.w;
      }
    } else {
#pragma unroll
      for (int part = 0; part < N / 4; part++) {
        uint2 word = load_word<uint2>(p, i + part * 4);
        words[part * 2] = word.x;
        words[part * 2 + 1] = word.y;
      }
    }
#pragma unroll
    for (int pair = 0; pair < N / 2; pair++) {
      values.at[pair * 2] = __uint_as_float(words[pair] << 16);
      values.at[pair * 2 + 1] = __uint_as_float(words[pair] & 0xffff0000u);
    }
  }
  return values;
}

template <int N>
__device__ __forceinline__ void store_floats(device_pointer<float> p, int64_t i, const floats<N> &values) {
  if constexpr (N == 1) {
    p[i] = values.at[0];
  } else {
#pragma unroll
    for (int part = 0; part < N; part += 4)
      store_word(p, i + part,
                 uint4{__float_as_uint(values.at[part]), __float_as_uint(values.at[part + 1]),
                       __float_as_uint(values.at[part + 2]), __float_as_uint(values.at[part + 3])});
  }
}

template <int N>
__device__ __forceinline__ void store_floats(device_pointer<bfloat16> p, int64_t i, const floats<N> &values) {
  if constexpr (N == 1) {
    p[i] = from_float<bfloat16>(values.at[0]);
  } else {
    uint32_t words[N / 2];
#pragma unroll
    for (int pair = 0; pair < N / 2; pair++) words[pair] = bfloat16_pair(values.at[pair * 2], values.at[pair * 2 + 1]);
    if constexpr (N % 8 == 0) {
#pragma unroll
      for (int part = 0; part < N / 8; part++)
        store_word(p, i + part * 8,
                   uint4{words[part * 4], words[part * 4 + 1], words[part * 4 + 2], words[part * 4 + 3]});
    } else {
#pragma unroll
      for (int part = 0; part < N / 4; part++) store_word(p, i + part * 4, uint2{words[part * 2], words[part * 2 + 1]});
    }
  }
}

// Elements of a type in 16 bytes: what a thread takes at once where widths and addresses allow it.
template <class T>
constexpr int WORD_ELEMENTS = 16 / (int)sizeof(T);

// Sums and maxima over a warp, the same in all lanes, in an order that only depends on the lanes.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int step = WARP_THREADS / 2; step > 0; step /= 2) value += __shfl_xor_sync(WHOLE_WARP, value, step);
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int step = WARP_THREADS / 2; step > 0; step /= 2) {
    float other = __shfl_xor_sync(WHOLE_WARP, value, step);
    value = other > value ? other : value;
  }
  return value;
}

// The sum over a block of THREADS threads, the same in all of them. TAG distinguishes the uses in one kernel.
template <class T, int THREADS, int TAG>
__device__ __forceinline__ T block_sum(T value) {
  constexpr int WARPS = THREADS / WARP_THREADS;
  shared_pointer<T> sums = shared_array<T, WARPS, TAG>();
  value = warp_sum(value);
  if (threadIdx.x % WARP_THREADS == 0) sums[threadIdx.x / WARP_THREADS] = value;
  __syncthreads();
  T total = 0;
#pragma unroll
  for (int warp = 0; warp < WARPS; warp++) total += sums[warp];
  __syncthreads();
  return total;
}

template <int THREADS, int TAG>
__device__ __forceinline__ float block_max(float value) {
  constexpr int WARPS = THREADS / WARP_THREADS;
  shared_pointer<float> maxima = shared_array<float, WARPS, TAG>();
  value = warp_max(value);
  if (threadIdx.x % WARP_THREADS == 0) maxima[threadIdx.x / WARP_THREADS] = value;
  __syncthreads();
  float largest = maxima[0];
#pragma unroll
  for (int warp = 1; warp < WARPS; warp++) {
    float other = maxima[warp];
    largest = other > largest ? other : largest;
  }
  __syncthreads();
  return largest;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace
