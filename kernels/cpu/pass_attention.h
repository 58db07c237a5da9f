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

// A tile of queries against a block of keys: queries [first, first + rows), keys [block, block + n), of which query
// `row` of the tile sees those up to row + diagonal.
struct attention_block {
  int64_t first, rows, block, n, diagonal;
};

INLINE struct attention_block attention_block_at(int64_t first, int64_t rows, int64_t block) {
  int64_t left = first + rows - block;
  return (struct attention_block){first, rows, block, left < KEY_BLOCK ? left : KEY_BLOCK, first - block};
}

// The same where every query sees all of the `keys`.
INLINE struct attention_block whole_block_at(int64_t rows, int64_t block, int64_t keys) {
  return (struct attention_block){keys, rows, block, keys - block < KEY_BLOCK ? keys - block : KEY_BLOCK, keys - block};
}

// How many keys of the block query `row` of the tile sees; 0 or less: none.
INLINE int64_t keys_seen(const struct attention_block *at, int64_t row) {
  return row + at->diagonal + 1 < at->n ? row + at->diagonal + 1 : at->n;
}

// scores [rows, KEY_BLOCK] = a tile's rows [rows, dim] against the block's of `packed`, up to the diagonal.
INLINE void block_scores(const struct attention_block *at, int64_t dim, const float *from, const float *packed,
                         float *scores) {
  tile_product(&(struct tile){.m = at->rows,
                              .n = round_to_lanes(at->n),
                              .k = dim,
                              .a = from,
                              .a_row = dim,
                              .a_k = 1,
                              .b = packed + at->block * dim,
                              .b_row = PANEL,
                              .b_panel = PANEL * dim,
                              .c = scores,
                              .c_row = KEY_BLOCK,
                              .causal = CAUSAL_COLUMNS,
                              .diagonal = at->diagonal});
}

// to [rows, dim] = scores times the block's rows of `from`; the blocks after the first add.
INLINE void block_over_keys(const struct attention_block *at, int64_t dim, const float *scores, const float *from,
                            float *to) {
  tile_product(&(struct tile){.m = at->rows,
                              .n = dim,
                              .k = at->n,
                              .a = scores,
                              .a_row = KEY_BLOCK,
                              .a_k = 1,
                              .b = from + at->block * dim,
                              .b_row = dim,
                              .b_panel = PANEL,
                              .c = to,
                              .c_row = dim,
                              .accumulate = at->block > 0,
                              .causal = CAUSAL_SUM_END,
                              .diagonal = at->diagonal});
}

// The block's rows of `to` += transposed scores times a tile's rows [rows, dim].
INLINE void block_over_queries(const struct attention_block *at, int64_t dim, const float *scores, const float *from,
                               float *to) {
  tile_product(&(struct tile){.m = at->n,
                              .n = dim,
                              .k = at->rows,
                              .a = scores,
                              .a_row = 1,
                              .a_k = KEY_BLOCK,
                              .b = from,
                              .b_row = dim,
                              .b_panel = PANEL,
                              .c = to + at->block * dim,
                              .c_row = dim,
                              .accumulate = true,
                              .causal = CAUSAL_SUM_BEGIN,
                              .diagonal = at->diagonal});
}

// ---- forward ----

// The scratch of one query head.
struct attention_forward_scratch {
  float *queries, *output;  // [QUERY_TILE, dim]
  float *scores;            // [QUERY_TILE, KEY_BLOCK]
  float *maxima, *sums;     // [QUERY_TILE]
};

// Scores of a block to exponentials less the running maximum; where that grows, the sum and the output so far shrink.
INLINE void forward_exponentials(const struct attention_block *at, int64_t dim,
                                 const struct attention_forward_scratch *in) {
  for (int64_t row = 0; row < at->rows; row++) {
    float *s = in->scores + row * KEY_BLOCK;
    int64_t valid = keys_seen(at, row);
    if (valid <= 0) {
      memset(s, 0, (size_t)at->n * sizeof(float));
      continue;
    }
    float top = row_maximum(s, valid);
    if (top > in->maxima[row]) {
      if (at->block > 0) {
        float factor = expf(in->maxima[row] - top);
        in->sums[row] *= factor;
        for (int64_t d = 0; d < dim; d++) in->output[row * dim + d] *= factor;
      }
      in->maxima[row] = top;
    }
    in->sums[row] += exponentials(s, valid, at->n, in->maxima[row]);
  }
}

// Outputs of a tile of queries divided by their sums, and the log-sums; `first` counts the call's queries.
INLINE void forward_results(const struct attention_call *call, enum dtype dtype, int64_t item, int64_t first,
                            int64_t rows, const struct attention_forward_scratch *in) {
  int64_t context = call->shape.context, dim = call->shape.head_dim, heads = call->shape.heads;
  for (int64_t row = 0; row < rows; row++) {
    int64_t position = first + row, to = ((item / heads * context + position) * heads + item % heads) * dim;
    float *log_sum = &call->log_sum[item * context + position], here = in->maxima[row] + logf(in->sums[row]);
    float share = 1, other = 0;  // of what is here and of what was there, by the sums of their exponentials
    if (call->cache.merge) {
      float both = (here > *log_sum ? here : *log_sum) + log1pf(expf(-fabsf(here - *log_sum)));
      share = expf(here - both);
      other = expf(*log_sum - both);
      here = both;
    }
    vfloat factor = splat(share / in->sums[row]), kept = splat(other);
    for (int64_t d = 0; d < dim; d += LANES) {
      vfloat value = load_as_part(DTYPE_FLOAT32, in->output, row * dim + d, dim - d) * factor;
      if (call->cache.merge) value += load_as_part(dtype, call->o, to + d, dim - d) * kept;
      store_as_part(dtype, call->o, to + d, value, dim - d);
    }
    *log_sum = here;
  }
}

// One item is a query head of a sequence.
INLINE void attention_forward_head(const struct attention_call *call, enum dtype dtype, int64_t item, float *scratch) {
  const struct attention *shape = &call->shape;
  const struct attention_cache *cache = &call->cache;
  int64_t context = shape->context, keys_there = cache->keys, dim = shape->head_dim, heads = shape->heads;
  int64_t sequence = item / heads, head = item % heads, earlier = keys_there - context;
  int64_t kv_index = (sequence * shape->kv_heads + head / (heads / shape->kv_heads)) * cache->capacity * dim;
  float scale = 1 / sqrtf((float)dim);
  struct attention_forward_scratch in;
  in.queries = carve(&scratch, QUERY_TILE * dim);
  in.output = carve(&scratch, QUERY_TILE * dim);
  in.scores = carve(&scratch, QUERY_TILE * KEY_BLOCK);
  in.maxima = carve(&scratch, QUERY_TILE);
  in.sums = carve(&scratch, QUERY_TILE);
  float *keys = carve(&scratch, round_to_panel(keys_there) * dim);
  int64_t widened = dtype == DTYPE_FLOAT32 ? 0 : keys_there * dim;
  pack_transposed(as_floats(dtype, call->k, kv_index, keys_there * dim, carve(&scratch, widened)), keys_there, dim,
                  keys);
  const float *values = as_floats(dtype, call->v, kv_index, keys_there * dim, carve(&scratch, widened));

  for (int64_t first = 0; first < context; first += QUERY_TILE) {
    int64_t rows = context - first < QUERY_TILE ? context - first : QUERY_TILE;
    scaled_queries(dtype, call->q, (item * context + first) * dim, rows * dim, scale, in.queries);
    for (int64_t row = 0; row < rows; row++) {
      in.maxima[row] = -INFINITY;
      in.sums[row] = 0;
    }
    int64_t seen = cache->all ? keys_there : earlier + first + rows;
    for (int64_t block = 0; block < seen; block += KEY_BLOCK) {
      struct attention_block at =
          cache->all ? whole_block_at(rows, block, keys_there) : attention_block_at(earlier + first, rows, block);
      block_scores(&at, dim, in.queries, keys, in.scores);
      forward_exponentials(&at, dim, &in);
      block_over_keys(&at, dim, in.scores, values, in.output);
    }
    forward_results(call, dtype, item, first, rows, &in);
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

// ---- backward ----
//
// With P = exp(S - log_sum), dP = dO V^T and D = rowsum(dO o):  dS = P (dP - D);  dV = P^T dO, dQ = dS K scale,
// dK = dS^T Q scale. One item is a key head with all the query heads that read it.

// The operands of one key head, most of them scratch.
struct attention_backward_scratch {
  float *queries, *d_output, *d_queries;  // [QUERY_TILE, dim]
  float *scores, *d_scores;               // [QUERY_TILE, KEY_BLOCK]
  float *dots;                            // [QUERY_TILE]: D
  float *keys_packed, *values_packed;     // transposed, in panels
  const float *keys, *values;             // [context, dim]
  float *d_keys, *d_values;               // [context, dim]: the results themselves in float32
};

INLINE struct attention_backward_scratch backward_carved(const struct attention_call *call, enum dtype dtype,
                                                         int64_t item, float *scratch) {
  int64_t context = call->shape.context, dim = call->shape.head_dim, size = context * dim, kv_index = item * size;
  bool widen = dtype != DTYPE_FLOAT32;
  int64_t widened = widen ? size : 0;
  struct attention_backward_scratch in;
  in.queries = carve(&scratch, QUERY_TILE * dim);
  in.d_output = carve(&scratch, QUERY_TILE * dim);
  in.d_queries = carve(&scratch, QUERY_TILE * dim);
  in.scores = carve(&scratch, QUERY_TILE * KEY_BLOCK);
  in.d_scores = carve(&scratch, QUERY_TILE * KEY_BLOCK);
  in.dots = carve(&scratch, QUERY_TILE);
  in.keys_packed = carve(&scratch, round_to_panel(context) * dim);
  in.values_packed = carve(&scratch, round_to_panel(context) * dim);
  in.keys = as_floats(dtype, call->k, kv_index, size, carve(&scratch, widened));
  in.values = as_floats(dtype, call->v, kv_index, size, carve(&scratch, widened));
  in.d_keys = widen ? carve(&scratch, widened) : (float *)call->d_k + kv_index;
  in.d_values = widen ? carve(&scratch, widened) : (float *)call->d_v + kv_index;
  pack_transposed(in.keys, context, dim, in.keys_packed);
  pack_transposed(in.values, context, dim, in.values_packed);
  memset(in.d_keys, 0, (size_t)size * sizeof(float));
  memset(in.d_values, 0, (size_t)size * sizeof(float));
  return in;
}

// dO of a tile of queries as floats, and its dot products with o. `from`: where the head is at the tile's first query.
INLINE void backward_dots(const struct attention_call *call, enum dtype dtype, int64_t from, int64_t rows,
                          const struct attention_backward_scratch *in) {
  int64_t dim = call->shape.head_dim, stride = call->shape.heads * dim;
  for (int64_t row = 0; row < rows; row++, from += stride) {
    vfloat dot = {0};
    for (int64_t d = 0; d < dim; d += LANES) {
      vfloat d_o = load_as_part(dtype, call->d_o, from + d, dim - d);
      dot = fma_add(d_o, load_as_part(dtype, call->o, from + d, dim - d), dot);
      store_as_part(DTYPE_FLOAT32, in->d_output, row * dim + d, d_o, dim - d);
    }
    in->dots[row] = lane_sum(dot);
  }
}

// Scores to probabilities P, and dP to dS; 0 beyond the diagonal. `log_sums`: of the tile's queries.
INLINE void backward_probabilities(const struct attention_block *at, const float *log_sums,
                                   const struct attention_backward_scratch *in) {
  for (int64_t row = 0; row < at->rows; row++) {
    float *p = in->scores + row * KEY_BLOCK, *d_s = in->d_scores + row * KEY_BLOCK;
    int64_t valid = keys_seen(at, row), j = 0;
    vfloat log_sum = splat(log_sums[row]), dot = splat(in->dots[row]);
    for (; j < valid; j += LANES) {
      int64_t count = valid - j;
      vfloat probability = vector_exp(load_as_part(DTYPE_FLOAT32, p, j, count) - log_sum);
      vfloat d = probability * (load_as_part(DTYPE_FLOAT32, d_s, j, count) - dot);
      store_as_part(DTYPE_FLOAT32, p, j, probability, count);
      store_as_part(DTYPE_FLOAT32, d_s, j, d, count);
    }
    for (j = valid > 0 ? valid : 0; j < at->n; j++) p[j] = d_s[j] = 0;
  }
}

// The gradients through one query head, `q_item` of all sequences.
INLINE void backward_queries(const struct attention_call *call, enum dtype dtype, int64_t q_item,
                             const struct attention_backward_scratch *in) {
  int64_t context = call->shape.context, dim = call->shape.head_dim, heads = call->shape.heads;
  float scale = 1 / sqrtf((float)dim);
  for (int64_t first = 0; first < context; first += QUERY_TILE) {
    int64_t rows = context - first < QUERY_TILE ? context - first : QUERY_TILE;
    int64_t q_index = (q_item * context + first) * dim;
    scaled_queries(dtype, call->q, q_index, rows * dim, scale, in->queries);
    backward_dots(call, dtype, ((q_item / heads * context + first) * heads + q_item % heads) * dim, rows, in);
    for (int64_t block = 0; block < first + rows; block += KEY_BLOCK) {
      struct attention_block at = attention_block_at(first, rows, block);
      block_scores(&at, dim, in->queries, in->keys_packed, in->scores);
      block_scores(&at, dim, in->d_output, in->values_packed, in->d_scores);
      backward_probabilities(&at, call->log_sum + q_item * context + first, in);
      block_over_queries(&at, dim, in->scores, in->d_output, in->d_values);
      block_over_queries(&at, dim, in->d_scores, in->queries, in->d_keys);
      block_over_keys(&at, dim, in->d_scores, in->keys, in->d_queries);
    }
    for (int64_t i = 0; i < rows * dim; i += LANES)
      store_as_part(dtype, call->d_q, q_index + i,
                    load_as_part(DTYPE_FLOAT32, in->d_queries, i, rows * dim - i) * splat(scale), rows * dim - i);
  }
}

INLINE void attention_backward_head(const struct attention_call *call, enum dtype dtype, int64_t item, float *scratch) {
  const struct attention *shape = &call->shape;
  int64_t size = shape->context * shape->head_dim, group = shape->heads / shape->kv_heads;
  struct attention_backward_scratch in = backward_carved(call, dtype, item, scratch);
  // The query heads of a key head stand together: those of all key heads before come first.
  for (int64_t member = 0; member < group; member++) backward_queries(call, dtype, item * group + member, &in);
  if (dtype == DTYPE_FLOAT32) return;
  for (int64_t i = 0; i < size; i += LANES) {
    int64_t count = size - i;
    store_as_part(dtype, call->d_k, item * size + i, load_as_part(DTYPE_FLOAT32, in.d_keys, i, count), count);
    store_as_part(dtype, call->d_v, item * size + i, load_as_part(DTYPE_FLOAT32, in.d_values, i, count), count);
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
