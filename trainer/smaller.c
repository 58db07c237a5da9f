// See smaller.h.
#include "trainer/smaller.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/stages/values.h"

// What a block has left, in order.
struct left {
  int64_t *heads, *columns;  // key and value heads, MLP columns
  int64_t head_count, column_count;
};

static bool all_zero(const float *values, int64_t count, int64_t stride) {
  for (int64_t i = 0; i < count; i++)
    if (values[i * stride] != 0) return false;
  return true;
}

static bool head_is_gone(const struct run_config *c, const struct model_values *v, int64_t layer, int64_t head) {
  const int64_t dim = c->model.head_dim, shared = c->model.heads / c->model.kv_heads, width = c->model.width;
  const int64_t queries = c->model.heads * dim, keys = c->model.kv_heads * dim;
  const float *qkv = v->values + v->table.layers[layer].qkv, *output = v->values + v->table.layers[layer].output;
  if (!all_zero(qkv + head * shared * dim * width, shared * dim * width, 1) ||
      !all_zero(qkv + (queries + head * dim) * width, dim * width, 1) ||
      !all_zero(qkv + (queries + keys + head * dim) * width, dim * width, 1))
    return false;
  for (int64_t column = head * shared * dim; column < (head + 1) * shared * dim; column++)
    if (!all_zero(output + column, width, queries)) return false;
  return true;
}

static bool column_is_gone(const struct run_config *c, const struct model_values *v, int64_t layer, int64_t column) {
  const int64_t width = c->model.width, hidden = c->model.mlp_width;
  const float *gate = v->values + v->table.layers[layer].gate_up, *down = v->values + v->table.layers[layer].down;
  return all_zero(gate + column * width, width, 1) && all_zero(gate + (hidden + column) * width, width, 1) &&
         all_zero(down + column, width, hidden);
}

static struct left *find_left(const struct run_config *c, const struct model_values *v, struct arena *arena) {
  struct left *left = arena_array(arena, (size_t)c->model.layers, sizeof *left);
  for (int64_t layer = 0; layer < c->model.layers; layer++) {
    struct left *l = &left[layer];
    *l = (struct left){arena_array(arena, (size_t)c->model.kv_heads, sizeof *l->heads),
                       arena_array(arena, (size_t)c->model.mlp_width, sizeof *l->columns), 0, 0};
    for (int64_t head = 0; head < c->model.kv_heads; head++)
      if (!head_is_gone(c, v, layer, head)) l->heads[l->head_count++] = head;
    for (int64_t column = 0; column < c->model.mlp_width; column++)
      if (!column_is_gone(c, v, layer, column)) l->columns[l->column_count++] = column;
  }
  return left;
}

// ---- the smaller model's values ----

static void copy_rows(float *to, const float *from, int64_t row, int64_t rows, int64_t width) {
  memcpy(to, from + row * width, (size_t)(rows * width) * sizeof *to);
}

static void copy_columns(float *to, int64_t to_width, const float *from, int64_t from_width, int64_t rows) {
  for (int64_t i = 0; i < rows; i++) to[i * to_width] = from[i * from_width];
}

static void fill_layer(const struct run_config *small, const struct run_config *c, struct model_values *to,
                       const struct model_values *from, int64_t layer, const struct left *left) {
  const int64_t dim = c->model.head_dim, shared = c->model.heads / c->model.kv_heads, width = c->model.width;
  const int64_t queries = c->model.heads * dim, keys = c->model.kv_heads * dim, hidden = c->model.mlp_width;
  const int64_t fewer_queries = small->model.heads * dim, fewer_keys = small->model.kv_heads * dim;
  const int64_t fewer = small->model.mlp_width;
  const struct layer_offsets *a = &from->table.layers[layer], *b = &to->table.layers[layer];
  const float *qkv = from->values + a->qkv, *gate_up = from->values + a->gate_up;
  float *to_qkv = to->values + b->qkv, *to_gate_up = to->values + b->gate_up;
  for (int64_t i = 0; i < left->head_count; i++) {
    const int64_t head = left->heads[i];
    copy_rows(to_qkv + i * shared * dim * width, qkv, head * shared * dim, shared * dim, width);
    copy_rows(to_qkv + (fewer_queries + i * dim) * width, qkv, queries + head * dim, dim, width);
    copy_rows(to_qkv + (fewer_queries + fewer_keys + i * dim) * width, qkv, queries + keys + head * dim, dim, width);
    for (int64_t j = 0; j < shared * dim; j++)
      copy_columns(to->values + b->output + i * shared * dim + j, fewer_queries,
                   from->values + a->output + head * shared * dim + j, queries, width);
  }
  for (int64_t i = 0; i < left->column_count; i++) {
    const int64_t column = left->columns[i];
    copy_rows(to_gate_up + i * width, gate_up, column, 1, width);
    copy_rows(to_gate_up + (fewer + i) * width, gate_up, hidden + column, 1, width);
    copy_columns(to->values + b->down + i, fewer, from->values + a->down + column, hidden, width);
  }
}

// Embedding, norms, head.
static void fill_rest(struct model_values *to, const struct model_values *from) {
  for (int i = 0; i < to->table.tensor_count; i++) {
    const struct parameter_tensor *tensor = &to->table.tensors[i], *same = values_find(from, tensor->name);
    if (same && same->count == tensor->count && !strstr(tensor->name, "_proj."))
      memcpy(to->values + tensor->offset, from->values + same->offset, (size_t)tensor->count * sizeof(float));
  }
}

bool model_smaller(struct model *model, struct model **smaller, int64_t *masked, struct error *error) {
  const struct run_config *c = &model->config;
  struct run_config small = *c;
  struct arena arena = {0};
  struct model_values before, after = {0};
  *smaller = NULL;
  if (!values_read(&before, model, error)) {
    values_free(&before);
    return false;
  }
  const struct left *left = find_left(c, &before, &arena);
  const int64_t shared = c->model.heads / c->model.kv_heads;
  small.model.kv_heads = small.model.mlp_width = 1;
  for (int64_t layer = 0; layer < c->model.layers; layer++) {
    if (left[layer].head_count > small.model.kv_heads) small.model.kv_heads = left[layer].head_count;
    if (left[layer].column_count > small.model.mlp_width) small.model.mlp_width = left[layer].column_count;
  }
  small.model.heads = small.model.kv_heads * shared;
  bool fine = true;
  if (masked) *masked = 0;
  for (int64_t layer = 0; masked && layer < c->model.layers; layer++)
    *masked += (small.model.kv_heads - left[layer].head_count) * c->model.head_dim * c->model.width * (2 * shared + 2) +
               (small.model.mlp_width - left[layer].column_count) * 3 * c->model.width;
  if (small.model.kv_heads < c->model.kv_heads || small.model.mlp_width < c->model.mlp_width) {
    *smaller = model_create(model->ops, model->device, &small, MODEL_EVALUATE, error);
    fine = *smaller != NULL;
    after.table = fine ? parameter_table(&after.arena, &small) : after.table;
    if (fine) after.values = memory_get((size_t)after.table.count * sizeof *after.values);
    if (fine) fill_rest(&after, &before);
    for (int64_t layer = 0; layer < c->model.layers && fine; layer++)
      fill_layer(&small, c, &after, &before, layer, &left[layer]);
    fine = fine && values_write(&after, *smaller, error);
    if (fine) (*smaller)->origin = model->origin;
  }
  values_free(&before);
  values_free(&after);
  arena_free(&arena);
  return fine;
}
