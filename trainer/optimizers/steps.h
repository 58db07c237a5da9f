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
// Moves the matrices against what stands where their gradients were:
//   p <- p - lr weight_decay p - lr s d,  s = 0.2 sqrt(max(rows, columns)) for match-rms-adamw (Liu et al. 2025), so
//   that steps are of AdamW's size, or sqrt(max(1, rows / columns)) for original; both as torch.optim.Muon has them.
void optimizer_move_matrices(const struct optimizer_step *step);
