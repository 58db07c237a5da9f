// Training steps replayed as graphs give the bits of steps run call by call, with every named format, every kind of
// random draw, and schedules that make some steps another sequence than others.
#include "kernels/formats/format.h"
#include "tests/cuda/tiny_model.h"

enum { SOME = 12, FEW = 4 };

#if !defined(TEST_ON_GPU)
extern unsigned long long isoloss_emulator_graph_launches(void);
extern void isoloss_emulator_capability(int capability);
#else
static unsigned long long isoloss_emulator_graph_launches(void) { return 0; }
static void isoloss_emulator_capability(int capability) { (void)capability; }
#endif

// `replayed` of the steps are graphs: all but the first of each sequence. `state` is the type of moments and masters.
static void same_with_graphs(const char *format, const char *dtype, const char *state, int micro_batches, int steps,
                             int replayed) {
  double losses[2][SOME] = {0}, norms[2][SOME] = {0};
  unsigned long long launches[3];
  struct run_config c = configuration_of(format, 1, dtype, "none");
  c.train.steps = steps;
  c.train.optimizer_state = c.train.master_weights = state;
  c.train.batch_tokens = micro_batches * CONTEXT;
  c.train.accumulation = micro_batches;
  for (int off = 0; off < 2; off++) {
    setenv("ISOLOSS_GRAPHS", off ? "off" : "on", 1);
    launches[off] = isoloss_emulator_graph_launches();
    train(TEST_BACKEND, &c, steps, losses[off], norms[off]);
  }
  launches[2] = isoloss_emulator_graph_launches();
  unsetenv("ISOLOSS_GRAPHS");
  bool fine = CHECK(memcmp(losses[0], losses[1], sizeof losses[0]) == 0);
  fine = CHECK(memcmp(norms[0], norms[1], sizeof norms[0]) == 0) && fine;
  if (strcmp(TEST_BACKEND, "cuda") != 0)
    fine = CHECK(launches[1] - launches[0] == (unsigned long long)replayed && launches[2] == launches[1]) && fine;
  if (!fine) {
    printf("# %s, %s: %d steps were graphs\n", format, dtype, (int)(launches[1] - launches[0]));
    for (int step = 0; step < steps; step++)
      printf("# step %d: loss %.17g and %.17g, norm %.17g and %.17g\n", step + 1, losses[0][step], losses[1][step],
             norms[0][step], norms[1][step]);
  }
}

static void presets(void) {
  for (int i = 0; format_presets[i].name; i++)
    same_with_graphs(format_presets[i].name, i % 2 ? "bfloat16" : "float32", "float32", 1, FEW, FEW - 1);
}

// What draws by the step: stochastic rounding of every operand, noise, random signs; and learned scales, which the
// first call sets.
static void draws(void) {
  same_with_graphs("w(int4[stochastic])a(int4[stochastic])g(int8[absmax,stochastic])", "float32", "float32", 2, FEW,
                   FEW - 1);
  same_with_graphs("w(noise(0.02))a(noise(0.02))", "bfloat16", "float32", 1, FEW, FEW - 1);
  same_with_graphs("w(int4[random-hadamard])a(int4[random-hadamard])", "bfloat16", "bfloat16", 1, FEW, FEW - 1);
  same_with_graphs("lsq-w4a4", "float32", "float32", 1, FEW, FEW - 1);
}

// Thresholds anew each step, by tensor and by all weights; densities with a schedule: some steps without a selection,
// some with an event where masks stay, the others.
static void sparse(void) {
  same_with_graphs("sparse(0.5)", "bfloat16", "bfloat16", 1, FEW, FEW - 1);
  same_with_graphs("2:4+int4", "float32", "float32", 1, FEW, FEW - 1);
  same_with_graphs("sparse(0.5,global)", "float32", "float32", 1, FEW, FEW - 1);
  same_with_graphs("sparse(0.8,cubic(0.3,0.9),every(1))", "float32", "float32", 1, SOME, SOME - 2);
  same_with_graphs("random-sparse(0.8,cubic(0.3,0.9),every(1))", "float32", "float32", 1, SOME, SOME - 1);
  same_with_graphs("sparse(0.8,cubic(0.3,0.8),every(2),monotone)", "bfloat16", "bfloat16", 1, SOME, SOME - 3);
  same_with_graphs("sparse(0.8,journey,every(3))", "float32", "float32", 1, SOME, SOME - 2);
}

// Products of codes, where the device has them, of float32 and bfloat16 masters.
static void native(void) {
  isoloss_emulator_capability(100);
  same_with_graphs("quartet-sr", "bfloat16", "bfloat16", 1, FEW, FEW - 1);
  same_with_graphs("w(nvfp4)a(nvfp4)g(nvfp4[stochastic])", "bfloat16", "float32", 1, FEW, FEW - 1);
  same_with_graphs("fp8-mixed", "bfloat16", "bfloat16", 1, FEW, FEW - 1);
}

int main(void) {
  setenv("ISOLOSS_TRIALS", "off", 1);  // the user's cache is not a test's
  RUN(presets);
  RUN(draws);
  RUN(sparse);
  RUN(native);  // the last: the emulated device stays what it then is
  return check_end();
}
