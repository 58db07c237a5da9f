// Numbers of eight and four bits as GPUs have them: FP8 E4M3 and E5M2, FP4 E2M1 and the power-of-two scales UE8M0, and
// the conversions of PTX's cvt.rn.satfinite (to nearest, ties to even; beyond the greatest number, and infinity, become
// the greatest one).
#pragma once
#include <cstdint>

namespace emulator {

float float_of_e4m3(uint8_t code);   // no infinities; 0x7f is NaN
float float_of_e5m2(uint8_t code);   // as IEEE 754
float float_of_e2m1(uint8_t code);   // of the lower four bits; every code is a number
float float_of_ue8m0(uint8_t code);  // 2^(code - 127); 0xff is NaN

uint8_t e4m3_of_float(float value);  // NaN becomes 0x7f
uint8_t e5m2_of_float(float value);  // NaN becomes 0x7f
uint8_t e2m1_of_float(float value);  // NaN becomes the greatest number
// Towards zero or (up) away from it, as cvt.rz and cvt.rp; the sign is dropped.
uint8_t ue8m0_of_float(float value, bool up);

}  // namespace emulator
