// Conversion between types, and initial values: arrays of `elements`.
#include <math.h>

#include "base/philox.h"
#include "kernels/cases/operations.h"

static const struct case_shape shapes[] = {{{1}}, {{1003}}, {{2048}}};

// ---- conversion ----

enum { FROM, HALF, BACK, CONVERT_COUNT };

static void convert_declare(struct op_case *c) {
  struct argument *a = c->arguments;
  c->count = CONVERT_COUNT;
  a[FROM] = case_input("from", CASE_FLOAT32, c->size[0], 1);
  a[HALF] = case_result("in bfloat16", CASE_BFLOAT16, c->size[0], 0);
  a[BACK] = case_result("and back", CASE_FLOAT32, c->size[0], 0);
}

// Of every size; ties go to even, both ways.
static void convert_adjust(struct op_case *c) {
  double *from = case_values(c, FROM);
  for (int64_t i = 0; i < c->size[0]; i++) from[i] *= pow(10, (double)(i % 61 - 30));
  from[0] = c->size[0] == 1 ? 1 + 0x1p-8 : 1 + 3 * 0x1p-8;
}

static double convert_forward(const struct op_case *c) {
  for (int64_t i = 0; i < c->size[0]; i++)
    case_values(c, HALF)[i] = case_values(c, BACK)[i] = case_rounded(DTYPE_BFLOAT16, case_values(c, FROM)[i]);
  return 0;
}

static void run_convert(struct case_run *run) {
  run->ops->convert(run->device, run->c->size[0], DTYPE_FLOAT32, run->data[FROM], DTYPE_BFLOAT16, run->data[HALF]);
}

static void convert_back(struct case_run *run) {
  run->ops->convert(run->device, run->c->size[0], DTYPE_BFLOAT16, run->data[HALF], DTYPE_FLOAT32, run->data[BACK]);
}

static struct case_cost convert_cost(const struct case_run *run) {
  return (struct case_cost){0, 6 * (double)run->c->size[0]};
}

static const struct case_pass convert_passes[] = {
    {"convert to bfloat16", run_convert, convert_cost, false, NULL},
    {"convert to float32", convert_back, convert_cost, false, NULL},
};

// The activations of a layer.
static int convert_of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){{case_model_rows(m) * m->width}};
  return 1;
}

const struct operation operation_convert = {.name = "convert",
                                            .sizes = "elements",
                                            .shapes = shapes,
                                            .shape_count = CASE_COUNT_OF(shapes),
                                            .one_dtype = true,
                                            .declare = convert_declare,
                                            .adjust = convert_adjust,
                                            .forward = convert_forward,
                                            .passes = convert_passes,
                                            .pass_count = CASE_COUNT_OF(convert_passes),
                                            .of_model = convert_of_model};

// ---- initial values ----

enum { NORMAL, CONSTANT, FILL_COUNT };
enum { SEED = 7, TENSOR = 3 };

static void fill_declare(struct op_case *c) {
  c->count = FILL_COUNT;
  // The logarithms of two libraries may differ in the last bit of a double.
  c->arguments[NORMAL] = case_result("normals", CASE_FLOAT32, c->size[0], 1e-7);
  c->arguments[CONSTANT] = case_result("constants", CASE_FLOAT32, c->size[0], 0);
}

static double fill_forward(const struct op_case *c) {
  for (int64_t i = 0; i < c->size[0]; i++) {
    double pair[2];
    random_normal_pair(SEED, RANDOM_STREAM_INIT, TENSOR, (uint64_t)i / 2, pair);
    case_values(c, NORMAL)[i] = 0.02 * pair[i % 2];
    case_values(c, CONSTANT)[i] = 0.5;
  }
  return 0;
}

static void run_normal(struct case_run *run) {
  run->ops->fill_normal(run->device, run->data[NORMAL], run->c->size[0], 0.02, SEED, TENSOR);
}

static void run_constant(struct case_run *run) {
  run->ops->fill_constant(run->device, run->data[CONSTANT], run->c->size[0], 0.5f);
}

static const struct case_pass fill_passes[] = {
    {"fill with normals", run_normal, NULL, false, NULL},
    {"fill with a constant", run_constant, NULL, false, NULL},
};

const struct operation operation_fill = {.name = "fill",
                                         .sizes = "elements",
                                         .shapes = shapes,
                                         .shape_count = CASE_COUNT_OF(shapes),
                                         .one_dtype = true,
                                         .declare = fill_declare,
                                         .forward = fill_forward,
                                         .passes = fill_passes,
                                         .pass_count = CASE_COUNT_OF(fill_passes)};
