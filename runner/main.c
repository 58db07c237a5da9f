// The command `isoloss`: finds the command, runs it. Each command lives in a file of its own (commands.h).
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"

struct entry {
  const char *name;
  command_function *run;
  const char *summary;
};

static const struct entry entries[] = {
#include "command_list.inc"
};
enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

bool colour_wanted(FILE *stream) {
  const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
  return isatty(fileno(stream)) && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
}

int command_fail(const struct error *error) {
  bool colour = colour_wanted(stderr);
  fflush(stdout);
  fprintf(stderr, "%sisoloss:%s %s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "", error->text);
  return error->code;
}

static void usage(FILE *out) {
  fprintf(out,
          "isoloss: one YAML spec in, a fitted scaling law and a report out\n\n"
          "usage: isoloss COMMAND [arguments]    (isoloss COMMAND --help tells more)\n\ncommands:\n");
  for (int i = 0; i < ENTRY_COUNT; i++) fprintf(out, "  %-10s %s\n", entries[i].name, entries[i].summary);
  fprintf(
      out,
      "\nfirst steps: isoloss plan experiments/quickstart.yaml, then isoloss run, fit and report with the same file.\n"
      "Results are kept in $ISOLOSS_HOME (./out). Exit codes: 0 done, 1 some runs failed, 2 bad usage or spec,\n"
      "3 environment (device, disk, database, missing program).\n");
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_DFL);
  if (argc < 2) {
    usage(stderr);
    return EXIT_USAGE_ERROR;
  }
  const char *name = argv[1];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
    if (argc < 3) {
      usage(stdout);
      return EXIT_DONE;
    }
    static char help[] = "--help";
    name = argv[2];
    argv[1] = argv[2];
    argv[2] = help;
    argc = 3;
  }
  if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
    printf("isoloss %s\n", ISOLOSS_VERSION);
    return EXIT_DONE;
  }
  for (int i = 0; i < ENTRY_COUNT; i++) {
    if (strcmp(entries[i].name, name) != 0) continue;
    int code = entries[i].run(argc - 1, argv + 1);
    // Output that could not be written (a full disk, say) is a failure, not a success.
    if (fflush(stdout) != 0 || ferror(stdout)) {
      fprintf(stderr, "isoloss: cannot write standard output\n");
      return code ? code : EXIT_ENVIRONMENT;
    }
    return code;
  }
  const char *names[ENTRY_COUNT];
  for (int i = 0; i < ENTRY_COUNT; i++) names[i] = entries[i].name;
  const char *near = nearest_name(name, names, ENTRY_COUNT);
  struct error error = {0};
  error_set(&error, EXIT_USAGE_ERROR, "unknown command '%s'%s%s%s (isoloss --help lists them)", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  return command_fail(&error);
}
