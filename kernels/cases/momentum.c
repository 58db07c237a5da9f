// Optimizers of one moment: momentum, Nesterov's, Lion's sign, without a moment, and the direction alone, over one
// tensor or two. Moments and masters in bfloat16 are compared bit for bit elsewhere (tests/cuda).
#include <math.h>

#include "kernels/cases/operations.h"

enum { G0, G1, SUM, P0, P1, M0, M1, D0, D1, COUNT };
enum rule { PLAIN, NESTEROV, SIGN, NO_MOMENT, DIRECTION };

// Elements of the first and of the second tensor, the rule, and whether the gradient is clipped: norms are far above
// the limit or, with 2, below it. Whole and broken vectors.
static const struct case_shape shapes[] = {
    {{101, 98, PLAIN, 1}},     {{5003, 5000, NESTEROV, 1}}, {{101, 101, SIGN, 2}},
    {{4096, 0, SIGN, 1}},      {{101, 98, NO_MOMENT, 1}},   {{4096, 0, NO_MOMENT, 0}},
    {{101, 98, DIRECTION, 1}}, {{4096, 33, DIRECTION, 0}},  {{4096, 8, PLAIN, 0}}};

static const double lr_scale[CASE_TENSORS] = {1, 0.3};

static struct momentum momentum_of(const struct op_case *c) {
  enum rule rule = (enum rule)c->size[2];
  return (struct momentum){.lr = 3e-3,
                           .beta1 = rule == NO_MOMENT ? 0 : 0.9,
                           .share1 = rule == PLAIN || rule == NESTEROV || rule == NO_MOMENT ? 1 : 0.1,
                           .beta2 = 0.99,
                           .weight_decay = 0.1,
                           .nesterov = rule == NESTEROV || rule == DIRECTION,
                           .sign = rule == SIGN,
                           .step = 3,
                           .gradient_scale = 0.5,
                           .clip_norm = c->size[3] == 0   ? 0
                                        : c->size[3] == 1 ? 1.5
                                                          : 1e6};
}

static void declare(struct op_case *c) {
  struct argument *a = c->arguments;
  bool moves = c->size[2] != DIRECTION, moment = c->size[2] != NO_MOMENT;
  c->count = COUNT;
  for (int t = 0; t < CASE_TENSORS; t++) {
    a[G0 + t] = case_input("gradient", CASE_FLOAT32, c->size[t], 1);
    a[P0 + t] = case_result("parameter", CASE_FLOAT32, moves ? c->size[t] : 0, 1e-6);
    a[M0 + t] = case_result("m", CASE_FLOAT32, moment ? c->size[t] : 0, 1e-6);
    a[D0 + t] = case_result("direction", CASE_FLOAT32, moves ? 0 : c->size[t], 1e-6);
    a[P0 + t].kept = a[M0 + t].kept = true;
    a[P0 + t].scale = a[M0 + t].scale = 1;
  }
  a[SUM] = case_result("sum of squares", CASE_DOUBLE, 1, 1e-13);
}

// Gradients of very different sizes; some are nothing, and then Lion does not move where it has no moment either.
static void adjust(struct op_case *c) {
  for (int t = 0; t < CASE_TENSORS; t++)
    for (int64_t i = 0; i < c->size[t]; i++) {
      double *g = &case_values(c, G0 + t)[i];
      *g *= i % 7 == 0 ? 1e-6 : i % 11 ? 1 : 0;
      if (c->size[2] != NO_MOMENT && i % 22 == 0) c->arguments[M0 + t].start[i] = 0;
    }
}

static double forward(const struct op_case *c) {
  struct momentum o = momentum_of(c);
  double factor = case_gradient_factor(c, o.gradient_scale, o.clip_norm);
  for (int t = 0; t < CASE_TENSORS; t++)
    for (int64_t i = 0; i < c->size[t]; i++) {
      double g = case_values(c, G0 + t)[i] * factor;
      double m = c->size[2] == NO_MOMENT ? 0 : c->arguments[M0 + t].start[i];
      double mixed = o.beta1 * m + o.share1 * g, d = mixed;
      if (o.nesterov) d = o.beta1 * mixed + o.share1 * g;
      if (o.sign) d = (mixed > 0) - (mixed < 0);
      if (c->size[2] != NO_MOMENT) case_values(c, M0 + t)[i] = o.sign ? o.beta2 * m + (1 - o.beta2) * g : mixed;
      if (c->size[2] == DIRECTION) {
        case_values(c, D0 + t)[i] = d;
        continue;
      }
      double p = c->arguments[P0 + t].start[i];
      case_values(c, P0 + t)[i] = p - o.lr * (t == 0 ? o.weight_decay : 0) * p - o.lr * lr_scale[t] * d;
    }
  return 0;
}

static void run_step(struct case_run *run) {
  struct momentum momentum = momentum_of(run->c);
  struct optimizer_tensor tensors[CASE_TENSORS];
  void *const *d = run->data;
  for (int t = 0; t < CASE_TENSORS; t++)
    tensors[t] = (struct optimizer_tensor){.parameter = d[P0 + t],
                                           .gradient = d[G0 + t],
                                           .m = d[M0 + t],
                                           .direction = d[D0 + t],
                                           .count = run->c->size[t],
                                           .decay = t == 0,
                                           .lr_scale = lr_scale[t]};
  run->ops->momentum_step(run->device, &momentum, tensors, case_tensors(run->c),
                          momentum.clip_norm > 0 ? d[SUM] : NULL);
}

static const struct case_pass passes[] = {
    {"momentum's square sum", case_square_sum, NULL, false, NULL},
    {"momentum", run_step, NULL, false, NULL},
};

static struct op_shape op_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0] > c->size[1] ? c->size[0] : c->size[1], .training = true};
}

const struct operation operation_momentum = {.name = "momentum",
                                             .sizes = "elements, elements of a second tensor, rule, clipped",
                                             .shapes = shapes,
                                             .shape_count = CASE_COUNT_OF(shapes),
                                             .one_dtype = true,
                                             .kind = OP_OPTIMIZER,
                                             .op_shape = op_shape,
                                             .declare = declare,
                                             .adjust = adjust,
                                             .forward = forward,
                                             .passes = passes,
                                             .pass_count = CASE_COUNT_OF(passes)};
