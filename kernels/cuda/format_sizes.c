// See format_sizes.h.
#include "kernels/cuda/format_sizes.h"

#include "kernels/cuda/native_sizes.h"

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }

struct cuda_table_sizes cuda_table_sizes_of(const struct grid *grid) {
  struct cuda_table_sizes sizes = {0};
  if (grid->kind == GRID_LEVELS) sizes.levels = sizes.edges = grid->count;
  if (grid->kind == GRID_VECTOR) {
    sizes.points = (int64_t)grid->count * grid->dimension;
    sizes.half_norms = grid->count;
  }
  return sizes;
}

struct cuda_weight_layout cuda_weight_layout_of(const struct weight_description *d) {
  struct cuda_weight_layout layout = {0};
  size_t count = (size_t)(d->outputs * d->inputs), matrix = aligned(count * dtype_bytes(d->dtype));
  const struct format *format = d->format;
  bool weights = !format_is_none(format) && !representation_is_none(&format->operands[OPERAND_WEIGHTS]);
  if (d->dtype != d->master || weights) layout.values = matrix;
  if (!format_is_none(format)) {
    if (weights && format->backward == BACKWARD_ORIGINAL) layout.backward = matrix;
    if (weights) layout.mask = aligned((size_t)(d->outputs * mask_stride(d->inputs)));
    layout.signs = aligned((size_t)((d->inputs + 127) / 128 * 16));
    layout.chosen = aligned(16);
    for (int operand = 0; operand < OPERANDS; operand++) {
      struct cuda_table_sizes sizes = cuda_table_sizes_of(&format->operands[operand].grid);
      layout.tables += aligned((size_t)(sizes.levels + sizes.edges + sizes.points + sizes.half_norms) * sizeof(float));
    }
  }
  if (!format_is_none(format)) layout.native = cuda_native_weight_of(d).total;
  layout.total = layout.values + layout.backward + layout.mask + layout.signs + layout.chosen + layout.tables;
  layout.total += layout.native;
  return layout;
}

bool cuda_group_apart(const struct scale *scale, const struct grid *grid) {
  if (grid->kind == GRID_NONE || scale->unit != SCALE_PER_GROUP) return false;
  if (scale->rule != SCALE_ABSMAX && scale->rule != SCALE_RMS) return false;
  int group = scale->group;
  return group < CUDA_FORMAT_GROUP_LEAST || group > CUDA_FORMAT_GROUP_MOST || (group & (group - 1)) != 0;
}

bool cuda_staged(const struct representation *r) {
  if (r->hadamard.kind == HADAMARD_NONE) return false;
  if (cuda_group_apart(&r->scale, &r->grid) || r->sparsity.kind == SPARSITY_TOP) return true;
  int m = r->sparsity.m;
  if (r->sparsity.kind == SPARSITY_N_M) return m != 2 && m != 4 && m != 8;
  return r->sparsity.kind == SPARSITY_PAIRED && m != 4 && m != 8;
}

static size_t take(size_t *end, size_t bytes) {
  size_t at = *end;
  *end += aligned(bytes);
  return at;
}

// Codes stand where their values would; without matrices there are only the activations of y.
static void take_native(struct cuda_format_scratch *s, const struct weight_description *d,
                        const struct native_layer *layer, int64_t rows, int64_t windows, bool matrices, size_t *end) {
  const struct native_product *products = layer->products;
  if (!matrices && native_there(&products[NATIVE_FORWARD]))
    s->matrices[1] = take(end, cuda_native_code_bytes(&products[NATIVE_FORWARD].b, rows, d->inputs));
  const struct native_operand *input = &products[NATIVE_INPUT_GRADIENT].b;
  const struct native_operand *weight = &products[NATIVE_WEIGHT_GRADIENT].b;
  // Of a and b: what is longest of the products, each of which has them to itself.
  size_t scales[2] = {cuda_native_scale_bytes(input, d->inputs, d->outputs),
                      cuda_native_scale_bytes(input, rows, d->outputs)};
  size_t of_weight[2] = {cuda_native_scale_bytes(weight, d->inputs, rows),
                         cuda_native_scale_bytes(weight, d->outputs, rows)};
  size_t of_forward = cuda_native_scale_bytes(&products[NATIVE_FORWARD].b, rows, d->inputs);
  int64_t longest = d->inputs > d->outputs ? d->inputs : d->outputs;
  if (rows > longest) longest = rows;
  if (windows * CUDA_NATIVE_NUMBER_STRIDE > longest) longest = windows * CUDA_NATIVE_NUMBER_STRIDE;
  struct native_operand by_rows = {NATIVE_E4M3, NATIVE_ROW, 1};
  bool there = false;
  for (int i = 0; i < NATIVE_PRODUCTS; i++) there = there || native_there(&products[i]);
  for (int i = 0; i < 2; i++) {
    if (of_weight[i] > scales[i]) scales[i] = of_weight[i];
    if (i == 1 && of_forward > scales[i]) scales[i] = of_forward;
    s->native_scales[i] = take(end, scales[i]);
    s->native_numbers[i] = take(end, there ? cuda_native_number_bytes(&by_rows, longest) : 0);
  }
  s->product_numbers = take(end, there ? 16 : 0);
  bool summed =
      d->parts > 1 && layer->turned && d->dtype != DTYPE_FLOAT32 && native_there(&products[NATIVE_INPUT_GRADIENT]);
  s->sums = take(end, summed ? (size_t)(rows * d->inputs) * sizeof(float) : 0);
}

struct cuda_format_scratch cuda_format_scratch_of(const struct weight_description *d, const struct native_layer *native,
                                                  int64_t rows, int64_t window) {
  const struct format *format = d->format;
  struct cuda_format_scratch s = {0};
  int64_t longest = d->outputs > d->inputs ? d->outputs : d->inputs, largest = d->outputs * d->inputs;
  int64_t windows = window > 0 && rows > window ? rows / window : 1, cut = longest * windows;
  if (rows > longest) longest = rows;
  if (rows * d->outputs > largest) largest = rows * d->outputs;
  if (rows * d->inputs > largest) largest = rows * d->inputs;
  bool apart = false, staged = false;
  for (int operand = 0; operand < OPERANDS; operand++) {
    const struct representation *r = &format->operands[operand];
    apart = apart || cuda_group_apart(&r->scale, &r->grid);
    staged = staged || cuda_staged(r);
    apart = apart || (r->grid.kind != GRID_NONE && r->scale.unit == SCALE_PER_SQUARE);
  }
  if (format->backward == BACKWARD_TOKENS) {  // activations along tokens have the gradients' transform
    struct representation activations = format->operands[OPERAND_ACTIVATIONS];
    activations.hadamard = format->operands[OPERAND_GRADIENTS].hadamard;
    staged = staged || cuda_staged(&activations);
  }
  bool gradients = !representation_is_none(&format->operands[OPERAND_GRADIENTS]);
  bool matrices = gradients || format->backward != BACKWARD_FORWARD;
  if (gradients && cut > longest) longest = cut;  // transposed, rows are cut by windows
  size_t length = (size_t)longest, end = 0;
  s.row_absmax = take(&end, length * sizeof(uint32_t));
  s.row_squares = take(&end, length * sizeof(float));
  s.row_sums = take(&end, length * sizeof(double));
  s.choices = take(&end, length * 16);
  // Groups of 2 at least, the last of a row may be short.
  s.unit_scales = take(&end, apart ? ((size_t)largest / 2 + length) * sizeof(float) : 0);
  s.signs = take(&end, (length + 127) / 128 * 16);
  s.statistics = take(&end, (size_t)windows * sizeof(struct tensor_statistics));
  s.chosen = take(&end, 16);
  s.state = take(&end, 64);
  s.counts = take(&end, CUDA_SELECT_BINS * sizeof(uint64_t));
  s.ties = take(&end, CUDA_TIE_BLOCKS * sizeof(uint32_t));
  s.staged = take(&end, staged ? (size_t)largest * sizeof(float) : 0);
  for (int i = 0; i < 4; i++) s.matrices[i] = take(&end, matrices ? (size_t)largest * dtype_bytes(d->dtype) : 0);
  if (native) take_native(&s, d, native, rows, windows, matrices, &end);
  s.total = end;
  return s;
}
