// See export.h.
#include "runner/fits/export.h"

#include <ctype.h>
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
  text_format(about, "Law %s, fitted to %zu row%s of %s (%s on %s of %s).\n", result->law, result->rows,
              result->rows == 1 ? "" : "s", result->source, objective,
              result->residual == RESIDUAL_LOG ? "the logarithm" : "the value", result->target);
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

// The characters of a name that identifiers keep; the others are alike.
static bool same_identifier(const char *a, const char *b) {
  for (; *a && *b; a++, b++) {
    bool own = isalnum((unsigned char)*a), other = isalnum((unsigned char)*b);
    if (own != other || (own && *a != *b)) return false;
  }
  return *a == *b;
}

// The fit's name, distinguished from those before it; of one by a column without its last bracket, for identifiers.
static const char *export_name_of(struct arena *arena, const struct fit_result *results, size_t place,
                                  enum export_language language) {
  const char *name = results[place].name;
  int alike = 1, length = (int)strlen(name);
  if (language == EXPORT_LATEX) return name;
  if (results[place].by && length && name[length - 1] == ']') length--;
  for (size_t i = 0; i < place; i++) alike += same_identifier(results[i].name, name);
  if (alike > 1) return arena_format(arena, "%.*s_%d", length, name, alike);
  return arena_format(arena, "%.*s", length, name);
}

bool fit_export(const struct law *law, const struct fit_result *results, size_t count, const char *language,
                const char *path, struct error *error) {
  enum export_language wanted;
  struct text out = {0};
  struct arena arena = {0};
  bool fine = export_parse(language, &wanted, error);
  if (!fine) error_context(error, "fit: --export");
  for (size_t i = 0; i < count && fine; i++) {
    const struct fit_result *result = &results[i];
    const struct exported fitted = {result->coefficients, result->coefficient_count, result->derived,
                                    result->derived_count};
    struct text about = {0};
    if (result->by) text_format(&about, "%s = %s.\n", result->by, result->part);
    describe(law, result, &about);
    if (i) text_char(&out, '\n');
    fine =
        law_export(law, &fitted, wanted, export_name_of(&arena, results, i, wanted), text_string(&about), &out, error);
    text_free(&about);
  }
  if (fine && path)
    fine = file_write_atomic(path, out.bytes, out.length, error);
  else if (fine)
    fputs(text_string(&out), stdout);
  for (size_t i = 0; fine && i < count; i++)
    for (size_t k = 0; k < results[i].warning_count; k++)
      fprintf(stderr, "warning: %s%s%s\n", results[i].by ? results[i].name : "", results[i].by ? ": " : "",
              results[i].warnings[k]);
  arena_free(&arena);
  text_free(&out);
  return fine;
}
