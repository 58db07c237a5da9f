// Pruning schedules of a plan's runs that are too coarse for their runs.
#pragma once
#include "runner/plan/plan.h"

// In how many steps of the training the density falls, of the operand with the fewest; 0: none has a schedule, or the
// run's length is not known.
int64_t plan_prunings(const struct plan *plan, const struct planned_run *run);
// What is to be said of runs whose density falls in fewer than SPARSITY_FEW_PRUNINGS steps, in the arena; NULL when no
// run of known length does.
const char *plan_prunings_doubt(const struct plan *plan, struct arena *arena);
