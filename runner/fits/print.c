// A fit in words and tables, for people.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/internal.h"

enum { SHOWN_RESIDUALS = 40, LARGEST_RESIDUALS = 12 };

// An interval of another kind than the one asked for is told.
static const char *kind_note(const struct fit_result *result, const struct intervals *intervals, double se) {
  return result->interval == INTERVAL_BCA && intervals->kind != INTERVAL_BCA && !isnan(se) ? "percentile" : "";
}

static void print_estimate(FILE *out, const char *name, double value, double low, double high, double se,
                           const char *note) {
  char a[40], b[40], c[40], d[40], interval[100] = "";
  if (!isnan(low)) snprintf(interval, sizeof interval, "%s .. %s", number_digits(low, 4, b), number_digits(high, 4, c));
  fprintf(out, "  %-30s %12s   %-26s %10s  %s\n", name, number_digits(value, 6, a), interval,
          isnan(se) ? "" : number_digits(se, 3, d), note);
}

// The count of N is told beside every exponent.
static bool is_exponent(const struct fit_result *result, const struct law *law, const char *name) {
  if (!result->parameter_count) return false;
  for (int i = 0; i < law->exponent_count; i++)
    if (strcmp(law->exponents[i], name) == 0) return true;
  return false;
}

static void print_coefficients(const struct fit_result *result, const struct law *law, FILE *out) {
  char interval[40], note[300];
  snprintf(interval, sizeof interval, "%g %% interval", 100 * result->confidence);
  fprintf(out, "  %-30s %12s   %-26s %10s\n", "parameter", "value", result->bootstrap ? interval : "",
          result->bootstrap ? "se" : "");
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *c = &result->coefficients[i];
    bool exponent = is_exponent(result, law, c->parameter), plain = c->status == COEFFICIENT_FITTED;
    const char *kind = kind_note(result, &c->intervals, c->se);
    snprintf(note, sizeof note, "%s%s%s%s%s%s", kind, *kind && (exponent || !plain) ? "; " : "",
             plain ? "" : coefficient_status_name(c->status), exponent && !plain ? "; " : "", exponent ? "N: " : "",
             exponent ? result->parameter_count : "");
    print_estimate(out, c->name, c->value, c->low, c->high, c->se, note);
  }
  for (size_t i = 0; i < result->derived_count; i++) {
    const struct fit_derived *d = &result->derived[i];
    bool exponent = is_exponent(result, law, d->name);
    snprintf(note, sizeof note, "%s%s%s%s", exponent ? "N: " : "", exponent ? result->parameter_count : "",
             exponent && d->about ? "; " : "", d->about ? d->about : "");
    print_estimate(out, d->name, d->value, d->low, d->high, d->se, note);
  }
}

static void print_search(const struct fit_result *result, FILE *out) {
  char number[40], other[40];
  fprintf(out, "  objective %s", number_digits(result->objective, 9, number));
  if (result->stage_count > 1) {
    fprintf(out, " (");
    for (int s = 0; s < result->stage_count; s++)
      fprintf(out, "%s%s %s on %zu rows", s ? ", " : "", result->stages[s].name,
              number_digits(result->stages[s].objective, 9, number), result->stages[s].rows);
    fprintf(out, ")");
  }
  fprintf(out, "; residual rms of ln(%s) %s\n", result->target, number_digits(result->residual_rms, 4, number));
  fprintf(out, "  starts: %lld, the %lld most promising followed to the end, %lld of them agree",
          (long long)result->starts, (long long)result->starts_descended, (long long)result->starts_agreeing);
  if (isnan(result->runner_up_objective))
    fprintf(out, "; no other minimum was met\n");
  else
    fprintf(out, "; next minimum %s\n", number_digits(result->runner_up_objective, 9, number));
  fprintf(out, "  stationary: %s (%s)", result->stationary ? "yes" : "NO",
          number_digits(result->stationarity, 2, number));
  if (!isnan(result->trust_region_objective) || !isnan(result->bfgs_objective))
    fprintf(out, "; GSL's trust region reaches %s, its BFGS %s",
            number_digits(result->trust_region_objective, 9, number), number_digits(result->bfgs_objective, 9, other));
  fprintf(out, "\n");
  if (!isnan(result->holdout_error))
    fprintf(out, "  held out: %zu rows, mean error %s %%\n", result->held_out,
            number_digits(100 * result->holdout_error, 3, number));
  if (result->bootstrap)
    fprintf(out, "  intervals: %s, %d bootstrap resamples%s\n", result->interval == INTERVAL_BCA ? "BCa" : "percentile",
            result->bootstrap, result->bootstrap_failed ? ", some without enough different rows" : "");
}

static int by_size(const void *a, const void *b) {
  const struct fit_row *x = *(const struct fit_row *const *)a, *y = *(const struct fit_row *const *)b;
  double left = fabs(x->residual), right = fabs(y->residual);
  if (isnan(left) || isnan(right)) return isnan(left) - isnan(right);
  return (left < right) - (left > right);
}

// A run's id by its first eight characters, as everywhere.
static bool is_id(const char *name) { return strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32; }

static void print_residuals(const struct fit_result *result, bool all, FILE *out) {
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
    char name[120], observed[40], predicted[40], difference[40];
    snprintf(name, sizeof name, "%.*s%s%s", is_id(row->name) ? 8 : 32, row->name, *row->group ? "  " : "", row->group);
    if (result->residual == RESIDUAL_LOG)
      snprintf(difference, sizeof difference, "%+.3f %%", 100 * (row->observed / row->predicted - 1));
    else
      snprintf(difference, sizeof difference, "%+.5f", row->residual);
    fprintf(out, "  %-34s %10s %10s %10s  %s\n", name, number_digits(row->observed, 6, observed),
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
  char objective[48], number[40];
  objective_text(result->objective_kind, objective);
  fprintf(out, "%s: %s = %s\n", result->name, result->target, result->formula);
  fprintf(out, "  %zu rows of %s", result->rows, result->source);
  if (notes && notes->rows_before) fprintf(out, " (%zu before best_over and average_over)", notes->rows_before);
  if (result->excluded_count) fprintf(out, ", %zu excluded", result->excluded_count);
  if (result->held_out) fprintf(out, ", %zu held out", result->held_out);
  if (result->unused) fprintf(out, ", %zu in no stage", result->unused);
  fprintf(out, "; %s on %s\n", objective,
          result->residual == RESIDUAL_LOG ? "the difference of logarithms" : "the difference");
  if (notes && !isnan(notes->noise))
    fprintf(out, "  runs that differ only in the axes averaged over scatter by %s in ln(%s) (%zu degrees of freedom)\n",
            number_digits(notes->noise, 3, number), result->target, notes->noise_degrees);
  fprintf(out, "\n");
  print_coefficients(result, law, out);
  fprintf(out, "\n");
  print_search(result, out);
  print_exclusions(result, out);
  for (size_t i = 0; i < result->warning_count; i++) fprintf(out, "  warning: %s\n", result->warnings[i]);
  fit_print_diagnosis(result, out);
  print_residuals(result, all_residuals, out);
  fprintf(out, "\n");
}
