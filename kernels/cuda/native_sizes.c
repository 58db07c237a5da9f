// See native_sizes.h.
#include "kernels/cuda/native_sizes.h"

#include <math.h>

#include "kernels/cuda/format_sizes.h"
#include "kernels/formats/grid.h"

static size_t aligned(size_t bytes) { return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT; }
static int64_t up_to(int64_t count, int64_t multiple) { return (count + multiple - 1) / multiple * multiple; }

// Whether every level of the grid is one of another, a floating point grid.
static bool has_levels(const struct grid *grid, int exponent_bits, int mantissa_bits) {
  struct grid type = grid_float(exponent_bits, mantissa_bits);
  double levels[GRID_LEVEL_LIMIT], of_type[GRID_LEVEL_LIMIT];
  if (grid->count > GRID_LEVEL_LIMIT) return false;
  int count = grid_level_list(grid, levels), types = grid_level_list(&type, of_type), at = 0;
  for (int i = 0; i < count; i++) {
    while (at < types && of_type[at] < levels[i]) at++;
    if (at == types || of_type[at] != levels[i]) return false;
  }
  return true;
}

// How an operand is encoded, when no transform follows its rounding.
static struct native_operand encoding(const struct representation *r) {
  const struct native_operand none = {NATIVE_NONE, NATIVE_TENSOR, 1};
  const struct scale *scale = &r->scale;
  struct native_operand operand = none;
  if (r->sparsity.kind != SPARSITY_NONE || (r->grid.kind != GRID_UNIFORM && r->grid.kind != GRID_FLOAT)) return none;
  if (cuda_group_apart(scale, &r->grid)) return none;
  bool power = scale->type != SCALE_FLOAT && !scale_type_is_e4m3(scale->type);
  if (scale->unit == SCALE_PER_GROUP || scale->unit == SCALE_PER_SQUARE) {
    if (scale_type_is_e4m3(scale->type) && scale->group % 16 == 0)
      operand.scaling = NATIVE_BLOCK16;
    else if (power && scale->group % 32 == 0)
      operand.scaling = NATIVE_BLOCK32;
    else
      return none;
    if (power && scale->rule == SCALE_ABSMAX && scale_type_is_of_exponent(scale->type))
      operand.factor = (float)scale->factor;
    // Smaller ones would come under the least scale there is, which is no power of two times them.
    if (!(operand.factor >= 0.75f && operand.factor <= 2)) return none;
  } else {
    if (scale_type_is_e4m3(scale->type)) return none;
    operand.scaling = scale->unit == SCALE_PER_ROW ? NATIVE_ROW : NATIVE_TENSOR;
  }
  if (operand.scaling == NATIVE_BLOCK16)
    operand.type = has_levels(&r->grid, 2, 1) ? NATIVE_E2M1 : NATIVE_NONE;
  else if (has_levels(&r->grid, 4, 3))
    operand.type = NATIVE_E4M3;
  else if (has_levels(&r->grid, 5, 2))
    operand.type = NATIVE_E5M2;
  return operand.type == NATIVE_NONE ? none : operand;
}

static struct native_operand untransformed(const struct representation *r) {
  struct representation plain = *r;
  plain.hadamard.kind = HADAMARD_NONE;
  return encoding(&plain);
}

// The product of two operands where cuBLASLt has one on any device: scales of one kind, and not E5M2 with itself.
static struct native_product together(struct native_operand a, struct native_operand b) {
  struct native_product product = {{NATIVE_NONE, NATIVE_TENSOR, 1}, {NATIVE_NONE, NATIVE_TENSOR, 1}};
  if (a.type == NATIVE_NONE || b.type == NATIVE_NONE || a.scaling != b.scaling) return product;
  if (a.type == NATIVE_E5M2 && b.type == NATIVE_E5M2) return product;
  product.a = a;
  product.b = b;
  return product;
}

int64_t cuda_native_block(const struct native_operand *operand) {
  return operand->scaling == NATIVE_BLOCK32 ? 32 : operand->scaling == NATIVE_BLOCK16 ? 16 : 1;
}

int64_t cuda_native_alignment(const struct native_operand *operand) {
  return operand->scaling == NATIVE_BLOCK32 || operand->type == NATIVE_E2M1 ? 32 : 16;
}

struct native_layer cuda_native_layer(const struct weight_description *d) {
  struct native_layer layer = {.turned = true};
  const struct format *format = d->format;
  if (format_is_none(format)) return layer;
  struct arena arena = {0};
  struct error error = {0};
  struct linear_format plan;
  if (linear_format_make(&plan, d, &arena, &error)) {
    const struct representation *w = &format->operands[OPERAND_WEIGHTS], *x = &format->operands[OPERAND_ACTIVATIONS];
    const struct representation *g = &format->operands[OPERAND_GRADIENTS];
    const struct native_operand none = {NATIVE_NONE, NATIVE_TENSOR, 1};
    struct native_operand weights = plan.weights_back ? none : encoding(w);
    struct native_operand activations = plan.activations_back ? none : encoding(x);
    struct native_product *products = layer.products;
    products[NATIVE_FORWARD] = together(weights, activations);
    if (plan.has_gradients && format->backward == BACKWARD_TOKENS) {
      layer.turned = false;
      products[NATIVE_WEIGHT_GRADIENT] = together(encoding(&plan.activations_of_tokens), encoding(g));
    } else if (plan.has_gradients && format->backward == BACKWARD_REQUANTIZE) {
      layer.turned = false;
      products[NATIVE_INPUT_GRADIENT] = products[NATIVE_WEIGHT_GRADIENT] = together(encoding(g), encoding(g));
    } else if (plan.has_gradients && g->hadamard.kind == HADAMARD_NONE) {
      // Scales of the forward's axis are of no use on another one: only those of the whole tensor are.
      struct native_operand gradients = encoding(g);
      if (format->backward == BACKWARD_ORIGINAL) {
        weights = untransformed(w);
        activations = untransformed(x);
      }
      if (gradients.scaling == NATIVE_TENSOR) {
        products[NATIVE_INPUT_GRADIENT] = together(weights, gradients);
        products[NATIVE_WEIGHT_GRADIENT] = together(activations, gradients);
      }
    }
    // Lengths of axes; that of tokens is known when the product is made.
    bool whole = true;
    for (int part = 0; part < plan.parts; part++) whole &= plan.part_outputs[part] % CUDA_NATIVE_ALIGNMENT == 0;
    for (int i = 0; i < NATIVE_PRODUCTS; i++) {
      int64_t alignment = cuda_native_alignment(&products[i].a);
      bool fits = whole && plan.inputs % CUDA_NATIVE_ALIGNMENT == 0;
      if (i == NATIVE_FORWARD) fits = fits && plan.inputs % alignment == 0;
      if (i == NATIVE_INPUT_GRADIENT) fits = fits && plan.outputs % alignment == 0;
      if (!fits) products[i] = together(none, none);
    }
  }
  arena_free(&arena);
  return layer;
}

int64_t cuda_native_scale_columns(const struct native_operand *operand, int64_t columns) {
  int64_t block = cuda_native_block(operand);
  return up_to((columns + block - 1) / block, CUDA_SCALE_TILE_COLUMNS);
}

size_t cuda_native_code_bytes(const struct native_operand *operand, int64_t rows, int64_t columns) {
  if (operand->type == NATIVE_NONE) return 0;
  size_t count = (size_t)(rows * columns);
  return aligned(operand->type == NATIVE_E2M1 ? count / 2 : count);
}

size_t cuda_native_scale_bytes(const struct native_operand *operand, int64_t rows, int64_t columns) {
  if (operand->type == NATIVE_NONE || cuda_native_block(operand) == 1) return 0;
  return aligned((size_t)(up_to(rows, CUDA_SCALE_TILE_ROWS) * cuda_native_scale_columns(operand, columns)));
}

size_t cuda_native_number_bytes(const struct native_operand *operand, int64_t rows) {
  if (operand->type == NATIVE_NONE) return 0;
  int64_t numbers = WEIGHT_PARTS * CUDA_NATIVE_NUMBER_STRIDE;
  if (operand->scaling == NATIVE_ROW && rows > numbers) numbers = rows;
  return aligned((size_t)numbers * sizeof(float));
}

struct cuda_native_weight cuda_native_weight_of(const struct weight_description *d) {
  struct cuda_native_weight sizes = {0};
  struct native_layer layer = cuda_native_layer(d);
  const struct native_operand *forward = &layer.products[NATIVE_FORWARD].a;
  sizes.codes = cuda_native_code_bytes(forward, d->outputs, d->inputs);
  sizes.scales = cuda_native_scale_bytes(forward, d->outputs, d->inputs);
  for (int part = 0; part < d->parts && sizes.scales; part++) {
    // Each part's tiles are its own.
    if (part == 0) sizes.scales = 0;
    sizes.scales += cuda_native_scale_bytes(forward, d->part_outputs[part], d->inputs);
  }
  sizes.numbers = cuda_native_number_bytes(forward, d->outputs);
  if (layer.turned) {
    const struct native_operand *backward = &layer.products[NATIVE_INPUT_GRADIENT].a;
    sizes.turned = cuda_native_code_bytes(backward, d->inputs, d->outputs);
    sizes.turned_numbers = cuda_native_number_bytes(backward, 0);
  }
  sizes.total = sizes.codes + sizes.scales + sizes.numbers + sizes.turned + sizes.turned_numbers;
  return sizes;
}
