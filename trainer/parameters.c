// See parameters.h.
#include "trainer/parameters.h"

#include <assert.h>
#include <math.h>

#include "kernels/formats/format.h"
#include "kernels/ops.h"

// Tensors of a block, in the order of their numbers.
enum block_tensor { ATTENTION_NORM, QUERY, KEY, VALUE, OUTPUT, MLP_NORM, GATE, UP, DOWN, BLOCK_TENSORS };

struct builder {
  struct arena *arena;
  struct parameter_table *table;
};

static int64_t add(struct builder *builder, const char *name, int64_t rows, int64_t columns, uint32_t number,
                   double init_std) {
  struct parameter_table *table = builder->table;
  int64_t count = columns ? rows * columns : rows, offset = table->count;
  table->tensors[table->tensor_count++] =
      (struct parameter_tensor){name, rows, columns, offset, count, number, init_std, columns ? 0 : 1};
  table->count += count;
  return offset;
}

static int64_t add_block(struct builder *builder, int64_t layer, const char *name, int64_t rows, int64_t columns,
                         enum block_tensor which, double init_std) {
  const char *full = arena_format(builder->arena, "model.layers.%d.%s.weight", (int)layer, name);
  return add(builder, full, rows, columns, (uint32_t)(1 + layer * BLOCK_TENSORS + (int)which), init_std);
}

int64_t parameter_bytes(const struct parameter_table *table, enum dtype master, int64_t offset) {
  int64_t wide = offset < table->norms_end ? offset : table->norms_end;
  return wide * (int64_t)sizeof(float) + (offset - wide) * (int64_t)dtype_bytes(master);
}

struct parameter_table parameter_table(struct arena *arena, const struct run_config *c) {
  int64_t layers = c->model.layers, width = c->model.width, hidden = c->model.mlp_width;
  int64_t query = c->model.heads * c->model.head_dim, key = c->model.kv_heads * c->model.head_dim;
  double std = c->model.init_std, residual_std = std / sqrt(2 * (double)layers);
  struct parameter_table table = {0};
  table.tensors = arena_array(arena, (size_t)(layers * (BLOCK_TENSORS + 1) + 3), sizeof *table.tensors);
  table.layers = arena_array(arena, (size_t)layers, sizeof *table.layers);
  struct builder builder = {arena, &table};
  uint32_t last = (uint32_t)(1 + layers * BLOCK_TENSORS);

  table.embedding = add(&builder, "model.embed_tokens.weight", c->model.vocabulary, width, 0, std);
  for (int64_t l = 0; l < layers; l++) {
    struct layer_offsets *at = &table.layers[l];
    at->attention_norm = add_block(&builder, l, "input_layernorm", width, 0, ATTENTION_NORM, 0);
    at->mlp_norm = add_block(&builder, l, "post_attention_layernorm", width, 0, MLP_NORM, 0);
  }
  table.final_norm = add(&builder, "model.norm.weight", width, 0, last, 0);
  for (int64_t l = 0; l < layers; l++) {
    table.layers[l].scales = -1;
    if (!format_has_learned_scales(c->parsed_format)) continue;
    const char *name = arena_format(arena, "model.layers.%d" SCALES_ENDING, (int)l);
    table.layers[l].scales = add(&builder, name, 4 * LEARNED_SCALES, 0, last + 2 + (uint32_t)l, 0);
    table.tensors[table.tensor_count - 1].fill = 0;  // not set yet
  }
  table.norms_end = table.count;
  for (int64_t l = 0; l < layers; l++) {
    struct layer_offsets *at = &table.layers[l];
    at->qkv = add_block(&builder, l, "self_attn.q_proj", query, width, QUERY, std);
    add_block(&builder, l, "self_attn.k_proj", key, width, KEY, std);
    add_block(&builder, l, "self_attn.v_proj", key, width, VALUE, std);
    at->output = add_block(&builder, l, "self_attn.o_proj", width, query, OUTPUT, residual_std);
    at->gate_up = add_block(&builder, l, "mlp.gate_proj", hidden, width, GATE, std);
    add_block(&builder, l, "mlp.up_proj", hidden, width, UP, std);
    at->down = add_block(&builder, l, "mlp.down_proj", width, hidden, DOWN, residual_std);
  }
  table.matrices_end = table.count;
  table.head = table.embedding;
  if (!c->model.tied_head) table.head = add(&builder, "lm_head.weight", c->model.vocabulary, width, last + 1, std);
  assert(table.count == config_parameters(c).total);
  return table;
}
