// CUDA's device language as C++: what kernels/cuda's sources use of it, on the emulated device.
#pragma once
#include <cmath>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/cuda/emulator/execution.h"
#include "kernels/cuda/emulator/runtime.h"

// Keywords of the language that mean nothing here.
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

using dim3 = emulator::dim3_type;
#define threadIdx emulator::thread_index
#define blockIdx emulator::block_index
#define blockDim emulator::block_size
#define gridDim emulator::grid_size

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};

inline void __syncthreads(const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::block_barrier({file, line});
}

inline void __syncwarp(unsigned mask = 0xffffffffu, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::warp_barrier({file, line}, mask);
}

namespace emulator {
template <class T>
T exchange_value(const char *what, site site, unsigned mask, T value, unsigned from) {
  static_assert(sizeof(T) <= EXCHANGE_BYTES && std::is_trivially_copyable_v<T>);
  exchange all = warp_exchange(what, site, mask, &value, sizeof value);
  std::memcpy(&value, all.lane(from), sizeof value);
  return value;
}

}  // namespace emulator

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, const char *file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  unsigned lane = emulator::lane_index(), from = lane ^ (unsigned)lane_mask, end = (lane / width + 1) * width;
  return emulator::exchange_value("__shfl_xor_sync", {file, line}, mask, value, from < end ? from : lane);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, const char *file = __builtin_FILE(),
              int line = __builtin_LINE()) {
  unsigned lane = emulator::lane_index();
  return emulator::exchange_value("__shfl_sync", {file, line}, mask, value,
                                  lane / width * width + (unsigned)source % width);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, const char *file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  unsigned lane = emulator::lane_index();
  return emulator::exchange_value("__shfl_down_sync", {file, line}, mask, value,
                                  lane % width + delta < (unsigned)width ? lane + delta : lane);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, const char *file = __builtin_FILE(),
                 int line = __builtin_LINE()) {
  unsigned lane = emulator::lane_index();
  return emulator::exchange_value("__shfl_up_sync", {file, line}, mask, value,
                                  lane % width >= delta ? lane - delta : lane);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, const char *file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  emulator::exchange all = emulator::warp_exchange("__ballot_sync", {file, line}, mask, &predicate, sizeof predicate);
  unsigned votes = 0;
  for (unsigned lane = 0; lane < emulator::WARP; lane++) {
    int vote;
    std::memcpy(&vote, all.lane(lane), sizeof vote);
    votes |= (unsigned)(vote != 0) << lane;
  }
  return votes;
}

inline int __any_sync(unsigned mask, int predicate, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}

inline int __all_sync(unsigned mask, int predicate, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate, file, line) == 0xffffffffu;
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }

inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Additions and multiplications that are never fused with others: also where this is compiled with fusing on, these
// values are made as they are written.
inline float kept_apart(float value) {
#if defined(__x86_64__)
  asm("" : "+x"(value));
#endif
  return value;
}
inline float __fadd_rn(float a, float b) { return kept_apart(kept_apart(a) + kept_apart(b)); }
inline float __fmul_rn(float a, float b) { return kept_apart(a * b); }
inline float sinpif(float x) { return (float)sin(3.14159265358979323846 * (double)x); }
inline float cospif(float x) { return (float)cos(3.14159265358979323846 * (double)x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float exp2_normal(float x) {
  float y = exp2f(x);
  return y < 0x1p-126f ? 0.0f : y;
}

// ---- pointers ----
namespace emulator {

// A pointer whose every access is checked. What `p[i]` gives is read and written through.
template <class T>
class pointer {
  using value_type = std::remove_const_t<T>;

 public:
  class reference {
   public:
    reference(char *at, const region &region) : at_(at), region_(region) {}
    operator value_type() const {
      check_access(at_, sizeof(T), alignof(T), access_kind::read, region_);
      value_type value;
      std::memcpy(&value, at_, sizeof value);
      return value;
    }
    value_type operator=(value_type value) const {
      static_assert(!std::is_const_v<T>, "a write through a pointer to const");
      check_access(at_, sizeof(T), alignof(T), access_kind::write, region_);
      std::memcpy(at_, &value, sizeof value);
      return value;
    }
    value_type operator=(const reference &other) const { return *this = (value_type)other; }
    value_type operator+=(value_type value) const { return *this = (value_type) * this + value; }
    value_type operator*=(value_type value) const { return *this = (value_type) * this * value; }

   private:
    char *at_;
    const region &region_;
  };

  pointer() : at_(nullptr), region_() {}
  pointer(std::nullptr_t) : pointer() {}
  pointer(char *at, const region &region) : at_(at), region_(region) {}
  template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
  pointer(const pointer<U> &other) : at_(other.at()), region_(other.reach()) {}

  reference operator[](int64_t i) const { return {at_ + i * (int64_t)sizeof(T), region_}; }
  reference operator*() const { return {at_, region_}; }
  pointer operator+(int64_t i) const { return {at_ + i * (int64_t)sizeof(T), region_}; }
  explicit operator bool() const { return at_ != nullptr; }
  char *at() const { return at_; }
  const region &reach() const { return region_; }

 private:
  char *at_;
  region region_;
};

template <class V>
V load_wide(const char *at, const region &region) {
  check_access(at, sizeof(V), alignof(V), access_kind::read, region);
  V value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace emulator

template <class T>
using device_pointer = emulator::pointer<T>;
template <class T>
using shared_pointer = emulator::pointer<T>;

template <class T>
device_pointer<T> view(T *device, int64_t count) {
  emulator::region region;
  if (!device || !emulator::memory_region(device, (size_t)count * sizeof(T), &region)) return nullptr;
  return {region.begin, region};
}

// Where a pointer among a kernel's arguments points to; 0 for what is none.
template <class T>
uint64_t argument_address(const T &argument) {
  if constexpr (std::is_pointer_v<T>)
    return reinterpret_cast<uint64_t>(argument);
  else
    return 0;
}

template <class T>
uint64_t argument_address(const emulator::pointer<T> &argument) {
  return reinterpret_cast<uint64_t>(argument.at());
}

// A 4, 8 or 16 byte word V at element i: i must be a multiple of what makes it aligned.
template <class V, class T>
V load_word(emulator::pointer<T> p, int64_t i) {
  return emulator::load_wide<V>(p.at() + i * (int64_t)sizeof(T), p.reach());
}

template <class V, class T>
void store_word(emulator::pointer<T> p, int64_t i, V word) {
  char *at = p.at() + i * (int64_t)sizeof(T);
  emulator::check_access(at, sizeof(V), alignof(V), emulator::access_kind::write, p.reach());
  std::memcpy(at, &word, sizeof word);
}

template <class T>
T atomicAdd(emulator::pointer<T> p, T value) {
  emulator::check_access(p.at(), sizeof(T), alignof(T), emulator::access_kind::atomic, p.reach());
  T old;
  std::memcpy(&old, p.at(), sizeof old);
  T sum = old + value;
  std::memcpy(p.at(), &sum, sizeof sum);
  return old;
}

template <class T>
T atomicMax(emulator::pointer<T> p, T value) {
  emulator::check_access(p.at(), sizeof(T), alignof(T), emulator::access_kind::atomic, p.reach());
  T old;
  std::memcpy(&old, p.at(), sizeof old);
  if (value > old) std::memcpy(p.at(), &value, sizeof value);
  return old;
}

// `count` elements of the block's dynamic shared memory, from a byte offset on.
template <class T>
shared_pointer<T> shared_memory(size_t offset, size_t count) {
  emulator::region all = emulator::shared_dynamic();
  if (all.begin + offset + count * sizeof(T) > all.end)
    emulator::fail("out of bounds: %zu bytes at byte %zu of %zu bytes of dynamic shared memory", count * sizeof(T),
                   offset, (size_t)(all.end - all.begin));
  emulator::region part = {all.begin + offset, all.begin + offset + count * sizeof(T), all.cells + offset, true};
  return {part.begin, part};
}

// A shared array of the kernel's own; arrays of one type and count are distinguished by TAG.
template <class T, int COUNT, int TAG>
shared_pointer<T> shared_array() {
  static const char key = 0;
  emulator::region region = emulator::shared_static(&key, COUNT * sizeof(T), alignof(T) > 16 ? alignof(T) : 16);
  return {region.begin, region};
}

// ---- tensor cores and asynchronous copies ----
// mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32: d = a b + c of a warp (PTX ISA, "Matrix fragments for
// mma.m16n8k16 with floating point type"). With g = lane / 4 and t = lane % 4, a lane holds, each register two
// adjacent values, the lower half first:
//   a: rows g, g + 8, g, g + 8 at columns 2t, 2t, 2t + 8, 2t + 8;  b: rows 2t, 2t + 8 of column g
//   c, d: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
inline void mma_16816(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
                      const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  struct operands {
    uint32_t a[4], b[2];
  } mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  emulator::exchange all = emulator::warp_exchange("mma.sync", {file, line}, 0xffffffffu, &mine, sizeof mine);
  auto value = [](uint32_t word, unsigned half) { return __uint_as_float(half ? word & 0xffff0000u : word << 16); };
  unsigned lane = emulator::lane_index(), group = lane / 4, pair = lane % 4;
  for (unsigned i = 0; i < 4; i++) {
    unsigned row = i / 2, column = pair * 2 + i % 2;
    float sum = c[i];
    for (unsigned k = 0; k < 16; k++) {
      operands from_a, from_b;
      std::memcpy(&from_a, all.lane(group * 4 + k % 8 / 2), sizeof from_a);
      std::memcpy(&from_b, all.lane(column * 4 + k % 8 / 2), sizeof from_b);
      sum += value(from_a.a[row + k / 8 * 2], k % 2) * value(from_b.b[k / 8], k % 2);
    }
    d[i] = sum;
  }
}

// ldmatrix.sync.aligned.m8n8.x4.b16: four 8 x 8 matrices of 2-byte elements from shared memory (PTX ISA, "ldmatrix").
// Lane l gives, by element i of p, where row l % 8 of matrix l / 8 begins: 16 bytes. Register m is matrix m's fragment:
// the two adjacent elements at row lane / 4, columns 2 (lane % 4) and one more, the first in the lower half;
// transposed, those of one column lane / 4 and rows 2 (lane % 4) and one more.
namespace emulator {
template <bool TRANSPOSED, class T>
void load_matrices(const char *what, site site, uint32_t to[4], pointer<T> p, int64_t i) {
  static_assert(sizeof(T) == 2, "matrices of 2-byte elements");
  uint4 row = load_wide<uint4>(p.at() + i * 2, p.reach());
  exchange all = warp_exchange(what, site, 0xffffffffu, &row, sizeof row);
  unsigned group = lane_index() / 4, pair = lane_index() % 4 * 2;
  for (unsigned matrix = 0; matrix < 4; matrix++) {
    uint16_t halves[2];
    for (unsigned half = 0; half < 2; half++) {
      unsigned from_row = TRANSPOSED ? pair + half : group, column = TRANSPOSED ? group : pair + half;
      std::memcpy(&halves[half], all.lane(matrix * 8 + from_row) + column * 2, 2);
    }
    to[matrix] = (uint32_t)halves[1] << 16 | halves[0];
  }
}

}  // namespace emulator
template <class T>
void load_matrices(uint32_t to[4], shared_pointer<T> p, int64_t i, const char *file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  emulator::load_matrices<false>("ldmatrix", {file, line}, to, p, i);
}

template <class T>
void load_matrices_transposed(uint32_t to[4], shared_pointer<T> p, int64_t i, const char *file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  emulator::load_matrices<true>("ldmatrix.trans", {file, line}, to, p, i);
}

// cp.async of 16 bytes to element i of shared memory from element j of global memory; where nothing is `there`, zeroes
// (cp.async with a source size of 0, which reads nothing).
template <class T>
void copy_async(shared_pointer<T> to, int64_t i, device_pointer<const T> from, int64_t j, bool there = true) {
  emulator::async_copy(to.reach(), to.at() + i * (int64_t)sizeof(T), from.reach(),
                       there ? from.at() + j * (int64_t)sizeof(T) : nullptr, 16);
}

inline void copy_async_commit() { emulator::async_commit(); }

template <int GROUPS>
void copy_async_wait() {
  emulator::async_wait(GROUPS);
}

// ---- launching ----
template <class... P>
void allow_shared_memory(void (*kernel)(P...), size_t bytes) {
  emulator::allow_shared((const void *)kernel, bytes);
}

struct launch_shape {
  const char *name;  // of the kernel, for messages
  dim3 grid, block;
  size_t shared_bytes;
};
template <class... P, class... A>
void launch(void (*kernel)(P...), const launch_shape &shape, cudaStream_t stream, A... arguments) {
  std::tuple<P...> values(arguments...);
  emulator::launch_call call = {shape.name,
                                {shape.grid.x, shape.grid.y, shape.grid.z},
                                {shape.block.x, shape.block.y, shape.block.z},
                                shape.shared_bytes,
                                emulator::allowed_shared((const void *)kernel)};
  emulator::submit(stream, call, [kernel, values] { std::apply(kernel, values); });
}
