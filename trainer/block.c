// See block.h. The order of a block, with its residual stream r:
//   r += branch of the block before;  x = norm(r);  qkv = x Wqkv;  q, k, v = rotate(split(qkv));  o = attention(q, k,
//   v) r' = r + o Wo;  x' = norm(r');  gate, up = x' Wgu;  hidden = silu(gate) up;  branch = hidden Wd
#include "trainer/block.h"

#include "trainer/layout.h"

static struct linear linear_call(const struct model *m, struct weight *weight, int64_t rows, int64_t first_row) {
  int64_t window = m->attention_by ? m->attention_by->window : m->config.model.context;
  return (struct linear){.weight = weight, .rows = rows, .first_row = first_row, .window = window, .dtype = m->dtype};
}

// x = norm(residual_in + branch), keeping the sum in `residual` (NULL: it stays where it is).
static void norm_forward(struct model *m, int64_t rows, const float *residual_in, const void *branch, int64_t scale,
                         float *residual, void *x, float *inverse_rms) {
  m->ops->rmsnorm_forward(m->device, rows, m->config.model.width, (float)m->config.model.norm_eps, m->dtype,
                          residual_in, branch, m->parameters + scale, residual, x, inverse_rms);
}

static void show(const struct model *m, int64_t layer, enum model_matrix which, int64_t rows, const void *x) {
  if (m->observer) m->observer->see(m->observer->context, layer, (int)which, rows, x);
}

static struct attention attention_of(const struct model *m, int64_t rows) {
  struct attention shape = m->attention;
  shape.sequences = rows / shape.context;
  return shape;
}

// From x to queries, keys and values, side by side in model->qkv.
static void qkv_product(struct model *m, int64_t layer, int64_t rows, int64_t first_row) {
  struct block_activations *b = &m->blocks[layer];
  struct linear qkv = linear_call(m, m->weights[layer].qkv, rows, first_row);
  m->ops->linear_forward(m->device, &qkv, b->x, b->saved_qkv, m->qkv);
}

// From x to queries, keys and values.
static void qkv_forward(struct model *m, int64_t layer, int64_t rows, int64_t first_row) {
  struct block_activations *b = &m->blocks[layer];
  struct attention shape = attention_of(m, rows);
  qkv_product(m, layer, rows, first_row);
  m->ops->qkv_forward(m->device, &shape, m->qkv, m->rope, b->q, b->k, b->v);
}

// From x to model->branch, the attention half's addition to the residual stream.
static void attention_half(struct model *m, int64_t layer, int64_t rows, int64_t first_row) {
  const struct ops *ops = m->ops;
  struct block_activations *b = &m->blocks[layer];
  struct attention shape = attention_of(m, rows);
  struct linear output = linear_call(m, m->weights[layer].output, rows, first_row);
  show(m, layer, MATRIX_QKV, rows, b->x);
  if (m->attention_by) {
    qkv_product(m, layer, rows, first_row);
    m->attention_by->attend(m->attention_by->context, m, layer, rows);
  } else {
    qkv_forward(m, layer, rows, first_row);
    ops->attention_forward(m->device, &shape, b->q, b->k, b->v, b->o, b->log_sum);
  }
  show(m, layer, MATRIX_OUTPUT, rows, b->o);
  ops->linear_forward(m->device, &output, b->o, b->saved_output, m->branch);
}

// Row `row` of a matrix of activations.
static void *row_of(const struct model *m, void *matrix, int64_t row, int64_t width) {
  return (char *)matrix + (size_t)(row * width) * dtype_bytes(m->dtype);
}

// From x_middle to model->branch. Where the device likes fewer rows at a time, they go all the way together; a format's
// layer takes all rows in one call, because of what it saves of them.
static void mlp_forward(struct model *m, int64_t layer, int64_t rows, int64_t first_row) {
  const struct ops *ops = m->ops;
  const struct block_activations *b = &m->blocks[layer];
  int64_t width = m->config.model.width, hidden = m->config.model.mlp_width;
  int64_t most = ops->rows_at_a_time && !m->config.parsed_format ? ops->rows_at_a_time(m->device, m->dtype) : 0;
  if (most <= 0) most = rows;
  for (int64_t row = 0; row < rows; row += most) {
    int64_t count = rows - row < most ? rows - row : most;
    struct linear gate_up = linear_call(m, m->weights[layer].gate_up, count, first_row + row);
    struct linear down = linear_call(m, m->weights[layer].down, count, first_row + row);
    void *gate_up_rows = row_of(m, b->gate_up, row, 2 * hidden), *hidden_rows = row_of(m, m->hidden, row, hidden);
    show(m, layer, MATRIX_GATE_UP, count, row_of(m, b->x_middle, row, width));
    ops->linear_forward(m->device, &gate_up, row_of(m, b->x_middle, row, width), b->saved_gate_up, gate_up_rows);
    ops->swiglu_forward(m->device, count, hidden, m->dtype, gate_up_rows, hidden_rows);
    show(m, layer, MATRIX_DOWN, count, hidden_rows);
    ops->linear_forward(m->device, &down, hidden_rows, b->saved_down, row_of(m, m->branch, row, width));
  }
}

// The gate and up values alone, as recomputation needs them.
static void gate_up_forward(struct model *m, int64_t layer, int64_t rows, int64_t first_row) {
  struct block_activations *b = &m->blocks[layer];
  struct linear gate_up = linear_call(m, m->weights[layer].gate_up, rows, first_row);
  m->ops->linear_forward(m->device, &gate_up, b->x_middle, b->saved_gate_up, b->gate_up);
}

void blocks_forward(struct model *m, int64_t rows, int64_t first_row) {
  const struct ops *ops = m->ops;
  const struct run_config *c = &m->config;
  ops->embedding_forward(m->device, rows, c->model.width, c->model.vocabulary, m->tokens,
                         m->parameters + m->table.embedding, m->blocks[0].residual);
  const float *stream = m->blocks[0].residual;
  for (int64_t l = 0; l < c->model.layers; l++) {
    struct block_activations *b = &m->blocks[l];
    const struct layer_offsets *at = &m->table.layers[l];
    norm_forward(m, rows, stream, l ? m->branch : NULL, at->attention_norm, l ? b->residual : NULL, b->x,
                 b->inverse_rms);
    attention_half(m, l, rows, first_row);
    norm_forward(m, rows, b->residual, m->branch, at->mlp_norm, b->residual_middle, b->x_middle, b->inverse_rms_middle);
    mlp_forward(m, l, rows, first_row);
    stream = b->residual_middle;
  }
  norm_forward(m, rows, stream, m->branch, m->table.final_norm, m->final_residual, m->final_x, m->final_inverse_rms);
}

// Fills again what recomputation did not keep of a block. The same operations on the same values give the same bits.
static void recompute_block(struct model *m, int64_t layer, int64_t first_row) {
  struct block_activations *b = &m->blocks[layer];
  const struct layer_offsets *at = &m->table.layers[layer];
  norm_forward(m, m->rows, b->residual, NULL, at->attention_norm, NULL, b->x, b->inverse_rms);
  if (m->recompute == RECOMPUTE_BLOCK) {
    attention_half(m, layer, m->rows, first_row);
    norm_forward(m, m->rows, b->residual, m->branch, at->mlp_norm, b->residual_middle, b->x_middle,
                 b->inverse_rms_middle);
  } else {
    if (m->recompute == RECOMPUTE_QKV) qkv_forward(m, layer, m->rows, first_row);
    norm_forward(m, m->rows, b->residual_middle, NULL, at->mlp_norm, NULL, b->x_middle, b->inverse_rms_middle);
  }
  if (m->recompute >= RECOMPUTE_FFN) gate_up_forward(m, layer, m->rows, first_row);
}

// Backward of a norm that fed the residual stream's gradient: updates d_residual in place, and gives it once more as
// the gradient of the branch that was added (d_branch; NULL: nobody needs it).
static void norm_backward(struct model *m, const float *residual, const float *inverse_rms, int64_t scale,
                          const float *d_residual_out, void *d_branch) {
  m->ops->rmsnorm_backward(m->device, m->rows, m->config.model.width, m->dtype, residual, inverse_rms,
                           m->parameters + scale, m->d_x, d_residual_out, m->d_residual, d_branch,
                           m->gradients + scale);
}

static void mlp_backward(struct model *m, int64_t layer, int64_t first_row, bool first) {
  const struct ops *ops = m->ops;
  struct block_activations *b = &m->blocks[layer];
  const struct layer_offsets *at = &m->table.layers[layer];
  struct linear down = linear_call(m, m->weights[layer].down, m->rows, first_row);
  struct linear gate_up = linear_call(m, m->weights[layer].gate_up, m->rows, first_row);
  ops->linear_input_gradient(m->device, &down, b->saved_down, m->d_branch, m->hidden);
  // gate_up becomes its own gradient; the gradient of hidden becomes hidden again, which down's weights need.
  ops->swiglu_backward(m->device, m->rows, m->config.model.mlp_width, m->dtype, b->gate_up, m->hidden, b->gate_up,
                       m->hidden);
  ops->linear_weight_gradient(m->device, &down, m->hidden, b->saved_down, m->d_branch, m->gradients + at->down, !first);
  ops->linear_input_gradient(m->device, &gate_up, b->saved_gate_up, b->gate_up, m->d_x);
  ops->linear_weight_gradient(m->device, &gate_up, b->x_middle, b->saved_gate_up, b->gate_up,
                              m->gradients + at->gate_up, !first);
  norm_backward(m, b->residual_middle, b->inverse_rms_middle, at->mlp_norm, m->d_residual, m->d_branch);
}

static void attention_backward(struct model *m, int64_t layer, int64_t first_row, bool first) {
  const struct ops *ops = m->ops;
  struct block_activations *b = &m->blocks[layer];
  const struct layer_offsets *at = &m->table.layers[layer];
  struct linear output = linear_call(m, m->weights[layer].output, m->rows, first_row);
  struct linear qkv = linear_call(m, m->weights[layer].qkv, m->rows, first_row);
  ops->linear_input_gradient(m->device, &output, b->saved_output, m->d_branch, m->d_o);
  ops->linear_weight_gradient(m->device, &output, b->o, b->saved_output, m->d_branch, m->gradients + at->output,
                              !first);
  ops->attention_backward(m->device, &m->attention, b->q, b->k, b->v, b->o, b->log_sum, m->d_o, m->d_q, m->d_k, m->d_v);
  ops->qkv_backward(m->device, &m->attention, m->d_q, m->d_k, m->d_v, m->rope, m->qkv);
  ops->linear_input_gradient(m->device, &qkv, b->saved_qkv, m->qkv, m->d_x);
  ops->linear_weight_gradient(m->device, &qkv, b->x, b->saved_qkv, m->qkv, m->gradients + at->qkv, !first);
  // Below the first block there is the embedding, which takes the residual stream's own gradient.
  norm_backward(m, b->residual, b->inverse_rms, at->attention_norm, m->d_residual, layer ? m->d_branch : NULL);
}

void blocks_backward(struct model *m, int64_t first_row, bool first) {
  int64_t layers = m->config.model.layers;
  norm_backward(m, m->final_residual, m->final_inverse_rms, m->table.final_norm, NULL, m->d_branch);
  for (int64_t l = layers - 1; l >= 0; l--) {
    // The last block's are still there from the forward pass.
    if (m->recompute != RECOMPUTE_NONE && l < layers - 1) recompute_block(m, l, first_row);
    mlp_backward(m, l, first_row, first);
    attention_backward(m, l, first_row, first);
  }
  m->ops->embedding_backward(m->device, m->rows, m->config.model.width, m->config.model.vocabulary, m->tokens,
                             m->d_residual, m->gradients + m->table.embedding);
}
