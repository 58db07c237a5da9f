// Muon (Jordan et al. 2024) and NorMuon (Li et al. 2025): each of the blocks' matrices moves by its momentum brought
// near an orthogonal matrix, NorMuon's with rows of one size besides; everything else (embedding, norms, learned
// scales, head) is AdamW's. A matrix is one of the parameters' table: query, key and value apart, gate and up apart.
//   m <- momentum m + (1 - momentum) g;  d = m, or momentum m + (1 - momentum) g with Nesterov's form
//   d <- orthogonalize(d), and for NorMuon normalize_rows(d)  (kernels/ops.h)
//   p <- p - lr weight_decay p - lr s d,  s = 0.2 sqrt(max(rows, columns)) for match-rms-adamw (Liu et al. 2025), so
//   that steps are of AdamW's size, or sqrt(max(1, rows / columns)) for original; both as torch.optim.Muon has them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/optimizers/steps.h"

static struct optimizer_state muon_state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_REST, STATE_NONE}};
}

static struct optimizer_state normuon_state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_REST, STATE_ROWS}};
}

// What the learning rate of a matrix is multiplied by.
static double lr_scale(const struct run_config *config, int64_t rows, int64_t columns) {
  double tall = (double)rows / (double)columns, largest = (double)(rows > columns ? rows : columns);
  return strcmp(config->train.lr_scale, "original") == 0 ? sqrt(fmax(1, tall)) : 0.2 * sqrt(largest);
}

// The directions of all matrices, where their gradients were.
static void take_directions(const struct optimizer_step *s) {
  const struct run_config *c = s->config;
  struct momentum momentum = optimizer_momentum_numbers(s);
  momentum.beta1 = c->train.momentum;
  momentum.share1 = 1 - c->train.momentum;
  momentum.nesterov = strcmp(c->train.momentum_form, "nesterov") == 0;
  struct optimizer_tensor all = s->ranges[s->blocks_range];
  all.parameter = NULL;
  s->ops->momentum_step(s->device, &momentum, &all, 1, s->square_sum);
}

static void move_matrices(const struct optimizer_step *s) {
  const struct run_config *c = s->config;
  struct optimizer_tensor *moved = memory_get((size_t)(s->matrix_count > 0 ? s->matrix_count : 1) * sizeof *moved);
  for (int i = 0; i < s->matrix_count; i++) {
    const struct optimizer_matrix *matrix = &s->matrices[i];
    float *direction = matrix->tensor.direction;
    s->ops->orthogonalize(s->device, matrix->rows, matrix->columns, (int)c->train.newton_schulz_steps, direction);
    if (matrix->row_state)
      s->ops->normalize_rows(s->device, matrix->rows, matrix->columns, c->train.row_beta2, matrix->row_state,
                             direction);
    moved[i] = matrix->tensor;
    moved[i].gradient = direction;
    moved[i].m = NULL;
    moved[i].lr_scale = lr_scale(c, matrix->rows, matrix->columns);
  }
  struct momentum plain = optimizer_momentum_numbers(s);
  plain.share1 = 1;
  plain.clip_norm = 0;  // the gradients were clipped
  s->ops->momentum_step(s->device, &plain, moved, s->matrix_count, NULL);
  free(moved);
}

static void move_rest(const struct optimizer_step *s) {
  struct adamw adamw = optimizer_adamw_numbers(s, s->config->train.rest_lr_ratio);
  for (int i = 0; i < s->range_count; i++)
    if (i != s->blocks_range) s->ops->adamw_step(s->device, &adamw, &s->ranges[i], 1, s->square_sum);
}

static void step(const struct optimizer_step *s) {
  move_rest(s);
  take_directions(s);
  move_matrices(s);
}

#define MUON_SETTINGS                                                                                     \
  {"train.momentum", "0.95"}, {"train.momentum_form", "nesterov"}, {"train.lr_scale", "match-rms-adamw"}, \
      {"train.newton_schulz_steps", "5"}, {"train.rest_lr_ratio", "1"}, {"train.beta1", "0.9"},           \
      {"train.beta2", "0.95"}, {                                                                          \
    "train.adam_eps", "1e-8"                                                                              \
  }

const struct optimizer optimizer_muon = {
    .name = "muon", .settings = {MUON_SETTINGS}, .by_matrix = true, .state = muon_state, .step = step};

const struct optimizer optimizer_normuon = {.name = "normuon",
                                            .settings = {MUON_SETTINGS, {"train.row_beta2", "0.95"}},
                                            .by_matrix = true,
                                            .state = normuon_state,
                                            .step = step};
