// Pruning: patterns by brute force, SparseGPT's score against optimal brain surgeon's exact solution, shares, what is
// kept rounded.
#include "tests/compress/problem.h"

// One weight of a row pruned first: its cost and what the others become, by the exact solution
//   cost w_p^2 / (H^-1)_pp,  dw = -w_p (H^-1)_:p / (H^-1)_pp   (Hassibi & Stork 1993).
static void one_weight(void) {
  enum { N = 12 };
  struct arena arena = {0};
  struct error error = {0};
  struct problem p = problem_make(1, N, 60, 2);
  double h[N * N], u[N * N], inverse[N * N] = {0};
  memcpy(h, p.precise, sizeof h);
  for (int i = 0; i < N; i++) h[i * N + i] += 0.1;
  memcpy(u, h, sizeof u);
  CHECK(lapack_inverse_cholesky(u, N, &error));
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++)
      for (int k = 0; k < N; k++) inverse[i * N + j] += u[k * N + i] * u[k * N + j];
  // A pruning that takes exactly the first weight: all others are made dear.
  struct pruning pruning = {.n = N - 1, .m = N};
  double w[N], q[N], before[N];
  for (int i = 0; i < N; i++) before[i] = w[i] = i == 0 ? 1e-3 : 1 + 0.1 * i;
  struct sweep sweep = {.outputs = 1, .inputs = N, .w = w, .q = q, .pruning = &pruning};
  sweep_inverse(&sweep, u, &arena);
  CHECK(q[0] == 0);
  CHECK_NEAR(sweep.error / (before[0] * before[0] / inverse[0]), 1, 1e-9);
  for (int i = 1; i < N; i++) CHECK_NEAR((q[i] - before[i]) / (-before[0] * inverse[i] / inverse[0]), 1, 1e-6);
  // The score chooses, of the first inputs alone, the one of least exact cost: w^2 / (H^-1)_00 for the first.
  CHECK_NEAR(u[0] * u[0] / inverse[0], 1, 1e-12);
  problem_free(&p);
  arena_free(&arena);
}

// The weights that stay after one was pruned are the least-squares solution without it.
static void least_squares(void) {
  enum { N = 10 };
  struct arena arena = {0};
  struct error error = {0};
  struct problem p = problem_make(1, N, 60, 4);
  double h[N * N], u[N * N], w[N], q[N], before[N];
  memcpy(h, p.precise, sizeof h);
  memcpy(u, h, sizeof u);
  CHECK(lapack_inverse_cholesky(u, N, &error));
  for (int i = 0; i < N; i++) before[i] = w[i] = i < 3 ? 1e-6 * (i + 1) : 1 + 0.05 * i;
  struct pruning pruning = {.n = N - 3, .m = N};  // the first three
  struct sweep sweep = {.outputs = 1, .inputs = N, .w = w, .q = q, .pruning = &pruning};
  sweep_inverse(&sweep, u, &arena);
  for (int i = 0; i < N; i++) CHECK((q[i] == 0) == (i < 3));
  // Stationary: the gradient H (q - w) is 0 at every kept weight.
  for (int i = 3; i < N; i++) {
    double gradient = 0, size = 0;
    for (int j = 0; j < N; j++) {
      gradient += h[i * N + j] * (q[j] - before[j]);
      size += fabs(h[i * N + j] * (q[j] - before[j]));
    }
    CHECK(fabs(gradient) < 1e-8 * size);
  }
  problem_free(&p);
  arena_free(&arena);
}

// The kept n of m have the largest sum of scores of all choices.
static void patterns(void) {
  static const int sizes[][2] = {{2, 4}, {1, 4}, {3, 4}, {4, 8}, {1, 2}, {2, 3}};
  struct arena arena = {0};
  for (uint64_t seed = 0; seed < 200; seed++) {
    int n = sizes[seed % 6][0], m = sizes[seed % 6][1];
    double w[8], d[8];
    uint8_t keep[8];
    for (int i = 0; i < m; i++) {
      w[i] = normal(seed, 0, (uint64_t)i);
      d[i] = 0.5 + fabs(normal(seed, 1, (uint64_t)i));
    }
    struct pruning pruning = {.n = n, .m = m};
    pruning_choose(&pruning, w, d, m, 1, keep, &arena);
    double best = -1, chosen = 0;
    int kept = 0;
    for (int set = 0; set < 1 << m; set++) {
      double sum = 0;
      for (int i = 0; i < m; i++) sum += set >> i & 1 ? w[i] * w[i] / (d[i] * d[i]) : 0;
      if (__builtin_popcount((unsigned)set) == n) best = fmax(best, sum);
    }
    for (int i = 0; i < m; i++) {
      kept += keep[i];
      chosen += keep[i] ? w[i] * w[i] / (d[i] * d[i]) : 0;
    }
    CHECK(kept == n);
    CHECK_NEAR(chosen, best, 1e-12);
  }
  arena_free(&arena);
}

static void matrices(void) {
  struct problem p = problem_make(24, 64, 256, 6);
  static const char *const methods[] = {"magnitude", "sparsegpt"};
  double errors[2];
  for (int k = 0; k < 2; k++) {
    char text[100];
    snprintf(text, sizeof text, "%s pattern=2:4", methods[k]);
    compress(&p, text, true);
    for (int64_t i = 0; i < 24 * 64; i += 4) {
      int kept = 0;
      for (int j = 0; j < 4; j++) kept += p.represented[i + j] != 0;
      CHECK(kept == 2);
    }
    CHECK_NEAR(p.result.sparsity, 0.5, 1e-12);
    CHECK_NEAR(p.result.bits_per_weight, 0.5 * 16 + 1, 1e-12);
    errors[k] = p.result.weighted_error;
  }
  CHECK(errors[1] < errors[0]);
  for (int s = 1; s < 10; s++) {
    for (int k = 0; k < 2; k++) {
      char text[100];
      snprintf(text, sizeof text, "%s sparsity=0.%d", methods[k], s);
      compress(&p, text, true);
      CHECK(fabs(p.result.sparsity - 0.1 * s) < 1.0 / (24 * 64));
      errors[k] = p.result.weighted_error;
    }
    CHECK(errors[1] < errors[0]);
    CHECK_NEAR(p.result.method_error / p.result.weighted_error, 1, 1e-4);
  }
  // By magnitude, what is kept is larger than what is not, and stays.
  compress(&p, "magnitude sparsity=0.7", false);
  double least = INFINITY, most = 0;
  for (int64_t i = 0; i < 24 * 64; i++) {
    double size = fabs((double)p.weights[i]);
    if (p.represented[i] != 0)
      least = fmin(least, size);
    else
      most = fmax(most, size);
    CHECK(p.represented[i] == 0 || p.represented[i] == p.weights[i]);
  }
  CHECK(least >= most);
  problem_free(&p);
}

// Pruned and rounded in one sweep: better than one after the other.
static void with_format(void) {
  struct problem p = problem_make(24, 64, 256, 8);
  compress(&p, "sparsegpt pattern=2:4 bits=3 group=32", true);
  double together = p.result.weighted_error;
  CHECK_NEAR(p.result.sparsity, 0.5, 1e-12);
  CHECK_NEAR(p.result.bits_per_weight, 0.5 * 3 + 1 + 16.0 / 32, 1e-12);
  for (int64_t i = 0; i < 24 * 64; i++) CHECK((p.codes[i] < 0) == (p.represented[i] == 0));
  float kept[24 * 64];
  compress(&p, "sparsegpt pattern=2:4", true);
  memcpy(kept, p.represented, sizeof kept);
  compress(&p, "magnitude pattern=2:4 bits=3 group=32", true);
  CHECK(together < p.result.weighted_error);
  problem_free(&p);
}

int main(int argc, char **argv) {
  RUN(one_weight);
  RUN(least_squares);
  RUN(patterns);
  RUN(matrices);
  RUN(with_format);
  return check_end();
}
