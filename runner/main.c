// The program isoloss: finds the command, runs it. Each command has a file of its own in commands/.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "runner/commands.h"

struct entry {
  const char *name;
  command_function *run;
  const char *summary;
};

static const struct entry entries[] = {
    {"check", command_check, "check a spec: every mistake with file, line and column"},
    {"plan", command_plan, "show the runs a spec expands to: sizes, tokens, FLOPs, memory, time"},
    {"schema", command_schema, "print the JSON Schema of specs, or the reference page of fields"},
    {"data", command_data, "prepare, list and show corpora"},
    {"run", command_run, "train what a spec asks for and is not there yet"},
    {"status", command_status, "how far the runs are"},
    {"runs", command_runs, "list runs: filter, sort, choose columns"},
    {"show", command_show, "one run: configuration, results, log"},
    {"fit", command_fit, "fit scaling laws to runs or to a table"},
    {"predict", command_predict, "what a fit says of runs not made: losses, best sizes, best format"},
    {"import", command_import, "keep a table from elsewhere under a name"},
    {"isoflop", command_isoflop, "compute-optimal sizes from IsoFLOP curves or the envelope of training curves"},
    {"design", command_design, "what intervals the fits of a spec will give, before it is run"},
    {"laws", command_laws, "list and explain the laws that can be fitted"},
    {"report", command_report, "write the report of an experiment"},
    {"formats", command_formats, "list and explain the formats that runs can train with"},
    {"capacity", command_capacity, "the error a format makes on random data"},
    {"bench", command_bench, "how fast this machine trains, and how much faster it could"},
    {"train", command_train, "run the built-in trainer on a config.json"},
};
enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

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
