// See draw.h.
#include "trainer/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int descending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

int32_t token_draw(const double *logits, int64_t vocabulary, double temperature, int64_t top, double uniform) {
  int64_t largest = 0;
  for (int64_t v = 1; v < vocabulary; v++)
    if (logits[v] > logits[largest]) largest = v;
  if (temperature == 0) return (int32_t)largest;
  double least = -INFINITY, sum = 0;
  double *weights = memory_get((size_t)vocabulary * sizeof *weights);
  if (top > 0 && top < vocabulary) {
    memcpy(weights, logits, (size_t)vocabulary * sizeof *weights);
    qsort(weights, (size_t)vocabulary, sizeof *weights, descending);
    least = weights[top - 1];
  }
  for (int64_t v = 0; v < vocabulary; v++) {
    weights[v] = logits[v] >= least ? exp((logits[v] - logits[largest]) / temperature) : 0;
    sum += weights[v];
  }
  double at = uniform * sum;
  int64_t chosen = largest;
  for (int64_t v = 0; v < vocabulary; v++) {
    if (weights[v] == 0) continue;
    chosen = v;
    if ((at -= weights[v]) < 0) break;
  }
  free(weights);
  return (int32_t)chosen;
}
