// A linear layer through the ops table, as tests of formats use it: three stacked matrices, random data.
#pragma once
#include <stdlib.h>

#include "kernels/formats/apply.h"
#include "kernels/formats/grid.h"
#include "kernels/kernels.h"
#include "tests/check.h"

enum { ROWS = 64, INPUTS = 96, OUTPUTS = 160, PARTS = 3 };
static const int64_t part_outputs[PARTS] = {64, 64, 32};

struct layer {
  const struct ops *ops;
  struct device *device;
  struct arena arena;
  struct weight_description description;
  struct weight *weight;
  void *memory, *workspace, *saved;
  float *master, *x, *y, *d_y, *d_x, *d_weight;
};

static float *random_floats(int64_t count, uint64_t seed, double deviation) {
  float *values = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
  for (int64_t i = 0; i < count; i += 2) {
    double pair[2];
    random_normal_pair(seed, RANDOM_STREAM_MONTE_CARLO, 0, (uint64_t)i, pair);
    values[i] = (float)(pair[0] * deviation);
    if (i + 1 < count) values[i + 1] = (float)(pair[1] * deviation);
  }
  return values;
}

static float *layer_learned, *layer_d_learned;  // for formats with learned scales

// A layer with a format, prepared for step `step`; "none" is the plain one. Exits when it cannot be made.
static struct layer layer_make(const char *format, enum isa_level isa, int threads, int64_t step) {
  struct error error = {0};
  struct layer l = {.ops = ops_find("cpu", &error)};
  struct device_options options = {.threads = threads, .isa = isa_name(isa), .gemm = "onednn"};
  l.device = l.ops->open(&options, &error);
  l.description = (struct weight_description){
      .outputs = OUTPUTS, .inputs = INPUTS, .parts = PARTS, .seed = 3, .number = 5, .steps = 100};
  memcpy(l.description.part_outputs, part_outputs, sizeof part_outputs);
  l.description.format = format_parse(format, &l.arena, &error);
  struct op_shape shape = {.rows = ROWS, .weight = &l.description, .training = true};
  if (l.description.format && l.device && l.ops->shape_supported(l.device, OP_LINEAR, &shape, &error)) {
    size_t bytes = l.ops->workspace_bytes(l.device, OP_LINEAR, &shape);
    l.workspace = l.ops->allocate(l.device, bytes, &error);
    l.ops->set_workspace(l.device, l.workspace, bytes);
    l.memory = l.ops->allocate(l.device, l.ops->weight_bytes(l.device, &l.description), &error);
    l.saved = l.ops->allocate(l.device, l.ops->linear_saved_bytes(l.device, &l.description, ROWS), &error);
    l.weight = l.ops->weight_create(l.device, &l.description, l.memory, &error);
  }
  if (!l.weight) {
    printf("# %s: %s\nBail out!\n", format, error.text);
    exit(1);
  }
  l.master = random_floats(OUTPUTS * INPUTS, 1, 0.05);
  l.x = random_floats(ROWS * INPUTS, 2, 1);
  l.d_y = random_floats(ROWS * OUTPUTS, 3, 0.1);
  l.y = random_floats(ROWS * OUTPUTS, 4, 1);
  l.d_x = random_floats(ROWS * INPUTS, 5, 1);
  l.d_weight = random_floats(OUTPUTS * INPUTS, 6, 1);
  if (layer_learned) l.ops->weight_learned(l.device, l.weight, layer_learned, layer_d_learned);
  l.ops->weight_prepare(l.device, l.weight, l.master, step);
  return l;
}

static void layer_run(struct layer *l, int64_t first_row) {
  struct linear linear = {.weight = l->weight, .rows = ROWS, .first_row = first_row};
  l->ops->linear_forward(l->device, &linear, l->x, l->saved, l->y);
  l->ops->linear_input_gradient(l->device, &linear, l->saved, l->d_y, l->d_x);
  l->ops->linear_weight_gradient(l->device, &linear, l->x, l->saved, l->d_y, l->d_weight, false);
  l->ops->weight_gradient_finish(l->device, l->weight, l->d_weight);
  struct error error = {0};
  if (!CHECK(l->ops->synchronize(l->device, &error))) printf("# %s\n", error.text);
}

static void layer_free(struct layer *l) {
  l->ops->weight_free(l->device, l->weight);
  l->ops->free(l->device, l->memory);
  l->ops->free(l->device, l->saved);
  l->ops->free(l->device, l->workspace);
  l->ops->close(l->device);
  free(l->master);
  free(l->x);
  free(l->y);
  free(l->d_y);
  free(l->d_x);
  free(l->d_weight);
  arena_free(&l->arena);
}

// Root mean square of the difference over that of `b`.
static double distance(const float *a, const float *b, int64_t count) {
  double difference = 0, square = 0;
  for (int64_t i = 0; i < count; i++) {
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    square += (double)b[i] * (double)b[i];
  }
  return sqrt(difference / square);
}
