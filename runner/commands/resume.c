// isoloss resume: continues with runs that are paused.
#include "runner/commands/marks.h"

static const struct marks_command verb = {
    MARKING_RESUME, "resumed", "would resume",
    "Takes isoloss pause back. An isoloss run at work continues the runs; else the next one does."};

void command_resume(struct command_line *line) { marks_command_run(line, &verb); }
