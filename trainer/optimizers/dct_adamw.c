// DCT-AdamW (arXiv 2505.17967): AdamW whose moments are those of each matrix's coefficients in a few directions of the
// discrete cosine transform, chosen anew every train.basis_steps steps; of the directions their numbers alone are kept.
// Everything else is AdamW's. With Q [rank, side] the directions:
//   a = g + e;  Q: the directions that hold most of a;  low = Q a;  e = a - Q^T low
//   moments of a direction that stays stay with it, those of a new one are 0
//   m, v and the direction: Adam's of low;  p as AdamW has it, along Q^T direction
// Two choices of one orthonormal basis overlap in a matrix of zeros and ones, so that the rotation of the moments which
// the paper has is a gather of their rows.
#include "trainer/optimizers/steps.h"

struct words {  // where the pieces of one matrix begin
  struct {
    int64_t chosen, m, v, error, end;
  } state;
  struct {
    int64_t basis, came_from, low, moved, full, end;
  } scratch;
};
static struct words words_of(const struct run_config *config, const struct low_rank *l) {
  struct words w = {0};
  int64_t low = l->rank * l->length, full = l->side * l->length;
  w.state.chosen = take_piece(&w.state.end, l->rank);
  w.state.m = take_piece(&w.state.end, low);
  w.state.v = take_piece(&w.state.end, low);
  w.state.error = take_piece(&w.state.end, low_rank_feeds_back(config) ? full : 0);
  w.scratch.basis = take_piece(&w.scratch.end, l->rank * l->side);
  w.scratch.came_from = take_piece(&w.scratch.end, l->rank);
  w.scratch.low = take_piece(&w.scratch.end, low);
  w.scratch.moved = take_piece(&w.scratch.end, low);
  w.scratch.full = take_piece(&w.scratch.end, low_rank_feeds_back(config) ? full : 0);
  return w;
}

static int64_t state_words(const struct run_config *config, int64_t rows, int64_t columns) {
  struct low_rank l = low_rank_of(config, rows, columns);
  return words_of(config, &l).state.end;
}
static int64_t scratch_words(const struct run_config *config, int64_t rows, int64_t columns) {
  struct low_rank l = low_rank_of(config, rows, columns);
  return words_of(config, &l).scratch.end;
}

static struct optimizer_state state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_REST, STATE_REST, STATE_MATRICES}};
}

static void carry(const struct optimizer_step *s, const struct low_rank *l, const int32_t *came_from, float *moment,
                  float *moved) {
  s->ops->gather(s->device, l->rank, l->length, false, came_from, moment, moved);
  s->ops->copy(s->device, moment, moved, (size_t)(l->rank * l->length) * sizeof *moment);
}

static void move_matrix(const struct optimizer_step *s, const struct optimizer_matrix *matrix) {
  const struct run_config *c = s->config;
  const struct ops *o = s->ops;
  struct low_rank l = low_rank_of(c, matrix->rows, matrix->columns);
  struct words w = words_of(c, &l);
  float *kept = matrix->state, *a = matrix->tensor.direction, *scratch = s->scratch;
  float *basis = scratch + w.scratch.basis, *low = scratch + w.scratch.low, *moved = scratch + w.scratch.moved;
  float *error = low_rank_feeds_back(c) ? kept + w.state.error : NULL;
  int32_t *chosen = (int32_t *)(kept + w.state.chosen), *came_from = (int32_t *)(scratch + w.scratch.came_from);
  bool anew = (s->step - 1) % c->train.basis_steps == 0;
  optimizer_clip(s, matrix, error);
  o->dct_basis(s->device, l.rows, l.columns, l.rank, low_rank_score(c), low_rank_path(c, &l), anew ? a : NULL, chosen,
               anew ? came_from : NULL, basis);
  if (anew) {
    carry(s, &l, came_from, kept + w.state.m, moved);
    carry(s, &l, came_from, kept + w.state.v, moved);
  }
  low_rank_project(s, &l, basis, a, low);
  if (error) {
    low_rank_expand(s, &l, basis, low, scratch + w.scratch.full);
    o->mix(s->device, l.rows * l.columns, error, 1, scratch + w.scratch.full, -1);
  }
  optimizer_adam_direction(s, l.rank * l.length, s->step, low, kept + w.state.m, kept + w.state.v, DTYPE_FLOAT32, 0,
                           moved);
  low_rank_expand(s, &l, basis, moved, a);
}

static void step(const struct optimizer_step *s) { optimizer_move_each(s, move_matrix); }

static bool irregular(const struct run_config *config) {
  return config->train.basis_steps > 1 || optimizer_transforms(config);
}

const struct optimizer optimizer_dct_adamw = {.name = "dct_adamw",
                                              .settings = {{"train.beta1", "0.9"},
                                                           {"train.beta2", "0.999"},
                                                           {"train.adam_eps", "1e-8"},
                                                           {"train.rank", "16"},
                                                           {"train.rank_score", "l1"},
                                                           {"train.dct", "product"},
                                                           {"train.basis_steps", "1"},
                                                           {"train.error_feedback", "off"},
                                                           {"train.rest_lr_ratio", "1"}},
                                              .by_matrix = true,
                                              .state = state,
                                              .step = step,
                                              .matrix_state = state_words,
                                              .matrix_scratch = scratch_words,
                                              .irregular = irregular};
