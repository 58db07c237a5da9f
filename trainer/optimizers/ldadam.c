// LDAdam (Robert et al. 2025, arXiv 2410.16103; algorithm as its authors' code has it): Adam whose moments are those of
// each matrix's coefficients in a few directions that follow the gradient at every step, with what they leave out of a
// gradient added to the next one. Everything else is AdamW's. With U [rank, side] the directions, t the steps done
// before, c1 = 1 - beta1^t:
//   a = g + e;  the first U: those of the largest singular values of a
//   B = rho U_old^T m / c1 + (1 - rho) a;  U = orthonormalize((U_old B) B^T), one step of a block power iteration
//   low = U a;  m', v' = rotate_moments(U U_old^T; m, v)  (kernels/ops.h)
//   e = a - U^T low + beta1 / (1 - beta1) (U_old^T m - U^T m')
//   m, v and the direction: Adam's of m', v' and low;  p as AdamW has it, along U^T direction
// so that U^T m + (1 - beta1) e = beta1 U_old^T m_old + (1 - beta1) (g + e_old): nothing is lost, only delayed.
#include <math.h>

#include "trainer/optimizers/steps.h"

struct words {  // where the pieces of one matrix begin
  struct {
    int64_t basis, m, v, error, end;
  } state;
  struct {
    int64_t full, basis, rotation, low, m, v, direction, end;
  } scratch;
};
static struct words words_of(const struct run_config *config, const struct low_rank *l) {
  struct words w = {0};
  int64_t basis = l->rank * l->side, low = l->rank * l->length, full = l->side * l->length;
  w.state.basis = take_piece(&w.state.end, basis);
  w.state.m = take_piece(&w.state.end, low);
  w.state.v = take_piece(&w.state.end, low);
  w.state.error = take_piece(&w.state.end, low_rank_feeds_back(config) ? full : 0);
  w.scratch.full = take_piece(&w.scratch.end, full);
  w.scratch.basis = take_piece(&w.scratch.end, basis);
  w.scratch.rotation = take_piece(&w.scratch.end, l->rank * l->rank);
  w.scratch.low = take_piece(&w.scratch.end, low);
  w.scratch.m = take_piece(&w.scratch.end, low);
  w.scratch.v = take_piece(&w.scratch.end, low);
  w.scratch.direction = take_piece(&w.scratch.end, low);
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

// The directions of the first step: the eigenvectors of a a^T, or a^T a.
static void first_directions(const struct optimizer_step *s, const struct low_rank *l, const float *a, float *gram,
                             float *basis) {
  s->ops->product(s->device, l->wide ? GEMM_NT : GEMM_TN, l->side, l->side, l->length, a, a, gram, false);
  s->ops->eigenvectors(s->device, l->side, gram, 0, 0);
  s->ops->copy(s->device, basis, gram, (size_t)(l->rank * l->side) * sizeof *basis);
}

// Directions after the first step; what the moments were by the old ones is added to the error on the way.
static void next_directions(const struct optimizer_step *s, const struct low_rank *l, const struct words *w,
                            const float *a, float *kept, float *scratch, double c1) {
  const struct run_config *c = s->config;
  const struct ops *o = s->ops;
  float *full = scratch + w->scratch.full, *low = scratch + w->scratch.low, *basis = scratch + w->scratch.basis;
  int64_t count = l->rows * l->columns;
  low_rank_expand(s, l, kept + w->state.basis, kept + w->state.m, full);
  if (low_rank_feeds_back(c))
    o->mix(s->device, count, kept + w->state.error, 1, full, (float)(c->train.beta1 / (1 - c->train.beta1)));
  o->mix(s->device, count, full, (float)(c->train.basis_memory / c1), a, (float)(1 - c->train.basis_memory));
  low_rank_project(s, l, kept + w->state.basis, full, low);
  o->product(s->device, l->wide ? GEMM_NT : GEMM_NN, l->rank, l->side, l->length, low, full, basis, false);
  o->orthonormalize(s->device, l->rank, l->side, basis, NULL, NULL);
}

static void carry_moments(const struct optimizer_step *s, const struct low_rank *l, const struct words *w, float *kept,
                          float *scratch, double c1, double c2) {
  const struct ops *o = s->ops;
  size_t bytes = (size_t)(l->rank * l->length) * sizeof *kept;
  float *rotation = scratch + w->scratch.rotation, *m = scratch + w->scratch.m, *v = scratch + w->scratch.v;
  o->product(s->device, GEMM_NT, l->rank, l->rank, l->side, scratch + w->scratch.basis, kept + w->state.basis, rotation,
             false);
  o->rotate_moments(s->device, l->rank, l->length, rotation, c1, c2, kept + w->state.m, kept + w->state.v, m, v);
  o->copy(s->device, kept + w->state.m, m, bytes);
  o->copy(s->device, kept + w->state.v, v, bytes);
}

static void move_matrix(const struct optimizer_step *s, const struct optimizer_matrix *matrix) {
  const struct run_config *c = s->config;
  const struct ops *o = s->ops;
  struct low_rank l = low_rank_of(c, matrix->rows, matrix->columns);
  struct words w = words_of(c, &l);
  float *kept = matrix->state, *scratch = s->scratch, *a = matrix->tensor.direction;
  float *full = scratch + w.scratch.full, *basis = scratch + w.scratch.basis, *low = scratch + w.scratch.low;
  float *error = low_rank_feeds_back(c) ? kept + w.state.error : NULL;
  int64_t count = l.rows * l.columns, kept_count = l.rank * l.length, before = s->step - 1;
  double c1 = 1 - pow(c->train.beta1, (double)before), c2 = 1 - pow(c->train.beta2, (double)before);
  optimizer_clip(s, matrix, error);
  if (before) {
    next_directions(s, &l, &w, a, kept, scratch, c1);
    carry_moments(s, &l, &w, kept, scratch, c1, c2);
  } else {
    first_directions(s, &l, a, full, basis);
  }
  low_rank_project(s, &l, basis, a, low);
  if (error) {
    float *both = scratch + w.scratch.m;
    o->copy(s->device, both, kept + w.state.m, (size_t)kept_count * sizeof *both);
    o->mix(s->device, kept_count, both, (float)(c->train.beta1 / (1 - c->train.beta1)), low, 1);
    low_rank_expand(s, &l, basis, both, full);
    o->mix(s->device, count, error, 1, full, -1);
  }
  float *direction = scratch + w.scratch.direction;
  optimizer_adam_direction(s, kept_count, s->step, low, kept + w.state.m, kept + w.state.v, DTYPE_FLOAT32, 0,
                           direction);
  low_rank_expand(s, &l, basis, direction, a);
  o->copy(s->device, kept + w.state.basis, basis, (size_t)(l.rank * l.side) * sizeof *basis);
}

static void step(const struct optimizer_step *s) { optimizer_move_each(s, move_matrix); }

const struct optimizer optimizer_ldadam = {.name = "ldadam",
                                           .settings = {{"train.beta1", "0.908"},
                                                        {"train.beta2", "0.99"},
                                                        {"train.adam_eps", "1e-8"},
                                                        {"train.rank", "16"},
                                                        {"train.error_feedback", "on"},
                                                        {"train.basis_memory", "0.908"},
                                                        {"train.rest_lr_ratio", "1"}},
                                           .by_matrix = true,
                                           .state = state,
                                           .step = step,
                                           .matrix_state = state_words,
                                           .matrix_scratch = scratch_words,
                                           .irregular = optimizer_always_irregular,
                                           .by_lapack = true};
