// isoloss fit: a law fitted to the runs of a spec, or to anybody's table. `isoloss fit compare` is in fit_compare.c.
#include <string.h>

#include "runner/commands.h"
#include "runner/fits/compare.h"
#include "runner/fits/export.h"
#include "runner/fits/input.h"
#include "runner/fits/made.h"

struct fit_command {
  struct fit_arguments fit;
  const char *export, *output, *as, *again;
  struct fit_print_options print;
  bool json;
  const struct fit_made *expected;  // of --again: what the data were; NULL: nothing is expected
};

// Whether options make it another fit than the spec's. A law may only name one of its entries; a preset is the spec's
// own.
static bool is_ad_hoc(const struct spec *spec, const struct fit_arguments *arguments) {
  for (size_t i = 0; i < arguments->given_count; i++) {
    const struct option_given *given = &arguments->given[i];
    bool law = strcmp(given->option, "--law") == 0, named = false;
    for (size_t k = 0; k < spec->fit_count && law; k++)
      named |= strcmp(spec->fits[k].law, given->value) == 0 || strcmp(spec->fits[k].name, given->value) == 0;
    for (size_t k = 0; k < spec->isoflop_count && law; k++) named |= strcmp(spec->isoflops[k].name, given->value) == 0;
    bool preset = strcmp(given->option, "--preset") == 0;
    if (fit_option_matters(given->option) && !named && !preset) return true;
  }
  return false;
}

// The fit entries of a spec and its claims, or one of them, or another fit on their runs.
static bool fit_spec(const char *source, const struct fit_command *command, const struct fit_options *options,
                     size_t *claims_not_held, struct error *error) {
  const struct fit_arguments *arguments = &command->fit;
  const char *law = arguments->entry.law, *entry;
  struct arena arena = {0};
  struct spec spec;
  struct text json = {0};
  struct store *store = NULL;
  const char *path = source_split(source, &arena, &entry);
  if (arguments->map)
    return error_set(error, EXIT_USAGE_ERROR, "fit: --map is for tables; the runs of a spec have their columns");
  bool fine = spec_open(&spec, path, &arguments->choices, error);
  if (fine && !spec.fit_count && !spec.isoflop_count && !spec.claim_count && !law)
    fine = error_set(error, EXIT_USAGE_ERROR, "%s has neither fit entries nor claims; name a law with --law", path);
  if (fine && !store_exists_home())
    fine = error_set(error, EXIT_USAGE_ERROR, "nothing has run yet (isoloss run %s)", spec.call);
  if (fine) fine = (store = store_open_home(STORE_KEEP, error)) != NULL;
  if (fine)
    fine = fit_experiment(&spec, store,
                          &(struct fit_experiment_options){.overrides = options,
                                                           .arguments = arguments,
                                                           .entry = entry,
                                                           .law = law,
                                                           .ad_hoc = command->expected || is_ad_hoc(&spec, arguments),
                                                           .as = command->as,
                                                           .as_file = true,
                                                           .expected = command->expected,
                                                           .report = command->json ? NULL : stdout,
                                                           .json = command->json ? &json : NULL,
                                                           .claims_not_held = claims_not_held,
                                                           .print = command->print},
                          error);
  bool others = fine || json.length > strlen("[]");  // what failed alone is reported by the command's own document
  if (json.length && others) {                       // the fits that worked, whatever became of the others
    printf("%s\n", text_string(&json));
    error->told = NULL;
  }
  text_free(&json);
  store_close(store);
  spec_free(&spec);
  arena_free(&arena);
  return fine;
}

// A law by the values of a column, on one table.
static bool fit_table_by(struct fit_input *input, const struct law *law, const struct fit_command *command,
                         struct error *error) {
  struct fit_parts parts = {0};
  struct text json = {0};
  struct json_writer writer = json_writer(&json, false);
  bool fine = fit_run_by(law, &input->table, &input->options, &parts, error);
  json_array_begin(&writer);
  for (size_t i = 0; fine && i < parts.count; i++) {
    fit_input_tell(input, &parts.results[i]);
    if (command->expected) fine = fit_made_compare(command->expected, &parts.results[i].made, error);
    fit_result_json(&parts.results[i], &writer);
  }
  json_array_end(&writer);
  if (fine && command->export)
    fine = fit_export(law, parts.results, parts.count, command->export, command->output, error);
  else if (fine && command->json)
    printf("%s\n", text_string(&json));
  else if (fine)
    fit_parts_print(&parts, law, stdout);
  for (size_t i = 0; fine && (command->json || command->export) && i < parts.left_out_count; i++)
    fprintf(stderr, "isoloss: %s %s is left out: %s\n", input->options.by, parts.left_out[i].row,
            parts.left_out[i].reason);
  text_free(&json);
  fit_parts_free(&parts);
  return fine;
}

// Of a fit that was not made: each reason once, with how many rows were left out for it.
static void tell_exclusions(const struct fit_result *result) {
  for (size_t i = 0; i < result->excluded_count; i++) {
    const char *reason = result->exclusions[i].reason;
    size_t alike = 0, before = 0;
    for (size_t k = 0; k < result->excluded_count; k++) {
      bool same = strcmp(result->exclusions[k].reason, reason) == 0;
      before += same && k < i;
      alike += same;
    }
    if (!before)
      fprintf(stderr, "  %zu row%s excluded, %s first: %s\n", alike, alike == 1 ? "" : "s", result->exclusions[i].row,
              reason);
  }
}

// One fit on one table: of a file, an import, an entry with other rows below it.
static bool fit_one(const char *source, const struct fit_command *command, const struct fit_options *options,
                    struct error *error) {
  struct fit_input input;
  struct law law = {0};
  struct fit_result result = {0};
  bool fine = fit_input_begin(&input, source, &command->fit, options, error) && law_open(&law, input.law, error) &&
              fit_input_read(&input, &law, 1, error);
  if (fine && input.options.by) {
    fine = fit_table_by(&input, &law, command, error);
    law_free(&law);
    fit_input_free(&input);
    return fine;
  }
  fine = fine && fit_run(&law, &input.table, &input.options, &result, error);
  if (fine) fit_input_tell(&input, &result);
  if (fine && command->expected) fine = fit_made_compare(command->expected, &result.made, error);
  if (fine && command->export) {
    fine = fit_export(&law, &result, 1, command->export, command->output, error);
  } else if (fine && command->json) {
    struct text json = {0};
    struct json_writer writer = json_writer(&json, false);
    json_array_begin(&writer);
    fit_result_json(&result, &writer);
    json_array_end(&writer);
    printf("%s\n", text_string(&json));
    text_free(&json);
  } else if (fine) {
    fit_print(&result, &law, &input.notes, &command->print, stdout);
  } else {
    tell_exclusions(&result);
  }
  fit_result_free(&result);
  law_free(&law);
  fit_input_free(&input);
  return fine;
}

static void fit(struct fit_command *arguments, const char *source, struct command_line *line) {
  struct error *error = &line->error;
  struct fit_options options;
  size_t claims_not_held = 0;
  bool is_spec;
  if (arguments->output && !arguments->export)
    error_set(error, EXIT_USAGE_ERROR, "fit: --output says where --export writes; name what to export");
  if (error->code || !fit_arguments_read("fit", &arguments->fit, &line->arena, &options, error) ||
      !source_find(source, &is_spec, error))
    return;
  bool kept = is_spec && !arguments->fit.pools.count && !arguments->export && !arguments->fit.curves;
  if (arguments->as && !kept)
    error_set(error, EXIT_USAGE_ERROR, "fit: --as keeps a fit of a spec's runs, without --pool and --export");
  else if (!kept)
    fit_one(source, arguments, &options, error);
  else if (fit_spec(source, arguments, &options, &claims_not_held, error) && claims_not_held)
    line->code = EXIT_RUNS_FAILED;
}

static void fit_options_table(struct fit_command *a, struct option *options) {
  static const char *const languages[] = {"c", "python", "latex", NULL};
  *a = (struct fit_command){0};
  size_t count = fit_arguments_options(&a->fit, OF_FIT, options);
  const struct option own[] = {
      {"profile", 0, OPTION_FLAG, &a->fit.profile_all, NULL, "profile likelihood of every fitted parameter"},
      {"residuals", 'r', OPTION_FLAG, &a->print.residuals, NULL, "print the residual of every row"},
      {"details", 'd', OPTION_FLAG, &a->print.details, NULL,
       "print the whole diagnosis: profiles, other objectives, the largest residuals"},
      {"as", 0, OPTION_TEXT, &a->as, "NAME", "keep a fit of a spec's runs with other options under this name"},
      {"again", 0, OPTION_TEXT, &a->again, "FILE", "make the fit of a JSON document again, and print it as JSON"},
      {"export", 0, OPTION_TEXT, &a->export, "LANGUAGE", "write the fitted law as c, python or latex instead",
       languages},
      {"output", 'o', OPTION_TEXT, &a->output, "FILE", "where --export writes (default: standard output)"},
      {"json", 0, OPTION_FLAG, &a->json, NULL, "one JSON document on standard output"},
      {0}};
  memcpy(options + count, own, sizeof own);
}

// The fit that a document tells of, by the arguments that it keeps, on data of the same digests.
static void again(const struct fit_command *asked, struct command_line *line) {
  struct error *error = &line->error;
  struct fit_result result = {0};
  struct fit_command a;
  struct option options[FIT_ARGUMENT_OPTIONS + 8];
  struct arguments arguments;
  const char *document = file_read(&line->arena, asked->again, NULL, error);
  if (!document || !fit_result_read_part(&result, document, error)) {
    error_context(error, "%s", asked->again);
  } else if (!result.made.argument_count) {
    error_set(error, EXIT_USAGE_ERROR, "%s does not say how the fit was made (documents of older versions do not)",
              asked->again);
  } else {
    int count = (int)result.made.argument_count;
    char **words = arena_array(&line->arena, (size_t)count + 2, sizeof *words);
    words[0] = arena_string(&line->arena, "fit");
    for (int i = 0; i < count; i++) words[i + 1] = arena_string(&line->arena, result.made.arguments[i]);
    fit_options_table(&a, options);
    if (options_parse(options, "isoloss fit", count + 1, words, &line->arena, &arguments, error) &&
        arguments.count == 1) {
      a.json = true;
      a.fit.threads = asked->fit.threads;
      a.fit.given = arguments.given;
      a.fit.given_count = arguments.given_count;
      a.expected = &result.made;
      fit(&a, arguments.items[0], line);
    } else if (!error->code) {
      error_set(error, EXIT_USAGE_ERROR, "%s: its arguments are those of no fit", asked->again);
    }
  }
  fit_result_free(&result);
}

void command_fit(struct command_line *line) {
  struct fit_command a;
  struct option options[FIT_ARGUMENT_OPTIONS + 8];
  fit_options_table(&a, options);
  const struct command_usage usage = {
      "isoloss fit SPEC|EXPERIMENT|TABLE.csv|IMPORT [--law NAME] [options]\n"
      "       isoloss fit SPEC:ENTRY ... | --again FILE.json\n"
      "       isoloss fit compare SOURCE --law NAME --law NAME ... [options]",
      "With a spec, every fit entry is fitted on the finished runs of the file and kept in the store; options make other fits\n"
      "of the same runs, which are printed, and kept only with --as. With a table (a file, or the name of an imported one), the\n"
      "law (default chinchilla) is fitted on its rows. A table's columns are used by name: parameters (or N), tokens (or D),\n"
      "flops (or C), loss, format, ...; --map gives others those names.\n\n"
      "The objective is the plain sum over rows of the loss of the stated residual, so that it compares with published\n"
      "numbers. compare holds laws against each other on the same rows (isoloss fit compare --help).",
      0, 1, "one spec (.yaml), one experiment, one table (.csv) or an imported table"};
  if (!command_begin(line, &usage, options)) return;
  a.print.profiles = a.fit.profile_all || a.fit.entry.profile.count;
  a.fit.given = line->given;
  a.fit.given_count = line->given_count;
  if (a.again && line->count)
    error_set(&line->error, EXIT_USAGE_ERROR, "fit: --again takes all from the document; leave out %s",
              line->arguments[0]);
  else if (a.again)
    again(&a, line);
  else if (!line->count)
    error_set(&line->error, EXIT_USAGE_ERROR, "fit: give %s (isoloss fit --help says more)", usage.arguments);
  else
    fit(&a, line->arguments[0], line);
}
