// The passes at every instruction set level: represented values and gradient masks against their definitions in double
// precision, transforms, randomness, LSQ's gradient, ragged ends, bfloat16, values that are not finite.
#include <stdlib.h>

#include "kernels/formats/grid.h"
#include "kernels/formats/quantize.h"
#include "tests/check.h"

enum { MOST_ROWS = 40, MOST_COLUMNS = 512 };

struct matrix {
  int64_t rows, columns;
  float *x, *y;
  uint8_t *mask;
  float *scratch, *row_absmax;
  double *row_squares;
};
static struct matrix matrix(int64_t rows, int64_t columns, uint64_t seed) {
  struct matrix m = {rows, columns, NULL, NULL, NULL, NULL, NULL, NULL};
  size_t count = (size_t)(rows * columns);
  m.x = memory_get(count * sizeof *m.x);
  m.y = memory_get(count * sizeof *m.y);
  m.mask = memory_get((size_t)(rows * mask_stride(columns)));
  m.scratch = memory_get((size_t)quantize_scratch(columns) * sizeof *m.scratch);
  m.row_absmax = memory_get((size_t)rows * sizeof *m.row_absmax);
  m.row_squares = memory_get((size_t)rows * sizeof *m.row_squares);
  for (size_t i = 0; i < count; i += 2) {
    double pair[2];
    random_normal_pair(seed, RANDOM_STREAM_MONTE_CARLO, 0, i / 2, pair);
    double deviation = 0.7 + 0.1 * (double)(i / (size_t)columns % 9);  // rows differ
    m.x[i] = (float)(pair[0] * deviation);
    if (i + 1 < count) m.x[i + 1] = (float)(pair[1] * deviation);
  }
  return m;
}

static void matrix_free(struct matrix *m) {
  free(m->x);
  free(m->y);
  free(m->mask);
  free(m->scratch);
  free(m->row_absmax);
  free(m->row_squares);
}

static bool mask_bit(const struct matrix *m, int64_t row, int64_t column) {
  return m->mask[row * mask_stride(m->columns) + column / 8] >> column % 8 & 1;
}

static struct representation parse(const char *text, struct arena *arena) {
  struct representation representation = {0};
  struct error error = {0};
  if (!representation_parse(text, &representation, arena, &error)) {
    printf("# %s: %s\n", text, error.text);
    check_failures++;
  }
  return representation;
}

static struct tensor_statistics statistics_of(const struct quantizer *q, const struct format_level *level,
                                              struct matrix *m, double learned) {
  struct tensor_statistics statistics = {.learned = (float)learned, .pruned = q->pruned, .last_tie = -1};
  struct statistics_call call = {
      .quantizer = q, .from = m->x, .row_absmax = m->row_absmax, .row_squares = m->row_squares, .scratch = m->scratch};
  level->statistics(&call, 0, m->rows, 0);
  double squares = 0;
  for (int64_t row = 0; row < m->rows; row++) {
    squares += m->row_squares[row];
    statistics.absmax = fmaxf(statistics.absmax, m->row_absmax[row]);
  }
  statistics.rms = (float)sqrt(squares / (double)(m->rows * m->columns));
  if (quantizer_needs_selection(q)) {
    int64_t count = m->rows * m->columns;
    struct float_span span = {m->x, count};
    struct selection chosen = select_largest(&span, 1, count - llround((double)q->pruned * (double)count));
    statistics.threshold = chosen.threshold;
    statistics.last_tie = chosen.last_tie;
    statistics.band = sparsity_blocked_band(&q->pattern, (double)chosen.threshold, (double)statistics.rms);
  }
  return statistics;
}

static void each_level(void (*test)(const struct format_level *level)) {
  for (int isa = 0; isa < ISA_LEVELS; isa++)  // formats have one level for all of AVX-512
    if (isa_available((enum isa_level)isa) && format_level_find((enum isa_level)isa)->isa == (enum isa_level)isa)
      test(format_level_find((enum isa_level)isa));
}

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

// ---- transforms ----

static void transforms(const struct format_level *level) {
  for (int block = 2; block <= 256; block *= 2)
    for (int with_signs = 0; with_signs < 2; with_signs++) {
      int64_t columns = block >= 64 ? 512 : 3 * block;
      struct matrix m = matrix(3, columns, 17);
      uint32_t signs[MOST_COLUMNS];
      hadamard_signs(5, 6, 7, columns, signs);
      struct transform_call call = {.columns = columns,
                                    .block = block,
                                    .signs = with_signs ? signs : NULL,
                                    .from = m.x,
                                    .to = m.y,
                                    .scratch = m.scratch};
      level->transform(&call, 0, 3, 0);
      double worst = 0;
      for (int64_t i = 0; i < 3 * columns; i++) {
        // Entry (a, b) of Sylvester's matrix is (-1)^(number of common bits).
        int64_t row = i / columns, column = i % columns, first = column - column % block;
        double sum = 0;
        for (int b = 0; b < block; b++) {
          double value = (double)m.x[row * columns + first + b];
          if (with_signs && signs[first + b]) value = -value;
          sum += __builtin_popcount((unsigned)(b & (column - first))) % 2 ? -value : value;
        }
        worst = fmax(worst, fabs(sum / sqrt(block) - (double)m.y[i]));
      }
      CHECK(worst < 5e-6);
      struct transform_call back = call;
      back.from = m.y;
      level->inverse(&back, 0, 3, 0);
      worst = 0;
      for (int64_t i = 0; i < 3 * columns; i++) worst = fmax(worst, fabs((double)m.x[i] - (double)m.y[i]));
      CHECK(worst < 5e-6);
      matrix_free(&m);
    }
}

// Both operands transformed: the product does not change.
static void products_unchanged(const struct format_level *level) {
  enum { ROWS = 6, OUTPUTS = 5, COLUMNS = 96 };
  struct matrix x = matrix(ROWS, COLUMNS, 1), w = matrix(OUTPUTS, COLUMNS, 2);
  uint32_t signs[COLUMNS];
  hadamard_signs(1, 2, 3, COLUMNS, signs);
  struct transform_call call = {
      .columns = COLUMNS, .block = 32, .signs = signs, .from = x.x, .to = x.y, .scratch = x.scratch};
  level->transform(&call, 0, ROWS, 0);
  call.from = w.x;
  call.to = w.y;
  level->transform(&call, 0, OUTPUTS, 0);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < OUTPUTS; j++) {
      double plain = 0, transformed = 0;
      for (int k = 0; k < COLUMNS; k++) {
        plain += (double)x.x[i * COLUMNS + k] * (double)w.x[j * COLUMNS + k];
        transformed += (double)x.y[i * COLUMNS + k] * (double)w.y[j * COLUMNS + k];
      }
      CHECK_NEAR(transformed, plain, 2e-6);
    }
  matrix_free(&x);
  matrix_free(&w);
}

// The transform inside the pass is the transform beside it; masks go through the inverse.
static void transform_within(const struct format_level *level) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse("int3[hadamard(32)]", &arena);
  struct quantizer q;
  struct matrix m = matrix(8, 96, 23), other = matrix(8, 96, 23);
  CHECK(quantizer_make(&q, &r, 96, &arena, &error) && q.hadamard_block == 32);
  struct quantize_call call = {.quantizer = &q, .from = m.x, .to = m.y, .mask = m.mask, .scratch = m.scratch};
  level->quantize(&call, 0, 8, 0);
  struct transform_call transform = {
      .columns = 96, .block = 32, .from = other.x, .to = other.x, .scratch = other.scratch};
  level->transform(&transform, 0, 8, 0);
  struct quantize_call second = {.quantizer = &q,
                                 .from = other.x,
                                 .to = other.y,
                                 .mask = other.mask,
                                 .transformed = true,
                                 .scratch = other.scratch};
  level->quantize(&second, 0, 8, 0);
  CHECK(memcmp(m.y, other.y, 8 * 96 * sizeof(float)) == 0);
  CHECK(memcmp(m.mask, other.mask, (size_t)(8 * mask_stride(96))) == 0);
  // Gradient through the represented operand: H^T (mask * d_y).
  struct matrix d = matrix(8, 96, 29), wanted = matrix(8, 96, 29);
  for (int64_t row = 0; row < 8; row++)
    for (int64_t column = 0; column < 96; column++)
      if (!mask_bit(&m, row, column)) wanted.x[row * 96 + column] = 0;
  struct transform_call backward = {
      .columns = 96, .block = 32, .from = d.x, .to = d.y, .mask = m.mask, .scratch = d.scratch};
  level->inverse(&backward, 0, 8, 0);
  transform.from = wanted.x;
  transform.to = wanted.y;
  level->transform(&transform, 0, 8, 0);  // its own inverse
  CHECK(memcmp(d.y, wanted.y, 8 * 96 * sizeof(float)) == 0);
  matrix_free(&m);
  matrix_free(&other);
  matrix_free(&d);
  matrix_free(&wanted);
  arena_free(&arena);
}

static void transposes(const struct format_level *level) {
  struct matrix m = matrix(37, 21, 3);
  struct transpose_call call = {.rows = 37, .columns = 21, .dtype = DTYPE_FLOAT32, .from = m.x, .to = m.y};
  level->transpose(&call, 0, 21, 0);
  bool same = true;
  for (int i = 0; i < 37; i++)
    for (int j = 0; j < 21; j++) same &= m.y[j * 37 + i] == m.x[i * 21 + j];
  CHECK(same);
  matrix_free(&m);
}

// ---- sparsity ----

static void selections(const struct format_level *level) {
  static const char *const texts[] = {"sparse(0.5)",
                                      "sparse(0.3,row)",
                                      "2:4",
                                      "6:8",
                                      "paired-4:8",
                                      "sparse(0.5,pass)",
                                      "sparse(0.6,rms(0.2))",
                                      "sparse(0.6,b-rms(0.2))",
                                      "sparse(0.2,row,b-rms(0.3))",
                                      "sparse(0.7,a-b-rms(0.4))",
                                      "paired-4:8+int4[no-hadamard]",
                                      "2:4+int3[no-hadamard]"};
  for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
    struct arena arena = {0};
    struct error error = {0};
    struct representation r = parse(texts[t], &arena);
    struct quantizer q;
    enum { ROWS = 12, COLUMNS = 80 };
    struct matrix m = matrix(ROWS, COLUMNS, 31);
    for (int i = 0; i < 40; i++) m.x[i * 7] = i % 2 ? 0.5f : -0.5f;  // ties
    CHECK(quantizer_make(&q, &r, COLUMNS, &arena, &error));
    struct tensor_statistics statistics = statistics_of(&q, level, &m, 0);
    struct quantize_call call = {
        .quantizer = &q, .statistics = &statistics, .from = m.x, .to = m.y, .mask = m.mask, .scratch = m.scratch};
    level->quantize(&call, 0, ROWS, 0);
    const struct sparsity *s = &r.sparsity;
    int64_t kept = 0, wrong = 0;
    for (int64_t row = 0; row < ROWS; row++) {
      const float *x = m.x + row * COLUMNS, *y = m.y + row * COLUMNS;
      int64_t row_kept = 0;
      double smallest_kept = INFINITY, largest_pruned = 0, squares = 0;
      for (int64_t i = 0; i < COLUMNS; i++) squares += (double)x[i] * (double)x[i];
      for (int64_t i = 0; i < COLUMNS; i++) {
        bool here = y[i] != 0;
        row_kept += here;
        if (here)
          smallest_kept = fmin(smallest_kept, fabs((double)x[i]));
        else
          largest_pruned = fmax(largest_pruned, fabs((double)x[i]));
        if (r.grid.kind == GRID_NONE && here && y[i] != x[i]) wrong++;
      }
      kept += row_kept;
      if (s->scope == SCOPE_ROW && s->kind == SPARSITY_TOP)
        if (row_kept != COLUMNS - llround(s->amount * COLUMNS) || smallest_kept < largest_pruned) wrong++;
      if (s->kind == SPARSITY_N_M || s->kind == SPARSITY_PAIRED)
        for (int64_t at = 0; at < COLUMNS; at += s->m) {
          int group = s->kind == SPARSITY_PAIRED ? 2 : 1, here = 0;
          double least = INFINITY, most = 0;
          for (int i = 0; i < s->m; i += group) {
            double size = 0;
            for (int j = 0; j < group; j++) size += (double)x[at + i + j] * (double)x[at + i + j];
            bool stays = y[at + i] != 0;
            for (int j = 0; j < group; j++) wrong += (y[at + i + j] != 0) != stays;
            here += stays * group;
            if (stays)
              least = fmin(least, size);
            else
              most = fmax(most, size);
          }
          wrong += here != s->n || least < most * (1 - 1e-6);
        }
      // Gradient masks, by their definitions.
      double rms = s->scope == SCOPE_ROW ? sqrt(squares / COLUMNS) : (double)statistics.rms;
      double forward = s->scope == SCOPE_ROW ? smallest_kept : (double)statistics.threshold;
      struct blocked_band band = sparsity_blocked_band(s, forward, rms);
      double scale = r.grid.kind == GRID_NONE ? 0 : r.scale.factor * sqrt(squares / COLUMNS), half_gap = scale * 0.5;
      for (int64_t i = 0; i < COLUMNS; i++) {
        double size = fabs((double)x[i]), left = fabs((double)x[i] - (double)y[i]);
        bool here = y[i] != 0, passes = true;
        if (s->backward == SPARSE_FORWARD) passes = here && (r.grid.kind == GRID_NONE || left <= half_gap);
        if (s->backward == SPARSE_TRUST) passes = left <= half_gap;
        if (s->backward == SPARSE_RMS || s->backward == SPARSE_BAND || s->backward == SPARSE_BAND_SHARE) {
          passes = size < (double)band.low || size >= (double)band.high;
          if (fabs(size - (double)band.low) < 1e-5 || fabs(size - (double)band.high) < 1e-5) continue;
        }
        if (r.grid.kind != GRID_NONE && fabs(left - half_gap) < 1e-5) continue;
        wrong += mask_bit(&m, row, i) != passes;
      }
    }
    if (s->kind == SPARSITY_TOP && s->scope == SCOPE_TENSOR)
      CHECK(kept == ROWS * COLUMNS - llround(s->amount * ROWS * COLUMNS));
    if (wrong) {
      printf("# %s at %s: %lld faults\n", texts[t], isa_name(level->isa), (long long)wrong);
      check_failures++;
    }
    matrix_free(&m);
    arena_free(&arena);
  }
}

// Random scores belong to places: a higher share prunes the same and more.
static void random_scores(const struct format_level *level) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse("random-sparse(0.7)", &arena);
  struct quantizer q;
  struct matrix m = matrix(32, 100, 3), more = matrix(32, 100, 3);
  CHECK(quantizer_make(&q, &r, 100, &arena, &error));
  struct tensor_statistics statistics = {.pruned = 0.4f};
  struct quantize_call call = {
      .quantizer = &q, .statistics = &statistics, .from = m.x, .to = m.y, .place = {9, 1, 2, 0}, .scratch = m.scratch};
  level->quantize(&call, 0, 32, 0);
  struct tensor_statistics later = {.pruned = 0.7f};
  call = (struct quantize_call){.quantizer = &q,
                                .statistics = &later,
                                .from = more.x,
                                .to = more.y,
                                .place = {9, 55, 2, 0},
                                .scratch = m.scratch};
  level->quantize(&call, 0, 32, 0);
  int zero = 0, zero_later = 0, back = 0;
  for (int i = 0; i < 3200; i++) {
    zero += m.y[i] == 0;
    zero_later += more.y[i] == 0;
    back += m.y[i] == 0 && more.y[i] != 0;
  }
  CHECK(back == 0 && abs(zero - 1280) < 120 && abs(zero_later - 2240) < 120);
  matrix_free(&m);
  matrix_free(&more);
  arena_free(&arena);
}

// ---- randomness ----

static void philox_words(const struct format_level *level) {
  uint32_t words[128], one[4];
  // The low word of the index runs over within a vector, too.
  static const uint64_t indices[] = {0, 5, 0xFFFFFFF8u, ((uint64_t)3 << 40) + 16};
  for (int k = 0; k < 4; k++) {
    level->random_words(0x123456789ABCDEF, RANDOM_STREAM_ROUNDING, 77, indices[k], 2, words);
    int wrong = 0;
    for (int i = 0; i < 128; i++) {
      random_words(0x123456789ABCDEF, RANDOM_STREAM_ROUNDING, 77, indices[k] + (uint64_t)(i / 64 * 16 + i % 16), one);
      wrong += words[i] != one[i % 64 / 16];
    }
    CHECK(wrong == 0);
  }
}

// Stochastic rounding goes to a neighbour and is right on average; the result depends on place and step, not on the
// range a worker got.
static void stochastic(const struct format_level *level) {
  static const char *const texts[] = {"int4[stochastic,no-hadamard,absmax]", "mxfp4[stochastic,power-ceil]",
                                      "fp8-e5m2[stochastic,absmax,no-hadamard]",
                                      "levels(-4 -1 0.5 1 4)[stochastic,absmax,no-hadamard]"};
  for (int t = 0; t < 4; t++) {
    struct arena arena = {0};
    struct error error = {0};
    struct representation r = parse(texts[t], &arena);
    struct quantizer q;
    enum { ROWS = 4, COLUMNS = 96, DRAWS = 2000 };
    struct matrix m = matrix(ROWS, COLUMNS, 41);
    static double sums[ROWS * COLUMNS], squares[ROWS * COLUMNS];
    memset(sums, 0, sizeof sums);
    memset(squares, 0, sizeof squares);
    double farthest = 0;
    CHECK(quantizer_make(&q, &r, COLUMNS, &arena, &error));
    for (int draw = 0; draw < DRAWS; draw++) {
      struct quantize_call call = {
          .quantizer = &q, .from = m.x, .to = m.y, .place = {1, (uint64_t)draw, 3, 8}, .scratch = m.scratch};
      level->quantize(&call, 0, ROWS, 0);
      for (int i = 0; i < ROWS * COLUMNS; i++) {
        sums[i] += (double)m.y[i];
        squares[i] += (double)m.y[i] * (double)m.y[i];
        farthest = fmax(farthest, fabs((double)m.y[i] - (double)m.x[i]));
      }
    }
    int outliers = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
      double mean = sums[i] / DRAWS, error_of_mean = sqrt(fmax(squares[i] / DRAWS - mean * mean, 0) / DRAWS);
      // Next to a level the other neighbour is drawn a few times at most: a handful of draws more or less is no bias.
      outliers += fabs(mean - (double)m.x[i]) > 4.5 * error_of_mean + 5 * farthest / DRAWS;
    }
    if (!CHECK(outliers == 0)) printf("# %s: %d of %d are biased\n", texts[t], outliers, ROWS * COLUMNS);
    // Row 2 alone, as first row 10 of the same step, is the same.
    struct matrix part = matrix(ROWS, COLUMNS, 41);
    struct quantize_call whole = {.quantizer = &q, .from = m.x, .to = m.y, .place = {1, 5, 3, 8}, .scratch = m.scratch};
    level->quantize(&whole, 0, ROWS, 0);
    struct quantize_call alone = {
        .quantizer = &q, .from = m.x + 2 * COLUMNS, .to = part.y, .place = {1, 5, 3, 10}, .scratch = m.scratch};
    level->quantize(&alone, 0, 1, 0);
    CHECK(memcmp(part.y, m.y + 2 * COLUMNS, COLUMNS * sizeof(float)) == 0);
    alone.place.step = 6;
    level->quantize(&alone, 0, 1, 0);
    CHECK(memcmp(part.y, m.y + 2 * COLUMNS, COLUMNS * sizeof(float)) != 0);
    matrix_free(&part);
    matrix_free(&m);
    arena_free(&arena);
  }
}

static void noise(const struct format_level *level) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r = parse("noise(0.04)", &arena);
  struct quantizer q;
  struct matrix m = matrix(40, 512, 43);
  CHECK(quantizer_make(&q, &r, 512, &arena, &error));
  struct quantize_call call = {.quantizer = &q, .from = m.x, .to = m.y, .place = {1, 2, 3, 0}, .scratch = m.scratch};
  level->quantize(&call, 0, 40, 0);
  double sum = 0, square = 0, fourth = 0, neighbours = 0;
  for (int row = 0; row < 40; row++) {
    double rms = 0, before = 0;
    for (int i = 0; i < 512; i++) rms += (double)m.x[row * 512 + i] * (double)m.x[row * 512 + i];
    rms = sqrt(rms / 512);
    for (int i = 0; i < 512; i++) {
      double g = ((double)m.y[row * 512 + i] - (double)m.x[row * 512 + i]) / (0.2 * rms);
      sum += g;
      square += g * g;
      fourth += g * g * g * g;
      neighbours += g * before;
      before = g;
    }
  }
  double count = 40 * 512;
  CHECK_NEAR(sum / count, 0, 0.035);
  CHECK_NEAR(square / count, 1, 0.05);
  CHECK_NEAR(fourth / count, 3, 0.12);
  CHECK_NEAR(neighbours / count, 0, 0.035);
  matrix_free(&m);
  arena_free(&arena);
}

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

static void run_values(void) { each_level(values_and_masks); }
static void run_transforms(void) { each_level(transforms); }
static void run_products(void) { each_level(products_unchanged); }
static void run_within(void) { each_level(transform_within); }
static void run_transposes(void) { each_level(transposes); }
static void run_selections(void) { each_level(selections); }
static void run_scores(void) { each_level(random_scores); }
static void run_philox(void) { each_level(philox_words); }
static void run_stochastic(void) { each_level(stochastic); }
static void run_noise(void) { each_level(noise); }
static void run_learned(void) { each_level(learned_scale); }
static void run_halves(void) { each_level(bfloat16_operands); }
static void run_not_finite(void) { each_level(not_finite); }
static void run_zero(void) { each_level(all_zero); }
static void run_ties(void) { each_level(ties_at_zero); }

int main(void) {
  check_run(run_values, "values and gradient masks by definition");
  check_run(run_transforms, "Hadamard transforms and their inverses");
  check_run(run_products, "transforms in both operands leave products unchanged");
  check_run(run_within, "the transform inside a pass");
  check_run(run_transposes, "transposition");
  check_run(run_selections, "selections and their gradient masks");
  check_run(run_scores, "random sparsity");
  check_run(run_philox, "Philox in vectors");
  check_run(run_stochastic, "stochastic rounding");
  check_run(run_noise, "noise injection");
  check_run(run_ties, "ties at zero follow their sign");
  check_run(run_learned, "LSQ's gradients");
  check_run(run_halves, "bfloat16");
  check_run(run_not_finite, "NaN and infinity stay");
  check_run(run_zero, "rows of zeroes");
  return check_end();
}
