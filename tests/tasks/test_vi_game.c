// Task vi_game and its quantizer: rounding without bias, levels that fitting never makes worse, games whose operator is
// what it is said to be.
#include <stdlib.h>

#include "tests/check.h"
#include "trainer/tasks/task.h"
#include "trainer/tasks/vi_game/vi_game.h"

static void normals(double *x, size_t count, uint64_t seed, double power) {
  double pair[2];
  for (size_t i = 0; i < count; i++) {
    random_normal_pair(seed, RANDOM_STREAM_NOISE, 3, i, pair);
    x[i] = copysign(pow(fabs(pair[0]), power), pair[0]);
  }
}

static void rounding_has_no_bias(void) {
  enum { SIZE = 16, DRAWS = 20000 };
  const struct levels all[] = {levels_uniform(1), levels_uniform(7), levels_exponential(7)};
  double x[SIZE], out[SIZE];
  normals(x, SIZE, 1, 2);
  x[3] = 0;
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    double sums[SIZE] = {0}, squares[SIZE] = {0}, predicted = 0, measured = 0, norm = 0, u[SIZE];
    for (int i = 0; i < SIZE; i++) norm += x[i] * x[i];
    norm = sqrt(norm);
    for (int i = 0; i < SIZE; i++) u[i] = fabs(x[i]) / norm;
    predicted = norm * norm * levels_variance(&all[k], u, SIZE);
    for (uint64_t d = 0; d < DRAWS; d++) {
      levels_round(&all[k], x, SIZE, 5, 90, d, 0, out);
      for (int i = 0; i < SIZE; i++) {
        sums[i] += out[i] - x[i];
        squares[i] += (out[i] - x[i]) * (out[i] - x[i]);
      }
    }
    for (int i = 0; i < SIZE; i++) {
      double mean = sums[i] / DRAWS, error = sqrt((squares[i] / DRAWS - mean * mean) / DRAWS);
      CHECK(fabs(mean) <= 4 * error + 1e-12);
      measured += squares[i] / DRAWS;
    }
    CHECK_NEAR(measured / predicted, 1, 0.03);
    CHECK(sums[3] == 0);
  }
}

static void what_lies_on_levels_stays(void) {
  const struct levels l = levels_exponential(3);
  double x[] = {0, 0, 3, 0}, out[4], zeros[4] = {0};
  levels_round(&l, x, 4, 1, 90, 0, 0, out);
  CHECK(out[2] == 3 && out[0] == 0);
  levels_round(&l, zeros, 4, 1, 90, 0, 0, out);
  CHECK(out[0] == 0 && out[3] == 0);
  CHECK(levels_bytes(&l, 8) == 4 + 3 && levels_bytes(&(struct levels){.count = 7}, 32) == 4 + 16);
}

static void fitting_never_makes_worse(void) {
  enum { SIZE = 400 };
  double x[SIZE], u[SIZE];
  for (uint64_t seed = 0; seed < 30; seed++) {
    double norm = 0;
    int count = 1 + (int)(seed % 9);
    normals(x, SIZE, seed, 1 + (double)(seed % 3));
    for (int i = 0; i < SIZE; i++) norm += x[i] * x[i];
    for (int i = 0; i < SIZE; i++) u[i] = fmin(fabs(x[i]) / sqrt(norm), 1);
    struct levels even = levels_uniform(count), powers = levels_exponential(count),
                  fitted = levels_fit(&powers, u, SIZE);
    double least = levels_variance(&fitted, u, SIZE);
    CHECK(least <= levels_variance(&powers, u, SIZE) && least <= levels_variance(&even, u, SIZE));
    CHECK(fitted.count == count && fitted.values[0] == 0 && fitted.values[count] == 1);
    for (int k = 0; k < count; k++) CHECK(fitted.values[k] < fitted.values[k + 1]);
    for (int k = 1; k < count; k++)  // no level does better a little to either side
      for (int side = -1; side <= 1; side += 2) {
        struct levels moved = fitted;
        moved.values[k] += 1e-4 * side * (fitted.values[k + (side > 0)] - fitted.values[k - (side < 0)]);
        CHECK(levels_variance(&moved, u, SIZE) >= least * (1 - 1e-9));
      }
  }
}

// Two layers of other distributions: levels of their own have less variance than common ones, which have less than
// powers.
static void layers_gain_by_levels_of_their_own(void) {
  enum { SIZE = 512 };
  double x[SIZE], u[2 * SIZE], both[2 * SIZE], own = 0;
  struct levels powers = levels_exponential(7);
  for (int layer = 0; layer < 2; layer++) {
    double norm = 0;
    normals(x, SIZE, 40 + (uint64_t)layer, layer ? 4 : 0.5);
    for (int i = 0; i < SIZE; i++) norm += x[i] * x[i];
    for (int i = 0; i < SIZE; i++) u[layer * SIZE + i] = both[layer * SIZE + i] = fmin(fabs(x[i]) / sqrt(norm), 1);
  }
  struct levels common = levels_fit(&powers, both, 2 * SIZE);
  for (int layer = 0; layer < 2; layer++) {
    struct levels fitted = levels_fit(&powers, u + layer * SIZE, SIZE);
    own += levels_variance(&fitted, u + layer * SIZE, SIZE);
  }
  CHECK(own < 0.8 * levels_variance(&common, u, 2 * SIZE));
  CHECK(levels_variance(&common, u, 2 * SIZE) < 0.8 * levels_variance(&powers, u, 2 * SIZE));
}

// One level between 0 and 1, two magnitudes: at v <= l <= w the variance is v (l - v) + (w - l) (1 - w).
static void a_level_by_hand(void) {
  double u[] = {0.2, 0.2, 0.2, 0.9};
  struct levels start = levels_uniform(2), fitted = levels_fit(&start, u, 4);
  CHECK_NEAR(fitted.values[1], 0.2, 1e-15);  // 3 * 0.2 (l - 0.2) falls faster than (0.9 - l) 0.1 rises
  CHECK_NEAR(levels_variance(&fitted, u, 4), 0.7 * 0.1, 1e-12);
}

static void operators_are_monotone_and_skew(void) {
  enum { N = 6 };
  struct arena arena = {0};
  struct vi_game s = {.game = "bilinear", .dimension = N, .monotone = 0.5};
  double z[2 * N], w[2 * N], v[2 * N], u[2 * N];
  for (int kind = 0; kind < 2; kind++) {
    s.game = kind ? "strongly_monotone" : "bilinear";
    struct game g = game_make(&s, 4, &arena);
    normals(z, 2 * N, 8, 1);
    normals(w, 2 * N, 9, 1);
    game_operator(&g, z, v);
    game_operator(&g, w, u);
    double dot = 0, square = 0, moved = 0;
    for (int i = 0; i < 2 * N; i++) {
      dot += (v[i] - u[i]) * (z[i] - w[i]);
      square += (z[i] - w[i]) * (z[i] - w[i]);
      moved += (v[i] - u[i]) * (v[i] - u[i]);
    }
    CHECK_NEAR(dot, kind ? 0.5 * square : 0, 1e-12);         // <V z - V w, z - w> = mu |z - w|^2
    double low = kind ? 0.5 : 0.25, high = kind ? 1.25 : 1;  // mu^2 + sigma^2, sigma from 1/2 to 1
    CHECK(moved >= (low - 1e-12) * square && moved <= (high + 1e-12) * square);
  }
  arena_free(&arena);
}

int main(int argc, char **argv) {
  RUN(rounding_has_no_bias);
  RUN(what_lies_on_levels_stays);
  RUN(fitting_never_makes_worse);
  RUN(layers_gain_by_levels_of_their_own);
  RUN(a_level_by_hand);
  RUN(operators_are_monotone_and_skew);
  return check_end();
}
