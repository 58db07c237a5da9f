// What the outcomes themselves say against a fit, whatever the law: rows that are left out by their outcome, an outcome
// that is the same in every row, residuals that are nothing but rounding.
#include <math.h>

#include "fitting/fit_internal.h"

static void doubt_selection(struct fit *fit) {
  size_t out = fit->left_out_by_outcome;
  if (!out) return;
  fit_result_warn(
      fit->result,
      "%zu of %zu rows %s left out for %s %s, which is zero or below where its logarithm is fitted (%s): rows chosen by "
      "their outcome bend the law towards those that stay; --residual plain takes all rows",
      out, fit->result->rows + fit->result->held_out + out, out == 1 ? "is" : "are", out == 1 ? "its" : "their",
      fit->law->target, fit_outcome_rows(&fit->result->arena, fit->result));
}

// The decimal places that the outcomes are written with, or -1 where they have as many as numbers have.
static int places_of(const struct fit_result *result) {
  enum { MOST = 9 };
  for (int places = 0; places <= MOST; places++) {
    double scale = pow(10, places);
    bool all = true;
    for (size_t i = 0; i < result->table_count && all; i++) {
      double scaled = result->table[i].observed * scale;
      all = result->table[i].use != ROW_FITTED || fabs(scaled - round(scaled)) <= 1e-6 * fmin(1, fabs(scaled));
    }
    if (all) return places;
  }
  return -1;
}

// Residuals no larger than rounding makes them: no noise was measured, so nothing says how runs scatter.
static void doubt_places(struct fit *fit) {
  static const double about = 1.5;
  const struct fit_result *result = fit->result;
  int places = places_of(result);
  double squares = 0;
  if (places < 0 || !(result->residual_rms > 0) || result->rows < 2) return;
  double rounding = pow(10, -places) / sqrt(12);  // standard deviation of what is uniform over a unit
  for (size_t i = 0; i < result->table_count; i++) {
    const struct fit_row *row = &result->table[i];
    double one = result->residual == RESIDUAL_LOG ? rounding / row->observed : rounding;
    if (row->use == ROW_FITTED) squares += one * one;
  }
  double expected = sqrt(squares / (double)result->rows);
  if (result->residual_rms > about * expected) return;
  bool percent = result->residual == RESIDUAL_LOG;
  char rms[32], own[32];
  fit_result_warn(fit->result,
                  "residuals (rms %s%s) are no larger than the rounding of %s to %d decimal place%s makes them (%s%s): "
                  "intervals hold that alone, and nothing says how runs differ by their seeds",
                  number_digits(result->residual_rms * (percent ? 100 : 1), 2, rms), percent ? " %" : "",
                  fit->law->target, places, places == 1 ? "" : "s",
                  number_digits(expected * (percent ? 100 : 1), 2, own), percent ? " %" : "");
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
  if (!fit->rounding) {
    doubt_places(fit);
    return;
  }
  char number[32];
  fit_result_warn(
      result,
      "the law passes through its rows: residuals (rms %s) are rounding, and no statistics are made of them, "
      "neither intervals nor profiles nor tests",
      number_digits(result->residual_rms, 2, number));
  result->bootstrap = 0;
}
