// What the steps of several optimizers share.
#pragma once
#include "trainer/optimizers/optimizer.h"

// AdamW's numbers by the run's fields, at a multiple of the step's learning rate.
struct adamw optimizer_adamw_numbers(const struct optimizer_step *step, double lr_ratio);
// What momentum has in common whoever uses it; the caller sets its betas.
struct momentum optimizer_momentum_numbers(const struct optimizer_step *step);

// ---- of optimizers that move each of the blocks' matrices as one (matrices.c) ----

// AdamW on everything else, at train.rest_lr_ratio times the learning rate.
void optimizer_move_rest(const struct optimizer_step *step);
// The moments of the blocks' matrices by the gradients, and the directions that follow, where the gradients were.
void optimizer_take_directions(const struct optimizer_step *step, struct momentum momentum);
// The clipped gradient of one matrix, where the gradient was. `kept`, when not NULL, is float32 of the matrix's size:
// it becomes that gradient plus what it was, and so does what is where the gradient was.
void optimizer_clip(const struct optimizer_step *step, const struct optimizer_matrix *matrix, float *kept);
// Adam's moments m, v [count] of a gradient that was clipped already, and in u the direction m^ / (sqrt(v^) + eps),
// with the betas of the run's fields; `steps` counts this one. `type` is that of m and v, first as optimizer_tensor has
// it.
void optimizer_adam_direction(const struct optimizer_step *step, int64_t count, int64_t steps, const float *gradient,
                              void *m, void *v, enum dtype type, int64_t first, float *u);
// Moves the matrices against what is where their gradients were:
//   p <- p - lr weight_decay p - lr s d,  s = 0.2 sqrt(max(rows, columns)) for match-rms-adamw (Liu et al. 2025), so
//   that steps are of AdamW's size, or sqrt(max(1, rows / columns)) for original; both as torch.optim.Muon has them.
//   1 of an optimizer that does not read train.lr_scale.
void optimizer_move_matrices(const struct optimizer_step *step);
// A whole step of an optimizer that puts one matrix's direction after the other where its gradient was.
void optimizer_move_each(const struct optimizer_step *step,
                         void (*direct)(const struct optimizer_step *step, const struct optimizer_matrix *matrix));
bool optimizer_always_irregular(const struct run_config *config);  // true: of those that work on the host at each step

// ---- of those that keep a few directions of a matrix (low_rank.c) ----

// A matrix by its smaller side, and how many directions of it are kept: the run's rank, at most all. What is kept of a
// matrix is [rank, length], whichever side is the smaller one.
struct low_rank {
  int64_t rows, columns, side, length, rank;
  bool wide;
};
// Whether what the directions leave out of a gradient is added to the next one (train.error_feedback).
bool low_rank_feeds_back(const struct run_config *config);
enum dct_score low_rank_score(const struct run_config *config);  // train.rank_score
// Which way train.dct goes for a matrix of this size.
enum dct_path low_rank_path(const struct run_config *config, const struct low_rank *l);
struct low_rank low_rank_of(const struct run_config *config, int64_t rows, int64_t columns);
// kept [rank, length] = the coefficients of x [rows, columns] in the directions, the rows of basis [rank, side].
void low_rank_project(const struct optimizer_step *step, const struct low_rank *l, const float *basis, const float *x,
                      float *kept);
// x = the matrix of these coefficients.
void low_rank_expand(const struct optimizer_step *step, const struct low_rank *l, const float *basis, const float *kept,
                     float *x);
// Takes a piece of a matrix's state or of the scratch: the word where it begins; *end moves behind it, to a multiple of
// 16 words.
static inline int64_t take_piece(int64_t *end, int64_t words) {
  int64_t at = *end;
  *end += (words + 15) / 16 * 16;
  return at;
}
