// isoloss train: a pass-through to the built-in trainer, isoloss-train.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"

int command_train(int argc, char **argv) {
  struct arena arena = {0};
  struct error error = {0};
  char *program = path_of_program(&arena, "isoloss-train");
  char **arguments = arena_array(&arena, (size_t)argc + 1, sizeof *arguments);
  memcpy(arguments, argv, (size_t)argc * sizeof *arguments);
  arguments[0] = program;
  execv(program, arguments);
  error_set_errno(&error, EXIT_ENVIRONMENT, "cannot start %s", program);
  arena_free(&arena);
  return command_fail(&error);
}
