// isoloss fit: a law fitted to the runs of a spec, or to anybody's table. `isoloss fit compare` is in fit_compare.c.
#include <string.h>

#include "runner/commands.h"
#include "runner/fits/compare.h"
#include "runner/fits/export.h"
#include "runner/fits/input.h"

struct fit_command {
  struct fit_arguments fit;
  const char *export, *output;
  bool residuals, json;
};

// Every fit entry of a spec and its claims, or the entries of one law; kept in the store.
static bool fit_spec(const char *path, const struct fit_command *command, const struct fit_options *options,
                     size_t *claims_not_held, struct error *error) {
  const struct fit_arguments *arguments = &command->fit;
  const struct spec_fit *said = &arguments->entry;
  if (arguments->map || said->best_over.count || said->average_over.count)
    return error_set(
        error, EXIT_USAGE_ERROR,
        "fit: --map, --best-over and --average-over are for tables; a spec's fit entries say it themselves");
  struct spec spec;
  struct text json = {0};
  struct store *store = NULL;
  bool fine = spec_open(&spec, path, NULL, error);
  if (fine && !spec.fit_count && !spec.isoflop_count && !spec.claim_count && !said->law)
    fine = error_set(error, EXIT_USAGE_ERROR, "%s has neither fit entries nor claims; name a law with --law", path);
  if (fine && !store_exists_home())
    fine = error_set(error, EXIT_USAGE_ERROR, "nothing has run yet (isoloss run %s)", path);
  if (fine) fine = (store = store_open_home(STORE_WRITE, error)) != NULL;
  if (fine)
    fine = fit_experiment(&spec, store,
                          &(struct fit_experiment_options){.overrides = options,
                                                           .law = said->law,
                                                           .report = command->json ? NULL : stdout,
                                                           .json = command->json ? &json : NULL,
                                                           .claims_not_held = claims_not_held,
                                                           .residuals = command->residuals},
                          error);
  if (json.length) printf("%s\n", text_string(&json));
  text_free(&json);
  store_close(store);
  spec_free(&spec);
  return fine;
}

// One fit on one table: of a file, an import, an entry with other rows below it.
static bool fit_one(const char *source, const struct fit_command *command, const struct fit_options *options,
                    struct error *error) {
  struct fit_input input;
  struct law law = {0};
  struct fit_result result = {0};
  bool fine = fit_input_begin(&input, source, &command->fit, options, error) && law_open(&law, input.law, error) &&
              fit_input_read(&input, &law, 1, error) && fit_run(&law, &input.table, &input.options, &result, error);
  if (fine) fit_input_tell(&input, &result);
  if (fine && command->export) {
    fine = fit_export(&law, &result, command->export, command->output, error);
  } else if (fine && command->json) {
    struct text json = {0};
    struct json_writer writer = json_writer(&json, false);
    json_array_begin(&writer);
    fit_result_json(&result, &writer);
    json_array_end(&writer);
    printf("%s\n", text_string(&json));
    text_free(&json);
  } else if (fine) {
    fit_print(&result, &law, &input.notes, command->residuals, stdout);
  } else {
    for (size_t i = 0; i < result.excluded_count && i < 20; i++)
      fprintf(stderr, "  %s excluded: %s\n", result.exclusions[i].row, result.exclusions[i].reason);
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
  if (arguments->output && !arguments->export)
    error_set(error, EXIT_USAGE_ERROR, "fit: --output says where --export writes; name what to export");
  if (error->code || !fit_arguments_read("fit", &arguments->fit, &line->arena, &options, error)) return;
  bool plain = ends_with(source, ".yaml") || ends_with(source, ".yml");
  if (!plain || arguments->fit.pools.count || arguments->export)
    fit_one(source, arguments, &options, error);
  else if (fit_spec(source, arguments, &options, &claims_not_held, error) && claims_not_held)
    line->code = EXIT_RUNS_FAILED;
}

void command_fit(struct command_line *line) {
  struct fit_command a = {0};
  struct option options[FIT_ARGUMENT_OPTIONS + 8];
  size_t count = fit_arguments_options(&a.fit, OF_FIT, options);
  const struct option own[] = {
      {"profile", 0, OPTION_FLAG, &a.fit.profile_all, NULL, "profile likelihood of every fitted parameter"},
      {"residuals", 'r', OPTION_FLAG, &a.residuals, NULL, "print the residual of every row"},
      {"export", 0, OPTION_TEXT, &a.export, "LANGUAGE", "write the fitted law as c, python or latex instead",
       (const char *const[]){"c", "python", "latex", NULL}},
      {"output", 'o', OPTION_TEXT, &a.output, "FILE", "where --export writes (default: standard output)"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"},
      {0}};
  memcpy(options + count, own, sizeof own);
  const struct command_usage usage = {
      "isoloss fit SPEC.yaml[:ENTRY]|TABLE.csv|IMPORT [--law NAME] [options]\n"
      "       isoloss fit compare SOURCE --law NAME --law NAME ... [options]",
      "With a spec, every fit entry is fitted on its finished runs and kept in the store; with a table (a file, or the name of\n"
      "an imported one), the law (default chinchilla) is fitted on its rows. A table's columns are used by name: parameters\n"
      "(or N), tokens (or D), flops (or C), loss, format, ...; --map gives others those names.\n\n"
      "The objective is the plain sum over rows of the loss of the stated residual, so that it compares with published\n"
      "numbers. compare holds laws against each other on the same rows (isoloss fit compare --help).",
      1, 1, "one spec (.yaml), one table (.csv) or an imported table"};
  if (command_begin(line, &usage, options)) fit(&a, line->arguments[0], line);
}
