// Represents a matrix as a format does: represent REPRESENTATION ROWS COLUMNS reads float32 from standard input and
// writes as many to standard output, by the portable passes. For comparisons with other programs (test_elsewhere.py).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/formats/quantize.h"

static int complain(const char *text) {
  fprintf(stderr, "represent: %s\n", text);
  return 2;
}

int main(int argc, char **argv) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation representation = {0};
  struct quantizer quantizer;
  double rows, columns;
  if (argc != 4 || !number_parse(argv[2], &rows) || !number_parse(argv[3], &columns))
    return complain("usage: represent REPRESENTATION ROWS COLUMNS");
  if (!representation_parse(argv[1], &representation, &arena, &error) ||
      !quantizer_make(&quantizer, &representation, (int64_t)columns, &arena, &error))
    return complain(error.text);
  size_t count = (size_t)rows * (size_t)columns;
  float *x = memory_get(count * sizeof *x), *y = memory_get(count * sizeof *y),
        *scratch = memory_get((size_t)quantize_scratch((int64_t)columns) * sizeof *scratch),
        *absmax = memory_get((size_t)rows * sizeof *absmax);
  double *squares = memory_get((size_t)rows * sizeof *squares), sum = 0;
  if (fread(x, sizeof *x, count, stdin) != count) return complain("standard input is too short");
  const struct format_level *level = &format_level_portable;
  struct tensor_statistics statistics = {.pruned = quantizer.pruned, .last_tie = -1};
  struct statistics_call measure = {
      .quantizer = &quantizer, .from = x, .row_absmax = absmax, .row_squares = squares, .scratch = scratch};
  level->statistics(&measure, 0, (int64_t)rows, 0);
  for (size_t row = 0; row < (size_t)rows; row++) {
    statistics.absmax = fmaxf(statistics.absmax, absmax[row]);
    sum += squares[row];
  }
  statistics.rms = (float)sqrt(sum / (double)count);
  struct quantize_call call = {.quantizer = &quantizer,
                               .statistics = &statistics,
                               .rows = (int64_t)rows,
                               .from = x,
                               .to = y,
                               .scratch = scratch};
  level->quantize(&call, 0, (int64_t)rows, 0);
  bool written = fwrite(y, sizeof *y, count, stdout) == count && fflush(stdout) == 0;
  free(x);
  free(y);
  free(scratch);
  free(absmax);
  free(squares);
  arena_free(&arena);
  return written ? 0 : complain("standard output cannot be written");
}
