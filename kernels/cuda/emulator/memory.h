// The emulated device's memory: what is allocated, what was written, who touched it last. Every byte of device and of
// shared memory has a cell in which its last write and two last reads stand with their time and thread; from these an
// access is known to be out of bounds, of memory that nobody wrote, or in a race.
//
// Time is a counter that moves on at every block's start and at every barrier's release. Within a block an access comes
// after another one exactly when a barrier of both lies between: that of the whole block, or __syncwarp of one warp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace emulator {

// The emulated devices are one program's: threads that work on several of them take turns.
std::recursive_mutex &machine();
using turn = std::lock_guard<std::recursive_mutex>;
// The current device of the calling thread: allocations and faults are a device's own.
int &current_device();

// A moment and a thread: time << 16 | atomic << 15 | thread. 0: never.
using stamp = uint64_t;
constexpr stamp ATOMIC_STAMP = 1u << 15;
constexpr stamp THREAD_STAMP = ATOMIC_STAMP - 1;
constexpr int WARP = 32;

struct cell {
  stamp write, read[2];
};

// What a pointer may reach: a range of real memory with the cells of its bytes.
struct region {
  char *begin, *end;
  cell *cells;
  bool shared;
};

// The thread that runs now, and the times that order its accesses. All zero outside kernels.
struct running_thread {
  bool inside = false;          // a kernel
  unsigned thread = 0;          // within its block
  stamp now = 0;                // time << 16
  stamp launch_start = 0;       // accesses before it are no matter
  stamp block_start = 0;        // of this block
  stamp since_block = 0;        // release of the block's last barrier
  const stamp *since_warp = 0;  // release of each warp's last __syncwarp
};
extern running_thread running;
void time_passes();  // moves the clock on

// What a check found: thrown within kernels, caught where the thread was started.
struct fault {};
// Notes the first fault of a kernel with its name, block and thread, and throws.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum class access_kind { read, write, atomic };
// Where an access is not simply fine: decides whether it is a fault.
void check_order(stamp before, bool before_was_write, access_kind kind, const char *at, const region &region);
[[noreturn]] void fail_bounds(const char *at, size_t bytes, access_kind kind, const region &region);
[[noreturn]] void fail_unwritten(const char *at, size_t bytes, const region &region);
[[noreturn]] void fail_alignment(const char *at, size_t bytes, access_kind kind);

// One access of `bytes` bytes at a multiple of `alignment`.
inline void check_access(const char *at, size_t bytes, size_t alignment, access_kind kind, const region &region) {
  if (at < region.begin || at > region.end || (size_t)(region.end - at) < bytes) fail_bounds(at, bytes, kind, region);
  if ((uintptr_t)at % alignment) fail_alignment(at, bytes, kind);
  stamp mine = running.now | running.thread;
  stamp concerned = region.shared ? running.block_start : running.launch_start;
  cell *cells = region.cells + (at - region.begin);
  for (size_t i = 0; i < bytes; i++) {
    cell &c = cells[i];
    if (kind != access_kind::write && c.write < (region.shared ? running.block_start : 1))
      fail_unwritten(at, bytes, region);
    if (c.write >= concerned && ((c.write ^ mine) & THREAD_STAMP || c.write < running.block_start))
      check_order(c.write, true, kind, at + i, region);
    if (kind == access_kind::read) {
      // One reader of each warp that read since the last barrier, as far as two places reach.
      if (c.read[0] < running.since_block || (c.read[0] & THREAD_STAMP) == running.thread)
        c.read[0] = mine;
      else
        c.read[1] = mine;
      continue;
    }
    for (stamp read : c.read)
      if (read >= concerned && ((read ^ mine) & THREAD_STAMP || read < running.block_start))
        check_order(read, false, kind, at + i, region);
    c.write = mine | (kind == access_kind::atomic ? ATOMIC_STAMP : 0);
  }
}

// ---- allocations ----
// A device address is not an address of the host: using one there is a segmentation fault, as it should be.
struct allocation {
  char *device;  // reserved and unreadable
  size_t bytes, reserved;
  char *storage;
  cell *cells;
  int number;  // of the device that it is on
};
void *memory_allocate(size_t bytes);  // NULL: no room
bool memory_free(void *device);       // false: not an allocation
size_t memory_in_use();
size_t memory_limit();
// The region of `bytes` at a device address. False, and a fault, when it is not all inside one allocation of the
// current device.
bool memory_region(const void *device, size_t bytes, region *region);
// Host-side work on device memory. False: out of bounds, or (need) never written.
bool memory_mark_written(const void *device, size_t bytes, region *region);
bool memory_need_written(const void *device, size_t bytes, region *region);
// As if nobody had ever written it: what somebody is about to bring is not there yet.
bool memory_forget_written(const void *device, size_t bytes, region *region);
// As it is, written or not.
bool memory_copy(void *to, const void *from, size_t bytes);

// The current device's first fault, or NULL; and forgetting those of all, for tests that plant some.
const char *fault_text();
void fault_note(const char *format, ...) __attribute__((format(printf, 1, 2)));  // from outside kernels
void fault_clear();

}  // namespace emulator
