// What optimizers share that move each of the blocks' matrices as one. See steps.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/optimizers/steps.h"

void optimizer_move_rest(const struct optimizer_step *s) {
  struct adamw adamw = optimizer_adamw_numbers(s, s->config->train.rest_lr_ratio);
  for (int i = 0; i < s->range_count; i++)
    if (i != s->blocks_range) s->ops->adamw_step(s->device, &adamw, &s->ranges[i], 1, s->square_sum);
}

void optimizer_take_directions(const struct optimizer_step *s, struct momentum momentum) {
  struct optimizer_tensor all = s->ranges[s->blocks_range];
  all.parameter = NULL;
  s->ops->momentum_step(s->device, &momentum, &all, 1, s->square_sum);
}

void optimizer_clip(const struct optimizer_step *s, const struct optimizer_matrix *matrix, float *kept) {
  struct momentum momentum = optimizer_momentum_numbers(s);
  momentum.beta1 = kept ? 1 : 0;
  momentum.share1 = 1;
  struct optimizer_tensor one = matrix->tensor;
  one.parameter = NULL;
  one.m = kept;
  one.state = DTYPE_FLOAT32;
  s->ops->momentum_step(s->device, &momentum, &one, 1, s->square_sum);
}

void optimizer_adam_direction(const struct optimizer_step *s, int64_t count, int64_t steps, const float *gradient,
                              void *m, void *v, enum dtype type, int64_t first, float *u) {
  struct adamw adamw = optimizer_adamw_numbers(s, 1);
  adamw.lr = -1;  // of a parameter that is 0, so that it becomes the direction
  adamw.weight_decay = 0;
  adamw.clip_norm = 0;
  adamw.step = steps;
  struct optimizer_tensor tensor = {
      .parameter = u, .gradient = gradient, .m = m, .v = v, .count = count, .state = type, .first = first};
  s->ops->clear(s->device, u, (size_t)count * sizeof *u);
  s->ops->adamw_step(s->device, &adamw, &tensor, 1, NULL);
}

// What the learning rate of a matrix is multiplied by.
static double lr_scale(const struct run_config *config, int64_t rows, int64_t columns) {
  if (strcmp(config->train.lr_scale, "auto") == 0) return 1;
  double tall = (double)rows / (double)columns, largest = (double)(rows > columns ? rows : columns);
  return strcmp(config->train.lr_scale, "original") == 0 ? sqrt(fmax(1, tall)) : 0.2 * sqrt(largest);
}

void optimizer_move_matrices(const struct optimizer_step *s) {
  struct optimizer_tensor *moved = memory_get((size_t)(s->matrix_count > 0 ? s->matrix_count : 1) * sizeof *moved);
  for (int i = 0; i < s->matrix_count; i++) {
    moved[i] = s->matrices[i].tensor;
    moved[i].gradient = moved[i].direction;
    moved[i].m = NULL;
    moved[i].lr_scale = lr_scale(s->config, s->matrices[i].rows, s->matrices[i].columns);
  }
  struct momentum plain = optimizer_momentum_numbers(s);
  plain.share1 = 1;
  plain.clip_norm = 0;  // the gradients were clipped
  s->ops->momentum_step(s->device, &plain, moved, s->matrix_count, NULL);
  free(moved);
}

void optimizer_move_each(const struct optimizer_step *s,
                         void (*direct)(const struct optimizer_step *, const struct optimizer_matrix *)) {
  optimizer_move_rest(s);
  for (int i = 0; i < s->matrix_count; i++) direct(s, &s->matrices[i]);
  optimizer_move_matrices(s);
}

bool optimizer_always_irregular(const struct run_config *config) { return true; }
