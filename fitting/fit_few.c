// Categories of few rows. A resample holds the rows of a category as they are, each as often as it is drawn, so that a
// coefficient that rests on one row comes out the same in all of them, whatever that row's error is. Of the variance
// s^2 / k of a mean of k rows, resamples show s^2 (k - 1) / k^2: the rest, s^2 / k^2, is drawn next to them, as a shift
// that the category's rows share. A jackknife shows all of it but where k = 1: it never sees the only row's error.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { FEW = 4 };  // with more the difference is under a tenth of the standard error

// Standard deviation of the stage's residuals, with the coefficients' degrees of freedom.
static double deviation_of(const struct fit *fit, const struct fit_stage *stage) {
  double squares = 0;
  struct workspace *workspace = workspace_new(&fit->result->arena, &stage->problem);
  problem_evaluate(workspace, stage->x, NULL, WANT_VALUE);
  for (size_t i = 0; i < stage->row_count; i++) squares += workspace->residual[i] * workspace->residual[i];
  return sqrt(squares / fmax(1, (double)stage->row_count - stage->free_count));
}

// Groups of rows (single rows, or runs) that have the element; of[]: whether a row of the stage has it.
static int groups_with(const struct fit *fit, const struct fit_stage *stage, int element, bool *of, bool *seen) {
  int groups = 0;
  memset(seen, 0, (size_t)fit->group_count * sizeof *seen);
  memset(of, 0, stage->row_count * sizeof *of);
  for (int l = 0; l < stage->program->leaf_count; l++) {
    const struct leaf *leaf = &stage->program->leaves[l];
    for (size_t i = 0; leaf->index && i < stage->row_count; i++) of[i] |= leaf->index[i] == element;
  }
  for (size_t i = 0; i < stage->row_count; i++) {
    int group = fit->row_group[stage->rows[i]];
    if (!of[i] || group < 0 || seen[group]) continue;
    seen[group] = true;
    groups++;
  }
  return groups;
}

void fit_few(struct fit *fit) {
  size_t rows = fit->table->row_count + 1;
  bool *of = memory_get(rows * sizeof *of), *seen = memory_get(((size_t)fit->group_count + 1) * sizeof *seen);
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    for (int i = 0; i < stage->free_count; i++) {
      int e = stage->free[i], groups = 0;
      if (!fit->elements[e].category) continue;
      groups = groups_with(fit, stage, e, of, seen);
      if (!groups || groups > FEW) continue;
      if (!fit->row_few) {
        fit->row_few = arena_array(&fit->arena, rows, sizeof *fit->row_few);
        fit->row_few_of = arena_array(&fit->arena, rows, sizeof *fit->row_few_of);
        fit->row_alone = arena_array(&fit->arena, rows, sizeof *fit->row_alone);
      }
      double deviation = deviation_of(fit, stage) / groups;
      for (size_t k = 0; k < stage->row_count; k++) {
        size_t row = stage->rows[k];
        double own = deviation / (stage->row_scale ? stage->row_scale[k] : 1);
        if (!of[k] || own <= fit->row_few[row]) continue;
        fit->row_few[row] = own;
        fit->row_few_of[row] = e;
        fit->row_alone[row] = groups == 1;
      }
    }
  }
  free(of);
  free(seen);
}
