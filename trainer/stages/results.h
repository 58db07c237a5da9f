// Numbers that runs of a stage report beside those that are columns of the store (results/columns.c): as a task's
// results, columns of the stores that have runs of the stage, by the name of the stage and a dot.
#pragma once
#include "trainer/tasks/task.h"

struct stage_result {
  const char *stage;
  struct task_result result;
};
extern const struct stage_result stage_results[];
extern const size_t stage_result_count;
// NULL: no stage reports one of that name.
const struct stage_result *stage_result_find(const char *name);
