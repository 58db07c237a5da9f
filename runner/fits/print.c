// A fit in words and tables, for people.
#include <math.h>
#include <stdlib.h>

#include "runner/fits/internal.h"

enum { SHOWN_RESIDUALS = 40, LARGEST_RESIDUALS = 12 };

// A side on which the data set no limit is a dash; the value of what they do not determine is in brackets.
static void print_estimate(FILE *out, const char *name, enum coefficient_status status, double value, double low,
                           double high, double se, const char *note) {
  char a[40], b[40] = "-", c[40] = "-", d[40], shown[48], interval[100] = "";
  if (!isnan(low)) number_digits(low, 4, b);
  if (!isnan(high)) number_digits(high, 4, c);
  if (!isnan(low) || !isnan(high)) snprintf(interval, sizeof interval, "%s .. %s", b, c);
  snprintf(shown, sizeof shown, status == COEFFICIENT_UNIDENTIFIED ? "(%s)" : "%s", number_digits(value, 6, a));
  fprintf(out, "  %-30s %12s   %-26s %10s  %s\n", name, fit_is_zero(status, value) ? "0 (bound)" : shown, interval,
          isnan(se) ? "" : number_digits(se, 3, d), note);
}

static void print_coefficients(const struct fit_result *result, const struct law *law, struct arena *arena, FILE *out) {
  char interval[40];
  snprintf(interval, sizeof interval, "%g %% interval", 100 * result->confidence);
  fprintf(out, "  %-30s %12s   %-26s %10s\n", "parameter", "value", result->bootstrap ? interval : "",
          result->bootstrap ? "se" : "");
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *c = &result->coefficients[i];
    print_estimate(out, c->name, c->status, c->value, c->low, c->high, c->se,
                   fit_coefficient_note(arena, result, law, c));
  }
  for (size_t i = 0; i < result->derived_count; i++) {
    const struct fit_derived *d = &result->derived[i];
    print_estimate(out, d->name, d->status, d->value, d->low, d->high, d->se, fit_derived_note(arena, result, law, d));
  }
}

static void print_search(const struct fit_result *result, struct arena *arena, FILE *out) {
  char number[40], other[40];
  fprintf(out, "  %s\n", fit_objective_sentence(arena, result));
  fprintf(out, "  %s\n", fit_starts_sentence(arena, result));
  fprintf(out, "  stationary: %s (%s)", result->stationary ? "yes" : "NO",
          number_digits(result->stationarity, 2, number));
  if (!isnan(result->trust_region_objective) || !isnan(result->bfgs_objective))
    fprintf(out, "; GSL's trust region reaches %s, its BFGS %s",
            number_digits(result->trust_region_objective, 9, number), number_digits(result->bfgs_objective, 9, other));
  fprintf(out, "\n");
  if (!isnan(result->holdout_error))
    fprintf(out, "  held out: %zu rows, mean error %s %%\n", result->held_out,
            number_digits(100 * result->holdout_error, 3, number));
  const char *const more[] = {fit_std_sentence(arena, result),
                              fit_interval_sentence(arena, result),
                              result->grouping,
                              result->interval_reason,
                              fit_replication_sentence(arena, result),
                              fit_correlation_sentence(arena, result)};
  for (size_t i = 0; i < sizeof more / sizeof *more; i++)
    if (more[i]) fprintf(out, "  %s\n", more[i]);
}

static int by_size(const void *a, const void *b) {
  const struct fit_row *x = *(const struct fit_row *const *)a, *y = *(const struct fit_row *const *)b;
  double left = fabs(x->residual), right = fabs(y->residual);
  if (isnan(left) || isnan(right)) return isnan(left) - isnan(right);
  return (left < right) - (left > right);
}

static void print_residuals(const struct fit_result *result, bool all, struct arena *arena, FILE *out) {
  static const char *const uses[] = {"", "held out", "not in the fit"};
  const struct fit_row **rows = memory_get((result->table_count + 1) * sizeof *rows);
  for (size_t i = 0; i < result->table_count; i++) rows[i] = &result->table[i];
  size_t shown = result->table_count;
  fprintf(out, "\n  %-34s %10s %10s %10s\n", "row", "observed", "predicted",
          result->residual == RESIDUAL_LOG ? "difference" : "residual");
  if (!all && shown > SHOWN_RESIDUALS) {
    qsort(rows, shown, sizeof *rows, by_size);
    shown = LARGEST_RESIDUALS;
  }
  for (size_t i = 0; i < shown; i++) {
    const struct fit_row *row = rows[i];
    char observed[40], predicted[40], difference[40];
    if (result->residual == RESIDUAL_LOG)
      snprintf(difference, sizeof difference, "%+.3f %%", 100 * (row->observed / row->predicted - 1));
    else
      snprintf(difference, sizeof difference, "%+.5f", row->residual);
    fprintf(out, "  %-34s %10s %10s %10s  %s\n", fit_row_label(arena, row), number_digits(row->observed, 6, observed),
            number_digits(row->predicted, 6, predicted), isnan(row->predicted) ? "-" : difference, uses[row->use]);
  }
  if (shown < result->table_count)
    fprintf(out, "  (the %zu largest of %zu; --residuals prints all)\n", shown, result->table_count);
  free(rows);
}

static void print_exclusions(const struct fit_result *result, FILE *out) {
  size_t shown = result->excluded_count < 20 ? result->excluded_count : 20;
  if (shown) fprintf(out, "  excluded:\n");
  for (size_t i = 0; i < shown; i++)
    fprintf(out, "    %s: %s\n", result->exclusions[i].row, result->exclusions[i].reason);
  if (shown < result->excluded_count) fprintf(out, "    and %zu more\n", result->excluded_count - shown);
}

void fit_print(const struct fit_result *result, const struct law *law, const struct fit_notes *notes,
               bool all_residuals, FILE *out) {
  struct arena arena = {0};
  char objective[48], number[40];
  objective_text(result->objective_kind, objective);
  fprintf(out, "%s: %s = %s\n", result->name, result->target, result->formula);
  fprintf(out, "  %s; %s on %s\n", fit_rows_sentence(&arena, result), objective,
          result->residual == RESIDUAL_LOG ? "the difference of logarithms" : "the difference");
  if (result->duplicates) fprintf(out, "  rows that repeat others count once; --keep-duplicates counts all\n");
  if (notes && notes->rows_before) fprintf(out, "  %zu rows before best_over and average_over\n", notes->rows_before);
  if (notes && !isnan(notes->noise))
    fprintf(out, "  runs that differ only in the axes averaged over scatter by %s in ln(%s) (%zu degrees of freedom)\n",
            number_digits(notes->noise, 3, number), result->target, notes->noise_degrees);
  fprintf(out, "\n");
  print_coefficients(result, law, &arena, out);
  fprintf(out, "\n");
  print_search(result, &arena, out);
  print_exclusions(result, out);
  for (size_t i = 0; i < result->warning_count; i++) fprintf(out, "  warning: %s\n", result->warnings[i]);
  fit_print_diagnosis(result, out);
  print_residuals(result, all_residuals, &arena, out);
  const char *made = fit_made_sentence(&arena, result);
  if (made) fprintf(out, "\n  %s\n", made);
  fprintf(out, "\n");
  arena_free(&arena);
}
