// Shampoo (Gupta et al. 2018, arXiv 1802.09568) with means in place of sums and with momentum: each of the blocks'
// matrices moves by its momentum between the roots of the mean squares of its gradients; everything else is AdamW's.
//   L <- beta2 L + (1 - beta2) g g^T;  R <- beta2 R + (1 - beta2) g^T g;  m <- beta1 m + (1 - beta1) g
//   A = (L / (1 - beta2^t) + damping lambda I)^(-1/4), lambda its largest eigenvalue, B likewise of R: at the first
//   step and every train.basis_steps steps after it d = A m B / (1 - beta1^t);  p as steps.h has it
// Of one gradient alone d is the nearest orthogonal matrix, as Muon's is: it takes the same learning rates.
#include <math.h>

#include "trainer/optimizers/steps.h"

struct words {  // where the pieces of one matrix begin
  struct {
    int64_t left, right, left_root, right_root, end;
  } state;
  struct {
    int64_t square, full, end;
  } scratch;
};
static struct words words_of(int64_t rows, int64_t columns) {
  struct words w = {0};
  int64_t largest = rows > columns ? rows : columns;
  w.state.left = take_piece(&w.state.end, rows * rows);
  w.state.right = take_piece(&w.state.end, columns * columns);
  w.state.left_root = take_piece(&w.state.end, rows * rows);
  w.state.right_root = take_piece(&w.state.end, columns * columns);
  w.scratch.square = take_piece(&w.scratch.end, largest * largest);
  w.scratch.full = take_piece(&w.scratch.end, rows * columns);
  return w;
}
static int64_t state_words(const struct run_config *config, int64_t rows, int64_t columns) {
  return words_of(rows, columns).state.end;
}
static int64_t scratch_words(const struct run_config *config, int64_t rows, int64_t columns) {
  return words_of(rows, columns).scratch.end;
}

static struct optimizer_state state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_REST, STATE_MATRICES}};
}

// One side of a matrix: the mean of g g^T, or of g^T g, and its root where that is to be found anew. A root is W^T W
// with W the eigenvectors times their eigenvalues to -1/8.
static void side(const struct optimizer_step *s, int64_t n, int64_t length, enum gemm_form form, const float *g,
                 float *mean, float *root, float *square) {
  const struct run_config *c = s->config;
  const struct ops *o = s->ops;
  double correction = 1 - pow(c->train.beta2, (double)s->step);
  o->product(s->device, form, n, n, length, g, g, square, false);
  o->mix(s->device, n * n, mean, (float)c->train.beta2, square, (float)(1 - c->train.beta2));
  if (s->step > c->train.basis_steps && (s->step - 1) % c->train.basis_steps) return;
  o->mix(s->device, n * n, square, 0, mean, (float)(1 / correction));
  o->eigenvectors(s->device, n, square, -0.125, c->train.damping);
  o->product(s->device, GEMM_TN, n, n, n, square, square, root, false);
}

static void direct(const struct optimizer_step *s, const struct optimizer_matrix *matrix) {
  const struct run_config *c = s->config;
  const struct ops *o = s->ops;
  int64_t rows = matrix->rows, columns = matrix->columns, count = matrix->tensor.count;
  struct words w = words_of(rows, columns);
  float *kept = matrix->state, *d = matrix->tensor.direction, *square = s->scratch + w.scratch.square;
  float *full = s->scratch + w.scratch.full;
  optimizer_clip(s, matrix, NULL);
  side(s, rows, columns, GEMM_NT, d, kept + w.state.left, kept + w.state.left_root, square);
  side(s, columns, rows, GEMM_TN, d, kept + w.state.right, kept + w.state.right_root, square);
  struct momentum mean = optimizer_momentum_numbers(s);
  mean.beta1 = c->train.beta1;
  mean.share1 = 1 - c->train.beta1;
  mean.clip_norm = 0;
  struct optimizer_tensor one = matrix->tensor;
  one.parameter = NULL;
  one.gradient = d;
  o->momentum_step(s->device, &mean, &one, 1, NULL);
  o->product(s->device, GEMM_NN, rows, columns, rows, kept + w.state.left_root, d, full, false);
  o->product(s->device, GEMM_NN, rows, columns, columns, full, kept + w.state.right_root, d, false);
  o->mix(s->device, count, d, 0, d, (float)(1 / (1 - pow(c->train.beta1, (double)s->step))));
}

static void step(const struct optimizer_step *s) { optimizer_move_each(s, direct); }

const struct optimizer optimizer_shampoo = {.name = "shampoo",
                                            .settings = {{"train.beta1", "0.9"},
                                                         {"train.beta2", "0.95"},
                                                         {"train.adam_eps", "1e-8"},
                                                         {"train.basis_steps", "10"},
                                                         {"train.damping", "1e-6"},
                                                         {"train.lr_scale", "match-rms-adamw"},
                                                         {"train.rest_lr_ratio", "1"}},
                                            .by_matrix = true,
                                            .state = state,
                                            .step = step,
                                            .matrix_state = state_words,
                                            .matrix_scratch = scratch_words,
                                            .irregular = optimizer_always_irregular,
                                            .by_lapack = true};
