// What passes select and draw at every instruction set level: sparsity and its gradient masks, Philox, stochastic
// rounding, injected noise.
#include "tests/formats/passes.h"

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

static void run_selections(void) { each_level(selections); }
static void run_random_scores(void) { each_level(random_scores); }
static void run_philox_words(void) { each_level(philox_words); }
static void run_stochastic(void) { each_level(stochastic); }
static void run_noise(void) { each_level(noise); }

int main(void) {
  check_run(run_selections, "selections and their gradient masks");
  check_run(run_random_scores, "random sparsity");
  check_run(run_philox_words, "Philox in vectors");
  check_run(run_stochastic, "stochastic rounding");
  check_run(run_noise, "noise injection");
  return check_end();
}
