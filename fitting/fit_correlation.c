// How the estimates of coefficients go together: the correlations of the inverse information matrix, from the curvature
// at the minimum. A pair near 1 or -1 says that the data know a combination of the two better than either.
#include <math.h>

#include "fitting/fit_internal.h"

enum { MOST = 64 };  // coefficients; a larger matrix is no reading matter

static const struct fit_stage *largest_stage(const struct fit *fit) {
  const struct fit_stage *largest = NULL;
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->scale || !stage->scale->inverse) continue;
    if (!largest || stage->scale->n > largest->scale->n) largest = stage;
  }
  return largest;
}

void fit_correlate(struct fit *fit) {
  struct fit_result *result = fit->result;
  const struct fit_stage *stage = largest_stage(fit);
  if (!stage || stage->scale->n < 2 || stage->scale->n > MOST) return;
  size_t n = (size_t)stage->scale->n;
  const double *inverse = stage->scale->inverse;
  result->correlated = arena_array(&result->arena, n, sizeof *result->correlated);
  result->correlation = arena_array(&result->arena, n * n, sizeof *result->correlation);
  result->correlation_size = n;
  for (size_t i = 0; i < n; i++) {
    result->correlated[i] = result->coefficients[stage->free[stage->scale->of[i]]].name;
    for (size_t j = 0; j < n; j++)
      result->correlation[i * n + j] = i == j ? 1 : inverse[i * n + j] / sqrt(inverse[i * n + i] * inverse[j * n + j]);
  }
}
