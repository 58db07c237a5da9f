// See kept_blocks.h.
#include "runner/plan/kept_blocks.h"

#include <string.h>

// Whether the run's format keeps a share of the blocks, and none of them.
static bool keeps_none(const struct run_config *config) {
  if (strcmp(config->format, "none") == 0) return false;
  struct arena arena = {0};
  const struct format *format = config_format(config, &arena);
  int64_t blocks = config->model.layers;
  bool none = format && format->high_precision > 0 && format_blocks(format, blocks) == blocks;
  arena_free(&arena);
  return none;
}

const char *plan_kept_blocks_doubt(const struct plan *plan, struct arena *arena) {
  size_t runs = 0;
  struct planned_run run;
  int64_t blocks = 0;
  const char *name = NULL;
  for (size_t i = 0; spec_trains_model(plan->spec) && i < plan->count; i++) {
    plan_run_quick(plan, i, &run);
    if (run.stage || !run.resolved || !keeps_none(&run.config)) continue;
    if (!runs++) {
      blocks = run.config.model.layers;
      name = config_format_name(&run.config, arena);
    }
  }
  if (!runs) return NULL;
  return arena_format(
      arena,
      "%zu run%s no block in full precision: of %lld block%s the share of format %s is less than half a "
      "block; a deeper model or a larger share, as high-precision(0.5), has some",
      runs, runs == 1 ? " has" : "s have", (long long)blocks, blocks == 1 ? "" : "s", name);
}
