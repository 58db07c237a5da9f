// Formats that leave a share of a model's blocks in full precision, and models with too few blocks for it.
#pragma once
#include "runner/plan/plan.h"

// What is to be said of runs whose format names such a share (high-precision) of which no whole block is left, in the
// arena; NULL when no run is so.
const char *plan_kept_blocks_doubt(const struct plan *plan, struct arena *arena);
