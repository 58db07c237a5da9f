// Windows of a matrix: the rows that share what a format measures of a whole operand (a scale per tensor, the float32
// next to FP8 scales). Of activations and gradients a window is one sequence, so that results do not depend on how many
// sequences a call has. In C that CPU and GPU both compile.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#if defined(__CUDACC__)
#define FORMAT_FUNCTION static __forceinline__ __host__ __device__
#else
#define FORMAT_FUNCTION static inline __attribute__((always_inline, unused))
#endif

// Windows of `rows` rows each, one after the other; or in turns: row r is of window r % count, as in a transposed
// matrix whose rows are cut by sequences ([outputs, tokens] is [outputs * sequences, context]).
struct row_windows {
  int64_t count;  // 0: one, of all rows
  int64_t rows;
  bool in_turns;
  int64_t stride;  // in turns: how many numbers of rows a window has (struct random_place)
};

FORMAT_FUNCTION int64_t window_count(const struct row_windows *windows) {
  return windows->count > 1 ? windows->count : 1;
}

// Rows are fewer than 2^32: short divisions.
FORMAT_FUNCTION int64_t window_of_row(const struct row_windows *windows, int64_t row) {
  if (windows->count <= 1) return 0;
  uint32_t at = (uint32_t)row;
  return windows->in_turns ? at % (uint32_t)windows->count : at / (uint32_t)windows->rows;
}

// Row `at` of a window.
FORMAT_FUNCTION int64_t row_of_window(const struct row_windows *windows, int64_t window, int64_t at) {
  if (windows->count <= 1) return at;
  return windows->in_turns ? at * windows->count + window : window * windows->rows + at;
}

// The number of a row, counted from the matrix's first: what its randomness is keyed by. In turns numbers go by
// windows, so that a window's are the same wherever it is.
FORMAT_FUNCTION int64_t row_number(const struct row_windows *windows, int64_t row) {
  if (windows->count <= 1 || !windows->in_turns) return row;
  uint32_t at = (uint32_t)row, count = (uint32_t)windows->count;
  return (int64_t)(at % count) * windows->stride + at / count;
}
