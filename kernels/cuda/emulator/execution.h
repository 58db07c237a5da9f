// Running kernels: blocks one after another, the threads of a block as fibres that meet at barriers.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "kernels/cuda/emulator/memory.h"

namespace emulator {

struct index3 {
  unsigned x, y, z;
};

// What the device language's built-in variables say; see language.h.
extern index3 thread_index, block_index, block_size, grid_size;

constexpr size_t SHARED_STATIC_LIMIT = 48 << 10;   // without asking for more
constexpr size_t SHARED_DYNAMIC_LIMIT = 99 << 10;  // the least of the architectures that are built for
constexpr unsigned BLOCK_THREADS_LIMIT = 1024;

struct launch_call {
  const char *name;
  index3 grid, block;
  size_t shared_bytes;
  size_t shared_limit;  // what was asked for this kernel
};
// Runs the body once per thread. False: the launch is not possible or a thread failed; the fault says why.
bool run_kernel(const launch_call &call, const std::function<void()> &body);

// "kernel NAME, block (x, y, z), thread (x, y, z): " of the running thread.
std::string execution_place();

// Where in the source a barrier is.
struct site {
  const char *file;
  int line;
};

// The running thread waits for all of its block, and what they did before is seen by all after it.
void block_barrier(site site);
// The same for its warp.
void warp_barrier(site site, unsigned mask);

// A warp's exchange: every lane gives `bytes` bytes, all wait for each other, and `lane(i)` are then the bytes of lane
// i, until the next exchange but one. It orders no memory.
constexpr size_t EXCHANGE_BYTES = 64;
struct exchange {
  const unsigned char *bytes;
  const unsigned char *lane(unsigned i) const { return bytes + i * EXCHANGE_BYTES; }
};
exchange warp_exchange(const char *what, site site, unsigned mask, const void *mine, size_t bytes);
inline unsigned lane_index() { return running.thread % WARP; }

// Shared memory of the running block: the dynamic part, and arrays that are known by a key.
region shared_dynamic();
region shared_static(const void *key, size_t bytes, size_t alignment);

// Copies that the running thread has begun and not waited for. A null source is zeroes.
void async_copy(const region &to, char *at, const region &from, const char *source, size_t bytes);
void async_commit();
void async_wait(int groups_that_may_be_under_way);

}  // namespace emulator
