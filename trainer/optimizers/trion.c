// Trion (arXiv 2505.17967): each of the blocks' matrices moves by the part of its momentum that lies in a few
// directions of the discrete cosine transform, brought near an orthogonal matrix; what moved it leaves the momentum,
// the rest stays there. Everything else is AdamW's, as Muon has it. With Q [rank, side] the directions:
//   m <- m + g;  Q: the train.rank directions that hold most of m;  low = Q m;  m <- m - (1 - momentum) Q^T low
//   d = Q^T orthogonalize(low);  p as steps.h has it
#include "trainer/optimizers/steps.h"

static struct optimizer_state state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_REST, STATE_NONE}};
}

struct words {  // where the pieces of the scratch begin
  int64_t basis, chosen, low, full, end;
};
static struct words words_of(const struct low_rank *l) {
  struct words w = {0};
  w.basis = take_piece(&w.end, l->rank * l->side);
  w.chosen = take_piece(&w.end, l->rank);
  w.low = take_piece(&w.end, l->rank * l->length);
  w.full = take_piece(&w.end, l->side * l->length);
  return w;
}
static int64_t scratch_words(const struct run_config *config, int64_t rows, int64_t columns) {
  struct low_rank l = low_rank_of(config, rows, columns);
  return words_of(&l).end;
}

static void direct(const struct optimizer_step *s, const struct optimizer_matrix *matrix) {
  const struct run_config *c = s->config;
  struct low_rank l = low_rank_of(c, matrix->rows, matrix->columns);
  struct words w = words_of(&l);
  float *basis = s->scratch + w.basis, *low = s->scratch + w.low, *full = s->scratch + w.full;
  float *d = matrix->tensor.direction;
  s->ops->dct_basis(s->device, l.rows, l.columns, l.rank, low_rank_score(c), low_rank_path(c, &l), d,
                    (int32_t *)(s->scratch + w.chosen), NULL, basis);
  low_rank_project(s, &l, basis, d, low);
  low_rank_expand(s, &l, basis, low, full);
  // The momentum as a parameter that moves against what was taken from it.
  struct momentum taken = optimizer_momentum_numbers(s);
  taken.lr = 1 - c->train.momentum;
  taken.share1 = 1;
  taken.clip_norm = 0;
  struct optimizer_tensor moment = {.parameter = matrix->tensor.m,
                                    .gradient = full,
                                    .count = matrix->tensor.count,
                                    .first = matrix->tensor.first,
                                    .master = matrix->tensor.state};
  s->ops->momentum_step(s->device, &taken, &moment, 1, NULL);
  s->ops->orthogonalize(s->device, l.rank, l.length, (int)c->train.newton_schulz_steps, low);
  low_rank_expand(s, &l, basis, low, d);
}

static void step(const struct optimizer_step *s) {
  struct momentum sum = optimizer_momentum_numbers(s);
  sum.beta1 = sum.share1 = 1;
  optimizer_move_rest(s);
  optimizer_take_directions(s, sum);
  for (int i = 0; i < s->matrix_count; i++) direct(s, &s->matrices[i]);
  optimizer_move_matrices(s);
}

const struct optimizer optimizer_trion = {.name = "trion",
                                          .settings = {{"train.momentum", "0.95"},
                                                       {"train.rank", "16"},
                                                       {"train.rank_score", "l1"},
                                                       {"train.dct", "product"},
                                                       {"train.lr_scale", "match-rms-adamw"},
                                                       {"train.newton_schulz_steps", "5"},
                                                       {"train.rest_lr_ratio", "1"},
                                                       {"train.beta1", "0.9"},
                                                       {"train.beta2", "0.95"},
                                                       {"train.adam_eps", "1e-10"}},
                                          .by_matrix = true,
                                          .state = state,
                                          .step = step,
                                          .matrix_scratch = scratch_words,
                                          .irregular = optimizer_transforms};
