// See export.h.
#include "runner/fits/export.h"

#include <stdio.h>
#include <string.h>

#include "fitting/sentences.h"

// What else the numbers rest on, and what the fit warns of: a source travels without its fit.
static void describe_beside(const struct fit_result *result, struct text *about) {
  struct arena arena = {0};
  const char *intervals = fit_interval_sentence(&arena, result);
  if (intervals) text_format(about, "%g %% %s.\n", 100 * result->confidence, intervals);
  for (size_t i = 0; i < result->prior_count; i++)
    text_format(about, "%s.\n", fit_prior_sentence(&arena, result, &result->priors[i]));
  for (size_t i = 0; i < result->pool_count; i++)
    text_format(about, "%s.\n", fit_pool_sentence(&arena, result, &result->pools[i]));
  if (result->excluded_count) text_format(about, "%s.\n", fit_exclusions_sentence(&arena, result));
  for (size_t i = 0; i < result->warning_count; i++) text_format(about, "Warning: %s.\n", result->warnings[i]);
  arena_free(&arena);
}

// What the source says of itself: law, formula, data, count of N.
static void describe(const struct law *law, const struct fit_result *result, struct text *about) {
  char objective[OBJECTIVE_TEXT];
  objective_text(result->objective_kind, objective);
  text_format(about, "%s = %s\n", result->target, result->formula);
  text_format(about, "Law %s, fitted to %zu rows of %s (%s on %s of %s).\n", result->law, result->rows, result->source,
              objective, result->residual == RESIDUAL_LOG ? "the logarithm" : "the value", result->target);
  if (result->parameter_count) text_format(about, "parameters (N): %s.\n", result->parameter_count);
  for (const char *at = law->source; at && *at;) {  // one line, whatever its breaks
    size_t length = strcspn(at, "\n");
    text_format(about, "%s%.*s", at == law->source ? "Source of the law: " : " ", (int)length, at);
    at += length + (at[length] == '\n');
  }
  if (law->source) text_char(about, '\n');
  describe_beside(result, about);
  text_add(about, "Written by isoloss fit --export.\n");
}

bool fit_export(const struct law *law, const struct fit_result *result, const char *language, const char *path,
                struct error *error) {
  enum export_language wanted;
  struct text about = {0}, out = {0};
  bool fine = export_parse(language, &wanted, error);
  if (!fine) error_context(error, "fit: --export");
  if (fine) {
    describe(law, result, &about);
    const struct exported fitted = {result->coefficients, result->coefficient_count, result->derived,
                                    result->derived_count};
    fine = law_export(law, &fitted, wanted, result->name, text_string(&about), &out, error);
  }
  if (fine && path)
    fine = file_write_atomic(path, out.bytes, out.length, error);
  else if (fine)
    fputs(text_string(&out), stdout);
  for (size_t i = 0; fine && i < result->warning_count; i++) fprintf(stderr, "warning: %s\n", result->warnings[i]);
  text_free(&about);
  text_free(&out);
  return fine;
}
