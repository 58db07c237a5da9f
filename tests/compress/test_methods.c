// The methods through their face: GPTQ against rounding to nearest, against Babai, on every format; HIGGS's constants;
// what a change of the problem must not change.
#include "tests/compress/problem.h"

static const char *const gridded_formats[] = {
    "int4-g32",    "absmax-int3",           "int3",   "mxfp4",  "nvfp4",
    "nf4",         "fp4-e2m1[absmax]",      "vq2-16", "vq4-16", "int4-twos-g16",
    "quest-mxfp4", "int4[random-hadamard]", "vq1-8"};
enum { FORMATS = sizeof gridded_formats / sizeof *gridded_formats };

static double largest_difference(const float *a, const float *b, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
  return most;
}

static void to_identity(struct problem *p) {
  for (int64_t i = 0; i < p->inputs * p->inputs; i++) p->hessian[i] = i / p->inputs == i % p->inputs ? 1 : 0;
}

// Inputs that have nothing to do with each other: GPTQ and Babai round to nearest, as the trainer's own pass.
static void nearest_without_correlation(void) {
  struct problem p = problem_make(24, 64, 128, 3);
  to_identity(&p);
  float rounded[24 * 64];
  for (int f = 0; f < FORMATS; f++)
    for (int babai = 0; babai < 2; babai++) {
      char text[100];
      snprintf(text, sizeof text, "rtn format=%s", gridded_formats[f]);
      compress(&p, text, true);
      memcpy(rounded, p.represented, sizeof rounded);
      double rtn = p.result.relative_error;
      snprintf(text, sizeof text, "%s format=%s", babai ? "babai" : "gptq", gridded_formats[f]);
      compress(&p, text, true);
      // A value in the middle between two levels may go either way in single precision.
      if (!CHECK_NEAR(p.result.relative_error / rtn, 1, 1e-5) ||
          !CHECK(largest_difference(rounded, p.represented, 24 * 64) < 1e-5))
        printf("# %s\n", text);
    }
  problem_free(&p);
}

static void gptq_beats_nearest(void) {
  double mean = 0;
  int compared = 0;
  for (uint64_t seed = 0; seed < 6; seed++) {
    struct problem p = problem_make(32, 64, 256, seed);
    for (int f = 0; f < FORMATS; f++) {
      char text[100];
      snprintf(text, sizeof text, "rtn format=%s", gridded_formats[f]);
      compress(&p, text, true);
      double rtn = p.result.weighted_error, before = p.result.output_error;
      snprintf(text, sizeof text, "gptq format=%s", gridded_formats[f]);
      compress(&p, text, true);
      if (!CHECK(p.result.weighted_error < rtn) || !CHECK(p.result.output_error < before)) printf("# %s\n", text);
      CHECK_NEAR(p.result.method_error / p.result.weighted_error, 1, 1e-4);
      if (p.result.clipped == 0 && !isnan(p.result.bound)) CHECK(p.result.weighted_error <= p.result.bound * 1.0001);
      mean += p.result.weighted_error / rtn;
      compared++;
    }
    problem_free(&p);
  }
  printf("# gptq's weighted error over rtn's, mean of %d: %.3f\n", compared, mean / compared);
}

// Babai in its natural order is GPTQ in the reversed one, and the other way round; other orders are the same for both.
static void same_by_both(void) {
  static const char *const pairs[][2] = {
      {"reversed", "natural"}, {"natural", "reversed"}, {"act", "act"}, {"min-pivot", "min-pivot"}};
  static const char *const what[] = {"bits=3",          "bits=4 group=16", "bits=2 range=unbounded",
                                     "bits=3 clip=mse", "format=nf4",      "format=vq2-16",
                                     "format=nvfp4"};
  struct problem p = problem_make(20, 48, 200, 11);
  int32_t codes[20 * 48];
  for (size_t w = 0; w < sizeof what / sizeof *what; w++)
    for (int o = 0; o < 4; o++) {
      if (strstr(what[w], "vq2") && o == 3) continue;  // single inputs have no place in that order
      char text[100];
      snprintf(text, sizeof text, "gptq %s order=%s", what[w], pairs[o][0]);
      compress(&p, text, true);
      CHECK(p.result.has_codes);
      int64_t count = strstr(what[w], "vq2") ? 20 * 24 : 20 * 48;
      memcpy(codes, p.codes, sizeof codes);
      double error = p.result.method_error;
      snprintf(text, sizeof text, "babai %s order=%s", what[w], pairs[o][1]);
      compress(&p, text, true);
      if (!CHECK(memcmp(codes, p.codes, (size_t)count * sizeof *codes) == 0) ||
          !CHECK_NEAR(error / p.result.method_error, 1, 1e-9))
        printf("# %s\n", text);
    }
  problem_free(&p);
}

// Integers without ends: never beyond the bound, a third of it on average, bits by how often codes occur.
static void bound(void) {
  double ratio = 0;
  for (uint64_t seed = 0; seed < 40; seed++) {
    struct problem p = problem_make(32, 48, 200, 100 + seed);
    compress(&p, seed % 2 ? "babai bits=3 range=unbounded order=act" : "gptq bits=3 range=unbounded", true);
    CHECK(p.result.clipped == 0);
    CHECK(p.result.weighted_error <= p.result.bound);
    CHECK(p.result.bits_per_weight > 1.5 && p.result.bits_per_weight < 3.5);
    ratio += p.result.weighted_error / p.result.bound / 40;
    problem_free(&p);
  }
  printf("# error over bound %.4f\n", ratio);
  CHECK_NEAR(ratio, 0.33, 0.01);
}

static void clip_search(void) {
  struct problem p = problem_make(32, 64, 256, 5);
  for (int64_t i = 0; i < 32; i++) p.weights[i * 64 + i] *= 6;  // something to clip
  for (int bits = 2; bits <= 4; bits++) {
    double norms[2] = {0}, errors[2];
    for (int k = 0; k < 2; k++) {
      char text[100];
      snprintf(text, sizeof text, "rtn bits=%d group=16 clip=%s", bits, k ? "mse" : "none");
      compress(&p, text, true);
      for (int64_t i = 0; i < 32 * 64; i++) norms[k] += pow(fabs((double)p.weights[i] - (double)p.represented[i]), 2.4);
      errors[k] = p.result.relative_error;
    }
    CHECK(norms[1] <= norms[0]);
    if (bits <= 3) CHECK(errors[1] < errors[0]);
  }
  problem_free(&p);
}

// ---- HIGGS ----

// What a grid's error is on Gaussian data, whatever the weights were: Gaussian ones, and their squares with signs,
// whose tails are heavy.
static void grid_constants(void) {
  static const struct {
    int p, n;
    double error;
  } table[] = {{1, 2, .3634},  {1, 4, .1175},  {1, 8, .0345},  {1, 16, .0095},
               {2, 16, .1070}, {2, 64, .0296}, {2, 256, .0079}};
  struct problem p = problem_make(128, 256, 1, 9);
  for (int squares = 0; squares < 2; squares++) {
    for (int64_t i = 0; i < 128 * 256 && squares; i++) p.weights[i] *= fabsf(p.weights[i]);
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
      char text[100];
      snprintf(text, sizeof text, "higgs p=%d n=%d", table[k].p, table[k].n);
      compress(&p, text, false);
      printf("# %s: t^2 %.4f (%.4f)\n", text, p.result.relative_error, table[k].error);
      CHECK(fabs(p.result.relative_error / table[k].error - 1) < (squares ? 0.05 : 0.02));
      CHECK_NEAR(p.result.bits_per_weight, log2(table[k].n) / table[k].p + 16.0 / 256, 1e-12);
    }
  }
  problem_free(&p);
  p = problem_make(64, 512, 1, 10);
  compress(&p, "higgs p=4 n=256", false);
  CHECK(p.result.relative_error < .1070 && p.result.relative_error > 0.0625);  // better than 2 bits in the plane
  CHECK_NEAR(p.result.bits_per_weight, 2 + 16.0 / 512, 1e-12);
  compress(&p, "higgs p=2 n=16 group=64", false);
  CHECK_NEAR(p.result.bits_per_weight, 2 + 16.0 / 64, 1e-12);
  CHECK(isnan(p.result.weighted_error) && isnan(p.result.output_error));
  problem_free(&p);
}

// ---- what must not matter ----

static void same_again(void) {
  static const char *const texts[] = {
      "gptq bits=3 order=act",       "babai format=nvfp4",    "higgs p=2 n=16", "rtn format=int4[random-hadamard]",
      "rtn format=int4[stochastic]", "sparsegpt sparsity=0.6"};
  for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
    float first[16 * 64];
    for (int turn = 0; turn < 2; turn++) {
      struct problem p = problem_make(16, 64, 200, 21);
      compress(&p, texts[k], true);
      if (turn == 0) memcpy(first, p.represented, sizeof first);
      CHECK(memcmp(first, p.represented, sizeof first) == 0);
      problem_free(&p);
    }
  }
}

// Outputs have nothing to do with each other; a larger Hessian asks for the same; weights twice as large become twice
// as large; parts of a stacked matrix are as they would be alone.
static void invariances(void) {
  static const char *const texts[] = {"gptq bits=3",       "babai bits=4 group=16 order=act",
                                      "gptq format=nvfp4", "gptq format=vq2-16",
                                      "rtn format=nvfp4",  "sparsegpt pattern=2:4"};
  enum { OUT = 16, IN = 64 };
  for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
    struct problem p = problem_make(OUT, IN, 200, 33), changed = problem_make(OUT, IN, 200, 33);
    compress(&p, texts[k], true);
    for (int o = 0; o < OUT; o++) memcpy(changed.weights + o * IN, p.weights + (OUT - 1 - o) * IN, IN * sizeof(float));
    compress(&changed, texts[k], true);
    for (int o = 0; o < OUT; o++)
      CHECK(memcmp(changed.represented + o * IN, p.represented + (OUT - 1 - o) * IN, IN * sizeof(float)) == 0);
    memcpy(changed.weights, p.weights, OUT * IN * sizeof(float));
    for (int i = 0; i < IN * IN; i++) changed.hessian[i] = 64 * p.hessian[i];
    compress(&changed, texts[k], true);
    CHECK(memcmp(changed.represented, p.represented, OUT * IN * sizeof(float)) == 0);
    CHECK_NEAR(changed.result.weighted_error / p.result.weighted_error, 64, 1e-9);
    for (int i = 0; i < OUT * IN; i++) changed.weights[i] = 2 * p.weights[i];
    compress(&changed, texts[k], true);
    for (int i = 0; i < OUT * IN; i++) CHECK(changed.represented[i] == 2 * p.represented[i]);
    problem_free(&p);
    problem_free(&changed);
  }
}

static void parts(void) {
  static const char *const texts[] = {"gptq format=nvfp4", "rtn format=nvfp4", "sparsegpt sparsity=0.5",
                                      "magnitude sparsity=0.3", "rtn format=int8[absmax,tensor]"};
  enum { OUT = 24, IN = 32 };
  for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
    struct arena arena = {0};
    struct error error = {0};
    struct problem p = problem_make(OUT, IN, 100, 34);
    for (int i = 0; i < 8 * IN; i++) p.weights[i] *= 3;  // parts of unlike sizes
    struct compress_settings settings;
    CHECK(settings_read(texts[k], &settings, &arena, &error));
    struct compress_layer whole = {.outputs = OUT,
                                   .inputs = IN,
                                   .parts = 2,
                                   .part_outputs = {8, 16},
                                   .weights = p.weights,
                                   .hessian = p.hessian,
                                   .seed = 1};
    struct compress_result result = {.represented = p.represented};
    CHECK(compress_matrix(&settings, &whole, &result, &error));
    float alone[OUT * IN];
    for (int part = 0; part < 2; part++) {
      struct compress_layer one = {.outputs = part ? 16 : 8,
                                   .inputs = IN,
                                   .weights = p.weights + (part ? 8 * IN : 0),
                                   .hessian = p.hessian,
                                   .seed = 1};
      struct compress_result other = {.represented = alone + (part ? 8 * IN : 0)};
      CHECK(compress_matrix(&settings, &one, &other, &error));
    }
    if (!CHECK(memcmp(alone, p.represented, sizeof alone) == 0)) printf("# %s\n", texts[k]);
    problem_free(&p);
    arena_free(&arena);
  }
}

// An input that is never used costs nothing: it is rounded for itself, and no number becomes infinite.
static void unused_inputs(void) {
  struct problem p = problem_make(8, 32, 100, 40);
  for (int i = 0; i < 32; i++) p.hessian[5 * 32 + i] = p.hessian[i * 32 + 5] = 0;
  compress(&p, "gptq bits=4 order=act", true);
  CHECK(isfinite(p.result.weighted_error) && p.result.relative_error < 0.05);
  float alone = p.represented[5];
  compress(&p, "rtn bits=4", true);
  CHECK(alone == p.represented[5]);
  problem_free(&p);
}

// Noise in a method's place tells what an error of that size costs: t^2 is its variance, and other matrices draw
// other noise.
static void noise(void) {
  struct problem p = problem_make(64, 256, 1, 50);
  compress(&p, "rtn format=noise(0.01)", false);
  CHECK(fabs(p.result.relative_error / 0.01 - 1) < 0.05);
  float first = p.represented[0];
  struct arena arena = {0};
  struct error error = {0};
  struct compress_settings settings;
  CHECK(settings_read("rtn format=noise(0.01)", &settings, &arena, &error));
  struct compress_layer other = {.outputs = 64, .inputs = 256, .weights = p.weights, .seed = 7, .number = 4};
  CHECK(compress_matrix(&settings, &other, &p.result, &error));
  CHECK(p.represented[0] != first);
  arena_free(&arena);
  problem_free(&p);
}

int main(int argc, char **argv) {
  RUN(nearest_without_correlation);
  RUN(gptq_beats_nearest);
  RUN(same_by_both);
  RUN(bound);
  RUN(clip_search);
  RUN(grid_constants);
  RUN(same_again);
  RUN(invariances);
  RUN(parts);
  RUN(unused_inputs);
  RUN(noise);
  return check_end();
}
