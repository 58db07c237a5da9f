// Residuals and states of coefficients, uses of rows by name.
#include <string.h>

#include "fitting/fit.h"

bool residual_parse(const char *text, enum law_residual *residual, struct error *error) {
  if (strcmp(text, "log") != 0 && strcmp(text, "plain") != 0)
    return error_set(error, EXIT_USAGE_ERROR, "residual '%s' is neither log nor plain", text);
  *residual = strcmp(text, "log") == 0 ? RESIDUAL_LOG : RESIDUAL_PLAIN;
  return true;
}

const char *coefficient_status_name(enum coefficient_status status) {
  static const char *const names[] = {
      [COEFFICIENT_FITTED] = "determined",   [COEFFICIENT_ONE_SIDED] = "one-sided",
      [COEFFICIENT_FIXED] = "fixed",         [COEFFICIENT_BASELINE] = "baseline",
      [COEFFICIENT_TIED] = "tied",           [COEFFICIENT_AT_LOW] = "at bound",
      [COEFFICIENT_AT_HIGH] = "at bound",    [COEFFICIENT_BY_PRIOR] = "set by its prior",
      [COEFFICIENT_UNFITTED] = "not fitted", [COEFFICIENT_UNIDENTIFIED] = "not determined",
  };
  return names[status];
}

const char *derived_status_name(enum coefficient_status status) {
  return status == COEFFICIENT_FIXED ? "follows from what is held or tied, not from the rows"
                                     : coefficient_status_name(status);
}

const char *row_use_name(enum row_use use) {
  switch (use) {
    case ROW_FITTED:
      return "fitted";
    case ROW_HELD_OUT:
      return "held out";
    case ROW_UNUSED:
      return "unused";
  }
  return "?";
}
