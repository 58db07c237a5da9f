// A model's matrices as its forward products take them: represented by the weights' part of its format, transformed
// back where they were rotated, rounded to the products' type. What comes out is what the kernels multiply by: each
// matrix is read off a product with the identity, y = I W^T, which no rounding touches.
#include <stdlib.h>
#include <string.h>

#include "kernels/bfloat16.h"
#include "kernels/formats/format.h"
#include "trainer/element.h"
#include "trainer/layout.h"
#include "trainer/phase.h"

enum { ROWS_AT_ONCE = 1024 };

// The format without what does not concern the values of the weights.
static struct format weights_only(const struct format *format) {
  struct format part = *format;
  part.operands[OPERAND_ACTIVATIONS] = part.operands[OPERAND_GRADIENTS] = (struct representation){0};
  part.backward = BACKWARD_FORWARD;
  part.gradient_token_hadamard = false;
  return part;
}

struct represented {
  struct model *model;
  struct format format;
  struct weight_description *descriptions;  // [count], block by block, then the head
  struct weight **weights;
  void **memory;
  int64_t *offsets;  // of the parameters
  int64_t count;
  void *x, *y;  // device memory: [rows, inputs], [rows, outputs] of the largest
  int64_t rows;
  void *host;
};

static int64_t largest_side(const struct run_config *c) {
  int64_t query = (c->model.heads + 2 * c->model.kv_heads) * c->model.head_dim, largest = 2 * c->model.mlp_width;
  if (query > largest) largest = query;
  if (c->model.width > largest) largest = c->model.width;
  return c->model.vocabulary > largest ? c->model.vocabulary : largest;
}

static bool begin(struct represented *r, struct model *m, struct error *error) {
  const struct run_config *c = &m->config;
  int64_t layers = c->model.layers, matrices = layers * MATRIX_HEAD + 1;
  r->model = m;
  r->rows = c->model.context * (ROWS_AT_ONCE > c->model.context ? ROWS_AT_ONCE / c->model.context : 1);
  if (r->rows > m->rows) r->rows = m->rows;
  r->descriptions = arena_array(&m->arena, (size_t)matrices, sizeof *r->descriptions);
  r->weights = arena_array(&m->arena, (size_t)matrices, sizeof(struct weight *));
  r->memory = arena_array(&m->arena, (size_t)matrices, sizeof(void *));
  r->offsets = arena_array(&m->arena, (size_t)matrices, sizeof *r->offsets);
  if (c->parsed_format) r->format = weights_only(c->parsed_format);
  for (; r->count < layers * MATRIX_HEAD; r->count++) {
    int64_t layer = r->count / MATRIX_HEAD;
    enum model_matrix which = (enum model_matrix)(r->count % MATRIX_HEAD);
    struct weight_description *d = &r->descriptions[r->count];
    *d = layout_weight(c, which, layer);
    if (d->format) d->format = &r->format;
    r->offsets[r->count] = layout_weight_offset(&m->table, which, layer);
    r->memory[r->count] = m->ops->allocate(m->device, m->ops->weight_bytes(m->device, d) + DEVICE_ALIGNMENT, error);
    if (!r->memory[r->count]) return false;
    r->weights[r->count] = m->ops->weight_create(m->device, d, r->memory[r->count], error);
    if (!r->weights[r->count]) return false;
    int64_t scales = m->table.layers[layer].scales;
    if (scales >= 0)
      m->ops->weight_learned(m->device, r->weights[r->count], m->parameters + scales + (int64_t)which * LEARNED_SCALES,
                             NULL);
  }
  size_t bytes = (size_t)(r->rows * largest_side(c)) * sizeof(float);
  r->host = memory_get(bytes);
  return (r->x = m->ops->allocate(m->device, bytes, error)) && (r->y = m->ops->allocate(m->device, bytes, error));
}

static void end(struct represented *r) {
  struct model *m = r->model;
  struct error ignored = {0};
  m->ops->synchronize(m->device, &ignored);
  for (int64_t i = 0; i <= r->count && r->weights && i < m->config.model.layers * MATRIX_HEAD; i++) {
    if (r->weights[i]) m->ops->weight_free(m->device, r->weights[i]);
    if (r->memory[i]) m->ops->free(m->device, r->memory[i]);
  }
  if (r->x) m->ops->free(m->device, r->x);
  if (r->y) m->ops->free(m->device, r->y);
  free(r->host);
}

// Values as the files keep matrices, from float32.
static void to_master(const struct model *m, const float *values, int64_t count, void *out) {
  if (m->master == DTYPE_FLOAT32)
    memcpy(out, values, (size_t)count * sizeof *values);
  else
    for (int64_t i = 0; i < count; i++) ((uint16_t *)out)[i] = bfloat16_nearest(values[i]);
}

static void put_one(void *values, enum dtype dtype, int64_t i) {
  if (dtype == DTYPE_FLOAT32)
    ((float *)values)[i] = 1;
  else
    ((uint16_t *)values)[i] = bfloat16_nearest(1);
}

// W [outputs, inputs] as float32, from products with `rows` rows of the identity at a time.
static bool read_off(struct represented *r, int64_t number, float *out, struct error *error) {
  struct model *m = r->model;
  const struct weight_description *d = &r->descriptions[number];
  size_t item = dtype_bytes(d->dtype);
  for (int64_t first = 0; first < d->inputs; first += r->rows) {
    int64_t count = d->inputs - first < r->rows ? d->inputs - first : r->rows;
    memset(r->host, 0, (size_t)(r->rows * d->inputs) * item);
    for (int64_t i = 0; i < count; i++) put_one(r->host, d->dtype, i * d->inputs + first + i);
    m->ops->upload(m->device, r->x, r->host, (size_t)(r->rows * d->inputs) * item);
    struct linear call = {.weight = r->weights[number], .rows = r->rows, .dtype = d->dtype};
    m->ops->linear_forward(m->device, &call, r->x, NULL, r->y);
    if (!m->ops->download(m->device, r->host, r->y, (size_t)(r->rows * d->outputs) * item, error)) return false;
    for (int64_t i = 0; i < count; i++)
      for (int64_t o = 0; o < d->outputs; o++)
        out[o * d->inputs + first + i] = element_value(r->host, d->dtype, i * d->outputs + o);
  }
  return true;
}

static bool represent_one(struct represented *r, int64_t number, struct error *error) {
  struct model *m = r->model;
  const struct weight_description *d = &r->descriptions[number];
  int64_t count = d->outputs * d->inputs;
  float *values = memory_get((size_t)count * sizeof *values);
  void *kept = memory_get((size_t)count * dtype_bytes(m->master));
  bool fine = read_off(r, number, values, error);
  if (fine) {
    to_master(m, values, count, kept);
    m->ops->upload(m->device, model_parameter(m, r->offsets[number]), kept, (size_t)count * dtype_bytes(m->master));
    fine = m->ops->synchronize(m->device, error);
  }
  free(values);
  free(kept);
  return fine;
}

// An output head of its own is rounded like the other matrices; a tied one is the embedding, which is not.
static bool round_head(struct model *m, struct error *error) {
  int64_t count = m->config.model.vocabulary * m->config.model.width;
  if (m->dtype == DTYPE_FLOAT32 || m->master != DTYPE_FLOAT32 || m->config.model.tied_head) return true;
  float *values = memory_get((size_t)count * sizeof *values);
  bool fine = m->ops->download(m->device, values, m->parameters + m->table.head, (size_t)count * sizeof *values, error);
  for (int64_t i = 0; i < count && fine; i++) values[i] = bfloat16_value(bfloat16_nearest(values[i]));
  if (fine) {
    m->ops->upload(m->device, m->parameters + m->table.head, values, (size_t)count * sizeof *values);
    fine = m->ops->synchronize(m->device, error);
  }
  free(values);
  return fine;
}

bool model_represent(struct model *m, int64_t step, struct error *error) {
  if (m->format_begins) step = model_format_step(m, step);
  struct represented r = {0};
  bool fine = begin(&r, m, error);
  if (fine) {
    // One threshold may hold for all matrices, so all are pruned before any is overwritten.
    struct pruned_weight *pruned = arena_array(&m->arena, (size_t)r.count, sizeof *pruned);
    for (int64_t i = 0; i < r.count; i++)
      pruned[i] = (struct pruned_weight){.weight = r.weights[i], .master = model_parameter(m, r.offsets[i])};
    if (r.format.operands[OPERAND_WEIGHTS].sparsity.kind != SPARSITY_NONE)
      m->ops->weights_prune(m->device, pruned, (int)r.count, step);
  }
  for (int64_t i = 0; i < r.count && fine; i++) {
    m->ops->weight_prepare(m->device, r.weights[i], model_parameter(m, r.offsets[i]), step);
    fine = represent_one(&r, i, error);
  }
  fine = fine && round_head(m, error);
  end(&r);
  return fine;
}
