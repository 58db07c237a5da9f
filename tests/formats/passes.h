// What tests of the passes share: a matrix with its scratch, statistics of it, every instruction set level.
#pragma once
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
static inline struct matrix matrix(int64_t rows, int64_t columns, uint64_t seed) {
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

static inline void matrix_free(struct matrix *m) {
  free(m->x);
  free(m->y);
  free(m->mask);
  free(m->scratch);
  free(m->row_absmax);
  free(m->row_squares);
}

static inline bool mask_bit(const struct matrix *m, int64_t row, int64_t column) {
  return m->mask[row * mask_stride(m->columns) + column / 8] >> column % 8 & 1;
}

static inline struct representation parse(const char *text, struct arena *arena) {
  struct representation representation = {0};
  struct error error = {0};
  if (!representation_parse(text, &representation, arena, &error)) {
    printf("# %s: %s\n", text, error.text);
    check_failures++;
  }
  return representation;
}

static inline struct tensor_statistics statistics_of(const struct quantizer *q, const struct format_level *level,
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

static inline void each_level(void (*test)(const struct format_level *level)) {
  for (int isa = 0; isa < ISA_LEVELS; isa++)  // formats have one level for all of AVX-512
    if (isa_available((enum isa_level)isa) && format_level_find((enum isa_level)isa)->isa == (enum isa_level)isa)
      test(format_level_find((enum isa_level)isa));
}
