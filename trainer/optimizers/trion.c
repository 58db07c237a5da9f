// Trion (arXiv 2505.17967): each of the blocks' matrices moves by the part of its momentum that lies
// in a few directions of the discrete cosine transform, brought near an orthogonal matrix; what moved it leaves the
// momentum, the rest stays there. Everything else is AdamW's, as Muon has it.
//   m <- m + g;  d = project_dct(m) by train.rank;  m <- m - (1 - momentum) d;  d <- orthogonalize(d); p as steps.h has
//   it
// d is kept at the matrix's size: the iteration of orthogonalize leaves the directions that d does not have at 0, so
// that it gives the orthogonalized coefficients brought back, which the paper forms in the small space.
#include <string.h>

#include "trainer/optimizers/steps.h"

static struct optimizer_state state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_REST, STATE_NONE}};
}

static void step(const struct optimizer_step *s) {
  const struct run_config *c = s->config;
  enum dct_score score = strcmp(c->train.rank_score, "l2") == 0 ? DCT_SCORE_L2 : DCT_SCORE_L1;
  struct momentum sum = optimizer_momentum_numbers(s);
  sum.beta1 = sum.share1 = 1;
  optimizer_move_rest(s);
  optimizer_take_directions(s, sum);
  // The momentum as a parameter that moves against what was taken from it.
  struct momentum taken = optimizer_momentum_numbers(s);
  taken.lr = 1 - c->train.momentum;
  taken.share1 = 1;
  taken.clip_norm = 0;
  for (int i = 0; i < s->matrix_count; i++) {
    const struct optimizer_matrix *m = &s->matrices[i];
    float *d = m->tensor.direction;
    s->ops->project_dct(s->device, m->rows, m->columns, c->train.rank, score, d);
    struct optimizer_tensor moment = {.parameter = m->tensor.m,
                                      .gradient = d,
                                      .count = m->tensor.count,
                                      .first = m->tensor.first,
                                      .master = m->tensor.state};
    s->ops->momentum_step(s->device, &taken, &moment, 1, NULL);
    s->ops->orthogonalize(s->device, m->rows, m->columns, (int)c->train.newton_schulz_steps, d);
  }
  optimizer_move_matrices(s);
}

const struct optimizer optimizer_trion = {.name = "trion",
                                          .settings = {{"train.momentum", "0.95"},
                                                       {"train.rank", "16"},
                                                       {"train.rank_score", "l1"},
                                                       {"train.lr_scale", "match-rms-adamw"},
                                                       {"train.newton_schulz_steps", "5"},
                                                       {"train.rest_lr_ratio", "1"},
                                                       {"train.beta1", "0.9"},
                                                       {"train.beta2", "0.95"},
                                                       {"train.adam_eps", "1e-10"}},
                                          .by_matrix = true,
                                          .state = state,
                                          .step = step};
