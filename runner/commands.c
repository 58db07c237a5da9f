// The table of commands, and what they all do in the same way.
#include "runner/commands.h"

#include <string.h>

#include "base/failure.h"
#include "runner/terminal/table.h"

const struct command commands[] = {
    {"init", command_init, "Specs", "write a commented spec to start from, for a question"},
    {"check", command_check, "Specs", "check specs: every mistake with file, line and column"},
    {"plan", command_plan, "Specs", "show the runs a spec expands to: sizes, tokens, FLOPs, memory, time"},
    {"schema", command_schema, "Specs", "print the JSON Schema of specs, or the reference page of fields"},
    {"data", command_data, "Data", "prepare, list and show corpora"},
    {"run", command_run, "Runs", "train what a spec asks for and is not there yet"},
    {"status", command_status, "Runs", "show how far the runs are: counts by state, those at work, time left"},
    {"top", command_top, "Runs", "watch the runs at work: loss curves, speed, time left, failures"},
    {"runs", command_runs, "Runs", "list runs: filter, sort, choose columns"},
    {"show", command_show, "Runs", "show one run: settings, results, loss curve, log of a failure, files"},
    {"compare", command_compare, "Runs",
     "compare two experiments, or selections, run by run: differences, seed noise, p-value"},
    {"sql", command_sql, "Runs", "ask the store in SQL; nothing is changed"},
    {"serve", command_serve, "Runs", "show the runs as a web page: loss curves that grow, formats, fits"},
    {"stream", command_stream, "Runs", "print loss curves as they grow: JSON Lines, CSV, or files for TensorBoard"},
    {"reproduce", command_reproduce, "Runs", "train a finished run once more and compare it to the last bit"},
    {"pause", command_pause, "Runs", "hold runs back: those at work write a checkpoint and end, none is started"},
    {"resume", command_resume, "Runs", "go on with runs that are paused"},
    {"cancel", command_cancel, "Runs", "leave runs out: those at work end, none is started or missed"},
    {"retry", command_retry, "Runs", "try failed runs again, and take cancelling back"},
    {"rm", command_rm, "Runs", "remove runs or an experiment, rows and files: without --yes only said"},
    {"gc", command_gc, "Runs", "remove files that no run needs: without --yes only said"},
    {"work", command_work, "Runs", "train the runs of one of Slurm's jobs; its script calls it"},
    {"train", command_train, "Runs", "run the built-in trainer on a config.json"},
    {"export", command_export, "Runs",
     "write a run's model for other programs (Hugging Face's folder), or an experiment's runs"},
    {"evaluate", command_evaluate, "Runs",
     "compute the loss of a run's model, or of an export, again or on another corpus"},
    {"generate", command_generate, "Runs", "let a run's model, or an export, write text"},
    {"fit", command_fit, "Laws", "fit scaling laws to runs or to a table"},
    {"fit compare", command_fit_compare, "Laws", "compare laws on the same rows"},
    {"predict", command_predict, "Laws", "predict runs that were not made: losses, best sizes, best format"},
    {"import", command_import, "Laws", "keep a table from elsewhere in the store, under a name"},
    {"isoflop", command_isoflop, "Laws",
     "find compute-optimal sizes from IsoFLOP curves or the envelope of training curves"},
    {"design", command_design, "Laws", "predict the intervals that a spec's fits will give, before it is run"},
    {"laws", command_laws, "Laws", "list and explain the laws that can be fitted"},
    {"report", command_report, "Laws", "write the report of an experiment"},
    {"plot", command_plot, "Laws", "draw figures for papers and slides: PDF, SVG, PNG or TikZ, their data and scripts"},
    {"formats", command_formats, "Formats", "list and explain the formats that runs can train with"},
    {"capacity", command_capacity, "Formats", "measure the error that a format makes on random data"},
    {"bench", command_bench, "Speed", "measure how fast this machine trains, and how much faster it could"},
    {"help", command_help, "Help", "explain a command"},
    {0},
};

void commands_print(FILE *out) {
  fprintf(out,
          "isoloss: one YAML spec in, a fitted scaling law and a report out\n\n"
          "usage: isoloss COMMAND [arguments]    (isoloss COMMAND --help says more)\n\ncommands:\n");
  struct text_table list = text_list(2, 12);
  for (const struct command *c = commands; c->name; c++) {
    text_table_cell(&list, "%s", c->name);
    text_table_cell(&list, "%s", c->summary);
  }
  text_table_print(&list, out);
  text_table_free(&list);
  fprintf(
      out,
      "\nfirst steps: isoloss plan experiments/quickstart.yaml, then isoloss run, fit and report with the same file.\n"
      "Results are kept in $ISOLOSS_HOME (./out). Exit codes: 0 done, 1 some runs failed, 2 bad usage or spec,\n"
      "3 environment (device, disk, database, missing program).\n");
}

bool command_begin(struct command_line *line, const struct command_usage *usage, const struct option *options) {
  const char *name = line->command->name;
  struct arguments arguments = {.help = line->purpose == COMMAND_HELP};
  if (line->purpose == COMMAND_MANUAL) {
    command_manual(line->command, usage, options, stdout);
    return false;
  }
  if (line->purpose == COMMAND_COMPLETE) {
    command_complete(line, usage, options);
    return false;
  }
  if (!arguments.help && !options_parse(options, arena_format(&line->arena, "isoloss %s", name), line->argc, line->argv,
                                        &line->arena, &arguments, &line->error))
    return error_context(&line->error, "%s", name);
  if (arguments.help) {
    help_print(&(struct help){line->command->summary, usage->usage, usage->about, options}, stdout);
    return false;
  }
  line->arguments = arguments.items;
  line->count = arguments.count;
  line->given = arguments.given;
  line->given_count = arguments.given_count;
  if (line->count >= usage->least && line->count <= usage->most) return true;
  return error_set(&line->error, EXIT_USAGE_ERROR, "%s: give %s (isoloss %s --help says more)", name, usage->arguments,
                   name);
}

const struct command *command_find(const char *name, const char *next, struct error *error) {
  const struct command *found = NULL;
  const char *names[64];
  size_t count = 0;
  for (const struct command *c = commands; c->name; c++) {
    const char *second = strchr(c->name, ' ');
    if (!second) names[count++] = c->name;
    size_t first = second ? (size_t)(second - c->name) : strlen(c->name);
    if (strncmp(name, c->name, first) != 0 || name[first]) continue;
    if (!second || (next && strcmp(next, second + 1) == 0)) found = c;
  }
  if (found) return found;
  error_set(error, EXIT_USAGE_ERROR, "unknown command '%s'", name);
  error_hint(error, nearest_name(name, names, count), NULL);
  error_add(error, " (isoloss --help lists them)");
  return NULL;
}

static bool wants_json(int argc, char **argv) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--json") == 0) return true;
  return false;
}

// The document of a command that failed.
static void print_failure(const struct error *error) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  failure_json(error, &json);
  json_object_end(&json);
  fputs(text_string(&text), stdout);
  text_free(&text);
}

int command_refuse(int argc, char **argv, const struct error *error) {
  if (wants_json(argc, argv)) print_failure(error);
  return error_print("isoloss", error);
}

int command_call(const struct command *command, enum command_purpose purpose, int argc, char **argv) {
  int words = strchr(command->name, ' ') && argc > 1 ? 1 : 0;
  struct command_line line = {.command = command, .purpose = purpose, .argc = argc - words, .argv = argv + words};
  struct diagnostics told = {0};
  if (purpose == COMMAND_WORK && wants_json(argc, argv)) line.error.told = &told;
  command->run(&line);
  if (line.error.code && line.error.told) print_failure(&line.error);
  diagnostics_free(&told);
  int code = line.error.code ? error_print("isoloss", &line.error) : (int)line.code;
  arena_free(&line.arena);
  // Output that could not be written (a full disk, say) is a failure, not a success.
  if (fflush(stdout) != 0 || ferror(stdout)) {
    struct error error = {0};
    error_set(&error, EXIT_ENVIRONMENT, "cannot write standard output");
    int failed = error_print("isoloss", &error);
    if (!code) code = failed;
  }
  return code;
}
