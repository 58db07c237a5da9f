// What the outcomes themselves say against a fit, whatever the law: rows that are left out by their outcome, an outcome
// that is the same in every row, residuals that are nothing but rounding.
#include <math.h>

#include "fitting/fit_internal.h"

static void doubt_selection(struct fit *fit) {
  size_t out = fit->left_out_by_outcome;
  if (!out) return;
  fit_result_warn(
      fit->result,
      "%zu of %zu rows %s left out for their %s (zero or below, and its logarithm is fitted): rows chosen by "
      "their outcome bend the law towards those that stay; --residual plain takes all rows",
      out, fit->result->rows + fit->result->held_out + out, out == 1 ? "is" : "are", fit->law->target);
}

static void doubt_constant(struct fit *fit) {
  const struct fit_result *result = fit->result;
  double first = NAN;
  char number[32];
  for (size_t i = 0; i < result->table_count; i++) {
    if (result->table[i].use != ROW_FITTED) continue;
    if (isnan(first)) first = result->table[i].observed;
    if (result->table[i].observed != first) return;
  }
  if (result->rows < 2) return;
  fit_result_warn(
      fit->result,
      "%s is %s in all %zu rows: they say nothing of what it depends on; is that the column that was meant?",
      fit->law->target, number_digits(first, 6, number), result->rows);
}

bool fit_residuals_are_rounding(const struct fit_result *result) {
  static const double rounding = 1e-13;
  double squares = 0;
  for (size_t i = 0; i < result->table_count; i++) {
    const struct fit_row *row = &result->table[i];
    if (row->use == ROW_FITTED) squares += row->observed * row->observed;
  }
  double size = result->residual == RESIDUAL_LOG ? 1 : sqrt(squares / (double)result->rows);
  return result->rows && result->residual_rms <= rounding * size;
}

void fit_doubt_outcomes(struct fit *fit) {
  struct fit_result *result = fit->result;
  fit->rounding = fit_residuals_are_rounding(result) && !fit->choice_variance;
  if (fit->options->bare) return;
  doubt_selection(fit);
  doubt_constant(fit);
  if (!fit->rounding) return;
  char number[32];
  fit_result_warn(
      result,
      "the law passes through its rows: residuals (rms %s) are rounding, and no statistics are made of them, "
      "neither intervals nor profiles nor tests",
      number_digits(result->residual_rms, 2, number));
  result->bootstrap = 0;
}
