// Embedding: residual [rows, width] is the table [vocabulary, width] at tokens [rows]; its gradient adds rows up.
#include "kernels/cases/operations.h"

enum { TABLE, TOKENS, D_RESIDUAL, RESIDUAL, D_TABLE, COUNT };

// A GPU sorts rows by token: tokens in none, one, two and three digits, many times and once; some whose rows end with
// one of its segments of 64, and some that fill several.
static const struct case_shape shapes[] = {{{50, 19, 7}},
                                           {{301, 36, 12}},
                                           {{65, 4, 1}},
                                           {{1024, 7, 2}},
                                           {{1300, 3, 5}},
                                           {{700, 5, 2100}},
                                           {{1, 3, 70000}, .large = true},
                                           {{513, 3, 70000}, .large = true}};

static void declare(struct op_case *c) {
  int64_t rows = c->size[0], width = c->size[1], vocabulary = c->size[2];
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[TABLE] = case_input("table", CASE_FLOAT32, vocabulary * width, 1);
  a[TOKENS] = case_input("tokens", CASE_IDS, rows, 0);
  a[D_RESIDUAL] = case_input("d_residual", CASE_FLOAT32, rows * width, 1);
  a[RESIDUAL] = case_result("residual", CASE_FLOAT32, rows * width, 0);
  a[D_TABLE] = case_gradient("d_table", CASE_FLOAT32, vocabulary * width, 1e-6, TABLE);
  a[D_TABLE].kept = true;
  a[D_TABLE].scale = 1;
}

// A third of the rows has few tokens, the others are all over the table.
static void adjust(struct op_case *c) {
  for (int64_t row = 0; row < c->size[0]; row++)
    case_values(c, TOKENS)[row] =
        (double)((row % 3 ? (row + 1) * 2654435761 : row * row * (c->size[2] / 5)) % c->size[2]);
}

static double forward(const struct op_case *c) {
  int64_t width = c->size[1];
  double loss = 0;
  for (int64_t at = 0; at < c->size[0] * width; at++) {
    int64_t token = (int64_t)case_values(c, TOKENS)[at / width];
    case_values(c, RESIDUAL)[at] = case_values(c, TABLE)[token * width + at % width];
    loss += case_values(c, RESIDUAL)[at] * case_values(c, D_RESIDUAL)[at];
  }
  return loss;
}

static void gradients(const struct op_case *c) {
  int64_t width = c->size[1];
  for (int64_t i = 0; i < c->arguments[D_TABLE].count; i++) case_values(c, D_TABLE)[i] = c->arguments[D_TABLE].start[i];
  for (int64_t at = 0; at < c->size[0] * width; at++) {
    int64_t token = (int64_t)case_values(c, TOKENS)[at / width];
    case_values(c, D_TABLE)[token * width + at % width] += case_values(c, D_RESIDUAL)[at];
  }
}

static void run_forward(struct case_run *run) {
  const int64_t *size = run->c->size;
  void *const *d = run->data;
  run->ops->embedding_forward(run->device, size[0], size[1], size[2], d[TOKENS], d[TABLE], d[RESIDUAL]);
}

static void run_backward(struct case_run *run) {
  const int64_t *size = run->c->size;
  void *const *d = run->data;
  run->ops->embedding_backward(run->device, size[0], size[1], size[2], d[TOKENS], d[D_RESIDUAL], d[D_TABLE]);
}

static struct case_cost forward_cost(const struct case_run *run) {
  return (struct case_cost){0, 8 * (double)run->c->arguments[RESIDUAL].count};
}

static struct case_cost backward_cost(const struct case_run *run) {
  return (struct case_cost){0, 12 * (double)run->c->arguments[RESIDUAL].count};
}

static const struct case_pass passes[] = {
    {"embedding forward", run_forward, forward_cost, true, NULL},
    {"embedding backward", run_backward, backward_cost, false, NULL},
};

static struct op_shape op_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0], .width = c->size[1], .vocabulary = c->size[2], .training = true};
}

static int of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){{case_model_rows(m), m->width, m->vocabulary}};
  return 1;
}

const struct operation operation_embedding = {.name = "embedding",
                                              .sizes = "rows, width, vocabulary",
                                              .shapes = shapes,
                                              .shape_count = CASE_COUNT_OF(shapes),
                                              .one_dtype = true,
                                              .kind = OP_EMBEDDING,
                                              .op_shape = op_shape,
                                              .declare = declare,
                                              .adjust = adjust,
                                              .forward = forward,
                                              .gradients = gradients,
                                              .passes = passes,
                                              .pass_count = CASE_COUNT_OF(passes),
                                              .of_model = of_model};
