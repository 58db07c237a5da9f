// isoloss train: a pass-through to the built-in trainer, isoloss-train.
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"

static void start_trainer(const struct command_line *line, struct arena *arena, struct error *error) {
  static char help[] = "--help";
  char *program = path_of_program(arena, "isoloss-train");
  char **arguments = arena_array(arena, (size_t)line->argc + 3, sizeof *arguments);
  if (line->argc > 1) memcpy(arguments, line->argv, (size_t)line->argc * sizeof *arguments);
  if (line->purpose == COMMAND_HELP) arguments[1] = help;
  arguments[0] = program;
  execv(program, arguments);
  error_set_errno(error, EXIT_ENVIRONMENT, "cannot start %s", program);
}

void command_train(struct command_line *line) {
  const struct option options[] = {{0}};  // they are the trainer's
  const struct command_usage usage = {
      "isoloss train [--steps N] CONFIG.json\n"
      "       isoloss train --evaluate CHECKPOINT [--json] CONFIG.json",
      "Runs isoloss-train on one run's configuration, as a worker would; isoloss train --help lists its options. --steps\n"
      "stops early, with a checkpoint. With --evaluate it only computes the final loss, with the weights of a checkpoint."};
  if (line->purpose == COMMAND_MANUAL || line->purpose == COMMAND_COMPLETE)
    command_begin(line, &usage, options);
  else
    start_trainer(line, &line->arena, &line->error);
}
