// Pruning over several weights, and masks that stay: see weights_prune in kernels/ops.h and kernels/cpu/prune.c.
// Shapes: master, m and v [outputs, inputs] for each weight.
#pragma once
#include "kernels/cuda/format_linear.cuh"

namespace {

// A range of values that is chosen from by itself or together with others.
struct pruned_range {
  const struct pruned_weight *weight;
  int64_t first, count;  // in its values
};

// Chooses over the ranges together, and applies it: to the masters where masks stay, else as the weights' choice.
inline void choose(struct device *device, const pruned_range *ranges, int count, int64_t step, bool monotone) {
  format_scratch s;
  if (!take_scratch(device, &ranges[0].weight->weight->description, 0, 0, &s)) return;
  select_span *spans = (select_span *)memory_get((size_t)count * sizeof *spans);
  enum dtype dtype = ranges[0].weight->weight->description.master;  // of all
  for (int i = 0; i < count; i++)
    spans[i] = {(const char *)ranges[i].weight->master + (size_t)ranges[i].first * dtype_bytes(dtype), ranges[i].count};
  set_format_numbers(device, ranges[count - 1].weight->weight->format, step);
  run_select(device, dtype, spans, count, &s);
  for (int i = 0; i < count; i++) {
    const struct pruned_weight *w = ranges[i].weight;
    int64_t first = ranges[i].first, values = ranges[i].count;
    if (!monotone) {
      run_choice(device, i, &s, w->weight->format->chosen);
      continue;
    }
    with_dtype(dtype, [&](auto master_element) {
      with_dtype(w->state, [&](auto element) {
        using Master = decltype(master_element);
        using State = decltype(element);
        State *m = (State *)w->m, *v = (State *)w->v;
        run(device, prune_kernel<Master, State>, {"prune", element_blocks(values), ELEMENT_THREADS, 0}, i, values,
            view(s.state, 1), view((Master *)w->master + first, values), view(m ? m + first : nullptr, values),
            view(v ? v + first : nullptr, values));
      });
    });
  }
  std::free(spans);
}

void weights_prune(struct device *device, const struct pruned_weight *weights, int count, int64_t step) {
  if (!going(device)) return;
  pruned_range *global = (pruned_range *)memory_get((size_t)(count > 0 ? count : 1) * sizeof *global);
  int global_count = 0;
  bool global_monotone = false;
  for (int i = 0; i < count; i++) {
    if (!weights[i].weight->format) continue;
    const struct linear_format *plan = &weights[i].weight->format->plan;
    const struct sparsity *sparsity = &plan->weights.pattern;
    if (sparsity->kind != SPARSITY_TOP) continue;
    double density = sparsity_density(sparsity, step, plan->steps);
    if (density >= 1 || (sparsity->monotone && !sparsity_prunes(sparsity, step, plan->steps))) continue;
    if (sparsity->scope == SCOPE_GLOBAL) {
      global[global_count++] = {&weights[i], 0, plan->outputs * plan->inputs};
      global_monotone = sparsity->monotone;
    } else if (sparsity->monotone) {
      int64_t first = 0;
      for (int part = 0; part < plan->parts; part++) {
        pruned_range range = {&weights[i], first, plan->part_outputs[part] * plan->inputs};
        choose(device, &range, 1, step, true);
        first += range.count;
      }
    }
  }
  if (global_count) choose(device, global, global_count, step, global_monotone);
  std::free(global);
}

}  // namespace
