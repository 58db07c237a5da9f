// Formats: weights and activations represented on a grid, and pruning. Products with the identity show what a layer
// multiplies: x [rows, inputs], weight [outputs, inputs], y [rows, outputs].
#include <math.h>
#include <stdlib.h>

#include "kernels/cases/operations.h"
#include "kernels/formats/grid.h"

// ---- the nearest level, searched for ----

// Values per row, per tensor or per group onto scale * grid; rounding is to nearest, ties do not occur.
static void represent(const struct representation *r, const double *from, int64_t rows, int64_t columns, double *to) {
  double levels[GRID_LEVEL_LIMIT];
  int count = grid_level_list(&r->grid, levels);
  int64_t all = rows * columns, unit = columns;
  if (r->scale.unit == SCALE_PER_TENSOR) unit = all;
  if (r->scale.unit == SCALE_PER_GROUP) unit = r->scale.group;
  for (int64_t first = 0; first < all; first += unit) {
    double largest = 0, squares = 0;
    for (int64_t i = first; i < first + unit; i++) {
      largest = fmax(largest, fabs(from[i]));
      squares += from[i] * from[i];
    }
    double measure = r->scale.rule == SCALE_RMS ? sqrt(squares / (double)unit) : largest / grid_reach(&r->grid);
    double scale = r->scale.factor * measure;
    for (int64_t i = first; i < first + unit; i++) {
      double best = levels[0];
      for (int level = 1; level < count; level++)
        if (fabs(from[i] - scale * levels[level]) < fabs(from[i] - scale * best)) best = levels[level];
      to[i] = scale * best;
    }
  }
}

static void identity(double *matrix, int64_t size) {
  for (int64_t i = 0; i < size * size; i++) matrix[i] = i % (size + 1) == 0;
}

static struct weight_description description_of(const struct op_case *c, int64_t outputs, uint32_t number) {
  return (struct weight_description){.outputs = outputs,
                                     .inputs = c->size[1],
                                     .format = c->format,
                                     .seed = 0x1234567890abcdefu,
                                     .number = number,
                                     .steps = 100};
}

static struct op_shape op_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0], .weight = &c->weight[0], .training = true};
}

static bool prepare_one(struct case_run *run, struct error *error) { return case_weight(run, 0, error); }

// ---- weights and activations ----

enum { X, W, D_Y, Y, D_X, D_W, COUNT };

#define SHAPES_OF(rows, inputs, outputs, operand)                                           \
  {{rows, inputs, outputs}, operand "(int4[absmax,no-hadamard,ste])"},                      \
      {{rows, inputs, outputs}, operand "(int3-twos[absmax,no-hadamard,ste])"},             \
      {{rows, inputs, outputs}, operand "(fp8-e4m3[absmax,no-hadamard,ste])"},              \
      {{rows, inputs, outputs}, operand "(fp6-e2m3[rms,no-hadamard,ste])"},                 \
      {{rows, inputs, outputs}, operand "(levels(-1 -0.3 0.2 1)[absmax,no-hadamard,ste])"}, \
      {{rows, inputs, outputs}, operand "(ternary[rms,no-hadamard,ste])"},                  \
      {{rows, inputs, outputs}, operand "(int4[absmax,tensor,no-hadamard,ste])"}, {         \
    {rows, inputs, outputs}, operand "(int5[absmax,group(20),no-hadamard,ste])"             \
  }

static const struct case_shape weight_shapes[] = {SHAPES_OF(100, 100, 9, "w"), SHAPES_OF(20, 20, 1, "w")};
static const struct case_shape activation_shapes[] = {SHAPES_OF(5, 100, 100, "a"), SHAPES_OF(1, 20, 20, "a")};

static void declare(struct op_case *c) {
  int64_t rows = c->size[0], inputs = c->size[1], outputs = c->size[2];
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[X] = case_input("x", CASE_FLOAT32, rows * inputs, 1);
  a[W] = case_input("weight", CASE_FLOAT32, outputs * inputs, 1);
  a[D_Y] = case_input("d_y", CASE_FLOAT32, rows * outputs, 1);
  a[Y] = case_result("y", CASE_FLOAT32, rows * outputs, 2e-6);
  a[D_X] = case_result("d_x", CASE_FLOAT32, rows * inputs, 2e-6);
  a[D_W] = case_result("d_weight", CASE_FLOAT32, outputs * inputs, 0);
  a[D_W].kept = true;
  a[D_W].scale = 1;
  c->weight[0] = description_of(c, outputs, 5);
}

static void weights_adjust(struct op_case *c) { identity(case_values(c, X), c->size[0]); }

static void activations_adjust(struct op_case *c) { identity(case_values(c, W), c->size[1]); }

// The gradient passes straight through: d_x = d_y W with the represented weights, and the sum of weight gradients is
// the master's.
static void finish(const struct op_case *c, const double *w) {
  int64_t rows = c->size[0], inputs = c->size[1], outputs = c->size[2];
  for (int64_t at = 0; at < rows * inputs; at++)
    for (int64_t o = 0; o < outputs; o++)
      case_values(c, D_X)[at] += case_values(c, D_Y)[at / inputs * outputs + o] * w[o * inputs + at % inputs];
  for (int64_t i = 0; i < outputs * inputs; i++) case_values(c, D_W)[i] = c->arguments[D_W].start[i];
}

static double weights_forward(const struct op_case *c) {
  int64_t inputs = c->size[1], outputs = c->size[2];
  double *w = memory_get((size_t)(outputs * inputs) * sizeof *w);
  represent(&c->format->operands[OPERAND_WEIGHTS], case_values(c, W), outputs, inputs, w);
  for (int64_t i = 0; i < inputs; i++)
    for (int64_t o = 0; o < outputs; o++) case_values(c, Y)[i * outputs + o] = w[o * inputs + i];
  finish(c, w);
  free(w);
  return 0;
}

static double activations_forward(const struct op_case *c) {
  represent(&c->format->operands[OPERAND_ACTIVATIONS], case_values(c, X), c->size[0], c->size[1], case_values(c, Y));
  finish(c, case_values(c, W));
  return 0;
}

static void run_prepare(struct case_run *run) {
  run->ops->weight_prepare(run->device, run->weight[0], run->data[W], 0);
}

static void run_layer(struct case_run *run) {
  struct linear linear = {.weight = run->weight[0], .rows = run->c->size[0]};
  void *const *d = run->data;
  run->ops->linear_forward(run->device, &linear, d[X], run->saved, d[Y]);
  run->ops->linear_input_gradient(run->device, &linear, run->saved, d[D_Y], d[D_X]);
}

static void run_finish(struct case_run *run) {
  run->ops->weight_gradient_finish(run->device, run->weight[0], run->data[D_W]);
}

// The master read, what it becomes written.
static struct case_cost prepare_cost(const struct case_run *run) {
  return (struct case_cost){0, 8 * (double)run->c->arguments[W].count};
}

static const struct case_pass passes[] = {
    {"weight prepare", run_prepare, prepare_cost, false, NULL},
    {"linear with a format", run_layer, NULL, false, NULL},
    {"weight gradient finish", run_finish, prepare_cost, false, NULL},
};

// Gate and up in a format with a Hadamard transform; as many rows as `weights_adjust` has ones for.
static int of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){.size = {m->width, m->width, 2 * m->hidden}, .format = "w4"};
  return 1;
}

const struct operation operation_weight_format = {.name = "weight format",
                                                  .sizes = "rows, inputs, outputs",
                                                  .shapes = weight_shapes,
                                                  .shape_count = CASE_COUNT_OF(weight_shapes),
                                                  .one_dtype = true,
                                                  .kind = OP_LINEAR,
                                                  .op_shape = op_shape,
                                                  .declare = declare,
                                                  .adjust = weights_adjust,
                                                  .forward = weights_forward,
                                                  .prepare = prepare_one,
                                                  .passes = passes,
                                                  .pass_count = CASE_COUNT_OF(passes),
                                                  .of_model = of_model};

const struct operation operation_activation_format = {.name = "activation format",
                                                      .sizes = "rows, inputs, outputs",
                                                      .shapes = activation_shapes,
                                                      .shape_count = CASE_COUNT_OF(activation_shapes),
                                                      .one_dtype = true,
                                                      .kind = OP_LINEAR,
                                                      .op_shape = op_shape,
                                                      .declare = declare,
                                                      .adjust = activations_adjust,
                                                      .forward = activations_forward,
                                                      .prepare = prepare_one,
                                                      .passes = passes,
                                                      .pass_count = CASE_COUNT_OF(passes)};

// ---- pruning: two weights at once, masters and moments ----

enum { ONES, W0, W1, M0, M1, V0, V1, Y0, Y1, PRUNING_COUNT };

static const struct case_shape pruning_shapes[] = {
    {{33, 33, 5, 9}, "sparse(0.5)"},
    {{33, 33, 5, 9}, "sparse(0.7,global)"},
    {{33, 33, 5, 9}, "sparse(0.7,global,monotone)"},
    {{33, 33, 5, 9}, "sparse(0.4,monotone)"},
    {{1, 1, 1, 3}, "sparse(0.5,global)"},
};

static void pruning_declare(struct op_case *c) {
  struct argument *a = c->arguments;
  c->count = PRUNING_COUNT;
  a[ONES] = case_input("x", CASE_FLOAT32, c->size[0] * c->size[1], 1);
  for (int w = 0; w < 2; w++) {
    int64_t count = c->size[1] * c->size[2 + w];
    a[W0 + w] = case_result("weight", CASE_FLOAT32, count, 0);
    a[M0 + w] = case_result("m", CASE_FLOAT32, count, 0);
    a[V0 + w] = case_result("v", CASE_FLOAT32, count, 0);
    a[W0 + w].kept = a[M0 + w].kept = a[V0 + w].kept = true;
    a[W0 + w].scale = a[M0 + w].scale = a[V0 + w].scale = 1;
    a[Y0 + w] = case_result("y", CASE_FLOAT32, c->size[0] * c->size[2 + w], 0);
    c->weight[w] = description_of(c, c->size[2 + w], (uint32_t)w);
  }
}

static void pruning_adjust(struct op_case *c) { identity(case_values(c, ONES), c->size[0]); }

// How many of the weights [first, end) are larger than `size`.
static int64_t larger(const struct op_case *c, int first, int end, double size) {
  int64_t count = 0;
  for (int w = first; w < end; w++)
    for (int64_t i = 0; i < c->arguments[W0 + w].count; i++) count += fabs(c->arguments[W0 + w].start[i]) > size;
  return count;
}

static double pruning_forward(const struct op_case *c) {
  const struct sparsity *s = &c->format->operands[OPERAND_WEIGHTS].sparsity;
  for (int w = 0; w < 2; w++) {
    int first = s->scope == SCOPE_GLOBAL ? 0 : w, end = s->scope == SCOPE_GLOBAL ? 2 : w + 1;
    int64_t all = 0, inputs = c->size[1], outputs = c->size[2 + w];
    for (int other = first; other < end; other++) all += c->arguments[W0 + other].count;
    for (int64_t i = 0; i < c->arguments[W0 + w].count; i++) {
      double value = c->arguments[W0 + w].start[i];
      bool stays = larger(c, first, end, fabs(value)) < llround((1 - s->amount) * (double)all);
      case_values(c, Y0 + w)[i % inputs * outputs + i / inputs] = stays ? value : 0;
      for (int array = W0; array <= V0; array += M0 - W0)
        case_values(c, array + w)[i] = stays || !s->monotone ? c->arguments[array + w].start[i] : 0;
    }
  }
  return 0;
}

static bool pruning_prepare(struct case_run *run, struct error *error) {
  return case_weight(run, 0, error) && case_weight(run, 1, error);
}

static void run_pruning(struct case_run *run) {
  struct pruned_weight weights[2];
  void *const *d = run->data;
  for (int w = 0; w < 2; w++)
    weights[w] = (struct pruned_weight){.weight = run->weight[w], .master = d[W0 + w], .m = d[M0 + w], .v = d[V0 + w]};
  run->ops->weights_prune(run->device, weights, 2, 0);
}

static void run_pruned(struct case_run *run) {
  void *const *d = run->data;
  for (int w = 0; w < 2; w++) {
    struct linear linear = {.weight = run->weight[w], .rows = run->c->size[0]};
    run->ops->weight_prepare(run->device, run->weight[w], d[W0 + w], 0);
    run->ops->linear_forward(run->device, &linear, d[ONES], run->saved, d[Y0 + w]);
  }
}

static struct case_cost pruning_cost(const struct case_run *run) {
  return (struct case_cost){0, 4 * (double)(run->c->arguments[W0].count + run->c->arguments[W1].count)};
}

static const struct case_pass pruning_passes[] = {
    {"weights prune", run_pruning, pruning_cost, false, NULL},
    {"layers of pruned weights", run_pruned, NULL, false, NULL},
};

// Gate and up, and down as the second weight would be if it had the same inputs: half of them.
static int pruning_of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){.size = {m->width, m->width, 2 * m->hidden, m->hidden}, .format = "sparse(0.5,global)"};
  return 1;
}

const struct operation operation_pruning = {.name = "pruning",
                                            .sizes = "rows, inputs, outputs, outputs of a second weight",
                                            .shapes = pruning_shapes,
                                            .shape_count = CASE_COUNT_OF(pruning_shapes),
                                            .one_dtype = true,
                                            .kind = OP_LINEAR,
                                            .op_shape = op_shape,
                                            .declare = pruning_declare,
                                            .adjust = pruning_adjust,
                                            .forward = pruning_forward,
                                            .prepare = pruning_prepare,
                                            .passes = pruning_passes,
                                            .pass_count = CASE_COUNT_OF(pruning_passes),
                                            .of_model = pruning_of_model};
