// A tiny model trained with native products of formats (kernels/cuda/native_sizes.h) and with products of values, on
// the same device and batches: losses and gradient norms stay together.
#define TEST_SEQUENCES 8  // 128 tokens: codes of NVFP4 want as many in a sequence
#include "tests/cuda/tiny_model.h"

extern void isoloss_emulator_capability(int capability);
extern unsigned long long isoloss_emulator_narrow_products(void);

// Native products against products of values on the same device: in float32 nothing but the last bit of a represented
// value and the order of sums differs, in bfloat16 the rounding of values too, until that moves a value to another
// level of its grid. Of the 128 tokens each `context` are a sequence. `expected` products of codes are made in a step:
// a layer has four matrices, one of three parts and one of two.
enum { LEARNING = 24 };  // steps in which the loss falls
static void compare_native(const char *format, const char *dtype, int capability, int context, int steps, int expected,
                           double early) {
  double losses[2][STEPS], norms[2][STEPS];
  unsigned long long made[3] = {isoloss_emulator_narrow_products()};
  struct run_config c = configuration_of(format, 1, dtype, "none");
  c.model.context = context;
  isoloss_emulator_capability(capability);
  for (int off = 0; off < 2; off++) {
    setenv("ISOLOSS_NATIVE", off ? "off" : "on", 1);
    train(TEST_BACKEND, &c, steps, losses[off], norms[off]);
    made[off + 1] = isoloss_emulator_narrow_products();
  }
  unsetenv("ISOLOSS_NATIVE");
  if (!CHECK(made[1] - made[0] == (unsigned long long)expected * (unsigned)steps && made[2] == made[1]))
    printf("# %llu native products in %d steps, and %llu without\n", made[1] - made[0], steps, made[2] - made[1]);
  double worst = 0;
  bool fine = true;
  for (int step = 0; step < steps && fine; step++) {
    double off = fabs(losses[0][step] / losses[1][step] - 1);
    if (off > worst) worst = off;
    fine = CHECK_NEAR(losses[0][step], losses[1][step], step < 5 ? early : 0.1) &&
           (step >= 5 || CHECK_NEAR(norms[0][step], norms[1][step], 20 * early));
    if (!fine) printf("# ... at step %d\n", step + 1);
  }
  if (steps == LEARNING) CHECK(losses[0][steps - 1] < 0.9 * losses[0][0]);
  if (capability < 89) CHECK(memcmp(losses[0], losses[1], (size_t)steps * sizeof *losses[0]) == 0);
  printf("# %s, %s, capability %d: loss %.6f -> %.6f, of values %.6f; largest difference %.2g\n", format, dtype,
         capability, losses[0][0], losses[0][steps - 1], losses[1][steps - 1], worst);
}
// Scales of two sequences: for each y and d_x by parts, seven products, and four for d_W.
static void native_fp8(void) {
  compare_native("fp8-mixed", "bfloat16", 90, 64, LEARNING, 2 * (7 + 7 + 4), 1e-2);
  compare_native("fp8-mixed", "float32", 89, 64, 4, 2 * (7 + 7 + 4), 1e-6);
}
static void native_mxfp8(void) {
  compare_native("w(mxfp8)a(mxfp8)g(mxfp8)[requantize]", "float32", 100, 32, 6, 12, 1e-5);
}
static void native_nvfp4(void) { compare_native("w(nvfp4)a(nvfp4)", "float32", 100, 128, 6, 7, 1e-4); }
static void native_quartet(void) { compare_native("quartet-rtn", "bfloat16", 120, 128, 4, 12, 1e-2); }
static void native_nowhere(void) { compare_native("fp8-mixed", "float32", 80, 64, 2, 0, 0); }

int main(void) {
  setenv("ISOLOSS_TRIALS", "off", 1);  // the user's cache is not a test's
  RUN(native_fp8);
  RUN(native_mxfp8);
  RUN(native_nvfp4);
  RUN(native_quartet);
  RUN(native_nowhere);
  return check_end();
}
