// isoloss pause: holds runs back.
#include "runner/commands/marks.h"

static const struct marks_command verb = {
    MARKING_PAUSE, "paused", "would pause",
    "Runs that are paused are not started. One at work writes a checkpoint and ends, within a second or so of the call,\n"
    "and continues from there once it is resumed."};

void command_pause(struct command_line *line) { marks_command_run(line, &verb); }
