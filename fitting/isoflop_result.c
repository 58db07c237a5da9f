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
  double low, high, se;
  interval_of((struct replicates){.values = copies, .count = count, .stride = 1}, NAN, confidence, INTERVAL_PERCENTILE,
              &both, &low, &high, &se);
  bool held = exponent->plain.pinned;
  *(held ? &exponent->coefficient_low : &exponent->low) = low;
  *(held ? &exponent->coefficient_high : &exponent->high) = high;
  if (!held) exponent->se = se;
}

bool isoflop_line(const struct isoflop_pins *pins, enum isoflop_quantity quantity, const double *x, const double *y,
                  const double *weight, size_t count, double confidence, struct power_regression *result,
                  struct error *error) {
  return pins->held[quantity] ? power_regression_pinned(x, y, weight, count, pins->exponent[quantity], result, error)
                              : power_regression(x, y, weight, count, confidence, result, error);
}

double line_value(const struct power_regression *line) { return line->pinned ? line->coefficient : line->exponent; }

const struct power_regression *isoflop_best(const struct isoflop_exponent *exponent) {
  return exponent->weighted.points ? &exponent->weighted : &exponent->plain;
}

void isoflop_free(struct isoflop *result) {
  arena_free(&result->arena);
  *result = (struct isoflop){0};
}
