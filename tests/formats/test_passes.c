// The passes at every instruction set level: represented values and gradient masks against their definitions in double
// precision, ties, LSQ's gradient, ragged ends, bfloat16, values that are not finite.
#include "tests/formats/passes.h"

// ---- reference ----

static double reference_scale(const struct representation *r, const struct tensor_statistics *statistics,
                              const float *x, int64_t count) {
  double absmax = 0, squares = 0;
  for (int64_t i = 0; i < count; i++) {
    absmax = fmax(absmax, fabs((double)x[i]));
    squares += (double)x[i] * (double)x[i];
  }
  double rms = sqrt(squares / (double)count);
  if (r->scale.unit == SCALE_PER_TENSOR) {
    absmax = (double)statistics->absmax;
    rms = (double)statistics->rms;
  }
  double reach = grid_is_scalar(&r->grid) ? grid_reach(&r->grid) : 1, scale = r->scale.factor;
  if (r->scale.rule == SCALE_RMS) scale *= rms;
  if (r->scale.rule == SCALE_LEARNED) scale = (double)statistics->learned;
  if (r->scale.rule == SCALE_ABSMAX && r->scale.type == SCALE_POWER_FLOOR)
    return scale * exp2(floor(log2(absmax)) - floor(log2(reach)));
  if (r->scale.rule == SCALE_ABSMAX) scale *= absmax / reach;
  switch (r->scale.type) {
    case SCALE_POWER_FLOOR:
      return exp2(floor(log2(scale)));
    case SCALE_POWER_ROUND:
      return exp2(round(log2(scale)));
    case SCALE_POWER_CEIL:
      return exp2(ceil(log2(scale)));
    case SCALE_E4M3: {
      double unit = (double)statistics->absmax / (448 * reach), z = scale / unit, levels[GRID_LEVEL_LIMIT], best = 0;
      struct grid e4m3 = grid_float(4, 3);
      int count_levels = grid_level_list(&e4m3, levels);
      for (int i = 0; i < count_levels; i++)
        if (fabs(levels[i] - z) < fabs(best - z)) best = levels[i];
      return best * unit;
    }
    default:
      return scale;
  }
}

// The nearest level, and how far the second nearest is: a tie may go either way.
static double nearest_level(const double *levels, int count, double z, double *second) {
  double best = INFINITY, level = 0;
  *second = INFINITY;
  for (int i = 0; i < count; i++) {
    double distance = fabs(z - levels[i]);
    if (distance < best) {
      *second = best;
      best = distance;
      level = levels[i];
    } else {
      *second = fmin(*second, distance);
    }
  }
  *second -= best;
  return level;
}

static void check_values(const struct format_level *level, const char *text, int64_t columns) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse(text, &arena);
  struct quantizer q;
  struct matrix m = matrix(9, columns, 11);
  double learned = 0.31, levels[GRID_LEVEL_LIMIT];
  CHECK(quantizer_make(&q, &r, columns, &arena, &error));
  int count = grid_level_list(&r.grid, levels), failures = 0;
  struct tensor_statistics statistics = statistics_of(&q, level, &m, learned);
  struct quantize_call call = {
      .quantizer = &q, .statistics = &statistics, .from = m.x, .to = m.y, .mask = m.mask, .scratch = m.scratch};
  level->quantize(&call, 0, m.rows, 0);
  double half_gap = 0.5 * grid_largest_gap(&r.grid), edge = fmax(r.grid.high, -r.grid.low);
  bool outer = count == 2 && r.estimator == ESTIMATOR_TRUST;  // a range of its own
  int64_t unit = r.scale.unit == SCALE_PER_GROUP ? r.scale.group : columns;
  for (int64_t row = 0; row < m.rows; row++)
    for (int64_t at = 0; at < columns; at += unit) {
      int64_t size = columns - at < unit ? columns - at : unit;
      double scale = reference_scale(&r, &statistics, m.x + row * columns + at, size);
      for (int64_t i = row * columns + at; i < row * columns + at + size; i++) {
        double x = (double)m.x[i], second, want = scale * nearest_level(levels, count, x / scale, &second);
        bool tie = second < 1e-5 * edge;
        if (!tie && fabs((double)m.y[i] - want) > 2e-6 * fmax(fabs(want), scale)) failures++;
        double left = fmax(x - r.grid.high * scale, r.grid.low * scale - x);  // how far outside
        if (outer) left = fabs(x) - r.outer * r.grid.high * scale;
        if (r.estimator == ESTIMATOR_TRUST && !outer) left = fabs(x - want) - half_gap * scale;
        bool passes = r.estimator == ESTIMATOR_STE || left <= 0;
        if (fabs(left) > 1e-5 * edge * scale && mask_bit(&m, row, i - row * columns) != passes) failures++;
      }
    }
  if (failures) {
    printf("# %s with %lld columns at %s: %d values or mask bits differ\n", text, (long long)columns,
           isa_name(level->isa), failures);
    check_failures++;
  }
  matrix_free(&m);
  arena_free(&arena);
}

static void values_and_masks(const struct format_level *level) {
  static const char *const texts[] = {"int1[no-hadamard]",
                                      "int2[no-hadamard]",
                                      "int3[no-hadamard]",
                                      "int4[no-hadamard]",
                                      "int8[no-hadamard]",
                                      "int5-tread[no-hadamard]",
                                      "int4-twos[no-hadamard]",
                                      "ternary[no-hadamard]",
                                      "clip-int3",
                                      "clip-int3-twos",
                                      "clip-levels(-0.5 -0.25 0 1.75)",
                                      "ste-int4",
                                      "absmax-int4",
                                      "lsq-int4",
                                      "lsq-int2-twos",
                                      "fp4-e2m1[no-hadamard]",
                                      "fp4-e3m0[no-hadamard]",
                                      "fp4-e1m2[no-hadamard]",
                                      "fp6-e2m3[no-hadamard]",
                                      "fp6-e3m2[absmax,tensor,no-hadamard]",
                                      "fp8-e4m3[no-hadamard]",
                                      "fp8-e5m2[absmax,no-hadamard]",
                                      "mxfp4",
                                      "mxfp4[power-ceil]",
                                      "mxfp4[power-round]",
                                      "mxfp8",
                                      "mxint8",
                                      "nvfp4",
                                      "quest-mxfp4[no-hadamard]",
                                      "int4-g32",
                                      "int4-g4",
                                      "int4-g20",
                                      "levels(-2 -1 -0.25 0.5 1.75)[no-hadamard]",
                                      "nf4",
                                      "vq1-8[no-hadamard]",
                                      "int4[static(0.3),no-hadamard]",
                                      "int4[tensor,no-hadamard]",
                                      "fp4-e2m1[e4m3-scale,group(16),no-hadamard]"};
  static const int64_t columns[] = {64, 96, 80, 37, 5};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    for (int c = 0; c < 5; c++) check_values(level, texts[i], columns[c]);
}

// ---- ties ----

// Zeroes and what rounds to them, + and - alike, go to the level of their sign where 0 is none: their sum is 0. Where 0
// is a level they stay there.
static void ties_at_zero(const struct format_level *level) {
  static const char *const texts[] = {"int1[absmax,no-hadamard]",
                                      "int2[absmax,no-hadamard,trust]",
                                      "int4[static(0.3),no-hadamard]",
                                      "int8[no-hadamard]",
                                      "levels(-1 -0.3 0.3 1)[static(1),no-hadamard]",
                                      "int4-tread[absmax,no-hadamard]",
                                      "int3-twos[absmax,no-hadamard]",
                                      "fp4-e2m1[absmax,no-hadamard]",
                                      "levels(-1 0 1)[static(1),no-hadamard]"};
  static const float few[] = {0.0f, -0.0f, 1e-12f, -1e-12f, 1e-25f, -1e-25f};
  for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
    struct arena arena = {0};
    struct error error = {0};
    struct representation r = parse(texts[t], &arena);
    struct quantizer q;
    enum { ROWS = 2, COLUMNS = 84 };
    struct matrix m = matrix(ROWS, COLUMNS, 53);
    bool zero = t >= 5, fine = true;
    for (int i = 0; i < ROWS * COLUMNS; i++)
      if (i % 7 < 6) m.x[i] = few[i % 7];
    CHECK(quantizer_make(&q, &r, COLUMNS, &arena, &error));
    struct tensor_statistics statistics = statistics_of(&q, level, &m, 0);
    struct quantize_call call = {
        .quantizer = &q, .statistics = &statistics, .from = m.x, .to = m.y, .scratch = m.scratch};
    level->quantize(&call, 0, ROWS, 0);
    double sum = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
      if (i % 7 == 6) continue;
      sum += (double)m.y[i];
      fine &= zero ? m.y[i] == 0 : m.y[i] != 0 && !signbit(m.y[i]) == !signbit(m.x[i]);
    }
    if (!CHECK(fine && sum == 0)) printf("# %s: zeroes sum up to %g\n", texts[t], sum);
    matrix_free(&m);
    arena_free(&arena);
  }
}

// ---- LSQ ----

// For fixed codes the represented value is scale * code inside and scale * (low or high) outside; LSQ's gradient of the
// scale is that of the represented value where codes do not change, plus -z inside, where the rounding is passed
// straight through. By finite differences on the smooth surrogate clip(z) + (q - z) held constant.
static void learned_scale(const struct format_level *level) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse("lsq-int3", &arena);
  struct quantizer q;
  enum { ROWS = 5, COLUMNS = 80 };
  struct matrix m = matrix(ROWS, COLUMNS, 47), g = matrix(ROWS, COLUMNS, 53);
  CHECK(quantizer_make(&q, &r, COLUMNS, &arena, &error));
  double scale = 0.3, sums[ROWS], low = r.grid.low, high = r.grid.high, levels[GRID_LEVEL_LIMIT];
  int count = grid_level_list(&r.grid, levels);
  struct learned_call call = {
      .quantizer = &q, .scale = (float)scale, .from = m.x, .gradient = g.x, .row_sums = sums, .scratch = m.scratch};
  level->learned(&call, 0, ROWS, 0);
  for (int row = 0; row < ROWS; row++) {
    double values[2];
    for (int side = 0; side < 2; side++) {
      double s = scale + (side ? 1e-6 : -1e-6), total = 0;
      for (int i = row * COLUMNS; i < (row + 1) * COLUMNS; i++) {
        double second, z0 = (double)m.x[i] / scale, z = fmin(fmax((double)m.x[i] / s, low), high);
        double rounding = nearest_level(levels, count, z0, &second) - fmin(fmax(z0, low), high);  // a constant
        total += (double)g.x[i] * s * (z + rounding);
      }
      values[side] = total;
    }
    CHECK_NEAR(sums[row], (values[1] - values[0]) / 2e-6, 1e-4);
  }
  // And d x: the mask is 1 inside the range, 0 outside.
  struct tensor_statistics statistics = {.learned = (float)scale};
  struct quantize_call forward = {
      .quantizer = &q, .statistics = &statistics, .from = m.x, .to = m.y, .mask = m.mask, .scratch = m.scratch};
  level->quantize(&forward, 0, ROWS, 0);
  int wrong = 0;
  for (int i = 0; i < ROWS * COLUMNS; i++) {
    double left = fabs((double)m.x[i]) - high * scale;
    if (fabs(left) > 1e-4) wrong += mask_bit(&m, i / COLUMNS, i % COLUMNS) != (left < 0);
  }
  CHECK(wrong == 0);
  matrix_free(&m);
  matrix_free(&g);
  arena_free(&arena);
}

// ---- odds and ends ----

// bfloat16 in and out: the pass computes in float32 on the widened values.
static void bfloat16_operands(const struct format_level *level) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse("int4[hadamard(16)]", &arena);
  struct quantizer q;
  enum { ROWS = 3, COLUMNS = 80 };
  struct matrix m = matrix(ROWS, COLUMNS, 59);
  uint16_t halves[ROWS * COLUMNS], out[ROWS * COLUMNS];
  for (int i = 0; i < ROWS * COLUMNS; i++) {
    uint32_t bits;
    memcpy(&bits, &m.x[i], 4);
    bits &= 0xFFFF0000u;
    halves[i] = (uint16_t)(bits >> 16);
    memcpy(&m.x[i], &bits, 4);
  }
  CHECK(quantizer_make(&q, &r, COLUMNS, &arena, &error));
  struct quantize_call call = {.quantizer = &q, .from = m.x, .to = m.y, .mask = m.mask, .scratch = m.scratch};
  level->quantize(&call, 0, ROWS, 0);
  uint8_t mask[ROWS * 10];
  struct quantize_call half = {.quantizer = &q,
                               .from_dtype = DTYPE_BFLOAT16,
                               .to_dtype = DTYPE_BFLOAT16,
                               .from = halves,
                               .to = out,
                               .mask = mask,
                               .scratch = m.scratch};
  level->quantize(&half, 0, ROWS, 0);
  CHECK(memcmp(mask, m.mask, sizeof mask) == 0);
  for (int i = 0; i < ROWS * COLUMNS; i++) {
    uint32_t bits = (uint32_t)out[i] << 16;
    float value;
    memcpy(&value, &bits, 4);
    if (fabsf(value - m.y[i]) > 0.004f * fabsf(m.y[i])) {
      check_fail(__FILE__, __LINE__, "bfloat16 output differs");
      break;
    }
  }
  matrix_free(&m);
  arena_free(&arena);
}

// A NaN or an infinity must not be quantized away: the run diverges and has to be seen to.
static void not_finite(const struct format_level *level) {
  static const char *const texts[] = {"int4",
                                      "int4[no-hadamard]",
                                      "mxfp4",
                                      "nvfp4",
                                      "fp8-e4m3[absmax,tensor]",
                                      "vq2-16",
                                      "levels(-1 0 1)",
                                      "absmax-int8",
                                      "sparse(0.5)",
                                      "2:4",
                                      "noise(0.1)",
                                      "int4-g32",
                                      "mxfp4[stochastic]"};
  for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
    for (int kind = 0; kind < 2; kind++) {
      struct arena arena = {0};
      struct error error = {0};
      struct representation r = parse(texts[t], &arena);
      struct quantizer q;
      struct matrix m = matrix(2, 64, 61);
      m.x[37] = kind ? INFINITY : NAN;
      CHECK(quantizer_make(&q, &r, 64, &arena, &error));
      struct tensor_statistics statistics = statistics_of(&q, level, &m, 0.3);
      if (isnan(m.row_absmax[0])) statistics.absmax = NAN;  // whoever reduces rows keeps it
      struct quantize_call call = {
          .quantizer = &q, .statistics = &statistics, .from = m.x, .to = m.y, .mask = m.mask, .scratch = m.scratch};
      level->quantize(&call, 0, 2, 0);
      bool finite = true;
      for (int i = 0; i < 64; i++) finite &= isfinite(m.y[i]);
      if (finite) {
        printf("# %s at %s: %s disappears\n", texts[t], isa_name(level->isa), kind ? "an infinity" : "a NaN");
        check_failures++;
      }
      matrix_free(&m);
      arena_free(&arena);
    }
}

static void all_zero(const struct format_level *level) {
  static const char *const texts[] = {
      "int4",   "ternary",  "mxfp4",       "nvfp4",     "absmax-int8", "fp8-e4m3[absmax,tensor]",
      "vq2-16", "2:4+int4", "sparse(0.5)", "noise(0.1)"};
  for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
    struct arena arena = {0};
    struct error error = {0};
    struct representation r = parse(texts[t], &arena);
    struct quantizer q;
    struct matrix m = matrix(2, 64, 67);
    memset(m.x, 0, 128 * sizeof *m.x);
    CHECK(quantizer_make(&q, &r, 64, &arena, &error));
    struct tensor_statistics statistics = statistics_of(&q, level, &m, 0.3);
    struct quantize_call call = {
        .quantizer = &q, .statistics = &statistics, .from = m.x, .to = m.y, .mask = m.mask, .scratch = m.scratch};
    level->quantize(&call, 0, 2, 0);
    bool small = true;
    for (int i = 0; i < 128; i++) small &= fabsf(m.y[i]) < 1e-20f;
    if (!CHECK(small)) printf("# %s\n", texts[t]);
    matrix_free(&m);
    arena_free(&arena);
  }
}

static void run_values_and_masks(void) { each_level(values_and_masks); }
static void run_ties_at_zero(void) { each_level(ties_at_zero); }
static void run_learned_scale(void) { each_level(learned_scale); }
static void run_bfloat16_operands(void) { each_level(bfloat16_operands); }
static void run_not_finite(void) { each_level(not_finite); }
static void run_all_zero(void) { each_level(all_zero); }

int main(void) {
  check_run(run_values_and_masks, "values and gradient masks by definition");
  check_run(run_ties_at_zero, "ties at zero follow their sign");
  check_run(run_learned_scale, "LSQ's gradients");
  check_run(run_bfloat16_operands, "bfloat16");
  check_run(run_not_finite, "NaN and infinity stay");
  check_run(run_all_zero, "rows of zeroes");
  return check_end();
}
