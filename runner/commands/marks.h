// isoloss pause, resume, cancel and retry are one command with another verb.
#pragma once
#include "runner/commands.h"
#include "runner/execute/marking.h"

struct marks_command {
  enum marking_verb verb;
  const char *done, *would;  // "paused", "would pause"
  const char *about;         // of the help: what becomes of the runs
};
void marks_command_run(struct command_line *line, const struct marks_command *verb);
