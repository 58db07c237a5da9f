// See formats.h. By definition rather than by bits: what is tested with it is done by bits.
#include "kernels/cuda/emulator/formats.h"

#include <cmath>

namespace emulator {

namespace {
struct shape {
  int exponent_bits, mantissa_bits;
  double greatest;
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
};
constexpr shape E4M3 = {4, 3, 448}, E5M2 = {5, 2, 57344}, E2M1 = {2, 1, 6};

double magnitude_of(const shape &s, unsigned code) {
  unsigned mantissa = code & ((1u << s.mantissa_bits) - 1), exponent = code >> s.mantissa_bits;
  double fraction = std::ldexp((double)mantissa, -s.mantissa_bits);
  if (exponent == 0) return std::ldexp(fraction, 1 - s.bias());
  return std::ldexp(1 + fraction, (int)exponent - s.bias());
}

double number_of(const shape &s, unsigned code) {
  unsigned sign = 1u << (s.exponent_bits + s.mantissa_bits);
  double size = magnitude_of(s, code & (sign - 1));
  return code & sign ? -size : size;
}

// The code of the nearest magnitude; of two that are as near, the even one.
unsigned code_of(const shape &s, double value) {
  double size = std::fmin(std::fabs(value), s.greatest);
  unsigned sign = std::signbit(value) ? 1u << (s.exponent_bits + s.mantissa_bits) : 0, best = 0;
  for (unsigned code = 0; code < 1u << (s.exponent_bits + s.mantissa_bits); code++) {
    double number = magnitude_of(s, code);
    if (number > s.greatest) break;
    double off = std::fabs(size - number), least = std::fabs(size - magnitude_of(s, best));
    if (off < least || (off == least && code % 2 == 0)) best = code;
  }
  return sign | best;
}

}  // namespace

float float_of_e4m3(uint8_t code) { return (code & 0x7f) == 0x7f ? NAN : (float)number_of(E4M3, code); }

float float_of_e5m2(uint8_t code) {
  if ((code & 0x7f) > 0x7c) return NAN;
  if ((code & 0x7f) == 0x7c) return code & 0x80 ? -INFINITY : INFINITY;
  return (float)number_of(E5M2, code);
}

float float_of_e2m1(uint8_t code) { return (float)number_of(E2M1, code & 0xf); }
float float_of_ue8m0(uint8_t code) { return code == 0xff ? NAN : (float)std::ldexp(1.0, (int)code - 127); }

uint8_t e4m3_of_float(float value) { return std::isnan(value) ? 0x7f : (uint8_t)code_of(E4M3, value); }
uint8_t e5m2_of_float(float value) { return std::isnan(value) ? 0x7f : (uint8_t)code_of(E5M2, value); }
uint8_t e2m1_of_float(float value) { return std::isnan(value) ? 0x7 : (uint8_t)code_of(E2M1, value); }

uint8_t ue8m0_of_float(float value, bool up) {
  if (std::isnan(value)) return 0xff;
  double size = std::fabs((double)value);
  unsigned code = 0;
  while (code < 0xfe && std::ldexp(1.0, (int)code + 1 - 127) <= size) code++;
  if (up && code < 0xfe && std::ldexp(1.0, (int)code - 127) < size) code++;
  return (uint8_t)code;
}

}  // namespace emulator

// For tests in C.
extern "C" {
float isoloss_emulator_number(int exponent_bits, int code);
float isoloss_emulator_number(int exponent_bits, int code) {
  auto narrow = (uint8_t)code;
  return exponent_bits == 4   ? emulator::float_of_e4m3(narrow)
         : exponent_bits == 5 ? emulator::float_of_e5m2(narrow)
         : exponent_bits == 2 ? emulator::float_of_e2m1(narrow)
                              : emulator::float_of_ue8m0(narrow);
}

int isoloss_emulator_code(int exponent_bits, float value);
int isoloss_emulator_code(int exponent_bits, float value) {
  return exponent_bits == 4   ? emulator::e4m3_of_float(value)
         : exponent_bits == 5 ? emulator::e5m2_of_float(value)
         : exponent_bits == 2 ? emulator::e2m1_of_float(value)
                              : emulator::ue8m0_of_float(value, false);
}

int isoloss_emulator_scale_code(float value, int up);
int isoloss_emulator_scale_code(float value, int up) { return emulator::ue8m0_of_float(value, up); }
}
