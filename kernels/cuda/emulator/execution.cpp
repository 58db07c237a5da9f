// See execution.h.
#include "kernels/cuda/emulator/execution.h"

#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <vector>

#include "kernels/cuda/emulator/fiber.h"

namespace emulator {

index3 thread_index, block_index, block_size, grid_size;

namespace {
constexpr size_t STACK_BYTES = 128 << 10;

struct pending_copy {
  region to, from;
  char *at;
  const char *source;
  size_t bytes;
  int group;
};

struct thread {
  struct fiber fiber;
  index3 index;
  bool finished;
  const char *waits;  // at what; NULL: it does not
  struct site site;
  int copy_group;  // that copies begun now belong to
  std::vector<pending_copy> copies;
};

struct warp {
  unsigned arrived;
  const char *what;
  struct site site;
  unsigned parity;  // of exchanges
  bool unread;      // an exchange has not been released
  unsigned char slots[2][WARP * EXCHANGE_BYTES];
};

struct static_array {
  const void *key;
  size_t offset, bytes;
};

struct block_state {
  const launch_call *call;
  const std::function<void()> *body;
  std::vector<thread> threads;  // kept from block to block, for their stacks
  std::vector<warp> warps;
  std::vector<stamp> since_warp;
  unsigned count;  // threads
  unsigned finished, arrived;
  struct site site;
  bool failed;
  struct fiber scheduler;
  thread *current;
  std::vector<char> shared;
  std::vector<cell> shared_cells;
  std::vector<static_array> statics;
  size_t static_end;
};
block_state &state() {
  static block_state state;
  return state;
}

[[noreturn]] void fail_divergent(const char *what, site here, const char *other_what, site there) {
  fail("divergent barrier: waits at %s (%s:%d) while other threads wait at %s (%s:%d)", what, here.file, here.line,
       other_what, there.file, there.line);
}

bool same(site a, site b) { return a.line == b.line && std::strcmp(a.file, b.file) == 0; }

// Gives the processor to the scheduler until somebody makes this thread ready.
void wait_at(const char *what, site site) {
  block_state &s = state();
  thread &self = *s.current;
  self.waits = what;
  self.site = site;
  fiber_switch(self.fiber, s.scheduler);
  if (s.failed) throw fault();
}

// The running thread arrives at a meeting of its warp; true when it is the last.
bool warp_arrive(const char *what, site site, unsigned mask) {
  block_state &s = state();
  warp &w = s.warps[running.thread / WARP];
  if (mask != 0xffffffffu) fail("%s with mask %08x: only whole warps are emulated", what, mask);
  if (w.arrived && (w.what != what || !same(w.site, site))) fail_divergent(what, site, w.what, w.site);
  w.what = what;
  w.site = site;
  if (++w.arrived < WARP) return false;
  w.arrived = 0;
  unsigned first = running.thread / WARP * WARP;
  for (unsigned i = first; i < first + WARP; i++) s.threads[i].waits = nullptr;
  return true;
}

void thread_entry() {
  block_state &s = state();
  thread &self = *s.current;
  fiber_entered(self.fiber, s.scheduler);
  try {
    if (s.failed) throw fault();
    (*s.body)();
    if (!self.copies.empty()) fail("asynchronous copies that nobody waited for at the thread's end");
  } catch (const fault &) {
    s.failed = true;
  }
  self.copies.clear();
  self.finished = true;
  s.finished++;
  fiber_switch(self.fiber, s.scheduler, true);
}

void resume(thread &t) {
  block_state &s = state();
  s.current = &t;
  running.thread = (unsigned)(&t - s.threads.data());
  thread_index = t.index;
  fiber_switch(s.scheduler, t.fiber);
}

// Nobody can go on: says of one waiting thread what it waits for, and of another why that never comes.
void report_stuck() {
  block_state &s = state();
  const thread *waiting = nullptr, *other = nullptr;
  for (unsigned i = 0; i < s.count; i++) {
    const thread &t = s.threads[i];
    if (!t.finished && !waiting) {
      waiting = &t;
      running.thread = i;
      thread_index = t.index;
    }
  }
  for (unsigned i = 0; i < s.count; i++) {
    const thread &t = s.threads[i];
    if (&t != waiting && (t.finished || t.waits != waiting->waits || !same(t.site, waiting->site))) other = &t;
  }
  try {
    if (!other) fail("waits at %s (%s:%d) for ever", waiting->waits, waiting->site.file, waiting->site.line);
    unsigned number = (unsigned)(other - s.threads.data());
    if (other->finished)
      fail("divergent barrier: waits at %s (%s:%d), but thread %u has exited", waiting->waits, waiting->site.file,
           waiting->site.line, number);
    fail("divergent barrier: waits at %s (%s:%d), but thread %u waits at %s (%s:%d)", waiting->waits,
         waiting->site.file, waiting->site.line, number, other->waits, other->site.file, other->site.line);
  } catch (const fault &) {
    s.failed = true;
  }
}

void run_block() {
  block_state &s = state();
  time_passes();
  running.block_start = running.since_block = running.now;
  running.since_warp = s.since_warp.data();
  s.finished = s.arrived = 0;
  s.statics.clear();
  s.static_end = (s.call->shared_bytes + 15) / 16 * 16;
  for (unsigned i = 0; i < s.count / WARP; i++) {
    s.warps[i].arrived = 0;
    s.since_warp[i] = running.now;
  }
  for (unsigned i = 0; i < s.count; i++) {
    thread &t = s.threads[i];
    t.finished = false;
    t.waits = nullptr;
    t.copy_group = 0;
    fiber_start(t.fiber, thread_entry);
  }
  while (s.finished < s.count) {
    unsigned before = s.finished;
    bool moved = false;
    for (unsigned i = 0; i < s.count; i++) {
      thread &t = s.threads[i];
      // After a fault all others are resumed once more, to leave their stacks.
      if (t.finished || (t.waits && !s.failed)) continue;
      t.waits = nullptr;
      resume(t);
      moved = true;
    }
    if (!moved && s.finished == before) report_stuck();
  }
}

bool possible(const launch_call &call) {
  unsigned threads = call.block.x * call.block.y * call.block.z;
  if (!threads || threads > BLOCK_THREADS_LIMIT || threads % WARP || !call.grid.x || !call.grid.y || !call.grid.z ||
      call.grid.y > 65535 || call.grid.z > 65535 || call.grid.x > 0x7fffffff) {
    fault_note("kernel %s: a grid of %u x %u x %u blocks of %u x %u x %u threads cannot be launched", call.name,
               call.grid.x, call.grid.y, call.grid.z, call.block.x, call.block.y, call.block.z);
    return false;
  }
  if (call.shared_bytes > call.shared_limit) {
    fault_note("kernel %s: %zu bytes of shared memory; %zu are allowed to it", call.name, call.shared_bytes,
               call.shared_limit);
    return false;
  }
  return true;
}

}  // namespace

std::string execution_place() {
  char text[200];
  snprintf(text, sizeof text, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ", state().call->name, block_index.x,
           block_index.y, block_index.z, thread_index.x, thread_index.y, thread_index.z);
  return text;
}

bool run_kernel(const launch_call &call, const std::function<void()> &body) {
  block_state &s = state();
  if (!possible(call)) return false;
  s.call = &call;
  s.body = &body;
  s.count = call.block.x * call.block.y * call.block.z;
  s.failed = false;
  if (s.threads.size() < s.count) s.threads.resize(s.count);
  for (unsigned i = 0; i < s.count; i++) {
    thread &t = s.threads[i];
    t.index = {i % call.block.x, i / call.block.x % call.block.y, i / call.block.x / call.block.y};
    if (t.fiber.stack) continue;
    void *stack =
        mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) {
      fault_note("kernel %s: no memory for the stacks of %u threads", call.name, s.count);
      return false;
    }
    t.fiber.stack = (char *)stack;
    t.fiber.stack_bytes = STACK_BYTES;
  }
  s.warps.resize(BLOCK_THREADS_LIMIT / WARP);
  s.since_warp.resize(BLOCK_THREADS_LIMIT / WARP);
  s.shared.resize(SHARED_DYNAMIC_LIMIT + SHARED_STATIC_LIMIT);
  s.shared_cells.resize(s.shared.size());
  grid_size = call.grid;
  block_size = call.block;
  time_passes();
  running.launch_start = running.now;
  running.inside = true;
  for (unsigned z = 0; z < call.grid.z && !s.failed; z++)
    for (unsigned y = 0; y < call.grid.y && !s.failed; y++)
      for (unsigned x = 0; x < call.grid.x && !s.failed; x++) {
        block_index = {x, y, z};
        run_block();
      }
  running.inside = false;
  running.thread = 0;
  time_passes();
  return !s.failed;
}

// ---- meetings ----
void block_barrier(site site) {
  static const char WHAT[] = "__syncthreads";
  block_state &s = state();
  if (s.arrived && !same(s.site, site)) fail_divergent(WHAT, site, WHAT, s.site);
  s.site = site;
  if (++s.arrived < s.count) return wait_at(WHAT, site);
  s.arrived = 0;
  for (unsigned i = 0; i < s.count; i++) s.threads[i].waits = nullptr;
  time_passes();
  running.since_block = running.now;
}

void warp_barrier(site site, unsigned mask) {
  static const char WHAT[] = "__syncwarp";
  if (!warp_arrive(WHAT, site, mask)) return wait_at(WHAT, site);
  time_passes();
  state().since_warp[running.thread / WARP] = running.now;
}

exchange warp_exchange(const char *what, site site, unsigned mask, const void *mine, size_t bytes) {
  warp &w = state().warps[running.thread / WARP];
  // Nobody leaves an exchange before all have come, so that the slots of the one before are read when this one ends.
  unsigned char *slots = w.slots[w.parity];
  std::memcpy(slots + lane_index() * EXCHANGE_BYTES, mine, bytes);
  if (warp_arrive(what, site, mask))
    w.parity ^= 1;
  else
    wait_at(what, site);
  return {slots};
}

// ---- shared memory ----
region shared_dynamic() {
  block_state &s = state();
  return {s.shared.data(), s.shared.data() + s.call->shared_bytes, s.shared_cells.data(), true};
}

region shared_static(const void *key, size_t bytes, size_t alignment) {
  block_state &s = state();
  for (const static_array &a : s.statics)
    if (a.key == key)
      return {s.shared.data() + a.offset, s.shared.data() + a.offset + bytes, s.shared_cells.data() + a.offset, true};
  size_t offset = (s.static_end + alignment - 1) / alignment * alignment;
  if (offset + bytes > s.call->shared_bytes + SHARED_STATIC_LIMIT) fail("static shared memory over its limit");
  s.statics.push_back({key, offset, bytes});
  s.static_end = offset + bytes;
  return shared_static(key, bytes, alignment);
}

// ---- asynchronous copies ----
// A copy happens when its thread waits for it, as late as it may: who reads too early finds what was there before.
void async_copy(const region &to, char *at, const region &from, const char *source, size_t bytes) {
  thread &self = *state().current;
  if (source) check_access(source, bytes, bytes, access_kind::read, from);
  if (at < to.begin || at + bytes > to.end) fail_bounds(at, bytes, access_kind::write, to);
  self.copies.push_back({to, from, at, source, bytes, self.copy_group});
}

void async_commit() { state().current->copy_group++; }

void async_wait(int groups_that_may_be_under_way) {
  thread &self = *state().current;
  int last = self.copy_group - groups_that_may_be_under_way;  // groups below it are waited for
  size_t kept = 0;
  for (const pending_copy &copy : self.copies) {
    if (copy.group >= last) {
      self.copies[kept++] = copy;
      continue;
    }
    check_access(copy.at, copy.bytes, copy.bytes, access_kind::write, copy.to);
    if (copy.source)
      std::memcpy(copy.at, copy.source, copy.bytes);
    else
      std::memset(copy.at, 0, copy.bytes);
  }
  self.copies.resize(kept);
}

}  // namespace emulator
