// SwiGLU far out and the conversion of what is no ordinary number, at every level; the rest is in the table of
// operations (test_cases.c).
#include "tests/kernels/kernel_check.h"

// Far out the sigmoid is 0 or 1 and nothing overflows.
static void swiglu_far_out(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    struct tensor extreme = tensor_empty(dtype, 4), y = tensor_empty(dtype, 2), d = tensor_empty(dtype, 4);
    double inputs[] = {-200, 200, 3, 3}, want[] = {0, 600}, gradients[] = {0, 600 * 3, 0, 600 * 200};
    memcpy(extreme.values, inputs, sizeof inputs);
    tensor_write(&extreme);
    ops->swiglu_forward(device, 1, 2, dtype, extreme.data, y.data);
    tensor_check(&y, want, tolerance_of(dtype), "y far out");
    ops->swiglu_backward(device, 1, 2, dtype, extreme.data, y.data, d.data, NULL);
    tensor_check(&d, gradients, tolerance_of(dtype), "d_gate_up far out");
    tensor_free(&extreme), tensor_free(&y), tensor_free(&d);
  }
}
static void swiglu(void) { on_every_level(swiglu_far_out); }

static void conversion_case(void) {
  enum { COUNT = 1003 };
  struct tensor from = tensor_empty(DTYPE_FLOAT32, COUNT), half = tensor_empty(DTYPE_BFLOAT16, COUNT);
  struct tensor back = tensor_empty(DTYPE_FLOAT32, COUNT);
  double want[COUNT];
  for (int i = 0; i < COUNT; i++) from.values[i] = random_number() * pow(10, 30 * random_number());
  // Ties go to even, halfway steps both ways; infinity stays.
  from.values[0] = 1 + 0x1p-8, from.values[1] = 1 + 3 * 0x1p-8, from.values[2] = INFINITY, from.values[3] = -0.0;
  tensor_write(&from);
  for (int i = 0; i < COUNT; i++) want[i] = bfloat16_value(bfloat16_nearest((float)from.values[i]));
  CHECK(want[0] == 1 && want[1] == 1 + 0x1p-6);
  ops->convert(device, COUNT, DTYPE_FLOAT32, from.data, DTYPE_BFLOAT16, half.data);
  ops->convert(device, COUNT, DTYPE_BFLOAT16, half.data, DTYPE_FLOAT32, back.data);
  tensor_read(&half);
  tensor_read(&back);
  bool same = true;
  for (int i = 0; i < COUNT; i++) same &= half.values[i] == want[i] && back.values[i] == want[i];
  CHECK(same);
  // NaNs become quiet and keep their sign and upper bits; a subnormal stays one or becomes zero.
  static const uint32_t odd[] = {0x7FC00000, 0xFFA12345, 0x7F800001, 0x80010000};
  memcpy((float *)from.data + 5, odd, sizeof odd);
  ops->convert(device, COUNT, DTYPE_FLOAT32, from.data, DTYPE_BFLOAT16, half.data);
  const uint16_t *got = (uint16_t *)half.data + 5;
  CHECK(got[0] == 0x7FC0 && got[1] == 0xFFE1 && got[2] == 0x7FC0);
  CHECK(got[3] == 0x8001 || got[3] == 0x8000);
  tensor_free(&from), tensor_free(&half), tensor_free(&back);
}
static void conversion(void) { on_every_level(conversion_case); }

int main(void) {
  RUN(swiglu);
  RUN(conversion);
  return check_end();
}
