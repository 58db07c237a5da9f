// SwiGLU: gate_up [rows, 2 * width], gate before up; y [rows, width].
#include <math.h>

#include "kernels/cases/operations.h"

enum { GATE_UP, D_Y, Y, D_GATE_UP, Y_AGAIN, D_GATE_UP_ALONE, D_IN_PLACE, Y_OVER_D_Y, COUNT };

static const struct case_shape shapes[] = {{{1, 1}}, {{3, 37}}, {{5, 96}}, {{11, 96}}};

static void declare(struct op_case *c) {
  int64_t all = c->size[0] * c->size[1];
  enum case_type t = case_type_of(c->dtype);
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[GATE_UP] = case_input("gate_up", t, 2 * all, 6);
  a[D_Y] = case_input("d_y", t, all, 1);
  a[Y] = case_result("y", t, all, case_tolerance(c));
  a[D_GATE_UP] = case_gradient("d_gate_up", t, 2 * all, case_tolerance(c), GATE_UP);
  a[Y_AGAIN] = case_again("y of backward", a[Y], Y);
  a[D_GATE_UP_ALONE] = case_again("d_gate_up without y", a[D_GATE_UP], D_GATE_UP);
  a[D_IN_PLACE] = case_again("d_gate_up over gate_up", a[D_GATE_UP], D_GATE_UP);
  a[Y_OVER_D_Y] = case_again("y over d_y", a[Y], Y);
}

static double forward(const struct op_case *c) {
  int64_t width = c->size[1];
  double loss = 0;
  for (int64_t at = 0; at < c->size[0] * width; at++) {
    const double *gate = case_values(c, GATE_UP) + at / width * 2 * width + at % width;
    case_values(c, Y)[at] = gate[0] / (1 + exp(-gate[0])) * gate[width];
    loss += case_values(c, Y)[at] * case_values(c, D_Y)[at];
  }
  return loss;
}

static void gradients(const struct op_case *c) {
  int64_t width = c->size[1];
  for (int64_t at = 0; at < c->size[0] * width; at++) {
    int64_t place = at / width * 2 * width + at % width;
    const double *gate = case_values(c, GATE_UP) + place;
    double *d_gate = case_values(c, D_GATE_UP) + place, d_y = case_values(c, D_Y)[at];
    double sigmoid = 1 / (1 + exp(-gate[0]));
    d_gate[0] = d_y * gate[width] * sigmoid * (1 + gate[0] * (1 - sigmoid));
    d_gate[width] = d_y * gate[0] * sigmoid;
  }
}

static void run_forward(struct case_run *run) {
  const int64_t *size = run->c->size;
  run->ops->swiglu_forward(run->device, size[0], size[1], run->c->dtype, run->data[GATE_UP], run->data[Y]);
}

static void backward(struct case_run *run, int gate_up, int d_y, int d_gate_up, int y) {
  const int64_t *size = run->c->size;
  void *const *d = run->data;
  run->ops->swiglu_backward(run->device, size[0], size[1], run->c->dtype, d[gate_up], d[d_y], d[d_gate_up],
                            y < 0 ? NULL : d[y]);
}

// As a training step does it, which makes y again instead of keeping it.
static void run_backward(struct case_run *run) { backward(run, GATE_UP, D_Y, D_GATE_UP, Y_AGAIN); }

static void variants(struct case_run *run) {
  size_t bytes = (size_t)run->c->arguments[Y].count * dtype_bytes(run->c->dtype);
  backward(run, GATE_UP, D_Y, D_GATE_UP_ALONE, -1);
  run->ops->copy(run->device, run->data[D_IN_PLACE], run->data[GATE_UP], 2 * bytes);
  run->ops->copy(run->device, run->data[Y_OVER_D_Y], run->data[D_Y], bytes);
  backward(run, D_IN_PLACE, Y_OVER_D_Y, D_IN_PLACE, Y_OVER_D_Y);
}

static struct case_cost cost(const struct case_run *run, double arrays) {
  return (struct case_cost){0, arrays * (double)run->c->arguments[Y].count * (double)dtype_bytes(run->c->dtype)};
}

static struct case_cost forward_cost(const struct case_run *run) { return cost(run, 3); }

static struct case_cost backward_cost(const struct case_run *run) { return cost(run, 6); }

static const struct case_pass passes[] = {
    {"swiglu forward", run_forward, forward_cost, true, NULL},
    {"swiglu backward", run_backward, backward_cost, false, NULL},
};

static int of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){{case_model_rows(m), m->hidden}};
  return 1;
}

const struct operation operation_swiglu = {.name = "swiglu",
                                           .sizes = "rows, width",
                                           .shapes = shapes,
                                           .shape_count = CASE_COUNT_OF(shapes),
                                           .kind = OP_SWIGLU,
                                           .op_shape = case_rows_shape,
                                           .declare = declare,
                                           .forward = forward,
                                           .gradients = gradients,
                                           .passes = passes,
                                           .pass_count = CASE_COUNT_OF(passes),
                                           .variants = variants,
                                           .of_model = of_model};
