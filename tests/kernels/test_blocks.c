// RMSNorm, SwiGLU, embedding and conversion against double precision and finite differences, at every level.
#include "tests/kernels/kernel_check.h"

struct norm {
  int64_t rows, width;
  double eps;
  struct tensor in, branch, scale, d_y, d_out;
  double *sum, *y, *inverse;  // results of the forward pass in double
};
static double norm_forward(const void *argument) {
  const struct norm *n = argument;
  double loss = 0;
  for (int64_t row = 0; row < n->rows; row++) {
    double squares = 0;
    for (int64_t i = row * n->width; i < (row + 1) * n->width; i++) {
      n->sum[i] = n->in.values[i] + (n->branch.count ? n->branch.values[i] : 0);
      squares += n->sum[i] * n->sum[i];
    }
    n->inverse[row] = 1 / sqrt(squares / (double)n->width + n->eps);
    for (int64_t i = 0; i < n->width; i++) {
      int64_t at = row * n->width + i;
      n->y[at] = n->sum[at] * n->inverse[row] * n->scale.values[i];
      loss += n->y[at] * n->d_y.values[at] + n->sum[at] * n->d_out.values[at];
    }
  }
  return loss;
}
static void norm_case(int64_t rows, int64_t width, enum dtype dtype, bool with_branch) {
  int64_t count = rows * width;
  struct norm n = {.rows = rows, .width = width, .eps = 1e-3};
  n.in = tensor_random(DTYPE_FLOAT32, count, 2);
  n.branch = with_branch ? tensor_random(dtype, count, 1) : (struct tensor){0};
  n.scale = tensor_random(DTYPE_FLOAT32, width, 1);
  n.d_y = tensor_random(dtype, count, 1);
  n.d_out = tensor_random(DTYPE_FLOAT32, count, 1);
  n.sum = calloc((size_t)count, sizeof(double));
  n.y = calloc((size_t)count, sizeof(double));
  n.inverse = calloc((size_t)rows, sizeof(double));
  struct tensor out = tensor_empty(DTYPE_FLOAT32, count), y = tensor_empty(dtype, count);
  struct tensor inverse = tensor_empty(DTYPE_FLOAT32, rows);
  workspace_for(OP_RMSNORM, (struct op_shape){.rows = rows, .width = width, .dtype = dtype, .training = true});

  norm_forward(&n);
  ops->rmsnorm_forward(device, rows, width, (float)n.eps, dtype, n.in.data, n.branch.data, n.scale.data, out.data,
                       y.data, inverse.data);
  tensor_check(&out, n.sum, 2e-7, "residual_out");
  tensor_check(&y, n.y, tolerance_of(dtype), "y");
  tensor_check(&inverse, n.inverse, 2e-6, "inverse_rms");
  // The form that saves nothing, and the one in place, give the same bits.
  struct tensor y_again = tensor_empty(dtype, count), in_place = tensor_empty(DTYPE_FLOAT32, count);
  ops->rmsnorm_forward(device, rows, width, (float)n.eps, dtype, out.data, NULL, n.scale.data, NULL, y_again.data,
                       inverse.data);
  CHECK(memcmp(y.data, y_again.data, (size_t)count * dtype_bytes(dtype)) == 0);
  ops->copy(device, in_place.data, n.in.data, (size_t)count * sizeof(float));
  ops->rmsnorm_forward(device, rows, width, (float)n.eps, dtype, in_place.data, n.branch.data, n.scale.data,
                       in_place.data, y_again.data, inverse.data);
  CHECK(memcmp(out.data, in_place.data, (size_t)count * sizeof(float)) == 0);

  struct tensor d_in = tensor_empty(DTYPE_FLOAT32, count), d_branch = tensor_empty(dtype, count);
  struct tensor d_scale = tensor_zero(DTYPE_FLOAT32, width);
  ops->rmsnorm_backward(device, rows, width, dtype, out.data, inverse.data, n.scale.data, n.d_y.data, n.d_out.data,
                        d_in.data, d_branch.data, d_scale.data);
  gradient_check(norm_forward, &n, &n.in, &d_in, 2e-6, "d_residual_in");
  gradient_check(norm_forward, &n, &n.scale, &d_scale, 2e-6, "d_scale");
  tensor_read(&d_in);
  tensor_check(&d_branch, d_in.values, tolerance_of(dtype), "d_branch");
  // In place, and d_scale adds up.
  ops->copy(device, in_place.data, n.d_out.data, (size_t)count * sizeof(float));
  ops->rmsnorm_backward(device, rows, width, dtype, out.data, inverse.data, n.scale.data, n.d_y.data, in_place.data,
                        in_place.data, NULL, d_scale.data);
  CHECK(memcmp(in_place.data, d_in.data, (size_t)count * sizeof(float)) == 0);
  double *twice = calloc((size_t)width, sizeof *twice);
  tensor_read(&d_scale);
  for (int64_t i = 0; i < width; i++) twice[i] = d_scale.values[i];
  ops->fill_constant(device, d_scale.data, width, 0);
  ops->rmsnorm_backward(device, rows, width, dtype, out.data, inverse.data, n.scale.data, n.d_y.data, NULL, d_in.data,
                        NULL, d_scale.data);
  for (int64_t i = 0; i < width; i++) twice[i] /= 2;
  tensor_check(&d_scale, twice, 1e-6, "d_scale, once and twice");
  // Without the residual's own gradient.
  ops->fill_constant(device, n.d_out.data, count, 0);
  tensor_read(&n.d_out);
  gradient_check(norm_forward, &n, &n.in, &d_in, 2e-6, "d_residual_in without d_residual_out");

  free(twice);
  free(n.sum), free(n.y), free(n.inverse);
  struct tensor *all[] = {&n.in,    &n.scale, &n.d_y,    &n.d_out, &out,      &y,
                          &inverse, &y_again, &in_place, &d_in,    &d_branch, &d_scale};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
  if (with_branch) tensor_free(&n.branch);
}
static void norm_shapes(void) {
  static const int64_t widths[] = {1, 16, 33, 64, 250};
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++)
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
      norm_case(1, widths[i], dtype, true);
      norm_case(3, widths[i], dtype, false);
      norm_case(150, widths[i], dtype, true);
    }
}
static void rmsnorm(void) { on_every_level(norm_shapes); }

struct gated {
  int64_t rows, width;
  struct tensor gate_up, d_y;
  double *y;
};
static double gated_forward(const void *argument) {
  const struct gated *g = argument;
  double loss = 0;
  for (int64_t row = 0; row < g->rows; row++)
    for (int64_t i = 0; i < g->width; i++) {
      double gate = g->gate_up.values[row * 2 * g->width + i], up = g->gate_up.values[(row * 2 + 1) * g->width + i];
      g->y[row * g->width + i] = gate / (1 + exp(-gate)) * up;
      loss += g->y[row * g->width + i] * g->d_y.values[row * g->width + i];
    }
  return loss;
}
static void swiglu_case(int64_t rows, int64_t width, enum dtype dtype) {
  struct gated g = {.rows = rows, .width = width};
  g.gate_up = tensor_random(dtype, rows * 2 * width, 6);
  g.d_y = tensor_random(dtype, rows * width, 1);
  g.y = calloc((size_t)(rows * width), sizeof(double));
  struct tensor y = tensor_empty(dtype, rows * width), y_again = tensor_empty(dtype, rows * width);
  struct tensor d = tensor_empty(dtype, rows * 2 * width);
  gated_forward(&g);
  ops->swiglu_forward(device, rows, width, dtype, g.gate_up.data, y.data);
  tensor_check(&y, g.y, tolerance_of(dtype), "y");
  ops->swiglu_backward(device, rows, width, dtype, g.gate_up.data, g.d_y.data, d.data, y_again.data);
  gradient_check(gated_forward, &g, &g.gate_up, &d, tolerance_of(dtype), "d_gate_up");
  CHECK(memcmp(y.data, y_again.data, (size_t)(rows * width) * dtype_bytes(dtype)) == 0);
  // In place: gradients over inputs, the result over its gradient.
  ops->swiglu_backward(device, rows, width, dtype, g.gate_up.data, g.d_y.data, g.gate_up.data, g.d_y.data);
  CHECK(memcmp(g.gate_up.data, d.data, (size_t)(rows * 2 * width) * dtype_bytes(dtype)) == 0);
  CHECK(memcmp(g.d_y.data, y.data, (size_t)(rows * width) * dtype_bytes(dtype)) == 0);
  struct tensor *all[] = {&g.gate_up, &g.d_y, &y, &y_again, &d};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
  free(g.y);
}
static void swiglu_shapes(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    swiglu_case(1, 1, dtype);
    swiglu_case(3, 37, dtype);
    swiglu_case(5, 96, dtype);
  }
  // Far out the sigmoid is 0 or 1 and nothing overflows.
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    struct tensor extreme = tensor_empty(dtype, 4), y = tensor_empty(dtype, 2), d = tensor_empty(dtype, 4);
    double inputs[] = {-200, 200, 3, 3}, want[] = {0, 600}, gradients[] = {0, 600 * 3, 0, 600 * 200};
    memcpy(extreme.values, inputs, sizeof inputs);
    tensor_write(&extreme);
    ops->swiglu_forward(device, 1, 2, dtype, extreme.data, y.data);
    tensor_check(&y, want, tolerance_of(dtype), "y far out");
    ops->swiglu_backward(device, 1, 2, dtype, extreme.data, y.data, d.data, NULL);
    tensor_check(&d, gradients, tolerance_of(dtype), "d_gate_up far out");
    tensor_free(&extreme), tensor_free(&y), tensor_free(&d);
  }
}
static void swiglu(void) { on_every_level(swiglu_shapes); }

static void embedding_case(void) {
  enum { ROWS = 50, WIDTH = 19, VOCABULARY = 7 };
  struct tensor table = tensor_random(DTYPE_FLOAT32, VOCABULARY * WIDTH, 1);
  struct tensor residual = tensor_empty(DTYPE_FLOAT32, ROWS * WIDTH);
  struct tensor d_residual = tensor_random(DTYPE_FLOAT32, ROWS * WIDTH, 1);
  struct tensor d_table = tensor_random(DTYPE_FLOAT32, VOCABULARY * WIDTH, 1);
  int32_t tokens[ROWS];
  double gathered[ROWS * WIDTH], summed[VOCABULARY * WIDTH];
  for (int row = 0; row < ROWS; row++) tokens[row] = row * row % VOCABULARY;
  memcpy(summed, d_table.values, sizeof summed);
  for (int row = 0; row < ROWS; row++)
    for (int i = 0; i < WIDTH; i++) {
      gathered[row * WIDTH + i] = table.values[tokens[row] * WIDTH + i];
      summed[tokens[row] * WIDTH + i] += d_residual.values[row * WIDTH + i];
    }
  ops->embedding_forward(device, ROWS, WIDTH, VOCABULARY, tokens, table.data, residual.data);
  tensor_check(&residual, gathered, 0, "residual");
  ops->embedding_backward(device, ROWS, WIDTH, VOCABULARY, tokens, d_residual.data, d_table.data);
  tensor_check(&d_table, summed, 1e-6, "d_table");
  tensor_free(&table), tensor_free(&residual), tensor_free(&d_residual), tensor_free(&d_table);
}
static void embedding(void) { on_every_level(embedding_case); }

static void conversion_case(void) {
  enum { COUNT = 1003 };
  struct tensor from = tensor_empty(DTYPE_FLOAT32, COUNT), half = tensor_empty(DTYPE_BFLOAT16, COUNT);
  struct tensor back = tensor_empty(DTYPE_FLOAT32, COUNT);
  double want[COUNT];
  for (int i = 0; i < COUNT; i++) from.values[i] = random_number() * pow(10, 30 * random_number());
  // Ties go to even, halfway steps both ways; infinity stays.
  from.values[0] = 1 + 0x1p-8, from.values[1] = 1 + 3 * 0x1p-8, from.values[2] = INFINITY, from.values[3] = -0.0;
  tensor_write(&from);
  for (int i = 0; i < COUNT; i++) want[i] = half_to_float(float_to_half((float)from.values[i]));
  CHECK(want[0] == 1 && want[1] == 1 + 0x1p-6);
  ops->convert(device, COUNT, DTYPE_FLOAT32, from.data, DTYPE_BFLOAT16, half.data);
  ops->convert(device, COUNT, DTYPE_BFLOAT16, half.data, DTYPE_FLOAT32, back.data);
  tensor_read(&half);
  tensor_read(&back);
  bool same = true;
  for (int i = 0; i < COUNT; i++) same &= half.values[i] == want[i] && back.values[i] == want[i];
  CHECK(same);
  // NaNs become quiet and keep their sign and upper bits; a subnormal stays one or becomes zero.
  static const uint32_t odd[] = {0x7FC00000, 0xFFA12345, 0x7F800001, 0x80010000};
  memcpy((float *)from.data + 5, odd, sizeof odd);
  ops->convert(device, COUNT, DTYPE_FLOAT32, from.data, DTYPE_BFLOAT16, half.data);
  const uint16_t *got = (uint16_t *)half.data + 5;
  CHECK(got[0] == 0x7FC0 && got[1] == 0xFFE1 && got[2] == 0x7FC0);
  CHECK(got[3] == 0x8001 || got[3] == 0x8000);
  tensor_free(&from), tensor_free(&half), tensor_free(&back);
}
static void conversion(void) { on_every_level(conversion_case); }

int main(void) {
  RUN(rmsnorm);
  RUN(swiglu);
  RUN(embedding);
  RUN(conversion);
  return check_end();
}
