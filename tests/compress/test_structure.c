// Structured removal: after any number of sets the weights are the exact least squares on the inputs that are kept,
// each step takes the set that costs least, and costs add up to the error.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lapack.h"
#include "tests/check.h"
#include "trainer/compress/structure.h"

enum { MOST_OUTPUTS = 12, MOST_INPUTS = 48 };
static const double damping = 0.01;

struct problem {
  int64_t outputs, inputs;
  float w[MOST_OUTPUTS * MOST_INPUTS], h[MOST_INPUTS * MOST_INPUTS];
  double damped[MOST_INPUTS * MOST_INPUTS];
};

static double normal(uint64_t seed, uint64_t at) {
  double pair[2];
  random_normal_pair(seed, RANDOM_STREAM_MONTE_CARLO, 0, at, pair);
  return pair[0];
}

// Correlated inputs: those of fewer dimensions than there are inputs, and noise.
static struct problem make(int64_t outputs, int64_t inputs, uint64_t seed) {
  struct problem p = {.outputs = outputs, .inputs = inputs};
  const int64_t samples = 4 * inputs, hidden = inputs / 2;
  uint64_t at = 0;
  double *mix = memory_get((size_t)(hidden * inputs) * sizeof *mix), trace = 0;
  double *sums = memory_get((size_t)(inputs * inputs) * sizeof *sums);
  for (int64_t i = 0; i < hidden * inputs; i++) mix[i] = normal(seed, at++);
  for (int64_t s = 0; s < samples; s++) {
    double x[MOST_INPUTS] = {0};
    for (int64_t k = 0; k < hidden; k++) {
      double z = normal(seed, at++);
      for (int64_t i = 0; i < inputs; i++) x[i] += z * mix[k * inputs + i];
    }
    for (int64_t i = 0; i < inputs; i++) x[i] += 0.3 * normal(seed, at++);
    for (int64_t i = 0; i < inputs; i++)
      for (int64_t j = 0; j < inputs; j++) sums[i * inputs + j] += x[i] * x[j] / (double)samples;
  }
  for (int64_t i = 0; i < inputs * inputs; i++) p.h[i] = (float)sums[i];
  for (int64_t i = 0; i < outputs * inputs; i++) p.w[i] = (float)normal(seed, at++);
  for (int64_t i = 0; i < inputs; i++) trace += (double)p.h[i * inputs + i];
  for (int64_t i = 0; i < inputs * inputs; i++) p.damped[i] = (double)p.h[i];
  for (int64_t i = 0; i < inputs; i++) p.damped[i * inputs + i] += damping * trace / (double)inputs;
  free(mix);
  free(sums);
  return p;
}

// W0 H_:K (H_KK)^-1 by normal equations on the kept inputs alone: out [outputs, inputs].
static bool least_squares(const struct problem *p, const bool *kept, double *out) {
  int64_t at[MOST_INPUTS], count = 0;
  double a[MOST_INPUTS * MOST_INPUTS], b[MOST_OUTPUTS * MOST_INPUTS];
  struct error error = {0};
  for (int64_t i = 0; i < p->inputs; i++)
    if (kept[i]) at[count++] = i;
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j < count; j++) a[i * count + j] = p->damped[at[i] * p->inputs + at[j]];
  for (int64_t o = 0; o < p->outputs; o++)
    for (int64_t i = 0; i < count; i++) {
      b[o * count + i] = 0;
      for (int64_t j = 0; j < p->inputs; j++)
        b[o * count + i] += (double)p->w[o * p->inputs + j] * p->damped[j * p->inputs + at[i]];
    }
  if (count && !lapack_solve_positive(count, a, p->outputs, b, &error)) return false;
  memset(out, 0, (size_t)(p->outputs * p->inputs) * sizeof *out);
  for (int64_t o = 0; o < p->outputs; o++)
    for (int64_t i = 0; i < count; i++) out[o * p->inputs + at[i]] = b[o * count + i];
  return true;
}

// tr((W - W0) H (W - W0)^T)
static double error_of(const struct problem *p, const double *w) {
  double sum = 0;
  for (int64_t o = 0; o < p->outputs; o++)
    for (int64_t i = 0; i < p->inputs; i++)
      for (int64_t j = 0; j < p->inputs; j++)
        sum += (w[o * p->inputs + i] - (double)p->w[o * p->inputs + i]) * p->damped[i * p->inputs + j] *
               (w[o * p->inputs + j] - (double)p->w[o * p->inputs + j]);
  return sum;
}

static void all_steps(int64_t outputs, int64_t inputs, int64_t unit, uint64_t seed) {
  struct problem p = make(outputs, inputs, seed);
  struct error error = {0};
  struct structure *s = structure_begin(p.w, p.h, outputs, inputs, unit, damping, &error);
  bool kept[MOST_INPUTS];
  double paid = 0, farthest = 0, largest = 0;
  CHECK(s != NULL);
  for (int64_t i = 0; i < inputs; i++) kept[i] = true;
  for (int64_t i = 0; i < outputs * inputs; i++) largest = fmax(largest, fabs((double)p.w[i]));
  for (int64_t step = 0; step < inputs / unit; step++) {
    double exact[MOST_OUTPUTS * MOST_INPUTS], least = INFINITY, cost;
    for (int64_t set = 0; set < inputs / unit; set++) {  // what each set would cost, by solving anew
      if (structure_is_gone(s, set)) continue;
      for (int64_t i = 0; i < unit; i++) kept[set * unit + i] = false;
      CHECK(least_squares(&p, kept, exact));
      least = fmin(least, error_of(&p, exact) - paid);
      for (int64_t i = 0; i < unit; i++) kept[set * unit + i] = true;
    }
    int64_t gone = structure_step(s, &cost, &error);
    CHECK(gone >= 0 && structure_is_gone(s, gone));
    CHECK_NEAR(cost, least, 1e-8 * fmax(1, fabs(paid + cost)));
    paid += cost;
    for (int64_t i = 0; i < unit; i++) kept[gone * unit + i] = false;
    CHECK(least_squares(&p, kept, exact));
    const double *w = structure_weights(s);
    for (int64_t i = 0; i < outputs * inputs; i++) farthest = fmax(farthest, fabs(w[i] - exact[i]));
    for (int64_t i = 0; i < outputs * inputs; i++) CHECK(kept[i % inputs] || w[i] == 0);
  }
  printf("# %lld x %lld by %lld: farthest %.2e\n", (long long)outputs, (long long)inputs, (long long)unit,
         farthest / largest);
  CHECK(farthest <= 1e-10 * largest);
  CHECK(structure_step(s, NULL, &error) < 0);
  structure_free(s);
}

static void columns_are_exact(void) {
  all_steps(8, 32, 1, 1);
  all_steps(12, 48, 1, 2);
}

static void heads_are_exact(void) {
  all_steps(12, 48, 8, 3);
  all_steps(8, 32, 16, 4);
}

// What an input that says nothing costs is nothing, and it goes first; a Hessian of nothing is refused.
static void dead_inputs_go_first(void) {
  struct problem p = make(4, 16, 5);
  struct error error = {0};
  for (int64_t i = 0; i < 16; i++) p.h[5 * 16 + i] = p.h[i * 16 + 5] = 0;
  for (int64_t o = 0; o < 4; o++) p.w[o * 16 + 5] = 0;
  struct structure *s = structure_begin(p.w, p.h, 4, 16, 1, damping, &error);
  double cost;
  CHECK(s != NULL);
  CHECK(structure_step(s, &cost, &error) == 5 && cost == 0);
  structure_free(s);
  memset(p.h, 0, sizeof p.h);
  CHECK(structure_begin(p.w, p.h, 4, 16, 1, damping, &error) == NULL);
  CHECK(strstr(error.text, "zero or not finite") != NULL);
}

int main(void) {
  check_run(columns_are_exact, "columns: least squares on those that are kept, to 1e-10");
  check_run(heads_are_exact, "heads: the same, a set at a time");
  check_run(dead_inputs_go_first, "inputs that say nothing go first; a Hessian of nothing is refused");
  return check_end();
}
