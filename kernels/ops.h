// The ops table: everything a trainer computes, at fused granularity, on memory that the host never touches.
//
// A backend (CPU, CUDA) is one `struct ops` of function pointers, found by name; a device is opened from it. Rules that
// hold for every entry:
//
// - Device memory comes from `allocate` and is addressed by ordinary pointers, which the host computes with (offsets
//   into an arena) and never dereferences: it uses upload, download, copy and clear.
// - Entries run in order on the device and may return before they are done. They return nothing: the first failure is
//   kept by the device, makes later entries do nothing, and comes out of `synchronize` and `download`.
// - Matrices are row-major. `rows` counts tokens: sequences * context, a sequence's tokens adjacent.
// - `dtype` is the type of activations and of their gradients. The residual stream and its gradient, norm weights,
//   gradients of master weights and statistics are float32 whatever it is; sums of losses and of squares are double.
//   Master weights and optimizer state have types of their own.
// - Every result is a fixed function of the arguments, the device's thread count and the machine: no atomics where
//   order matters, no clock. An entry's own scratch is the device's workspace (see `workspace_bytes`).
// - Subnormal float32 values may be read and written as zero.
// - "in place" is allowed only where a comment says so.
//
// Names: gradients are d_ and the name of what they are the gradient of.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

enum dtype {
  DTYPE_FLOAT32,
  DTYPE_BFLOAT16,
};
size_t dtype_bytes(enum dtype dtype);
const char *dtype_name(enum dtype dtype);              // "float32", "bfloat16"
bool dtype_find(const char *name, enum dtype *dtype);  // false when there is none of that name
#define DEVICE_ALIGNMENT 64                            // bytes; what arenas round offsets up to

struct device;        // an opened device: threads, workspace, caches, first error
struct device_group;  // several that hold the same model
struct weight;        // a weight matrix prepared for its products
struct format;        // a representation of weights, activations and gradients; NULL means `none`

struct device_options {
  int threads;       // at least 1; 0 means 1
  int number;        // which one, where there are several
  const char *isa;   // CPU: a level's name (cpu/isa.h); NULL: environment variable ISOLOSS_ISA, else the best there is
  const char *gemm;  // CPU: who multiplies, by a name of kernels/cpu/gemm.h; NULL: environment variable ISOLOSS_GEMM,
                     // else "auto"
};

// What a weight matrix is. Its master copy is [outputs, inputs], as Hugging Face stores it: y = x W^T.
#define WEIGHT_PARTS 4
struct weight_description {
  int64_t outputs, inputs;
  // A matrix may be several stacked ones (query, key, value; gate, up): scales "per tensor" are per part. parts 0 means
  // one part of all outputs.
  int parts;
  int64_t part_outputs[WEIGHT_PARTS];
  enum dtype dtype;             // of the products
  enum dtype master;            // of the master copy: float32, or bfloat16 with products in bfloat16
  const struct format *format;  // NULL: none
  uint64_t seed;                // with `number`, keys the format's randomness
  uint32_t number;              // of the tensor within the model
  int64_t steps;                // of the whole training: what a format's schedule counts against
};

// Kinds of work, for planning.
enum op_kind {
  OP_EMBEDDING,
  OP_RMSNORM,
  OP_QKV,
  OP_ATTENTION,
  OP_SWIGLU,
  OP_LINEAR,
  OP_HEAD,
  OP_OPTIMIZER,
  OP_ORTHOGONALIZE,
  OP_GROUP
};
struct op_shape {
  int64_t rows;                       // tokens of a call; OP_OPTIMIZER: elements of the largest tensor;
                                      // OP_ORTHOGONALIZE: rows of the matrix; OP_GROUP: numbers of the largest sum
  int64_t width;                      // EMBEDDING, RMSNORM, HEAD: residual width; SWIGLU: hidden width;
                                      // ORTHOGONALIZE: columns
  int64_t context;                    // QKV, ATTENTION; LINEAR: struct linear's window
  int64_t heads, kv_heads, head_dim;  // QKV, ATTENTION
  int64_t vocabulary;                 // EMBEDDING, HEAD
  int64_t ranks;                      // GROUP: devices
  enum dtype dtype;
  const struct weight_description *weight;  // LINEAR, HEAD
  bool training;                            // false: forward only
};

// One call of a linear layer.
struct linear {
  struct weight *weight;
  int64_t rows;
  int64_t
      first_row;  // number of row 0 within the optimizer step: keys stochastic rounding, so that micro-batches differ
  // Rows of a sequence, in whole ones, which share what a format measures of a whole operand and cut its axis of
  // tokens; 0: all rows are one. Whatever rows a call has, a sequence in it comes out alike.
  int64_t window;
  enum dtype dtype;  // of x, y and their gradients: that of the weight's description
};

// Shapes of attention. q and o have `heads`, k and v `kv_heads` (a divisor: query head h reads key head h / (heads /
// kv_heads)). q [sequences, heads, context, head_dim]; k, v likewise with kv_heads. head_dim is even, at most 256 on
// the CPU, 128 on CUDA.
struct attention {
  int64_t sequences, context, heads, kv_heads, head_dim;
  enum dtype dtype;
};

// Keys and values that are kept of earlier rows, for attention of new ones: k and v [sequences, kv_heads, capacity,
// head_dim], of which the first `keys` rows are there. The new rows' own keys are among these or, with `all`, need not
// be.
struct attention_cache {
  int64_t capacity, keys;
  bool all;    // every row sees all keys; else the rows are the last ones: row i sees keys - context + i + 1 of them
  bool merge;  // o and log_sum hold attention of the same rows over other keys: afterwards they hold it over both
};

// One pass of the output head over a batch: logits = x W^T, cross-entropy in nats against the targets.
struct head {
  struct weight *weight;  // [vocabulary, width]
  int64_t rows;
  enum dtype dtype;      // of x and d_x
  float gradient_scale;  // d_logits = (softmax - onehot(target)) * gradient_scale on unmasked rows, 0 on masked ones;
                         // 1 / (unmasked targets of the whole step) makes it the gradient of the mean loss
};

// Sums over the unmasked rows; accumulated, so that micro-batches add up. Lives in device memory.
struct loss_sum {
  double nats;      // sum of -ln p(target)
  int64_t targets;  // unmasked rows
};

// AdamW with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2, with the learning rate multiplying the
// decay as PyTorch does). With g = gradient * gradient_scale * clip factor:
//   m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
//   p <- p - lr * weight_decay * p - lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)
// The clip factor is min(1, clip_norm / norm), norm = gradient_scale * sqrt(*square_sum): all on the device, so that no
// step waits for the host. clip_norm 0: no clipping.
// m and v are kept in float32, or in bfloat16: calculated in float32 and rounded to nearest even, or stochastically
// (`stochastic`; Philox by seed, step and element: with r the 16 bits of the element's word, the lower ones for m, the
// upper ones for v, the bits of the float32 are raised by r and cut).
// So is p, by a stream of its own: block element / 8, of which the element has half of word element % 8 / 2, the lower
// one where it is even.
struct adamw {
  double lr, beta1, beta2, eps, weight_decay;
  int64_t step;  // 1 for the first
  double gradient_scale;
  double clip_norm;
  bool stochastic;
  uint64_t seed;
};
struct optimizer_tensor {
  void *parameter;  // of `master`
  const float *gradient;
  void *m, *v;  // of `state`
  int64_t count;
  bool decay;        // whether weight_decay applies
  enum dtype state;  // float32 unless said
  int64_t first;     // number of element 0 among all elements of the model: keys stochastic rounding
  enum dtype master;
  // Of momentum_step alone. parameter NULL: the direction is written there, which may be `gradient`, and nothing moves.
  float *direction;
  double lr_scale;  // what the learning rate of the direction, not of the decay, is multiplied by; 0 means 1
};

// Optimizers of one moment, and of none. With g as for AdamW, c = beta1 m + share1 g:
//   d = c, and m <- c; with `nesterov` d = beta1 c + share1 g
//   with `sign` (Lion: Chen et al. 2023, algorithm 2) d = sign(c), of 0 it is 0; m <- beta2 m + (1 - beta2) g
//   p <- p - lr * weight_decay * p - lr * lr_scale * d
// share1 1 is momentum as PyTorch's SGD has it (Sutskever et al. 2013), 1 - beta1 the mean that Muon takes. Tensors
// without m have m = 0 at every step. Types and rounding of m and p as for AdamW.
struct momentum {
  double lr, beta1, share1, beta2, weight_decay;
  bool nesterov, sign;
  int64_t step;
  double gradient_scale;
  double clip_norm;
  bool stochastic;
  uint64_t seed;
};
// The quintic iteration that brings the singular values of a matrix near 1 (Jordan et al. 2024, Muon; the coefficients
// are PyTorch's torch.optim.Muon's): X is divided by max(its norm, 1e-7), then `steps` times, with A = X X^T (of a tall
// matrix X^T X, from the right),
//   X <- a X + (b A + c A A) X
#define ORTHOGONALIZE_A 3.4445
#define ORTHOGONALIZE_B -4.7750
#define ORTHOGONALIZE_C 2.0315
#define ORTHOGONALIZE_LEAST_NORM 1e-7
#define NORMALIZE_ROWS_EPSILON 1e-10
// How much of a matrix a direction has: the sum of its coefficients' magnitudes, or of their squares.
enum dct_score { DCT_SCORE_L1, DCT_SCORE_L2 };
enum dct_path { DCT_PRODUCT, DCT_FAST };  // how coefficients are found

// Forms of a matrix product, row-major.
enum gemm_form {
  GEMM_NT,  // C [m, n] = A [m, k] B^T, B [n, k]: a layer forward
  GEMM_NN,  // C [m, n] = A [m, k] B,   B [k, n]: the gradient of its input
  GEMM_TN,  // C [m, n] = A^T B, A [k, m], B [k, n]: the gradient of its weights
};

struct tensor_span {
  const float *data;
  int64_t count;
};
#define LEARNED_SCALES 16  // floats that a weight with a learned scale takes; not all are used
struct pruned_weight {
  struct weight *weight;
  void *master;  // as the weight's description says
  void *m, *v;   // of `state`; NULL: none
  enum dtype state;
};

#define REPEAT_SEQUENCES 3

struct ops {
  const char *name;  // "cpu", "cuda"

  // ---- devices ----
  // Whether the machine has such a device for this process to see, usable or not. May be NULL: yes.
  bool (*present)(void);
  // Opens a device; NULL and an error (EXIT_ENVIRONMENT, or EXIT_USAGE_ERROR for an unknown option value) when it
  // cannot be. The caller closes it, after freeing what it allocated.
  struct device *(*open)(const struct device_options *options, struct error *error);
  void (*close)(struct device *device);
  // One line for logs and results: instruction set or GPU, libraries and versions, threads.
  void (*describe)(const struct device *device, struct text *out);
  // What was chosen so far by measurement and may change results in their last bits, as one short text that is the same
  // where the choices are; "" for nothing. May be NULL.
  void (*choices)(const struct device *device, struct text *out);
  // Whether products in this dtype run at all, and whether they are faster than in float32: what `auto` asks.
  bool (*dtype_supported)(const struct device *device, enum dtype dtype);
  bool (*dtype_fast)(const struct device *device, enum dtype dtype);
  // Whether the kernels take these shapes; the error names what is allowed.
  bool (*shape_supported)(const struct device *device, enum op_kind kind, const struct op_shape *shape,
                          struct error *error);

  // ---- memory ----
  // Memory aligned to DEVICE_ALIGNMENT, not cleared; NULL and an error when there is not enough.
  void *(*allocate)(struct device *device, size_t bytes, struct error *error);
  void (*free)(struct device *device, void *memory);
  // Bytes that can still be allocated; -1 when that is not known. May be NULL: never known.
  int64_t (*available)(struct device *device);
  void (*upload)(struct device *device, void *to, const void *from_host, size_t bytes);
  // Waits for all that was asked before, then copies. False with the device's first error.
  bool (*download)(struct device *device, void *to_host, const void *from, size_t bytes, struct error *error);
  void (*copy)(struct device *device, void *to, const void *from, size_t bytes);  // no overlap
  void (*clear)(struct device *device, void *memory, size_t bytes);
  // Waits until all that was asked is done. False with the first error since the device was opened.
  bool (*synchronize)(struct device *device, struct error *error);
  // ---- clocks ----
  // The device's own clock, for what takes less time than waiting for it does. mark: the moment at which all that was
  // asked so far is done becomes that of `slot`, 0 or 1. between: seconds from one to the other; waits for the later;
  // NAN when one was not set. Not while work is repeated. Both NULL: the host's clock after synchronize does.
  void (*mark)(struct device *device, int slot);
  double (*between)(struct device *device, int from, int to);
  // FLOP/s (a multiplication and an addition are two) of a large square matrix product in this dtype, by the fastest
  // way that the device has, measured now; NAN where it cannot be. NULL: not measured. Not while work is repeated.
  double (*product_peak)(struct device *device, enum dtype dtype);

  // Elementwise conversion between dtypes (round to nearest even).
  void (*convert)(struct device *device, int64_t count, enum dtype from_dtype, const void *from, enum dtype to_dtype,
                  void *to);

  // ---- workspace ----
  // Scratch that entries of this kind and shape use, forward and backward. The caller takes the largest over all its
  // calls, allocates that much once, and hands it over before the first call; it stays the caller's.
  size_t (*workspace_bytes)(const struct device *device, enum op_kind kind, const struct op_shape *shape);
  void (*set_workspace)(struct device *device, void *memory, size_t bytes);

  // How many rows it likes to be given at a time where entries that work row by row follow each other (linear layers
  // without a format, norms, SwiGLU): what one writes is then still in its caches when the next reads it, and results
  // have the same bits. 0: all. May be NULL: 0.
  int64_t (*rows_at_a_time)(const struct device *device, enum dtype dtype);

  // ---- repeated work ----
  // All three may be NULL: a backend that gains nothing by it. Between repeat_begin and repeat_end stand calls that are
  // made again and again, such as a training step: each time the same entries in the same order, with the same shapes
  // and addresses of device memory. Only the bytes of uploads, a head's gradient_scale, the numbers of `adamw` and the
  // step of weights_prune and weight_prepare, which is another one each time, may differ; nothing in between downloads,
  // allocates or waits. Where a step makes other calls than most do, as formats with a schedule ask for
  // (format_sequence of kernels/formats/format.h), it is another sequence: each has a number below REPEAT_SEQUENCES.
  // The backend may record a sequence and issue it as one piece of work; a call that differs from what it recorded is
  // the device's failure. repeat_forget ends all of them, before any memory that they use is freed.
  void (*repeat_begin)(struct device *device, int sequence);
  void (*repeat_end)(struct device *device);
  void (*repeat_forget)(struct device *device);

  // ---- groups of devices ----
  // Devices of one process that work on the same thing, each driven by a thread of its own. All but add_losses are NULL
  // on a backend without.
  // Makes devices 0 to ranks - 1 a group (2 at least), each with the rank of its place; all must be alike. NULL and an
  // error when they cannot be connected. Closed before its devices are, while nobody uses them.
  struct device_group *(*group_open)(struct device *const *devices, int ranks, struct error *error);
  void (*group_close)(struct device_group *group);
  // The device can take no further part, for this reason: all of the group fail with it, and nobody waits for this one.
  // NULL: where the device has failed, its failure. To be called when a rank's work ends, by its thread.
  void (*group_leave)(struct device *device, const char *why);
  // Entries that every rank calls, in the same order with the same sizes. Where ranks disagree, one fails or never
  // comes (for ISOLOSS_GROUP_TIMEOUT seconds), all devices of the group fail, with an error that says which and why.
  // They may be repeated work. sum [count] = before + the parts of rank 0, 1, ..., added up in this order, so that the
  // bits are the same however devices are connected, and those of as many parts that one device adds. before NULL: the
  // sum begins with rank 0's part. sum may be part or before. Scratch: the workspace (OP_GROUP; with less it adds up
  // smaller pieces).
  void (*group_sum)(struct device *device, int64_t count, const float *before, const float *part, float *sum);
  // all [ranks, bytes] = every rank's part. No overlap.
  void (*group_gather)(struct device *device, size_t bytes, const void *part, void *all);
  // *sum = the sum of `count` parts (1 at least), added up in order.
  void (*add_losses)(struct device *device, int count, const struct loss_sum *parts, struct loss_sum *sum);

  // ---- weights ----
  // Device bytes that a prepared weight keeps in addition to its master (packed, quantized, laid out; may be 0).
  size_t (*weight_bytes)(const struct device *device, const struct weight_description *description);
  // A handle over `memory` (weight_bytes of it, the caller's, until weight_free). NULL and an error when the format or
  // the shape cannot be had.
  struct weight *(*weight_create)(struct device *device, const struct weight_description *description, void *memory,
                                  struct error *error);
  void (*weight_free)(struct device *device, struct weight *weight);
  // Gives a weight with a learned scale (LSQ) its parameters and their gradients: LEARNED_SCALES scales in device
  // memory, which the optimizer moves like other parameters (no decay). Entry i < WEIGHT_PARTS is part i's,
  // WEIGHT_PARTS the activations'. 0 means not set: the first weight_prepare or linear_forward sets it from its data. A
  // scale that became negative stands for its magnitude. Gradients are added: the weights' by weight_gradient_finish,
  // the activations' by linear_input_gradient. d_values may be NULL (no training).
  void (*weight_learned)(struct device *device, struct weight *weight, float *values, float *d_values);
  // Prunes sparse weights for `step`, before weight_prepare and with all weights of the model at once, since one
  // threshold may hold for several. Where masks stay (a format's `monotone`), what is pruned is set to 0 in the master
  // and in both moments, so that it never comes back; otherwise only the choice is kept. m and v may be NULL (no
  // moments). Nothing for formats without sparse weights. The array is the host's.
  void (*weights_prune)(struct device *device, const struct pruned_weight *weights, int count, int64_t step);
  // Makes the weight ready for products from its master values: once after initialisation or loading, and once after
  // each optimizer step. The master stays where it is and unchanged until the next call. `step` keys randomness.
  void (*weight_prepare)(struct device *device, struct weight *weight, const void *master, int64_t step);
  // Turns the sum of a step's weight gradients (with respect to the represented weight) into the gradient of the master
  // by the format's estimator, in place. Once per optimizer step, before norms. Nothing for `none`.
  void (*weight_gradient_finish)(struct device *device, struct weight *weight, float *d_weight);

  // ---- linear: y [rows, outputs] = x [rows, inputs] W^T ----
  // Bytes that forward keeps for backward in addition to x itself (0 for `none`; then `saved` may be NULL).
  size_t (*linear_saved_bytes)(const struct device *device, const struct weight_description *description, int64_t rows);
  void (*linear_forward)(struct device *device, const struct linear *linear, const void *x, void *saved, void *y);
  // d_x [rows, inputs] = d_y W
  void (*linear_input_gradient)(struct device *device, const struct linear *linear, const void *saved, const void *d_y,
                                void *d_x);
  // d_weight [outputs, inputs] float32 (+)= d_y^T x
  void (*linear_weight_gradient)(struct device *device, const struct linear *linear, const void *x, const void *saved,
                                 const void *d_y, float *d_weight, bool accumulate);

  // ---- embedding ----
  // residual [rows, width] float32 = table [vocabulary, width] float32 at tokens [rows].
  void (*embedding_forward)(struct device *device, int64_t rows, int64_t width, int64_t vocabulary,
                            const int32_t *tokens, const float *table, float *residual);
  // d_table += d_residual summed by token, in row order.
  void (*embedding_backward)(struct device *device, int64_t rows, int64_t width, int64_t vocabulary,
                             const int32_t *tokens, const float *d_residual, float *d_table);

  // ---- RMSNorm with residual add (Zhang & Sennrich 2019) ----
  // residual_out = residual_in + branch;  inverse_rms [rows] = (mean(residual_out^2) + eps)^-1/2;
  // y = residual_out * inverse_rms * scale.  branch and y are of `dtype`, the rest float32. branch may be NULL (0);
  // residual_out may be residual_in, and with branch NULL it may be NULL (residual_in is then the saved input).
  void (*rmsnorm_forward)(struct device *device, int64_t rows, int64_t width, float eps, enum dtype dtype,
                          const float *residual_in, const void *branch, const float *scale, float *residual_out,
                          void *y, float *inverse_rms);
  // Backward, from `residual` (= residual_out) and inverse_rms: d_residual_in = d_residual_out + (gradient through the
  // norm of d_y), which is the gradient of the branch as well; d_scale [width] += ... d_residual_out may be NULL (0)
  // and may be d_residual_in (in place). d_branch, when not NULL, gets d_residual_in once more in `dtype`.
  void (*rmsnorm_backward)(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const float *residual,
                           const float *inverse_rms, const float *scale, const void *d_y, const float *d_residual_out,
                           float *d_residual_in, void *d_branch, float *d_scale);

  // ---- QKV split with rotary positions (Su et al. 2021; half-split as Hugging Face's Llama) ----
  // table [context, head_dim] float32: cos of the head_dim / 2 angles position * theta^(-2 i / head_dim), then their
  // sines. Once per run.
  void (*rope_table)(struct device *device, int64_t context, int64_t head_dim, double theta, float *table);
  // qkv [rows, (heads + 2 kv_heads) * head_dim], queries of all heads first, then keys, then values, to q, k, v in
  // attention's layout, with q and k rotated: (a, b) -> (a cos - b sin, b cos + a sin) for halves a, b of a head.
  void (*qkv_forward)(struct device *device, const struct attention *shape, const void *qkv, const float *table,
                      void *q, void *k, void *v);
  void (*qkv_backward)(struct device *device, const struct attention *shape, const void *d_q, const void *d_k,
                       const void *d_v, const float *table, void *d_qkv);

  // ---- causal attention ----
  // o [rows, heads * head_dim] = softmax(q k^T / sqrt(head_dim), causal) v, in the linear layers' layout;
  // log_sum [sequences, heads, context] float32 = ln of the softmax's denominator (of the scaled scores).
  void (*attention_forward)(struct device *device, const struct attention *shape, const void *q, const void *k,
                            const void *v, void *o, float *log_sum);
  // The same of new rows alone, forward only: q [sequences, heads, context, head_dim] with `context` new rows of each
  // sequence, o and log_sum likewise; at least one key is there. NULL: this backend has none.
  void (*attention_cached)(struct device *device, const struct attention *shape, const struct attention_cache *cache,
                           const void *q, const void *k, const void *v, void *o, float *log_sum);
  void (*attention_backward)(struct device *device, const struct attention *shape, const void *q, const void *k,
                             const void *v, const void *o, const float *log_sum, const void *d_o, void *d_q, void *d_k,
                             void *d_v);

  // ---- SwiGLU (Shazeer 2020) ----
  // gate_up [rows, 2 * width]: gate, then up.  y [rows, width] = gate * sigmoid(gate) * up.
  void (*swiglu_forward)(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                         void *y);
  // d_gate_up may be gate_up (in place). y, when not NULL, gets the forward result again (for recomputation); it may be
  // d_y.
  void (*swiglu_backward)(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                          const void *d_y, void *d_gate_up, void *y);

  // ---- output head with cross-entropy ----
  // Loss and gradients in one pass over tiles of rows: the batch's logits never exist at once. targets [rows]; mask
  // [rows], 0 where a row does not count, or NULL. *sum is added to. d_x [rows, width] is written, d_weight
  // [vocabulary, width] float32 (+)= by `accumulate`. row_nats [rows] float32, when not NULL, gets each row's loss (0
  // on masked rows).
  void (*head_loss)(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                    const uint8_t *mask, struct loss_sum *sum, float *row_nats, void *d_x, float *d_weight,
                    bool accumulate);
  // The loss alone.
  void (*head_evaluate)(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                        const uint8_t *mask, struct loss_sum *sum, float *row_nats);

  // ---- optimizer ----
  // *sum (device memory) = sum of squares of all spans' elements, in double, in a fixed order. The array is the host's.
  void (*square_sum)(struct device *device, const struct tensor_span *spans, int count, double *sum);
  // The step over all tensors. square_sum (device memory) may be NULL when clip_norm is 0. The array is the host's.
  void (*adamw_step)(struct device *device, const struct adamw *adamw, const struct optimizer_tensor *tensors,
                     int count, const double *square_sum);
  // The same with one moment; see struct momentum.
  void (*momentum_step)(struct device *device, const struct momentum *momentum, const struct optimizer_tensor *tensors,
                        int count, const double *square_sum);

  // x [rows, columns], in place, by the iteration above, in float32 products.
  void (*orthogonalize)(struct device *device, int64_t rows, int64_t columns, int steps, float *x);
  // Divides each row of x [rows, columns], in place, by the root of a mean of its mean squares, and all of it by what
  // makes its norm what it was (NorMuon: Li et al. 2025, as its authors' code has it): with s the mean square of a row,
  //   v <- beta2 v + (1 - beta2) s;  row <- row / (sqrt(v) + e);  x <- x * norm before / (norm after + e)
  // e = NORMALIZE_ROWS_EPSILON. v [rows].
  void (*normalize_rows)(struct device *device, int64_t rows, int64_t columns, double beta2, float *v, float *x);

  // ---- what steps on single matrices are made of (trainer/optimizers): float32 ----
  // c = the product of that form, or c += it. No overlap with a or b.
  void (*product)(struct device *device, enum gemm_form form, int64_t m, int64_t n, int64_t k, const float *a,
                  const float *b, float *c, bool accumulate);
  // to = keep to + share from; with keep 0 `to` is not read.
  void (*mix)(struct device *device, int64_t count, float *to, float keep, const float *from, float share);
  // Row i of `to` [rows, columns] (column i with `by_column`) = row order[i] of `from`, 0 where order[i] is below 0.
  // No overlap; order is device memory, its entries are below rows (columns).
  void (*gather)(struct device *device, int64_t rows, int64_t columns, bool by_column, const int32_t *order,
                 const float *from, float *to);
  // Directions of the discrete cosine transform on the smaller side of a matrix (of a square one, on its columns): with
  // n that side, q_k(i) = sqrt(2 / n) cos(pi k (2 i + 1) / (2 n)), q_0 over sqrt(2). chosen [rank, at most n] = those k
  // on which the coefficients of x [rows, columns] have the largest scores, of equal ones the first, ascending (arXiv
  // 2505.17967, with DCT-II); basis [rank, n] = their q_k. came_from [rank], when not NULL: where each stood in what
  // `chosen` was, -1 where it was not there. x NULL: nothing is chosen, the basis alone is written. DCT_FAST finds the
  // coefficients by a fast transform on the host (kernels/fast_dct.h), in double, and waits for what was asked before:
  // not between repeat_begin and repeat_end. In a build without KISS FFT it is the device's error.
  void (*dct_basis)(struct device *device, int64_t rows, int64_t columns, int64_t rank, enum dct_score score,
                    enum dct_path path, const float *x, int32_t *chosen, int32_t *came_from, float *basis);
  // Adam's moments m, v [rank, count] carried over to other directions (LDAdam: Robert et al. 2025): with P [rank,
  // rank] the products of new directions with old ones, c1 and c2 what both moments lack (1 - beta^steps),
  //   m_to = P m;  v_to = | c2 (P o P (v / c2 - (m / c1)^2) + (m_to / c1)^2) |, products o and squares by element
  void (*rotate_moments)(struct device *device, int64_t rank, int64_t count, const float *rotation, double c1,
                         double c2, const float *m, const float *v, float *m_to, float *v_to);
  // The next two work on the host by LAPACK, on one thread and in double, and wait for what was asked before: not
  // between repeat_begin and repeat_end.
  // Makes the rows of x [rank, side], rank at most side, orthonormal from the first on (QR with a positive diagonal).
  // `by` [rank, side], when not NULL: they are taken by decreasing product with the row of `by` of the same number, of
  // equal ones the first, and order [rank] says the number that each had.
  void (*orthonormalize)(struct device *device, int64_t rank, int64_t side, float *x, const float *by, int32_t *order);
  // Replaces the symmetric positive semidefinite x [n, n] by its eigenvectors, a row each, by decreasing eigenvalue:
  // row i times (max(lambda_i, 0) + damping lambda_0)^exponent. With exponent 0 they are of length 1; of a matrix of
  // zeros with an exponent below 0 they are 0.
  void (*eigenvectors)(struct device *device, int64_t n, float *x, double exponent, double damping);

  // ---- initialisation ----
  // data[i] ~ N(0, std^2): element i is normal i % 2 of pair i / 2 of Philox (seed, RANDOM_STREAM_INIT, tensor), the
  // same on every backend.
  void (*fill_normal)(struct device *device, float *data, int64_t count, double std, uint64_t seed, uint32_t tensor);
  void (*fill_constant)(struct device *device, float *data, int64_t count, float value);
};

// The backend of that name ("cpu", "cuda"). NULL and an error (EXIT_USAGE_ERROR) that lists those of this build.
const struct ops *ops_find(const char *name, struct error *error);
