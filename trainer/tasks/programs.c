// The table of the tasks' programs; see program.h.
#include "trainer/tasks/program.h"

#define ENTRY(name) {#name, name##_work},
const struct task_program task_programs[] = {EACH_TASK(ENTRY){NULL, NULL}};
