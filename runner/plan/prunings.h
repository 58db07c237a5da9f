// Pruning schedules of a plan's runs that are too coarse for their runs.
#pragma once
#include "runner/plan/plan.h"

// What is to be said of runs whose density falls in fewer than SPARSITY_FEW_PRUNINGS steps, in the arena; NULL when no
// run of known length does.
const char *plan_prunings_doubt(const struct plan *plan, struct arena *arena);
