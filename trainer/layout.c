// See layout.h.
#include "trainer/layout.h"

#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/average.h"
#include "trainer/gradient_exchange.h"
#include "trainer/moment_formats.h"

enum { MATRICES = MATRIX_HEAD + 1, SHAPES = 20 };

const char *const recompute_words[RECOMPUTES] = {"none", "norm", "ffn", "qkv", "block"};

enum recompute recompute_find(const char *name) {
  for (enum recompute recompute = RECOMPUTE_NONE; recompute < RECOMPUTES; recompute++)
    if (strcmp(name, recompute_words[recompute]) == 0) return recompute;
  return RECOMPUTE_NONE;
}

int64_t layout_align(int64_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

static enum dtype dtype_of(const struct run_config *c) {
  enum dtype dtype = DTYPE_FLOAT32;
  dtype_find(c->model.dtype, &dtype);
  return dtype;
}

enum dtype layout_master(const struct run_config *c) {
  enum dtype dtype = DTYPE_FLOAT32;
  dtype_find(c->train.master_weights, &dtype);
  return dtype;
}

// A block that the format is of, if there is one: what every block's place in memory is laid out by.
static int64_t formatted_block(const struct run_config *c) {
  for (int64_t layer = 0; layer < c->model.layers; layer++)
    if (format_in_block(c->parsed_format, layer, c->model.layers)) return layer;
  return 0;
}

struct weight_description layout_weight(const struct run_config *c, enum model_matrix which, int64_t layer) {
  int64_t width = c->model.width, hidden = c->model.mlp_width;
  int64_t query = c->model.heads * c->model.head_dim, key = c->model.kv_heads * c->model.head_dim;
  static const unsigned layers[MATRICES] = {LAYER_QKV, LAYER_OUTPUT, LAYER_GATE_UP, LAYER_DOWN, 0};
  struct weight_description d = {
      .dtype = dtype_of(c), .master = layout_master(c), .seed = (uint64_t)c->seed, .steps = c->train.steps};
  if (c->parsed_format && c->parsed_format->after > 0) d.steps -= config_format_begins(c);
  if (c->parsed_format && c->parsed_format->layers & layers[which] &&
      format_in_block(c->parsed_format, layer, c->model.layers))
    d.format = c->parsed_format;
  d.number = (uint32_t)(layer * MATRIX_HEAD + (int64_t)which);
  switch (which) {
    case MATRIX_QKV:
      d.outputs = query + 2 * key;
      d.inputs = width;
      d.parts = 3;
      d.part_outputs[0] = query;
      d.part_outputs[1] = d.part_outputs[2] = key;
      break;
    case MATRIX_OUTPUT:
      d.outputs = width;
      d.inputs = query;
      break;
    case MATRIX_GATE_UP:
      d.outputs = 2 * hidden;
      d.inputs = width;
      d.parts = 2;
      d.part_outputs[0] = d.part_outputs[1] = hidden;
      break;
    case MATRIX_DOWN:
      d.outputs = width;
      d.inputs = hidden;
      break;
    case MATRIX_HEAD:
      d.outputs = c->model.vocabulary;
      d.inputs = width;
      d.number = (uint32_t)(c->model.layers * MATRIX_HEAD);
      if (c->model.tied_head) d.master = DTYPE_FLOAT32;  // the embedding
      break;
  }
  return d;
}

int64_t layout_weight_offset(const struct parameter_table *table, enum model_matrix which, int64_t layer) {
  switch (which) {
    case MATRIX_QKV:
      return table->layers[layer].qkv;
    case MATRIX_OUTPUT:
      return table->layers[layer].output;
    case MATRIX_GATE_UP:
      return table->layers[layer].gate_up;
    case MATRIX_DOWN:
      return table->layers[layer].down;
    case MATRIX_HEAD:
      break;
  }
  return table->head;
}

int64_t layout_rows(const struct run_config *c, enum model_use use) {
  if (use == MODEL_TRAIN) return c->train.batch_tokens / c->train.accumulation;
  int64_t sequences = EVALUATION_TOKENS / c->model.context;
  return (sequences > 0 ? sequences : 1) * c->model.context;
}

struct attention layout_attention(const struct run_config *c, int64_t rows) {
  return (struct attention){.sequences = rows / c->model.context,
                            .context = c->model.context,
                            .heads = c->model.heads,
                            .kv_heads = c->model.kv_heads,
                            .head_dim = c->model.head_dim,
                            .dtype = dtype_of(c)};
}

// ---- activations ----

// Hands out consecutive aligned pieces of memory; from address 0 it only counts.
struct carver {
  uintptr_t at;
};

static void *take(struct carver *carver, int64_t bytes) {
  void *piece = (void *)carver->at;
  carver->at += (uintptr_t)layout_align(bytes);
  return piece;
}

struct sizes {
  int64_t stream, statistics, narrow, query, key, qkv, hidden, log_sum;  // bytes
  int64_t saved[MATRIX_HEAD];
};

static struct sizes sizes_of(const struct ops *ops, const struct device *device, const struct run_config *c,
                             enum model_use use) {
  int64_t rows = layout_rows(c, use), item = (int64_t)dtype_bytes(dtype_of(c)), width = c->model.width;
  struct sizes s = {.stream = rows * width * (int64_t)sizeof(float),
                    .statistics = rows * (int64_t)sizeof(float),
                    .narrow = rows * width * item,
                    .query = rows * c->model.heads * c->model.head_dim * item,
                    .key = rows * c->model.kv_heads * c->model.head_dim * item,
                    .hidden = rows * c->model.mlp_width * item,
                    .log_sum = rows * c->model.heads * (int64_t)sizeof(float)};
  s.qkv = s.query + 2 * s.key;
  for (int which = MATRIX_QKV; which < MATRIX_HEAD; which++) {
    struct weight_description d = layout_weight(c, (enum model_matrix)which, formatted_block(c));
    s.saved[which] = (int64_t)ops->linear_saved_bytes(device, &d, rows);
  }
  return s;
}

// Places what one block owns (shared = false) or what all blocks share (shared = true): what is recomputed is shared.
// Block recomputation keeps only the block's input, and what a format saved of the MLP's hidden values, whose product
// is not run again. Norms that are recomputed find their statistics again too.
static void carve_block(struct carver *carver, const struct sizes *s, enum model_use use, enum recompute recompute,
                        bool shared, struct block_activations *b) {
  bool all = use == MODEL_EVALUATE, block = all || recompute >= RECOMPUTE_BLOCK,
       qkv = all || recompute >= RECOMPUTE_QKV, ffn = all || recompute >= RECOMPUTE_FFN,
       norm = all || recompute >= RECOMPUTE_NORM;
  if (shared == all) {
    b->residual = take(carver, s->stream);
    b->saved_down = take(carver, s->saved[MATRIX_DOWN]);
  }
  if (shared == block) {
    b->o = take(carver, s->query);
    b->log_sum = take(carver, s->log_sum);
    // Forward only, the residual stream is updated in place.
    b->residual_middle = all ? b->residual : take(carver, s->stream);
    b->saved_output = take(carver, s->saved[MATRIX_OUTPUT]);
  }
  if (shared == qkv) {
    b->q = take(carver, s->query);
    b->k = take(carver, s->key);
    b->v = take(carver, s->key);
    b->saved_qkv = take(carver, s->saved[MATRIX_QKV]);
  }
  if (shared == ffn) {
    b->gate_up = take(carver, 2 * s->hidden);
    b->saved_gate_up = take(carver, s->saved[MATRIX_GATE_UP]);
  }
  if (shared == norm) {
    b->inverse_rms = take(carver, s->statistics);
    b->x = take(carver, s->narrow);
    b->inverse_rms_middle = take(carver, s->statistics);
    b->x_middle = take(carver, s->narrow);
  }
}

// What stays whatever the rest is laid out for.
static void carve_kept(struct carver *carver, struct model *m) {
  const struct run_config *c = &m->config;
  m->rope = take(carver, c->model.context * c->model.head_dim * (int64_t)sizeof(float));
  m->loss_sums = take(carver, (MODEL_STEP_SLOT + 1) * (int64_t)sizeof *m->loss_sums);
  m->square_sums = take(carver, (MODEL_STEP_SLOT + 1) * (int64_t)sizeof *m->square_sums);
}

// Everything else but the blocks' own.
static void carve_shared(struct carver *carver, const struct sizes *s, struct model *m, enum model_use use,
                         struct block_activations *common) {
  int64_t rows = layout_rows(&m->config, use);
  *common = (struct block_activations){0};
  carve_block(carver, s, use, m->recompute, true, common);
  m->final_residual = use == MODEL_EVALUATE ? common->residual : take(carver, s->stream);
  m->final_inverse_rms = take(carver, s->statistics);
  m->final_x = take(carver, s->narrow);
  m->branch = take(carver, s->narrow);
  m->qkv = take(carver, s->qkv);
  m->hidden = take(carver, s->hidden);
  m->tokens = take(carver, rows * (int64_t)sizeof *m->tokens);
  m->targets = take(carver, rows * (int64_t)sizeof *m->targets);
  m->mask = take(carver, rows * (int64_t)sizeof *m->mask);
  m->row_nats = take(carver, rows * (int64_t)sizeof *m->row_nats);
  if (use == MODEL_EVALUATE) return;
  m->d_branch = take(carver, s->narrow);
  m->d_x = take(carver, s->narrow);
  m->d_o = take(carver, s->query);
  m->d_q = take(carver, s->query);
  m->d_k = take(carver, s->key);
  m->d_v = take(carver, s->key);
  m->d_residual = take(carver, s->stream);
}

void layout_activations(struct model *m, enum model_use use) {
  struct sizes s = sizes_of(m->ops, m->device, &m->config, use);
  struct carver carver = {(uintptr_t)m->activation_memory};
  struct block_activations common;
  carve_kept(&carver, m);
  carve_shared(&carver, &s, m, use, &common);
  for (int64_t l = 0; l < m->config.model.layers; l++) {
    m->blocks[l] = common;
    carve_block(&carver, &s, use, m->recompute, false, &m->blocks[l]);
  }
  m->laid_out = use;
}

static int64_t activation_bytes(const struct ops *ops, const struct device *device, const struct run_config *c,
                                enum model_use use) {
  struct sizes s = sizes_of(ops, device, c, use);
  struct model counted = {.config = *c, .recompute = recompute_find(c->train.recompute)};
  struct carver carver = {0};
  struct block_activations block;
  carve_kept(&carver, &counted);
  carve_shared(&carver, &s, &counted, use, &block);
  int64_t shared = (int64_t)carver.at;
  carver.at = 0;
  carve_block(&carver, &s, use, counted.recompute, false, &block);
  return shared + c->model.layers * (int64_t)carver.at;
}

int64_t layout_activation_bytes(const struct ops *ops, const struct device *device, const struct run_config *c,
                                enum model_use use) {
  int64_t evaluation = activation_bytes(ops, device, c, MODEL_EVALUATE);
  int64_t training = use == MODEL_TRAIN ? activation_bytes(ops, device, c, MODEL_TRAIN) : 0;
  return training > evaluation ? training : evaluation;
}

// ---- weights and scratch ----

int64_t layout_prepared_bytes(const struct ops *ops, const struct device *device, const struct run_config *c) {
  int64_t bytes = 0;
  for (int which = 0; which < MATRICES; which++) {
    for (int64_t layer = 0; layer < (which == MATRIX_HEAD ? 1 : c->model.layers); layer++) {
      struct weight_description d = layout_weight(c, (enum model_matrix)which, layer);
      bytes += layout_align((int64_t)ops->weight_bytes(device, &d));
    }
  }
  return bytes;
}

struct shape {
  enum op_kind kind;
  struct op_shape shape;
};

// Every kind of call that a model makes. `weights` outlives the shapes.
static int shapes_of(const struct run_config *c, enum model_use use, struct weight_description weights[MATRICES],
                     struct shape shapes[SHAPES]) {
  struct op_shape base = {.rows = layout_rows(c, use),
                          .width = c->model.width,
                          .context = c->model.context,
                          .heads = c->model.heads,
                          .kv_heads = c->model.kv_heads,
                          .head_dim = c->model.head_dim,
                          .vocabulary = c->model.vocabulary,
                          .dtype = dtype_of(c),
                          .training = use == MODEL_TRAIN};
  int count = 0;
  const enum op_kind plain[] = {OP_EMBEDDING, OP_RMSNORM, OP_QKV, OP_ATTENTION};
  for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) shapes[count++] = (struct shape){plain[i], base};
  shapes[count] = (struct shape){OP_SWIGLU, base};
  shapes[count++].shape.width = c->model.mlp_width;
  for (int which = 0; which < MATRICES; which++) {
    weights[which] = layout_weight(c, (enum model_matrix)which, formatted_block(c));
    shapes[count] = (struct shape){which == MATRIX_HEAD ? OP_HEAD : OP_LINEAR, base};
    shapes[count++].shape.weight = &weights[which];
  }
  if (use == MODEL_TRAIN) {
    struct parameter_counts parameters = config_parameters(c);
    shapes[count] = (struct shape){OP_OPTIMIZER, base};
    // Updated as three ranges: embedding, norms and scales, the blocks' matrices, the head.
    int64_t largest = parameters.embedding + parameters.norms + parameters.scales;
    if (parameters.prunable > largest) largest = parameters.prunable;
    shapes[count++].shape.rows = largest;
  }
  if (use == MODEL_TRAIN && optimizer_of(c)->by_matrix) {
    struct matrix_size sizes[OPTIMIZER_MATRICES];
    optimizer_matrix_sizes(c, sizes);
    for (int i = 0; i < OPTIMIZER_MATRICES; i++) {
      shapes[count] = (struct shape){OP_ORTHOGONALIZE, base};
      shapes[count].shape.rows = sizes[i].rows;
      shapes[count++].shape.width = sizes[i].columns;
    }
  }
  return count;
}

static bool phase_supported(const struct ops *ops, const struct device *device, const struct run_config *c,
                            struct error *error) {
  struct weight_description weights[MATRICES];
  struct shape shapes[SHAPES];
  for (int use = MODEL_TRAIN; use <= MODEL_EVALUATE; use++) {
    int count = shapes_of(c, (enum model_use)use, weights, shapes);
    for (int i = 0; i < count; i++)
      if (!ops->shape_supported(device, shapes[i].kind, &shapes[i].shape, error)) return false;
  }
  return true;
}

bool layout_supported(const struct ops *ops, const struct device *device, const struct run_config *c,
                      struct error *error) {
  struct run_config before = layout_before_format(c);
  bool later = c->parsed_format && c->parsed_format->after > 0;
  return phase_supported(ops, device, c, error) && (!later || phase_supported(ops, device, &before, error));
}

int64_t layout_workspace_bytes(const struct ops *ops, const struct device *device, const struct run_config *c,
                               enum model_use use) {
  struct weight_description weights[MATRICES];
  struct shape shapes[SHAPES];
  size_t largest = 0;
  for (int of = use; of <= MODEL_EVALUATE; of++) {  // a model that trains is evaluated too
    int count = shapes_of(c, (enum model_use)of, weights, shapes);
    for (int i = 0; i < count; i++) {
      size_t bytes = ops->workspace_bytes(device, shapes[i].kind, &shapes[i].shape);
      if (bytes > largest) largest = bytes;
    }
  }
  return (int64_t)largest;
}

int64_t layout_parameter_bytes(const struct run_config *c) {
  struct parameter_counts count = config_parameters(c);
  int64_t matrices = count.prunable + count.head;
  return (count.total - matrices) * (int64_t)sizeof(float) + matrices * (int64_t)dtype_bytes(layout_master(c));
}

int64_t layout_host_tokens(const struct run_config *c, enum model_use use) {
  int64_t evaluation = layout_rows(c, MODEL_EVALUATE);
  return use == MODEL_TRAIN && c->train.batch_tokens > evaluation ? c->train.batch_tokens : evaluation;
}

static void add_up(struct memory_plan *plan) {
  plan->total = plan->parameters + plan->gradients + plan->moments + plan->prepared + plan->activations +
                plan->workspace + plan->batch + plan->average + plan->exchange;
}

struct run_config layout_before_format(const struct run_config *c) {
  struct run_config plain = *c;
  plain.format = "none";
  plain.parsed_format = NULL;
  return plain;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Of one phase.
static struct memory_plan memory_of(const struct ops *ops, const struct device *device, const struct run_config *c,
                                    enum model_use use) {
  struct memory_plan plan = {0};
  plan.parameters = layout_parameter_bytes(c);
  if (use == MODEL_TRAIN) {
    plan.gradients = config_parameters(c).total * (int64_t)sizeof(float);
    plan.moments = optimizer_state_bytes(c);
  }
  plan.prepared = layout_prepared_bytes(ops, device, c);
  plan.activations = layout_activation_bytes(ops, device, c, use);
  plan.workspace = layout_workspace_bytes(ops, device, c, use);
  int64_t scratch = use == MODEL_TRAIN ? optimizer_step_scratch_bytes(c) : 0;
  if (scratch) plan.workspace = layout_align(plan.workspace) + scratch;  // behind the device's
  plan.batch = layout_host_tokens(c, use) * (int64_t)(2 * sizeof(int32_t) + sizeof(uint8_t));
  if (use == MODEL_TRAIN) plan.average = average_bytes(c);
  if (use == MODEL_TRAIN)
    plan.exchange = gradient_exchange_bytes(c, plan.gradients / (int64_t)sizeof(float)) + moment_formats_bytes(c);
  add_up(&plan);
  return plan;
}

struct memory_plan layout_memory(const struct ops *ops, const struct device *device, const struct run_config *c,
                                 enum model_use use) {
  struct memory_plan plan = memory_of(ops, device, c, use);
  if (!c->parsed_format || c->parsed_format->after <= 0) return plan;
  struct run_config before = layout_before_format(c);
  struct memory_plan other = memory_of(ops, device, &before, use);
  plan.parameters = larger(plan.parameters, other.parameters);
  plan.gradients = larger(plan.gradients, other.gradients);
  plan.moments = larger(plan.moments, other.moments);
  plan.prepared = larger(plan.prepared, other.prepared);
  plan.activations = larger(plan.activations, other.activations);
  plan.workspace = larger(plan.workspace, other.workspace);
  plan.average = larger(plan.average, other.average);
  plan.exchange = larger(plan.exchange, other.exchange);
  add_up(&plan);
  return plan;
}
