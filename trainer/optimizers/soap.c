// SOAP (Vyas et al. 2025, arXiv 2409.11321; algorithm 3, as its authors' code has it): Adam in the eigenvectors of
// Shampoo's matrices, of each of the blocks' matrices; everything else is AdamW's. With QL, QR the eigenvectors as
// rows:
//   the first step moves nothing: L = (1 - beta2) g g^T, R = (1 - beta2) g^T g, QL and QR their eigenvectors
//   after it g' = QL g QR^T;  m, v and the direction: Adam's of g', counted from the second step on
//   p as AdamW has it, along QL^T direction QR
//   L <- beta2 L + (1 - beta2) g g^T, R likewise; every train.basis_steps steps QL <- orthonormalize(QL L), of rows by
//   decreasing qL L qL^T, and QR likewise, with m turned into the new directions and v put into their order
// m is kept in the eigenvectors' directions, which is the paper's, kept in the matrix's, turned.
#include "trainer/optimizers/steps.h"

struct words {  // where the pieces of one matrix begin
  struct {
    int64_t left, right, left_basis, right_basis, end;
  } state;
  struct {
    int64_t square, order, full, turned, end;
  } scratch;
};
static struct words words_of(int64_t rows, int64_t columns) {
  struct words w = {0};
  int64_t largest = rows > columns ? rows : columns;
  w.state.left = take_piece(&w.state.end, rows * rows);
  w.state.right = take_piece(&w.state.end, columns * columns);
  w.state.left_basis = take_piece(&w.state.end, rows * rows);
  w.state.right_basis = take_piece(&w.state.end, columns * columns);
  w.scratch.square = take_piece(&w.scratch.end, largest * largest);
  w.scratch.order = take_piece(&w.scratch.end, largest);
  w.scratch.full = take_piece(&w.scratch.end, rows * columns);
  w.scratch.turned = take_piece(&w.scratch.end, rows * columns);
  return w;
}
static int64_t state_words(const struct run_config *config, int64_t rows, int64_t columns) {
  return words_of(rows, columns).state.end;
}
static int64_t scratch_words(const struct run_config *config, int64_t rows, int64_t columns) {
  return words_of(rows, columns).scratch.end;
}

static struct optimizer_state state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_ALL, STATE_MATRICES}};
}

struct work {  // of one matrix
  const struct optimizer_step *s;
  const struct optimizer_matrix *matrix;
  int64_t rows, columns, count;
  float *left, *right, *left_basis, *right_basis, *square, *full, *turned;
  int32_t *order;
};

// x = QL x QR^T, or back with `back`: QL^T x QR.
static void turn(const struct work *w, bool back, float *x) {
  const struct ops *o = w->s->ops;
  o->product(w->s->device, back ? GEMM_TN : GEMM_NN, w->rows, w->columns, w->rows, w->left_basis, x, w->turned, false);
  o->product(w->s->device, back ? GEMM_NN : GEMM_NT, w->rows, w->columns, w->columns, w->turned, w->right_basis, x,
             false);
}

// L and R by the gradient.
static void mean_of_squares(const struct work *w, const float *g) {
  const struct ops *o = w->s->ops;
  float keep = (float)w->s->config->train.beta2, share = (float)(1 - w->s->config->train.beta2);
  o->product(w->s->device, GEMM_NT, w->rows, w->rows, w->columns, g, g, w->square, false);
  o->mix(w->s->device, w->rows * w->rows, w->left, keep, w->square, share);
  o->product(w->s->device, GEMM_TN, w->columns, w->columns, w->rows, g, g, w->square, false);
  o->mix(w->s->device, w->columns * w->columns, w->right, keep, w->square, share);
}

static void first_basis(const struct work *w, int64_t n, const float *mean, float *basis) {
  w->s->ops->copy(w->s->device, basis, mean, (size_t)(n * n) * sizeof *basis);
  w->s->ops->eigenvectors(w->s->device, n, basis, 0, 0);
}

// One step of a power iteration; the second moments follow the order of the directions.
static void next_basis(const struct work *w, int64_t n, const float *mean, float *basis, bool by_column) {
  const struct ops *o = w->s->ops;
  const struct optimizer_tensor *t = &w->matrix->tensor;
  o->product(w->s->device, GEMM_NN, n, n, n, basis, mean, w->square, false);
  o->orthonormalize(w->s->device, n, n, w->square, basis, w->order);
  o->copy(w->s->device, basis, w->square, (size_t)(n * n) * sizeof *basis);
  o->convert(w->s->device, w->count, t->state, t->v, DTYPE_FLOAT32, w->turned);
  o->gather(w->s->device, w->rows, w->columns, by_column, w->order, w->turned, w->full);
  o->convert(w->s->device, w->count, DTYPE_FLOAT32, w->full, t->state, t->v);
}

static void refresh(const struct work *w) {
  const struct ops *o = w->s->ops;
  const struct optimizer_tensor *t = &w->matrix->tensor;
  // The direction has moved the matrix already: the mean may lie where it was.
  float *mean = t->direction;
  o->convert(w->s->device, w->count, t->state, t->m, DTYPE_FLOAT32, mean);
  turn(w, true, mean);
  next_basis(w, w->rows, w->left, w->left_basis, false);
  next_basis(w, w->columns, w->right, w->right_basis, true);
  turn(w, false, mean);
  o->convert(w->s->device, w->count, DTYPE_FLOAT32, mean, t->state, t->m);
}

static struct work work_of(const struct optimizer_step *s, const struct optimizer_matrix *matrix) {
  struct words w = words_of(matrix->rows, matrix->columns);
  return (struct work){.s = s,
                       .matrix = matrix,
                       .rows = matrix->rows,
                       .columns = matrix->columns,
                       .count = matrix->tensor.count,
                       .left = matrix->state + w.state.left,
                       .right = matrix->state + w.state.right,
                       .left_basis = matrix->state + w.state.left_basis,
                       .right_basis = matrix->state + w.state.right_basis,
                       .square = s->scratch + w.scratch.square,
                       .full = s->scratch + w.scratch.full,
                       .turned = s->scratch + w.scratch.turned,
                       .order = (int32_t *)(s->scratch + w.scratch.order)};
}

// Puts the direction where the gradient was, but for the first step, which has none.
static void direct(const struct work *w) {
  const struct optimizer_tensor *t = &w->matrix->tensor;
  float *g = t->direction;
  optimizer_clip(w->s, w->matrix, NULL);
  mean_of_squares(w, g);
  if (w->s->step == 1) {
    first_basis(w, w->rows, w->left, w->left_basis);
    first_basis(w, w->columns, w->right, w->right_basis);
    return;
  }
  turn(w, false, g);
  optimizer_adam_direction(w->s, w->count, w->s->step - 1, g, t->m, t->v, t->state, t->first, w->full);
  turn(w, true, w->full);
  w->s->ops->copy(w->s->device, g, w->full, (size_t)w->count * sizeof *g);
}

static void step(const struct optimizer_step *s) {
  optimizer_move_rest(s);
  for (int i = 0; i < s->matrix_count; i++) {
    struct work w = work_of(s, &s->matrices[i]);
    direct(&w);
  }
  if (s->step == 1) return;
  optimizer_move_matrices(s);
  for (int i = 0; i < s->matrix_count && (s->step - 1) % s->config->train.basis_steps == 0; i++) {
    struct work w = work_of(s, &s->matrices[i]);
    refresh(&w);
  }
}

const struct optimizer optimizer_soap = {.name = "soap",
                                         .settings = {{"train.beta1", "0.95"},
                                                      {"train.beta2", "0.95"},
                                                      {"train.adam_eps", "1e-8"},
                                                      {"train.basis_steps", "10"},
                                                      {"train.rest_lr_ratio", "1"}},
                                         .by_matrix = true,
                                         .state = state,
                                         .step = step,
                                         .matrix_state = state_words,
                                         .matrix_scratch = scratch_words,
                                         .irregular = optimizer_always_irregular,
                                         .by_lapack = true};
