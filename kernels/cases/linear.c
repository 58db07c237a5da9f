// Linear layers: y [rows, outputs] = x [rows, inputs] W^T, W [outputs, inputs], and both gradients.
#include "kernels/cases/operations.h"

enum { X, W, D_Y, Y, D_X, D_W, D_W_TWICE, COUNT };

static const struct case_shape shapes[] = {{{1, 1, 16}}, {{3, 257, 20}}, {{70, 48, 33}}};

static void declare(struct op_case *c) {
  int64_t rows = c->size[0], outputs = c->size[1], inputs = c->size[2];
  enum case_type t = case_type_of(c->dtype);
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[X] = case_input("x", t, rows * inputs, 1);
  a[W] = case_input("weight", CASE_FLOAT32, outputs * inputs, 1);
  a[D_Y] = case_input("d_y", t, rows * outputs, 1);
  a[Y] = case_result("y", t, rows * outputs, case_tolerance(c));
  a[D_X] = case_gradient("d_x", t, rows * inputs, case_tolerance(c), X);
  a[D_W] = case_gradient("d_weight", CASE_FLOAT32, outputs * inputs, 2e-6, W);
  a[D_W_TWICE] = case_result("d_weight, added", CASE_FLOAT32, outputs * inputs, 2e-6);
  a[D_W_TWICE].kept = true;
  a[D_W_TWICE].scale = 1;
  c->weight[0] = (struct weight_description){.outputs = outputs, .inputs = inputs, .dtype = c->dtype};
  if (outputs <= 2) return;
  c->weight[0].parts = 2;
  c->weight[0].part_outputs[0] = 1;
  c->weight[0].part_outputs[1] = outputs - 1;
}

// Rounding the master to the type of the products loses nothing.
static void adjust(struct op_case *c) {
  double *w = case_values(c, W);
  for (int64_t i = 0; i < c->arguments[W].count; i++) w[i] = case_rounded(c->dtype, w[i]);
}

static double forward(const struct op_case *c) {
  int64_t rows = c->size[0], outputs = c->size[1], inputs = c->size[2];
  const double *x = case_values(c, X), *w = case_values(c, W), *d_y = case_values(c, D_Y);
  double loss = 0;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t o = 0; o < outputs; o++) {
      double sum = 0;
      for (int64_t i = 0; i < inputs; i++) sum += x[row * inputs + i] * w[o * inputs + i];
      case_values(c, Y)[row * outputs + o] = sum;
      loss += sum * d_y[row * outputs + o];
    }
  return loss;
}

static void gradients(const struct op_case *c) {
  int64_t rows = c->size[0], outputs = c->size[1], inputs = c->size[2];
  const double *x = case_values(c, X), *w = case_values(c, W), *d_y = case_values(c, D_Y);
  double *d_x = case_values(c, D_X), *d_w = case_values(c, D_W);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t o = 0; o < outputs; o++)
      for (int64_t i = 0; i < inputs; i++) {
        d_x[row * inputs + i] += d_y[row * outputs + o] * w[o * inputs + i];
        d_w[o * inputs + i] += d_y[row * outputs + o] * x[row * inputs + i];
      }
  for (int64_t i = 0; i < outputs * inputs; i++)
    case_values(c, D_W_TWICE)[i] = c->arguments[D_W_TWICE].start[i] + d_w[i];
}

static bool prepare(struct case_run *run, struct error *error) { return case_weight(run, 0, error); }

static struct linear layer(const struct case_run *run) {
  return (struct linear){.weight = run->weight[0], .rows = run->c->size[0], .dtype = run->c->dtype};
}

static void run_prepare(struct case_run *run) {
  run->ops->weight_prepare(run->device, run->weight[0], run->data[W], 2);
}

static void run_forward(struct case_run *run) {
  struct linear linear = layer(run);
  run->ops->linear_forward(run->device, &linear, run->data[X], NULL, run->data[Y]);
}

static void run_input_gradient(struct case_run *run) {
  struct linear linear = layer(run);
  run->ops->linear_input_gradient(run->device, &linear, NULL, run->data[D_Y], run->data[D_X]);
}

static void weight_gradient(struct case_run *run, int to, bool accumulate) {
  struct linear linear = layer(run);
  run->ops->linear_weight_gradient(run->device, &linear, run->data[X], NULL, run->data[D_Y], run->data[to], accumulate);
}

static void run_weight_gradient(struct case_run *run) { weight_gradient(run, D_W, false); }

static void variants(struct case_run *run) {
  weight_gradient(run, D_W_TWICE, true);
  run->ops->weight_gradient_finish(run->device, run->weight[0], run->data[D_W]);  // nothing without a format
}

static struct case_cost product_cost(const struct case_run *run) {
  const struct op_case *c = run->c;
  double rows = (double)c->size[0], outputs = (double)c->size[1], inputs = (double)c->size[2];
  double item = (double)dtype_bytes(c->dtype);
  return (struct case_cost){2 * rows * outputs * inputs, (rows * (outputs + inputs) + outputs * inputs) * item};
}

static struct case_cost weight_gradient_cost(const struct case_run *run) {
  const struct op_case *c = run->c;
  struct case_cost cost = product_cost(run);
  cost.bytes += (double)c->size[1] * (double)c->size[2] * (sizeof(float) - (double)dtype_bytes(c->dtype));
  return cost;
}

// The master read, and what the device keeps of it written. Where it multiplies the master itself there is nothing to
// do.
static struct case_cost prepare_cost(const struct case_run *run) {
  const struct op_case *c = run->c;
  double kept = (double)run->ops->weight_bytes(run->device, &c->weight[0]);
  return (struct case_cost){0, kept > 0 ? kept + (double)c->arguments[W].count * sizeof(float) : 0};
}

static int forward_product(const struct case_shape *shape, struct case_product *products) {
  products[0] = (struct case_product){GEMM_NT, shape->size[0], shape->size[1], shape->size[2], 1};
  return 1;
}

static int input_product(const struct case_shape *shape, struct case_product *products) {
  products[0] = (struct case_product){GEMM_NN, shape->size[0], shape->size[2], shape->size[1], 1};
  return 1;
}

static int weight_product(const struct case_shape *shape, struct case_product *products) {
  products[0] = (struct case_product){GEMM_TN, shape->size[1], shape->size[2], shape->size[0], 1};
  return 1;
}

static const struct case_pass passes[] = {
    {"weight prepare", run_prepare, prepare_cost, false, NULL},
    {"linear forward", run_forward, product_cost, true, forward_product},
    {"linear input gradient", run_input_gradient, product_cost, false, input_product},
    {"linear weight gradient", run_weight_gradient, weight_gradient_cost, false, weight_product},
};

// Queries, keys and values; the attention's output; gate and up; down.
static int of_model(const struct case_model *m, struct case_shape *made) {
  int64_t query = m->heads * m->head_dim, key = m->kv_heads * m->head_dim;
  const int64_t layers[4][2] = {
      {query + 2 * key, m->width}, {m->width, query}, {2 * m->hidden, m->width}, {m->width, m->hidden}};
  for (int i = 0; i < 4; i++) made[i] = (struct case_shape){{case_model_rows(m), layers[i][0], layers[i][1]}};
  return 4;
}

static struct op_shape op_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0], .dtype = c->dtype, .weight = &c->weight[0], .training = true};
}

const struct operation operation_linear = {.name = "linear",
                                           .sizes = "rows, outputs, inputs",
                                           .shapes = shapes,
                                           .shape_count = CASE_COUNT_OF(shapes),
                                           .kind = OP_LINEAR,
                                           .op_shape = op_shape,
                                           .declare = declare,
                                           .adjust = adjust,
                                           .forward = forward,
                                           .gradients = gradients,
                                           .prepare = prepare,
                                           .passes = passes,
                                           .pass_count = CASE_COUNT_OF(passes),
                                           .variants = variants,
                                           .of_model = of_model};
