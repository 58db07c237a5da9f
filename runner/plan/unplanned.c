// What planned memory leaves out: a stage's is that of training the model which it follows. See plan.h.
#include <math.h>
#include <stdio.h>

#include "runner/plan/plan.h"
#include "runner/plan/stages.h"

const char *plan_memory_without(const struct planned_run *run) {
  return run->stage && !isnan(run->memory) ? run->stage->unplanned : NULL;
}

void plan_print_unplanned(const struct plan *plan, FILE *out) {
  bool said = false;
  for (size_t level = 1; level <= plan->spec->stage_count; level++) {
    const char *without = plan->spec->stages[level - 1].stage->unplanned;
    if (!without || !plan_stage_count(plan, level)) continue;
    fprintf(out, "%s%s", said ? "; " : "memory of stages is that of training the model they follow, without ", without);
    said = true;
  }
  if (said) fputs("\n", out);
}
