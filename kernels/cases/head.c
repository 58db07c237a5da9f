// The output head with cross-entropy: x and d_x [rows, width], weight and its gradient [vocabulary, width], targets,
// mask and row_nats [rows].
#include <math.h>
#include <stdlib.h>

#include "kernels/cases/operations.h"

enum { X, W, TARGETS, MASK, SUM, ROW_NATS, D_X, D_W, SUM_EVALUATED, NATS_EVALUATED, SUM_AGAIN, D_W_FRESH, COUNT };

static const int sums[] = {SUM, SUM_EVALUATED, SUM_AGAIN};

static const double gradient_scale = 0.25;

// Masked where the last number is 1. Several tiles of rows; vocabularies that are powers of two, whose rows stand
// further apart, and odd ones.
static const struct case_shape shapes[] = {
    {{1, 2, 16}},
    {{3, 257, 20, 1}},
    {{7, 33, 20, 1}},
    {{70, 100, 16, 1}},
    {{1, 257, 20}, .only = true, .dtype = DTYPE_BFLOAT16},
    {{37, 257, 17, 1}, .only = true, .dtype = DTYPE_BFLOAT16, .large = true},
    {{19, 1024, 8, 1}, .only = true, .dtype = DTYPE_BFLOAT16, .large = true},
    {{40, 700, 12, 1}, .large = true},
    {{131, 2500, 8}, .large = true, .slow = true},
    {{300, 5, 8}, .only = true, .dtype = DTYPE_FLOAT32},
};

static void declare(struct op_case *c) {
  int64_t rows = c->size[0], vocabulary = c->size[1], width = c->size[2];
  enum case_type t = case_type_of(c->dtype), f = CASE_FLOAT32;
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[X] = case_input("x", t, rows * width, 1);
  a[W] = case_input("weight", f, vocabulary * width, 1);
  a[TARGETS] = case_input("targets", CASE_IDS, rows, 0);
  a[MASK] = case_input("mask", CASE_BYTES, c->size[3] ? rows : 0, 0);
  a[SUM] = case_result("sum", CASE_LOSS, 2, 1e-6);
  a[SUM].kept = true;
  a[ROW_NATS] = case_result("row_nats", f, rows, 2e-6);
  // The largest logit's exponential is 1 within 7.5e-8 (rounded.h), which counts where a token is nearly certain.
  if (c->dtype == DTYPE_BFLOAT16) a[ROW_NATS].cancelled = 1e-7;
  a[D_X] = case_gradient("d_x", t, rows * width, case_tolerance(c), X);
  a[D_W] = case_gradient("d_weight", f, vocabulary * width, case_tolerance(c), W);
  a[D_W].kept = true;
  a[D_W].scale = 1;
  a[SUM_EVALUATED] = a[SUM];
  a[SUM_EVALUATED].name = "sum of evaluation";
  a[NATS_EVALUATED] = a[ROW_NATS];
  a[NATS_EVALUATED].name = "row_nats of evaluation";
  a[SUM_AGAIN] = a[SUM];
  a[SUM_AGAIN].name = "sum again";
  a[D_W_FRESH] = case_result("d_weight, not added", f, vocabulary * width, case_tolerance(c));
  a[D_W_FRESH].cancelled = 1e-7;
  c->weight[0] = (struct weight_description){.outputs = vocabulary, .inputs = width, .dtype = c->dtype};
}

// Rounding the master to the type of the products loses nothing; sums are added to.
static void adjust(struct op_case *c) {
  double *w = case_values(c, W);
  for (int64_t i = 0; i < c->arguments[W].count; i++) w[i] = case_rounded(c->dtype, w[i]);
  for (int64_t row = 0; row < c->size[0]; row++) {
    case_values(c, TARGETS)[row] = (double)((row * 7919 + c->size[1] - 1) % c->size[1]);
    if (c->size[3]) case_values(c, MASK)[row] = row % 3 != 1;
  }
  for (size_t i = 0; i < CASE_COUNT_OF(sums); i++) {
    c->arguments[sums[i]].start[0] = 100;
    c->arguments[sums[i]].start[1] = 10;
  }
}

static bool counts(const struct op_case *c, int64_t row) { return !c->size[3] || case_values(c, MASK)[row] != 0; }

// The logits of a row; returns the logarithm of the sum of their exponentials.
static double logits_of(const struct op_case *c, int64_t row, double *logits) {
  int64_t vocabulary = c->size[1], width = c->size[2];
  const double *x = case_values(c, X) + row * width, *w = case_values(c, W);
  double maximum = -INFINITY, sum = 0;
  for (int64_t token = 0; token < vocabulary; token++) {
    logits[token] = 0;
    for (int64_t i = 0; i < width; i++) logits[token] += x[i] * w[token * width + i];
    maximum = fmax(maximum, logits[token]);
  }
  for (int64_t token = 0; token < vocabulary; token++) sum += exp(logits[token] - maximum);
  return maximum + log(sum);
}

static double forward(const struct op_case *c) {
  double *logits = memory_get((size_t)c->size[1] * sizeof *logits), nats = 0, targets = 0;
  for (int64_t row = 0; row < c->size[0]; row++) {
    double loss = counts(c, row) ? logits_of(c, row, logits) : 0;
    if (counts(c, row)) loss -= logits[(int64_t)case_values(c, TARGETS)[row]];
    case_values(c, ROW_NATS)[row] = case_values(c, NATS_EVALUATED)[row] = loss;
    nats += loss;
    targets += counts(c, row);
  }
  free(logits);
  for (size_t i = 0; i < CASE_COUNT_OF(sums); i++) {
    case_values(c, sums[i])[0] = c->arguments[sums[i]].start[0] + nats;
    case_values(c, sums[i])[1] = c->arguments[sums[i]].start[1] + targets;
  }
  return nats * gradient_scale;
}

static void gradients(const struct op_case *c) {
  int64_t vocabulary = c->size[1], width = c->size[2];
  double *logits = memory_get((size_t)vocabulary * sizeof *logits), *d_w = case_values(c, D_W_FRESH);
  for (int64_t row = 0; row < c->size[0]; row++) {
    if (!counts(c, row)) continue;
    double log_sum = logits_of(c, row, logits);
    for (int64_t token = 0; token < vocabulary; token++) {
      double target = (double)token == case_values(c, TARGETS)[row];
      double d = (exp(logits[token] - log_sum) - target) * gradient_scale;
      for (int64_t i = 0; i < width; i++) {
        case_values(c, D_X)[row * width + i] += d * case_values(c, W)[token * width + i];
        d_w[token * width + i] += d * case_values(c, X)[row * width + i];
      }
    }
  }
  free(logits);
  for (int64_t i = 0; i < vocabulary * width; i++) case_values(c, D_W)[i] = c->arguments[D_W].start[i] + d_w[i];
}

static bool prepare(struct case_run *run, struct error *error) {
  if (!case_weight(run, 0, error)) return false;
  run->ops->weight_prepare(run->device, run->weight[0], run->data[W], 1);
  return true;
}

static struct head head_of(const struct case_run *run) {
  return (struct head){.weight = run->weight[0],
                       .rows = run->c->size[0],
                       .dtype = run->c->dtype,
                       .gradient_scale = (float)gradient_scale};
}

static void loss(struct case_run *run, int sum, int row_nats, int d_w, bool accumulate) {
  struct head head = head_of(run);
  void *const *d = run->data;
  run->ops->head_loss(run->device, &head, d[X], d[TARGETS], d[MASK], d[sum], row_nats < 0 ? NULL : d[row_nats], d[D_X],
                      d[d_w], accumulate);
}

static void run_loss(struct case_run *run) { loss(run, SUM, ROW_NATS, D_W, true); }

static void run_evaluate(struct case_run *run) {
  struct head head = head_of(run);
  void *const *d = run->data;
  run->ops->head_evaluate(run->device, &head, d[X], d[TARGETS], d[MASK], d[SUM_EVALUATED], d[NATS_EVALUATED]);
}

static void variants(struct case_run *run) { loss(run, SUM_AGAIN, -1, D_W_FRESH, false); }

static struct case_cost cost(const struct case_run *run) {
  const struct op_case *c = run->c;
  double rows = (double)c->size[0], width = (double)c->size[2], size = (double)c->size[1] * width;
  double item = (double)dtype_bytes(c->dtype);
  return (struct case_cost){6 * rows * size, 2 * rows * width * item + size * (item + sizeof(float))};
}

static int products_of(const struct case_shape *shape, struct case_product *products) {
  int64_t rows = shape->size[0], vocabulary = shape->size[1], width = shape->size[2];
  products[0] = (struct case_product){GEMM_NT, rows, vocabulary, width, 1};
  products[1] = (struct case_product){GEMM_NN, rows, width, vocabulary, 1};
  products[2] = (struct case_product){GEMM_TN, vocabulary, width, rows, 1};
  return 3;
}

static const struct case_pass passes[] = {
    {"head with loss", run_loss, cost, false, products_of},
    {"head evaluated", run_evaluate, NULL, true, NULL},
};

static int of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){{case_model_rows(m), m->vocabulary, m->width}};
  return 1;
}

static struct op_shape op_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0],
                           .width = c->size[2],
                           .vocabulary = c->size[1],
                           .dtype = c->dtype,
                           .weight = &c->weight[0],
                           .training = true};
}

const struct operation operation_head = {.name = "head",
                                         .sizes = "rows, vocabulary, width, masked",
                                         .shapes = shapes,
                                         .shape_count = CASE_COUNT_OF(shapes),
                                         .kind = OP_HEAD,
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
