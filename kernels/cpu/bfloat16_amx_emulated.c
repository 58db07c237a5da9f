// The AMX kernel on tiles in plain C, as Intel's manual describes the instructions (Software Developer's Manual, volume
// 2, TDPBF16PS): it shows on any CPU that the kernel is right.
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/simd.h"

struct tile_registers {
  bool configured;
  float tiles[8][16][16];
};

INLINE void tile_check(const struct tile_registers *registers) {
  if (!registers->configured) abort();  // what the CPU does, too
}

INLINE void tile_configure(struct tile_registers *registers) {
  *registers = (struct tile_registers){.configured = true};
}

INLINE void tile_release(struct tile_registers *registers) { registers->configured = false; }

INLINE void tile_zero(struct tile_registers *registers, const int tile) {
  tile_check(registers);
  memset(registers->tiles[tile], 0, sizeof registers->tiles[tile]);
}

INLINE void tile_load(struct tile_registers *registers, const int tile, const void *from, int64_t stride) {
  tile_check(registers);
  for (int row = 0; row < 16; row++) memcpy(registers->tiles[tile][row], (const char *)from + row * stride, 64);
}

INLINE void tile_store(struct tile_registers *registers, const int tile, void *to, int64_t stride) {
  tile_check(registers);
  for (int row = 0; row < 16; row++) memcpy((char *)to + row * stride, registers->tiles[tile][row], 64);
}

// One bfloat16 of a word as a float; subnormals are zero.
INLINE float half_of(float word, bool upper) {
  uint32_t bits;
  memcpy(&bits, &word, sizeof bits);
  bits = upper ? bits & 0xFFFF0000 : bits << 16;
  if (!(bits & 0x7F800000)) bits &= 0x80000000;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

INLINE void tile_multiply(struct tile_registers *registers, const int sums, const int a, const int b) {
  tile_check(registers);
  for (int row = 0; row < 16; row++) {
    float even[16] = {0}, odd[16] = {0};
    for (int pair = 0; pair < 16; pair++) {
      float word = registers->tiles[a][row][pair], lower = half_of(word, false), upper = half_of(word, true);
      for (int column = 0; column < 16; column++) {
        even[column] += lower * half_of(registers->tiles[b][pair][column], false);
        odd[column] += upper * half_of(registers->tiles[b][pair][column], true);
      }
    }
    for (int column = 0; column < 16; column++) registers->tiles[sums][row][column] += even[column] + odd[column];
  }
}

#include "kernels/cpu/bfloat16_amx.h"

static bool available(void) { return true; }

const struct bfloat16_kernel bfloat16_amx_emulated = {
    .name = "amx-emulated", .rows = 32, .tiles = true, .stretch = 512, .available = available, .multiply = multiply};
