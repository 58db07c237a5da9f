// See fit_compare.h.
#include "runner/fit_compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/fit_input.h"

static void print_verdict(const struct comparison *comparison, FILE *out) {
  const struct law_standing *best = &comparison->laws[0];
  bool clear = true, scored = comparison->held_out > 0;
  for (size_t l = 1; l < comparison->count; l++) {
    const struct law_standing *other = &comparison->laws[l];
    char text[40], se[40];
    clear &= other->told_apart;
    if (other->told_apart) continue;
    fprintf(out, "  The data cannot tell %s from %s", other->law, best->law);
    if (other->aicc_behind < 4)
      fprintf(out, ": AICc differs by %s, and 4 is little", number_digits(other->aicc_behind, 3, text));
    if (scored && isfinite(other->held_out_behind_se) && other->held_out_behind <= 2 * other->held_out_behind_se)
      fprintf(out, "%s held-out rows put it %s %s, with a standard error of %s", other->aicc_behind < 4 ? ";" : ":",
              number_digits(fabs(other->held_out_behind), 3, text), other->held_out_behind < 0 ? "ahead" : "behind",
              number_digits(other->held_out_behind_se, 2, se));
    fprintf(out, ".\n");
    if (other->predicts_better)
      fprintf(out, "  %s predicts held-out rows better than %s does: trust AICc less.\n", other->law, best->law);
  }
  if (clear)
    fprintf(out, "  %s is better than the others on these rows, by AICc%s.\n", best->law,
            scored ? " and on held-out rows" : " (nothing was held out)");
}

void comparison_print(const struct comparison *comparison, FILE *out) {
  char objective[48], a[40], b[40], c[40], d[40], e[40], f[40], h[40];
  objective_text(comparison->objective, objective);
  fprintf(out, "%zu laws on the same %zu rows of %s; %s on %s of %s\n", comparison->count, comparison->rows,
          comparison->source, objective, comparison->residual == RESIDUAL_LOG ? "the logarithm" : "the value",
          comparison->target);
  if (comparison->folds)
    fprintf(out, "  held out: every row once, in %d folds of %zu groups\n", comparison->folds, comparison->groups);
  else if (comparison->holdout)
    fprintf(out, "  held out: %zu rows\n", comparison->held_out);
  fprintf(out, "\n  %-22s %10s %12s %10s %10s %10s %10s %10s %10s\n", "law", "parameters", "objective", "rms", "AIC",
          "AICc", "BIC", "behind", "held out");
  for (size_t l = 0; l < comparison->count; l++) {
    const struct law_standing *s = &comparison->laws[l];
    char error[50] = "-";
    if (isfinite(s->held_out_error))
      snprintf(error, sizeof error, "%s %%", number_digits(100 * s->held_out_error, 3, h));
    fprintf(out, "  %-22s %10zu %12s %10s %10s %10s %10s %10s %10s\n", s->law, s->parameters,
            number_digits(s->objective, 6, a), number_digits(s->residual_rms, 4, b), number_digits(s->aic, 6, c),
            number_digits(s->aicc, 6, d), number_digits(s->bic, 6, e), number_digits(s->aicc_behind, 4, f), error);
  }
  fprintf(
      out,
      "\n  parameters: fitted ones and the scale of the residuals; AIC, AICc, BIC: lower is better, of the likelihood "
      "that\n  belongs to the objective; behind: in AICc; held out: mean error of predictions of rows not fitted\n\n");
  print_verdict(comparison, out);
  for (size_t l = 0; l < comparison->count; l++)
    for (size_t i = 0; i < comparison->laws[l].warning_count; i++)
      fprintf(out, "  warning: %s: %s\n", comparison->laws[l].law, comparison->laws[l].warnings[i]);
  for (size_t i = 0; i < comparison->warning_count; i++) fprintf(out, "  warning: %s\n", comparison->warnings[i]);
}

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

static bool compare(const char *source, const struct compare_arguments *arguments, const struct fit_options *options,
                    struct error *error) {
  struct fit_input input;
  struct law *laws = memory_get((arguments->laws.count + 1) * sizeof *laws);
  struct comparison comparison = {0};
  struct fit_arguments own = arguments->fit;
  own.law = arguments->laws.items[0];
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
  if (fine && arguments->json) {
    struct text text = {0};
    struct json_writer writer = json_writer(&text, false);
    comparison_json(&comparison, &writer);
    printf("%s\n", text_string(&text));
    text_free(&text);
  } else if (fine) {
    comparison_print(&comparison, stdout);
    for (size_t i = 0; i < input.notes.warning_count; i++) printf("  warning: %s\n", input.notes.warnings[i]);
  }
  comparison_free(&comparison);
  for (size_t l = 0; l < arguments->laws.count; l++) law_free(&laws[l]);
  free(laws);
  fit_input_free(&input);
  return fine;
}

int fit_compare_command(int argc, char **argv) {
  struct compare_arguments a = {.fit = {.bootstrap = 0}};
  struct option options[FIT_ARGUMENT_OPTIONS + 8] = {
      {"law", 'l', OPTION_LIST, &a.laws, "NAME", "a law; give it several times"},
      {"folds", 'k', OPTION_INTEGER, &a.folds, "K",
       "of the cross-validation (default 5; 1: none), whole groups (--group)"}};
  size_t count = 2 + fit_arguments_options(&a.fit, options + 2);
  const struct option own[] = {{"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"},
                               {NULL, 0, OPTION_FLAG, NULL, NULL, NULL}};
  memcpy(options + count, own, sizeof own);
  const struct command command = {
      "fit compare", "hold laws against each other on the same rows",
      "isoloss fit compare SPEC.yaml[:ENTRY]|TABLE.csv|IMPORT --law NAME --law NAME ... [options]",
      "Every law is fitted on the rows that all of them can use, on one residual and one objective (those of the first "
      "law,\nunless --residual and --objective say otherwise), and judged by AICc and by rows that it was not fitted "
      "to: "
      "those of\n--holdout, or every row once in --folds folds. A --fix applies to the laws that have the parameter.",
      options};
  struct error error = {0};
  struct arena arena = {0};
  struct fit_options fit_options;
  const char **rest = arena_array(&arena, (size_t)argc + 1, sizeof *rest);
  int given;
  bool done, fine = options_parse(&command, argc, argv, rest, &given, &done, &error);
  if (fine && !done) {
    if (given != 1)
      fine = error_set(&error, EXIT_USAGE_ERROR, "fit compare: give one spec, table or imported table");
    else if (a.laws.count < 2)
      fine = error_set(&error, EXIT_USAGE_ERROR, "fit compare: name at least two laws: --law chinchilla --law kaplan");
    else if (a.folds < 0 || a.folds > 1000)
      fine = error_set(&error, EXIT_USAGE_ERROR, "fit compare: --folds takes 1 to 1000");
    fine = fine && fit_arguments_read("fit compare", &a.fit, &arena, &fit_options, &error) &&
           compare(rest[0], &a, &fit_options, &error);
  }
  arena_free(&arena);
  fit_arguments_free(&a.fit);
  option_list_free(&a.laws);
  return fine ? EXIT_DONE : command_fail(&error);
}
