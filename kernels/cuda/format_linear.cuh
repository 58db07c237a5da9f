// Linear layers with a format on the GPU: preparing weights, and what is done to the operands of the three products, in
// the order of kernels/cpu/linear_format.c. See kernels/formats/apply.h for what a format asks for.
// Shapes: y [rows, outputs] = x [rows, inputs] W^T; W and d_weight [outputs, inputs]; d_x [rows, inputs].
#pragma once
#include "kernels/cuda/native_products.cuh"

// The host's side of a weight with a format, and where its device memory is.
struct weight_format {
  struct arena arena;
  struct linear_format plan;
  struct weight_description description;
  struct quantizer tokens, token_activations;  // along tokens, of the last row count
  int64_t step;
  bool numbered;               // the kernels read the step or the density
  float *learned, *d_learned;  // LEARNED_SCALES scales and their gradients, or NULL
  uint8_t *mask;
  uint32_t *signs;
  tensor_choice *chosen;
  float *tables[OPERANDS];
  struct native_layer native;
  encoded_matrix codes, turned;  // the prepared weights for y, [outputs, inputs], and for d_x, [inputs, outputs]
};

namespace {

inline bool represented(const struct weight *weight, enum operand operand) {
  return !representation_is_none(&weight->description.format->operands[operand]);
}

inline int64_t part_rows(const struct linear_format *plan, int part) { return plan->part_outputs[part]; }

// ---- numbers of the step ----
inline bool format_numbered(const struct format *format) {
  for (const struct representation &r : format->operands)
    if (r.rounding != ROUND_NEAREST || r.grid.kind == GRID_NOISE || r.hadamard.kind == HADAMARD_RANDOM ||
        r.sparsity.kind == SPARSITY_TOP || r.sparsity.kind == SPARSITY_RANDOM)
      return true;
  return false;
}

// Puts what kernels read of the step into device memory, unless it is there: a model's weights move on together,
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

// ---- making them ----
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
  format->native = cuda_native_layer(d);
  cuda_native_weight native = cuda_native_weight_of(d);
  uint8_t *place = (uint8_t *)at;
  format->codes = {format->native.products[NATIVE_FORWARD].a, place, place + native.codes,
                   (float *)(place + native.codes + native.scales)};
  place += native.codes + native.scales + native.numbers;
  format->turned = {format->native.products[NATIVE_INPUT_GRADIENT].a, place, nullptr, (float *)(place + native.turned)};
  return format;
}

// An operand of a native product in the workspace: a (0) or b (1).
inline encoded_matrix scratch_codes(const native_operand &native, int operand, const format_scratch *s) {
  return {native, (uint8_t *)s->matrices[operand ? 1 : 2], s->native_scales[operand], s->native_numbers[operand]};
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

// ---- weights ----
// `encoded`, of all parts, may have no codes, and `values` may be NULL where there are some.
inline void represent_weights(struct device *device, struct weight_format *f, const struct quantizer *quantizer,
                              const void *master, bool back, const format_scratch *s, void *values, uint8_t *mask,
                              const encoded_matrix &encoded) {
  const struct linear_format *plan = &f->plan;
  bool learned = quantizer->rule == SCALE_LEARNED && quantizer->grid != GRID_NONE, apart = parts_apart(quantizer);
  size_t item = dtype_bytes(f->description.dtype);
  int64_t first = 0;
  for (int part = 0; part < (apart ? plan->parts : 1); part++) {
    operand_call o =
        operand_of(device, f, OPERAND_WEIGHTS, quantizer, apart ? plan->part_outputs[part] : plan->outputs);
    o.from_dtype = f->description.master;
    o.back_rounds = false;
    o.from = (const char *)master + (size_t)(first * plan->inputs) * dtype_bytes(o.from_dtype);
    o.to = values ? (char *)values + (size_t)(first * plan->inputs) * item : nullptr;
    if (encoded.codes) o.encoded = encoded_part(plan, encoded, part, plan->inputs);
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

// The codes of the weights along outputs, for d_x: those for y, or with BACKWARD_ORIGINAL those of the untransformed
// weights, transposed.
inline void turn_weights(struct device *device, struct weight_format *f, const encoded_matrix &along_inputs) {
  const struct linear_format *plan = &f->plan;
  if (along_inputs.numbers != f->turned.numbers)
    copy(device, f->turned.numbers, along_inputs.numbers, cuda_native_number_bytes(&f->turned.native, 0));
  run_transpose_codes(device, plan->outputs, plan->inputs, along_inputs.codes, f->turned.codes);
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
  if (!take_scratch(device, &f->description, 0, 0, &s, &f->native) || !has_learned(device, f)) return true;
  set_format_numbers(device, f, step);
  if (plan->weights.hadamard_random || plan->activations.hadamard_random)
    run_signs(device, plan->weights.hadamard_random ? &plan->weights : &plan->activations, plan->seed,
              (uint64_t)plan->number * 4 + RANDOM_WEIGHTS, f->signs);
  if (!plan->has_weights) return false;
  bool original = plan->format->backward == BACKWARD_ORIGINAL;
  bool turned = f->native.turned && native_possible(device, &f->native, NATIVE_INPUT_GRADIENT);
  // Values are there too: for products that find no native one, and for what is represented once more.
  encoded_matrix none = {}, staged = {f->turned.native, (uint8_t *)s.matrices[1], nullptr, f->turned.numbers};
  encoded_matrix codes = native_possible(device, &f->native, NATIVE_FORWARD) ? f->codes : none;
  if (!codes.codes && turned && !original) codes = staged;
  represent_weights(device, f, &plan->weights, master, plan->weights_back, &s, weight->rounded,
                    plan->weights_masked ? f->mask : nullptr, codes);
  if (original)
    represent_weights(device, f, &plan->plain_weights, master, false, &s, const_cast<void *>(weight->backward), nullptr,
                      turned ? staged : none);
  if (turned) turn_weights(device, f, original ? staged : codes);
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
  if (!take_scratch(device, &f->description, 0, 0, &s, &f->native)) return;
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

// ---- activations ----
// Whether what is saved for d_W are codes, and where they are: within the room for values.
inline bool saves_codes(struct device *device, const struct linear *linear) {
  struct weight_format *f = linear->weight->format;
  return f->native.turned && f->plan.format->backward != BACKWARD_ORIGINAL &&
         native_chosen(device, &f->plan, &f->native, NATIVE_WEIGHT_GRADIENT, linear, linear->dtype);
}

inline encoded_matrix saved_codes(const struct weight_format *f, int64_t rows, void *saved) {
  const native_operand &native = f->native.products[NATIVE_WEIGHT_GRADIENT].a;
  uint8_t *codes = (uint8_t *)saved;
  return {native, codes, nullptr, (float *)(codes + cuda_native_code_bytes(&native, rows, f->plan.inputs))};
}

// The operand that stands in for x in the forward product: represented and saved, or x itself; NULL when the product
// has been made here, of codes.
inline const void *format_activations(struct device *device, const struct linear *linear, const void *x, void *saved,
                                      void *y) {
  struct weight_format *f = linear->weight->format;
  const struct linear_format *plan = &f->plan;
  format_scratch s;
  if (!plan->has_activations || !linear_format_windows_fit(linear, &device->error) ||
      !take_scratch(device, &f->description, linear->rows, linear->window, &s, &f->native))
    return x;
  struct saved_layout layout = linear_format_saved(plan, linear->rows, linear->dtype);
  operand_call o = operand_of(device, f, OPERAND_ACTIVATIONS, &plan->activations, linear->rows);
  bool forward = native_chosen(device, plan, &f->native, NATIVE_FORWARD, linear, linear->dtype);
  bool codes_saved = saves_codes(device, linear), original = plan->format->backward == BACKWARD_ORIGINAL;
  o.from = x;
  o.to = codes_saved ? s.matrices[0] : saved;
  if (forward && (codes_saved || original)) o.to = nullptr;
  if (codes_saved)
    o.encoded = saved_codes(f, linear->rows, saved);
  else if (forward)
    o.encoded = scratch_codes(f->native.products[NATIVE_FORWARD].b, 1, &s);
  const void *values = o.to;
  o.mask = plan->activations_masked ? (uint8_t *)saved + layout.values : nullptr;
  o.signs = plan->activations.hadamard_random ? f->signs : nullptr;
  o.back = plan->activations_back;
  o.windows = linear_format_windows(linear);
  o.place = linear_format_place(plan, RANDOM_ACTIVATIONS, f->step, linear->first_row);
  if (plan->activations.rule == SCALE_LEARNED) {
    if (!has_learned(device, f)) return x;
    o.learned = f->learned + WEIGHT_PARTS;
    // Its gradient needs the activations as they were.
    copy(device, (char *)saved + layout.values + layout.mask, x, layout.copy);
  }
  represent(device, o, &s);
  if (!forward) return values;
  native_forward(device, plan, &f->native, f->codes, o.encoded, linear, y, &s);
  return nullptr;
}

// ---- gradients ----
// Represents `rows` rows of what is summed over in a backward product; with BACKWARD_REQUANTIZE both operands keep the
// transform, otherwise it is undone.
inline void represent_gradient(struct device *device, struct weight_format *f, const struct quantizer *quantizer,
                               enum random_operand which, int64_t first_row, int64_t rows,
                               const struct row_windows &windows, const void *from, void *to,
                               const encoded_matrix &encoded, const format_scratch *s) {
  const struct linear_format *plan = &f->plan;
  bool of_activations = quantizer == &f->token_activations && plan->format->backward == BACKWARD_TOKENS;
  operand_call o = operand_of(device, f, of_activations ? OPERAND_ACTIVATIONS : OPERAND_GRADIENTS, quantizer, rows);
  if (of_activations) o.representation = &plan->activations_of_tokens;
  if (quantizer->hadamard_random)
    run_signs(device, quantizer, plan->seed, (uint64_t)plan->number * 4 + which, s->signs);
  o.from = from;
  o.to = encoded.codes ? nullptr : to;
  o.encoded = encoded;
  o.signs = quantizer->hadamard_random ? s->signs : nullptr;
  o.back = !linear_format_along_tokens(plan);
  o.windows = windows;
  o.place = linear_format_place(plan, which, f->step, first_row);
  represent(device, o, s);
}

inline bool token_quantizer(struct device *device, struct weight_format *f, int64_t window) {
  if (f->tokens.columns == window) return true;
  return linear_format_token_quantizer(&f->plan, window, &f->tokens, &f->arena, &device->error) &&
         linear_format_token_activations(&f->plan, window, &f->token_activations, &f->arena, &device->error);
}

// Rows transformed over the tokens of each window, by transposing to where tokens are columns and back.
inline void transform_tokens(struct device *device, const struct linear *linear, int64_t columns, const void *from,
                             void *to, void *between) {
  struct hadamard over_tokens = {HADAMARD_FIXED, HADAMARD_LARGEST, false};
  int64_t rows = linear->rows, window = linear_format_window(linear);
  enum dtype dtype = linear->dtype;
  transform_pass pass = {columns * (rows / window), window, 1, 0, false, false};
  if (!hadamard_block(&over_tokens, window, &pass.block, &device->error)) return;
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
  if (!plan->has_gradients || !linear_format_windows_fit(linear, &device->error) ||
      !take_scratch(device, &f->description, linear->rows, linear->window, &s, &f->native))
    return d_y;
  if (plan->format->gradient_token_hadamard) {
    transform_tokens(device, linear, plan->outputs, d_y, s.matrices[0], s.matrices[1]);
    d_y = s.matrices[0];
  }
  void *gradient = s.matrices[1];
  const struct native_product *product = &f->native.products[NATIVE_INPUT_GRADIENT];
  bool native = native_chosen(device, plan, &f->native, NATIVE_INPUT_GRADIENT, linear, dtype);
  encoded_matrix none = {}, a = native ? scratch_codes(product->a, 0, &s) : none;
  encoded_matrix b = native ? scratch_codes(product->b, 1, &s) : none;
  represent_gradient(device, f, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, linear->first_row, linear->rows,
                     linear_format_windows(linear), d_y, gradient, b, &s);
  if (native && f->native.turned) {
    native_input_gradient(device, plan, &f->native, f->turned, b, linear, d_x, &s);
    return nullptr;
  }
  if (plan->format->backward != BACKWARD_REQUANTIZE) return gradient;
  // The weights once more, [inputs, outputs], along outputs; their rows are numbered behind any batch's.
  run_transpose(device, plan->outputs, plan->inputs, dtype, weight->rounded ? weight->rounded : weight->master,
                s.matrices[3]);
  const struct row_windows one = {};
  represent_gradient(device, f, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, (int64_t)1 << 30, plan->inputs, one,
                     s.matrices[3], s.matrices[2], a, &s);
  if (native)
    native_input_gradient(device, plan, &f->native, a, b, linear, d_x, &s);
  else
    multiply(device, {plan->inputs, linear->rows, plan->outputs, true, false, dtype, dtype}, s.matrices[2], gradient,
             d_x, false);
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
  if (!take_scratch(device, &f->description, linear->rows, linear->window, &s, &f->native)) return;
  if (plan->format->gradient_token_hadamard)  // its own inverse
    transform_tokens(device, linear, plan->inputs, d_x, d_x, s.matrices[1]);
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

inline void represent_plain_activations(struct device *device, const struct linear *linear, const void *x, void *to,
                                        const encoded_matrix &encoded, const format_scratch *s) {
  struct weight_format *f = linear->weight->format;
  operand_call o = operand_of(device, f, OPERAND_ACTIVATIONS, &f->plan.plain_activations, linear->rows);
  o.from = x;
  o.to = encoded.codes ? nullptr : to;
  o.encoded = encoded;
  o.windows = linear_format_windows(linear);
  o.place = linear_format_place(&f->plan, RANDOM_ACTIVATIONS, f->step, linear->first_row);
  represent(device, o, s);
}

// The same of codes along tokens: what is represented by tokens or by axes alike is transposed.
inline void native_weight_gradient(struct device *device, const struct linear *linear, const void *x, const void *saved,
                                   const void *d_y, float *d_weight, bool accumulate, const format_scratch *s) {
  struct weight_format *f = linear->weight->format;
  const struct linear_format *plan = &f->plan;
  const struct native_product *product = &f->native.products[NATIVE_WEIGHT_GRADIENT];
  int64_t rows = linear->rows, first = linear_format_first_turn(plan, linear);
  struct row_windows outputs = linear_format_turns(plan, linear, plan->outputs);
  struct row_windows inputs = linear_format_turns(plan, linear, plan->inputs);
  encoded_matrix a = scratch_codes(product->a, 0, s), b = scratch_codes(product->b, 1, s);
  uint8_t *staged = (uint8_t *)s->matrices[3];
  if (!token_quantizer(device, f, linear_format_window(linear))) return;
  if (f->native.turned) {
    encoded_matrix activations = {a.native, staged, nullptr, a.numbers};
    if (plan->format->backward == BACKWARD_ORIGINAL)
      represent_plain_activations(device, linear, x, nullptr, activations, s);
    else
      activations = saved_codes(f, rows, const_cast<void *>(saved));
    a.numbers = activations.numbers;
    run_transpose_codes(device, rows, plan->inputs, activations.codes, a.codes);
  } else {
    bool plain = !plan->has_activations || plan->format->backward == BACKWARD_TOKENS;
    run_transpose(device, rows, plan->inputs, linear->dtype, plain ? x : saved, s->matrices[0]);
    represent_gradient(device, f, &f->token_activations, RANDOM_GRADIENTS_TOKENS, first + plan->outputs,
                       plan->inputs * inputs.count, inputs, s->matrices[0], nullptr, a, s);
  }
  if (f->native.turned && plan->gradients_once) {
    encoded_matrix by_rows = b;
    by_rows.codes = staged;
    represent_gradient(device, f, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, linear->first_row, rows,
                       linear_format_windows(linear), d_y, nullptr, by_rows, s);
    run_transpose_codes(device, rows, plan->outputs, staged, b.codes);
  } else {
    run_transpose(device, rows, plan->outputs, linear->dtype, d_y, s->matrices[0]);
    represent_gradient(device, f, &f->tokens, RANDOM_GRADIENTS_TOKENS, first, plan->outputs * outputs.count, outputs,
                       s->matrices[0], nullptr, b, s);
  }
  int64_t taken = rows_of_product(plan, &f->native, NATIVE_WEIGHT_GRADIENT, linear);
  for (int64_t row = 0; row < rows; row += taken) {
    native_multiply(device, part_shape(plan, product, NATIVE_WEIGHT_GRADIENT, -1, taken, rows, DTYPE_FLOAT32), a, b,
                    d_weight, accumulate || row > 0, s);
    // Where each window has a number, a value is a byte.
    a.codes += taken;
    b.codes += taken;
    a.numbers += CUDA_NATIVE_NUMBER_STRIDE;
    b.numbers += CUDA_NATIVE_NUMBER_STRIDE;
  }
}

// Which products of the layer are native, to be reported where some could be.
inline void say_products(struct device *device, const struct linear *linear) {
  struct weight_format *f = linear->weight->format;
  unsigned chosen = 0;
  bool possible = false;
  for (int kind = 0; kind < NATIVE_PRODUCTS; kind++)
    possible |= native_possible(device, &f->native, (native_product_kind)kind);
  if (!possible) return;
  for (int kind = 0; kind < NATIVE_PRODUCTS; kind++)
    if (native_chosen(device, &f->plan, &f->native, (native_product_kind)kind, linear, linear->dtype))
      chosen |= 1u << kind;
  native_say(device, &f->plan, &f->native, linear->dtype, chosen);
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
  say_products(device, linear);
  if (!plan->has_gradients && !original) return multiply(device, product, activations, d_y, d_weight, accumulate);
  format_scratch s;
  if (!linear_format_windows_fit(linear, &device->error) ||
      !take_scratch(device, &f->description, rows, linear->window, &s, &f->native))
    return;
  encoded_matrix none = {};
  if (native_chosen(device, plan, &f->native, NATIVE_WEIGHT_GRADIENT, linear, dtype))
    return native_weight_gradient(device, linear, x, saved, d_y, d_weight, accumulate, &s);
  if (original) {
    represent_plain_activations(device, linear, x, s.matrices[3], none, &s);
    activations = s.matrices[3];
  }
  if (!plan->has_gradients) return multiply(device, product, activations, d_y, d_weight, accumulate);
  if (plan->gradients_once) {
    represent_gradient(device, f, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, linear->first_row, rows,
                       linear_format_windows(linear), d_y, s.matrices[0], none, &s);
    return multiply(device, product, activations, s.matrices[0], d_weight, accumulate);
  }
  if (!token_quantizer(device, f, linear_format_window(linear))) return;
  // d_y^T [outputs, rows], each row cut by windows, represented along their tokens; a window's rows of it are numbered
  // by where it begins.
  struct row_windows outputs = linear_format_turns(plan, linear, plan->outputs);
  struct row_windows inputs = linear_format_turns(plan, linear, plan->inputs);
  int64_t first = linear_format_first_turn(plan, linear);
  run_transpose(device, rows, plan->outputs, dtype, d_y, s.matrices[0]);
  represent_gradient(device, f, &f->tokens, RANDOM_GRADIENTS_TOKENS, first, plan->outputs * outputs.count, outputs,
                     s.matrices[0], s.matrices[1], none, &s);
  if (!linear_format_along_tokens(plan)) {
    product.transpose_b = false;
    return multiply(device, product, activations, s.matrices[1], d_weight, accumulate);
  }
  if (plan->format->backward == BACKWARD_TOKENS) activations = x;
  run_transpose(device, rows, plan->inputs, dtype, activations, s.matrices[0]);
  represent_gradient(device, f, &f->token_activations, RANDOM_GRADIENTS_TOKENS, first + plan->outputs,
                     plan->inputs * inputs.count, inputs, s.matrices[0], s.matrices[2], none, &s);
  product.transpose_a = true;
  product.transpose_b = false;
  multiply(device, product, s.matrices[2], s.matrices[1], d_weight, accumulate);
}

}  // namespace
