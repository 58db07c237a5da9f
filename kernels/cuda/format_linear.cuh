// Linear layers with a format on the GPU: preparing weights, and what is done to the operands of the three products, in
// the order of kernels/cpu/linear_format.c. See kernels/formats/apply.h for what a format asks for.
#pragma once
#include "kernels/cuda/format_apply.cuh"
#include "kernels/cuda/products.cuh"

// The host's side of a weight with a format, and where its device memory is.
struct weight_format {
  struct arena arena;
  struct linear_format plan;
  struct weight_description description;
  struct quantizer tokens;  // the gradients' along tokens, of the last row count
  int64_t step;
  bool numbered;               // the kernels read the step or the density
  float *learned, *d_learned;  // LEARNED_SCALES scales and their gradients, or NULL
  uint8_t *mask;
  uint32_t *signs;
  tensor_choice *chosen;
  float *tables[OPERANDS];
};

namespace {

inline bool represented(const struct weight *weight, enum operand operand) {
  return !representation_is_none(&weight->description.format->operands[operand]);
}
inline int64_t part_rows(const struct linear_format *plan, int part) { return plan->part_outputs[part]; }

// --- numbers of the step ---------------------------------------------------------------------------------------------
inline bool format_numbered(const struct format *format) {
  for (const struct representation &r : format->operands)
    if (r.rounding == ROUND_STOCHASTIC || r.grid.kind == GRID_NOISE || r.hadamard.kind == HADAMARD_RANDOM ||
        r.sparsity.kind == SPARSITY_TOP || r.sparsity.kind == SPARSITY_RANDOM)
      return true;
  return false;
}
// Puts what kernels read of the step into device memory, unless it stands there: a model's weights move on together,
// once a step.
inline void set_format_numbers(struct device *device, const struct weight_format *f, int64_t step) {
  if (!f->numbered || !going(device)) return;
  format_numbers n = {};
  n.step = (uint64_t)step;
  n.density = sparsity_density(&f->plan.weights.pattern, step, f->plan.steps);
  n.random_limit = (uint64_t)ceil((double)(float)(1 - n.density) * 0x1p32);
  const format_numbers &there = device->format;
  if (device->format_known && there.step == n.step && there.density == n.density) return;
  stage(device, &device->numbers->format, &n, sizeof n);
  device->format = n;
  device->format_known = true;
}

// --- making them -----------------------------------------------------------------------------------------------------
inline void upload_tables(struct device *device, const struct quantizer *q, const struct grid *grid, float *to) {
  cuda_table_sizes sizes = cuda_table_sizes_of(grid);
  const float *arrays[] = {q->levels, q->edges, q->points, q->half_norms};
  int64_t counts[] = {sizes.levels, sizes.edges, sizes.points, sizes.half_norms};
  for (int i = 0; i < 4; i++) {
    if (counts[i] && going(device))
      check(device,
            cudaMemcpyAsync(to, arrays[i], (size_t)counts[i] * sizeof(float), cudaMemcpyHostToDevice, device->stream),
            "upload");
    to += counts[i];
  }
}
void format_free(struct weight_format *format) {
  if (!format) return;
  arena_free(&format->arena);
  std::free(format);
}
// Places the weight's parts in `memory` and reads its plan. NULL and an error when the format does not fit.
struct weight_format *format_create(struct device *device, const struct weight_description *d, char *memory,
                                    struct error *error) {
  struct weight_format *format = (struct weight_format *)memory_get(sizeof *format);
  format->description = *d;
  format->numbered = format_numbered(d->format);
  if (!linear_format_make(&format->plan, d, &format->arena, error)) {
    format_free(format);
    return nullptr;
  }
  cuda_weight_layout layout = cuda_weight_layout_of(d);
  char *at = memory + layout.values + layout.backward;
  format->mask = (uint8_t *)at;
  at += layout.mask;
  format->signs = (uint32_t *)at;
  at += layout.signs;
  format->chosen = (tensor_choice *)at;
  at += layout.chosen;
  const struct quantizer *quantizers[] = {&format->plan.weights, &format->plan.activations, &format->plan.gradients};
  for (int operand = 0; operand < OPERANDS; operand++) {
    const struct grid *grid = &d->format->operands[operand].grid;
    cuda_table_sizes sizes = cuda_table_sizes_of(grid);
    format->tables[operand] = (float *)at;
    if (sizes.levels + sizes.points) upload_tables(device, quantizers[operand], grid, (float *)at);
    at += cuda_aligned_bytes((size_t)(sizes.levels + sizes.edges + sizes.points + sizes.half_norms) * sizeof(float));
  }
  return format;
}

// An operand as the plan has it; the caller adds where it comes from and goes to.
inline operand_call operand_of(struct device *device, const struct weight_format *f, enum operand operand,
                               const struct quantizer *quantizer, int64_t rows) {
  set_format_numbers(device, f, f->step);
  operand_call o = {};
  o.quantizer = quantizer;
  o.representation = &f->description.format->operands[operand];
  o.tables = f->tables[operand];
  o.rows = rows;
  o.from_dtype = o.to_dtype = f->description.dtype;
  o.all = true;
  o.back_rounds = o.to_dtype == DTYPE_BFLOAT16;
  return o;
}

// --- weights ---------------------------------------------------------------------------------------------------------
// Parts have scales per tensor and selections of their own; where nothing is of a tensor all go at once.
inline void represent_weights(struct device *device, struct weight_format *f, const struct quantizer *quantizer,
                              const void *master, bool back, const format_scratch *s, void *values, uint8_t *mask) {
  const struct linear_format *plan = &f->plan;
  bool learned = quantizer->rule == SCALE_LEARNED && quantizer->grid != GRID_NONE;
  bool apart = learned || quantizer_needs_absmax(quantizer) || quantizer_needs_rms(quantizer) ||
               quantizer_needs_selection(quantizer) || quantizer->sparsity == SPARSITY_RANDOM;
  size_t item = dtype_bytes(f->description.dtype);
  int64_t first = 0;
  for (int part = 0; part < (apart ? plan->parts : 1); part++) {
    operand_call o =
        operand_of(device, f, OPERAND_WEIGHTS, quantizer, apart ? plan->part_outputs[part] : plan->outputs);
    o.from_dtype = f->description.master;
    o.back_rounds = false;
    o.from = (const char *)master + (size_t)(first * plan->inputs) * dtype_bytes(o.from_dtype);
    o.to = (char *)values + (size_t)(first * plan->inputs) * item;
    o.mask = mask ? mask + first * mask_stride(plan->inputs) : nullptr;
    o.signs = quantizer->hadamard_random ? f->signs : nullptr;
    o.back = back;
    o.place = linear_format_place(plan, RANDOM_WEIGHTS, f->step, first);
    o.pruned = true;
    o.all = sparsity_density(&quantizer->pattern, f->step, plan->steps) >= 1;
    o.chosen = f->chosen;
    o.first_row = first;
    if (learned) o.learned = f->learned + part;
    represent(device, o, s);
    first += o.rows;
  }
}

inline bool has_learned(struct device *device, const struct weight_format *f) {
  const struct linear_format *plan = &f->plan;
  bool needed = (plan->has_weights && plan->weights.rule == SCALE_LEARNED) ||
                (plan->has_activations && plan->activations.rule == SCALE_LEARNED);
  if (!needed || f->learned) return true;
  return error_set(&device->error, EXIT_ENVIRONMENT, "a learned scale has no parameters");
}

// False: the plain weight is to be prepared.
inline bool format_prepare(struct device *device, struct weight *weight, const void *master, int64_t step) {
  struct weight_format *f = weight->format;
  const struct linear_format *plan = &f->plan;
  format_scratch s;
  f->step = step;
  if (!take_scratch(device, &f->description, 0, &s) || !has_learned(device, f)) return true;
  set_format_numbers(device, f, step);
  if (plan->weights.hadamard_random || plan->activations.hadamard_random)
    run_signs(device, plan->seed, (uint64_t)plan->number * 4 + RANDOM_WEIGHTS, plan->inputs, f->signs);
  if (!plan->has_weights) return false;
  represent_weights(device, f, &plan->weights, master, plan->weights_back, &s, weight->rounded,
                    plan->weights_masked ? f->mask : nullptr);
  if (plan->format->backward == BACKWARD_ORIGINAL)
    represent_weights(device, f, &plan->plain_weights, master, false, &s, const_cast<void *>(weight->backward),
                      nullptr);
  return true;
}

// The estimator: d_weight with respect to the represented values becomes the master's gradient.
inline void format_finish(struct device *device, struct weight *weight, float *d_weight) {
  struct weight_format *f = weight->format;
  const struct linear_format *plan = &f->plan;
  format_scratch s;
  // The operands of BACKWARD_ORIGINAL are where the master is, and its estimators pass everything.
  bool in_place = plan->format->backward == BACKWARD_ORIGINAL;
  bool turned = plan->rotated && !in_place, masked = plan->weights_masked && !in_place;
  bool learned = plan->has_weights && plan->weights.rule == SCALE_LEARNED;
  if (!turned && !masked && !learned) return;
  if (!take_scratch(device, &f->description, 0, &s)) return;
  int64_t first = 0;
  for (int part = 0; part < plan->parts && learned && f->d_learned; first += plan->part_outputs[part++])
    learned_gradient(device, &plan->weights, plan->part_outputs[part], f->description.master,
                     (const char *)weight->master + (size_t)(first * plan->inputs) * dtype_bytes(f->description.master),
                     DTYPE_FLOAT32, d_weight + first * plan->inputs, f->learned + part, f->d_learned + part,
                     (double)(plan->part_outputs[part] * plan->inputs), &s);
  const uint32_t *signs = plan->weights.hadamard_random ? f->signs : nullptr;
  transform_pass pass = {plan->outputs, plan->inputs, plan->weights.hadamard_block, 0, false, false};
  if (plan->weights_back) run_transform(device, pass, DTYPE_FLOAT32, d_weight, DTYPE_FLOAT32, d_weight, nullptr, signs);
  pass.inverse = true;
  if (masked || pass.block > 1)
    run_transform(device, pass, DTYPE_FLOAT32, d_weight, DTYPE_FLOAT32, d_weight, masked ? f->mask : nullptr, signs);
}

// --- activations -----------------------------------------------------------------------------------------------------
// The operand that stands in for x in the forward product: represented and saved, or x itself.
inline const void *format_activations(struct device *device, const struct linear *linear, const void *x, void *saved) {
  struct weight_format *f = linear->weight->format;
  const struct linear_format *plan = &f->plan;
  format_scratch s;
  if (!plan->has_activations || !take_scratch(device, &f->description, linear->rows, &s)) return x;
  struct saved_layout layout = linear_format_saved(plan, linear->rows, linear->dtype);
  operand_call o = operand_of(device, f, OPERAND_ACTIVATIONS, &plan->activations, linear->rows);
  o.from = x;
  o.to = saved;
  o.mask = plan->activations_masked ? (uint8_t *)saved + layout.values : nullptr;
  o.signs = plan->activations.hadamard_random ? f->signs : nullptr;
  o.back = plan->activations_back;
  o.place = linear_format_place(plan, RANDOM_ACTIVATIONS, f->step, linear->first_row);
  if (plan->activations.rule == SCALE_LEARNED) {
    if (!has_learned(device, f)) return x;
    o.learned = f->learned + WEIGHT_PARTS;
    // Its gradient needs the activations as they were.
    copy(device, (char *)saved + layout.values + layout.mask, x, layout.copy);
  }
  represent(device, o, &s);
  return saved;
}

// --- gradients -------------------------------------------------------------------------------------------------------
// Represents `rows` rows of what is summed over in a backward product; with BACKWARD_REQUANTIZE both operands keep the
// transform, otherwise it is undone.
inline void represent_gradient(struct device *device, struct weight_format *f, const struct quantizer *quantizer,
                               enum random_operand which, int64_t first_row, int64_t rows, const void *from, void *to,
                               const format_scratch *s) {
  const struct linear_format *plan = &f->plan;
  operand_call o = operand_of(device, f, OPERAND_GRADIENTS, quantizer, rows);
  if (quantizer->hadamard_random)
    run_signs(device, plan->seed, (uint64_t)plan->number * 4 + which, quantizer->columns, s->signs);
  o.from = from;
  o.to = to;
  o.signs = quantizer->hadamard_random ? s->signs : nullptr;
  o.back = plan->format->backward != BACKWARD_REQUANTIZE;
  o.place = linear_format_place(plan, which, f->step, first_row);
  represent(device, o, s);
}

inline bool token_quantizer(struct device *device, struct weight_format *f, int64_t rows) {
  if (f->tokens.columns == rows) return true;
  return linear_format_token_quantizer(&f->plan, rows, &f->tokens, &f->arena, &device->error);
}

// Rows transformed over tokens, by transposing to where tokens are columns and back.
inline void transform_tokens(struct device *device, int64_t rows, int64_t columns, enum dtype dtype, const void *from,
                             void *to, void *between) {
  struct hadamard over_tokens = {HADAMARD_FIXED, HADAMARD_LARGEST, false};
  transform_pass pass = {columns, rows, 1, 0, false, false};
  if (!hadamard_block(&over_tokens, rows, &pass.block, &device->error)) return;
  run_transpose(device, rows, columns, dtype, from, between);
  run_transform(device, pass, dtype, between, dtype, between, nullptr, nullptr);
  run_transpose(device, columns, rows, dtype, between, to);
}

// The gradient that stands in for d_y in d_x = d_y W, in the workspace or d_y itself; NULL when the product has been
// done here (BACKWARD_REQUANTIZE).
inline const void *format_output_gradient(struct device *device, const struct linear *linear, const void *d_y,
                                          void *d_x) {
  struct weight *weight = linear->weight;
  struct weight_format *f = weight->format;
  const struct linear_format *plan = &f->plan;
  enum dtype dtype = linear->dtype;
  format_scratch s;
  if (!plan->has_gradients || !take_scratch(device, &f->description, linear->rows, &s)) return d_y;
  if (plan->format->gradient_token_hadamard) {
    transform_tokens(device, linear->rows, plan->outputs, dtype, d_y, s.matrices[0], s.matrices[1]);
    d_y = s.matrices[0];
  }
  void *gradient = s.matrices[1];
  represent_gradient(device, f, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, linear->first_row, linear->rows, d_y,
                     gradient, &s);
  if (plan->format->backward != BACKWARD_REQUANTIZE) return gradient;
  // The weights once more, [inputs, outputs], along outputs; their rows are numbered behind any batch's.
  run_transpose(device, plan->outputs, plan->inputs, dtype, weight->rounded ? weight->rounded : weight->master,
                s.matrices[3]);
  represent_gradient(device, f, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, (int64_t)1 << 30, plan->inputs,
                     s.matrices[3], s.matrices[2], &s);
  multiply(device, {plan->inputs, linear->rows, plan->outputs, true, false, dtype, dtype}, s.matrices[2], gradient, d_x,
           false);
  return nullptr;
}

// What follows the product: masks and transforms of d_x, in place.
inline void format_input_gradient(struct device *device, const struct linear *linear, const void *saved, void *d_x) {
  struct weight_format *f = linear->weight->format;
  const struct linear_format *plan = &f->plan;
  enum dtype dtype = linear->dtype;
  format_scratch s;
  bool in_place = plan->format->backward == BACKWARD_ORIGINAL;
  bool masked = plan->activations_masked && !in_place, turned = plan->rotated && !in_place;
  if (!masked && !turned && !plan->format->gradient_token_hadamard) return;
  if (!take_scratch(device, &f->description, linear->rows, &s)) return;
  if (plan->format->gradient_token_hadamard)  // its own inverse
    transform_tokens(device, linear->rows, plan->inputs, dtype, d_x, d_x, s.matrices[1]);
  if (!masked && !turned) return;
  struct saved_layout layout = linear_format_saved(plan, linear->rows, dtype);
  if (plan->has_activations && plan->activations.rule == SCALE_LEARNED && f->d_learned)
    learned_gradient(device, &plan->activations, linear->rows, dtype, (const char *)saved + layout.values + layout.mask,
                     dtype, d_x, f->learned + WEIGHT_PARTS, f->d_learned + WEIGHT_PARTS, (double)plan->inputs, &s);
  const uint32_t *signs = plan->activations.hadamard_random ? f->signs : nullptr;
  transform_pass pass = {linear->rows, plan->inputs, plan->activations.hadamard_block, 0, false, false};
  if (plan->activations_back) run_transform(device, pass, dtype, d_x, dtype, d_x, nullptr, signs);
  pass.inverse = true;
  run_transform(device, pass, dtype, d_x, dtype, d_x, masked ? (const uint8_t *)saved + layout.values : nullptr, signs);
}

// d_weight (+)= d_y^T x in full.
inline void format_weight_gradient(struct device *device, const struct linear *linear, const void *x, const void *saved,
                                   const void *d_y, float *d_weight, bool accumulate) {
  struct weight_format *f = linear->weight->format;
  const struct linear_format *plan = &f->plan;
  enum dtype dtype = linear->dtype;
  int64_t rows = linear->rows;
  // Column-major: d_weight^T = x^T d_y.
  gemm_shape product = {plan->inputs, plan->outputs, rows, false, true, dtype, DTYPE_FLOAT32};
  const void *activations = plan->has_activations ? saved : x;
  bool original = plan->format->backward == BACKWARD_ORIGINAL && plan->has_activations;
  if (!plan->has_gradients && !original) return multiply(device, product, activations, d_y, d_weight, accumulate);
  format_scratch s;
  if (!take_scratch(device, &f->description, rows, &s)) return;
  if (original) {
    operand_call o = operand_of(device, f, OPERAND_ACTIVATIONS, &plan->plain_activations, rows);
    o.from = x;
    o.to = s.matrices[3];
    o.place = linear_format_place(plan, RANDOM_ACTIVATIONS, f->step, linear->first_row);
    represent(device, o, &s);
    activations = s.matrices[3];
  }
  if (!plan->has_gradients) return multiply(device, product, activations, d_y, d_weight, accumulate);
  if (plan->gradients_once) {
    represent_gradient(device, f, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, linear->first_row, rows, d_y,
                       s.matrices[0], &s);
    return multiply(device, product, activations, s.matrices[0], d_weight, accumulate);
  }
  if (!token_quantizer(device, f, rows)) return;
  // d_y^T [outputs, rows], represented along tokens; a micro-batch's rows of it are numbered by where it begins.
  int64_t first = linear->first_row / (rows > 0 ? rows : 1) * (plan->outputs + plan->inputs);
  run_transpose(device, rows, plan->outputs, dtype, d_y, s.matrices[0]);
  represent_gradient(device, f, &f->tokens, RANDOM_GRADIENTS_TOKENS, first, plan->outputs, s.matrices[0], s.matrices[1],
                     &s);
  if (plan->format->backward != BACKWARD_REQUANTIZE) {
    product.transpose_b = false;
    return multiply(device, product, activations, s.matrices[1], d_weight, accumulate);
  }
  run_transpose(device, rows, plan->inputs, dtype, activations, s.matrices[0]);
  represent_gradient(device, f, &f->tokens, RANDOM_GRADIENTS_TOKENS, first + plan->outputs, plan->inputs, s.matrices[0],
                     s.matrices[2], &s);
  product.transpose_a = true;
  product.transpose_b = false;
  multiply(device, product, s.matrices[2], s.matrices[1], d_weight, accumulate);
}

}  // namespace
