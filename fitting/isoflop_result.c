// A result of isoflop_run: its warnings, the interval of an exponent, its end.
#include <math.h>
#include <stdarg.h>

#include "fitting/fit_internal.h"
#include "fitting/isoflop_internal.h"

void isoflop_warn(struct isoflop *result, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *text = arena_vformat(&result->arena, format, arguments);
  va_end(arguments);
  result->warnings = arena_grow(&result->arena, result->warnings, result->warning_count, result->warning_count + 1,
                                sizeof *result->warnings);
  result->warnings[result->warning_count++] = text;
}

void exponent_interval(const double *copies, size_t count, double confidence, struct isoflop_exponent *exponent) {
  struct intervals both;
  interval_of((struct replicates){.values = copies, .count = count, .stride = 1}, NAN, confidence, INTERVAL_PERCENTILE,
              &both, &exponent->low, &exponent->high, &exponent->se);
}

void isoflop_free(struct isoflop *result) {
  arena_free(&result->arena);
  *result = (struct isoflop){0};
}
