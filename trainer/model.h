// A Llama-type decoder on a device: token embedding, blocks of RMSNorm, causal attention with rotary positions and
// grouped key/value heads, RMSNorm, SwiGLU, each added to the residual stream; final norm; output head, untied or tied.
// No biases, no dropout. Forward, backward and update are made of the ops table's entries alone.
//
// All memory is taken when the model is made: one allocation each for parameters, gradients, moments, prepared weights,
// activations and workspace (see struct memory_plan in trainer/trainer.h).
#pragma once
#include <stdint.h>

#include "base/base.h"
#include "kernels/ops.h"
#include "trainer/config.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/parameters.h"
#include "trainer/trainer.h"

// Activations that backward needs of one block, on the device. With recomputation some of them are shared by all blocks
// and filled again just before the block's backward pass.
struct block_activations {
  float *residual;         // [rows, width] residual stream before the block
  float *inverse_rms;      // [rows]
  void *x;                 // [rows, width] normalised
  void *q, *k, *v;         // attention's layout
  void *o;                 // [rows, heads head_dim]
  float *log_sum;          // [sequences, heads, context]
  float *residual_middle;  // [rows, width] residual stream between attention and MLP
  float *inverse_rms_middle;
  void *x_middle;
  void *gate_up;                                                // [rows, 2 mlp_width]
  void *saved_qkv, *saved_output, *saved_gate_up, *saved_down;  // what a format's forward keeps
};

// Weights of one block, prepared for products.
struct block_weights {
  struct weight *qkv, *output, *gate_up, *down;
};

enum model_use {
  MODEL_TRAIN,
  MODEL_EVALUATE,  // forward only: no gradients, no moments, activations of one block
};

// What is computed again in the backward pass, each with all before it: the normed inputs of both halves, the gate and
// up values, the queries, keys and values, and attention with the middle of the residual stream.
enum recompute { RECOMPUTE_NONE, RECOMPUTE_NORM, RECOMPUTE_FFN, RECOMPUTE_QKV, RECOMPUTE_BLOCK, RECOMPUTES };

// What a model's files say of it (trainer/checkpoint_files.h).
struct model_origin {
  const char *run;    // id, or NULL
  int64_t end_token;  // of the tokenizer, -1: none
};

// Sees the inputs of each block's four matrices on their way forward: x [rows, inputs] of the model's dtype, in device
// memory, in order; a matrix may come in several pieces of rows. `matrix` is of enum model_matrix.
struct model_observer {
  void *context;
  void (*see)(void *context, int64_t layer, int matrix, int64_t rows, const void *x);
};

struct model;

// What comes in place of attention among the rows of a call, forward only (trainer/cache): rows are then `window` ones
// of each sequence, and `attend` brings their queries, keys and values, in model->qkv, to blocks[layer].o and log_sum.
struct model_attention {
  void *context;
  int64_t window;
  void (*attend)(void *context, struct model *model, int64_t layer, int64_t rows);
};

// What whole windows go through in place of one pass over all their rows: brings `rows` tokens (the host's) to
// model->final_x. False with an error.
struct model_passage {
  void *context;
  bool (*forward)(void *context, struct model *model, int64_t rows, const int32_t *tokens, struct error *error);
};

// Has a part in each update: `before` when the gradients are finished, `after` when the optimizer has moved the
// parameters and before they are prepared.
struct model_partner {
  void *context;
  void (*before)(void *context);
  void (*after)(void *context, double lr);
};

struct model {
  const struct ops *ops;
  struct device *device;
  struct arena arena;        // tables and handles
  struct run_config config;  // as it holds now: without a format before that begins (model_take_phase)
  const char *format_name;   // the run's, whether it has begun or not
  const struct format *format;
  int64_t format_begins;         // updates done before it does; 0: from the start on
  enum model_use use, laid_out;  // what it is for, and what its activations are laid out for now
  enum recompute recompute;
  enum dtype dtype;
  struct memory_plan memory;
  struct parameter_table table;
  const struct model_observer *observer;       // NULL: nobody looks
  const struct model_partner *partner;         // NULL: nobody else
  const struct model_attention *attention_by;  // NULL: among the rows
  const struct model_passage *passage;         // NULL: all rows at once
  struct gradient_exchange *exchange;          // between micro-batches, which are workers; NULL: none
  struct moment_formats *moment_formats;       // of the optimizer's moments; NULL: none
  struct model_origin origin;                  // set by whoever opens the model for a run

  // Device memory, laid out by the table.
  float *parameters;  // up to norms_end; the matrices behind them are of type `master`: model_parameter
  enum dtype master;
  float *gradients;
  void *state[STATE_ARRAYS];  // of the optimizer, one behind the other; NULL: no such array
  enum dtype state_type;
  struct optimizer_matrix *matrices;  // of all blocks, in order
  int matrix_count;
  void *state_memory, *prepared_memory, *activation_memory, *workspace;
  float *optimizer_scratch;  // behind the device's part of the workspace
  float *average;  // host memory: the sum of weights so far (trainer/average.h), in the table's order; NULL: none

  struct block_weights *weights;
  struct weight *head;

  // Shapes of one micro-batch.
  int64_t rows;             // tokens
  int64_t evaluation_rows;  // ... of an evaluation's, whatever the training's are (layout_rows)
  struct attention attention;

  // Activations.
  float *rope;
  struct block_activations *blocks;
  float *final_residual, *final_inverse_rms;
  void *final_x;
  void *branch, *d_branch, *qkv, *hidden;  // scratch within a block; hidden [rows, mlp_width]
  void *d_x, *d_o, *d_q, *d_k, *d_v;
  float *d_residual;
  int32_t *tokens, *targets;  // [rows]
  uint8_t *mask;              // [rows]
  float *row_nats;            // [rows]
  struct loss_sum
      *loss_sums;       // [MODEL_LOSS_SLOTS] of training steps, one more for evaluations, one for the step itself
  double *square_sums;  // [MODEL_LOSS_SLOTS], and one for the step itself
};

// Training steps whose losses wait on the device until somebody asks for them.
#define MODEL_LOSS_SLOTS 64
#define MODEL_EVALUATION_SLOT MODEL_LOSS_SLOTS
#define MODEL_STEP_SLOT (MODEL_LOSS_SLOTS + 1)

// Makes a model for micro-batches of batch_tokens / accumulation tokens, and for evaluations, which share the memory of
// activations with them: what a training pass left there is gone after an evaluation. Parameters are not set
// (model_initialise or checkpoint_load does). NULL and an error when the device cannot do these shapes, or lacks the
// memory.
struct model *model_create(const struct ops *ops, struct device *device, const struct run_config *resolved,
                           enum model_use use, struct error *error);
void model_free(struct model *model);  // NULL is fine
// Where the parameter at an offset of the table is.
static inline void *model_parameter(const struct model *model, int64_t offset) {
  return (char *)model->parameters + parameter_bytes(&model->table, model->master, offset);
}

// Bytes of all its arrays, as it is laid out now; 0 of a model that does not train.
int64_t model_state_bytes(const struct model *model);
// Where the state of the parameter at an offset of the table is in an array of the optimizer's state; NULL: it has
// none.
void *model_state(const struct model *model, int array, int64_t offset);

// Whether the format has begun after `step` updates. A format that begins later ({after: SHARE, then: ...}) holds for
// the update number `format_begins` (from 0) and those that follow; before it the model is one without a format, in
// every respect. step 0 of a model that only evaluates: not known, as at the end.
bool model_has_format(const struct model *model, int64_t step);
// Lays the model out as it is after `step` updates. Where that changes anything its values are undefined afterwards.
bool model_take_phase(struct model *model, int64_t step, struct error *error);
// Between updates format_begins and format_begins + 1: the same, values kept. Scales that the format learns are not set
// yet, so that they are taken from the weights and activations that are there; their moments are 0.
bool model_begin_format(struct model *model, struct error *error);

// Initial weights by the table, from the run's seed; moments are cleared; weights are prepared.
void model_initialise(struct model *model, uint64_t seed);
// Makes the weights ready after the parameters changed; `step` is the number of updates done.
void model_prepare(struct model *model, int64_t step);

// A batch on the host: `rows` tokens in whole sequences.
struct token_batch {
  int64_t rows;
  const int32_t *tokens, *targets;
  const uint8_t *mask;  // NULL: every target counts
};

// One micro-batch: forward and backward. Adds to the gradients (`first`: replaces them), and to loss slot `slot`
// (`first`: starts it at 0). `gradient_scale` is 1 / unmasked targets of the whole step; `first_row` the number of
// tokens of the step's earlier micro-batches. batch->rows is model->rows.
void model_gradient(struct model *model, const struct token_batch *batch, double gradient_scale, int64_t first_row,
                    bool first, int slot);
// Turns the summed gradients, which belong to the represented weights, into those of the masters, by the format's
// estimators. Once, before they are used.
void model_finish_gradients(struct model *model);
// The optimizer step from the summed gradients: finishes them, norm, clip, optimizer, new weights prepared. `step`
// counts from 0. The norm's square goes to slot `slot`.
void model_update(struct model *model, double lr, int64_t step, int slot);

// One whole training step of `batch` (accumulation * model->rows tokens): gradients of all micro-batches, update.
// `targets` is the number of unmasked targets in it (at least 1).
void model_step(struct model *model, const struct token_batch *batch, int64_t targets, double lr, int64_t step,
                int slot);

// Waits, and reads the results of `count` slots: mean loss of a step is sums[i].nats / sums[i].targets, the gradient's
// norm before clipping sqrt(square_sums[i]); square_sums NULL: gradients that no update used have none.
bool model_results(struct model *model, int count, struct loss_sum *sums, double *square_sums, struct error *error);

// Forward only, on `rows` tokens (at most model->evaluation_rows, whole sequences), up to the final norm:
// model->final_x.
bool model_forward(struct model *model, int64_t rows, const int32_t *tokens, struct error *error);

// Forward only, on at most model->evaluation_rows tokens in whole sequences: adds to *sum (host memory). `first_row` is
// the number of tokens evaluated before these, which keys what is random. row_nats, when not NULL, gets each row's loss
// (host, [rows]).
bool model_evaluate(struct model *model, const struct token_batch *batch, int64_t first_row, struct loss_sum *sum,
                    float *row_nats, struct error *error);

// Puts in place of the matrices' masters what the forward products multiply by after `step` updates: represented by the
// format, transformed back where it rotates, rounded to the products' type. Forward passes of this model are undefined
// afterwards (the weights are not prepared anew).
bool model_represent(struct model *model, int64_t step, struct error *error);
