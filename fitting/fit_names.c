// Objectives, residuals and states of coefficients, uses of rows by name.
#include <string.h>

#include "fitting/fit.h"

bool objective_parse(const char *text, struct objective *objective, struct error *error) {
  if (strcmp(text, "least-squares") == 0) {
    *objective = (struct objective){.kind = OBJECTIVE_LEAST_SQUARES};
    return true;
  }
  if (strcmp(text, "lad") == 0) {
    *objective = (struct objective){.kind = OBJECTIVE_LAD};
    return true;
  }
  double delta;
  if (starts_with(text, "huber:") && number_parse(text + 6, &delta) && delta > 0 && delta < 1e100) {
    *objective = (struct objective){.kind = OBJECTIVE_HUBER, .delta = delta};
    return true;
  }
  return error_set(error, EXIT_USAGE_ERROR, "objective '%s' is none of huber:DELTA (huber:1e-3), least-squares, lad",
                   text);
}

bool residual_parse(const char *text, enum law_residual *residual, struct error *error) {
  if (strcmp(text, "log") != 0 && strcmp(text, "plain") != 0)
    return error_set(error, EXIT_USAGE_ERROR, "residual '%s' is neither log nor plain", text);
  *residual = strcmp(text, "log") == 0 ? RESIDUAL_LOG : RESIDUAL_PLAIN;
  return true;
}

void objective_text(struct objective objective, char out[48]) {
  char delta[32];
  number_shortest(objective.delta, delta);
  if (objective.kind == OBJECTIVE_HUBER)
    snprintf(out, 48, "huber:%s", delta);
  else
    snprintf(out, 48, "%s", objective.kind == OBJECTIVE_LAD ? "lad" : "least-squares");
}

const char *coefficient_status_name(enum coefficient_status status) {
  static const char *const names[] = {
      [COEFFICIENT_FITTED] = "determined",
      [COEFFICIENT_ONE_SIDED] = "one-sided",
      [COEFFICIENT_FIXED] = "fixed",
      [COEFFICIENT_BASELINE] = "baseline",
      [COEFFICIENT_TIED] = "tied",
      [COEFFICIENT_AT_LOW] = "at bound",
      [COEFFICIENT_AT_HIGH] = "at bound",
      [COEFFICIENT_UNFITTED] = "not fitted",
      [COEFFICIENT_UNIDENTIFIED] = "not determined",
  };
  return names[status];
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
