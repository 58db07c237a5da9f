// Causal attention with bfloat16 products: the block kernels of bfloat16.h multiply, this file packs for them, masks
// and takes exponentials. Scores and sums are float32; probabilities P and the gradients dS of scores are rounded to
// bfloat16 once, as operands of the products that follow (as in Dao et al. 2022).
//
// Forward, a kernel's block of query rows against all keys up to the diagonal: S = Q K^T, P = exp(S scale - maximum),
// O = P V. Backward, a kernel's block of key rows against all queries from the diagonal on, so that P^T and dS^T are
// made as they are read: S^T = K Q^T, dP^T = V dO^T, dV = P^T dO, dK = dS^T Q; after each group of blocks dS^T is
// turned for dQ += dS K. What lies beyond the diagonal is skipped by 16 columns (32 where the kernel works on tiles).
// Shapes: q, d_q [sequences, heads, context, head_dim], k and v likewise with kv_heads; o, d_o [rows, heads *
// head_dim]; log_sum [sequences, heads, context] float32.
#pragma once
#include <math.h>

#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/rounded.h"

#define SCORE_COLUMNS 256                 // at a time
#define HALF_STRIDE (SCORE_COLUMNS + 32)  // between rows of bfloat16 scores: not on the same sets of the first cache
#define LOG2_E 1.44269504088896341f
#define GROUP_BLOCKS 4  // blocks of keys between two products that add to dQ
#define MOST_ROWS 32    // of a kernel's block: R

// What the work on a head needs; most of it is scratch. Operands that are read as B [k, n] (bfloat16.h) are packed:
// `turned` with k = dim, n = rows, or `plain` with k = rows, n = dim.
struct bfloat16_attention {
  const struct attention_call *call;
  const struct bfloat16_kernel *kernel;
  int64_t context, dim, row;          // row: elements from row to row of A
  int64_t pairs;                      // of a head's dimensions, as the kernel wants them
  int64_t turned_panel, plain_panel;  // elements of a panel
  float scale;
  float *scores;            // [R, SCORE_COLUMNS]
  uint16_t *probabilities;  // [R, HALF_STRIDE]
  // Forward.
  uint16_t *keys_turned, *values_plain;
  uint16_t *filled_queries;  // [R, row] where the kernel works on tiles
  float *output;             // [R, dim]
  // Backward.
  uint16_t *keys_plain, *queries_turned, *queries_plain, *d_output_turned, *d_output_plain;
  uint16_t *filled_keys, *filled_values;  // [context, row] where the kernel works on tiles
  const uint16_t *keys, *values;          // as A
  float *d_probabilities;                 // [R, SCORE_COLUMNS]
  uint16_t *d_scores, *d_scores_turned;   // of a group of blocks
  float *log_sums, *dots;                 // [context], filled up to whole vectors; see backward_operands
  float *d_queries;                       // [context, dim]
  float *d_keys, *d_values;               // the same where sums have several parts
};

INLINE int64_t up_to(int64_t count, int64_t multiple) { return (count + multiple - 1) / multiple * multiple; }
INLINE int64_t fewer(int64_t a, int64_t b) { return a < b ? a : b; }

// The next piece of scratch, on a cache line; only counted where there is no scratch.
INLINE void *piece(char *scratch, int64_t *used, int64_t bytes) {
  void *at = scratch ? scratch + *used : NULL;
  *used += up_to(bytes, 64);
  return at;
}

// Bytes of scratch, and where all is in it (`scratch` may be NULL: then only the size counts).
static int64_t bfloat16_attention_place(struct bfloat16_attention *a, const struct attention *shape,
                                        const struct bfloat16_kernel *kernel, bool backward, char *scratch) {
  int64_t rows = kernel->rows, context = up_to(shape->context, PACK_K), dim = up_to(shape->head_dim, PACK_K), used = 0;
  int64_t packed = context * dim * 2, sums = shape->context * shape->head_dim * 4;
  bool parts = shape->heads > shape->kv_heads || shape->context > SCORE_COLUMNS;
  a->kernel = kernel;
  a->context = shape->context;
  a->dim = shape->head_dim;
  a->scale = 1 / sqrtf((float)shape->head_dim);
  a->pairs = kernel->tiles ? dim / 2 : shape->head_dim / 2;
  a->turned_panel = dim * PANEL_COLUMNS;
  a->plain_panel = context * PANEL_COLUMNS;
  a->row = kernel->tiles ? dim : shape->head_dim;
  a->scores = piece(scratch, &used, rows * SCORE_COLUMNS * 4);
  a->probabilities = piece(scratch, &used, rows * HALF_STRIDE * 2);
  if (!backward) {
    a->keys_turned = piece(scratch, &used, packed);
    a->values_plain = piece(scratch, &used, packed);
    a->output = piece(scratch, &used, rows * shape->head_dim * 4);
    a->filled_queries = piece(scratch, &used, kernel->tiles ? rows * dim * 2 : 0);
    return used;
  }
  a->d_probabilities = piece(scratch, &used, rows * SCORE_COLUMNS * 4);
  a->d_scores = piece(scratch, &used, GROUP_BLOCKS * rows * HALF_STRIDE * 2);
  a->d_scores_turned = piece(scratch, &used, up_to(SCORE_COLUMNS, rows) * up_to(GROUP_BLOCKS * rows, PACK_K) * 2);
  a->keys_plain = piece(scratch, &used, packed);
  a->queries_turned = piece(scratch, &used, packed);
  a->queries_plain = piece(scratch, &used, packed);
  a->d_output_turned = piece(scratch, &used, packed);
  a->d_output_plain = piece(scratch, &used, packed);
  a->filled_keys = piece(scratch, &used, kernel->tiles ? packed : 0);
  a->filled_values = piece(scratch, &used, kernel->tiles ? packed : 0);
  a->log_sums = piece(scratch, &used, context * 4);
  a->dots = piece(scratch, &used, context * 4);
  a->d_queries = piece(scratch, &used, sums);
  a->d_keys = piece(scratch, &used, parts ? sums : 0);
  a->d_values = piece(scratch, &used, parts ? sums : 0);
  return used;
}

static int64_t attention_bfloat16_scratch_floats(const struct attention *shape, const struct bfloat16_kernel *kernel,
                                                 bool backward) {
  struct bfloat16_attention attention;
  return bfloat16_attention_place(&attention, shape, kernel, backward, NULL) / 4;
}

// A head's rows, `stride` elements apart, as B.
INLINE void pack_turned(const struct bfloat16_attention *a, const uint16_t *from, int64_t stride, uint16_t *to) {
  a->call->packing->panels(true, a->dim, a->turned_panel / PANEL_COLUMNS / 2, a->context, from, stride, a->turned_panel,
                           to);
}

INLINE void pack_plain(const struct bfloat16_attention *a, const uint16_t *from, int64_t stride, uint16_t *to) {
  a->call->packing->panels(false, a->context, a->plain_panel / PANEL_COLUMNS / 2, a->dim, from, stride, a->plain_panel,
                           to);
}

// Rows as A: where they are, or filled up to whole tiles.
INLINE const uint16_t *rows_for_kernel(const struct bfloat16_attention *a, const uint16_t *from, int64_t rows,
                                       uint16_t *filled) {
  if (!a->kernel->tiles) return from;
  memset(filled, 0, (size_t)(up_to(rows, 16) * a->row) * sizeof *filled);
  for (int64_t row = 0; row < rows; row++)
    memcpy(filled + row * a->row, from + row * a->dim, (size_t)a->dim * sizeof *from);
  return filled;
}

// Scores of `rows` rows of A against columns [begin, end) of a turned operand; they go to begin - origin on in `to`.
// Whole vectors of columns are written. begin is a multiple of 16, of 32 where the kernel works on tiles.
INLINE void score_product(const struct bfloat16_attention *a, int64_t rows, const uint16_t *from,
                          const uint16_t *turned, int64_t begin, int64_t end, int64_t origin, float *to) {
  struct bfloat16_block block = {.rows = rows,
                                 .pairs = a->pairs,
                                 .a = (const char *)from,
                                 .a_row = a->row * 2,
                                 .a_pair = 4,
                                 .a_block = a->kernel->rows * a->row * 2,
                                 .b_panel = a->turned_panel,
                                 .c_row = SCORE_COLUMNS,
                                 .out = DTYPE_FLOAT32};
  if (begin % PANEL_COLUMNS) {  // the panel's other half
    block.columns = 16;
    block.b = turned + begin / PANEL_COLUMNS * a->turned_panel + 32;
    block.c = to + begin - origin;
    a->kernel->multiply(&block);
    begin += 16;
  }
  if (begin >= end) return;
  block.columns = up_to(end - begin, 16);
  block.b = turned + begin / PANEL_COLUMNS * a->turned_panel;
  block.c = to + begin - origin;
  a->kernel->multiply(&block);
}

// c [rows, dim] = sums (NULL: 0) + columns [begin, end) of bfloat16 scores times rows from + [begin, end) of a plain
// operand. begin is even, a multiple of 32 where the kernel works on tiles; scores are 0 from end to the next multiple
// of 32.
INLINE void sum_product(const struct bfloat16_attention *a, int64_t rows, const uint16_t *scores, int64_t begin,
                        int64_t end, const uint16_t *plain, int64_t from, const float *sums, enum dtype out, void *c) {
  a->kernel->multiply(
      &(struct bfloat16_block){.rows = rows,
                               .columns = a->dim,
                               .pairs = a->kernel->tiles ? (up_to(end, PACK_K) - begin) / 2 : (end - begin + 1) / 2,
                               .a = (const char *)(scores + begin),
                               .a_row = HALF_STRIDE * 2,
                               .a_pair = 4,
                               .a_block = a->kernel->rows * HALF_STRIDE * 2,
                               .b = plain + (from + begin) * PANEL_COLUMNS,
                               .b_panel = a->plain_panel,
                               .sums = sums,
                               .sums_row = a->dim,
                               .c = c,
                               .c_row = a->dim,
                               .out = out});
}

// Lanes first .. end - 1, all ones; none or all where these are beyond the vector.
INLINE vint lanes_between(int64_t first, int64_t end) {
  vint lanes;
  for (int lane = 0; lane < LANES; lane++) lanes[lane] = lane;
  return (lanes >= (int32_t)first) & (lanes < (int32_t)end);
}

INLINE void store_half(uint16_t *to, vfloat value) { store_as(DTYPE_BFLOAT16, to, 0, value); }

// Asks for rows [begin, end) of what the query head `item` will read, and of o, so that they are in the second cache by
// then: a head's arrays lie too far apart for the CPU to do it by itself.
INLINE void ask_for_rows(const struct bfloat16_attention *a, const void *array, int64_t index, int64_t stride,
                         int64_t begin, int64_t end) {
  const char *row = (const char *)array + (index + begin * stride) * 2;
  for (int64_t i = begin; i < end; i++, row += stride * 2)
    for (int64_t byte = 0; byte < a->dim * 2; byte += 64) __builtin_prefetch(row + byte, 0, 2);
}

INLINE void ask_for_head(const struct bfloat16_attention *a, int64_t item, bool backward, int64_t begin, int64_t end) {
  const struct attention_call *call = a->call;
  int64_t heads = call->shape.heads, group = heads / call->shape.kv_heads, size = a->context * a->dim;
  if (item >= call->shape.sequences * heads) return;
  int64_t output = item / heads * heads * size + item % heads * a->dim;
  ask_for_rows(a, call->q, item * size, a->dim, begin, end);
  if (!backward || item % group == 0) {
    ask_for_rows(a, call->k, item / group * size, a->dim, begin, end);
    ask_for_rows(a, call->v, item / group * size, a->dim, begin, end);
  }
  ask_for_rows(a, call->o, output, heads * a->dim, begin, end);
  if (backward) ask_for_rows(a, call->d_o, output, heads * a->dim, begin, end);
}

// ---- forward ----

INLINE float largest_score(const float *row, int64_t count) {
  vfloat maxima[2] = {splat(-INFINITY), splat(-INFINITY)};
  int64_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES)
    for (int part = 0; part < 2; part++) maxima[part] = vector_max(load(row + i + part * LANES), maxima[part]);
  for (; i < count; i += LANES)
    maxima[0] = vector_max(select_lanes(lanes_between(0, count - i), load(row + i), splat(-INFINITY)), maxima[0]);
  return lane_max(vector_max(maxima[0], maxima[1]));
}

// 2^(scale (s - maximum)) of the first `valid` scores, rounded; zeroes from there to `end`. Returns the sum of what was
// not rounded. The largest score's is 1 whatever its size: scale s - scale maximum would round apart.
INLINE float row_probabilities(const float *row, int64_t valid, int64_t end, float scale, float maximum, uint16_t *to) {
  vfloat sum = {0}, top = splat(maximum), factor = splat(scale);
  int64_t i = 0;
  for (; i + LANES <= valid; i += LANES) {
    vfloat e = rounded_exp2((load(row + i) - top) * factor);
    sum += e;
    store_half(to + i, e);
  }
  for (; i < end; i += LANES) {
    vfloat e = rounded_exp2((load(row + i) - top) * factor);
    e = (vfloat)((vint)e & lanes_between(0, valid - i));
    sum += e;
    store_half(to + i, e);
  }
  return lane_sum(sum);
}

static void attention_bfloat16_forward_head(const struct attention_call *call, int64_t item, char *scratch) {
  const struct attention *shape = &call->shape;
  struct bfloat16_attention a = {.call = call};
  bfloat16_attention_place(&a, shape, call->kernel, false, scratch);
  int64_t context = a.context, dim = a.dim, heads = shape->heads, most = a.kernel->rows;
  int64_t sequence = item / heads, head = item % heads;
  int64_t kv_index = (sequence * shape->kv_heads + head / (heads / shape->kv_heads)) * context * dim;
  float scale = a.scale * LOG2_E, maxima[MOST_ROWS], sums[MOST_ROWS] = {0};
  pack_turned(&a, (const uint16_t *)call->k + kv_index, dim, a.keys_turned);
  pack_plain(&a, (const uint16_t *)call->v + kv_index, dim, a.values_plain);

  for (int64_t first = 0; first < context; first += most) {
    int64_t rows = fewer(most, context - first), end = first + rows;
    ask_for_head(&a, item + 1, false, first, end);
    const uint16_t *queries =
        rows_for_kernel(&a, (const uint16_t *)call->q + (item * context + first) * dim, rows, a.filled_queries);
    for (int64_t block = 0; block < end; block += SCORE_COLUMNS) {
      int64_t n = fewer(SCORE_COLUMNS, end - block);
      score_product(&a, rows, queries, a.keys_turned, block, block + n, block, a.scores);
      for (int64_t row = 0; row < rows; row++) {
        const float *s = a.scores + row * SCORE_COLUMNS;
        int64_t valid = fewer(first + row + 1 - block, n);
        if (valid < 0) valid = 0;
        float top = largest_score(s, valid);
        if (block == 0) {
          maxima[row] = top;
          sums[row] = 0;
        } else if (top > maxima[row]) {
          float factor = exp2f((maxima[row] - top) * scale);
          sums[row] *= factor;
          for (int64_t d = 0; d < dim; d++) a.output[row * dim + d] *= factor;
          maxima[row] = top;
        }
        sums[row] +=
            row_probabilities(s, valid, up_to(n, PACK_K), scale, maxima[row], a.probabilities + row * HALF_STRIDE);
      }
      sum_product(&a, rows, a.probabilities, 0, n, a.values_plain, block, block > 0 ? a.output : NULL, DTYPE_FLOAT32,
                  a.output);
    }
    for (int64_t row = 0; row < rows; row++) {
      int64_t position = first + row, to = ((sequence * context + position) * heads + head) * dim;
      vfloat factor = splat(1 / sums[row]);
      for (int64_t d = 0; d < dim; d += LANES)
        store_as_part(DTYPE_BFLOAT16, call->o, to + d,
                      load_as_part(DTYPE_FLOAT32, a.output, row * dim + d, dim - d) * factor, dim - d);
      call->log_sum[item * context + position] = maxima[row] * a.scale + logf(sums[row]);
    }
  }
}

static void attention_bfloat16_forward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct attention_call *call = argument;
  float *scratch = call->scratch + worker * call->scratch_floats;
  for (int64_t item = begin; item < end; item++) attention_bfloat16_forward_head(call, item, (char *)scratch);
}

// ---- backward ----

// The head's packed operands, and of each query what key_gradients adds: -log_sum in powers of 2, and -scale times the
// dot product of dO and o.
static void backward_operands(const struct bfloat16_attention *a, int64_t item) {
  const struct attention_call *call = a->call;
  int64_t heads = call->shape.heads, dim = a->dim, context = a->context;
  int64_t first = (item / heads * context * heads + item % heads) * dim;
  const uint16_t *queries = (const uint16_t *)call->q + item * context * dim;
  const uint16_t *d_output = (const uint16_t *)call->d_o + first, *output = (const uint16_t *)call->o + first;
  pack_turned(a, queries, dim, a->queries_turned);
  pack_plain(a, queries, dim, a->queries_plain);
  pack_turned(a, d_output, heads * dim, a->d_output_turned);
  pack_plain(a, d_output, heads * dim, a->d_output_plain);
  for (int64_t row = 0; row < up_to(context, LANES); row++) {
    vfloat dot = {0};
    for (int64_t d = 0; d < dim && row < context; d += LANES)
      dot = fma_add(load_as_part(DTYPE_BFLOAT16, d_output, row * heads * dim + d, dim - d),
                    load_as_part(DTYPE_BFLOAT16, output, row * heads * dim + d, dim - d), dot);
    a->dots[row] = -a->scale * lane_sum(dot);
    a->log_sums[row] = row < context ? -call->log_sum[item * context + row] * LOG2_E : 0;
  }
}

// One key's P^T and dS^T for queries origin + [begin, end), the first of them that sees the key being origin + valid;
// zeroes where none does, of dS^T from the row's start, and from `end` to a multiple of 32.
INLINE void key_gradients(const struct bfloat16_attention *a, const float *scores, const float *d_probabilities,
                          int64_t origin, int64_t begin, int64_t valid, int64_t end, uint16_t *to, uint16_t *d_to) {
  const float *log_sums = a->log_sums + origin, *dots = a->dots + origin;
  const vfloat factor = splat(a->scale), exponent = splat(a->scale * LOG2_E);
  for (int64_t i = 0; i < begin; i += LANES) store_half(d_to + i, splat(0));
  int64_t i = begin;
  for (; i < up_to(end, LANES); i += LANES) {
    vfloat p = rounded_exp2(fma_add(load(scores + i), exponent, load(log_sums + i)));
    vfloat d = p * fma_add(load(d_probabilities + i), factor, load(dots + i));
    if (i < valid || i + LANES > end) {
      vint seen = lanes_between(valid - i, end - i);
      p = (vfloat)((vint)p & seen);
      d = (vfloat)((vint)d & seen);
    }
    store_half(to + i, p);
    store_half(d_to + i, d);
  }
  for (; i < up_to(end, PACK_K); i += LANES) {
    store_half(to + i, splat(0));
    store_half(d_to + i, splat(0));
  }
}

// dQ of queries origin + [0, n) += dS K over the keys [group, group + keys).
INLINE void add_query_gradients(const struct bfloat16_attention *a, int64_t origin, int64_t n, int64_t group,
                                int64_t keys) {
  int64_t rows = a->kernel->rows, step = a->kernel->tiles ? PACK_K : 2, pairs = up_to(keys, step) / 2;
  struct bfloat16_block block = {.columns = a->dim,
                                 .b = a->keys_plain + group * PANEL_COLUMNS,
                                 .b_panel = a->plain_panel,
                                 .sums_row = a->dim,
                                 .c_row = a->dim,
                                 .out = DTYPE_FLOAT32,
                                 .a_block = pairs * rows * 4};
  if (a->kernel->tiles) {
    a->call->packing->turn_rows(keys, pairs, n, a->d_scores, HALF_STRIDE, a->d_scores_turned);
    block.a_row = pairs * 4;
    block.a_pair = 4;
  } else {
    a->call->packing->turn_words(keys, pairs, n, (int)rows, a->d_scores, HALF_STRIDE, block.a_block / 2,
                                 a->d_scores_turned);
    block.a_row = 4;
    block.a_pair = rows * 4;
  }
  // Blocks on the diagonal see only some of the keys.
  for (int64_t row = group > origin ? (group - origin) / rows * rows : 0; row < n; row += block.rows) {
    int64_t seen = origin + row + rows - group;
    block.rows = seen < keys ? fewer(rows, n - row) : n - row;
    block.pairs = seen < keys ? up_to(seen, step) / 2 : pairs;
    block.a = (const char *)a->d_scores_turned + row / rows * block.a_block;
    block.c = a->d_queries + (origin + row) * a->dim;
    block.sums = group > 0 ? block.c : NULL;
    a->kernel->multiply(&block);
  }
}

// Keys [key, key + rows) against queries origin + [0, n): their part of dV and dK, and dS^T for dQ. `add`: to the parts
// before it; the `last` part completes the gradients.
static void key_block(const struct bfloat16_attention *a, int64_t key, int64_t rows, int64_t origin, int64_t n,
                      bool add, bool last, int64_t kv_index, uint16_t *d_scores) {
  int64_t valid = key > origin ? key - origin : 0, granule = a->kernel->tiles ? PACK_K : 16;
  int64_t begin = valid / granule * granule, even = a->kernel->tiles ? begin : valid / 2 * 2;
  score_product(a, rows, a->keys + key * a->row, a->queries_turned, origin + begin, origin + n, origin, a->scores);
  score_product(a, rows, a->values + key * a->row, a->d_output_turned, origin + begin, origin + n, origin,
                a->d_probabilities);
  for (int64_t row = 0; row < rows; row++)
    key_gradients(a, a->scores + row * SCORE_COLUMNS, a->d_probabilities + row * SCORE_COLUMNS, origin, begin,
                  key + row - origin, n, a->probabilities + row * HALF_STRIDE, d_scores + row * HALF_STRIDE);
  enum dtype out = last ? DTYPE_BFLOAT16 : DTYPE_FLOAT32;
  float *d_values = a->d_values + key * a->dim, *d_keys = a->d_keys + key * a->dim;
  uint16_t *d_v = (uint16_t *)a->call->d_v + kv_index + key * a->dim;
  uint16_t *d_k = (uint16_t *)a->call->d_k + kv_index + key * a->dim;
  sum_product(a, rows, a->probabilities, even, n, a->d_output_plain, origin, add ? d_values : NULL, out,
              last ? (void *)d_v : d_values);
  sum_product(a, rows, d_scores, even, n, a->queries_plain, origin, add ? d_keys : NULL, out,
              last ? (void *)d_k : d_keys);
}

// With P = exp(S scale - log_sum), dP = dO V^T and D = rowsum(dO o):  dS = P (dP - D) scale;  dV = P^T dO, dQ = dS K,
// dK = dS^T Q. One item is a key head with all the query heads that read it.
static void attention_bfloat16_backward_head(const struct attention_call *call, int64_t item, char *scratch) {
  const struct attention *shape = &call->shape;
  struct bfloat16_attention a = {.call = call};
  bfloat16_attention_place(&a, shape, call->kernel, true, scratch);
  int64_t context = a.context, size = context * a.dim, group = shape->heads / shape->kv_heads, most = a.kernel->rows;
  a.keys = rows_for_kernel(&a, (const uint16_t *)call->k + item * size, context, a.filled_keys);
  a.values = rows_for_kernel(&a, (const uint16_t *)call->v + item * size, context, a.filled_values);
  pack_plain(&a, (const uint16_t *)call->k + item * size, a.dim, a.keys_plain);
  for (int64_t query_item = item * group; query_item < (item + 1) * group; query_item++) {
    bool first_member = query_item == item * group, last_member = query_item + 1 == (item + 1) * group;
    backward_operands(&a, query_item);
    for (int64_t first = 0; first < context; first += GROUP_BLOCKS * most) {
      int64_t keys = fewer(GROUP_BLOCKS * most, context - first), start = first / PACK_K * PACK_K;
      ask_for_head(&a, query_item + 1, true, first, first + keys);
      for (int64_t origin = start; origin < context; origin += SCORE_COLUMNS) {
        int64_t n = fewer(SCORE_COLUMNS, context - origin);
        for (int64_t key = first; key < first + keys; key += most)
          key_block(&a, key, fewer(most, first + keys - key), origin, n, !first_member || origin > start,
                    last_member && origin + n == context, item * size, a.d_scores + (key - first) * HALF_STRIDE);
        add_query_gradients(&a, origin, n, first, keys);
      }
    }
    for (int64_t i = 0; i < size; i += LANES)
      store_as_part(DTYPE_BFLOAT16, call->d_q, query_item * size + i,
                    load_as_part(DTYPE_FLOAT32, a.d_queries, i, size - i), size - i);
  }
}

static void attention_bfloat16_backward_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct attention_call *call = argument;
  float *scratch = call->scratch + worker * call->scratch_floats;
  for (int64_t item = begin; item < end; item++) attention_bfloat16_backward_head(call, item, (char *)scratch);
}
