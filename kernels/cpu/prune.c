// Pruning over several weights, and masks that stay. See weights_prune in kernels/ops.h.
// Shapes: master, m and v [outputs, inputs] for each weight.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kernels/cpu/linear_format.h"

// A range of values that is chosen from by itself or together with others.
struct pruned_range {
  const struct pruned_weight *weight;
  int64_t first, count;  // in its values
};

// `values` are the range's, in float32.
static void set_zero(const struct pruned_range *range, const float *values, float threshold, int64_t last_tie) {
  const struct pruned_weight *w = range->weight;
  char *cleared[] = {w->master, w->m, w->v};
  size_t items[] = {dtype_bytes(w->weight->description.master), dtype_bytes(w->state), dtype_bytes(w->state)};
  for (int64_t i = 0; i < range->count; i++) {
    float size = fabsf(values[i]);
    if (!(size < threshold) && !(size == threshold && i > last_tie)) continue;
    for (int k = 0; k < 3; k++)
      if (cleared[k]) memset(cleared[k] + (size_t)(range->first + i) * items[k], 0, items[k]);
  }
}

// Chooses over the ranges together, and applies it: to the masters where masks stay, else as the weights' choice.
static void choose(struct device *device, const struct pruned_range *ranges, int count, double density, bool monotone) {
  struct float_span *spans = memory_get((size_t)count * sizeof *spans);
  float **widened = memory_get((size_t)count * sizeof *widened);
  int64_t total = 0;
  for (int i = 0; i < count; i++) {
    enum dtype master = ranges[i].weight->weight->description.master;
    const void *from = (const char *)ranges[i].weight->master + (size_t)ranges[i].first * dtype_bytes(master);
    if (master != DTYPE_FLOAT32) {
      widened[i] = memory_get((size_t)ranges[i].count * sizeof(float));
      cpu_convert(device, ranges[i].count, master, from, DTYPE_FLOAT32, widened[i]);
      from = widened[i];
    }
    spans[i] = (struct float_span){from, ranges[i].count};
    total += ranges[i].count;
  }
  struct selection selection = select_largest(spans, count, llround(density * (double)total));
  for (int i = 0; i < count; i++) {
    int64_t last_tie = i < selection.last_tie_span ? INT64_MAX : i == selection.last_tie_span ? selection.last_tie : -1;
    if (monotone)
      set_zero(&ranges[i], spans[i].data, selection.threshold, last_tie);
    else
      weight_format_select(ranges[i].weight->weight->format, selection.threshold, last_tie);
  }
  for (int i = 0; i < count; i++) free(widened[i]);
  free(widened);
  free(spans);
}

void cpu_weights_prune(struct device *device, const struct pruned_weight *weights, int count, int64_t step) {
  if (device->error.code != EXIT_DONE) return;
  struct pruned_range *global = memory_get((size_t)(count > 0 ? count : 1) * sizeof *global);
  int global_count = 0;
  double global_density = 1;
  bool global_monotone = false;
  for (int i = 0; i < count; i++) {
    if (!weights[i].weight->format) continue;
    const struct linear_format *plan = weight_format_plan(weights[i].weight->format);
    const struct sparsity *sparsity = &plan->weights.pattern;
    if (sparsity->kind != SPARSITY_TOP) continue;
    double density = sparsity_density(sparsity, step, plan->steps);
    if (density >= 1 || (sparsity->monotone && !sparsity_prunes(sparsity, step, plan->steps))) continue;
    if (sparsity->scope == SCOPE_GLOBAL) {
      global[global_count++] = (struct pruned_range){&weights[i], 0, plan->outputs * plan->inputs};
      global_density = density;
      global_monotone = sparsity->monotone;
    } else if (sparsity->monotone) {
      int64_t first = 0;
      for (int part = 0; part < plan->parts; part++) {
        int64_t values = plan->part_outputs[part] * plan->inputs;
        choose(device, &(struct pruned_range){&weights[i], first, values}, 1, density, true);
        first += values;
      }
    }
  }
  if (global_count) choose(device, global, global_count, global_density, global_monotone);
  free(global);
}
