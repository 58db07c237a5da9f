// Representing rows: selection, then scale, rounding and gradient mask on a row in cache. See quantize.h.
#pragma once
#include "kernels/formats/pass_scales.h"

// ---- selection ----

// The n largest of every m, earlier ones first among equals; `group` neighbours count as one by their norm. A last
// group that is short keeps its largest n too.
static void keep_n_of_m(const float *x, int32_t *keep, int64_t columns, int n, int m, int group) {
  float sizes[64];
  for (int64_t at = 0; at < columns; at += m) {
    int64_t left = columns - at < m ? columns - at : m;
    int count = (int)((left + group - 1) / group);
    for (int i = 0; i < count; i++) {
      sizes[i] = 0;
      for (int64_t j = i * group; j < (i + 1) * group && j < left; j++) sizes[i] += x[at + j] * x[at + j];
    }
    for (int i = 0; i < count; i++) {
      int larger = 0;
      for (int j = 0; j < i; j++) larger += sizes[j] >= sizes[i];
      for (int j = i + 1; j < count; j++) larger += sizes[j] > sizes[i];
      for (int64_t j = i * group; j < (i + 1) * group && j < left; j++) keep[at + j] = larger < n ? -1 : 0;
    }
  }
}

// |x| above the threshold, and equal to it up to column last_tie.
static void keep_above(const float *x, int32_t *keep, int64_t columns, float threshold, int64_t last_tie) {
  vint limit = (vint){0} + (int32_t)(last_tie < 0 ? -1 : last_tie < columns ? last_tie : columns);
  vint column = lane_numbers();
  vint bits = (vint){0} + (int32_t)float_bits(threshold);
  for (int64_t i = 0; i < columns; i += LANES) {
    vint size = (vint)magnitude(load(x + i));
    store_ints(keep + i, (size > bits) | ((size == bits) & (column <= limit)));
    column += LANES;
  }
}

// The wanted-th largest magnitude of the row (counting from 1), by quickselect on the bits in `work`.
static float row_threshold(const float *x, uint32_t *work, int64_t columns, int64_t wanted) {
  for (int64_t i = 0; i < columns; i++) work[i] = float_bits(x[i]) & 0x7FFFFFFFu;
  int64_t low = 0, high = columns - 1, target = columns - wanted;  // ascending order
  while (low < high) {
    uint32_t pivot = work[low + (high - low) / 2];
    int64_t i = low, j = high;
    while (i <= j) {
      while (work[i] < pivot) i++;
      while (work[j] > pivot) j--;
      if (i <= j) {
        uint32_t other = work[i];
        work[i++] = work[j];
        work[j--] = other;
      }
    }
    if (target <= j)
      high = j;
    else if (target >= i)
      low = i;
    else
      break;
  }
  return float_of_bits(work[target]);
}

// Fills row->keep and says where gradients are blocked.
static struct blocked_band select_row(const struct quantize_call *call, const struct row_arrays *row, int64_t number) {
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns;
  struct blocked_band band = {0, 0};
  switch (quantizer->sparsity) {
    case SPARSITY_NONE:
      break;
    case SPARSITY_N_M:
      keep_n_of_m(row->x, row->keep, columns, quantizer->n, quantizer->m, 1);
      break;
    case SPARSITY_PAIRED:
      keep_n_of_m(row->x, row->keep, columns, quantizer->n / 2, quantizer->m, 2);
      break;
    case SPARSITY_TOP:
      if (quantizer->scope == SCOPE_ROW) {
        int64_t kept = columns - (int64_t)llrintf(quantizer->pruned * (float)columns);
        float threshold = kept > 0 ? row_threshold(row->x, (uint32_t *)row->y, columns, kept) : INFINITY;
        int64_t above = 0, last_tie = -1;
        for (int64_t i = 0; i < columns; i++) above += fabsf(row->x[i]) > threshold;
        for (int64_t i = 0; i < columns && above < kept; i++)
          if (fabsf(row->x[i]) == threshold) {
            last_tie = i;
            above++;
          }
        keep_above(row->x, row->keep, columns, threshold, last_tie);
        if (quantizer->band_quantile > 0) {
          float other = quantizer->band_quantile * __builtin_sqrtf(range_squares(row->x, columns) / (float)columns);
          bool lower = other < threshold;
          band = (struct blocked_band){lower ? other : threshold, lower ? threshold : other};
          if (quantizer->backward == SPARSE_RMS) band = (struct blocked_band){0, other};
        }
      } else {
        int64_t last_tie = call->statistics->last_tie - number * columns;
        keep_above(row->x, row->keep, columns, call->statistics->threshold, last_tie);
        band = call->statistics->band;
      }
      break;
    case SPARSITY_RANDOM: {
      // Scores belong to places, not to steps: step 0 of their own stream.
      int64_t blocks = (columns + 63) / 64;
      random_words_pass(call->place.seed, RANDOM_STREAM_PRUNING, 0,
                        (call->place.tensor << 40) + (uint64_t)(number * blocks * 16), blocks, row->words);
      double pruned = (call->statistics ? call->statistics->pruned : quantizer->pruned) * 0x1p32;
      for (int64_t i = 0; i < columns; i++) row->keep[i] = row->words[i] >= pruned ? -1 : 0;
      break;
    }
  }
  return band;
}

// ---- rows ----

// Bits of eight lanes of all ones or 0.
INLINE void pack_mask(const int32_t *pass, uint8_t *mask, int64_t columns) {
  int64_t i = 0;
#if SIMD_LEVEL == 2
  for (; i + 16 <= columns; i += 16) {
    uint16_t bits = (uint16_t)_mm512_movepi32_mask(_mm512_loadu_si512(pass + i));
    memcpy(mask + i / 8, &bits, 2);
  }
#elif SIMD_LEVEL == 1
  for (; i + 8 <= columns; i += 8)
    mask[i / 8] = (uint8_t)_mm256_movemask_ps(_mm256_loadu_ps((const float *)(pass + i)));
#endif
  for (; i < columns; i += 8) {
    unsigned bits = 0;
    for (int64_t j = i; j < i + 8 && j < columns; j++) bits |= (unsigned)(pass[j] & 1) << (j - i);
    mask[i / 8] = (uint8_t)bits;
  }
}

// Pruned values become 0, and the gradient mask takes the selection into account.
static void apply_selection(const struct quantizer *quantizer, bool masked, struct blocked_band band,
                            const struct row_arrays *row) {
  enum sparsity_backward backward = quantizer->backward;
  bool by_place = backward == SPARSE_FORWARD;
  bool by_size = backward == SPARSE_RMS || backward == SPARSE_BAND || backward == SPARSE_BAND_SHARE;
  vfloat low = splat(band.low), high = splat(band.high);
  for (int64_t i = 0; i < quantizer->columns; i += LANES) {
    vint keep = load_ints(row->keep + i);
    store(row->y + i, (vfloat)((vint)load(row->y + i) & keep));
    if (!masked) continue;
    vint pass = load_ints(row->pass + i);
    vfloat size = magnitude(load(row->x + i));
    if (by_place) pass &= keep;
    if (by_size) pass &= ~((size >= low) & (size < high));
    // What is pruned has the represented value 0: the estimator's condition is |x| <= limit, done by the caller.
    store_ints(row->pass + i, pass);
  }
}

static void quantize_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct quantize_call *call = argument;
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns;
  struct row_arrays row = row_arrays(call->scratch + worker * quantize_scratch(columns), columns);
  bool masked = call->mask != NULL, sparse = quantizer->sparsity != SPARSITY_NONE;
  bool conditions = masked && quantizer->limit < INFINITY && quantizer->grid != GRID_NONE;
  bool random = quantizer->grid == GRID_NOISE || (quantizer->rounding != ROUND_NEAREST && quantizer->grid != GRID_NONE);
  bool squares = quantizer->unit == SCALE_PER_SQUARE, corrected = quantizer->rounding == ROUND_EDEN;
  int64_t unit = squares || quantizer->unit == SCALE_PER_GROUP ? quantizer->group : columns;
  int64_t blocks = (columns + 63) / 64, band = -1;
  // Scales of a band of squares, for all its rows, and those that are to be corrected: where nothing else is.
  float *scales = squares ? (float *)row.words : (float *)row.keep;
  for (int64_t number = begin; number < end; number++) {
    const struct tensor_statistics *statistics = call->statistics;
    if (statistics) statistics += window_of_row(&call->windows, number);
    load_row(row.x, call->from_dtype, call->from, number * columns, columns);
    if (quantizer->hadamard_block > 1 && !call->transformed) {
      if (call->signs) apply_signs(row.x, call->signs, columns);
      hadamard_row(row.x, columns, quantizer->hadamard_block);
    }
    struct blocked_band blocked = {0, 0};
    if (sparse) blocked = select_row(call, &row, number);
    if (random)
      random_words_pass(call->place.seed, quantizer->grid == GRID_NOISE ? RANDOM_STREAM_NOISE : RANDOM_STREAM_ROUNDING,
                        call->place.step,
                        (call->place.tensor << 40) +
                            (uint64_t)((call->place.first_row + row_number(&call->windows, number)) * blocks * 16),
                        blocks, row.words);
    if (masked && !conditions)
      for (int64_t i = 0; i < columns; i++) row.pass[i] = -1;
    if (quantizer->grid == GRID_NONE) {
      memcpy(row.y, row.x, (size_t)columns * sizeof *row.y);
    } else {
      for (int64_t at = 0; at < columns; at += unit) {
        int64_t stop = at + unit < columns ? at + unit : columns;
        if (squares && band != number / SQUARE)
          scales[at / unit] = square_scale(call, statistics, number / SQUARE * SQUARE, at);
        float scale = squares ? scales[at / unit] : range_scale(quantizer, statistics, &row, at, stop, 1);
        if (corrected) scales[at / unit] = scale;
        round_unit(quantizer, conditions, scale, &row, at, stop);
        if (conditions && sparse && quantizer->backward == SPARSE_TRUST)
          for (int64_t i = at; i < stop; i++)
            if (!row.keep[i])
              row.pass[i] = fabsf(row.x[i] - quantizer->center * scale) <= quantizer->limit * scale ? -1 : 0;
      }
      band = number / SQUARE;
      if (corrected) correct_scales(quantizer, statistics, &row, scales);
    }
    if (sparse) apply_selection(quantizer, masked, blocked, &row);
    store_row(row.y, call->to_dtype, call->to, number * columns, columns);
    if (masked) pack_mask(row.pass, call->mask + number * mask_stride(columns), columns);
  }
}

static void statistics_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct statistics_call *call = argument;
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns;
  float *x = call->scratch + worker * quantize_scratch(columns);
  for (int64_t number = begin; number < end; number++) {
    load_row(x, call->from_dtype, call->from, number * columns, columns);
    if (quantizer->hadamard_block > 1 && !call->transformed) {
      if (call->signs) apply_signs(x, call->signs, columns);
      hadamard_row(x, columns, quantizer->hadamard_block);
    }
    call->row_absmax[number] = range_absmax(x, columns);
    call->row_squares[number] = range_squares(x, columns);
  }
}

static void scales_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct scales_call *call = argument;
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns, units = quantizer_scale_units(quantizer);
  int64_t unit = quantizer->unit == SCALE_PER_GROUP ? quantizer->group : columns;
  struct row_arrays row = row_arrays(call->scratch + worker * quantize_scratch(columns), columns);
  for (int64_t number = begin; number < end; number++) {
    load_row(row.x, DTYPE_FLOAT32, call->from, number * columns, columns);
    for (int64_t i = 0; i < units; i++) {
      int64_t at = i * unit, stop = at + unit < columns ? at + unit : columns;
      call->scales[number * units + i] = range_scale(quantizer, call->statistics, &row, at, stop, call->shrink);
    }
  }
}

static void learned_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct learned_call *call = argument;
  const struct quantizer *quantizer = call->quantizer;
  int64_t columns = quantizer->columns;
  struct row_arrays row = row_arrays(call->scratch + worker * quantize_scratch(columns), columns);
  struct tensor_statistics statistics = {.learned = call->scale};
  for (int64_t number = begin; number < end; number++) {
    load_row(row.x, call->from_dtype, call->from, number * columns, columns);
    if (quantizer->hadamard_block > 1) hadamard_row(row.x, columns, quantizer->hadamard_block);
    float scale = range_scale(quantizer, &statistics, &row, 0, columns, 1);
    round_unit(quantizer, false, scale, &row, 0, columns);
    float *gradient = (float *)row.keep;
    load_row(gradient, call->gradient_dtype, call->gradient, number * columns, columns);
    // What lies behind the row is 0, and so is its gradient.
    vfloat inverse = splat(1 / scale), low = splat(quantizer->low), high = splat(quantizer->high), sum = {0};
    vfloat least = splat(quantizer->learned_low), most = splat(quantizer->learned_high);
    for (int64_t i = 0; i < columns; i += LANES) {
      vfloat z = load(row.x + i) * inverse, inside = load(row.y + i) * inverse - z;
      vfloat slope = select_lanes(z < least, low, select_lanes(z > most, high, inside));
      sum = fma_add(load(gradient + i), slope, sum);
    }
    call->row_sums[number] = (double)lane_sum(sum);
  }
}
