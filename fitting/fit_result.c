// A fit's result: what is added to it from outside, and its end.
#include <stdarg.h>
#include <string.h>

#include "fitting/compare.h"

void fit_result_warn(struct fit_result *result, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = arena_vformat(&result->arena, format, arguments);
  va_end(arguments);
  for (size_t i = 0; i < result->warning_count; i++)
    if (strcmp(result->warnings[i], text) == 0) return;  // a problem is said once
  result->warnings = arena_grow(&result->arena, result->warnings, result->warning_count, result->warning_count + 1,
                                sizeof *result->warnings);
  result->warnings[result->warning_count++] = text;
}

bool fit_errors_absolute(const struct fit_result *result) {
  for (size_t i = 0; i < result->table_count && result->residual != RESIDUAL_LOG; i++)
    if (!(result->table[i].observed > 0)) return true;
  return false;
}

void fit_result_exclude(struct fit_result *result, const char *row, const char *reason) {
  size_t count = result->excluded_count;
  if ((count & (count + 1)) == 0)  // at 2^k - 1: room for twice as many
    result->exclusions =
        arena_grow(&result->arena, result->exclusions, count, 2 * count + 1, sizeof *result->exclusions);
  result->exclusions[result->excluded_count++] =
      (struct fit_exclusion){arena_string(&result->arena, row), arena_string(&result->arena, reason)};
}

void fit_result_free(struct fit_result *result) {
  if (result->comparison) comparison_free(result->comparison);
  arena_free(&result->arena);
  *result = (struct fit_result){0};
}
