// Errors of block formats, measured on the passes that train, against independently measured tables; and measurements
// against closed forms.
#include "kernels/formats/capacity.h"
#include "kernels/formats/grid.h"
#include "tests/check.h"

static struct capacity measure(const char *text, int64_t samples, bool closed) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation representation;
  struct capacity capacity = {0};
  struct capacity_options options = {
      .samples = samples, .seed = 7, .threads = 2, .isa = isa_best(), .measure = !closed};
  if (!representation_parse(text, &representation, &arena, &error) ||
      !capacity_measure(&representation, &options, &capacity, &error)) {
    printf("# %s: %s\n", text, error.text);
    check_failures++;
  }
  arena_free(&arena);
  return capacity;
}

static void near(const char *text, double got, double want, double relative) {
  if (fabs(got - want) <= relative * fabs(want)) return;
  printf("# %s: got %.6g, want %.6g (%+.2f %%, allowed %.2f %%)\n", text, got, want, 100 * (got / want - 1),
         100 * relative);
  check_failures++;
}

// Values of any standard deviation give the same error.
static void invariant_blocks(void) {
  static const struct {
    const char *text;
    double gmse, misalignment;
  } table[] = {
      {"fp4-e2m1[rms(0.48707917864),group(32)]", 1.2400e-2, 1.14e-2},
      {"fp4-e2m1[absmax,group(32)]", 1.0219e-2, 5.8e-3},
      {"fp4-e2m1[absmax,group(32),stochastic]", 2.0644e-2, NAN},
      {"fp4-e2m1[absmax,group(16)]", 8.865e-3, 4.1e-3},
      {"nvfp4", 9.045e-3, 4.5e-3},
      {"nvfp4[stochastic]", 1.886e-2, 3.3e-3},
      {"nvfp4[rms(0.48707917864)]", 1.228e-2, 1.12e-2},
      {"int4-g32", 8.198e-3, NAN},
      {"nf4", 8.457e-3, NAN},
      {"int4-tread-g32", 9.409e-3, NAN},
      {"int8-tread-g32", 2.858e-5, NAN},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    struct capacity capacity = measure(table[i].text, 4 << 20, false);
    near(table[i].text, capacity.gmse, table[i].gmse, 0.005);
    if (!isnan(table[i].misalignment) && fabs(capacity.misalignment - table[i].misalignment) > 2.5e-4) {
      printf("# %s: misalignment %.5f, want %.5f\n", table[i].text, capacity.misalignment, table[i].misalignment);
      check_failures++;
    }
    CHECK(!capacity.octave && capacity.standard_error > 0 && capacity.standard_error < 0.004 * capacity.gmse);
  }
}

// Scales that are powers of two: the mean over an octave, its ends, and the value at unit deviation.
static void power_of_two_blocks(void) {
  static const struct {
    const char *text;
    double at_one, mean, low, high, misalignment;
  } table[] = {
      {"mxfp4", 1.3222e-2, 1.335e-2, 1.283e-2, 1.391e-2, 2.17e-2},
      {"mxfp4[stochastic]", 2.518e-2, NAN, NAN, NAN, NAN},
      {"mxfp4[power-ceil,stochastic]", 2.709e-2, NAN, NAN, NAN, 0},
      {"mxfp4[absmax(1.3333333333333333)]", 1.3860e-2, 1.366e-2, 1.327e-2, 1.407e-2, 9.4e-3},
      {"mxfp4[absmax(1.3333333333333333),stochastic]", 2.818e-2, 2.777e-2, 2.70e-2, 2.86e-2, 0},
      {"mxfp4[power-ceil]", 1.3312e-2, 1.366e-2, 1.327e-2, 1.404e-2, 9.4e-3},
      {"quest-mxfp4", 1.2698e-2, 1.331e-2, 1.270e-2, 1.400e-2, 1.43e-2},
      {"quest-mxfp4[power-floor]", 2.480e-2, 2.131e-2, 1.573e-2, 2.801e-2, 4.84e-2},
      {"quest-mxfp4[power-ceil]", 1.6228e-2, 1.573e-2, NAN, NAN, 8.6e-3},
      {"mxfp8", 8.630e-4, NAN, NAN, NAN, NAN},
      {"mxfp8[power-ceil]", 7.047e-4, NAN, NAN, NAN, NAN},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    struct capacity capacity = measure(table[i].text, 8 << 20, false);
    CHECK(capacity.octave);
    near(table[i].text, capacity.at_unit_deviation, table[i].at_one, 0.005);
    if (!isnan(table[i].mean)) near(table[i].text, capacity.gmse, table[i].mean, 0.005);
    if (!isnan(table[i].low)) near(table[i].text, capacity.octave_low, table[i].low, 0.006);
    if (!isnan(table[i].high)) near(table[i].text, capacity.octave_high, table[i].high, 0.006);
    if (!isnan(table[i].misalignment)) CHECK_NEAR(capacity.misalignment, table[i].misalignment, 3e-4);
  }
}

// The passes measured on long rows agree with the closed forms of the same formats: within the measurement's error and
// what a row's own root mean square differs from 1.
static void closed_forms_on_the_passes(void) {
  static const char *const texts[] = {"int1",
                                      "int2",
                                      "int3",
                                      "int4",
                                      "int8",
                                      "ternary",
                                      "int4-tread",
                                      "int4-twos",
                                      "fp4-e2m1",
                                      "fp8-e4m3",
                                      "fp8-e5m2",
                                      "fp6-e3m2",
                                      "e3m0",
                                      "levels(-1.6 -0.5 0.4 1.9)",
                                      "vq1-16",
                                      "sparse(0.5)",
                                      "sparse(0.9,row)",
                                      "2:4",
                                      "4:8",
                                      "3:4",
                                      "paired-4:8",
                                      "2:4+int4",
                                      "paired-4:8+int4",
                                      "sparse(0.25)+int2",
                                      "random-sparse(0.3)",
                                      "noise(0.01)",
                                      "lsq-int4",
                                      "w(none)"};
  for (size_t i = 0; i + 1 < sizeof texts / sizeof texts[0]; i++) {
    struct capacity exact = measure(texts[i], 0, true), measured = measure(texts[i], 2 << 20, false);
    CHECK(exact.closed_form && !measured.closed_form);
    double allowed = 4 * measured.standard_error + 0.003 * exact.gmse;
    if (fabs(measured.gmse - exact.gmse) > allowed) {
      printf("# %s: measured %.6g, exact %.6g, standard error %.2g\n", texts[i], measured.gmse, exact.gmse,
             measured.standard_error);
      check_failures++;
    }
  }
}

static void vector_grids(void) {
  static const struct {
    const char *text;
    double gmse;
  } table[] = {{"vq2-16", .1070}, {"vq2-64", .0296}, {"vq2-256", .0079}};
  for (int i = 0; i < 3; i++) near(table[i].text, measure(table[i].text, 4 << 20, false).gmse, table[i].gmse, 0.012);
  // Two dimensions beat one, four beat two, at the same bits; none beats the rate-distortion bound.
  double line = measure("int2", 0, true).gmse, plane = measure("vq2-16", 4 << 20, false).gmse,
         space = measure("vq4-256", 4 << 20, false).gmse;
  CHECK(space < plane && plane < line && space > 1.0 / 16);
  double one_bit = measure("vq2-4", 1 << 20, false).gmse;  // a product of two one-bit grids is the best there is
  near("vq2-4", one_bit, 1 - 2 / M_PI, 0.005);
}

static void transforms_keep_the_error(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation representation;
  struct capacity plain, rotated;
  struct capacity_options options = {.samples = 2 << 20, .seed = 3, .threads = 2, .isa = isa_best(), .measure = true};
  CHECK(representation_parse("int4", &representation, &arena, &error));
  CHECK(capacity_measure(&representation, &options, &plain, &error));
  options.hadamard = true;
  CHECK(capacity_measure(&representation, &options, &rotated, &error));
  CHECK_NEAR(rotated.gmse / plain.gmse, 1, 0.005);
  // What is not Gaussian becomes nearly so.
  options.distribution = DISTRIBUTION_LAPLACE;
  CHECK(capacity_measure(&representation, &options, &rotated, &error));
  options.hadamard = false;
  CHECK(capacity_measure(&representation, &options, &plain, &error));
  CHECK(rotated.gmse < 0.0125 && plain.gmse > 0.03);
  arena_free(&arena);
}

// Other distributions have unit variance: the one-bit error 1 - 2 a E|x| + a^2 with a = sqrt(2 / pi) follows from E|x|.
static void distributions(void) {
  static const struct {
    const char *text;
    double absolute;  // E|x| at unit variance
  } table[] = {
      {"normal", 0.79788456080286536}, {"laplace", M_SQRT1_2}, {"logistic", 0.76430413}, {"student-t:5", 0.73510519}};
  for (int i = 0; i < 4; i++) {
    struct arena arena = {0};
    struct error error = {0};
    struct representation representation;
    struct capacity capacity;
    struct capacity_options options = {.samples = 4 << 20, .seed = 5, .threads = 2, .isa = isa_best(), .measure = true};
    CHECK(distribution_parse(table[i].text, &options.distribution, &options.degrees, &error));
    CHECK(representation_parse("ste-int1", &representation, &arena, &error));
    CHECK(capacity_measure(&representation, &options, &capacity, &error));
    double a = sqrt(2 / M_PI);
    near(table[i].text, capacity.gmse, 1 - 2 * a * table[i].absolute + a * a, 0.005);
    arena_free(&arena);
  }
  enum distribution distribution;
  double degrees;
  struct error error = {0};
  CHECK(!distribution_parse("student-t:2", &distribution, &degrees, &error) && strstr(error.text, "above 2"));
}

// The result is a function of the seed and the count alone.
static void reproducible(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation representation;
  struct capacity first, second;
  CHECK(representation_parse("mxfp4[stochastic]", &representation, &arena, &error));
  struct capacity_options options = {.samples = 4 << 20, .seed = 3, .threads = 1, .isa = isa_best()};
  CHECK(capacity_measure(&representation, &options, &first, &error));
  options.threads = 2;
  CHECK(capacity_measure(&representation, &options, &second, &error));
  CHECK(first.gmse == second.gmse && first.standard_error == second.standard_error && first.samples == second.samples);
  options.seed = 4;
  CHECK(capacity_measure(&representation, &options, &second, &error));
  CHECK(first.gmse != second.gmse && fabs(first.gmse - second.gmse) < 6 * first.standard_error);
  arena_free(&arena);
}

int main(void) {
  RUN(invariant_blocks);
  RUN(power_of_two_blocks);
  RUN(closed_forms_on_the_passes);
  RUN(vector_grids);
  RUN(transforms_keep_the_error);
  RUN(distributions);
  RUN(reproducible);
  return check_end();
}
