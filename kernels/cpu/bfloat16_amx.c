// The AMX kernel on the CPU's tiles.
#include <cpuid.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/simd.h"

struct tile_registers {
  char none;
};

// The compiler does not know what a tile instruction reads and writes in memory.
INLINE void memory_barrier(const void *memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

// Palette 1, and every tile 16 rows of 64 bytes.
INLINE void tile_configure(struct tile_registers *registers) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } __attribute__((aligned(64))) configuration = {.palette = 1};
  for (int tile = 0; tile < 8; tile++) {
    configuration.row_bytes[tile] = 64;
    configuration.rows[tile] = 16;
  }
  memory_barrier(&configuration);
  _tile_loadconfig(&configuration);
}

INLINE void tile_release(struct tile_registers *registers) { _tile_release(); }

// The intrinsics want literals.
INLINE void tile_zero(struct tile_registers *registers, const int tile) {
  switch (tile) {
    case 0:
      _tile_zero(0);
      break;
    case 1:
      _tile_zero(1);
      break;
    case 2:
      _tile_zero(2);
      break;
    default:
      _tile_zero(3);
  }
}

INLINE void tile_load(struct tile_registers *registers, const int tile, const void *from, int64_t stride) {
  memory_barrier(from);
  switch (tile) {
    case 0:
      _tile_loadd(0, from, stride);
      break;
    case 1:
      _tile_loadd(1, from, stride);
      break;
    case 2:
      _tile_loadd(2, from, stride);
      break;
    case 3:
      _tile_loadd(3, from, stride);
      break;
    case 4:
      _tile_loadd(4, from, stride);
      break;
    case 5:
      _tile_loadd(5, from, stride);
      break;
    case 6:
      _tile_loadd(6, from, stride);
      break;
    default:
      _tile_loadd(7, from, stride);
  }
}

INLINE void tile_store(struct tile_registers *registers, const int tile, void *to, int64_t stride) {
  switch (tile) {
    case 0:
      _tile_stored(0, to, stride);
      break;
    case 1:
      _tile_stored(1, to, stride);
      break;
    case 2:
      _tile_stored(2, to, stride);
      break;
    default:
      _tile_stored(3, to, stride);
  }
  memory_barrier(to);
}

// Sums 0 to 3 are the products of tiles 4 and 5 with 6 and 7.
INLINE void tile_multiply(struct tile_registers *registers, const int sums, const int a, const int b) {
  switch (sums) {
    case 0:
      _tile_dpbf16ps(0, 4, 6);
      break;
    case 1:
      _tile_dpbf16ps(1, 4, 7);
      break;
    case 2:
      _tile_dpbf16ps(2, 5, 6);
      break;
    default:
      _tile_dpbf16ps(3, 5, 7);
  }
}

#include "kernels/cpu/bfloat16_amx.h"

// The CPU has the units, the operating system saves their state, and lets this process use it: Linux wants to be asked
// (arch_prctl, ARCH_REQ_XCOMP_PERM for XTILEDATA), once, before the first tile instruction.
static bool available(void) {
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, SAVED = 3 << 17 };
  unsigned eax, ebx, ecx, edx;
  if (!isa_available(ISA_AVX512) || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
  if ((edx & (AMX_BF16 | AMX_TILE)) != (AMX_BF16 | AMX_TILE)) return false;
  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return (eax & SAVED) == SAVED && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

const struct bfloat16_kernel bfloat16_amx = {
    .name = "amx", .rows = 32, .tiles = true, .stretch = 512, .available = available, .multiply = multiply};
