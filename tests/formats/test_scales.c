// How scales are rounded and chosen, at every instruction set level, against the rules in double precision: powers of
// two down, to nearest, up and evenly, FP8 scales, four over six, groups with a zero; values that are not finite,
// zeroes, subnormals, blocks that are tiny in a large tensor.
#include "kernels/formats/nearest.h"
#include "tests/formats/passes.h"

enum { GROUPS = 4 };

// ---- references ----

// The nearest level of an ascending list; of two as near the one with the even number, counted from 0 at zero.
static double nearest_of(const double *levels, int count, double z) {
  int best = 0;
  for (int i = 1; i < count; i++) {
    double apart = fabs(levels[i] - z), least = fabs(levels[best] - z);
    if (apart < least) best = i;
  }
  return levels[best];
}

static double nearest_e2m1_of(double z) {
  static const double levels[] = {-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return nearest_of(levels, 15, z);
}

// All numbers of E4M3 that are not negative, from its bits: 4 of exponent (bias 7), 3 of mantissa, 448 the largest.
static int e4m3_numbers(double numbers[128]) {
  int count = 0;
  for (int code = 0; code < 127; code++) {
    int exponent = code >> 3, mantissa = code & 7;
    numbers[count++] = exponent ? ldexp(1 + mantissa / 8.0, exponent - 7) : ldexp(mantissa / 8.0, -6);
  }
  return count;
}

static double e4m3_of(double v, int direction) {
  double numbers[128], below = 0, above = 448;
  int count = e4m3_numbers(numbers);
  if (direction == 0) return nearest_of(numbers, count, v);
  for (int i = 0; i < count; i++) {
    if (numbers[i] <= v) below = numbers[i];
    if (numbers[count - 1 - i] >= v) above = numbers[count - 1 - i];
  }
  return direction < 0 ? below : above;
}

// The scale of one group of `size` values that are 0 but for the first, in a tensor of that largest magnitude.
static double scale_of(const struct format_level *level, const char *text, double largest, double tensor, int size) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse(text, &arena);
  struct quantizer q;
  CHECK(quantizer_make(&q, &r, size, &arena, &error));
  float *x = arena_array(&arena, (size_t)size, sizeof *x), scale = 0,
        *scratch = arena_array(&arena, (size_t)quantize_scratch(size), sizeof *scratch);
  x[0] = (float)largest;
  struct tensor_statistics statistics = {.absmax = (float)tensor};
  struct scales_call call = {
      .quantizer = &q, .statistics = &statistics, .from = x, .shrink = 1, .scales = &scale, .scratch = scratch};
  level->scales(&call, 0, 1, 0);
  arena_free(&arena);
  return (double)scale;
}

// ---- powers of two ----

static const struct format_level *at;

static void powers_of_two(void) {
  // Of E2M1 the largest is 6 = 1.5 * 2^2, with one bit of mantissa: 7 is where it rounds to 8.
  static const struct {
    double largest, floor, round, ceil, even;
  } vectors[] = {{4, 1, 0.5, 1, 1},       {5.9999995, 1, 1, 1, 1}, {6, 1, 1, 1, 1},         {6.0000005, 1, 1, 2, 1},
                 {6.9999995, 1, 1, 2, 1}, {7, 1, 1, 2, 2},         {7.9999995, 1, 1, 2, 2}, {8, 2, 1, 2, 2},
                 {8.4, 2, 1, 2, 2},       {8.5, 2, 2, 2, 2},       {12, 2, 2, 2, 2},        {12.000001, 2, 2, 4, 2},
                 {14, 2, 2, 4, 4}};
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
    for (int k = -90; k <= 90; k += 15) {
      double unit = ldexp(1, k), largest = vectors[i].largest * unit;
      CHECK_NEAR(scale_of(at, "mxfp4", largest, 0, 32) / unit, vectors[i].floor, 0);
      CHECK_NEAR(scale_of(at, "mxfp4[power-floor]", -largest, 0, 32) / unit, vectors[i].floor, 0);
      CHECK_NEAR(scale_of(at, "mxfp4[power-nearest]", largest, 0, 32) / unit, vectors[i].round, 0);
      CHECK_NEAR(scale_of(at, "mxfp4[power-ceil]", largest, 0, 32) / unit, vectors[i].ceil, 0);
      CHECK_NEAR(scale_of(at, "mxfp4[power-even]", largest, 0, 32) / unit, vectors[i].even, 0);
      CHECK_NEAR(scale_of(at, "mxfp4[power-even,absmax(1.25)]", largest, 0, 32) / unit, 1.25 * vectors[i].even, 1e-7);
    }
  // 448 = 1.75 * 2^8 with three bits: 496 = 1.9375 * 2^8 rounds to 512. Integers of 8 bits: 127 is below 64 * 2.
  CHECK_NEAR(scale_of(at, "mxfp8[power-even]", 495.99, 0, 32), 1, 0);
  CHECK_NEAR(scale_of(at, "mxfp8[power-even]", 496, 0, 32), 2, 0);
  CHECK_NEAR(scale_of(at, "mxfp8-e5m2[power-even]", 61439, 0, 32), 1, 0);
  CHECK_NEAR(scale_of(at, "mxfp8-e5m2[power-even]", 61440, 0, 32), 2, 0);
  CHECK_NEAR(scale_of(at, "mxfp6[power-even]", 7.74, 0, 32), 1, 0);
  CHECK_NEAR(scale_of(at, "mxfp6[power-even]", 7.75, 0, 32), 2, 0);
  CHECK_NEAR(scale_of(at, "mxint8[power-even]", 127.49, 0, 32), 1, 0);
  CHECK_NEAR(scale_of(at, "mxint8[power-even]", 127.5, 0, 32), 2, 0);
  CHECK_NEAR(scale_of(at, "int4-g32[power-ceil]", 7.6, 0, 32), 2, 0);
  CHECK_NEAR(scale_of(at, "nf4[power-floor]", 0.9, 0, 64), 0.5, 0);
}

// ---- FP8 scales ----

static void fp8_scales(void) {
  static const struct {
    const char *text;
    int direction;
    double most, factor;  // the tensor's largest scale; of the scale and, where it is given, of the unit
  } texts[] = {{"nvfp4", 0, 448, 1},
               {"nvfp4[e4m3-floor]", -1, 448, 1},
               {"nvfp4[e4m3-ceil]", 1, 448, 1},
               {"nvfp4[scale-max(256)]", 0, 256, 1},
               {"nvfp4[absmax(1.0625),scale-max(448)]", 0, 448, 1.0625},
               {"nvfp4[absmax(0.988125),scale-max(255.99)]", 0, 255.99, 0.988125}};
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
    for (int i = 0; i < 400; i++) {
      double tensor = 3.7, largest = tensor * pow(0.97, i), unit = texts[t].factor * tensor / (texts[t].most * 6);
      double wanted = texts[t].factor * largest / 6 / unit, number = e4m3_of(wanted, texts[t].direction);
      // Where the rule's direction changes within rounding errors of float32 either number will do.
      if (e4m3_of(wanted * (1 - 1e-6), texts[t].direction) != e4m3_of(wanted * (1 + 1e-6), texts[t].direction))
        continue;
      if (number == 0) number = ldexp(1, -9);  // the least there is
      CHECK_NEAR(scale_of(at, texts[t].text, largest, tensor, 16) / unit, number, 1e-6);
    }
  // The factor with a bound leaves room: no element is clipped that SR could not round up.
  CHECK_NEAR(scale_of(at, "nvfp4[absmax(1.0625),scale-max(448)]", 6, 6, 16), 1.0625, 1e-6);
  CHECK_NEAR(scale_of(at, "nvfp4[absmax(1.0625)]", 6, 6, 16), 1, 1e-6);  // without it the largest scale is 448
}

// ---- represented rows ----

static void represent(const struct format_level *level, const char *text, int64_t rows, int64_t columns, const float *x,
                      float *y) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse(text, &arena);
  struct quantizer q;
  CHECK(quantizer_make(&q, &r, columns, &arena, &error));
  struct matrix m = matrix(rows, columns, 1);
  memcpy(m.x, x, (size_t)(rows * columns) * sizeof *x);
  struct tensor_statistics statistics = statistics_of(&q, level, &m, 0);
  struct quantize_call call = {.quantizer = &q,
                               .statistics = &statistics,
                               .rows = rows,
                               .from = x,
                               .to = y,
                               .place = {7, 3, 21, 0},
                               .scratch = m.scratch};
  level->quantize(&call, 0, rows, 0);
  matrix_free(&m);
  arena_free(&arena);
}

static double squared_error(const float *x, const float *y, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
  return sum;
}

static void four_over_six(void) {
  enum { ROWS = 24, COLUMNS = 96 };
  // By hand: the tensor's largest is 6 * 256, so that FP8 scales are what they are. {4, 3, 2, 1, ...} has the scale 1
  // for 4, exactly, and 0.6875 for 6 (2 / 3 rounded), where 3 becomes 2.75; {6, 3, 1.5, 1} is exact at 1, and 12, 8 at
  // 3 or 2.
  float x[64] = {1536, 0,   0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,    0, 0,  0, 4, 3, 2, 1, 0.5, -3,
                 -4,   1.5, 0, 0, 0,  0, 0, 0, 0,  0, 6, 3, 1.5f, 1, -4, 0, 0, 0, 0, 0, 0,   0,
                 0,    0,   0, 0, 12, 8, 6, 2, -1, 0, 0, 0, 0,    0, 0,  0, 0, 0, 0, 0},
        y[64], six[64];
  represent(at, "nvfp4[four-over-six]", 1, 64, x, y);
  represent(at, "nvfp4[scale-max(256)]", 1, 64, x, six);
  for (int i = 0; i < 64; i++) CHECK_NEAR((double)y[i], (double)x[i], 0);
  CHECK_NEAR((double)six[17], 2.75, 1e-6);
  struct matrix m = matrix(ROWS, COLUMNS, 5);
  float *plain = memory_get((size_t)(ROWS * COLUMNS) * sizeof *plain);
  represent(at, "nvfp4[four-over-six]", ROWS, COLUMNS, m.x, m.y);
  represent(at, "nvfp4[scale-max(256)]", ROWS, COLUMNS, m.x, plain);
  double largest = 0;
  for (int i = 0; i < ROWS * COLUMNS; i++) largest = fmax(largest, fabs((double)m.x[i]));
  int worse = 0, better = 0, wrong = 0;
  for (int i = 0; i < ROWS * COLUMNS; i += 16) {
    double size = 0, unit = largest / (256 * 6), errors[2] = {0, 0}, values[2][16];
    for (int j = 0; j < 16; j++) size = fmax(size, fabs((double)m.x[i + j]));
    for (int four = 0; four < 2; four++) {
      double scale = e4m3_of(size / 6 * (four ? 1.5 : 1) / unit, 0) * unit;
      for (int j = 0; j < 16; j++) {
        values[four][j] = nearest_e2m1_of((double)m.x[i + j] / scale) * scale;
        errors[four] += pow((double)m.x[i + j] - values[four][j], 2);
      }
    }
    double here = squared_error(m.x + i, m.y + i, 16), other = squared_error(m.x + i, plain + i, 16);
    worse += here > other * (1 + 1e-6);
    better += here < other * (1 - 1e-3);
    for (int j = 0; j < 16; j++) wrong += fabs((double)m.y[i + j] - values[errors[1] < errors[0]][j]) > 1e-5;
  }
  CHECK(worse == 0);
  CHECK(better > 30);
  CHECK(wrong <= 4);  // ties
  free(plain);
  matrix_free(&m);
}

static void groups_with_a_zero(void) {
  enum { ROWS = 8, COLUMNS = 64 };
  struct matrix m = matrix(ROWS, COLUMNS, 9);
  represent(at, "int4-zero-g32", ROWS, COLUMNS, m.x, m.y);
  int lowest = 0, wrong = 0;
  for (int i = 0; i < ROWS * COLUMNS; i += 32) {
    double largest = 0;
    for (int j = 0; j < 32; j++) largest = fmax(largest, fabs((double)m.x[i + j]));
    for (int j = 0; j < 32; j++) {
      double step = largest / 7.5, z = (double)m.x[i + j] / step, code = fmax(-8, fmin(7, nearbyint(z)));
      lowest += z < -7.4999999 && fabs((double)m.y[i + j] / step + 8) < 1e-5;
      wrong += fabs((double)m.y[i + j] / step - code) > 1e-5 && fabs(z - floor(z) - 0.5) > 1e-5;
    }
  }
  CHECK(wrong == 0);
  CHECK(lowest > 2);
  float zeroes[32] = {0}, out[32];
  represent(at, "int4-zero-g32", 1, 32, zeroes, out);
  for (int i = 0; i < 32; i++) CHECK(out[i] == 0);
  matrix_free(&m);
}

// ---- what is not usual ----

static void unusual_values(void) {
  static const char *const texts[] = {"mxfp4[power-even]", "mxfp8[power-even]",    "nvfp4[e4m3-floor]",
                                      "nvfp4[e4m3-ceil]",  "nvfp4[four-over-six]", "nvfp4[scale-max(256)]",
                                      "int4-zero-g32",     "nvfp4[square(16)]",    "nvfp4[square(16),four-over-six]",
                                      "nvfp4[eden]"};
  enum { ROWS = 16, COLUMNS = 64, COUNT = ROWS * COLUMNS };
  static float x[COUNT], y[COUNT];
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
    memset(x, 0, sizeof x);
    represent(at, texts[t], ROWS, COLUMNS, x, y);
    int wrong = 0;
    for (int i = 0; i < COUNT; i++) wrong += y[i] != 0;
    // Subnormals stay finite, and no larger than the scale's least.
    for (int i = 0; i < COUNT; i++) x[i] = (float)(i % 7 - 3) * 1e-41f;
    represent(at, texts[t], ROWS, COLUMNS, x, y);
    for (int i = 0; i < COUNT; i++) wrong += !(fabsf(y[i]) < 1e-27f);
    // A NaN is one afterwards.
    for (int i = 0; i < COUNT; i++) x[i] = (float)(i % 13 - 6) * 0.3f;
    x[37] = NAN;
    represent(at, texts[t], ROWS, COLUMNS, x, y);
    wrong += !isnan(y[37]);
    // A block a million times smaller than the tensor's largest keeps its signs or becomes 0.
    for (int i = 0; i < COUNT; i++) x[i] = (i / 16 % 2 ? 1e-6f : 1.0f) * (float)(i % 13 - 6);
    represent(at, texts[t], ROWS, COLUMNS, x, y);
    for (int i = 0; i < COUNT; i++) {
      double limit = i / 16 % 2 && strncmp(texts[t], "nvfp4", 5) == 0 ? 3.01 * ldexp(6.0 / (255 * 6), -9) * 1.01
                                                                      : 1.2 * fabs((double)x[i]) + 1;
      wrong += !isfinite(y[i]) || y[i] * x[i] < 0 || fabs((double)y[i]) > fmax(limit, 1.5 * fabs((double)x[i]));
    }
    // An infinity makes nothing that is a number of another sign.
    x[5] = INFINITY;
    represent(at, texts[t], ROWS, COLUMNS, x, y);
    for (int i = 0; i < COUNT; i++) wrong += y[i] * x[i] < 0;
    if (!CHECK(wrong == 0)) printf("# %s at %s: %d\n", texts[t], isa_name(at->isa), wrong);
  }
}

static void clashes(void) {
  static const char *const texts[][2] = {
      {"int4[four-over-six]", "four-over-six is of E2M1 elements"},
      {"nvfp4[four-over-six,stochastic]", "four-over-six compares errors of rounding to nearest"},
      {"nvfp4[four-over-six,row]", "four-over-six is of groups, as group(16), or of square(16)"},
      {"nvfp4[four-over-six,group(24)]", "four-over-six is of groups of 8, 16, 32, 64, 128 or 256"},
      {"2:4+nvfp4[four-over-six]", "leave the sparsity out"},
      {"mxfp4[scale-max(200)]", "scale-max is of FP8 scales"},
      {"nvfp4[scale-max(500)]", "takes the largest FP8 scale of a tensor, 1 to 448, as scale-max(256)"},
      {"quest-mxfp4[power-even]", "it goes with absmax"},
      {"nf4[power-even]", "power-even is of floats and evenly spaced levels"},
      {"nvfp4[square(8)]", "blocks of 16 by 16 values, which share a scale: square(16)"},
      {"w4[square(16)]", "square(16) goes with absmax"},
      {"a(nvfp4[square(16)])", "square(16) is of weights"},
      {"mxfp4[eden]", "eden corrects the FP8 scales of groups"},
      {"nvfp4[eden,clip]", "straight-through gradients (ste)"},
      {"nvfp4[signed-hadamard(16)]", "signed-hadamard is of gradients"},
      {"g(nvfp4[signed-hadamard(16)])", "signed-hadamard goes with requantize or tokens"},
      {"g(nvfp4)[tokens]", "it needs both with a grid"},
      {"w(nvfp4)a(nvfp4)[tokens]", "it needs both with a grid"},
      {"w(int4)a(nvfp4)g(nvfp4)[tokens]", "untransformed weights and activations"},
      {"w4[high-precision(1.2)]", "takes the share of the blocks"},
      {"quartet[high-precision()]", "'quartet' is a whole format, which takes no options"},
      {"quartet-sr[high-precision(0.5)]", "write out what it stands for, and change that: w("},
      {"w(quartet)a(int4)", "'quartet' is a whole format"},
      {"int4-zero", "is of groups with a scale each, as int4-zero-g32"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct arena arena = {0};
    struct error error = {0};
    bool refused = !format_parse(texts[i][0], &arena, &error);
    if (!CHECK(refused && strstr(error.text, texts[i][1]))) printf("# %s: %s\n", texts[i][0], error.text);
    arena_free(&arena);
  }
}

static void at_level(const struct format_level *level) {
  at = level;
  powers_of_two();
  fp8_scales();
  four_over_six();
  groups_with_a_zero();
  unusual_values();
}
static void scales_at_every_level(void) { each_level(at_level); }

int main(void) {
  RUN(scales_at_every_level);
  RUN(clashes);
  return check_end();
}
