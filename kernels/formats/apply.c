// Plans of formats in linear layers; see apply.h.
#include "kernels/formats/apply.h"

#include <math.h>

static bool needs_mask(const struct quantizer *quantizer) {
  return (quantizer->grid != GRID_NONE && quantizer->limit < INFINITY) ||
         (quantizer->sparsity != SPARSITY_NONE && quantizer->backward != SPARSE_PASS);
}

static bool same_transform(const struct quantizer *a, const struct quantizer *b) {
  return a->hadamard_block > 1 && a->hadamard_block == b->hadamard_block && a->hadamard_random == b->hadamard_random;
}

// Rounding that does not look at places: the whole matrix has one scale and nothing else happens.
static bool alike_along_axes(const struct quantizer *q) {
  return q->unit == SCALE_PER_TENSOR && q->hadamard_block == 1 && q->rounding == ROUND_NEAREST &&
         q->sparsity == SPARSITY_NONE && q->grid != GRID_VECTOR && q->grid != GRID_NOISE;
}

bool linear_format_make(struct linear_format *plan, const struct weight_description *description, struct arena *arena,
                        struct error *error) {
  const struct format *format = description->format;
  *plan = (struct linear_format){.format = format,
                                 .outputs = description->outputs,
                                 .inputs = description->inputs,
                                 .parts = description->parts > 0 ? description->parts : 1,
                                 .seed = description->seed,
                                 .number = description->number,
                                 .steps = description->steps};
  for (int part = 0; part < description->parts; part++) plan->part_outputs[part] = description->part_outputs[part];
  if (description->parts == 0) plan->part_outputs[0] = description->outputs;

  const struct representation *w = &format->operands[OPERAND_WEIGHTS], *a = &format->operands[OPERAND_ACTIVATIONS],
                              *g = &format->operands[OPERAND_GRADIENTS];
  struct representation along_outputs = *g;
  if (format->backward == BACKWARD_TOKENS) along_outputs.hadamard.kind = HADAMARD_NONE;
  plan->has_weights = !representation_is_none(w);
  plan->has_activations = !representation_is_none(a);
  plan->has_gradients = !representation_is_none(g);
  if (!format_check_shape(format, plan->outputs, plan->inputs, 0, error) ||
      !quantizer_make(&plan->weights, w, plan->inputs, arena, error) ||
      !quantizer_make(&plan->activations, a, plan->inputs, arena, error) ||
      !quantizer_make(&plan->gradients, &along_outputs, plan->outputs, arena, error))
    return error_context(error, "format %s", format->name);
  plan->activations_of_tokens = *a;
  plan->activations_of_tokens.hadamard = g->hadamard;
  if (format->backward == BACKWARD_ORIGINAL) {
    struct representation plain[2] = {*w, *a};
    plain[0].hadamard.kind = plain[1].hadamard.kind = HADAMARD_NONE;
    if (!quantizer_make(&plan->plain_weights, &plain[0], plan->inputs, arena, error) ||
        !quantizer_make(&plan->plain_activations, &plain[1], plan->inputs, arena, error))
      return false;
  }
  plan->rotated = plan->has_weights && plan->has_activations && same_transform(&plan->weights, &plan->activations);
  if (plan->rotated) {
    plan->block = plan->weights.hadamard_block;
    plan->random_signs = plan->weights.hadamard_random;
  }
  plan->weights_back = plan->has_weights && !plan->rotated && plan->weights.hadamard_block > 1;
  plan->activations_back = plan->has_activations && !plan->rotated && plan->activations.hadamard_block > 1;
  plan->weights_masked = plan->has_weights && needs_mask(&plan->weights);
  plan->activations_masked = plan->has_activations && needs_mask(&plan->activations);
  plan->gradients_once = plan->has_gradients && alike_along_axes(&plan->gradients);
  return true;
}

bool linear_format_token_quantizer(const struct linear_format *plan, int64_t tokens, struct quantizer *quantizer,
                                   struct arena *arena, struct error *error) {
  if (!format_check_shape(plan->format, plan->outputs, plan->inputs, tokens, error))
    return error_context(error, "format %s", plan->format->name);
  return quantizer_make(quantizer, &plan->format->operands[OPERAND_GRADIENTS], tokens, arena, error);
}

bool linear_format_token_activations(const struct linear_format *plan, int64_t tokens, struct quantizer *quantizer,
                                     struct arena *arena, struct error *error) {
  if (plan->format->backward != BACKWARD_TOKENS)
    return linear_format_token_quantizer(plan, tokens, quantizer, arena, error);
  return quantizer_make(quantizer, &plan->activations_of_tokens, tokens, arena, error);
}

struct random_place linear_format_place(const struct linear_format *plan, enum random_operand operand, int64_t step,
                                        int64_t first_row) {
  return (struct random_place){plan->seed, (uint64_t)step, (uint64_t)plan->number * 4 + operand, first_row};
}

int64_t linear_format_window(const struct linear *linear) { return linear->window > 0 ? linear->window : linear->rows; }

struct row_windows linear_format_windows(const struct linear *linear) {
  int64_t window = linear_format_window(linear);
  return (struct row_windows){.count = window > 0 ? linear->rows / window : 1, .rows = window};
}

struct row_windows linear_format_turns(const struct linear_format *plan, const struct linear *linear, int64_t axis) {
  return (struct row_windows){.count = linear_format_windows(linear).count,
                              .rows = axis,
                              .in_turns = true,
                              .stride = plan->outputs + plan->inputs};
}

int64_t linear_format_first_turn(const struct linear_format *plan, const struct linear *linear) {
  int64_t window = linear_format_window(linear);
  return linear->first_row / (window > 0 ? window : 1) * (plan->outputs + plan->inputs);
}

bool linear_format_windows_fit(const struct linear *linear, struct error *error) {
  int64_t window = linear->window;
  if (window <= 0 || (linear->rows % window == 0 && linear->first_row % window == 0)) return true;
  return error_set(error, EXIT_ENVIRONMENT, "a linear layer's %lld rows from %lld on are not whole windows of %lld",
                   (long long)linear->rows, (long long)linear->first_row, (long long)window);
}

struct saved_layout linear_format_saved(const struct linear_format *plan, int64_t rows, enum dtype dtype) {
  struct saved_layout layout = {0};
  if (plan->has_activations) {
    size_t bytes = (size_t)(rows * plan->inputs) * dtype_bytes(dtype);
    layout.values = (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
    if (plan->activations_masked)
      layout.mask =
          ((size_t)(rows * mask_stride(plan->inputs)) + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
    if (plan->activations.rule == SCALE_LEARNED) layout.copy = bytes;
  }
  layout.total = layout.values + layout.mask + layout.copy;
  return layout;
}
