// Making representations ready for their passes; see quantize.h.
#include <math.h>
#include <string.h>

#include "kernels/formats/gaussian.h"
#include "kernels/formats/grid.h"
#include "kernels/formats/quantize.h"
#include "kernels/formats/vector_grid.h"

const struct format_level *format_level_find(enum isa_level isa) {
#if defined(__x86_64__)
  if (isa >= ISA_AVX512) return &format_level_avx512;
  if (isa == ISA_AVX2) return &format_level_avx2;
#endif
  return &format_level_portable;
}

// Five arrays of whole blocks of 64, and room for a vector that reads past the end.
int64_t quantize_scratch(int64_t columns) { return 5 * ((columns + 127) / 64 * 64); }

bool quantizer_needs_absmax(const struct quantizer *quantizer) {
  if (quantizer->grid == GRID_NONE) return false;
  return scale_type_is_e4m3(quantizer->type) ||
         (quantizer->rule == SCALE_ABSMAX && quantizer->unit == SCALE_PER_TENSOR);
}

bool quantizer_needs_rms(const struct quantizer *quantizer) {
  if (quantizer_needs_selection(quantizer) && quantizer->backward != SPARSE_FORWARD &&
      quantizer->backward != SPARSE_PASS)
    return true;
  return quantizer->grid != GRID_NONE && quantizer->rule == SCALE_RMS && quantizer->unit == SCALE_PER_TENSOR;
}

bool quantizer_needs_selection(const struct quantizer *quantizer) {
  return quantizer->sparsity == SPARSITY_TOP && quantizer->scope != SCOPE_ROW;
}

static void take_scalar_grid(struct quantizer *q, const struct grid *grid, struct arena *arena) {
  q->first = (float)grid->first;
  q->exponent_bits = grid->exponent_bits;
  q->mantissa_bits = grid->mantissa_bits;
  if (grid->kind != GRID_LEVELS) return;
  q->levels = arena_array(arena, (size_t)grid->count, sizeof *q->levels);
  q->edges = arena_array(arena, (size_t)grid->count, sizeof *q->edges);
  for (int i = 0; i < grid->count; i++) {
    q->levels[i] = (float)grid->levels[i];
    if (i > 0) q->edges[i - 1] = (float)(0.5 * (grid->levels[i - 1] + grid->levels[i]));
  }
}

// Points, their norms, and the radii of the gradient mask: the outermost point, plus half the largest distance from a
// point to its nearest neighbour for the trust estimator.
static void take_vector_grid(struct quantizer *q, const struct representation *representation, struct arena *arena) {
  const struct vector_grid *grid = vector_grid_find(q->dimension, q->count);
  int count = q->count;
  q->points = arena_array(arena, (size_t)count * (size_t)q->dimension, sizeof *q->points);
  q->half_norms = arena_array(arena, (size_t)count, sizeof *q->half_norms);
  memcpy(q->points, grid->points, (size_t)count * (size_t)q->dimension * sizeof *q->points);
  float outermost = 0, gap = 0;
  for (int i = 0; i < count; i++) {
    float norm = 0, nearest = INFINITY;
    for (int d = 0; d < q->dimension; d++) norm += q->points[d * count + i] * q->points[d * count + i];
    for (int j = 0; j < count; j++) {
      float distance = 0;
      for (int d = 0; d < q->dimension; d++) {
        float difference = q->points[d * count + i] - q->points[d * count + j];
        distance += difference * difference;
      }
      if (j != i) nearest = fminf(nearest, distance);
    }
    q->half_norms[i] = 0.5f * norm;
    outermost = fmaxf(outermost, norm);
    gap = fmaxf(gap, nearest);
  }
  q->limit = INFINITY;
  if (representation->estimator == ESTIMATOR_CLIP) q->limit = sqrtf(outermost);
  if (representation->estimator == ESTIMATOR_TRUST) q->limit = sqrtf(outermost) + 0.5f * sqrtf(gap);
}

// Factors of the scale and the range in which gradients pass, of a scalar grid.
static void take_scalar_scale(struct quantizer *q, const struct representation *representation) {
  const struct grid *grid = &representation->grid;
  const struct scale *scale = &representation->scale;
  double reach = grid_reach(grid);
  q->factor = (float)scale->factor;
  if (scale->rule == SCALE_ABSMAX) {
    q->factor = (float)(scale->factor / reach);
    q->power_factor = (float)scale->factor;
  }
  q->reach_exponent = (int)floor(log2(reach));
  q->tensor_factor = (float)(1 / (448 * reach));
  if (scale->four_over_six || scale->e4m3_most > 0) {
    double most = scale->e4m3_most > 0 ? scale->e4m3_most : 256;
    q->tensor_factor = (float)((scale->rule == SCALE_ABSMAX ? scale->factor : 1) / (most * reach));
  }
  q->four_over_six = scale->four_over_six;
  // Of evenly spaced levels the mantissa is what follows the leading bit of the largest.
  int mantissa = grid->kind == GRID_FLOAT ? grid->mantissa_bits : q->reach_exponent > 0 ? q->reach_exponent : 0;
  if (scale->type == SCALE_POWER_EVEN) q->even_step = 1u << (22 - mantissa);
  q->learned_low = (float)grid->low;
  q->learned_high = (float)grid->high;
  // Half a cell's width is reached exactly in the middle between levels: leave room for rounding errors.
  const float room = 1 + 0x1p-18f;
  if (representation->estimator == ESTIMATOR_TRUST) {
    if (grid->count == 2) {
      q->limit = (float)(representation->outer * grid->high) * room;
    } else {
      q->blend = 1;
      q->limit = (float)(0.5 * grid_largest_gap(grid)) * room;
    }
  } else if (representation->estimator == ESTIMATOR_SEQ) {
    double divided = 0.5 * grid->count;  // steps to either side of 0
    q->learned_high = grid->count == 2 ? 0 : (float)(0.99 * divided);
    q->learned_low = -q->learned_high;
    q->limit = (grid->count == 2 ? (float)grid->high : q->learned_high) * room;
    if (grid->count > 2) q->first_of_absmax = (float)(1 / divided);
  } else if (representation->estimator == ESTIMATOR_CLIP || representation->estimator == ESTIMATOR_LSQ) {
    q->center = (float)(0.5 * (grid->high + grid->low));
    q->limit = (float)(0.5 * (grid->high - grid->low)) * room;
  }
}

bool quantizer_make(struct quantizer *quantizer, const struct representation *representation, int64_t columns,
                    struct arena *arena, struct error *error) {
  const struct grid *grid = &representation->grid;
  const struct scale *scale = &representation->scale;
  const struct sparsity *sparsity = &representation->sparsity;
  struct quantizer *q = quantizer;
  *q = (struct quantizer){.columns = columns,
                          .grid = grid->kind,
                          .count = grid->count,
                          .dimension = grid->kind == GRID_VECTOR ? grid->dimension : 1,
                          .low = (float)grid->low,
                          .high = (float)grid->high,
                          .noise = grid->kind == GRID_NOISE ? (float)sqrt(grid->variance) : 0,
                          .rule = scale->rule,
                          .unit = scale->unit,
                          .type = scale->type,
                          .group = scale->group,
                          .limit = INFINITY,
                          .rounding = representation->rounding,
                          .hadamard_random = representation->hadamard.kind == HADAMARD_RANDOM ||
                                             representation->hadamard.kind == HADAMARD_SIGNED,
                          .hadamard_signed = representation->hadamard.kind == HADAMARD_SIGNED,
                          .sparsity = sparsity->kind,
                          .scope = sparsity->scope,
                          .n = sparsity->n,
                          .m = sparsity->m,
                          .backward = sparsity->backward,
                          .pruned = (float)sparsity->amount,
                          .pattern = *sparsity};
  if (!hadamard_block(&representation->hadamard, columns, &q->hadamard_block, error)) return false;
  if (columns % q->dimension)
    return error_set(error, EXIT_USAGE_ERROR, "a vector grid of dimension %d does not divide an axis of %lld",
                     q->dimension, (long long)columns);
  if (grid_is_scalar(grid)) {
    take_scalar_grid(q, grid, arena);
    take_scalar_scale(q, representation);
  } else if (grid->kind == GRID_VECTOR) {
    q->factor = (float)scale->factor;
    take_vector_grid(q, representation, arena);
  } else {
    q->factor = 1;
  }
  if (sparsity->kind == SPARSITY_TOP && sparsity->scope == SCOPE_ROW &&
      (sparsity->backward == SPARSE_RMS || sparsity->backward == SPARSE_BAND))
    q->band_quantile = (float)normal_quantile(0.5 + sparsity->backward_parameter);
  return true;
}

void hadamard_signs(uint64_t seed, uint64_t step, uint64_t tensor, int64_t columns, uint32_t *out) {
  for (int64_t block = 0; block * 128 < columns; block++) {
    uint32_t words[4];
    random_words(seed, RANDOM_STREAM_HADAMARD, step, (tensor << 40) + (uint64_t)block, words);
    for (int64_t i = 0; i < 128 && block * 128 + i < columns; i++)
      out[block * 128 + i] = words[i / 32] << (31 - i % 32) & 0x80000000u;
  }
}

void quantizer_signs(const struct quantizer *quantizer, uint64_t seed, uint64_t step, uint64_t tensor, uint32_t *out) {
  if (!quantizer->hadamard_signed) {
    hadamard_signs(seed, step, tensor, quantizer->columns, out);
    return;
  }
  for (int64_t i = 0; i < quantizer->columns; i++) out[i] = SIGNED_HADAMARD << (31 - i % 16) & 0x80000000u;
}
