// Representing matrices: the passes that sparsify and round, their transforms, and how gradients go back through them.
// One row at a time while it is in cache: Hadamard transform, selection, scale, rounding, gradient mask.
//
// A pass works on rows [begin, end) of its call (kernels/cpu/parallel.h), compiled once per instruction set level.
// Matrices are [rows, columns], row-major, contraction axis last. Mask bits: row r has mask_stride(columns) bytes, bit
// c % 8 of byte c / 8 is 1 where the gradient passes.
#pragma once
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/formats/format.h"
#include "kernels/formats/sparsity.h"
#include "kernels/formats/windows.h"
#include "kernels/ops.h"

// A representation made ready for matrices of that many columns: plain data, so that a device can copy it.
struct quantizer {
  int64_t columns;
  // Grid.
  enum grid_kind grid;
  int count, dimension;
  float first, low, high;
  int exponent_bits, mantissa_bits;
  float *levels, *edges;       // LEVELS: [count], and [count - 1] the points between
  float *points, *half_norms;  // VECTOR: [dimension][count] coordinates, [count] |point|^2 / 2
  float noise;                 // NOISE: standard deviation over the scale
  // Scale.
  enum scale_rule rule;
  enum scale_unit unit;
  enum scale_type type;
  int group;
  float factor;         // RMS, STATIC: of the scale; ABSMAX: 1 / reach times the given factor
  float power_factor;   // ABSMAX with POWER_FLOOR or POWER_EVEN: what multiplies the power of two
  int reach_exponent;   // floor(log2 reach)
  uint32_t even_step;   // ABSMAX with POWER_EVEN: half a unit of the elements' mantissa, as float32 bits
  float tensor_factor;  // E4M3: of the float32 of a tensor, over its largest magnitude
  bool four_over_six;
  // Gradient mask: |x - blend * y - center * scale| <= limit * scale. blend 1: trust; 0: range, around the grid's
  // center; limit infinite: no condition. Of vector grids |x| is the norm of a group.
  float blend, center, limit;
  // Learned scales: where x / scale is within, the scale's gradient is q - z, else the least or greatest level.
  float learned_low, learned_high;
  float first_of_absmax;  // SEQ: the first scale over the largest magnitude; 0: the best for Gaussian data
  enum rounding rounding;
  int hadamard_block;    // 1: none
  bool hadamard_random;  // after signs ...
  bool hadamard_signed;  // ... that are always the same
  // Sparsity.
  enum sparsity_kind sparsity;
  enum sparsity_scope scope;
  int n, m;
  enum sparsity_backward backward;
  float pruned;         // TOP of scope row, RANDOM: share of zeroes
  float band_quantile;  // RMS, BAND of scope row: T_p over the row's root mean square
  struct sparsity pattern;
};

// False and an error when the representation does not fit that many columns. Arrays are owned by the arena.
bool quantizer_make(struct quantizer *quantizer, const struct representation *representation, int64_t columns,
                    struct arena *arena, struct error *error);

// What passes need to know of a whole tensor: one part of a stacked matrix, one window of activations or gradients.
struct tensor_statistics {
  float absmax, rms;         // after the transform
  float learned;             // SCALE_LEARNED: the scale
  float threshold;           // TOP of scope tensor or global: see struct selection
  float pruned;              // RANDOM: share of zeroes
  int64_t last_tie;          // of the tensor, counting values from 0; -1: no tie is kept
  struct blocked_band band;  // where the selection blocks gradients
};
bool quantizer_needs_absmax(const struct quantizer *quantizer);  // ... of the tensor
bool quantizer_needs_rms(const struct quantizer *quantizer);
bool quantizer_needs_selection(const struct quantizer *quantizer);  // a threshold over the tensor

// Randomness: Philox (seed, stream, step, index). Value (row, column) of tensor `number` draws from
//   block ((number * 4 + operand) << 40) + ((first_row + row) * ceil(columns / 64) + column / 64) * 16 + column % 16,
// (rows of windows in turns by their row_number)
//   word column % 64 / 16,
// so that vectors of any length get their words by whole blocks.
struct random_place {
  uint64_t seed, step;
  uint64_t tensor;    // number * 4 + operand
  int64_t first_row;  // number of row 0
};

struct quantize_call {
  const struct quantizer *quantizer;
  const struct tensor_statistics *statistics;  // of each window; NULL when nothing of the tensor is needed
  struct row_windows windows;
  enum dtype from_dtype, to_dtype;
  int64_t rows;  // of the matrix; SCALE_PER_SQUARE needs it, and `from` as a whole
  const void *from;
  void *to;       // values of the represented matrix; may be `from` when the dtypes are the same, but for squares
  uint8_t *mask;  // gradient mask bits, or NULL
  const uint32_t *signs;  // [columns]: 0 or 1 << 31, of a random Hadamard transform; NULL: fixed
  bool transformed;       // `from` has been through the Hadamard transform already
  struct random_place place;
  float *scratch;  // per worker, quantize_scratch(columns) floats
};
int64_t quantize_scratch(int64_t columns);
static inline int64_t mask_stride(int64_t columns) { return (columns + 7) / 8; }

struct transform_call {  // to = transform of from: signs, then Hadamard; inverse: Hadamard, then signs
  int64_t columns;
  int block;
  const uint32_t *signs;  // or NULL
  enum dtype from_dtype, to_dtype;
  const void *from;
  void *to;
  const uint8_t *mask;  // inverse: values are taken as 0 where the bit is 0; NULL: none
  float *scratch;
};

struct statistics_call {
  const struct quantizer *quantizer;
  enum dtype from_dtype;
  const void *from;
  const uint32_t *signs;
  bool transformed;
  float *row_absmax;    // [rows], written
  double *row_squares;  // [rows], written
  float *scratch;
};

// LSQ (Esser et al. 2020): with z = x / scale and the grid's range [low, high],
//   d y / d scale = q(z) - z inside, low or high outside;  d y / d x = 1 inside, 0 outside.
// SEQ (ParetoQ, Liu et al. 2025): the same with 0.99 of the range that is divided into cells, 2 steps of int2 and 1.5
// of ternary to either side; of two levels d y / d scale is the level, and d y / d x = 1 where |z| <= high.
struct learned_call {
  const struct quantizer *quantizer;
  float scale;
  enum dtype from_dtype, gradient_dtype;
  const void *from;      // x, untransformed
  const void *gradient;  // with respect to y
  double *row_sums;      // [rows]: sums of gradient * d y / d scale, written
  float *scratch;
};

struct transpose_call {   // items: rows of `to`
  int64_t rows, columns;  // of `from`
  enum dtype dtype;
  const void *from;
  void *to;
};

struct format_level {
  enum isa_level isa;
  range_pass *quantize;
  range_pass *transform, *inverse;  // struct transform_call
  range_pass *statistics;
  range_pass *scales;  // struct scales_call (nearest.h)
  range_pass *learned;
  range_pass *transpose;
  // 64 * count words of Philox, 16 blocks at a time from `index`: out [count][4 words][16 blocks].
  void (*random_words)(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index, int64_t count, uint32_t *out);
};
extern const struct format_level format_level_portable;
#if defined(__x86_64__)
extern const struct format_level format_level_avx2, format_level_avx512;
#endif
const struct format_level *format_level_find(enum isa_level isa);  // of an available level

// Signs of a random transform of `columns` values: bit 31 of out[c] is bit c % 32 of word c % 128 / 32 of block c / 128
// of Philox (seed, RANDOM_STREAM_HADAMARD, step), blocks of tensor `tensor` starting at tensor << 40.
void hadamard_signs(uint64_t seed, uint64_t step, uint64_t tensor, int64_t columns, uint32_t *out);
// [columns] signs of a quantizer's transform: those above, or of HADAMARD_SIGNED those of SIGNED_HADAMARD.
void quantizer_signs(const struct quantizer *quantizer, uint64_t seed, uint64_t step, uint64_t tensor, uint32_t *out);
