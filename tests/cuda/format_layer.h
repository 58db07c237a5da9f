// A linear layer with a format on the two devices of a test: see cuda_check.h.
#pragma once
#include "kernels/formats/apply.h"
#include "tests/cuda/cuda_check.h"

static struct arena arena;
static int64_t layer_window;  // of layers that are made and their calls

struct layer {
  struct weight_description description;
  struct weight *weight[2];
  void *memory[2], *saved[2], *learned[2], *d_learned[2];
  int64_t rows, window;
};
// parts 0: one matrix.
static inline struct layer layer_make_parts(const char *text, int64_t rows, int64_t inputs, const int64_t *part_outputs,
                                            int parts, enum dtype dtype, enum dtype master) {
  struct error error = {0};
  struct layer l = {.rows = rows,
                    .window = layer_window,
                    .description = {.outputs = part_outputs[0],
                                    .inputs = inputs,
                                    .dtype = dtype,
                                    .master = master,
                                    .seed = 0x1234567890abcdefu,
                                    .number = 5,
                                    .steps = 100,
                                    .format = format_parse(text, &arena, &error)}};
  if (!l.description.format) give_up(&error);
  l.description.parts = parts;
  for (int part = 0; part < parts; part++) l.description.part_outputs[part] = part_outputs[part];
  for (int part = 1; part < parts; part++) l.description.outputs += part_outputs[part];
  struct op_shape shape = {.rows = rows, .context = layer_window, .weight = &l.description, .training = true};
  workspaces_for(OP_LINEAR, shape);
  float zeroes[LEARNED_SCALES] = {0};
  both_upload(l.learned, zeroes, sizeof zeroes);
  both_upload(l.d_learned, zeroes, sizeof zeroes);
  for (int s = 0; s < 2; s++) {
    if (!ops[s]->shape_supported(device[s], OP_LINEAR, &shape, &error)) give_up(&error);
    l.memory[s] = both_allocate(s, ops[s]->weight_bytes(device[s], &l.description));
    l.saved[s] = both_allocate(s, ops[s]->linear_saved_bytes(device[s], &l.description, rows));
    l.weight[s] = ops[s]->weight_create(device[s], &l.description, l.memory[s], &error);
    if (!l.weight[s]) give_up(&error);
    ops[s]->weight_learned(device[s], l.weight[s], l.learned[s], l.d_learned[s]);
  }
  return l;
}
static inline struct layer layer_make_of(const char *text, int64_t rows, int64_t inputs, int64_t outputs,
                                         enum dtype dtype, enum dtype master) {
  int64_t part_outputs[] = {outputs > 3 ? outputs - 3 : outputs, 3};
  return layer_make_parts(text, rows, inputs, part_outputs, outputs > 3 ? 2 : 0, dtype, master);
}
static inline struct layer layer_make(const char *text, int64_t rows, int64_t inputs, int64_t outputs,
                                      enum dtype dtype) {
  return layer_make_of(text, rows, inputs, outputs, dtype, DTYPE_FLOAT32);
}
static inline void layer_prepare(struct layer *l, const struct array *master, int64_t step) {
  for (int s = 0; s < 2; s++) {
    struct pruned_weight pruned = {.weight = l->weight[s], .master = master->data[s]};
    ops[s]->weights_prune(device[s], &pruned, 1, step);
    ops[s]->weight_prepare(device[s], l->weight[s], master->data[s], step);
  }
}
static inline void layer_run(struct layer *l, const struct array *x, struct array *y, const struct array *d_y,
                             struct array *d_x, struct array *d_w) {
  for (int s = 0; s < 2; s++) {
    struct linear linear = {.weight = l->weight[s],
                            .rows = l->rows,
                            .first_row = 3 * l->rows,
                            .window = l->window,
                            .dtype = l->description.dtype};
    ops[s]->linear_forward(device[s], &linear, x->data[s], l->saved[s], y->data[s]);
    ops[s]->linear_input_gradient(device[s], &linear, l->saved[s], d_y->data[s], d_x->data[s]);
    ops[s]->linear_weight_gradient(device[s], &linear, x->data[s], l->saved[s], d_y->data[s], d_w->data[s], false);
    ops[s]->linear_weight_gradient(device[s], &linear, x->data[s], l->saved[s], d_y->data[s], d_w->data[s], true);
    ops[s]->weight_gradient_finish(device[s], l->weight[s], d_w->data[s]);
  }
}
static inline void layer_free(struct layer *l) {
  for (int s = 0; s < 2; s++) ops[s]->weight_free(device[s], l->weight[s]);
  both_free(l->memory), both_free(l->saved), both_free(l->learned), both_free(l->d_learned);
}

static inline struct array array_normal(enum dtype dtype, int64_t count, double deviation) {
  struct array array = array_empty(dtype, count);
  for (int64_t i = 0; i < count; i += 2) {
    double pair[2];
    random_normal_pair(7, RANDOM_STREAM_MONTE_CARLO, (uint64_t)count, (uint64_t)i, pair);
    array.values[i] = deviation * pair[0];
    if (i + 1 < count) array.values[i + 1] = deviation * pair[1];
  }
  array_write(&array);
  return array;
}
