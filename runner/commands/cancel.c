// isoloss cancel: leaves runs out.
#include "runner/commands/marks.h"

static const struct marks_command verb = {
    MARKING_CANCEL, "cancelled", "would cancel",
    "Runs that are cancelled are left out: one at work writes a checkpoint and ends, none is started, and isoloss run\n"
    "does not count them as missing. They stay in their experiments with what they have; isoloss rm removes them."};

void command_cancel(struct command_line *line) { marks_command_run(line, &verb); }
