// RMSNorm with residual add: residual, y and their gradients [rows, width], scale [width], inverse_rms [rows].
#include <math.h>

#include "kernels/cases/operations.h"

enum {
  IN,
  BRANCH,
  SCALE,
  D_Y,
  D_OUT,
  OUT,
  Y,
  INVERSE,
  D_IN,
  D_BRANCH,
  D_SCALE,  // one call each
  Y_AGAIN,
  OUT_IN_PLACE,
  Y_IN_PLACE,
  INVERSE_AGAIN,
  D_IN_PLACE,
  D_SCALE_TWICE,
  D_IN_ALONE,
  COUNT
};

static const float eps = 1e-3f;

// With a branch where the last number is 1. Rows beyond a block of partial sums; widths for each of a GPU's teams:
// registers of a warp, of a block, and the two passes of wider rows.
static const struct case_shape shapes[] = {
    {{1, 1, 1}},
    {{3, 1}},
    {{150, 1, 1}},
    {{1, 16, 1}},
    {{3, 16}},
    {{150, 16, 1}},
    {{1, 33, 1}},
    {{3, 33}},
    {{3, 33, 1}},
    {{150, 33, 1}, .slow = true},
    {{1, 64, 1}},
    {{3, 64}},
    {{150, 64, 1}, .slow = true},
    {{1, 250, 1}},
    {{3, 250}},
    {{9, 250, 1}},
    {{150, 250, 1}, .slow = true},
    {{70, 48}},
    {{19, 264, 1}},
    {{70, 8, 1}},
    {{9, 1032}, .large = true},
    {{2, 2056, 1}, .large = true},
    {{3, 8200, 1}, .large = true},
};

static void declare(struct op_case *c) {
  int64_t width = c->size[1], all = c->size[0] * width, branch = c->size[2] ? all : 0;
  enum case_type t = case_type_of(c->dtype), f = CASE_FLOAT32;
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[IN] = case_input("residual_in", f, all, 2);
  a[BRANCH] = case_input("branch", t, branch, 1);
  a[SCALE] = case_input("scale", f, width, 1);
  a[D_Y] = case_input("d_y", t, all, 1);
  a[D_OUT] = case_input("d_residual_out", f, all, 1);
  a[OUT] = case_result("residual_out", f, all, 2e-7);
  a[Y] = case_result("y", t, all, case_tolerance(c));
  a[INVERSE] = case_result("inverse_rms", f, c->size[0], 2e-6);
  a[D_IN] = case_gradient("d_residual_in", f, all, 2e-6, IN);
  a[D_BRANCH] = case_result("d_branch", t, branch, case_tolerance(c));
  a[D_SCALE] = case_gradient("d_scale", f, width, 2e-6, SCALE);
  a[D_SCALE].kept = true;
  a[D_SCALE].scale = 1;
  a[Y_AGAIN] = case_again("y, nothing kept", a[Y], Y);
  a[OUT_IN_PLACE] = case_again("residual, in place", a[OUT], OUT);
  a[Y_IN_PLACE] = case_again("y, in place", a[Y], Y);
  a[INVERSE_AGAIN] = case_again("inverse_rms again", a[INVERSE], INVERSE);
  a[D_IN_PLACE] = case_again("d_residual, in place", a[D_IN], D_IN);
  a[D_SCALE_TWICE] = case_result("d_scale, twice", f, width, 2e-6);
  a[D_SCALE_TWICE].kept = true;
  a[D_IN_ALONE] = case_result("d_residual_in without d_residual_out", f, all, 2e-6);
  a[D_IN_ALONE].cancelled = a[D_IN].cancelled;
}

static double forward(const struct op_case *c) {
  int64_t rows = c->size[0], width = c->size[1];
  const double *branch = c->size[2] ? case_values(c, BRANCH) : NULL, *scale = case_values(c, SCALE);
  double *sum = case_values(c, OUT), *y = case_values(c, Y), loss = 0;
  for (int64_t row = 0; row < rows; row++) {
    double squares = 0;
    for (int64_t i = row * width; i < (row + 1) * width; i++) {
      sum[i] = case_values(c, IN)[i] + (branch ? branch[i] : 0);
      squares += sum[i] * sum[i];
    }
    double inverse = case_values(c, INVERSE)[row] = 1 / sqrt(squares / (double)width + (double)eps);
    for (int64_t i = row * width; i < (row + 1) * width; i++) {
      y[i] = sum[i] * inverse * scale[i % width];
      loss += y[i] * case_values(c, D_Y)[i] + sum[i] * case_values(c, D_OUT)[i];
    }
  }
  return loss;
}

static void gradients(const struct op_case *c) {
  int64_t rows = c->size[0], width = c->size[1];
  const double *sum = case_values(c, OUT), *d_y = case_values(c, D_Y), *scale = case_values(c, SCALE);
  double *d_scale = case_values(c, D_SCALE), *alone = case_values(c, D_IN_ALONE);
  for (int64_t i = 0; i < width; i++) d_scale[i] = 0;
  for (int64_t row = 0; row < rows; row++) {
    double inverse = case_values(c, INVERSE)[row], dot = 0;
    for (int64_t i = row * width; i < (row + 1) * width; i++) dot += d_y[i] * scale[i % width] * sum[i];
    for (int64_t i = row * width; i < (row + 1) * width; i++) {
      alone[i] = inverse * (d_y[i] * scale[i % width] - sum[i] * inverse * inverse * dot / (double)width);
      case_values(c, D_IN)[i] = alone[i] + case_values(c, D_OUT)[i];
      if (c->size[2]) case_values(c, D_BRANCH)[i] = case_values(c, D_IN)[i];
      d_scale[i % width] += d_y[i] * sum[i] * inverse;
    }
  }
  for (int64_t i = 0; i < width; i++) {
    case_values(c, D_SCALE_TWICE)[i] = 2 * d_scale[i];
    d_scale[i] += c->arguments[D_SCALE].start[i];
  }
}

static void norm_forward(struct case_run *run, int in, int branch, int out, int y, int inverse) {
  void *const *d = run->data;
  run->ops->rmsnorm_forward(run->device, run->c->size[0], run->c->size[1], eps, run->c->dtype, d[in],
                            branch < 0 ? NULL : d[branch], d[SCALE], out < 0 ? NULL : d[out], d[y], d[inverse]);
}

static void norm_backward(struct case_run *run, int d_out, int d_in, int d_branch, int d_scale) {
  void *const *d = run->data;
  run->ops->rmsnorm_backward(run->device, run->c->size[0], run->c->size[1], run->c->dtype, d[OUT], d[INVERSE], d[SCALE],
                             d[D_Y], d_out < 0 ? NULL : d[d_out], d[d_in], d_branch < 0 ? NULL : d[d_branch],
                             d[d_scale]);
}

static void run_forward(struct case_run *run) { norm_forward(run, IN, BRANCH, OUT, Y, INVERSE); }

static void run_backward(struct case_run *run) { norm_backward(run, D_OUT, D_IN, D_BRANCH, D_SCALE); }

static void variants(struct case_run *run) {
  size_t bytes = (size_t)(run->c->size[0] * run->c->size[1]) * sizeof(float);
  norm_forward(run, OUT, -1, -1, Y_AGAIN, INVERSE_AGAIN);
  run->ops->copy(run->device, run->data[OUT_IN_PLACE], run->data[IN], bytes);
  norm_forward(run, OUT_IN_PLACE, BRANCH, OUT_IN_PLACE, Y_IN_PLACE, INVERSE_AGAIN);
  run->ops->copy(run->device, run->data[D_IN_PLACE], run->data[D_OUT], bytes);
  norm_backward(run, D_IN_PLACE, D_IN_PLACE, -1, D_SCALE_TWICE);
  norm_backward(run, -1, D_IN_ALONE, -1, D_SCALE_TWICE);
}

static struct case_cost cost(const struct case_run *run, double each, double items) {
  const struct op_case *c = run->c;
  double branch = c->size[2] ? 1 : 0, all = (double)c->size[0] * (double)c->size[1];
  return (struct case_cost){0, (each + (items + branch) * (double)dtype_bytes(c->dtype)) * all};
}

static struct case_cost forward_cost(const struct case_run *run) { return cost(run, 8, 1); }

static struct case_cost backward_cost(const struct case_run *run) { return cost(run, 12, 1); }

static const struct case_pass passes[] = {
    {"rmsnorm forward", run_forward, forward_cost, true, NULL},
    {"rmsnorm backward", run_backward, backward_cost, false, NULL},
};

static int of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){{case_model_rows(m), m->width, 1}};
  return 1;
}

const struct operation operation_norm = {.name = "rmsnorm",
                                         .sizes = "rows, width, with a branch",
                                         .shapes = shapes,
                                         .shape_count = CASE_COUNT_OF(shapes),
                                         .kind = OP_RMSNORM,
                                         .op_shape = case_rows_shape,
                                         .declare = declare,
                                         .forward = forward,
                                         .gradients = gradients,
                                         .passes = passes,
                                         .pass_count = CASE_COUNT_OF(passes),
                                         .variants = variants,
                                         .of_model = of_model};
