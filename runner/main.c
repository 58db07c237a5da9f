// The program isoloss: finds the command, calls it.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "fitting/fitting.h"
#include "runner/commands.h"

int main(int argc, char **argv) {
  static char help[] = "help";
  signal(SIGPIPE, SIG_DFL);
  fitting_start();
  if (argc < 2) {
    commands_print(stderr);
    return EXIT_USAGE_ERROR;
  }
  if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
    printf("isoloss %s\n", ISOLOSS_VERSION);
    return EXIT_DONE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) argv[1] = help;
  struct error error = {0};
  const struct command *command = command_find(argv[1], argv[2], &error);
  return command ? command_call(command, COMMAND_WORK, argc - 1, argv + 1) : command_refuse(argc, argv, &error);
}
