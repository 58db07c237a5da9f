// The optimizer: the sum of squares of all gradients, and AdamW's step with clipping over one tensor or two. Its
// moments and masters in bfloat16, and their stochastic rounding, are compared bit for bit elsewhere (tests/cuda).
#include <math.h>

#include "kernels/cases/operations.h"

enum { G0, G1, SUM, P0, P1, M0, M1, V0, V1, COUNT };

// Elements of the first and of the second tensor, the step, and whether the gradient is clipped: norms are far above
// the limit or, with 2, below it. Whole and broken vectors and partial sums.
static const struct case_shape shapes[] = {
    {{101, 101, 1, 1}}, {{101, 98, 5, 2}}, {{5003, 5000, 3, 1}}, {{4096, 0, 2, 0}}};

static const struct adamw settings = {
    .lr = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .gradient_scale = 0.5};

static struct adamw adamw_of(const struct op_case *c) {
  struct adamw adamw = settings;
  adamw.step = c->size[2];
  adamw.clip_norm = c->size[3] == 0 ? 0 : c->size[3] == 1 ? 1.5 : 1e6;
  return adamw;
}

static void declare(struct op_case *c) {
  struct argument *a = c->arguments;
  c->count = COUNT;
  for (int t = 0; t < CASE_TENSORS; t++) {
    a[G0 + t] = case_input("gradient", CASE_FLOAT32, c->size[t], 1);
    a[P0 + t] = case_result("parameter", CASE_FLOAT32, c->size[t], 1e-6);
    a[M0 + t] = case_result("m", CASE_FLOAT32, c->size[t], 1e-6);
    a[V0 + t] = case_result("v", CASE_FLOAT32, c->size[t], 1e-6);
    a[P0 + t].kept = a[M0 + t].kept = a[V0 + t].kept = true;
    a[P0 + t].scale = a[M0 + t].scale = a[V0 + t].scale = 1;
  }
  a[SUM] = case_result("sum of squares", CASE_DOUBLE, 1, 1e-13);
}

// Gradients of very different sizes; v is a mean of squares, and nothing before the first step.
static void adjust(struct op_case *c) {
  for (int t = 0; t < CASE_TENSORS; t++)
    for (int64_t i = 0; i < c->size[t]; i++) {
      double *m = &c->arguments[M0 + t].start[i], *v = &c->arguments[V0 + t].start[i];
      if (i % 7 == 0) case_values(c, G0 + t)[i] *= 1e-6;
      *m = c->size[2] == 1 ? 0 : 0.1 * *m;
      *v = c->size[2] == 1 ? 0 : 0.1 * fabs(*v);
    }
}

static double forward(const struct op_case *c) {
  struct adamw adamw = adamw_of(c);
  double factor = case_gradient_factor(c, adamw.gradient_scale, adamw.clip_norm);
  double rest1 = 1 - pow(adamw.beta1, (double)adamw.step), rest2 = 1 - pow(adamw.beta2, (double)adamw.step);
  for (int t = 0; t < CASE_TENSORS; t++)
    for (int64_t i = 0; i < c->size[t]; i++) {
      double g = case_values(c, G0 + t)[i] * factor, p = c->arguments[P0 + t].start[i];
      double m = adamw.beta1 * c->arguments[M0 + t].start[i] + (1 - adamw.beta1) * g;
      double v = adamw.beta2 * c->arguments[V0 + t].start[i] + (1 - adamw.beta2) * g * g;
      case_values(c, M0 + t)[i] = m;
      case_values(c, V0 + t)[i] = v;
      case_values(c, P0 + t)[i] =
          p - adamw.lr * (t == 0 ? adamw.weight_decay : 0) * p - adamw.lr * (m / rest1) / (sqrt(v / rest2) + adamw.eps);
    }
  return 0;
}

static void run_step(struct case_run *run) {
  struct adamw adamw = adamw_of(run->c);
  struct optimizer_tensor tensors[CASE_TENSORS];
  void *const *d = run->data;
  for (int t = 0; t < CASE_TENSORS; t++)
    tensors[t] = (struct optimizer_tensor){.parameter = d[P0 + t],
                                           .gradient = d[G0 + t],
                                           .m = d[M0 + t],
                                           .v = d[V0 + t],
                                           .count = run->c->size[t],
                                           .decay = t == 0};
  run->ops->adamw_step(run->device, &adamw, tensors, case_tensors(run->c), adamw.clip_norm > 0 ? d[SUM] : NULL);
}

static double elements(const struct op_case *c) { return (double)(c->size[0] + c->size[1]); }

static struct case_cost sum_cost(const struct case_run *run) { return (struct case_cost){0, 4 * elements(run->c)}; }

// The gradient read; parameter and both moments read and written.
static struct case_cost step_cost(const struct case_run *run) { return (struct case_cost){0, 28 * elements(run->c)}; }

static const struct case_pass passes[] = {
    {"square sum", case_square_sum, sum_cost, false, NULL},
    {"adamw", run_step, step_cost, false, NULL},
};

static struct op_shape op_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0] > c->size[1] ? c->size[0] : c->size[1], .training = true};
}

// All parameters as one tensor, clipped.
static int of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){{m->parameters, 0, 2, 1}};
  return 1;
}

const struct operation operation_optimizer = {.name = "optimizer",
                                              .sizes = "elements, elements of a second tensor, step, clipped",
                                              .shapes = shapes,
                                              .shape_count = CASE_COUNT_OF(shapes),
                                              .one_dtype = true,
                                              .kind = OP_OPTIMIZER,
                                              .op_shape = op_shape,
                                              .declare = declare,
                                              .adjust = adjust,
                                              .forward = forward,
                                              .passes = passes,
                                              .pass_count = CASE_COUNT_OF(passes),
                                              .of_model = of_model};
