// isoloss retry: tries failed runs again, and takes cancelling back.
#include "runner/commands/marks.h"

static const struct marks_command verb = {
    MARKING_RETRY, "to be tried again", "would try again",
    "Failed runs are tried again, and cancelled ones are no longer left out: by the isoloss run at work, else by the\n"
    "next one, from their checkpoints where there are some."};

void command_retry(struct command_line *line) { marks_command_run(line, &verb); }
