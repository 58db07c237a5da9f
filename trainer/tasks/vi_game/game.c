// Games. See vi_game.h.
#include <math.h>
#include <string.h>

#include "trainer/tasks/vi_game/vi_game.h"

enum { STREAM_GAME = 39 };

static double normal(uint64_t seed, uint64_t what, uint64_t index) {
  double pair[2];
  random_normal_pair(seed, STREAM_GAME, what, index / 2, pair);
  return pair[index % 2];
}

// Rotates `matrix` from one side by two Householder reflections of random vectors.
static void reflect(double *matrix, int64_t n, bool rows, uint64_t seed, uint64_t what, double *v) {
  for (int pass = 0; pass < 2; pass++) {
    double square = 0;
    for (int64_t i = 0; i < n; i++) {
      v[i] = normal(seed, what, (uint64_t)(pass * n + i));
      square += v[i] * v[i];
    }
    for (int64_t j = 0; j < n; j++) {
      double dot = 0;
      for (int64_t i = 0; i < n; i++) dot += v[i] * matrix[rows ? i * n + j : j * n + i];
      for (int64_t i = 0; i < n; i++) matrix[rows ? i * n + j : j * n + i] -= 2 * dot / square * v[i];
    }
  }
}

struct game game_make(const struct vi_game *s, uint64_t seed, struct arena *arena) {
  size_t n = (size_t)s->dimension;
  struct game g = {.n = s->dimension, .mu = strcmp(s->game, "bilinear") == 0 ? 0 : s->monotone};
  double *work = arena_array(arena, n, sizeof *work);
  g.matrix = arena_array(arena, n * n, sizeof *g.matrix);
  g.b = arena_array(arena, n, sizeof *g.b);
  g.c = arena_array(arena, n, sizeof *g.c);
  for (size_t i = 0; i < n; i++) {
    g.matrix[i * n + i] = n > 1 ? 0.5 + 0.5 * (double)i / (double)(n - 1) : 1;
    g.b[i] = normal(seed, 0, i);
    double uneven = normal(seed, 1, i);
    g.c[i] = uneven * uneven * uneven;  // a heavy tail
  }
  reflect(g.matrix, g.n, true, seed, 2, work);
  reflect(g.matrix, g.n, false, seed, 3, work);
  return g;
}

void game_operator(const struct game *g, const double *z, double *v) {
  int64_t n = g->n;
  const double *x = z, *y = z + n;
  for (int64_t i = 0; i < n; i++) {
    double row = g->b[i] + g->mu * x[i], column = -g->c[i] + g->mu * y[i];
    for (int64_t j = 0; j < n; j++) {
      row += g->matrix[i * n + j] * y[j];
      column -= g->matrix[j * n + i] * x[j];
    }
    v[i] = row;
    v[n + i] = column;
  }
}
