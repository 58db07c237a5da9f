// See shared.h.
#include "trainer/cache/shared.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/block.h"
#include "trainer/layout.h"
#include "trainer/readout.h"

enum { COMMON = -1 };

double rotated_score(const double *q, const double *k, int64_t head_dim, double theta, int64_t a, int64_t b) {
  int64_t half = head_dim / 2;
  double sum = 0;
  for (int64_t i = 0; i < half; i++) {
    double step = pow(theta, -2.0 * (double)i / (double)head_dim), of_q = (double)a * step, of_k = (double)b * step;
    double q0 = q[i] * cos(of_q) - q[half + i] * sin(of_q), q1 = q[half + i] * cos(of_q) + q[i] * sin(of_q);
    double k0 = k[i] * cos(of_k) - k[half + i] * sin(of_k), k1 = k[half + i] * cos(of_k) + k[i] * sin(of_k);
    sum += q0 * k0 + q1 * k1;
  }
  return sum;
}

int64_t shared_cache_offset(const struct shared_cache *c, int64_t worker, int64_t block, int64_t length) {
  if (block == COMMON) return 0;
  if (block == worker) return c->common->length + (c->workers - 1) * length;
  return c->common->length + (block - (block > worker)) * length;
}

// ---- a step ----

static const struct run_config *config_of(const struct shared_cache *c) { return &c->common->model->config; }

static void *at(const struct shared_cache *c, void *array, int64_t layer, int64_t worker, int64_t head, int64_t row) {
  const struct run_config *config = config_of(c);
  int64_t index = (layer * c->workers + worker) * config->model.kv_heads + head;
  return (char *)array +
         (size_t)((index * c->capacity + row) * config->model.head_dim) * dtype_bytes(c->common->model->dtype);
}

// Rows of cosines and sines for the queries of all workers against the common tokens and each block, and for their new
// keys, whose place in the block is the same.
static void make_tables(struct shared_cache *c) {
  struct model *m = c->common->model;
  int64_t dim = m->config.model.head_dim, length = c->length + 1;
  float *to = c->rows;
  for (int64_t block = COMMON; block <= c->workers; block++)
    for (int64_t w = 0; w < c->workers; w++, to += dim) {
      int64_t own = shared_cache_offset(c, w, w, length) + c->length;
      int64_t place = block == c->workers ? c->length : own - shared_cache_offset(c, w, block, length);
      memcpy(to, c->common->rope + place * dim, (size_t)dim * sizeof *to);
    }
  m->ops->upload(m->device, c->tables, c->rows, (size_t)((c->workers + 2) * c->workers * dim) * sizeof *c->rows);
}

static void attend(void *context, struct model *m, int64_t layer, int64_t rows) {
  struct shared_cache *c = context;
  const struct ops *ops = m->ops;
  struct block_activations *b = &m->blocks[layer];
  int64_t dim = m->config.model.head_dim, heads = m->config.model.kv_heads, table = rows * dim;
  size_t item = dtype_bytes(m->dtype), bytes = (size_t)dim * item;
  struct attention shape = m->attention;
  shape.sequences = 1;
  shape.context = rows;
  ops->qkv_forward(m->device, &shape, m->qkv, c->tables + (c->workers + 1) * table, b->q, b->k, b->v);
  for (int64_t w = 0; w < rows; w++)
    for (int64_t h = 0; h < heads; h++) {
      size_t from = (size_t)((h * rows + w) * dim) * item;
      ops->copy(m->device, at(c, c->keys, layer, w, h, c->length), (char *)b->k + from, bytes);
      ops->copy(m->device, at(c, c->values, layer, w, h, c->length), (char *)b->v + from, bytes);
    }
  for (int64_t block = COMMON; block < c->workers; block++) {
    bool common = block == COMMON;
    const struct attention_cache kept = {.capacity = common ? m->config.model.context : c->capacity,
                                         .keys = common ? c->common->length : c->length + 1,
                                         .all = true,
                                         .merge = !common};
    ops->qkv_forward(m->device, &shape, m->qkv, c->tables + (block + 1) * table, b->q, b->k, b->v);
    ops->attention_cached(
        m->device, &shape, &kept, b->q, common ? cache_keys(c->common, layer) : at(c, c->keys, layer, block, 0, 0),
        common ? cache_values(c->common, layer) : at(c, c->values, layer, block, 0, 0), b->o, b->log_sum);
  }
}

bool shared_cache_step(struct shared_cache *c, const int32_t *tokens, float *x, struct error *error) {
  struct model *m = c->common->model;
  if (m->laid_out != MODEL_EVALUATE) layout_activations(m, MODEL_EVALUATE);
  make_tables(c);
  m->ops->upload(m->device, m->tokens, tokens, (size_t)c->workers * sizeof *tokens);
  c->attention.window = 1;
  m->attention_by = &c->attention;
  blocks_forward(m, c->workers, 0);
  m->attention_by = NULL;
  c->length++;
  return model_read(m, m->final_x, m->dtype, c->workers * m->config.model.width, x, error);
}

// ---- making ----

void shared_cache_clear(struct shared_cache *c) { c->length = 0; }

struct shared_cache *shared_cache_make(struct kv_cache *common, int64_t workers, int64_t capacity,
                                       struct error *error) {
  struct model *m = common->model;
  int64_t context = m->config.model.context, dim = m->config.model.head_dim, rows = (workers + 2) * workers * dim;
  if (common->length < 1 || common->length + workers * capacity > context || workers > m->evaluation_rows) {
    error_set(error, EXIT_USAGE_ERROR,
              "%" PRId64 " common tokens and %" PRId64 " of each of %" PRId64
              " workers do not fit in model.context %" PRId64,
              common->length, capacity, workers, context);
    return NULL;
  }
  struct shared_cache *c = memory_get(sizeof *c);
  *c = (struct shared_cache){.common = common, .workers = workers, .capacity = capacity};
  c->attention = (struct model_attention){.context = c, .attend = attend};
  c->rows = memory_get((size_t)rows * sizeof *c->rows);
  size_t bytes =
      (size_t)(m->config.model.layers * workers * m->config.model.kv_heads * capacity * dim) * dtype_bytes(m->dtype);
  c->keys = m->ops->allocate(m->device, bytes, error);
  c->values = c->keys ? m->ops->allocate(m->device, bytes, error) : NULL;
  c->tables = c->values ? m->ops->allocate(m->device, (size_t)rows * sizeof *c->tables, error) : NULL;
  if (c->tables) return c;
  error_context(error, "no room for the workers' cache of keys and values");
  shared_cache_free(c);
  return NULL;
}

void shared_cache_free(struct shared_cache *c) {
  if (!c) return;
  struct model *m = c->common->model;
  void *device[] = {c->keys, c->values, c->tables};
  for (size_t i = 0; i < sizeof device / sizeof *device; i++)
    if (device[i]) m->ops->free(m->device, device[i]);
  free(c->rows);
  free(c);
}
