// Products of encoded operands: which of a layer's are made so, and making them. See native_sizes.h.
//
// The choice of a product is fixed by the format, the shape, the GPU and what the library proposes for it, so that
// forward and backward, and every step, agree. Scales are device memory from where they are found to where they are
// read: nothing waits for the host.
#pragma once
#include "kernels/cuda/format_apply.cuh"
#include "kernels/cuda/products.cuh"

namespace {

void convert(struct device *device, int64_t count, enum dtype from_dtype, const void *from, enum dtype to_dtype,
             void *to);

inline const char *native_product_name(native_product_kind kind) {
  static const char *const names[] = {"y", "d_x", "d_W"};
  return names[kind];
}

// Whether the GPU has products of such operands at all.
inline bool native_possible(const struct device *device, const struct native_layer *layer, native_product_kind kind) {
  const struct native_product *product = &layer->products[kind];
  return native_there(product) && device->native && capability_has(device, product->a.scaling);
}

inline gemm_shape native_shape(const struct native_product *product, int64_t m, int64_t n, int64_t k, int64_t lead_k,
                               int64_t lead_d, enum dtype out) {
  gemm_encoding encoding;
  encoding.a = product->a.type;
  encoding.b = product->b.type;
  encoding.scaling = product->a.scaling;
  encoding.lead_a = encoding.lead_b = lead_k;
  encoding.lead_d = lead_d;
  return {m, n, k, true, false, out, out, encoding};
}

// One part's product, or the whole layer's (part < 0), of that many rows of `all`.
inline gemm_shape part_shape(const struct linear_format *plan, const struct native_product *product,
                             native_product_kind kind, int part, int64_t rows, int64_t all, enum dtype out) {
  int64_t outputs = part < 0 ? plan->outputs : plan->part_outputs[part];
  if (kind == NATIVE_FORWARD)
    return native_shape(product, outputs, rows, plan->inputs, plan->inputs, plan->outputs, out);
  if (kind == NATIVE_INPUT_GRADIENT)
    return native_shape(product, plan->inputs, rows, outputs, plan->outputs, plan->inputs, out);
  return native_shape(product, plan->inputs, plan->outputs, rows, all, plan->inputs, DTYPE_FLOAT32);
}

// Parts of a stacked matrix have scales per tensor and selections of their own; where nothing is of a tensor all go at
// once.
inline bool parts_apart(const struct quantizer *quantizer) {
  bool learned = quantizer->rule == SCALE_LEARNED && quantizer->grid != GRID_NONE;
  return learned || quantizer_needs_absmax(quantizer) || quantizer_needs_rms(quantizer) ||
         quantizer_needs_selection(quantizer) || quantizer->sparsity == SPARSITY_RANDOM ||
         (quantizer->grid != GRID_NONE && quantizer->unit == SCALE_PER_SQUARE);
}

// The parts that a product with the prepared weights is made in; 0: in one.
inline int parts_of_product(const struct linear_format *plan, const struct native_layer *layer,
                            native_product_kind kind) {
  if (kind == NATIVE_WEIGHT_GRADIENT || (kind == NATIVE_INPUT_GRADIENT && !layer->turned)) return 0;
  bool original = kind == NATIVE_INPUT_GRADIENT && plan->format->backward == BACKWARD_ORIGINAL;
  return parts_apart(original ? &plan->plain_weights : &plan->weights) ? plan->parts : 0;
}

// Sums over parts are made in float32.
inline enum dtype native_output(const struct linear_format *plan, const struct native_layer *layer,
                                native_product_kind kind, enum dtype dtype) {
  if (kind == NATIVE_WEIGHT_GRADIENT) return DTYPE_FLOAT32;
  return kind == NATIVE_INPUT_GRADIENT && parts_of_product(plan, layer, kind) > 1 ? DTYPE_FLOAT32 : dtype;
}

// Whether every window has a number of its own, so that products are made window by window.
inline bool numbered_by_window(const struct linear_format *plan, const struct native_layer *layer,
                               native_product_kind kind) {
  auto measured = [](const struct quantizer &q) { return quantizer_needs_absmax(&q) || quantizer_needs_rms(&q); };
  const struct native_product *product = &layer->products[kind];
  if (product->b.scaling != NATIVE_TENSOR && product->b.scaling != NATIVE_BLOCK16) return false;
  if (kind == NATIVE_FORWARD) return measured(plan->activations);
  return measured(plan->gradients) || (kind == NATIVE_WEIGHT_GRADIENT && measured(plan->activations));
}

// The rows that one product takes: a window's or all.
inline int64_t rows_of_product(const struct linear_format *plan, const struct native_layer *layer,
                               native_product_kind kind, const struct linear *linear) {
  return numbered_by_window(plan, layer, kind) ? linear_format_window(linear) : linear->rows;
}

// What windows ask of the codes that stand for them: whole tiles of scales, and numbers that products can take.
inline bool windows_encoded(const struct native_product *product, native_product_kind kind,
                            const struct linear *linear) {
  int64_t window = linear_format_window(linear);
  if (linear->rows <= window) return true;
  if (kind != NATIVE_WEIGHT_GRADIENT) return product->b.scaling != NATIVE_BLOCK16 || window % CUDA_SCALE_TILE_ROWS == 0;
  if (product->a.scaling == NATIVE_ROW || product->a.scaling == NATIVE_BLOCK16) return false;
  return window % cuda_native_alignment(&product->a) == 0;
}

inline bool native_chosen(struct device *device, const struct linear_format *plan, const struct native_layer *layer,
                          native_product_kind kind, const struct linear *linear, enum dtype dtype) {
  if (!native_possible(device, layer, kind)) return false;
  const struct native_product *product = &layer->products[kind];
  int64_t rows = rows_of_product(plan, layer, kind, linear);
  if (!windows_encoded(product, kind, linear)) return false;
  if (kind == NATIVE_WEIGHT_GRADIENT && rows % cuda_native_alignment(&product->a)) return false;
  int parts = parts_of_product(plan, layer, kind);
  enum dtype out = native_output(plan, layer, kind, dtype);
  for (int part = parts ? 0 : -1; part < (parts ? parts : 0); part++) {
    const gemm_plan *found = plan_find(device, part_shape(plan, product, kind, part, rows, linear->rows, out));
    if (!found || found->refused) return false;
  }
  return true;
}

// Which of a layer's products are made of encoded operands, as bits of native_product_kind; said once for each of the
// ways that a run's layers go.
inline void native_say(struct device *device, const struct linear_format *plan, const struct native_layer *layer,
                       enum dtype dtype, unsigned chosen) {
  if (device->native_said >> chosen & 1) return;
  device->native_said |= 1u << chosen;
  device->native_used |= chosen;
  struct text line = {};
  text_format(&line, "format %s, layers of %lld x %lld: products for", plan->format->name, (long long)plan->outputs,
              (long long)plan->inputs);
  for (int kind = 0; kind < NATIVE_PRODUCTS; kind++) {
    const struct native_product *product = &layer->products[kind];
    text_format(&line, "%s %s ", kind ? "," : "", native_product_name((native_product_kind)kind));
    if (chosen >> kind & 1)
      text_format(&line, "of %s x %s codes (scales by %s)", native_name(product->a.type), native_name(product->b.type),
                  scaling_name(product->a.scaling));
    else
      text_format(
          &line, "of %s values%s", dtype_name(dtype),
          native_possible(device, layer, (native_product_kind)kind) ? " (codes do not fit, or are refused)" : "");
  }
  std::fprintf(stderr, "%s\n", text_string(&line));
  text_free(&line);
}

// d (+)= a b.
inline void native_multiply(struct device *device, const gemm_shape &shape, const encoded_matrix &a,
                            const encoded_matrix &b, void *d, bool accumulate, const format_scratch *s) {
  gemm_scales scales;
  bool blocks = cuda_native_block(&a.native) > 1;
  scales.a = blocks ? (const void *)a.scales : a.numbers;
  scales.b = blocks ? (const void *)b.scales : b.numbers;
  scales.alpha = a.native.factor * b.native.factor;
  if (a.native.scaling == NATIVE_BLOCK16) {
    run(device, product_numbers_kernel, {"product_numbers", 1, WARP_THREADS, 0}, view((const float *)a.numbers, 1),
        view((const float *)b.numbers, 1), view(s->product_numbers, 3));
    scales.numbers = s->product_numbers;
  }
  multiply(device, shape, a.codes, b.codes, d, accumulate, scales);
}

// The rows of an encoded matrix [.., columns] from those of one part on.
inline encoded_matrix encoded_part(const struct linear_format *plan, encoded_matrix whole, int part, int64_t columns) {
  for (int before = 0; before < part; before++) {
    int64_t rows = plan->part_outputs[before];
    whole.codes += rows * columns / (whole.native.type == NATIVE_E2M1 ? 2 : 1);
    if (whole.scales) whole.scales += cuda_native_scale_bytes(&whole.native, rows, columns);
    whole.numbers += whole.native.scaling == NATIVE_ROW ? rows : (int64_t)CUDA_NATIVE_NUMBER_STRIDE;
  }
  return whole;
}

// Rows from `row` on of an encoded operand that is cut by windows, or the whole one.
inline encoded_matrix encoded_window(encoded_matrix whole, int64_t row, int64_t window, int64_t columns) {
  if (row == 0) return whole;
  whole.codes += row * columns / (whole.native.type == NATIVE_E2M1 ? 2 : 1);
  if (whole.scales) whole.scales += cuda_native_scale_bytes(&whole.native, row, columns);
  whole.numbers += row / window * CUDA_NATIVE_NUMBER_STRIDE;
  return whole;
}

// y = x W^T, of encoded weights whose parts have scales of their own or not.
inline void native_forward(struct device *device, const struct linear_format *plan, const struct native_layer *layer,
                           const encoded_matrix &weights, const encoded_matrix &x, const struct linear *linear, void *y,
                           const format_scratch *s) {
  const struct native_product *product = &layer->products[NATIVE_FORWARD];
  int parts = parts_of_product(plan, layer, NATIVE_FORWARD);
  int64_t first = 0, rows = rows_of_product(plan, layer, NATIVE_FORWARD, linear);
  for (int part = parts ? 0 : -1; part < (parts ? parts : 0); part++) {
    for (int64_t row = 0; row < linear->rows; row += rows)
      native_multiply(device, part_shape(plan, product, NATIVE_FORWARD, part, rows, linear->rows, linear->dtype),
                      encoded_part(plan, weights, part, plan->inputs), encoded_window(x, row, rows, plan->inputs),
                      (char *)y + (size_t)(row * plan->outputs + first) * dtype_bytes(linear->dtype), false, s);
    if (part >= 0) first += plan->part_outputs[part];
  }
}

// d_x = d_y W, of the weights transposed [inputs, outputs]: the prepared ones or those represented once more; parts,
// each with its number, are added up.
inline void native_input_gradient(struct device *device, const struct linear_format *plan,
                                  const struct native_layer *layer, encoded_matrix turned, encoded_matrix d_y,
                                  const struct linear *linear, void *d_x, const format_scratch *s) {
  const struct native_product *product = &layer->products[NATIVE_INPUT_GRADIENT];
  int parts = parts_of_product(plan, layer, NATIVE_INPUT_GRADIENT);
  enum dtype dtype = linear->dtype, out = native_output(plan, layer, NATIVE_INPUT_GRADIENT, dtype);
  int64_t rows = rows_of_product(plan, layer, NATIVE_INPUT_GRADIENT, linear);
  void *sums = out == dtype ? d_x : s->sums;
  for (int part = parts ? 0 : -1; part < (parts ? parts : 0); part++) {
    for (int64_t row = 0; row < linear->rows; row += rows)
      native_multiply(device, part_shape(plan, product, NATIVE_INPUT_GRADIENT, part, rows, linear->rows, out), turned,
                      encoded_window(d_y, row, rows, plan->outputs),
                      (char *)sums + (size_t)(row * plan->inputs) * dtype_bytes(out), part > 0, s);
    if (part < 0) break;
    turned.codes += plan->part_outputs[part];
    turned.numbers += CUDA_NATIVE_NUMBER_STRIDE;
    d_y.codes += plan->part_outputs[part];
  }
  if (sums != d_x) convert(device, linear->rows * plan->inputs, out, sums, dtype, d_x);
}

}  // namespace
