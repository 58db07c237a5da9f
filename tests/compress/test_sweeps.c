// GPTQ and Babai in double precision: the same integers, the running sum of errors, the bound, the trace of orders.
#include "kernels/formats/grid.h"
#include "tests/compress/problem.h"

enum { INPUTS = 48, OUTPUTS = 3 };

// A problem of double precision, without limits to its integers.
struct trial {
  struct arena arena;
  struct nearest nearest;
  struct sweep sweep;
  double h[INPUTS * INPUTS], weights[OUTPUTS][INPUTS];
  float scales[INPUTS * OUTPUTS];
  int64_t unit[INPUTS], rows[INPUTS];
};

static void trial_begin(struct trial *t, uint64_t seed) {
  struct problem p = problem_make(OUTPUTS, INPUTS, 4 * INPUTS, seed);
  struct grid grid = grid_mid_rise(3);
  *t = (struct trial){0};
  nearest_make(&t->nearest, &grid, true);
  double trace = 0;
  for (int i = 0; i < INPUTS; i++) trace += p.precise[i * INPUTS + i];
  for (int i = 0; i < INPUTS * INPUTS; i++) t->h[i] = p.precise[i];
  for (int i = 0; i < INPUTS; i++) t->h[i * INPUTS + i] += 0.01 * trace / INPUTS;
  for (int i = 0; i < INPUTS; i++)
    for (int o = 0; o < OUTPUTS; o++) {
      t->weights[o][i] = 0.05 * normal(seed, 2000000, (uint64_t)(i * OUTPUTS + o));
      // A scale for each input: groups need not be alike.
      t->scales[i * OUTPUTS + o] =
          (float)(0.02 + 0.01 * random_uniform(seed, RANDOM_STREAM_MONTE_CARLO, 5, (uint64_t)(i * OUTPUTS + o)));
    }
  problem_free(&p);
}

// Rows in this order of inputs; runs GPTQ or the nearest plane.
static void trial_run(struct trial *t, const int64_t *rows, bool nearest_plane) {
  struct error error = {0};
  double *factor = arena_array(&t->arena, INPUTS * INPUTS, sizeof *factor);
  t->sweep = (struct sweep){.outputs = OUTPUTS, .inputs = INPUTS, .nearest = &t->nearest, .scales = t->scales};
  t->sweep.w = arena_array(&t->arena, INPUTS * OUTPUTS, sizeof(double));
  t->sweep.q = arena_array(&t->arena, INPUTS * OUTPUTS, sizeof(double));
  t->sweep.codes = arena_array(&t->arena, INPUTS * OUTPUTS, sizeof(int32_t));
  t->sweep.unit = t->unit;
  for (int i = 0; i < INPUTS; i++) {
    t->rows[i] = t->unit[i] = rows[i];
    for (int o = 0; o < OUTPUTS; o++) t->sweep.w[i * OUTPUTS + o] = t->weights[o][rows[i]];
    for (int j = 0; j < INPUTS; j++) factor[i * INPUTS + j] = t->h[rows[i] * INPUTS + rows[j]];
  }
  if (nearest_plane) {
    CHECK(lapack_cholesky(factor, INPUTS, &error));
    sweep_nearest_plane(&t->sweep, factor, &t->arena);
  } else {
    CHECK(lapack_inverse_cholesky(factor, INPUTS, &error));
    sweep_inverse(&t->sweep, factor, &t->arena);
  }
}

// tr((W - Q) H (W - Q)^T).
static double true_error(const struct trial *t) {
  double sum = 0;
  for (int o = 0; o < OUTPUTS; o++)
    for (int i = 0; i < INPUTS; i++)
      for (int j = 0; j < INPUTS; j++)
        sum += (t->weights[o][t->rows[i]] - t->sweep.q[i * OUTPUTS + o]) * t->h[t->rows[i] * INPUTS + t->rows[j]] *
               (t->weights[o][t->rows[j]] - t->sweep.q[j * OUTPUTS + o]);
  return sum;
}

// Whether some value of an output lay this close to the middle between two levels when it was rounded.
static bool tied(const struct trial *t, int o) {
  for (int i = 0; i < INPUTS; i++) {
    double z = t->sweep.w[i * OUTPUTS + o] / (double)t->scales[t->rows[i] * OUTPUTS + o] - t->nearest.first;
    if (fabs(z - floor(z) - 0.5) < 1e-9) return true;
  }
  return false;
}

static void same_integers(void) {
  static struct trial gptq, babai;
  int64_t forwards[INPUTS], backwards[INPUTS];
  int differences = 0, ties = 0, compared = 0;
  double ratios = 0, worst = 0, most = 0;
  for (int i = 0; i < INPUTS; i++) forwards[i] = i, backwards[i] = INPUTS - 1 - i;
  for (uint64_t seed = 0; seed < 400; seed++) {
    trial_begin(&gptq, seed);
    trial_begin(&babai, seed);
    trial_run(&gptq, backwards, false);
    trial_run(&babai, forwards, true);
    for (int o = 0; o < OUTPUTS; o++) {
      if (tied(&gptq, o) || tied(&babai, o)) {
        ties++;
        continue;
      }
      for (int i = 0; i < INPUTS; i++, compared++)
        differences += gptq.sweep.codes[(INPUTS - 1 - i) * OUTPUTS + o] != babai.sweep.codes[i * OUTPUTS + o];
    }
    struct trial *both[] = {&gptq, &babai};
    for (int k = 0; k < 2; k++) {
      const struct sweep *s = &both[k]->sweep;
      double error = true_error(both[k]);
      worst = fmax(worst, fabs(s->error - error) / error);
      CHECK(error <= s->bound * (1 + 1e-12));
      CHECK(s->clipped == 0);
      most = fmax(most, error / s->bound);
      ratios += error / s->bound / 800;
    }
    CHECK_NEAR(gptq.sweep.trace / babai.sweep.trace, 1, 1e-9);
    arena_free(&gptq.arena);
    arena_free(&babai.arena);
  }
  printf("# %d integers, %d outputs with ties left out; running sum off by %.1e; error / bound %.4f, at most %.3f\n",
         compared, ties, worst, ratios, most);
  CHECK(differences == 0);
  CHECK(compared > 390 * INPUTS * OUTPUTS);
  CHECK(worst < 1e-9);
  CHECK_NEAR(ratios, 0.33, 0.01);
}

// Every order: rounding by act order or smallest pivots lowers the trace to about half of the natural order's, and any
// order is the same problem to both methods.
static void orders(void) {
  static struct trial t;
  double traces[3] = {0};
  static const char *const names[] = {"natural", "act", "min-pivot"};
  for (uint64_t seed = 0; seed < 40; seed++) {
    double natural = 0;
    for (int k = 0; k < 3; k++) {
      int64_t sequence[INPUTS], reversed[INPUTS];
      struct error error = {0};
      trial_begin(&t, seed);
      CHECK(rounding_order(names[k], t.h, INPUTS, 1, sequence, &t.arena, &error));
      int seen[INPUTS] = {0};
      for (int i = 0; i < INPUTS; i++) seen[sequence[i]]++, reversed[INPUTS - 1 - i] = sequence[i];
      for (int i = 0; i < INPUTS; i++) CHECK(seen[i] == 1);
      trial_run(&t, sequence, false);
      int32_t codes[INPUTS * OUTPUTS];
      memcpy(codes, t.sweep.codes, sizeof codes);
      bool any = false;
      for (int o = 0; o < OUTPUTS; o++) any |= tied(&t, o);
      if (k == 0) natural = t.sweep.trace;
      traces[k] += t.sweep.trace / natural / 40;
      trial_run(&t, reversed, true);
      for (int i = 0; i < INPUTS && !any; i++)
        for (int o = 0; o < OUTPUTS; o++)
          CHECK(codes[i * OUTPUTS + o] == t.sweep.codes[(INPUTS - 1 - i) * OUTPUTS + o]);
      arena_free(&t.arena);
    }
  }
  printf("# trace of D over the natural order's: act %.3f, min-pivot %.3f\n", traces[1], traces[2]);
  CHECK(traces[1] > 0.35 && traces[1] < 0.65);
  CHECK(traces[2] > 0.35 && traces[2] < 0.65);
}

// The order by smallest pivots against its definition: each pivot recomputed from all that were factored before it.
static void smallest_pivots(void) {
  static struct trial t;
  struct error error = {0};
  int64_t sequence[INPUTS];
  for (uint64_t seed = 0; seed < 5; seed++) {
    trial_begin(&t, seed);
    CHECK(rounding_order("min-pivot", t.h, INPUTS, 1, sequence, &t.arena, &error));
    for (int step = 0; step < INPUTS; step++) {
      // Factored so far: the last `step` of the sequence; the pivot of input c is its Schur complement.
      double least = INFINITY, chosen = NAN;
      for (int candidate = 0; candidate < INPUTS - step; candidate++) {
        int size = step + 1;
        int64_t inputs[INPUTS];
        for (int i = 0; i < step; i++) inputs[i] = sequence[INPUTS - 1 - i];
        inputs[step] = sequence[candidate];
        double *a = arena_array(&t.arena, (size_t)(size * size), sizeof *a);
        for (int i = 0; i < size; i++)
          for (int j = 0; j < size; j++) a[i * size + j] = t.h[inputs[i] * INPUTS + inputs[j]];
        CHECK(lapack_cholesky(a, size, &error));
        double pivot = a[step * size + step] * a[step * size + step];
        least = fmin(least, pivot);
        if (candidate == INPUTS - 1 - step) chosen = pivot;
      }
      CHECK(chosen <= least * (1 + 1e-9));
    }
    arena_free(&t.arena);
  }
}

// LAPACK's factors are what they are said to be.
static void factors(void) {
  static struct trial t;
  struct error error = {0};
  trial_begin(&t, 1);
  enum { N = INPUTS };
  double *r = arena_array(&t.arena, N * N, sizeof *r), *u = arena_array(&t.arena, N * N, sizeof *u);
  memcpy(r, t.h, sizeof t.h);
  memcpy(u, t.h, sizeof t.h);
  CHECK(lapack_cholesky(r, N, &error));
  CHECK(lapack_inverse_cholesky(u, N, &error));
  double worst = 0, inverse = 0, largest = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      double product = 0, one = 0;
      for (int k = 0; k < N; k++) product += r[k * N + i] * r[k * N + j];
      worst = fmax(worst, fabs(product - t.h[i * N + j]));
      largest = fmax(largest, fabs(t.h[i * N + j]));
      // H U^T U = I
      for (int k = 0; k < N; k++)
        for (int m = 0; m < N; m++) one += t.h[i * N + k] * u[m * N + k] * u[m * N + j];
      inverse = fmax(inverse, fabs(one - (i == j)));
      if (j < i) CHECK(r[i * N + j] == 0 && u[i * N + j] == 0);
    }
  CHECK(worst < 1e-12 * largest);
  CHECK(inverse < 1e-9);
  double indefinite[4] = {1, 2, 2, 1};
  CHECK(!lapack_cholesky(indefinite, 2, &error));
  CHECK(strstr(error.text, "singular") != NULL);
  printf("# %s\n", compress_library(&t.arena));
  CHECK(starts_with(compress_library(&t.arena), "LAPACK 3."));
  arena_free(&t.arena);
}

// Every instruction set gives the bits of the portable code, whatever the lengths.
static void same_bits_everywhere(void) {
  enum { ROWS = 21, LONGEST = 67 };
  double rows[ROWS][LONGEST], coefficients[ROWS], plain[LONGEST], other[LONGEST];
  const double *at[ROWS];
  for (int k = 0; k < ROWS; k++) {
    at[k] = rows[k];
    coefficients[k] = normal(3, 0, (uint64_t)k);
    for (int i = 0; i < LONGEST; i++) rows[k][i] = normal(3, 1 + (uint64_t)k, (uint64_t)i);
  }
  for (int count = 0; count <= ROWS; count++)
    for (int n = 1; n <= LONGEST; n += 3) {
      double exact = 0;
      for (int i = 0; i < n; i++) plain[i] = other[i] = rows[0][i];
      subtract_rows_portable(plain, at, coefficients, count, n);
      subtract_rows(other, at, coefficients, count, n);
      CHECK(memcmp(plain, other, (size_t)n * sizeof *plain) == 0);
      for (int k = 0; k < count; k++) exact += coefficients[k] * rows[k][n - 1];
      CHECK_NEAR(plain[n - 1], rows[0][n - 1] - exact, 1e-13);
    }
}

int main(int argc, char **argv) {
  RUN(same_bits_everywhere);
  RUN(factors);
  RUN(same_integers);
  RUN(orders);
  RUN(smallest_pivots);
  return check_end();
}
