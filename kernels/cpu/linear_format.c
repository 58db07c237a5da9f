// Linear layers with a format: representing their operands and carrying gradients back. See linear_format.h.
// Shapes: y [rows, outputs] = x [rows, inputs] W^T; W and d_weight [outputs, inputs]; d_x [rows, inputs].
#include "kernels/cpu/linear_format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kernels/formats/grid.h"

struct weight_format {
  struct arena arena;
  struct linear_format plan;
  const struct format_level *level;
  int64_t step;
  const float *master;
  float *learned, *d_learned;  // LEARNED_SCALES scales and their gradients, or NULL
  float threshold;             // of all weights together (SCOPE_GLOBAL)
  int64_t last_tie;
  // Device memory.
  float *values;    // [outputs, inputs] represented weights
  float *original;  // BACKWARD_ORIGINAL: the same without the transform
  uint8_t *mask;    // [outputs, mask_stride(inputs)]
  uint32_t *signs;  // [inputs]
  // The gradients' quantizer along tokens, of the last row count.
  struct quantizer tokens, token_activations;
};

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

// ---- memory ----

struct weight_parts {
  size_t values, original, mask, signs;
};
static struct weight_parts parts_of(const struct weight_description *d) {
  size_t matrix = aligned((size_t)(d->outputs * d->inputs) * sizeof(float));
  return (struct weight_parts){matrix, d->format->backward == BACKWARD_ORIGINAL ? matrix : 0,
                               aligned((size_t)(d->outputs * mask_stride(d->inputs))),
                               aligned((size_t)d->inputs * sizeof(uint32_t))};
}

size_t weight_format_bytes(const struct weight_description *description) {
  struct weight_parts parts = parts_of(description);
  return parts.values + parts.original + parts.mask + parts.signs;
}

void weight_format_place(struct weight_format *format, void *memory) {
  struct weight_description d = {
      .outputs = format->plan.outputs, .inputs = format->plan.inputs, .format = format->plan.format};
  struct weight_parts parts = parts_of(&d);
  char *at = memory;
  format->values = (float *)at;
  at += parts.values;
  format->original = parts.original ? (float *)at : NULL;
  at += parts.original;
  format->mask = (uint8_t *)at;
  at += parts.mask;
  format->signs = (uint32_t *)at;
}

// The workspace of one call: rows' scratch per worker, rows' statistics, signs, and four matrices of the largest size.
struct scratch {
  float *rows;
  float *row_absmax;
  double *row_squares;
  struct tensor_statistics *windows;
  uint32_t *signs;
  void *matrices[4];
};
struct scratch_sizes {
  size_t rows, absmax, squares, windows, signs, matrix, total;
};
static struct scratch_sizes scratch_sizes(int64_t outputs, int64_t inputs, int64_t rows, int64_t window, int threads,
                                          int matrices) {
  int64_t longest = outputs > inputs ? outputs : inputs, widest = longest;
  int64_t windows = window > 0 && rows > window ? rows / window : 1, most = longest * (matrices ? windows : 1);
  if (rows > longest) longest = rows;
  if (rows > most) most = rows;
  // Transposed, a row is cut by windows: there are as many more.
  struct scratch_sizes s = {.rows = aligned((size_t)(quantize_scratch(longest) * threads) * sizeof(float)),
                            .absmax = aligned((size_t)most * sizeof(float)),
                            .squares = aligned((size_t)most * sizeof(double)),
                            .windows = aligned((size_t)windows * sizeof(struct tensor_statistics)),
                            .signs = aligned((size_t)longest * sizeof(uint32_t)),
                            .matrix = aligned((size_t)((rows > outputs ? rows : outputs) * widest) * sizeof(float))};
  s.total = s.rows + s.absmax + s.squares + s.windows + s.signs + (size_t)matrices * s.matrix;
  return s;
}

static int matrices_of(const struct format *format) {
  bool gradients = !representation_is_none(&format->operands[OPERAND_GRADIENTS]);
  return gradients || format->backward != BACKWARD_FORWARD ? 4 : 0;
}

size_t weight_format_workspace(const struct weight_description *d, int64_t rows, int64_t window, int threads) {
  return scratch_sizes(d->outputs, d->inputs, rows, window, threads, matrices_of(d->format)).total;
}

static bool take_scratch(struct device *device, const struct weight_format *format, int64_t rows, int64_t window,
                         struct scratch *scratch) {
  const struct linear_format *plan = &format->plan;
  int matrices = matrices_of(plan->format);
  struct scratch_sizes s = scratch_sizes(plan->outputs, plan->inputs, rows, window, device->threads, matrices);
  *scratch = (struct scratch){0};
  char *at = device_scratch(device, s.total, "a linear layer with a format");
  if (!at) return false;
  scratch->rows = (float *)at;
  at += s.rows;
  scratch->row_absmax = (float *)at;
  at += s.absmax;
  scratch->row_squares = (double *)at;
  at += s.squares;
  scratch->windows = (struct tensor_statistics *)at;
  at += s.windows;
  scratch->signs = (uint32_t *)at;
  at += s.signs;
  for (int i = 0; i < matrices; i++, at += s.matrix) scratch->matrices[i] = at;
  return true;
}

struct weight_format *weight_format_create(const struct weight_description *description, struct error *error) {
  struct weight_format *format = memory_get(sizeof *format);
  if (!linear_format_make(&format->plan, description, &format->arena, error)) {
    weight_format_free(format);
    return NULL;
  }
  return format;
}

const struct linear_format *weight_format_plan(const struct weight_format *format) { return &format->plan; }

void weight_format_select(struct weight_format *format, float threshold, int64_t last_tie) {
  format->threshold = threshold;
  format->last_tie = last_tie;
}

void weight_format_free(struct weight_format *format) {
  if (!format) return;
  arena_free(&format->arena);
  free(format);
}

// ---- representing a matrix ----

struct operand_call {
  const struct quantizer *quantizer;
  int64_t rows;
  enum dtype from_dtype, to_dtype;
  const void *from;
  void *to;
  uint8_t *mask;          // or NULL
  const uint32_t *signs;  // of its transform, or NULL
  bool back;              // transformed back afterwards
  bool transformed;       // `from` is already
  struct row_windows windows;
  struct random_place place;
};

// Fills in what is measured of each window.
static void collect_statistics(struct device *device, const struct format_level *level, const struct operand_call *o,
                               const struct scratch *scratch, struct tensor_statistics *statistics) {
  const struct quantizer *q = o->quantizer;
  if (!quantizer_needs_absmax(q) && !quantizer_needs_rms(q)) return;
  struct statistics_call call = {.quantizer = q,
                                 .from_dtype = o->from_dtype,
                                 .from = o->from,
                                 .signs = o->signs,
                                 .transformed = o->transformed,
                                 .row_absmax = scratch->row_absmax,
                                 .row_squares = scratch->row_squares,
                                 .scratch = scratch->rows};
  device_run(device, level->statistics, &call, o->rows, 8);
  int64_t windows = window_count(&o->windows), rows = o->rows / windows;
  for (int64_t window = 0; window < windows; window++) {
    double squares = 0;
    float absmax = 0;
    for (int64_t at = 0; at < rows; at++) {
      int64_t row = row_of_window(&o->windows, window, at);
      squares += scratch->row_squares[row];
      if (!(scratch->row_absmax[row] <= absmax)) absmax = scratch->row_absmax[row];  // a NaN is kept
    }
    statistics[window].absmax = isnan(squares) ? NAN : absmax;
    statistics[window].rms = (float)sqrt(squares / (double)(rows * q->columns));
  }
}

static void represent(struct device *device, const struct format_level *level, const struct operand_call *o,
                      const struct scratch *scratch, struct tensor_statistics known) {
  struct tensor_statistics *statistics = scratch->windows;
  for (int64_t window = 0; window < window_count(&o->windows); window++) statistics[window] = known;
  collect_statistics(device, level, o, scratch, statistics);
  if (quantizer_needs_selection(o->quantizer))  // weights: one window
    statistics->band =
        sparsity_blocked_band(&o->quantizer->pattern, (double)statistics->threshold, (double)statistics->rms);
  struct quantize_call call = {.quantizer = o->quantizer,
                               .statistics = statistics,
                               .windows = o->windows,
                               .from_dtype = o->from_dtype,
                               .to_dtype = o->to_dtype,
                               .rows = o->rows,
                               .from = o->from,
                               .to = o->to,
                               .mask = o->mask,
                               .signs = o->signs,
                               .transformed = o->transformed,
                               .place = o->place,
                               .scratch = scratch->rows};
  device_run(device, level->quantize, &call, o->rows, 8);
  if (!o->back || o->quantizer->hadamard_block == 1) return;
  struct transform_call back = {.columns = o->quantizer->columns,
                                .block = o->quantizer->hadamard_block,
                                .signs = o->signs,
                                .from_dtype = o->to_dtype,
                                .to_dtype = o->to_dtype,
                                .from = o->to,
                                .to = o->to,
                                .scratch = scratch->rows};
  device_run(device, level->inverse, &back, o->rows, 8);
}

static bool windows_fit(struct device *device, const struct linear *linear) {
  return linear_format_windows_fit(linear, &device->error);
}

static void transpose(struct device *device, const struct format_level *level, int64_t rows, int64_t columns,
                      enum dtype dtype, const void *from, void *to) {
  struct transpose_call call = {.rows = rows, .columns = columns, .dtype = dtype, .from = from, .to = to};
  device_run(device, level->transpose, &call, columns, 16);
}

static void multiply(struct device *device, const struct gemm *gemm, const void *a, const void *b, void *c) {
  if (device->error.code == EXIT_DONE) gemm_run(device->gemm, gemm, a, b, c, &device->error);
}

// ---- weights ----

// The selection over a part, on the values that it is made of: where the representation has a transform, the
// transformed ones, which then stand in `to`.
static void select_part(struct device *device, struct weight_format *format, struct operand_call *o, int64_t first_row,
                        const struct scratch *scratch, struct tensor_statistics *statistics) {
  const struct quantizer *q = o->quantizer;
  double density = sparsity_density(&q->pattern, format->step, format->plan.steps);
  statistics->pruned = (float)(1 - density);
  if (!quantizer_needs_selection(q)) return;
  if (density >= 1) {  // all, zeroes too
    statistics->last_tie = INT64_MAX;
    return;
  }
  if (q->pattern.monotone) return;  // what was pruned is 0 in the master: the threshold is 0, without ties
  if (q->pattern.scope == SCOPE_GLOBAL) {
    statistics->threshold = format->threshold;
    statistics->last_tie = format->last_tie - first_row * q->columns;
    return;
  }
  if (q->hadamard_block > 1) {
    struct transform_call call = {.columns = q->columns,
                                  .block = q->hadamard_block,
                                  .signs = o->signs,
                                  .from = o->from,
                                  .to = o->to,
                                  .scratch = scratch->rows};
    device_run(device, format->level->transform, &call, o->rows, 8);
    o->from = o->to;
    o->transformed = true;
  }
  struct float_span span = {o->from, o->rows * q->columns};
  struct selection selection = select_largest(&span, 1, llround(density * (double)span.count));
  statistics->threshold = selection.threshold;
  statistics->last_tie = selection.last_tie;
}

// ---- learned scales ----

void weight_format_learned(struct weight_format *format, float *values, float *d_values) {
  format->learned = values;
  format->d_learned = d_values;
}

// The optimizer may step over 0, where the grid, symmetric, is turned round: the scale is the magnitude.
static float scale_of(float parameter) { return fmaxf(fabsf(parameter), 1e-12f); }

// The scale behind entry `entry`; when it is not set, the best one for Gaussian data of the operand's root mean square,
// or the one that reaches its largest magnitude (SEQ), of its first window.
static float learned_scale(struct device *device, struct weight_format *format, int entry, const struct operand_call *o,
                           const struct scratch *scratch) {
  if (!format->learned) {
    error_set(&device->error, EXIT_ENVIRONMENT, "a learned scale has no parameters");
    return 1;
  }
  float *value = &format->learned[entry];
  if (*value == 0) {
    struct statistics_call call = {.quantizer = o->quantizer,
                                   .from_dtype = o->from_dtype,
                                   .from = o->from,
                                   .row_absmax = scratch->row_absmax,
                                   .row_squares = scratch->row_squares,
                                   .scratch = scratch->rows};
    int64_t rows = o->windows.count > 1 ? o->windows.rows : o->rows;
    device_run(device, format->level->statistics, &call, rows, 8);
    double squares = 0, absmax = 0;
    for (int64_t row = 0; row < rows; row++) {
      squares += scratch->row_squares[row];
      absmax = fmax(absmax, (double)scratch->row_absmax[row]);
    }
    double rms = sqrt(squares / (double)(rows * o->quantizer->columns));
    const struct format *f = format->plan.format;
    const struct grid *grid = &f->operands[entry < WEIGHT_PARTS ? OPERAND_WEIGHTS : OPERAND_ACTIVATIONS].grid;
    *value = (float)(fmax(rms, 1e-12) * grid_gaussian_scale(grid));
    if (o->quantizer->first_of_absmax > 0)
      *value = (float)(fmax(absmax, 1e-12) * (double)o->quantizer->first_of_absmax);
  }
  return scale_of(*value);
}

// Adds the gradient of entry `entry`: LSQ's, times 1 / sqrt(values * high) as the paper scales it.
static void learned_gradient(struct device *device, struct weight_format *format, int entry,
                             const struct quantizer *quantizer, int64_t rows, int64_t values, enum dtype from_dtype,
                             const void *from, enum dtype gradient_dtype, const void *gradient,
                             const struct scratch *scratch) {
  if (!format->learned || !format->d_learned || device->error.code != EXIT_DONE) return;
  struct learned_call call = {.quantizer = quantizer,
                              .scale = scale_of(format->learned[entry]),
                              .from_dtype = from_dtype,
                              .gradient_dtype = gradient_dtype,
                              .from = from,
                              .gradient = gradient,
                              .row_sums = scratch->row_squares,
                              .scratch = scratch->rows};
  device_run(device, format->level->learned, &call, rows, 8);
  double sum = 0;
  for (int64_t row = 0; row < rows; row++) sum += scratch->row_squares[row];
  double sign = format->learned[entry] < 0 ? -1 : 1;
  format->d_learned[entry] += (float)(sign * sum / sqrt((double)values * (double)quantizer->high));
}

static void represent_weights(struct device *device, struct weight_format *format, const struct quantizer *quantizer,
                              const float *master, bool back, const struct scratch *scratch, float *values,
                              uint8_t *mask) {
  const struct linear_format *plan = &format->plan;
  int64_t first = 0;
  for (int part = 0; part < plan->parts; part++) {
    struct operand_call o = {.quantizer = quantizer,
                             .rows = plan->part_outputs[part],
                             .from = master + first * plan->inputs,
                             .to = values + first * plan->inputs,
                             .mask = mask ? mask + first * mask_stride(plan->inputs) : NULL,
                             .signs = quantizer->hadamard_random ? format->signs : NULL,
                             .back = back,
                             .place = linear_format_place(plan, RANDOM_WEIGHTS, format->step, first)};
    struct tensor_statistics statistics = {.last_tie = -1};
    if (quantizer->rule == SCALE_LEARNED) statistics.learned = learned_scale(device, format, part, &o, scratch);
    select_part(device, format, &o, first, scratch, &statistics);
    represent(device, format->level, &o, scratch, statistics);
    first += o.rows;
  }
}

const float *weight_format_prepare(struct device *device, struct weight_format *format, const float *master,
                                   int64_t step, const float **backward) {
  const struct linear_format *plan = &format->plan;
  struct scratch scratch;
  *backward = master;
  format->master = master;
  format->step = step;
  format->level = format_level_find(device->level->isa);
  if (!take_scratch(device, format, 0, 0, &scratch)) return master;
  if (plan->weights.hadamard_random || plan->activations.hadamard_random)
    hadamard_signs(plan->seed, (uint64_t)step, (uint64_t)plan->number * 4 + RANDOM_WEIGHTS, plan->inputs,
                   format->signs);
  if (!plan->has_weights) return master;
  represent_weights(device, format, &plan->weights, master, plan->weights_back, &scratch, format->values,
                    plan->weights_masked ? format->mask : NULL);
  *backward = format->values;
  if (plan->format->backward == BACKWARD_ORIGINAL) {
    represent_weights(device, format, &plan->plain_weights, master, false, &scratch, format->original, NULL);
    *backward = format->original;
  }
  return format->values;
}

void weight_format_finish(struct device *device, struct weight_format *format, float *d_weight) {
  const struct linear_format *plan = &format->plan;
  struct scratch scratch;
  // The operands of BACKWARD_ORIGINAL are where the master is, and its estimators pass everything.
  bool in_place = plan->format->backward == BACKWARD_ORIGINAL;
  bool turned = plan->rotated && !in_place, masked = plan->weights_masked && !in_place;
  bool learned = plan->has_weights && plan->weights.rule == SCALE_LEARNED;
  if (!turned && !masked && !learned) return;
  if (!take_scratch(device, format, 0, 0, &scratch)) return;
  int64_t first = 0;
  for (int part = 0; part < plan->parts && learned; first += plan->part_outputs[part++])
    learned_gradient(device, format, part, &plan->weights, plan->part_outputs[part],
                     plan->part_outputs[part] * plan->inputs, DTYPE_FLOAT32, format->master + first * plan->inputs,
                     DTYPE_FLOAT32, d_weight + first * plan->inputs, &scratch);
  struct transform_call call = {.columns = plan->inputs,
                                .block = plan->weights.hadamard_block,
                                .signs = plan->weights.hadamard_random ? format->signs : NULL,
                                .from = d_weight,
                                .to = d_weight,
                                .scratch = scratch.rows};
  if (plan->weights_back) device_run(device, format->level->transform, &call, plan->outputs, 8);
  if (masked) call.mask = format->mask;
  device_run(device, format->level->inverse, &call, plan->outputs, 8);
}

// ---- activations ----

size_t linear_format_saved_bytes(const struct weight_description *description, int64_t rows) {
  struct arena arena = {0};
  struct error error = {0};
  struct linear_format plan;
  size_t bytes = 0;
  if (linear_format_make(&plan, description, &arena, &error))
    bytes = linear_format_saved(&plan, rows, description->dtype).total;
  arena_free(&arena);
  return bytes;
}

const void *linear_format_activations(struct device *device, struct weight_format *format, const struct linear *linear,
                                      const void *x, void *saved) {
  const struct linear_format *plan = &format->plan;
  struct scratch scratch;
  if (!plan->has_activations || !windows_fit(device, linear) ||
      !take_scratch(device, format, linear->rows, linear->window, &scratch))
    return x;
  struct saved_layout layout = linear_format_saved(plan, linear->rows, linear->dtype);
  struct operand_call o = {.quantizer = &plan->activations,
                           .rows = linear->rows,
                           .from_dtype = linear->dtype,
                           .to_dtype = linear->dtype,
                           .from = x,
                           .to = saved,
                           .mask = plan->activations_masked ? (uint8_t *)saved + layout.values : NULL,
                           .signs = plan->activations.hadamard_random ? format->signs : NULL,
                           .back = plan->activations_back,
                           .windows = linear_format_windows(linear),
                           .place = linear_format_place(plan, RANDOM_ACTIVATIONS, format->step, linear->first_row)};
  struct tensor_statistics statistics = {.last_tie = -1};
  if (plan->activations.rule == SCALE_LEARNED) {
    statistics.learned = learned_scale(device, format, WEIGHT_PARTS, &o, &scratch);
    // Its gradient needs the activations as they were.
    memcpy((char *)saved + layout.values + layout.mask, x, layout.copy);
  }
  represent(device, format->level, &o, &scratch, statistics);
  return saved;
}

// ---- gradients ----

// Represents `rows` rows of what is summed over in a backward product; with BACKWARD_REQUANTIZE both operands keep the
// transform, otherwise it is undone.
static void represent_gradient(struct device *device, struct weight_format *format, const struct quantizer *quantizer,
                               enum random_operand which, int64_t first_row, int64_t rows, struct row_windows windows,
                               enum dtype dtype, const void *from, void *to, const struct scratch *scratch) {
  const struct linear_format *plan = &format->plan;
  if (quantizer->hadamard_random)
    quantizer_signs(quantizer, plan->seed, (uint64_t)format->step, (uint64_t)plan->number * 4 + which, scratch->signs);
  struct operand_call o = {.quantizer = quantizer,
                           .rows = rows,
                           .from_dtype = dtype,
                           .to_dtype = dtype,
                           .from = from,
                           .to = to,
                           .signs = quantizer->hadamard_random ? scratch->signs : NULL,
                           .back = !linear_format_along_tokens(plan),
                           .windows = windows,
                           .place = linear_format_place(plan, which, format->step, first_row)};
  represent(device, format->level, &o, scratch, (struct tensor_statistics){.last_tie = -1});
}

static bool token_quantizer(struct device *device, struct weight_format *format, int64_t window) {
  if (format->tokens.columns == window) return true;
  return linear_format_token_quantizer(&format->plan, window, &format->tokens, &format->arena, &device->error) &&
         linear_format_token_activations(&format->plan, window, &format->token_activations, &format->arena,
                                         &device->error);
}

// Rows transformed over the tokens of each window: H [window, window] M, by transposing to where tokens are columns and
// back.
static void transform_tokens(struct device *device, struct weight_format *format, const struct linear *linear,
                             int64_t columns, const void *from, void *to, void *between,
                             const struct scratch *scratch) {
  struct hadamard over_tokens = {HADAMARD_FIXED, HADAMARD_LARGEST, false};
  int64_t rows = linear->rows, window = linear_format_window(linear);
  enum dtype dtype = linear->dtype;
  struct transform_call call = {.columns = window,
                                .from_dtype = dtype,
                                .to_dtype = dtype,
                                .from = between,
                                .to = between,
                                .scratch = scratch->rows};
  if (!hadamard_block(&over_tokens, window, &call.block, &device->error)) return;
  transpose(device, format->level, rows, columns, dtype, from, between);
  device_run(device, format->level->transform, &call, columns * (rows / window), 8);
  transpose(device, format->level, columns, rows, dtype, between, to);
}

const void *linear_format_output_gradient(struct device *device, struct weight_format *format,
                                          const struct linear *linear, const void *d_y, void *d_x) {
  const struct linear_format *plan = &format->plan;
  struct scratch scratch;
  if (!plan->has_gradients || !windows_fit(device, linear) ||
      !take_scratch(device, format, linear->rows, linear->window, &scratch))
    return d_y;
  if (plan->format->gradient_token_hadamard) {
    transform_tokens(device, format, linear, plan->outputs, d_y, scratch.matrices[0], scratch.matrices[1], &scratch);
    d_y = scratch.matrices[0];
  }
  void *gradient = scratch.matrices[1];
  represent_gradient(device, format, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, linear->first_row, linear->rows,
                     linear_format_windows(linear), linear->dtype, d_y, gradient, &scratch);
  if (plan->format->backward != BACKWARD_REQUANTIZE) return gradient;

  // The weights once more, [inputs, outputs], along outputs; their rows are numbered behind any batch's.
  const float *values = plan->has_weights ? format->values : linear->weight->values;
  struct convert_call convert = {
      .from_dtype = DTYPE_FLOAT32, .to_dtype = linear->dtype, .from = values, .to = scratch.matrices[2]};
  device_run(device, device->level->convert, &convert, plan->outputs * plan->inputs, 1024);
  transpose(device, format->level, plan->outputs, plan->inputs, linear->dtype, scratch.matrices[2],
            scratch.matrices[3]);
  const struct row_windows one = {0};
  represent_gradient(device, format, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, (int64_t)1 << 30, plan->inputs, one,
                     linear->dtype, scratch.matrices[3], scratch.matrices[2], &scratch);
  struct gemm gemm = {.form = GEMM_NT,
                      .m = linear->rows,
                      .n = plan->inputs,
                      .k = plan->outputs,
                      .in = linear->dtype,
                      .out = linear->dtype};
  multiply(device, &gemm, gradient, scratch.matrices[2], d_x);
  return NULL;
}

void linear_format_input_gradient(struct device *device, struct weight_format *format, const struct linear *linear,
                                  const void *saved, void *d_x) {
  const struct linear_format *plan = &format->plan;
  struct scratch scratch;
  bool in_place = plan->format->backward == BACKWARD_ORIGINAL;
  bool masked = plan->activations_masked && !in_place, turned = plan->rotated && !in_place;
  if (!masked && !turned && !plan->format->gradient_token_hadamard) return;
  if (!take_scratch(device, format, linear->rows, linear->window, &scratch)) return;
  if (plan->format->gradient_token_hadamard)  // its own inverse
    transform_tokens(device, format, linear, plan->inputs, d_x, d_x, scratch.matrices[1], &scratch);
  if (!masked && !turned) return;
  if (plan->has_activations && plan->activations.rule == SCALE_LEARNED) {
    struct saved_layout layout = linear_format_saved(plan, linear->rows, linear->dtype);
    learned_gradient(device, format, WEIGHT_PARTS, &plan->activations, linear->rows, plan->inputs, linear->dtype,
                     (const char *)saved + layout.values + layout.mask, linear->dtype, d_x, &scratch);
  }
  struct transform_call call = {.columns = plan->inputs,
                                .block = plan->activations.hadamard_block,
                                .signs = plan->activations.hadamard_random ? format->signs : NULL,
                                .from_dtype = linear->dtype,
                                .to_dtype = linear->dtype,
                                .from = d_x,
                                .to = d_x,
                                .scratch = scratch.rows};
  if (plan->activations_back) device_run(device, format->level->transform, &call, linear->rows, 8);
  if (masked) call.mask = (const uint8_t *)saved + linear_format_saved(plan, linear->rows, linear->dtype).values;
  device_run(device, format->level->inverse, &call, linear->rows, 8);
}

void linear_format_weight_gradient(struct device *device, struct weight_format *format, const struct linear *linear,
                                   const void *x, const void *saved, const void *d_y, float *d_weight,
                                   bool accumulate) {
  const struct linear_format *plan = &format->plan;
  struct scratch scratch;
  enum dtype dtype = linear->dtype;
  int64_t rows = linear->rows;
  struct gemm gemm = {.form = GEMM_TN,
                      .m = plan->outputs,
                      .n = plan->inputs,
                      .k = rows,
                      .in = dtype,
                      .out = DTYPE_FLOAT32,
                      .accumulate = accumulate};
  const void *activations = plan->has_activations ? saved : x;
  if (!plan->has_gradients && plan->format->backward == BACKWARD_FORWARD) {
    multiply(device, &gemm, d_y, activations, d_weight);
    return;
  }
  if (!windows_fit(device, linear) || !take_scratch(device, format, rows, linear->window, &scratch)) return;
  if (plan->format->backward == BACKWARD_ORIGINAL && plan->has_activations) {
    struct operand_call o = {.quantizer = &plan->plain_activations,
                             .rows = rows,
                             .from_dtype = dtype,
                             .to_dtype = dtype,
                             .from = x,
                             .to = scratch.matrices[3],
                             .windows = linear_format_windows(linear),
                             .place = linear_format_place(plan, RANDOM_ACTIVATIONS, format->step, linear->first_row)};
    represent(device, format->level, &o, &scratch, (struct tensor_statistics){.last_tie = -1});
    activations = scratch.matrices[3];
  }
  if (!plan->has_gradients) {
    multiply(device, &gemm, d_y, activations, d_weight);
    return;
  }
  if (plan->gradients_once) {
    represent_gradient(device, format, &plan->gradients, RANDOM_GRADIENTS_OUTPUTS, linear->first_row, rows,
                       linear_format_windows(linear), dtype, d_y, scratch.matrices[0], &scratch);
    multiply(device, &gemm, scratch.matrices[0], activations, d_weight);
    return;
  }
  if (!token_quantizer(device, format, linear_format_window(linear))) return;
  // d_y^T [outputs, rows], each row cut by windows, represented along their tokens; a window's rows of it are numbered
  // by where it begins.
  struct row_windows outputs = linear_format_turns(plan, linear, plan->outputs);
  struct row_windows inputs = linear_format_turns(plan, linear, plan->inputs);
  int64_t first = linear_format_first_turn(plan, linear), windows = window_count(&outputs);
  transpose(device, format->level, rows, plan->outputs, dtype, d_y, scratch.matrices[0]);
  represent_gradient(device, format, &format->tokens, RANDOM_GRADIENTS_TOKENS, first, plan->outputs * windows, outputs,
                     dtype, scratch.matrices[0], scratch.matrices[1], &scratch);
  if (!linear_format_along_tokens(plan)) {
    gemm.form = GEMM_NN;
    multiply(device, &gemm, scratch.matrices[1], activations, d_weight);
    return;
  }
  if (plan->format->backward == BACKWARD_TOKENS) activations = x;
  transpose(device, format->level, rows, plan->inputs, dtype, activations, scratch.matrices[0]);
  represent_gradient(device, format, &format->token_activations, RANDOM_GRADIENTS_TOKENS, first + plan->outputs,
                     plan->inputs * windows, inputs, dtype, scratch.matrices[0], scratch.matrices[2], &scratch);
  gemm.form = GEMM_NT;
  multiply(device, &gemm, scratch.matrices[1], scratch.matrices[2], d_weight);
}
