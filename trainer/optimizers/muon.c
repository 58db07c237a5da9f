// Muon (Jordan et al. 2024) and NorMuon (Li et al. 2025): each of the blocks' matrices moves by its momentum brought
// near an orthogonal matrix, NorMuon's with rows of one size besides; everything else (embedding, norms, learned
// scales, head) is AdamW's. A matrix is one of the parameters' table: query, key and value apart, gate and up apart.
//   m <- momentum m + (1 - momentum) g;  d = m, or momentum m + (1 - momentum) g with Nesterov's form
//   d <- orthogonalize(d), and for NorMuon normalize_rows(d)  (kernels/ops.h); p as steps.h has it
#include <string.h>

#include "trainer/optimizers/steps.h"

static struct optimizer_state muon_state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_REST, STATE_NONE}};
}

static struct optimizer_state normuon_state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_REST, STATE_MATRICES}};
}

static int64_t rows_of(const struct run_config *config, int64_t rows, int64_t columns) { return rows; }

static void step(const struct optimizer_step *s) {
  const struct run_config *c = s->config;
  struct momentum momentum = optimizer_momentum_numbers(s);
  momentum.beta1 = c->train.momentum;
  momentum.share1 = 1 - c->train.momentum;
  momentum.nesterov = strcmp(c->train.momentum_form, "nesterov") == 0;
  optimizer_move_rest(s);
  optimizer_take_directions(s, momentum);
  for (int i = 0; i < s->matrix_count; i++) {
    const struct optimizer_matrix *m = &s->matrices[i];
    s->ops->orthogonalize(s->device, m->rows, m->columns, (int)c->train.newton_schulz_steps, m->tensor.direction);
    if (m->state)
      s->ops->normalize_rows(s->device, m->rows, m->columns, c->train.row_beta2, m->state, m->tensor.direction);
  }
  optimizer_move_matrices(s);
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
                                            .step = step,
                                            .matrix_state = rows_of};
