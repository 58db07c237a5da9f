// See structure.h.
#include "trainer/compress/structure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lapack.h"
#include "trainer/compress/internal.h"

struct structure {
  int64_t outputs, inputs, unit;
  double *w;               // [outputs, inputs]
  double *inverse;         // [inputs, inputs], of what is left; rows and columns of what is gone are 0
  bool *gone;              // [inputs / unit]
  double *block, *solved;  // [unit, unit]; the larger of [inputs, unit] and [outputs, unit]
};

// H^-1 = U^T U of the damped Hessian.
static bool invert(struct structure *r, const float *hessian, double damping, struct error *error) {
  const int64_t n = r->inputs;
  double *u = memory_get((size_t)(n * n) * sizeof *u), trace = 0;
  for (int64_t i = 0; i < n; i++) trace += (double)hessian[i * n + i];
  bool fine = trace > 0 && isfinite(trace);
  if (!fine) error_set(error, EXIT_USAGE_ERROR, "the Hessian of %lld inputs is zero or not finite", (long long)n);
  for (int64_t i = 0; fine && i < n * n; i++) u[i] = (double)hessian[i];
  for (int64_t i = 0; fine && i < n; i++) u[i * n + i] += damping * trace / (double)n;
  fine = fine && lapack_inverse_cholesky(u, n, error);
  for (int64_t k = 0; fine && k < n; k++) {
    const double *row = u + k * n;
    for (int64_t i = k; i < n; i++)
      for (int64_t j = k; j < n; j++) r->inverse[i * n + j] += row[i] * row[j];
  }
  free(u);
  return fine;
}

struct structure *structure_begin(const float *weights, const float *hessian, int64_t outputs, int64_t inputs,
                                  int64_t unit, double damping, struct error *error) {
  struct structure *r = memory_get(sizeof *r);
  const int64_t most = outputs > inputs ? outputs : inputs;
  *r = (struct structure){.outputs = outputs, .inputs = inputs, .unit = unit};
  r->w = memory_get((size_t)(outputs * inputs) * sizeof *r->w);
  r->inverse = memory_get((size_t)(inputs * inputs) * sizeof *r->inverse);
  r->gone = memory_get((size_t)(inputs / unit) * sizeof *r->gone);
  r->block = memory_get((size_t)(unit * unit) * sizeof *r->block);
  r->solved = memory_get((size_t)(most * unit) * sizeof *r->solved);
  for (int64_t i = 0; i < outputs * inputs; i++) r->w[i] = (double)weights[i];
  if (invert(r, hessian, damping, error)) return r;
  structure_free(r);
  return NULL;
}

// G_SS of a set into the block: LAPACK overwrites it.
static void take_block(struct structure *r, int64_t set) {
  const int64_t n = r->inputs, first = set * r->unit;
  for (int64_t i = 0; i < r->unit; i++)
    memcpy(r->block + i * r->unit, r->inverse + (first + i) * n + first, (size_t)r->unit * sizeof *r->block);
}

// X of block X = B, `columns` right sides B in `solved`, which become X.
static bool solve(struct structure *r, int64_t columns, struct error *error) {
  if (r->unit > 1) return lapack_solve_positive(r->unit, r->block, columns, r->solved, error);
  for (int64_t i = 0; i < columns; i++) r->solved[i] /= r->block[0];
  return true;
}

// tr(W_S (G_SS)^-1 W_S^T)
static bool score_of(struct structure *r, int64_t set, double *score, struct error *error) {
  const int64_t first = set * r->unit;
  take_block(r, set);
  for (int64_t o = 0; o < r->outputs; o++)
    memcpy(r->solved + o * r->unit, r->w + o * r->inputs + first, (size_t)r->unit * sizeof *r->solved);
  if (!solve(r, r->outputs, error)) return false;
  *score = 0;
  for (int64_t o = 0; o < r->outputs; o++)
    for (int64_t i = 0; i < r->unit; i++) *score += r->solved[o * r->unit + i] * r->w[o * r->inputs + first + i];
  return true;
}

// rows [count, inputs] -= rows_S (G_SS)^-1 G_S:, with X = (G_SS)^-1 G_S: in `solved`, column after column.
static void project(const struct structure *r, int64_t first, double *rows, int64_t count) {
  for (int64_t o = 0; o < count; o++) {
    double *row = rows + o * r->inputs;
    const double *x = r->solved;
    for (int64_t j = 0; j < r->inputs; j++, x += r->unit) {
      if (j == first) {  // what S itself is read for until the end
        j += r->unit - 1;
        x += (r->unit - 1) * r->unit;
        continue;
      }
      double sum = 0;
      for (int64_t i = 0; i < r->unit; i++) sum += row[first + i] * x[i];
      row[j] -= sum;
    }
  }
}

static bool take_out(struct structure *r, int64_t set, struct error *error) {
  const int64_t n = r->inputs, first = set * r->unit;
  take_block(r, set);
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < r->unit; i++) r->solved[j * r->unit + i] = r->inverse[(first + i) * n + j];
  if (!solve(r, n, error)) return false;
  project(r, first, r->w, r->outputs);
  for (int64_t i = 0; i < n; i++)  // rows of S itself are cleared below
    if (i < first || i >= first + r->unit) project(r, first, r->inverse + i * n, 1);
  for (int64_t i = 0; i < r->unit; i++) {
    memset(r->inverse + (first + i) * n, 0, (size_t)n * sizeof *r->inverse);
    for (int64_t j = 0; j < n; j++) r->inverse[j * n + first + i] = 0;
    for (int64_t o = 0; o < r->outputs; o++) r->w[o * n + first + i] = 0;
  }
  r->gone[set] = true;
  return true;
}

int64_t structure_step(struct structure *r, double *cost, struct error *error) {
  int64_t best = -1;
  double least = INFINITY;
  for (int64_t set = 0; set < r->inputs / r->unit; set++) {
    double score;
    if (r->gone[set]) continue;
    if (!score_of(r, set, &score, error)) return -1;
    if (best >= 0 && !(score < least)) continue;
    best = set;
    least = score;
  }
  if (best < 0 || !take_out(r, best, error)) return -1;
  if (cost) *cost = least;
  return best;
}

const double *structure_weights(const struct structure *r) { return r->w; }
bool structure_is_gone(const struct structure *r, int64_t set) { return r->gone[set]; }

void structure_free(struct structure *r) {
  if (!r) return;
  free(r->w);
  free(r->inverse);
  free(r->gone);
  free(r->block);
  free(r->solved);
  free(r);
}
