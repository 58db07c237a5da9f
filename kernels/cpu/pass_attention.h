// Causal attention, forward and backward, a tile of queries against a block of keys at a time: scores live only in
// per-worker scratch that fits in L2. The forward pass keeps a running maximum and sum per query (Milakov & Gimelshein
// 2018; Dao et al. 2022); the backward pass rebuilds the probabilities from the saved log-sums.
// Shapes: q, d_q [sequences, heads, context, head_dim], k and v likewise with kv_heads; o, d_o [rows, heads *
// head_dim]; log_sum [sequences, heads, context] float32.
#pragma once
#include <math.h>

#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/tile.h"

#define QUERY_TILE 48
#define KEY_BLOCK 256

// Scores are computed for whole vectors: packed keys are padded, and so is a row of scores.
INLINE int64_t round_to_lanes(int64_t count) { return (count + LANES - 1) / LANES * LANES; }
static int64_t round_to_panel(int64_t count) { return (count + PANEL - 1) / PANEL * PANEL; }

static int64_t attention_scratch_floats(const struct attention *shape, bool backward) {
  int64_t context = shape->context, dim = shape->head_dim;
  int64_t tiles = QUERY_TILE * dim * (backward ? 3 : 2) + QUERY_TILE * KEY_BLOCK * (backward ? 2 : 1) + 2 * QUERY_TILE;
  int64_t packed = round_to_panel(context) * dim * (backward ? 2 : 1);
  int64_t widened = shape->dtype == DTYPE_FLOAT32 ? 0 : context * dim * (backward ? 4 : 2);
  return (tiles + packed + widened + 15 + 16 * 12) / 16 * 16;  // every piece starts on a cache line
}

static float *carve(float **scratch, int64_t count) {
  float *piece = *scratch;
  *scratch += (count + 15) / 16 * 16;
  return piece;
}

// `count` elements from `index` on as floats: the array itself, or a copy in `widened`.
INLINE const float *as_floats(enum dtype dtype, const void *array, int64_t index, int64_t count, float *widened) {
  if (dtype == DTYPE_FLOAT32) return (const float *)array + index;
  for (int64_t i = 0; i < count; i += LANES)
    store_as_part(DTYPE_FLOAT32, widened, i, load_as_part(dtype, array, index + i, count - i), count - i);
  return widened;
}

// One row of scores, of which `valid` count and the rest up to `n` become 0: exponentials less `maximum`; their sum.
INLINE float exponentials(float *row, int64_t valid, int64_t n, float maximum) {
  vfloat sum = {0}, top = splat(maximum);
  int64_t i = 0;
  for (; i + LANES <= valid; i += LANES) {
    vfloat e = vector_exp(load(row + i) - top);
    store(row + i, e);
    sum += e;
  }
  if (i < valid) {
    vfloat e = vector_exp(load_part(row + i, valid - i) - top);
    store_part(row + i, e, valid - i);
    for (int64_t lane = 0; lane < valid - i; lane++) sum[lane] += e[lane];
  }
  for (int64_t j = valid; j < n; j++) row[j] = 0;
  return lane_sum(sum);
}

INLINE float row_maximum(const float *row, int64_t count) {
  vfloat maximum = splat(-INFINITY);
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) maximum = vector_max(load(row + i), maximum);
  float result = lane_max(maximum);
  for (; i < count; i++) result = row[i] > result ? row[i] : result;
  return result;
}

// rows of q times 1 / sqrt(head_dim), as floats.
INLINE void scaled_queries(enum dtype dtype, const void *q, int64_t index, int64_t count, float scale, float *to) {
  for (int64_t i = 0; i < count; i += LANES)
    store_as_part(DTYPE_FLOAT32, to, i, load_as_part(dtype, q, index + i, count - i) * splat(scale), count - i);
}

INLINE void attention_forward_head(const struct attention_call *call, enum dtype dtype, int64_t item, float *scratch) {
  const struct attention *shape = &call->shape;
  int64_t context = shape->context, dim = shape->head_dim, heads = shape->heads;
  int64_t sequence = item / heads, head = item % heads;
  int64_t kv_index = (sequence * shape->kv_heads + head / (heads / shape->kv_heads)) * context * dim;
  float scale = 1 / sqrtf((float)dim);
  float *queries = carve(&scratch, QUERY_TILE * dim), *output = carve(&scratch, QUERY_TILE * dim);
  float *scores = carve(&scratch, QUERY_TILE * KEY_BLOCK);
  float *maxima = carve(&scratch, QUERY_TILE), *sums = carve(&scratch, QUERY_TILE);
  float *keys = carve(&scratch, round_to_panel(context) * dim);
  int64_t widened = dtype == DTYPE_FLOAT32 ? 0 : context * dim;
  pack_transposed(as_floats(dtype, call->k, kv_index, context * dim, carve(&scratch, widened)), context, dim, keys);
  const float *values = as_floats(dtype, call->v, kv_index, context * dim, carve(&scratch, widened));

  for (int64_t first = 0; first < context; first += QUERY_TILE) {
    int64_t rows = context - first < QUERY_TILE ? context - first : QUERY_TILE;
    scaled_queries(dtype, call->q, (item * context + first) * dim, rows * dim, scale, queries);
    for (int64_t row = 0; row < rows; row++) {
      maxima[row] = -INFINITY;
      sums[row] = 0;
    }
    for (int64_t block = 0; block < first + rows; block += KEY_BLOCK) {
      int64_t n = first + rows - block < KEY_BLOCK ? first + rows - block : KEY_BLOCK, diagonal = first - block;
      tile_product(&(struct tile){.m = rows,
                                  .n = round_to_lanes(n),
                                  .k = dim,
                                  .a = queries,
                                  .a_row = dim,
                                  .a_k = 1,
                                  .b = keys + block * dim,
                                  .b_row = PANEL,
                                  .b_panel = PANEL * dim,
                                  .c = scores,
                                  .c_row = KEY_BLOCK,
                                  .causal = CAUSAL_COLUMNS,
                                  .diagonal = diagonal});
      for (int64_t row = 0; row < rows; row++) {
        float *s = scores + row * KEY_BLOCK;
        int64_t valid = row + diagonal + 1 < n ? row + diagonal + 1 : n;
        if (valid <= 0) {
          memset(s, 0, (size_t)n * sizeof(float));
          continue;
        }
        float top = row_maximum(s, valid);
        if (top > maxima[row]) {
          if (block > 0) {
            float factor = expf(maxima[row] - top);
            sums[row] *= factor;
            for (int64_t d = 0; d < dim; d++) output[row * dim + d] *= factor;
          }
          maxima[row] = top;
        }
        sums[row] += exponentials(s, valid, n, maxima[row]);
      }
      tile_product(&(struct tile){.m = rows,
                                  .n = dim,
                                  .k = n,
                                  .a = scores,
                                  .a_row = KEY_BLOCK,
                                  .a_k = 1,
                                  .b = values + block * dim,
                                  .b_row = dim,
                                  .b_panel = PANEL,
                                  .c = output,
                                  .c_row = dim,
                                  .accumulate = block > 0,
                                  .causal = CAUSAL_SUM_END,
                                  .diagonal = diagonal});
    }
    for (int64_t row = 0; row < rows; row++) {
      int64_t position = first + row, to = ((sequence * context + position) * heads + head) * dim;
      vfloat factor = splat(1 / sums[row]);
      for (int64_t d = 0; d < dim; d += LANES)
        store_as_part(dtype, call->o, to + d, load_as_part(DTYPE_FLOAT32, output, row * dim + d, dim - d) * factor,
                      dim - d);
      call->log_sum[item * context + position] = maxima[row] + logf(sums[row]);
    }
  }
}

static void attention_forward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct attention_call *call = argument;
  float *scratch = call->scratch + worker * call->scratch_floats;
  for (int64_t item = begin; item < end; item++)
    if (call->shape.dtype == DTYPE_FLOAT32)
      attention_forward_head(call, DTYPE_FLOAT32, item, scratch);
    else
      attention_forward_head(call, DTYPE_BFLOAT16, item, scratch);
}

// With P = exp(S - log_sum), dP = dO V^T and D = rowsum(dO o):  dS = P (dP - D);  dV = P^T dO, dQ = dS K scale,
// dK = dS^T Q scale. One item is a key head with all the query heads that read it.
INLINE void attention_backward_head(const struct attention_call *call, enum dtype dtype, int64_t item, float *scratch) {
  const struct attention *shape = &call->shape;
  int64_t context = shape->context, dim = shape->head_dim, heads = shape->heads, group = heads / shape->kv_heads;
  int64_t sequence = item / shape->kv_heads, kv_index = item * context * dim;
  float scale = 1 / sqrtf((float)dim);
  bool widen = dtype != DTYPE_FLOAT32;
  float *queries = carve(&scratch, QUERY_TILE * dim), *d_output = carve(&scratch, QUERY_TILE * dim);
  float *d_queries = carve(&scratch, QUERY_TILE * dim);
  float *scores = carve(&scratch, QUERY_TILE * KEY_BLOCK), *d_scores = carve(&scratch, QUERY_TILE * KEY_BLOCK);
  float *dots = carve(&scratch, QUERY_TILE);
  float *keys_packed = carve(&scratch, round_to_panel(context) * dim);
  float *values_packed = carve(&scratch, round_to_panel(context) * dim);
  int64_t widened = widen ? context * dim : 0;
  const float *keys = as_floats(dtype, call->k, kv_index, context * dim, carve(&scratch, widened));
  const float *values = as_floats(dtype, call->v, kv_index, context * dim, carve(&scratch, widened));
  float *d_keys = widen ? carve(&scratch, widened) : (float *)call->d_k + kv_index;
  float *d_values = widen ? carve(&scratch, widened) : (float *)call->d_v + kv_index;
  pack_transposed(keys, context, dim, keys_packed);
  pack_transposed(values, context, dim, values_packed);
  memset(d_keys, 0, (size_t)(context * dim) * sizeof(float));
  memset(d_values, 0, (size_t)(context * dim) * sizeof(float));

  for (int64_t member = 0; member < group; member++) {
    int64_t head = item % shape->kv_heads * group + member, q_item = sequence * heads + head;
    for (int64_t first = 0; first < context; first += QUERY_TILE) {
      int64_t rows = context - first < QUERY_TILE ? context - first : QUERY_TILE;
      int64_t q_index = (q_item * context + first) * dim;
      scaled_queries(dtype, call->q, q_index, rows * dim, scale, queries);
      for (int64_t row = 0; row < rows; row++) {
        int64_t from = ((sequence * context + first + row) * heads + head) * dim;
        vfloat dot = {0};
        for (int64_t d = 0; d < dim; d += LANES) {
          vfloat d_o = load_as_part(dtype, call->d_o, from + d, dim - d);
          dot = fma_add(d_o, load_as_part(dtype, call->o, from + d, dim - d), dot);
          store_as_part(DTYPE_FLOAT32, d_output, row * dim + d, d_o, dim - d);
        }
        dots[row] = lane_sum(dot);
      }
      for (int64_t block = 0; block < first + rows; block += KEY_BLOCK) {
        int64_t n = first + rows - block < KEY_BLOCK ? first + rows - block : KEY_BLOCK, diagonal = first - block;
        struct tile tile = {.m = rows,
                            .n = round_to_lanes(n),
                            .k = dim,
                            .a = queries,
                            .a_row = dim,
                            .a_k = 1,
                            .b = keys_packed + block * dim,
                            .b_row = PANEL,
                            .b_panel = PANEL * dim,
                            .c = scores,
                            .c_row = KEY_BLOCK,
                            .causal = CAUSAL_COLUMNS,
                            .diagonal = diagonal};
        tile_product(&tile);
        tile.a = d_output;
        tile.b = values_packed + block * dim;
        tile.c = d_scores;
        tile_product(&tile);
        for (int64_t row = 0; row < rows; row++) {
          float *p = scores + row * KEY_BLOCK, *d_s = d_scores + row * KEY_BLOCK;
          int64_t valid = row + diagonal + 1 < n ? row + diagonal + 1 : n;
          vfloat log_sum = splat(call->log_sum[q_item * context + first + row]), dot = splat(dots[row]);
          int64_t j = 0;
          for (; j < valid; j += LANES) {
            int64_t count = valid - j;
            vfloat probability = vector_exp(load_as_part(DTYPE_FLOAT32, p, j, count) - log_sum);
            vfloat d = probability * (load_as_part(DTYPE_FLOAT32, d_s, j, count) - dot);
            store_as_part(DTYPE_FLOAT32, p, j, probability, count);
            store_as_part(DTYPE_FLOAT32, d_s, j, d, count);
          }
          for (j = valid > 0 ? valid : 0; j < n; j++) p[j] = d_s[j] = 0;
        }
        tile_product(&(struct tile){.m = n,
                                    .n = dim,
                                    .k = rows,
                                    .a = scores,
                                    .a_row = 1,
                                    .a_k = KEY_BLOCK,
                                    .b = d_output,
                                    .b_row = dim,
                                    .b_panel = PANEL,
                                    .c = d_values + block * dim,
                                    .c_row = dim,
                                    .accumulate = true,
                                    .causal = CAUSAL_SUM_BEGIN,
                                    .diagonal = diagonal});
        tile_product(&(struct tile){.m = n,
                                    .n = dim,
                                    .k = rows,
                                    .a = d_scores,
                                    .a_row = 1,
                                    .a_k = KEY_BLOCK,
                                    .b = queries,
                                    .b_row = dim,
                                    .b_panel = PANEL,
                                    .c = d_keys + block * dim,
                                    .c_row = dim,
                                    .accumulate = true,
                                    .causal = CAUSAL_SUM_BEGIN,
                                    .diagonal = diagonal});
        tile_product(&(struct tile){.m = rows,
                                    .n = dim,
                                    .k = n,
                                    .a = d_scores,
                                    .a_row = KEY_BLOCK,
                                    .a_k = 1,
                                    .b = keys + block * dim,
                                    .b_row = dim,
                                    .b_panel = PANEL,
                                    .c = d_queries,
                                    .c_row = dim,
                                    .accumulate = block > 0,
                                    .causal = CAUSAL_SUM_END,
                                    .diagonal = diagonal});
      }
      for (int64_t i = 0; i < rows * dim; i += LANES)
        store_as_part(dtype, call->d_q, q_index + i,
                      load_as_part(DTYPE_FLOAT32, d_queries, i, rows * dim - i) * splat(scale), rows * dim - i);
    }
  }
  if (!widen) return;
  for (int64_t i = 0; i < context * dim; i += LANES) {
    int64_t count = context * dim - i;
    store_as_part(dtype, call->d_k, kv_index + i, load_as_part(DTYPE_FLOAT32, d_keys, i, count), count);
    store_as_part(dtype, call->d_v, kv_index + i, load_as_part(DTYPE_FLOAT32, d_values, i, count), count);
  }
}

static void attention_backward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct attention_call *call = argument;
  float *scratch = call->scratch + worker * call->scratch_floats;
  for (int64_t item = begin; item < end; item++)
    if (call->shape.dtype == DTYPE_FLOAT32)
      attention_backward_head(call, DTYPE_FLOAT32, item, scratch);
    else
      attention_backward_head(call, DTYPE_BFLOAT16, item, scratch);
}
