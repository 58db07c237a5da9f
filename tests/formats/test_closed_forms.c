// Exact Gaussian errors, optimal scales, sparsity patterns and schedules, against independently computed tables and
// against brute force.
#include <stdlib.h>

#include "kernels/formats/codebook.h"
#include "kernels/formats/gaussian.h"
#include "kernels/formats/grid.h"
#include "kernels/formats/sparsity.h"
#include "tests/check.h"

static bool near(double got, double want, double relative, const char *what, int line) {
  if (fabs(got - want) <= relative * fabs(want)) return true;
  printf("# line %d: %s: got %.14g, want %.14g (relative %.2g, allowed %.2g)\n", line, what, got, want,
         fabs(got / want - 1), relative);
  check_failures++;
  return false;
}

// Tables are printed with a few digits: half a unit of the last one is allowed beside 1e-8.
#define NEAR(got, want, relative) near(got, want, relative, #got " = " #want, __LINE__)

static void normal_numerics(void) {
  CHECK_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
  CHECK_NEAR(normal_quantile(1e-10), -6.361340902404056, 1e-13);
  CHECK_NEAR(normal_quantile(0.5), 0, 1e-15);
  for (double p = 0.001; p < 1; p += 0.0173) CHECK_NEAR(normal_below(normal_quantile(p)), p, 1e-14);
  NEAR(normal_between(7, 8), normal_above(7) - normal_above(8), 1e-13);
  NEAR(normal_between(-8, -7), normal_between(7, 8), 1e-13);
  CHECK_NEAR(normal_second_moment(-INFINITY, INFINITY), 1, 1e-15);
  CHECK_NEAR(normal_first_moment(0, INFINITY), 0.3989422804014327, 1e-15);
}

static void mid_rise(void) {
  static const double table[9][2] = {{0, 0},
                                     {0.7978845608, 0.36338022763},
                                     {1.4935300289, 0.11884605038},
                                     {2.0510680451, 0.037439659392},
                                     {2.5140045915, 0.011542884431},
                                     {2.9161512493, 0.0034952113615},
                                     {3.2779847974, 0.0010400454088},
                                     {3.6110971963, 3.0433277082e-4},
                                     {3.9222044167, 8.7686185784e-5}};
  for (int bits = 1; bits <= 8; bits++) {
    struct grid grid = grid_mid_rise(bits);
    double scale = grid_gaussian_scale(&grid);
    NEAR(scale * grid.high, table[bits][0], 1e-9);
    NEAR(grid_gaussian_error(&grid, scale), table[bits][1], 1e-10);
  }
  // One bit is known in closed form: sqrt(2 / pi) and 1 - 2 / pi.
  struct grid grid = grid_mid_rise(1);
  NEAR(grid_gaussian_scale(&grid) * grid.high, sqrt(2 / M_PI), 1e-14);
  NEAR(grid_gaussian_error(&grid, 2 * sqrt(2 / M_PI)), 1 - 2 / M_PI, 1e-14);
}

static void other_integers(void) {
  static const double tread[9][2] = {{0},
                                     {0},
                                     {1.2240063619, 0.19017403925},
                                     {1.952309112, 0.046859974},
                                     {2.473879209, 0.012889386},
                                     {2.898727866, 0.0036932198},
                                     {3.270115168, 0.0010692891},
                                     {3.607460685, 3.0862179e-4},
                                     {3.920500927, 8.8308031e-5}};
  for (int bits = 2; bits <= 8; bits++) {
    struct grid grid = grid_mid_tread(bits);
    double scale = grid_gaussian_scale(&grid);
    NEAR(scale * grid.high, tread[bits][0], 1e-9);
    NEAR(grid_gaussian_error(&grid, scale), tread[bits][1], 2e-8);
  }
  static const struct {
    int bits;
    double error, step;
  } twos[] = {
      {2, 0.14943107, 1.048385}, {3, 0.040638247, 0.601824}, {4, 0.011864038, 0.338608}, {8, 8.7706922e-5, 0.030766}};
  for (int i = 0; i < 4; i++) {
    struct grid grid = grid_twos_complement(twos[i].bits);
    double scale = grid_gaussian_scale(&grid);
    NEAR(scale, twos[i].step, 2e-5);
    NEAR(grid_gaussian_error(&grid, scale), twos[i].error, 4e-8);
  }
}

static void floats(void) {
  static const struct {
    int exponent, mantissa;
    double high, place, error, digits;
  } table[] = {{2, 1, 6, 2.9224750714, 0.0126849041387, 1e-11}, {1, 2, 3.5, 2.473879, 0.012889386, 4e-8},
               {3, 0, 16, 4.193620, 0.037744990, 2e-8},         {2, 3, 7.5, 3.747540, 8.2914706e-4, 1e-8},
               {3, 2, 28, 4.541758, 2.7661066e-3, 2e-8},        {4, 1, 384, 0, 0.010639199, 8e-8},
               {4, 3, 448, 9.128970, 6.9874948e-4, 1e-8},       {5, 2, 57344, 0, 2.7655688e-3, 2e-8},
               {3, 4, 31, 5.105899, 1.7519764e-4, 3e-8},        {2, 5, 7.875, 4.352160, 5.4120660e-5, 1e-8},
               {6, 1, 6442450944.0, 0, 0.010639198, 6e-8}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    struct grid grid = grid_float(table[i].exponent, table[i].mantissa);
    double scale = grid_gaussian_scale(&grid);
    CHECK(grid.high == table[i].high);
    NEAR(grid_gaussian_error(&grid, scale), table[i].error, table[i].digits);
    if (table[i].place > 0) NEAR(scale * grid.high, table[i].place, 2e-6);  // flat optima have no place to compare
  }
  struct grid fp4 = grid_float(2, 1);
  double levels[GRID_LEVEL_LIMIT];
  static const double want[15] = {-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6};
  CHECK(grid_level_list(&fp4, levels) == 15);
  for (int i = 0; i < 15; i++) CHECK(levels[i] == want[i]);
  NEAR(grid_gaussian_error(&fp4, 0.5), 0.012701977, 4e-8);
  NEAR(grid_gaussian_error(&fp4, 0.25), 0.051567165, 1e-8);
  NEAR(grid_gaussian_error(&fp4, 1), 0.023204543, 3e-8);
  struct grid e4m3 = grid_float(4, 3);
  CHECK(grid_level_list(&e4m3, levels) == 253 && levels[252] == 448 && levels[127] == ldexp(1, -9));
}

// The optimum really is one: the error rises on both sides, and matches brute-force quadrature.
static double squared_left(const void *context, double x) {
  const double *set = context;  // count, scale, levels
  double best = INFINITY;
  for (int i = 0; i < (int)set[0]; i++) best = fmin(best, fabs(x - set[1] * set[2 + i]));
  return best * best * normal_density(x);
}

static void optimum(void) {
  struct grid grids[] = {grid_mid_rise(3), grid_twos_complement(3), grid_float(2, 1), grid_float(3, 0)};
  for (int i = 0; i < 4; i++) {
    double scale = grid_gaussian_scale(&grids[i]), error = grid_gaussian_error(&grids[i], scale);
    CHECK(grid_gaussian_error(&grids[i], scale * 1.001) > error);
    CHECK(grid_gaussian_error(&grids[i], scale * 0.999) > error);
    double set[2 + GRID_LEVEL_LIMIT];
    set[0] = grid_level_list(&grids[i], set + 2);
    set[1] = scale;
    NEAR(integrate(squared_left, set, -12, 12, 20000), error, 1e-7);
  }
  const double uneven[] = {-2.1, -0.3, 0.1, 1.7};
  struct grid own = grid_levels(uneven, 4);
  double scale = grid_gaussian_scale(&own), set[6] = {4, scale, -2.1, -0.3, 0.1, 1.7};
  NEAR(integrate(squared_left, set, -12, 12, 20000), grid_gaussian_error(&own, scale), 1e-7);
}

// NF4 against its definition, quantiles over the outermost one; the best levels for Gaussian data are the means of
// their cells, and their error is what is known of them.
static void codebooks_with_names(void) {
  const struct codebook *nf4 = codebook_find("nf4");
  double outermost = 0.5 * (1 - 1 / 30.0) + 0.5 * (1 - 1 / 32.0);
  for (int i = 0; i < 16; i++) {
    double share = i < 7   ? outermost + (0.5 - outermost) * i / 7.0
                   : i > 7 ? outermost + (0.5 - outermost) * (15 - i) / 8.0
                           : 0.5;
    double quantile = normal_quantile(share) / normal_quantile(outermost);
    CHECK(fabs(nf4->levels[i] - (i < 7 ? -quantile : quantile)) < 3e-7);
  }
  static const double errors[][2] = {{2, 0.36338022763}, {4, 0.11748184783}, {8, 0.03454776079}, {16, 0.00950100801}};
  for (int k = 0; k < 4; k++) {
    int count = (int)errors[k][0];
    const double *levels = gaussian_levels(count);
    struct grid grid = grid_levels(levels, count);
    for (int i = 0; i < count; i++) {
      double low = i ? 0.5 * (levels[i - 1] + levels[i]) : -INFINITY;
      double high = i + 1 < count ? 0.5 * (levels[i] + levels[i + 1]) : INFINITY;
      CHECK_NEAR(levels[i], normal_first_moment(low, high) / normal_between(low, high), 1e-12);
    }
    CHECK_NEAR(grid_gaussian_error(&grid, 1), errors[k][1], 1e-10);
    CHECK_NEAR(grid_gaussian_scale(&grid), 1, 1e-9);
  }
  CHECK(gaussian_levels(3) == NULL && codebook_find("nf5") == NULL);
}

static double pattern_error(struct sparsity sparsity, const struct grid *grid) {
  double error = NAN;
  CHECK(sparsity_gaussian_error(&sparsity, grid, grid ? grid_gaussian_scale(grid) : 1, &error));
  return error;
}

static void sparsity_alone(void) {
  static const double top[][2] = {{.10, .00052525}, {.20, .00424248}, {.25, .00834694}, {.30, .01455537},
                                  {.40, .03533963}, {.50, .07132592}, {.60, .12875621}, {.625, .14743306},
                                  {.70, .21669292}, {.75, .27639304}, {.80, .35017968}, {.875, .49765560},
                                  {.90, .56071394}, {.95, .72089954}};
  for (size_t i = 0; i < sizeof top / sizeof top[0]; i++)
    CHECK_NEAR(pattern_error((struct sparsity){.kind = SPARSITY_TOP, .amount = top[i][0]}, NULL), top[i][1], 1e-8);
  static const struct {
    int n, m;
    double error;
  } patterns[] = {{1, 2, .18169011}, {2, 4, .13244740}, {4, 8, .10330672}, {8, 16, .08763338}, {1, 4, .38244740},
                  {2, 8, .33536376}, {1, 8, .56782077}, {3, 4, .03017554}, {6, 8, .01894582}};
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
    CHECK_NEAR(pattern_error((struct sparsity){.kind = SPARSITY_N_M, .n = patterns[i].n, .m = patterns[i].m}, NULL),
               patterns[i].error, 1e-8);
  CHECK_NEAR(pattern_error((struct sparsity){.kind = SPARSITY_PAIRED, .n = 4, .m = 8}, NULL), 5.0 / 24, 1e-10);
  CHECK_NEAR(pattern_error((struct sparsity){.kind = SPARSITY_RANDOM, .amount = 0.3}, NULL), 0.3, 1e-10);
}

static void sparsity_with_integers(void) {
  static const int bits[] = {1, 2, 3, 4, 8};
  static const struct {
    double amount, error[5];
  } table[] = {{.25, {.267249, .096208, .039120, .017759, .008415}},
               {.50, {.304114, .156553, .092614, .078155, .071374}},
               {.75, {.502166, .327864, .292975, .280814, .276421}},
               {.90, {.734501, .606918, .573079, .563928, .560731}}};
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 5; j++) {
      struct grid grid = grid_mid_rise(bits[j]);
      CHECK_NEAR(pattern_error((struct sparsity){.kind = SPARSITY_TOP, .amount = table[i].amount}, &grid),
                 table[i].error[j], 1e-6);
    }
  struct grid grid = grid_mid_rise(4);
  CHECK_NEAR(pattern_error((struct sparsity){.kind = SPARSITY_N_M, .n = 2, .m = 4}, &grid), .13917, 3e-4);
  CHECK_NEAR(pattern_error((struct sparsity){.kind = SPARSITY_PAIRED, .n = 4, .m = 8}, &grid), .21532, 3e-4);
  // Nothing pruned: the grid's own error.
  CHECK_NEAR(pattern_error((struct sparsity){.kind = SPARSITY_TOP}, &grid), 0.011542884431, 1e-11);
}

static struct sparsity journey(double amount) {
  return (struct sparsity){
      .kind = SPARSITY_TOP, .amount = amount, .schedule = SCHEDULE_JOURNEY, .start = 0.25, .end = 0.75, .every = 100};
}

static void journey_schedule(void) {
  // Equal compute to 10000 dense steps: steps of the training, the last pruning, the mean density.
  static const struct {
    double amount;
    int64_t steps, end;
    double density;
  } table[] = {
      {.2, 11203, 8078, .8926}, {.4, 13052, 8885, .7662}, {.6, 16386, 10136, .6103}, {.8, 25059, 12559, .3991}};
  for (int i = 0; i < 4; i++) {
    struct sparsity sparsity = journey(table[i].amount);
    double steps = sparsity_equal_compute_steps(&sparsity, 10000);
    CHECK(fabs(steps - (double)table[i].steps) <= 1);
    int64_t first, last;
    sparsity_span(&sparsity, llround(steps), &first, &last);
    CHECK(first == 2500 && llabs(last - table[i].end) <= 1);
    CHECK_NEAR(sparsity_average_density(&sparsity, llround(steps)), table[i].density, 0.003);
    // The closed form itself, with a pruning at every step.
    sparsity.every = 1;
    CHECK_NEAR(sparsity_average_density(&sparsity, llround(steps)), table[i].density, 1e-4);
    // The mean is that of the density step by step.
    double sum = 0;
    sparsity.every = 100;
    for (int64_t step = 0; step < llround(steps); step++) sum += sparsity_density(&sparsity, step, llround(steps));
    CHECK_NEAR(sum / (double)llround(steps), sparsity_average_density(&sparsity, llround(steps)), 1e-12);
  }
  // Fractions of steps: the published densities of that reading.
  static const double by_steps[][2] = {{.2, .898}, {.4, .792}, {.5, .736}, {.6, .677}, {.8, .549}};
  for (int i = 0; i < 5; i++) {
    struct sparsity sparsity = journey(by_steps[i][0]);
    sparsity.of_steps = true;
    sparsity.every = 1;
    CHECK_NEAR(sparsity_average_density(&sparsity, 100000), by_steps[i][1], 6e-4);
  }
  // Geometric: each pruning keeps the same share of what is left, and the last one arrives.
  struct sparsity sparsity = journey(0.6);
  int64_t first, last;
  sparsity_span(&sparsity, 16386, &first, &last);
  double ratio = sparsity_density(&sparsity, first + 100, 16386) / sparsity_density(&sparsity, first, 16386);
  for (int64_t step = first + 200; step <= last - 100; step += 100)
    CHECK_NEAR(sparsity_density(&sparsity, step, 16386) / sparsity_density(&sparsity, step - 100, 16386), ratio, 1e-12);
  CHECK(sparsity_density(&sparsity, first - 1, 16386) == 1 && sparsity_density(&sparsity, first, 16386) < 1);
  CHECK_NEAR(sparsity_density(&sparsity, last, 16386), 0.4, 1e-15);
  CHECK(sparsity_prunes(&sparsity, first, 16386) && !sparsity_prunes(&sparsity, first + 1, 16386) &&
        sparsity_prunes(&sparsity, first + 100, 16386));
  CHECK(sparsity_prunings(&sparsity, 16386) == (last - first) / 100 + 1 && sparsity_interval(&sparsity, 16386) == 100);
  // Short runs: the interval shrinks until there are 20 prunings, and the shares of compute stand.
  static const int64_t lengths[] = {50, 100, 200, 400, 1600};
  for (int i = 0; i < 5; i++) {
    struct sparsity deep = journey(0.8);
    int64_t steps = lengths[i];
    double sum = 0, dense = 0, sparse = 0;
    CHECK(sparsity_prunings(&deep, steps) >= 20 && sparsity_interval(&deep, steps) <= 100);
    for (int64_t step = 0; step < steps; step++) {
      double density = sparsity_density(&deep, step, steps);
      sum += density;
      dense += density >= 1 ? density : 0;
      sparse += density <= 0.2 + 1e-12 ? density : 0;
    }
    if (!CHECK(fabs(dense / sum - 0.25) < 0.03 && fabs(sparse / sum - 0.25) < 0.03))
      printf("# %lld steps: %.3f dense, %.3f sparse\n", (long long)steps, dense / sum, sparse / sum);
    deep.every = 2;  // the interval only shrinks
    CHECK(sparsity_interval(&deep, steps) <= 2 && sparsity_interval(&deep, 100000) == 2);
  }
  // The published configurations: 1B, S = .5, 50000 dense steps; 70M, S = .6, 16400.
  struct sparsity half = journey(0.5);
  CHECK_NEAR(sparsity_equal_compute_steps(&half, 50000), 72157, 1e-4);
  struct sparsity more = journey(0.6);
  CHECK_NEAR(sparsity_equal_compute_steps(&more, 16400), 26873, 1e-4);
}

static void other_schedules(void) {
  static const double cubic[][2] = {{.2, .875}, {.4, .750}, {.5, .6875}, {.6, .625}, {.8, .500}};
  for (int i = 0; i < 5; i++) {
    struct sparsity sparsity = {.kind = SPARSITY_TOP,
                                .amount = cubic[i][0],
                                .schedule = SCHEDULE_CUBIC,
                                .start = 0.25,
                                .end = 0.75,
                                .every = 1,
                                .of_steps = true};
    CHECK_NEAR(sparsity_average_density(&sparsity, 100000), cubic[i][1], 1e-4);
  }
  struct sparsity constant = {.kind = SPARSITY_TOP, .amount = 0.3};
  CHECK(sparsity_density(&constant, 0, 10) == 0.7 && sparsity_average_density(&constant, 10) == 0.7);
  CHECK(sparsity_prunes(&constant, 0, 10) && !sparsity_prunes(&constant, 1, 10));
  struct sparsity pattern = {.kind = SPARSITY_N_M, .n = 2, .m = 4};
  CHECK(sparsity_density(&pattern, 5, 10) == 0.5);
}

static int descending(const void *a, const void *b) {
  float x = fabsf(*(const float *)a), y = fabsf(*(const float *)b);
  return (x < y) - (x > y);
}

static void selection(void) {
  enum { COUNT = 3000 };
  static float a[COUNT], b[COUNT], all[2 * COUNT];
  uint32_t state = 1;
  for (int i = 0; i < COUNT; i++) {
    // Many equal values, signs of both kinds, zeroes and tiny ones.
    state = state * 1664525u + 1013904223u;
    a[i] = (float)((int)(state >> 24) - 128) / 16;
    b[i] = i % 7 == 0 ? 0 : (float)((int)(state >> 12 & 0xFFFF) - 32768) * 1e-6f;
    all[i] = a[i];
    all[COUNT + i] = b[i];
  }
  qsort(all, 2 * COUNT, sizeof *all, descending);
  struct float_span spans[2] = {{a, COUNT}, {b, COUNT}};
  static const int64_t keeps[] = {0, 1, 2, 17, 1500, 3000, 4444, 5999, 6000};
  for (size_t k = 0; k < sizeof keeps / sizeof keeps[0]; k++) {
    struct selection chosen = select_largest(spans, 2, keeps[k]);
    int64_t kept = 0;
    if (keeps[k] > 0) CHECK(chosen.threshold == fabsf(all[keeps[k] - 1]));
    for (int span = 0; span < 2; span++)
      for (int64_t i = 0; i < COUNT; i++) {
        float size = fabsf(spans[span].data[i]);
        bool tie = size == chosen.threshold &&
                   (span < chosen.last_tie_span || (span == chosen.last_tie_span && i <= chosen.last_tie));
        kept += size > chosen.threshold || tie;
      }
    CHECK(kept == keeps[k]);
  }
}

static void backward_bands(void) {
  // Phi(T_k) = 0.8: half the share passes below Phi^-1(0.65).
  struct sparsity share = {.kind = SPARSITY_TOP, .backward = SPARSE_BAND_SHARE, .backward_parameter = 0.5};
  double threshold = normal_quantile(0.8);
  struct blocked_band band = sparsity_blocked_band(&share, 2 * threshold, 2);
  CHECK_NEAR(band.low, 2 * normal_quantile(0.65), 1e-6);
  CHECK_NEAR(band.high, 2 * threshold, 1e-6);
  share.backward_parameter = 0;  // the forward mask
  band = sparsity_blocked_band(&share, threshold, 1);
  CHECK_NEAR(band.low, 0, 1e-7);
  share.backward_parameter = 1;  // everything passes
  band = sparsity_blocked_band(&share, threshold, 1);
  CHECK_NEAR(band.low, band.high, 1e-6);
  struct sparsity rms = {.kind = SPARSITY_TOP, .backward = SPARSE_RMS, .backward_parameter = 0.2};
  band = sparsity_blocked_band(&rms, 5, 3);
  CHECK(band.low == 0);
  CHECK_NEAR(band.high, 3 * normal_quantile(0.7), 1e-6);
  struct sparsity between = {.kind = SPARSITY_TOP, .backward = SPARSE_BAND, .backward_parameter = 0.2};
  band = sparsity_blocked_band(&between, 0.1, 1);  // forward threshold below T_p
  CHECK_NEAR(band.low, 0.1, 1e-6);
  CHECK_NEAR(band.high, normal_quantile(0.7), 1e-6);
  band = sparsity_blocked_band(&between, 2, 1);
  CHECK_NEAR(band.low, normal_quantile(0.7), 1e-6);
  CHECK_NEAR(band.high, 2, 1e-6);
}

int main(void) {
  RUN(normal_numerics);
  RUN(mid_rise);
  RUN(other_integers);
  RUN(floats);
  RUN(optimum);
  RUN(codebooks_with_names);
  RUN(sparsity_alone);
  RUN(sparsity_with_integers);
  RUN(journey_schedule);
  RUN(other_schedules);
  RUN(selection);
  RUN(backward_bands);
  return check_end();
}
