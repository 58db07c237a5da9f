// See model.h; the blocks are in trainer/block.c, the memory's layout in trainer/layout.c.
#include "trainer/model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/block.h"
#include "trainer/gradient_exchange.h"
#include "trainer/layout.h"
#include "trainer/moment_formats.h"
#include "trainer/phase.h"

static bool get(struct model *m, const char *what, int64_t bytes, void *target, struct error *error) {
  void *memory = m->ops->allocate(m->device, (size_t)(bytes > 0 ? bytes : DEVICE_ALIGNMENT), error);
  char need[32], all[32];
  if (!memory)
    return error_context(error, "no room for the model's %s (%s; the run needs %s)", what,
                         bytes_human((double)bytes, need), bytes_human((double)m->memory.total, all));
  memcpy(target, &memory, sizeof memory);
  return true;
}

// Where the device says how much is free, too much is found before anything is taken, with what would fit.
static bool check_room(struct model *m, struct error *error) {
  int64_t there = m->ops->available ? m->ops->available(m->device) : -1;
  if (there < 0 || m->memory.total - m->memory.batch - m->memory.average - m->memory.exchange <= there) return true;
  char need[32], free_text[32], less[32];
  struct text text = {0};
  text_format(&text, "the run needs %s on the device, where %s are free", bytes_human((double)m->memory.total, need),
              bytes_human((double)there, free_text));
  if (m->use == MODEL_TRAIN) {
    struct memory_advice advice;
    int64_t process = trainer_process_bytes(m->ops);  // is there already
    bool fits = trainer_memory_advice(m->ops, m->device, &m->config, there + process, &advice);
    text_format(&text, "; with train.accumulation %" PRId64 " and train.recompute %s it needs %s%s",
                advice.accumulation, advice.recompute, bytes_human((double)(advice.total - process), less),
                fits ? "" : ", the least there is: a smaller model or a larger device is needed");
  }
  error_set(error, EXIT_ENVIRONMENT, "%s", text_string(&text));
  text_free(&text);
  return false;
}

static bool get_memory(struct model *m, struct error *error) {
  const struct memory_plan *plan = &m->memory;
  if (!get(m, "parameters", plan->parameters, &m->parameters, error)) return false;
  if (m->use == MODEL_TRAIN && (!get(m, "gradients", plan->gradients, &m->gradients, error) ||
                                !get(m, "optimizer's state", plan->moments, &m->state_memory, error)))
    return false;
  return get(m, "prepared weights", plan->prepared, &m->prepared_memory, error) &&
         get(m, "activations", plan->activations, &m->activation_memory, error) &&
         get(m, "workspace", plan->workspace, &m->workspace, error);
}

static bool make_weights(struct model *m, struct error *error) {
  char *memory = m->prepared_memory;
  m->weights = arena_array(&m->arena, (size_t)m->config.model.layers, sizeof *m->weights);
  for (int64_t l = 0; l <= m->config.model.layers; l++) {
    bool blocks = l < m->config.model.layers;
    for (int which = blocks ? MATRIX_QKV : MATRIX_HEAD; which < (blocks ? MATRIX_HEAD : MATRIX_HEAD + 1); which++) {
      struct weight_description description = layout_weight(&m->config, (enum model_matrix)which, l);
      struct weight *weight = m->ops->weight_create(m->device, &description, memory, error);
      if (!weight) return false;
      if (blocks && m->table.layers[l].scales >= 0) {
        int64_t at = m->table.layers[l].scales + which * LEARNED_SCALES;
        m->ops->weight_learned(m->device, weight, m->parameters + at, m->gradients ? m->gradients + at : NULL);
      }
      memory += layout_align((int64_t)m->ops->weight_bytes(m->device, &description));
      struct weight **places[] = {&m->weights[blocks ? l : 0].qkv, &m->weights[blocks ? l : 0].output,
                                  &m->weights[blocks ? l : 0].gate_up, &m->weights[blocks ? l : 0].down, &m->head};
      *places[which] = weight;
    }
  }
  return true;
}

int64_t model_state_bytes(const struct model *m) {
  return m->use == MODEL_TRAIN ? optimizer_state_bytes(&m->config) : 0;
}

static void place_state(struct model *m) {
  char *state = m->state_memory;
  for (int array = 0; array < STATE_ARRAYS; array++) {
    int64_t bytes = optimizer_array_bytes(&m->config, array);
    m->state[array] = state && bytes ? state : NULL;
    if (state) state += bytes;
  }
}

// Words of the state of the blocks' matrices before the one at `offset`; -1 where none is there.
static int64_t matrix_words(const struct model *m, int64_t offset) {
  int number = 0;
  for (int i = 0; i < m->table.tensor_count; i++) {
    const struct parameter_tensor *t = &m->table.tensors[i];
    if (t->offset < m->table.norms_end || t->offset >= m->table.matrices_end) continue;
    if (t->offset == offset) return optimizer_matrix_offset(&m->config, number);
    number++;
  }
  return -1;
}

// Where an array of that extent has the parameter at an offset of the table; -1: it does not have it.
static int64_t state_number(const struct model *m, enum state_extent extent, int64_t offset) {
  bool of_blocks = offset >= m->table.norms_end && offset < m->table.matrices_end;
  switch (extent) {
    case STATE_ALL:
      return offset;
    case STATE_REST:
      if (of_blocks) return -1;
      return offset < m->table.norms_end ? offset : offset - (m->table.matrices_end - m->table.norms_end);
    case STATE_MATRICES:
      return matrix_words(m, offset);
    case STATE_NONE:
      break;
  }
  return -1;
}

void *model_state(const struct model *m, int array, int64_t offset) {
  int64_t number = state_number(m, optimizer_of(&m->config)->state(&m->config).extent[array], offset);
  if (!m->state[array] || number < 0) return NULL;
  size_t element = array == STATE_OF_MATRICES ? sizeof(float) : dtype_bytes(m->state_type);
  return (char *)m->state[array] + (size_t)number * element;
}

// The blocks' matrices as an optimizer that moves them one by one has them.
static void list_matrices(struct model *m) {
  m->matrices = arena_array(&m->arena, (size_t)m->table.tensor_count, sizeof *m->matrices);
  m->matrix_count = 0;
  for (int i = 0; i < m->table.tensor_count; i++) {
    const struct parameter_tensor *t = &m->table.tensors[i];
    if (t->offset < m->table.norms_end || t->offset >= m->table.matrices_end) continue;
    struct optimizer_tensor tensor = {.parameter = model_parameter(m, t->offset),
                                      .gradient = m->gradients + t->offset,
                                      .direction = m->gradients + t->offset,
                                      .m = model_state(m, STATE_M, t->offset),
                                      .v = model_state(m, STATE_V, t->offset),
                                      .state = m->state_type,
                                      .first = t->offset,
                                      .count = t->count,
                                      .decay = true,
                                      .master = m->master};
    m->matrices[m->matrix_count++] =
        (struct optimizer_matrix){tensor, t->rows, t->columns, model_state(m, STATE_OF_MATRICES, t->offset)};
  }
}

static void free_weights(struct model *m) {
  for (int64_t l = 0; m->weights && l < m->config.model.layers; l++) {
    struct weight *all[] = {m->weights[l].qkv, m->weights[l].output, m->weights[l].gate_up, m->weights[l].down};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
      if (all[i]) m->ops->weight_free(m->device, all[i]);
    m->weights[l] = (struct block_weights){0};
  }
  if (m->head) m->ops->weight_free(m->device, m->head);
  m->head = NULL;
}

// ---- phases ----

bool model_has_format(const struct model *m, int64_t step) {
  return step > m->format_begins || m->format_begins == 0 || (step == 0 && m->use == MODEL_EVALUATE);
}

// Everything that depends on whether the format has begun. The memory holds either phase.
static bool lay_out(struct model *m, bool formatted, struct error *error) {
  m->config.format = formatted ? m->format_name : "none";
  m->config.parsed_format = formatted ? m->format : NULL;
  m->table = parameter_table(&m->arena, &m->config);
  place_state(m);
  layout_activations(m, m->use);
  if (!make_weights(m, error)) return false;
  if (m->use == MODEL_TRAIN) list_matrices(m);
  m->ops->rope_table(m->device, m->config.model.context, m->config.model.head_dim, m->config.model.rope_theta, m->rope);
  return true;
}

bool model_lay_out_anew(struct model *m, bool formatted, struct error *error) {
  if (!m->ops->synchronize(m->device, error)) return false;
  if (m->ops->repeat_forget) m->ops->repeat_forget(m->device);
  free_weights(m);
  return lay_out(m, formatted, error);
}

struct model *model_create(const struct ops *ops, struct device *device, const struct run_config *resolved,
                           enum model_use use, struct error *error) {
  struct model *m = memory_get(sizeof *m);
  m->ops = ops;
  m->device = device;
  m->config = *resolved;
  m->use = use;
  m->recompute = recompute_find(resolved->train.recompute);
  if (!dtype_find(resolved->model.dtype, &m->dtype)) {
    error_set(error, EXIT_USAGE_ERROR, "model.dtype '%s' is not resolved to a type", resolved->model.dtype);
    goto failed;
  }
  if (!ops->dtype_supported(device, m->dtype)) {
    error_set(error, EXIT_ENVIRONMENT, "model.dtype %s: this device has no such products", resolved->model.dtype);
    goto failed;
  }
  if (!config_parse_format(&m->config, &m->arena, error)) goto failed;
  resolved = &m->config;
  dtype_find(resolved->train.optimizer_state, &m->state_type);
  m->origin.end_token = -1;
  m->master = layout_master(resolved);
  m->rows = layout_rows(resolved, use);
  m->evaluation_rows = layout_rows(resolved, MODEL_EVALUATE);
  m->attention = layout_attention(resolved, m->rows);
  if (!layout_supported(ops, device, resolved, error)) goto failed;
  m->memory = layout_memory(ops, device, resolved, use);
  m->format_name = resolved->format;
  m->format = resolved->parsed_format;
  m->format_begins = config_format_begins(resolved);
  if (!check_room(m, error)) goto failed;
  if (!get_memory(m, error)) goto failed;
  int64_t scratch = use == MODEL_TRAIN ? optimizer_step_scratch_bytes(resolved) : 0;
  int64_t workspace = m->memory.workspace - scratch;  // the device's part is what either phase needs
  ops->set_workspace(device, m->workspace, (size_t)workspace);
  if (scratch) m->optimizer_scratch = (float *)((char *)m->workspace + workspace);
  m->blocks = arena_array(&m->arena, (size_t)resolved->model.layers, sizeof *m->blocks);
  if (use == MODEL_TRAIN) m->exchange = gradient_exchange_make(resolved);
  if (use == MODEL_TRAIN) m->moment_formats = moment_formats_make(&m->config);
  if (m->memory.average) m->average = memory_get((size_t)m->memory.average);
  if (!lay_out(m, model_has_format(m, 0), error)) goto failed;
  return m;
failed:
  model_free(m);
  return NULL;
}

void model_free(struct model *m) {
  if (!m) return;
  struct error ignored = {0};
  m->ops->synchronize(m->device, &ignored);
  if (m->ops->repeat_forget) m->ops->repeat_forget(m->device);
  free_weights(m);
  if (m->workspace) m->ops->set_workspace(m->device, NULL, 0);
  void *memory[] = {m->parameters,      m->gradients,         m->state_memory,
                    m->prepared_memory, m->activation_memory, m->workspace};
  for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
    if (memory[i]) m->ops->free(m->device, memory[i]);
  gradient_exchange_free(m->exchange);
  moment_formats_free(m->moment_formats);
  free(m->average);
  arena_free(&m->arena);
  free(m);
}

void model_initialise(struct model *m, uint64_t seed) {
  for (int i = 0; i < m->table.tensor_count; i++) {
    const struct parameter_tensor *t = &m->table.tensors[i];
    // What is kept in bfloat16 is drawn in float32 where gradients will be.
    bool narrow = t->offset >= m->table.norms_end && m->master != DTYPE_FLOAT32;
    float *data = narrow ? m->gradients + t->offset : model_parameter(m, t->offset);
    if (t->columns)
      m->ops->fill_normal(m->device, data, t->count, t->init_std, seed, t->number);
    else
      m->ops->fill_constant(m->device, data, t->count, (float)t->fill);
    if (narrow) m->ops->convert(m->device, t->count, DTYPE_FLOAT32, data, m->master, model_parameter(m, t->offset));
  }
  if (m->use == MODEL_TRAIN) m->ops->clear(m->device, m->state_memory, (size_t)m->memory.moments);
  model_prepare(m, 0);
}

// Calls `visit` for every prepared matrix with its place in the table.
static void each_matrix(struct model *m, void (*visit)(struct model *, struct weight *, int64_t offset, int64_t step),
                        int64_t step) {
  for (int64_t l = 0; l < m->config.model.layers; l++) {
    struct weight *all[] = {m->weights[l].qkv, m->weights[l].output, m->weights[l].gate_up, m->weights[l].down};
    for (int which = MATRIX_QKV; which < MATRIX_HEAD; which++)
      visit(m, all[which], layout_weight_offset(&m->table, (enum model_matrix)which, l), step);
  }
  visit(m, m->head, m->table.head, step);
}

static void prepare(struct model *m, struct weight *weight, int64_t offset, int64_t step) {
  m->ops->weight_prepare(m->device, weight, model_parameter(m, offset), step);
}

static void finish_gradient(struct model *m, struct weight *weight, int64_t offset, int64_t step) {
  m->ops->weight_gradient_finish(m->device, weight, m->gradients + offset);
}

// Whether anything is pruned: then all weights are looked at together.
static void prune(struct model *m, int64_t step) {
  const struct format *format = m->config.parsed_format;
  if (!format || format->operands[OPERAND_WEIGHTS].sparsity.kind == SPARSITY_NONE) return;
  int count = 0;
  struct pruned_weight *weights = memory_get((size_t)(m->config.model.layers * MATRIX_HEAD + 1) * sizeof *weights);
  for (int64_t l = 0; l <= m->config.model.layers; l++) {
    bool blocks = l < m->config.model.layers;
    struct block_weights *w = &m->weights[blocks ? l : 0];
    struct weight *all[] = {w->qkv, w->output, w->gate_up, w->down, m->head};
    for (int which = blocks ? MATRIX_QKV : MATRIX_HEAD; which < (blocks ? MATRIX_HEAD : MATRIX_HEAD + 1); which++) {
      int64_t offset = blocks ? layout_weight_offset(&m->table, (enum model_matrix)which, l) : m->table.head;
      weights[count++] = (struct pruned_weight){.weight = all[which],
                                                .master = model_parameter(m, offset),
                                                .m = model_state(m, STATE_M, offset),
                                                .v = model_state(m, STATE_V, offset),
                                                .state = m->state_type};
    }
  }
  m->ops->weights_prune(m->device, weights, count, step);
  free(weights);
}

int64_t model_format_step(const struct model *m, int64_t step) {
  return m->config.parsed_format && step > m->format_begins ? step - m->format_begins : 0;
}

void model_prepare(struct model *m, int64_t step) {
  step = m->format_begins ? model_format_step(m, step) : step;
  prune(m, step);
  each_matrix(m, prepare, step);
}

static const uint8_t *upload(struct model *m, const struct token_batch *batch) {
  m->ops->upload(m->device, m->tokens, batch->tokens, (size_t)batch->rows * sizeof *m->tokens);
  m->ops->upload(m->device, m->targets, batch->targets, (size_t)batch->rows * sizeof *m->targets);
  if (!batch->mask) return NULL;
  m->ops->upload(m->device, m->mask, batch->mask, (size_t)batch->rows * sizeof *m->mask);
  return m->mask;
}

void model_gradient(struct model *m, const struct token_batch *batch, double gradient_scale, int64_t first_row,
                    bool first, int slot) {
  if (m->laid_out != MODEL_TRAIN) layout_activations(m, MODEL_TRAIN);
  const uint8_t *mask = upload(m, batch);
  struct loss_sum *sum = &m->loss_sums[slot];
  if (first) {
    m->ops->clear(m->device, m->gradients, (size_t)m->table.norms_end * sizeof *m->gradients);
    m->ops->clear(m->device, sum, sizeof *sum);
  }
  blocks_forward(m, m->rows, first_row);
  struct head head = {.weight = m->head, .rows = m->rows, .dtype = m->dtype, .gradient_scale = (float)gradient_scale};
  // A tied head adds to the embedding's gradient, which has been cleared.
  bool accumulate = !first || m->config.model.tied_head;
  m->ops->head_loss(m->device, &head, m->final_x, m->targets, mask, sum, NULL, m->d_x, m->gradients + m->table.head,
                    accumulate);
  blocks_backward(m, first_row, first);
}

void model_finish_gradients(struct model *m) { each_matrix(m, finish_gradient, 0); }

void model_update(struct model *m, double lr, int64_t step, int slot) {
  model_finish_gradients(m);
  if (m->partner) m->partner->before(m->partner->context);
  const int64_t ends[] = {m->table.norms_end, m->table.matrices_end, m->table.count};
  struct tensor_span spans[3];
  struct optimizer_tensor tensors[3];
  int count = 0, blocks_range = 0;
  for (int64_t i = 0, at = 0; i < 3; at = ends[i++]) {
    if (ends[i] == at) continue;
    if (i == 1) blocks_range = count;
    spans[count] = (struct tensor_span){m->gradients + at, ends[i] - at};
    tensors[count++] = (struct optimizer_tensor){.parameter = model_parameter(m, at),
                                                 .gradient = m->gradients + at,
                                                 .direction = m->gradients + at,
                                                 .m = model_state(m, STATE_M, at),
                                                 .v = model_state(m, STATE_V, at),
                                                 .state = m->state_type,
                                                 .first = at,
                                                 .count = ends[i] - at,
                                                 .decay = i == 1,
                                                 .master = i == 0 ? DTYPE_FLOAT32 : m->master};
  }
  struct optimizer_step optimizer = {.ops = m->ops,
                                     .device = m->device,
                                     .config = &m->config,
                                     .lr = lr,
                                     .step = step + 1,
                                     .square_sum = &m->square_sums[slot],
                                     .ranges = tensors,
                                     .range_count = count,
                                     .blocks_range = blocks_range,
                                     .matrices = m->matrices,
                                     .matrix_count = m->matrix_count,
                                     .scratch = m->optimizer_scratch};
  m->ops->square_sum(m->device, spans, count, &m->square_sums[slot]);
  optimizer_of(&m->config)->step(&optimizer);
  if (m->moment_formats)
    moment_formats_apply(m->moment_formats, m->ops, m->device, &m->table, model_state(m, STATE_M, 0),
                         model_state(m, STATE_V, 0), step);
  if (m->partner) m->partner->after(m->partner->context, lr);
  model_prepare(m, step + 1);
}

// Every step is the same sequence of calls, its sums always at the same place, so that a backend may repeat it as one.
// Formats whose density has a schedule make some steps another sequence: the weights are prepared for the next step.
void model_step(struct model *m, const struct token_batch *batch, int64_t targets, double lr, int64_t step, int slot) {
  int sequence =
      format_sequence(m->config.parsed_format, step + 1 - m->format_begins, m->config.train.steps - m->format_begins);
  const struct optimizer *optimizer = optimizer_of(&m->config);
  bool repeats = m->ops->repeat_begin && !m->partner && !m->exchange && !m->moment_formats &&
                 !(optimizer->irregular && optimizer->irregular(&m->config));
  if (repeats) m->ops->repeat_begin(m->device, sequence);
  for (int64_t row = 0; row < batch->rows; row += m->rows) {
    struct token_batch micro = {m->rows, batch->tokens + row, batch->targets + row,
                                batch->mask ? batch->mask + row : NULL};
    model_gradient(m, &micro, 1 / (double)targets, row, row == 0, MODEL_STEP_SLOT);
    if (m->exchange)
      gradient_exchange_send(m->exchange, m->ops, m->device, &m->table, m->gradients, row / m->rows, step);
  }
  if (m->exchange) gradient_exchange_receive(m->exchange, m->ops, m->device, &m->table, m->gradients);
  model_update(m, lr, step, MODEL_STEP_SLOT);
  if (repeats) m->ops->repeat_end(m->device);
  m->ops->copy(m->device, &m->loss_sums[slot], &m->loss_sums[MODEL_STEP_SLOT], sizeof *m->loss_sums);
  m->ops->copy(m->device, &m->square_sums[slot], &m->square_sums[MODEL_STEP_SLOT], sizeof *m->square_sums);
}

bool model_results(struct model *m, int count, struct loss_sum *sums, double *square_sums, struct error *error) {
  return m->ops->download(m->device, sums, m->loss_sums, (size_t)count * sizeof *sums, error) &&
         (!square_sums ||
          m->ops->download(m->device, square_sums, m->square_sums, (size_t)count * sizeof *square_sums, error));
}

bool model_forward(struct model *m, int64_t rows, const int32_t *tokens, struct error *error) {
  if (m->laid_out != MODEL_EVALUATE) layout_activations(m, MODEL_EVALUATE);
  if (m->passage) return m->passage->forward(m->passage->context, m, rows, tokens, error);
  m->ops->upload(m->device, m->tokens, tokens, (size_t)rows * sizeof *m->tokens);
  blocks_forward(m, rows, 0);
  return m->ops->synchronize(m->device, error);
}

bool model_evaluate(struct model *m, const struct token_batch *batch, int64_t first_row, struct loss_sum *sum,
                    float *row_nats, struct error *error) {
  if (m->laid_out != MODEL_EVALUATE) layout_activations(m, MODEL_EVALUATE);
  const uint8_t *mask = upload(m, batch);
  struct loss_sum *slot = &m->loss_sums[MODEL_EVALUATION_SLOT], found;
  m->ops->upload(m->device, slot, sum, sizeof *sum);
  if (!m->passage)
    blocks_forward(m, batch->rows, first_row);
  else if (!m->passage->forward(m->passage->context, m, batch->rows, batch->tokens, error))
    return false;
  struct head head = {.weight = m->head, .rows = batch->rows, .dtype = m->dtype};
  m->ops->head_evaluate(m->device, &head, m->final_x, m->targets, mask, slot, row_nats ? m->row_nats : NULL);
  if (!m->ops->download(m->device, &found, slot, sizeof found, error)) return false;
  *sum = found;
  return !row_nats || m->ops->download(m->device, row_nats, m->row_nats, (size_t)batch->rows * sizeof *row_nats, error);
}
