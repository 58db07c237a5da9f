// The table of operations (kernels/cases) at the shapes of a training step.
#pragma once
#include "kernels/cases/cases.h"
#include "runner/bench/bench.h"

struct bench_operation {
  const struct operation *operation;
  struct case_shape shape;
  enum dtype dtype;
};

// Every operation that the table says a step of the model has, once for each shape, in the table's order. The list is
// in the arena; returns its length.
size_t bench_operations(struct arena *arena, const struct run_config *model, struct bench_operation **list);
