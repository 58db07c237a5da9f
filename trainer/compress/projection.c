// The projection onto matrices with so many nonzeroes: of each part the values of most weight are kept. See compress.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/compress/internal.h"

struct place {
  double weight;
  int64_t at;
};

// The heaviest first, among equals the earlier one.
static int heaviest_first(const void *a, const void *b) {
  const struct place *x = a, *y = b;
  if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

// Of `count` values at x the `kept` heaviest stay.
static void keep_heaviest(const float *x, const float *importance, int64_t count, int64_t kept, struct place *places,
                          float *z) {
  for (int64_t i = 0; i < count; i++) {
    double value = (double)x[i];
    places[i] = (struct place){value * value * (importance ? (double)importance[i] : 1), i};
  }
  qsort(places, (size_t)count, sizeof *places, heaviest_first);
  memset(z, 0, (size_t)count * sizeof *z);
  for (int64_t i = 0; i < kept; i++) z[places[i].at] = x[places[i].at];
}

void compress_project(const struct compress_settings *settings, const struct compress_layer *layer, const float *x,
                      const float *importance, float *z) {
  const struct pruning pruning = pruning_of(settings, layer);
  const int64_t inputs = layer->inputs;
  int64_t at = 0;
  struct place *places = memory_get((size_t)(layer->outputs * inputs) * sizeof *places);
  for (int part = 0; part < pruning.parts; part++) {
    int64_t count = pruning.part_outputs[part] * inputs, every = pruning.m ? pruning.m : count;
    int64_t kept = pruning.m ? pruning.n : count - llround(pruning.sparsity * (double)count);
    for (int64_t end = at + count; at < end; at += every)
      keep_heaviest(x + at, importance ? importance + at : NULL, every, kept, places, z + at);
  }
  free(places);
}
