// Which weights SparseGPT (Frantar & Alistarh 2023) keeps: those whose removal, made up for by what is still to be
// rounded, would cost most, w^2 / U_ii^2 (optimal brain surgeon's score). See internal.h.
#include <math.h>
#include <stdlib.h>

#include "trainer/compress/internal.h"

int64_t pruning_every(const struct pruning *pruning) { return pruning->m ? pruning->m : PRUNING_BLOCK; }

struct scored {
  double score;
  int64_t place;
};

static int least_first(const void *a, const void *b) {
  const struct scored *x = a, *y = b;
  if (x->score != y->score) return x->score < y->score ? -1 : 1;
  return (x->place > y->place) - (x->place < y->place);
}

// n of the m weights of each output; among equals the earlier one.
static void choose_pattern(const struct pruning *pruning, const double *w, const double *d, int64_t count,
                           int64_t outputs, uint8_t *keep) {
  for (int64_t o = 0; o < outputs; o++)
    for (int64_t i = 0; i < count; i++) {
      double score = w[i * outputs + o] / d[i];
      int larger = 0;
      for (int64_t j = 0; j < count; j++) {
        double other = w[j * outputs + o] / d[j];
        larger += j < i ? fabs(other) >= fabs(score) : fabs(other) > fabs(score);
      }
      keep[i * outputs + o] = larger < pruning->n;
    }
}

void pruning_choose(const struct pruning *pruning, const double *w, const double *d, int64_t count, int64_t outputs,
                    uint8_t *keep, struct arena *arena) {
  if (pruning->m) {
    choose_pattern(pruning, w, d, count, outputs, keep);
    return;
  }
  struct scored *scored = memory_get((size_t)(count * outputs) * sizeof *scored);
  int64_t begin = 0;
  for (int part = 0; part < pruning->parts; part++) {
    int64_t width = pruning->part_outputs[part], values = width * count;
    for (int64_t i = 0; i < count; i++)
      for (int64_t o = 0; o < width; o++) {
        double x = w[i * outputs + begin + o] / d[i];
        scored[i * width + o] = (struct scored){x * x, i * outputs + begin + o};
      }
    qsort(scored, (size_t)values, sizeof *scored, least_first);
    int64_t pruned = llround(pruning->sparsity * (double)values);
    for (int64_t i = 0; i < values; i++) keep[scored[i].place] = i >= pruned;
    begin += width;
  }
  free(scored);
}
