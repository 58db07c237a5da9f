// See memory.h.
#include "kernels/cuda/emulator/memory.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <sys/mman.h>

#include "kernels/cuda/emulator/execution.h"

namespace emulator {

running_thread running;

namespace {
struct memory {
  std::map<const char *, allocation> allocations;  // by device address
  size_t in_use = 0;
  uint64_t time = 1;
  std::map<int, std::string> faults;  // by device
};
// One runtime a process; an access is known by its time, whichever device it is on.
memory &the_memory() {
  static memory memory;
  return memory;
}

constexpr size_t PAGE = 4096;
size_t limit_bytes() { return (size_t)4 << 30; }
}  // namespace

std::recursive_mutex &machine() {
  static std::recursive_mutex mutex;
  return mutex;
}

int &current_device() {
  static thread_local int current = 0;
  return current;
}

void time_passes() {
  memory &m = the_memory();
  if (++m.time >> 48) abort();
  running.now = m.time << 16;
}

// ---- faults ----
static void note(const char *format, va_list arguments) {
  turn turn(machine());
  std::string &fault = the_memory().faults[current_device()];
  if (!fault.empty()) return;
  char text[600];
  vsnprintf(text, sizeof text, format, arguments);
  fault = (running.inside ? execution_place() : std::string()) + text;
}

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  note(format, arguments);
  va_end(arguments);
  throw fault();
}

void fault_note(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  note(format, arguments);
  va_end(arguments);
}

const char *fault_text() {
  turn turn(machine());
  const std::string &fault = the_memory().faults[current_device()];
  return fault.empty() ? nullptr : fault.c_str();
}

void fault_clear() {
  turn turn(machine());
  the_memory().faults.clear();
}

static const char *kind_name(access_kind kind) {
  return kind == access_kind::read ? "read" : kind == access_kind::write ? "write" : "atomic";
}

static const char *space_name(const region &region) { return region.shared ? "shared" : "global"; }

void fail_bounds(const char *at, size_t bytes, access_kind kind, const region &region) {
  if (!region.begin) fail("%s of %zu bytes through a null pointer", kind_name(kind), bytes);
  fail("out of bounds: %s of %zu bytes at byte %lld of %zu bytes of %s memory", kind_name(kind), bytes,
       (long long)(at - region.begin), (size_t)(region.end - region.begin), space_name(region));
}

void fail_unwritten(const char *at, size_t bytes, const region &region) {
  fail("uninitialised: read of %zu bytes at byte %lld of %s memory that nothing wrote", bytes,
       (long long)(at - region.begin), space_name(region));
}

void fail_alignment(const char *at, size_t bytes, access_kind kind) {
  fail("misaligned: %s of %zu bytes at address %p", kind_name(kind), bytes, (const void *)at);
}

void check_order(stamp before, bool before_was_write, access_kind kind, const char *at, const region &region) {
  bool before_atomic = before & ATOMIC_STAMP;
  if (before_atomic && kind == access_kind::atomic) return;
  long long offset = (long long)(at - region.begin);
  const char *was = before_atomic ? "atomic" : before_was_write ? "write" : "read";
  if (before < running.block_start)
    fail("race between blocks: %s at byte %lld of global memory, and a %s by another block of the same launch",
         kind_name(kind), offset, was);
  if (before < running.since_block) return;
  unsigned other = (unsigned)(before & THREAD_STAMP), warp = running.thread / WARP;
  if (other / WARP == warp && before < running.since_warp[warp]) return;
  fail("race: %s at byte %lld of %s memory, and a %s by thread %u of this block with no barrier between",
       kind_name(kind), offset, space_name(region), was, other);
}

// ---- allocations ----
size_t memory_in_use() { return the_memory().in_use; }
size_t memory_limit() { return limit_bytes(); }

void *memory_allocate(size_t bytes) {
  turn turn(machine());
  memory &m = the_memory();
  if (bytes > limit_bytes() - m.in_use) return nullptr;
  allocation a = {};
  a.bytes = bytes;
  a.reserved = (bytes + PAGE) / PAGE * PAGE;
  void *reserved = mmap(nullptr, a.reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  void *cells = mmap(nullptr, a.reserved * sizeof(cell), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  void *storage = nullptr;
  if (reserved == MAP_FAILED || cells == MAP_FAILED || posix_memalign(&storage, 256, a.reserved) != 0) {
    if (reserved != MAP_FAILED) munmap(reserved, a.reserved);
    if (cells != MAP_FAILED) munmap(cells, a.reserved * sizeof(cell));
    return nullptr;
  }
  memset(storage, 0x7F, a.reserved);  // what is read in spite of all is no zero
  a.device = (char *)reserved;
  a.cells = (cell *)cells;
  a.storage = (char *)storage;
  a.number = current_device();
  m.allocations[a.device] = a;
  m.in_use += bytes;
  return a.device;
}

bool memory_free(void *device) {
  turn turn(machine());
  memory &m = the_memory();
  auto found = m.allocations.find((const char *)device);
  if (found == m.allocations.end()) return false;
  const allocation &a = found->second;
  munmap(a.device, a.reserved);
  munmap(a.cells, a.reserved * sizeof(cell));
  free(a.storage);
  m.in_use -= a.bytes;
  m.allocations.erase(found);
  return true;
}

bool memory_region(const void *device, size_t bytes, region *region) {
  turn turn(machine());
  memory &m = the_memory();
  auto after = m.allocations.upper_bound((const char *)device);
  const allocation *a = after == m.allocations.begin() ? nullptr : &std::prev(after)->second;
  size_t offset = a ? (size_t)((const char *)device - a->device) : 0;
  if (!a || offset > a->bytes || bytes > a->bytes - offset) {
    fault_note("%zu bytes at %p are not within an allocation of the device", bytes, device);
    return false;
  }
  if (a->number != current_device()) {
    fault_note("%zu bytes at %p are device %d's, and device %d is the current one", bytes, device, a->number,
               current_device());
    return false;
  }
  *region = {a->storage + offset, a->storage + offset + bytes, a->cells + offset, false};
  return true;
}

bool memory_mark_written(const void *device, size_t bytes, region *region) {
  turn turn(machine());
  if (!memory_region(device, bytes, region)) return false;
  stamp now = running.now ? running.now : (time_passes(), running.now);
  for (size_t i = 0; i < bytes; i++) region->cells[i].write = now;
  return true;
}

bool memory_forget_written(const void *device, size_t bytes, region *region) {
  turn turn(machine());
  if (!memory_region(device, bytes, region)) return false;
  for (size_t i = 0; i < bytes; i++) region->cells[i].write = 0;
  return true;
}

bool memory_need_written(const void *device, size_t bytes, region *region) {
  turn turn(machine());
  if (!memory_region(device, bytes, region)) return false;
  for (size_t i = 0; i < bytes; i++)
    if (!region->cells[i].write) {
      fault_note("uninitialised: byte %zu of %zu that the host asked for was never written", i, bytes);
      return false;
    }
  return true;
}

bool memory_copy(void *to, const void *from, size_t bytes) {
  turn turn(machine());
  region source, target;
  if (!memory_region(from, bytes, &source) || !memory_region(to, bytes, &target)) return false;
  memmove(target.begin, source.begin, bytes);
  stamp now = running.now ? running.now : (time_passes(), running.now);
  for (size_t i = 0; i < bytes; i++) target.cells[i].write = source.cells[i].write ? now : 0;
  return true;
}

}  // namespace emulator
