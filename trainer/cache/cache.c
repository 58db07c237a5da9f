// See cache.h.
#include "trainer/cache/cache.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/block.h"
#include "trainer/layout.h"
#include "trainer/readout.h"

static int64_t width_of(const struct model *m) { return m->config.model.kv_heads * m->config.model.head_dim; }

// ---- what is kept ----

// Elements before a head's row of a position, in `keys` and `values`.
static int64_t place_of(const struct kv_cache *c, int64_t layer, int64_t sequence, int64_t head, int64_t position) {
  const struct run_config *config = &c->model->config;
  int64_t index = (layer * c->most + sequence) * config->model.kv_heads + head;
  return (index * config->model.context + position) * config->model.head_dim;
}

static void *element(const struct model *m, void *array, int64_t index) {
  return (char *)array + (size_t)index * dtype_bytes(m->dtype);
}

float *cache_recorded(const struct kv_cache *c, int64_t layer, enum cached kind, int64_t sequence) {
  int64_t of_sequence = c->model->config.model.context * width_of(c->model);
  return c->made + ((layer * CACHED_KINDS + (int64_t)kind) * c->most + sequence) * of_sequence;
}

// Keys and values of `count` new tokens, as they are in the model's qkv, into `made`.
static void record(struct kv_cache *c, int64_t layer, int64_t count) {
  struct model *m = c->model;
  int64_t width = width_of(m), query = m->config.model.heads * m->config.model.head_dim, row = query + 2 * width;
  if (c->error.code || !model_read(m, m->qkv, m->dtype, c->sequences * count * row, c->gathered, &c->error)) return;
  for (int64_t s = 0; s < c->sequences; s++)
    for (int64_t i = 0; i < count; i++)
      for (int kind = 0; kind < CACHED_KINDS; kind++)
        memcpy(cache_recorded(c, layer, (enum cached)kind, s) + (c->length + i) * width,
               c->gathered + (s * count + i) * row + query + kind * width, (size_t)width * sizeof(float));
}

static void attend(void *context, struct model *m, int64_t layer, int64_t rows) {
  struct kv_cache *c = context;
  const struct ops *ops = m->ops;
  struct block_activations *b = &m->blocks[layer];
  int64_t count = rows / c->sequences, dim = m->config.model.head_dim, heads = m->config.model.kv_heads;
  struct attention shape = m->attention;
  shape.sequences = c->sequences;
  shape.context = count;
  const struct attention_cache kept = {.capacity = m->config.model.context, .keys = c->length + count};
  ops->qkv_forward(m->device, &shape, m->qkv, m->rope + c->length * dim, b->q, b->k, b->v);
  for (int64_t s = 0; s < c->sequences; s++)
    for (int64_t h = 0; h < heads; h++) {
      int64_t to = place_of(c, layer, s, h, c->length), from = (s * heads + h) * count * dim;
      size_t bytes = (size_t)(count * dim) * dtype_bytes(m->dtype);
      ops->copy(m->device, element(m, c->keys, to), element(m, b->k, from), bytes);
      ops->copy(m->device, element(m, c->values, to), element(m, b->v, from), bytes);
    }
  if (c->made) record(c, layer, count);
  int64_t of_layer = place_of(c, layer, 0, 0, 0);
  ops->attention_cached(m->device, &shape, &kept, b->q, element(m, c->keys, of_layer), element(m, c->values, of_layer),
                        b->o, b->log_sum);
}

// ---- storing ----

// Rotates a key's heads in place, as qkv_forward does.
static void rotate(const struct kv_cache *c, int64_t position, float *key) {
  int64_t dim = c->model->config.model.head_dim, half = dim / 2;
  const float *cosine = c->rope + position * dim, *sine = cosine + half;
  for (int64_t h = 0; h < c->model->config.model.kv_heads; h++, key += dim)
    for (int64_t i = 0; i < half; i++) {
      float a = key[i], b = key[half + i];
      key[i] = a * cosine[i] - b * sine[i];
      key[half + i] = b * cosine[i] + a * sine[i];
    }
}

// Puts what was read back of `count` tokens [count, width] from `first` on in place of what the device has.
static void put_back(struct kv_cache *c, int64_t layer, int64_t sequence, enum cached kind, int64_t first,
                     int64_t count, const float *rows, float *scratch) {
  struct model *m = c->model;
  int64_t dim = m->config.model.head_dim, width = width_of(m);
  float *key = scratch + count * dim;
  for (int64_t h = 0; h < m->config.model.kv_heads; h++) {
    for (int64_t i = 0; i < count; i++) {
      const float *from = rows + i * width;
      if (kind == CACHED_KEYS) {
        memcpy(key, from, (size_t)width * sizeof *key);
        rotate(c, first + i, key);
        from = key;
      }
      memcpy(scratch + i * dim, from + h * dim, (size_t)dim * sizeof *scratch);
    }
    void *array = kind == CACHED_KEYS ? c->keys : c->values;
    model_write(m, element(m, array, place_of(c, layer, sequence, h, first)), m->dtype, count * dim, scratch);
  }
}

// What has become older than the recent tokens.
static void store_older(struct kv_cache *c) {
  int64_t width = width_of(c->model), first = c->compressed > c->keep.first ? c->compressed : c->keep.first;
  int64_t count = c->length - c->keep.recent - first, size = c->model->config.model.context * width;
  if (count <= 0) return;
  float *scratch = c->work + 4 * size;
  for (int64_t s = 0; s < c->sequences; s++)
    for (int64_t layer = 0; layer < c->code->layers; layer++) {
      float *here = c->work + layer % 2 * 2 * size, *there = c->work + (layer + 1) % 2 * 2 * size;
      const float *of[CACHED_KINDS], *below[CACHED_KINDS] = {there, there + size};
      float *read_back[CACHED_KINDS] = {here, here + size};
      for (int kind = 0; kind < CACHED_KINDS; kind++)
        of[kind] = cache_recorded(c, layer, (enum cached)kind, s) + first * width;
      cache_code_store(c->code, layer, count, of, below, read_back, scratch, c->sums + layer * CACHED_KINDS);
      for (int kind = 0; kind < CACHED_KINDS; kind++)
        put_back(c, layer, s, (enum cached)kind, first, count, read_back[kind], scratch);
    }
  c->compressed = first + count;
}

// ---- tokens ----

void cache_clear(struct kv_cache *c, int64_t sequences) {
  c->sequences = sequences;
  c->length = c->compressed = 0;
}

void cache_cut(struct kv_cache *c, int64_t length) { c->length = length; }

const void *cache_keys(const struct kv_cache *c, int64_t layer) {
  return element(c->model, c->keys, place_of(c, layer, 0, 0, 0));
}

const void *cache_values(const struct kv_cache *c, int64_t layer) {
  return element(c->model, c->values, place_of(c, layer, 0, 0, 0));
}

// Tokens until the next storing, at most `left`.
static int64_t next_piece(const struct kv_cache *c, int64_t left) {
  int64_t until = c->code ? c->keep.stream - c->length % c->keep.stream : left;
  return until < left ? until : left;
}

// One piece of the sequences' tokens, which stand `stride` apart, to model->final_x [sequences, count, width].
static bool read_piece(struct kv_cache *c, int64_t count, const int32_t *tokens, int64_t stride, struct error *error) {
  struct model *m = c->model;
  for (int64_t s = 0; s < c->sequences; s++)
    memcpy(c->tokens + s * count, tokens + s * stride, (size_t)count * sizeof *tokens);
  if (m->laid_out != MODEL_EVALUATE) layout_activations(m, MODEL_EVALUATE);
  m->ops->upload(m->device, m->tokens, c->tokens, (size_t)(c->sequences * count) * sizeof *tokens);
  c->attention.window = count;
  m->attention_by = &c->attention;
  blocks_forward(m, c->sequences * count, 0);
  m->attention_by = NULL;
  c->length += count;
  if (c->code && !c->error.code && c->length % c->keep.stream == 0) store_older(c);
  if (!c->error.code) return true;
  error_take(error, &c->error);
  return false;
}

bool cache_read_tokens(struct kv_cache *c, int64_t count, const int32_t *tokens, float *x, struct error *error) {
  struct model *m = c->model;
  int64_t width = m->config.model.width;
  for (int64_t done = 0, piece; done < count; done += piece) {
    piece = next_piece(c, count - done);
    if (!read_piece(c, piece, tokens + done, count, error)) return false;
    for (int64_t s = 0; s < c->sequences; s++)
      if (!model_read(m, element(m, m->final_x, s * piece * width), m->dtype, piece * width,
                      x + (s * count + done) * width, error))
        return false;
  }
  return true;
}

static bool pass_windows(void *context, struct model *m, int64_t rows, const int32_t *tokens, struct error *error) {
  struct kv_cache *c = context;
  int64_t length = m->config.model.context, width = m->config.model.width;
  if (rows / length > c->most)
    return error_set(error, EXIT_USAGE_ERROR, "%" PRId64 " windows at once, and the cache has room for %" PRId64,
                     rows / length, c->most);
  cache_clear(c, rows / length);
  for (int64_t done = 0, piece; done < length; done += piece) {
    piece = next_piece(c, length - done);
    if (!read_piece(c, piece, tokens + done, length, error)) return false;
    for (int64_t s = 0; s < c->sequences; s++)
      m->ops->copy(m->device, element(m, c->final_x, (s * length + done) * width),
                   element(m, m->final_x, s * piece * width), (size_t)(piece * width) * dtype_bytes(m->dtype));
  }
  m->ops->copy(m->device, m->final_x, c->final_x, (size_t)(rows * width) * dtype_bytes(m->dtype));
  return m->ops->synchronize(m->device, error);
}

void cache_attach(struct kv_cache *c) { c->model->passage = &c->passage; }

// ---- making ----

bool cache_possible(const struct model *m, struct error *error) {
  const struct format *format = m->config.parsed_format;
  if (!m->ops->attention_cached)
    return error_set(error, EXIT_ENVIRONMENT, "the backend %s has no attention over a cache of keys and values",
                     m->ops->name);
  if (format && !representation_is_none(&format->operands[OPERAND_ACTIVATIONS]))
    return error_set(error, EXIT_USAGE_ERROR,
                     "format %s represents activations, by whole windows: tokens that come one after the other have no "
                     "cache of keys and values",
                     m->config.format);
  return true;
}

static bool get_device(struct kv_cache *c, struct error *error) {
  struct model *m = c->model;
  int64_t item = (int64_t)dtype_bytes(m->dtype), rows = c->most * m->config.model.context;
  size_t kept = (size_t)(m->config.model.layers * rows * width_of(m) * item);
  c->keys = m->ops->allocate(m->device, kept, error);
  c->values = c->keys ? m->ops->allocate(m->device, kept, error) : NULL;
  c->final_x = c->values ? m->ops->allocate(m->device, (size_t)(rows * m->config.model.width * item), error) : NULL;
  return c->final_x || error_context(error, "no room for a cache of keys and values");
}

struct kv_cache *cache_make(struct model *m, int64_t sequences, const struct cache_code *code,
                            const struct cache_keeping *keep, bool records, struct error *error) {
  if (!cache_possible(m, error)) return NULL;
  const struct run_config *config = &m->config;
  int64_t context = config->model.context, width = width_of(m), layers = config->model.layers;
  struct kv_cache *c = memory_get(sizeof *c);
  *c = (struct kv_cache){.model = m, .code = code, .records = records, .most = sequences, .sequences = sequences};
  if (keep) c->keep = *keep;
  c->attention = (struct model_attention){.context = c, .attend = attend};
  c->passage = (struct model_passage){.context = c, .forward = pass_windows};
  c->tokens = memory_get((size_t)m->evaluation_rows * sizeof *c->tokens);
  c->rope = memory_get((size_t)(context * config->model.head_dim) * sizeof *c->rope);
  if (code || records) {
    int64_t row = config->model.heads * config->model.head_dim + 2 * width;
    c->made = memory_get((size_t)(layers * CACHED_KINDS * sequences * context * width) * sizeof *c->made);
    c->gathered = memory_get((size_t)(m->evaluation_rows * row) * sizeof *c->gathered);
  }
  if (code) {
    c->sums = memory_get((size_t)(layers * CACHED_KINDS) * sizeof *c->sums);
    // Two layers' keys and values, and scratch for one of either.
    c->work = memory_get((size_t)(6 * context * width + width) * sizeof *c->work);
  }
  if (get_device(c, error) && m->ops->download(m->device, c->rope, m->rope,
                                               (size_t)(context * config->model.head_dim) * sizeof *c->rope, error))
    return c;
  cache_free(c);
  return NULL;
}

void cache_free(struct kv_cache *c) {
  if (!c) return;
  struct model *m = c->model;
  void *device[] = {c->keys, c->values, c->final_x},
       *host[] = {c->made, c->sums, c->work, c->rope, c->gathered, c->tokens};
  if (m->passage == &c->passage) m->passage = NULL;
  for (size_t i = 0; i < sizeof device / sizeof *device; i++)
    if (device[i]) m->ops->free(m->device, device[i]);
  for (size_t i = 0; i < sizeof host / sizeof *host; i++) free(host[i]);
  free(c);
}
