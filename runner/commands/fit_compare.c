// isoloss fit compare: laws against each other on the same rows.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/fits/compare.h"
#include "runner/fits/input.h"

static void show_progress(void *context, size_t done, size_t total) {
  (void)context;
  fprintf(stderr, "\rfit %zu of %zu ", done + 1, total);
  fflush(stderr);
}

struct compare_arguments {
  struct fit_arguments fit;
  struct option_list laws;
  int64_t folds;
  bool json;
};

// Puts what happened to the rows into the comparison.
static void tell(const struct fit_input *input, struct comparison *comparison) {
  comparison->duplicates = input->notes.duplicates;
  for (size_t i = 0; i < input->notes.warning_count; i++) comparison_warn(comparison, "%s", input->notes.warnings[i]);
}

static bool compare(const char *source, const struct compare_arguments *arguments, const struct fit_options *options,
                    struct error *error) {
  struct fit_input input;
  struct law *laws = memory_get((arguments->laws.count + 1) * sizeof *laws);
  struct comparison comparison = {0};
  struct fit_arguments own = arguments->fit;
  own.entry.law = arguments->laws.items[0];
  bool fine = fit_input_begin(&input, source, &own, options, error);
  for (size_t l = 0; l < arguments->laws.count && fine; l++) fine = law_open(&laws[l], arguments->laws.items[l], error);
  fine = fine && fit_input_read(&input, laws, arguments->laws.count, error);
  bool live = isatty(STDERR_FILENO) && !arguments->json;
  struct compare_options compare_options = {
      .fit = input.options, .folds = (int)arguments->folds, .progress = live ? show_progress : NULL};
  if (fine && input.has_spec) {  // every law on one scale: the first one's, unless the command line says otherwise
    compare_options.fit.objective = options->objective;
    compare_options.fit.residual = options->residual;
  }
  fine = fine && laws_compare(laws, arguments->laws.count, &input.table, &compare_options, &comparison, error);
  if (live) fprintf(stderr, "\r                        \r");
  if (fine) tell(&input, &comparison);
  if (fine && arguments->json) {
    struct text text = {0};
    struct json_writer writer = json_writer(&text, false);
    comparison_json(&comparison, &writer);
    printf("%s\n", text_string(&text));
    text_free(&text);
  } else if (fine) {
    comparison_print(&comparison, stdout);
  }
  comparison_free(&comparison);
  for (size_t l = 0; l < arguments->laws.count; l++) law_free(&laws[l]);
  free(laws);
  fit_input_free(&input);
  return fine;
}

static bool check(const struct compare_arguments *a, struct error *error) {
  if (a->laws.count < 2)
    return error_set(error, EXIT_USAGE_ERROR, "fit compare: name at least two laws: --law chinchilla --law kaplan");
  return (a->folds >= 0 && a->folds <= 1000) ||
         error_set(error, EXIT_USAGE_ERROR, "fit compare: --folds takes 1 to 1000");
}

void command_fit_compare(struct command_line *line) {
  struct compare_arguments a = {0};
  struct option options[FIT_ARGUMENT_OPTIONS + 8] = {
      {"law", 'l', OPTION_LIST, &a.laws, "NAME", "a law; give it several times"},
      {"folds", 'k', OPTION_INTEGER, &a.folds, "K",
       "of the cross-validation (default 5; 1: none), whole groups (--group)"}};
  size_t count = 2 + fit_arguments_options(&a.fit, OF_COMPARE, options + 2);
  a.fit.entry.bootstrap = 0;  // laws are compared without intervals unless they are asked for
  const struct option own[] = {{"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"}, {0}};
  memcpy(options + count, own, sizeof own);
  const struct command_usage usage = {
      "isoloss fit compare SPEC.yaml[:ENTRY]|TABLE.csv|IMPORT --law NAME --law NAME ... [options]",
      "Every law is fitted on the rows that all of them can use, on one residual and one objective (those of the first law,\n"
      "unless --residual and --objective say otherwise), and judged by AICc and by rows that it was not fitted to: those of\n"
      "--holdout, or every row once in --folds folds. A --fix applies to the laws that have the parameter.",
      1, 1, "one spec, table or imported table"};
  struct fit_options fit_options;
  if (command_begin(line, &usage, options) && check(&a, &line->error) &&
      fit_arguments_read("fit compare", &a.fit, &line->arena, &fit_options, &line->error))
    compare(line->arguments[0], &a, &fit_options, &line->error);
}
