// See prunings.h.
#include "runner/plan/prunings.h"

#include <string.h>

#include "kernels/formats/sparsity.h"

// The fewest prunings of an operand's schedule in a run; 0: none has a schedule.
static int64_t fewest_of(const struct run_config *config) {
  if (strcmp(config->format, "none") == 0) return 0;
  struct arena arena = {0};
  const struct format *format = config_format(config, &arena);
  int64_t fewest = 0;
  for (int i = 0; format && i < OPERANDS; i++) {
    int64_t prunings =
        sparsity_prunings(&format->operands[i].sparsity, config->train.steps - config_format_begins(config));
    if (prunings > 0 && (fewest == 0 || prunings < fewest)) fewest = prunings;
  }
  arena_free(&arena);
  return fewest;
}

int64_t plan_prunings(const struct plan *plan, const struct planned_run *run) {
  // One's own trainer does what it does with a format.
  return !spec_trains_model(plan->spec) || run->stage || !run->resolved ? 0 : fewest_of(&run->config);
}

const char *plan_prunings_doubt(const struct plan *plan, struct arena *arena) {
  size_t runs = 0;
  int64_t fewest = SPARSITY_FEW_PRUNINGS;
  for (size_t i = 0; i < plan->count; i++) {
    struct planned_run run;
    plan_run_quick(plan, i, &run);
    int64_t prunings = plan_prunings(plan, &run);
    if (prunings == 0 || prunings >= SPARSITY_FEW_PRUNINGS) continue;
    runs++;
    if (prunings < fewest) fewest = prunings;
  }
  if (!runs) return NULL;
  return arena_format(
      arena,
      "%zu run%s prune%s in fewer than %d events (%lld at least): the density falls in coarse steps, not "
      "along its schedule; more steps make more, as does a longer pruning phase",
      runs, runs == 1 ? "" : "s", runs == 1 ? "s" : "", SPARSITY_FEW_PRUNINGS, (long long)fewest);
}
