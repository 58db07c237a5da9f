// Switching fibres: by hand where that is a dozen instructions, through ucontext elsewhere.
#include "kernels/cuda/emulator/fiber.h"

#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

#if defined(__SANITIZE_ADDRESS__)
static void leaving(fiber &from, fiber &to, bool last) {
  if (!to.stack) {  // the program's own stack
    pthread_attr_t attributes;
    void *stack = nullptr;
    size_t bytes = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &stack, &bytes);
    pthread_attr_destroy(&attributes);
    __sanitizer_start_switch_fiber(last ? nullptr : &from.sanitizer_stack, stack, bytes);
    return;
  }
  __sanitizer_start_switch_fiber(last ? nullptr : &from.sanitizer_stack, to.stack, to.stack_bytes);
}

static void arrived(fiber &self) { __sanitizer_finish_switch_fiber(self.sanitizer_stack, nullptr, nullptr); }
// The frames of the entry that ran here before were never left.
static void fresh(fiber &fiber) { __asan_unpoison_memory_region(fiber.stack, fiber.stack_bytes); }
#else
static void leaving(fiber &, fiber &, bool) {}
static void arrived(fiber &) {}
static void fresh(fiber &) {}
#endif

void fiber_entered(fiber &self, fiber &) {
  self.sanitizer_stack = nullptr;
  arrived(self);
}

#if defined(__x86_64__)

// Saves what a call must preserve on the stack that is left, and takes it from the one that is entered.
extern "C" void isoloss_emulator_switch(void **save, void *load);
asm(R"(
.text
.globl isoloss_emulator_switch
.hidden isoloss_emulator_switch
.type isoloss_emulator_switch, @function
isoloss_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size isoloss_emulator_switch, .-isoloss_emulator_switch
)");

void fiber_start(fiber &fiber, void (*entry)()) {
  fresh(fiber);
  // As if `entry` had been called (the stack is 8 past a multiple of 16) with six zero registers to restore.
  uintptr_t top = ((uintptr_t)fiber.stack + fiber.stack_bytes) & ~(uintptr_t)15;
  void **frame = (void **)(top - 64);
  std::memset(frame, 0, 64);
  void *address;
  std::memcpy(&address, &entry, sizeof address);
  frame[6] = address;
  fiber.stack_pointer = frame;
}

void fiber_switch(fiber &from, fiber &to, bool last) {
  leaving(from, to, last);
  isoloss_emulator_switch(&from.stack_pointer, to.stack_pointer);
  arrived(from);
}

#else

void fiber_start(fiber &fiber, void (*entry)()) {
  fresh(fiber);
  auto *context = static_cast<ucontext_t *>(fiber.stack_pointer);
  if (!context) fiber.stack_pointer = context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = fiber.stack;
  context->uc_stack.ss_size = fiber.stack_bytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
}

void fiber_switch(fiber &from, fiber &to, bool last) {
  if (!from.stack_pointer) from.stack_pointer = new ucontext_t;
  leaving(from, to, last);
  swapcontext(static_cast<ucontext_t *>(from.stack_pointer), static_cast<ucontext_t *>(to.stack_pointer));
  arrived(from);
}

#endif

}  // namespace emulator
