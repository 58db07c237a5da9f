// How a task writes its table of fields: lines as those of trainer/config_fields.c, over a struct of settings of its
// own. A file that includes this one has defined TASK, the task's name in quotes, and SETTINGS, its struct.
#pragma once
#include "trainer/field_lines.h"
#include "trainer/tasks/task.h"

#define FIELD(member, field_type) .path = TASK "." #member, .type = field_type, .offset = offsetof(SETTINGS, member)
#define RESULT(member, its_unit, line) \
  { TASK "." #member, its_unit, line, false }
#define RESULT_MEASURED(member, its_unit, line) \
  { TASK "." #member, its_unit, line, true }
// Of the entry in the table of tasks: what follows from the arrays `fields` and `results`.
#define TASK_TABLES                                                                                                 \
  .name = TASK, .fields = fields, .field_count = sizeof fields / sizeof *fields, .settings_size = sizeof(SETTINGS), \
  .results = results, .result_count = sizeof results / sizeof *results
