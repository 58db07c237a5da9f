// How a format enters a linear layer y = x W^T: what each of a backend's entries has to do. Plain data that every
// backend reads the same way; kernels/cpu/linear_format.c is one that does it.
//
// Forward. Each represented operand is q(x) = round(sparsify(x H)). When weights and activations have the same
// transform the product is taken of the transformed operands, since x H (W H)^T = x W^T (`rotated`); otherwise a
// represented operand is transformed back, q(x) H^T, and the product is of operands where they were.
//
// Backward of the forward's operands (BACKWARD_FORWARD): d_x = (mask_x * (d_y W_q)) H^T and
// d_W = (mask_w * (d_y^T x_q)) H^T, with the masks of the estimators; H^T only where the operand was rotated. A weight
// that was transformed back has its gradient transformed first: d_W = (mask_w * (d_y^T x_q H)) H^T. The gradient d_y,
// where it is represented, is represented along the axis that is summed over: outputs for d_x, tokens for d_W; with a
// transform of its own it is transformed back.
//
// BACKWARD_REQUANTIZE (Quartet): both operands of a backward product are represented by the gradients' representation
// along its axis, after the same transform over that axis (random signs: drawn anew each step), which cancels.
// BACKWARD_TOKENS (NVIDIA's NVFP4): d_x of the forward's weights and of gradients represented along outputs without a
// transform; d_W of unrepresented activations and of gradients, both represented along tokens after the gradients'
// transform, which cancels.
// BACKWARD_ORIGINAL (HALO): the weights and activations of the backward products are represented without their
// transform.
//
// Activations and gradients are seen by windows, one sequence each (struct linear): a scale of the whole operand is one
// of a window, and along tokens an axis is the window's, with its transform, its groups and its rows' scales. So what a
// sequence becomes does not depend on how many others are in the call.
#pragma once
#include "kernels/formats/quantize.h"

struct linear_format {
  const struct format *format;
  int64_t outputs, inputs;
  int parts;  // at least 1: stacked matrices, whose scales per tensor and selections are their own
  int64_t part_outputs[WEIGHT_PARTS];
  bool has_weights, has_activations, has_gradients;
  struct quantizer weights, activations;              // along inputs
  struct quantizer plain_weights, plain_activations;  // BACKWARD_ORIGINAL: without the transform
  struct quantizer gradients;                         // along outputs, for d_x
  struct representation activations_of_tokens;        // BACKWARD_TOKENS: of the activations along tokens, for d_W
  bool rotated;                                       // the forward product is of transformed operands
  int block;                                          // ... by blocks of this
  bool random_signs;
  bool weights_back, activations_back;      // transformed back after rounding
  bool weights_masked, activations_masked;  // the estimator has a condition
  bool gradients_once;                      // represented alike along every axis: once serves both products
  uint64_t seed;
  uint32_t number;
  int64_t steps;  // of the training, for schedules
};

// False and an error when the format does not fit the shape. The description's format is not none.
bool linear_format_make(struct linear_format *plan, const struct weight_description *description, struct arena *arena,
                        struct error *error);
// The gradients' quantizer along an axis of `tokens`, for d_W.
bool linear_format_token_quantizer(const struct linear_format *plan, int64_t tokens, struct quantizer *quantizer,
                                   struct arena *arena, struct error *error);
// That of the other operand of d_W: the same, but with BACKWARD_TOKENS that of activations_of_tokens.
bool linear_format_token_activations(const struct linear_format *plan, int64_t tokens, struct quantizer *quantizer,
                                     struct arena *arena, struct error *error);
// Whether both operands of d_W are represented along tokens, by a transform that stays.
static inline bool linear_format_along_tokens(const struct linear_format *plan) {
  return plan->format->backward == BACKWARD_REQUANTIZE || plan->format->backward == BACKWARD_TOKENS;
}

// What randomness of one operand is keyed by. Signs of the forward's transform are those of OPERAND_WEIGHTS.
enum random_operand { RANDOM_WEIGHTS, RANDOM_ACTIVATIONS, RANDOM_GRADIENTS_OUTPUTS, RANDOM_GRADIENTS_TOKENS };
struct random_place linear_format_place(const struct linear_format *plan, enum random_operand operand, int64_t step,
                                        int64_t first_row);

// The tokens of a window of this call, and its windows as rows of [rows, inputs] or [rows, outputs].
int64_t linear_format_window(const struct linear *linear);
struct row_windows linear_format_windows(const struct linear *linear);
// The windows of a transposed operand, [axis, rows]: it is seen as [axis * windows, window].
struct row_windows linear_format_turns(const struct linear_format *plan, const struct linear *linear, int64_t axis);
// The number of the first row of d_y^T in it (struct random_place); the rows of x^T come `outputs` later.
int64_t linear_format_first_turn(const struct linear_format *plan, const struct linear *linear);
// False and an error when the call is not of whole windows that begin where one begins.
bool linear_format_windows_fit(const struct linear *linear, struct error *error);

// Bytes that forward keeps for backward: the represented activations, their mask bits, and for learned scales the
// activations as they were.
struct saved_layout {
  size_t values, mask, copy, total;  // sizes, in this order
};
struct saved_layout linear_format_saved(const struct linear_format *plan, int64_t rows, enum dtype dtype);
