// Fibres: threads of control that hand the processor to each other by name. The emulated device runs every thread of a
// block on one.
#pragma once
#include <cstddef>

namespace emulator {

struct fiber {
  void *stack_pointer = nullptr;  // where it continues, while it is not running
  char *stack = nullptr;          // lowest address; NULL: the program's own stack
  size_t stack_bytes = 0;
  void *sanitizer_stack = nullptr;  // AddressSanitizer's own note of the stack
};

// Prepares `fiber` to run `entry` on its stack, from the next switch to it. `entry` never returns: it ends with a
// fiber_switch whose `last` is true.
void fiber_start(fiber &fiber, void (*entry)());
// Goes on in `to`; comes back when somebody switches to `from`. `last`: `from` will not be switched to again.
void fiber_switch(fiber &from, fiber &to, bool last = false);
// To be called first thing by a fibre's entry.
void fiber_entered(fiber &self, fiber &from);

}  // namespace emulator
