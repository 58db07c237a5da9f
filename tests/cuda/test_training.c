// A tiny model trained on the tested device and on the CPU, on the same batches: losses and gradient norms stay
// together.
#include "tests/cuda/tiny_model.h"

// Built four times: the second program trains with formats, the third with formats in bfloat16, the fourth by other
// optimizers than adamw.
enum program { PROGRAM_PLAIN, PROGRAM_FORMATS, PROGRAM_NARROW_FORMATS, PROGRAM_OPTIMIZERS };
#ifndef TEST_PROGRAM
#define TEST_PROGRAM PROGRAM_PLAIN
#endif

// `early`: the tolerance of the first steps, before differences in rounding have grown. `learned`: what the loss falls
// to, at most, as a share of the first.
static void compare_runs(const struct run_config *c, int steps, double early, double tolerance, double learned) {
  double losses[2][STEPS], norms[2][STEPS];
  train(TEST_BACKEND, c, steps, losses[0], norms[0]);
  train("cpu", c, steps, losses[1], norms[1]);
#if defined(TEST_ON_GPU)
  early *= 10;  // the emulated library sums in double: a GPU's sums are float32's, and in an order of its own
#endif
  double worst = 0;
  for (int step = 0; step < steps; step++) {
    double off = fabs(losses[0][step] / losses[1][step] - 1);
    if (off > worst) worst = off;
  }
  bool fine = true;
  for (int step = 0; step < steps && fine; step++)
    if (!CHECK_NEAR(losses[0][step], losses[1][step], step < 5 ? early : tolerance) ||
        !CHECK_NEAR(norms[0][step], norms[1][step], 20 * tolerance)) {
      printf("# ... at step %d\n", step + 1);
      fine = false;
    }
  CHECK(losses[0][steps - 1] < learned * losses[0][0]);
  printf("# %s %s: loss %.6f -> %.6f, on the CPU %.6f; largest difference %.2g\n", c->train.optimizer, c->model.dtype,
         losses[0][0], losses[0][steps - 1], losses[1][steps - 1], worst);
}

static void compare(const char *dtype, const char *recompute, const char *state, double tolerance) {
  struct run_config c = configuration(dtype, recompute);
  c.train.optimizer_state = state;
  compare_runs(&c, STEPS, tolerance / 100, tolerance, 0.9);
}

static void float32(void) { compare("float32", "none", "float32", 2e-5); }
static void bfloat16(void) { compare("bfloat16", "none", "float32", 2e-2); }
static void narrow_moments(void) { compare("float32", "none", "bfloat16", 1e-2); }

// What two simulated workers send is made on the host, from gradients of the device: where these differ by rounding, a
// draw now and then takes another level.
static void exchanged_gradients(void) {
  struct run_config c = configuration("float32", "none");
  c.train.gradient_compression = "layerwise";
  c.train.gradient_bucket = 64;
  compare_runs(&c, 12, 1e-4, 2e-3, 0.99);
}

// So are the moments that are represented: a value between two levels may go to either.
static void represented_moments(void) {
  struct run_config c = configuration("float32", "none");
  c.train.first_moment = c.train.second_moment = "int8-g16";
  compare_runs(&c, 12, 1e-4, 2e-3, 0.99);
}

// One layer is enough for optimizers: every shape of a matrix is in it.
static struct run_config small_configuration(const char *optimizer, double lr) {
  return configuration_by(optimizer, lr, "none", 1, "float32", "none");
}

// The other optimizers, with moments of either type. Lion moves by whole steps whatever the gradient's size, so that
// what is nearly nothing on both sides may move apart: its steps are small here, and it learns less.
static void other_optimizers(void) {
  static const struct {
    const char *name;
    double lr, tolerance, learned;
  } cases[] = {{"sgd", 0.5, 1e-4, 0.98},      {"lion", 1e-3, 1e-4, 0.98},      {"muon", 5e-3, 1e-4, 0.98},
               {"normuon", 5e-3, 1e-4, 0.98}, {"soap", 5e-3, 3e-3, 0.98},      {"shampoo", 5e-3, 1e-3, 0.98},
               {"ldadam", 5e-3, 1e-3, 0.98},  {"dct_adamw", 5e-3, 1e-4, 0.98}, {"trion", 5e-3, 1e-4, 0.98}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int narrow = 0; narrow < 2; narrow++) {
      struct run_config c = small_configuration(cases[i].name, cases[i].lr);
      c.train.optimizer_state = narrow ? "bfloat16" : "float32";
      if (c.train.rank > 0) c.train.rank = 6;
      if (c.train.basis_steps > 1) c.train.basis_steps = 2;
      double tolerance = narrow ? 1e-2 : cases[i].tolerance;
      // Of a matrix's first gradient SOAP has more eigenvectors than it has directions: the others are a matter of
      // rounding, and move weights as far.
      bool by_rounding = strcmp(cases[i].name, "soap") == 0;
      compare_runs(&c, narrow ? 3 : 8, by_rounding ? tolerance : tolerance / 100, tolerance,
                   narrow ? 1.01 : cases[i].learned);  // of few steps, that it does not diverge
    }
}

// The same run twice gives the same bits, and so does recomputation.
static void same_bits(void) {
  enum { FEW = 6 };
  double losses[2][FEW], norms[2][FEW];
  struct run_config c = configuration("bfloat16", "none"), again = configuration("bfloat16", "block");
  train(TEST_BACKEND, &c, FEW, losses[0], norms[0]);
  train(TEST_BACKEND, &again, FEW, losses[1], norms[1]);
  CHECK(memcmp(losses[0], losses[1], sizeof losses[0]) == 0);
  CHECK(memcmp(norms[0], norms[1], sizeof norms[0]) == 0);
}

#if !defined(TEST_ON_GPU)
extern unsigned long long isoloss_emulator_graph_launches(void);
#else
static unsigned long long isoloss_emulator_graph_launches(void) { return 0; }
#endif

// Steps recorded once and replayed give the bits of steps run call by call, with learning rates, masks (and so gradient
// scales) and batches that change, over several micro-batches.
static void graphs(void) {
  enum { SOME = 20 };
  double losses[2][SOME], norms[2][SOME];
  unsigned long long launches[3];
  struct run_config c = configuration("bfloat16", "none");
  c.train.optimizer_state = c.train.master_weights = "bfloat16";
  for (int off = 0; off < 2; off++) {
    setenv("ISOLOSS_GRAPHS", off ? "off" : "on", 1);
    launches[off] = isoloss_emulator_graph_launches();
    train(TEST_BACKEND, &c, SOME, losses[off], norms[off]);
  }
  launches[2] = isoloss_emulator_graph_launches();
  unsetenv("ISOLOSS_GRAPHS");
  CHECK(memcmp(losses[0], losses[1], sizeof losses[0]) == 0);
  CHECK(memcmp(norms[0], norms[1], sizeof norms[0]) == 0);
  bool emulated = strcmp(TEST_BACKEND, "cuda") != 0;
  if (emulated) CHECK(launches[1] - launches[0] == SOME - 1 && launches[2] == launches[1]);
}

// So do steps of optimizers that move matrices one by one, of other sizes and several times each.
static void optimizers_in_graphs(void) {
  enum { SOME = 4 };
  for (size_t i = 0; optimizers[i]; i++) {
    double losses[2][SOME], norms[2][SOME];
    struct run_config c = small_configuration(optimizers[i]->name, 1e-3);
    if (optimizers[i]->irregular && optimizers[i]->irregular(&c)) continue;  // nothing is repeated
    c.train.optimizer_state = "bfloat16";
    for (int off = 0; off < 2; off++) {
      setenv("ISOLOSS_GRAPHS", off ? "off" : "on", 1);
      train(TEST_BACKEND, &c, SOME, losses[off], norms[off]);
    }
    unsetenv("ISOLOSS_GRAPHS");
    CHECK(memcmp(losses[0], losses[1], sizeof losses[0]) == 0);
    CHECK(memcmp(norms[0], norms[1], sizeof norms[0]) == 0);
  }
}

// A sequence that changes is found, before anything of it is done.
static void changed_sequence(void) {
  struct error error = {0};
  struct device_options options = {.threads = 1};
  const struct ops *ops = ops_find(TEST_BACKEND, &error);
  struct device *device = ops ? ops->open(&options, &error) : NULL;
  if (!CHECK(device != NULL)) return;
  float *memory = ops->allocate(device, 64, &error), value = 0;
  for (int round = 0; round < 5; round++) {
    ops->repeat_begin(device, 0);
    ops->fill_constant(device, memory + (round == 4), 1, (float)round);
    ops->repeat_end(device);
    if (round == 3) CHECK(ops->download(device, &value, memory, sizeof value, &error));
  }
  CHECK(!ops->synchronize(device, &error) && strstr(error.text, "differs from the first"));
  ops->repeat_forget(device);
  ops->free(device, memory);
  ops->close(device);
}

// What does not fit is told before anything is taken, with what would.
static void no_room(void) {
  struct error error = {0};
  struct device_options options = {.threads = 1};
  const struct ops *ops = ops_find(TEST_BACKEND, &error);
  struct device *device = ops ? ops->open(&options, &error) : NULL;
  if (!CHECK(device != NULL)) return;
  struct run_config c = configuration("bfloat16", "none");
  int64_t there = ops->available(device);
  CHECK(there > 0);
  // A micro-batch whose activations are twice what there is: halves of it fit.
  c.model.mlp_width = 1 << 16;
  c.train.accumulation = 1;
  c.train.batch_tokens = 4096;  // what an evaluation takes at least
  struct memory_plan one = trainer_memory(ops, device, &c);
  int64_t sequences = c.train.batch_tokens / CONTEXT * (2 * there / one.activations + 1);
  while (sequences & (sequences - 1)) sequences &= sequences - 1;
  c.train.batch_tokens = 2 * sequences * CONTEXT;
  CHECK(model_create(ops, device, &c, MODEL_TRAIN, &error) == NULL);
  CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "; with train.accumulation ") &&
        !strstr(error.text, "the least there is"));
  printf("# %s\n", error.text);
  struct memory_advice advice;
  CHECK(trainer_memory_advice(ops, device, &c, there, &advice) && advice.total <= there && advice.accumulation > 1);
  error = (struct error){0};
  c.model.width = 1 << 20;
  c.model.mlp_width = 1 << 22;
  c.train.batch_tokens = CONTEXT;
  CHECK(model_create(ops, device, &c, MODEL_TRAIN, &error) == NULL && strstr(error.text, "the least there is"));
  printf("# %s\n", error.text);
  ops->close(device);
}

// What plans for a GPU without one counts as the backend does.
static void planned_memory(void) {
  struct error error = {0};
  struct device_options options = {.threads = 1};
  const struct ops *planning, *ops = ops_find(TEST_BACKEND, &error);
  struct device *none, *device = ops ? ops->open(&options, &error) : NULL;
  if (!CHECK(device != NULL) || !CHECK(trainer_device_plan("cuda:3", 1, &planning, &none, &error))) return;
  static const char *const formats[] = {
      "none",
      "none",
      "quartet-sr",
      "sparse(0.5,global,monotone)",
      "lsq-w4a4",
      "fp8-mixed",
      "w(nvfp4[square(16)])a(nvfp4)g(nvfp4[signed-hadamard(16)])[tokens,high-precision(0.5)]"};
  for (int i = 0; i < 7; i++) {
    struct run_config c = configuration_of(formats[i], 2, i % 2 ? "float32" : "bfloat16", i == 1 ? "ffn" : "none");
    if (i == 1) c.model.vocabulary = 50000;
    if (i == 3) c.train.optimizer_state = "bfloat16";
    if (i % 2 == 0) c.train.master_weights = "bfloat16";
    CHECK(trainer_memory(ops, device, &c).total == trainer_memory(planning, none, &c).total);
  }
  ops->close(device);
}

// With formats a difference in the last bit becomes, sooner or later, a step of a grid somewhere, from where on two
// trainings go ways of their own: the same at first, alike to the end.
static void compare_format(const char *format, const char *dtype, double early) {
  double losses[2][STEPS], norms[2][STEPS];
  struct run_config c = configuration_of(format, 1, dtype, "none");
  train(TEST_BACKEND, &c, STEPS, losses[0], norms[0]);
  train("cpu", &c, STEPS, losses[1], norms[1]);
  if (strcmp(TEST_BACKEND, "cuda") == 0) early = 1e-2;  // sums in another order: steps differ from the start
  double worst = 0;
  bool fine = true;
  for (int step = 0; step < STEPS && fine; step++) {
    double off = fabs(losses[0][step] / losses[1][step] - 1);
    if (off > worst) worst = off;
    fine = CHECK_NEAR(losses[0][step], losses[1][step], step < 8 ? early : 0.1) &&
           (step >= 8 || CHECK_NEAR(norms[0][step], norms[1][step], 20 * early));
    if (!fine) printf("# ... at step %d\n", step + 1);
  }
  CHECK(losses[0][STEPS - 1] < 0.9 * losses[0][0]);
  printf("# %s, %s: loss %.6f -> %.6f, on the CPU %.6f; largest difference %.2g\n", format, dtype, losses[0][0],
         losses[0][STEPS - 1], losses[1][STEPS - 1], worst);
}
// In bfloat16 both round where the other does not, in every product, and formats make steps of a grid of it. The
// yardstick is what bfloat16 itself does to the CPU's training: two roundings are further apart than one from none by
// the root of 2, and trainings that have parted go on parting.
static void compare_narrow(const char *format, const char *state, const char *master) {
  double losses[3][STEPS], norms[3][STEPS];
  for (int run = 0; run < 3; run++) {
    struct run_config c = configuration_of(format, 1, run < 2 ? "bfloat16" : "float32", "none");
    c.train.optimizer_state = state;
    if (run < 2) c.train.master_weights = master;
    train(run == 0 ? TEST_BACKEND : "cpu", &c, STEPS, losses[run], norms[run]);
  }
  double off = 0, yardstick = 0, worst = 0;
  for (int step = 0; step < STEPS; step++) {
    double apart = losses[0][step] - losses[1][step], rounding = losses[1][step] - losses[2][step];
    off += apart * apart;
    yardstick += rounding * rounding;
    worst = fmax(worst, fabs(apart));
  }
  off = sqrt(off / STEPS);
  yardstick = sqrt(yardstick / STEPS);
  CHECK(off < 3 * yardstick);
  CHECK_NEAR(losses[0][0], losses[1][0], 1e-3);
  CHECK(losses[0][STEPS - 1] < 0.9 * losses[0][0]);
  printf(
      "# %s, bfloat16: loss %.6f -> %.6f, on the CPU %.6f; apart by %.2g (rms), %.2g at most; the CPU's from its "
      "float32 by %.2g (rms)\n",
      format, losses[0][0], losses[0][STEPS - 1], losses[1][STEPS - 1], off, worst, yardstick);
}
static void narrow_none(void) { compare_narrow("none", "float32", "float32"); }
static void narrow_w4a4(void) { compare_narrow("w4a4", "float32", "float32"); }
static void narrow_quartet(void) { compare_narrow("quartet-rtn", "float32", "float32"); }
static void narrow_sparse(void) { compare_narrow("sparse(0.5)", "float32", "float32"); }
// Nothing of the blocks' matrices and the head but gradients is float32.
static void narrow_masters(void) { compare_narrow("none", "bfloat16", "bfloat16"); }
// With moments in bfloat16, which prunings set to 0.
static void narrow_pruning(void) {
  compare_narrow("sparse(0.7,cubic(0.2,0.8),every(2),monotone)", "bfloat16", "float32");
}

static void w4a4(void) { compare_format("w4a4", "float32", 1e-6); }
static void quartet(void) { compare_format("quartet-rtn", "float32", 1e-5); }
static void sparse(void) { compare_format("sparse(0.5)", "float32", 1e-6); }
static void lsq(void) { compare_format("lsq-w4a4", "float32", 5e-3); }
static void mxfp4(void) { compare_format("mxfp4", "float32", 1e-6); }
static void fp8_mixed(void) { compare_format("fp8-mixed", "float32", 1e-3); }

int main(void) {
  setenv("ISOLOSS_TRIALS", "off", 1);  // the user's cache is not a test's
  if (TEST_PROGRAM == PROGRAM_NARROW_FORMATS) {
    RUN(narrow_none);
    RUN(narrow_w4a4);
    RUN(narrow_quartet);
    RUN(narrow_sparse);
    RUN(narrow_pruning);
  } else if (TEST_PROGRAM == PROGRAM_FORMATS) {
    RUN(w4a4);
    RUN(quartet);
    RUN(sparse);
    RUN(lsq);
    RUN(mxfp4);
    RUN(fp8_mixed);
  } else if (TEST_PROGRAM == PROGRAM_OPTIMIZERS) {
    RUN(other_optimizers);
    RUN(optimizers_in_graphs);
  } else {
    RUN(float32);
    RUN(bfloat16);
    RUN(narrow_moments);
    RUN(narrow_masters);
    RUN(exchanged_gradients);
    RUN(represented_moments);
    RUN(same_bits);
    RUN(graphs);
    RUN(changed_sequence);
    RUN(no_room);
    RUN(planned_memory);
  }
  return check_end();
}
