// Hops from the lowest minimum: an objective with a small Huber delta has many shallow minima along its flat valleys,
// a kink near the next. Points at which the quadratic model rises by a given share of the objective, in directions
// drawn from its own ellipsoid, are descended; whatever lies lower is taken, and the round begins anew.
#include <float.h>
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { HOPS = 64, ROUNDS = 6 };

struct hopping {
  const struct fit *fit;
  struct fit_stage *stage;
  struct workspace **spaces;
  const double *factor;  // upper triangle of the Cholesky factor's transpose, [free_count][free_count]
  int round;
  double *x;  // [HOPS][free_count]
  struct polish_result *polished;
};

static void hop_one(void *context, size_t hop, int thread) {
  struct hopping *hopping = context;
  const struct fit_stage *stage = hopping->stage;
  static const double shares[] = {0.003, 0.03, 0.15, 0.6};
  int n = stage->free_count;
  double *x = hopping->x + hop * (size_t)n, norm = 0;
  struct workspace *workspace = hopping->spaces[thread];
  workspace_use(workspace, &stage->problem);
  for (int i = 0; i < n; i += 2) {
    double pair[2];
    random_normal_pair(hopping->fit->options->seed, RANDOM_STREAM_STARTS,
                       ((uint64_t)1 << 33) + (uint64_t)hopping->round, hop * (size_t)n + (size_t)i, pair);
    x[i] = pair[0];
    if (i + 1 < n) x[i + 1] = pair[1];
  }
  for (int i = 0; i < n; i++) norm += x[i] * x[i];
  double scale = sqrt(2 * shares[hop % 4] * stage->objective / norm);
  for (int i = n - 1; i >= 0; i--) {  // solves factor' x = z
    for (int k = i + 1; k < n; k++) x[i] -= hopping->factor[k * n + i] * x[k];
    x[i] /= hopping->factor[i * n + i];
  }
  for (int i = 0; i < n; i++) {
    double most = 5 * problem_unit(&stage->problem, i, stage->x[i]),
           to = stage->x[i] + fmax(-most, fmin(most, scale * x[i]));
    x[i] = fmin(fmax(to, stage->low[i]), stage->high[i]);
  }
  descend(workspace, x, NULL, 100, 1e-6);
  hopping->polished[hop] = polish(workspace, x, NULL, 60);
}

// The Cholesky factor (lower) of the reweighted matrix at the minimum, a little damped where it is singular.
static bool factorize(struct workspace *workspace, const struct fit_stage *stage, double *factor) {
  int n = stage->free_count;
  problem_evaluate(workspace, stage->x, NULL, WANT_REWEIGHTED);
  double largest = 0;
  for (int i = 0; i < n; i++) {
    double unit = problem_unit(&stage->problem, i, stage->x[i]);
    largest = fmax(largest, workspace->matrix[i * n + i] * unit * unit);
  }
  for (double damping = 1e-10; damping < 1; damping *= 100) {
    memcpy(factor, workspace->matrix, (size_t)(n * n) * sizeof *factor);
    for (int i = 0; i < n; i++) {
      double unit = problem_unit(&stage->problem, i, stage->x[i]);
      factor[i * n + i] += damping * fmax(factor[i * n + i], 1e-8 * largest / (unit * unit)) + DBL_MIN;
    }
    if (cholesky_factor(factor, n)) return true;
  }
  return false;
}

void fit_hop(const struct fit *fit, struct arena *arena, struct fit_stage *stage, struct workspace **spaces) {
  size_t n = (size_t)stage->free_count;
  if (problem_is_one_solve(&stage->problem)) return;
  if (!(stage->objective > 1e-18 * (double)stage->row_count)) return;  // passes through its points
  double most = stage->row_cost > 1 ? 1e5 : 1e6;
  if ((double)stage->row_count * stage->row_cost * (double)(n + 4) > most)
    return;  // a large table has a smooth objective
  struct hopping hopping = {.fit = fit, .stage = stage, .spaces = spaces};
  double *factor = arena_array(arena, n * n + 1, sizeof *factor);
  hopping.factor = factor;
  hopping.x = arena_array(arena, HOPS * n, sizeof *hopping.x);
  hopping.polished = arena_array(arena, HOPS, sizeof *hopping.polished);
  for (hopping.round = 0; hopping.round < ROUNDS; hopping.round++) {
    workspace_use(spaces[0], &stage->problem);
    if (!factorize(spaces[0], stage, factor)) return;
    threads_each(HOPS, fit->options->threads, hop_one, &hopping);
    size_t best = 0;
    for (size_t i = 1; i < HOPS; i++)
      if (hopping.polished[i].objective < hopping.polished[best].objective) best = i;
    if (!(hopping.polished[best].objective < stage->objective * (1 - 1e-6))) return;
    stage_lower(arena, stage, hopping.x + best * n, hopping.polished[best]);
  }
}
