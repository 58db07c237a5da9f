// Task `vi_game`: a game of two players as a variational inequality, solved by workers that exchange noisy, quantized
// vectors (QODA, arXiv 2505.14371).
#pragma once
#include "kernels/formats/fitted_levels.h"

struct vi_game {
  const char *game, *noise_kind, *method, *levels;
  int64_t dimension, steps, workers, level_count;
  double noise, rate, monotone;
};

// ---- game.c ----

// V(z) = (A y + b + mu x, -A^T x - c + mu y) of z = (x, y), both of `n` elements: the gradients of min over x, max over
// y of x A y + b x + c y + mu (x^2 - y^2) / 2. Singular values of A lie between 1/2 and 1; the rows of y are scaled
// unevenly, so that the two halves have other distributions.
struct game {
  int64_t n;
  double mu;
  double *matrix, *b, *c;  // A [n, n], b [n], c [n]
};
struct game game_make(const struct vi_game *settings, uint64_t seed, struct arena *arena);
void game_operator(const struct game *game, const double *z, double *v);  // both [2 n]
