// How a task writes its table of fields: lines as those of trainer/config_fields.c, over a struct of settings of its
// own. A file that includes this one has defined TASK, the task's name in quotes, and SETTINGS, its struct.
#pragma once
#include "trainer/tasks/task.h"

#define FIELD(member, field_type) .path = TASK "." #member, .type = field_type, .offset = offsetof(SETTINGS, member)
#define INTEGER(member, least, most) FIELD(member, FIELD_INTEGER), .low = least, .high = most
#define NUMBER(member, least, most) FIELD(member, FIELD_NUMBER), .low = least, .high = most
#define BOOLEAN(member) FIELD(member, FIELD_BOOLEAN)
#define CHOICE(member, words) FIELD(member, FIELD_CHOICE), .choices = words
#define TEXT(member) FIELD(member, FIELD_TEXT)
#define DEFAULT(text) .fallback = text
#define AUTO .fallback = "auto", .auto_allowed = true
#define UNIT(text) .unit = text
#define COUNTS .effect = EFFECT_COUNTS
#define NO_EFFECT .effect = EFFECT_NONE
#define HELP(line) .help = line
#define RESULT(member, its_unit, line) \
  { TASK "." #member, its_unit, line }
