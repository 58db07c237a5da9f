// A fit in words and tables, for people.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/internal.h"
#include "runner/terminal/table.h"

enum { SHOWN_RESIDUALS = 40, LARGEST_RESIDUALS = 12 };

struct estimates {
  struct text_table table;
  const struct fit_result *result;
  bool robust;  // errors of grouped rows have a column
};

static const char *digits(struct arena *arena, double value, int count) {
  char text[40];
  return isnan(value) ? "" : arena_string(arena, number_digits(value, count, text));
}

static const char *interval_text(struct arena *arena, double low, double high, int count) {
  if (isnan(low) && isnan(high)) return "";
  return arena_format(arena, "%s .. %s", isnan(low) ? "-" : digits(arena, low, count),
                      isnan(high) ? "-" : digits(arena, high, count));
}

// A side on which the data set no limit is a dash; the value of what they do not determine is in brackets.
static void put_estimate(struct estimates *estimates, struct arena *arena, const char *name,
                         enum coefficient_status status, double value, double low, double high, double se,
                         double robust_se, const char *note) {
  struct text_table *table = &estimates->table;
  const char *shown = digits(arena, value, 6);
  text_table_cell(table, "  %s", name);
  text_table_cell(table, status == COEFFICIENT_UNIDENTIFIED ? "(%s)" : "%s",
                  fit_is_zero(status, value) ? "0 (bound)" : shown);
  if (estimates->result->bootstrap || !isnan(low) || !isnan(high))
    text_table_cell(table, "%s", interval_text(arena, low, high, 4));
  else
    text_table_cell(table, "%s", "");
  if (estimates->result->bootstrap) text_table_cell(table, "%s", digits(arena, se, 3));
  if (estimates->robust) text_table_cell(table, "%s", isnan(se) ? "" : digits(arena, robust_se, 3));
  text_table_cell(table, "%s", note);
}

static void print_coefficients(const struct fit_result *result, const struct law *law, struct arena *arena, FILE *out) {
  struct estimates estimates = {.table = {.gap = 2}, .result = result};
  struct text_table *table = &estimates.table;
  estimates.robust = result->grouped_by && result->bootstrap;
  text_table_column(table, (struct text_column){"  parameter"});
  text_table_column(table, (struct text_column){"value", .right = true});
  text_table_column(table, (struct text_column){arena_format(arena, "%g %% interval", 100 * result->confidence)});
  if (result->bootstrap) text_table_column(table, (struct text_column){"se", .right = true});
  if (estimates.robust) text_table_column(table, (struct text_column){"robust se", .right = true});
  text_table_column(table, (struct text_column){""});
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *c = &result->coefficients[i];
    put_estimate(&estimates, arena, c->name, c->status, c->value, c->low, c->high, c->se, c->intervals.robust_se,
                 fit_coefficient_note(arena, result, law, c));
  }
  for (size_t i = 0; i < result->derived_count; i++) {
    const struct fit_derived *d = &result->derived[i];
    if (!strchr(d->name, '['))
      put_estimate(&estimates, arena, d->name, d->status, d->value, d->low, d->high, d->se, d->intervals.robust_se,
                   fit_derived_note(arena, result, law, d));
  }
  text_table_print(table, out);
  text_table_free(table);
}

// Derived quantities at values of a column, "parameters_optimal[flops=1e+21]": a line a value, a column a quantity.
static void print_at_values(const struct fit_result *result, struct arena *arena, FILE *out) {
  const char *names[8], *places[32];
  size_t name_count = 0, place_count = 0;
  for (size_t i = 0; i < result->derived_count; i++) {
    const char *bracket = strchr(result->derived[i].name, '[');
    if (!bracket) continue;
    const char *name = arena_copy(arena, result->derived[i].name, (size_t)(bracket - result->derived[i].name));
    size_t n = 0, p = 0;
    while (n < name_count && strcmp(names[n], name) != 0) n++;
    while (p < place_count && strcmp(places[p], bracket) != 0) p++;
    if (n == name_count && n < sizeof names / sizeof *names) names[name_count++] = name;
    if (p == place_count && p < sizeof places / sizeof *places) places[place_count++] = bracket;
  }
  if (!name_count) return;
  struct text_table table = {.gap = 2};
  text_table_column(&table, (struct text_column){"  at"});
  for (size_t n = 0; n < name_count; n++) text_table_column(&table, (struct text_column){names[n]});
  for (size_t p = 0; p < place_count; p++) {
    text_table_cell(&table, "  %.*s", (int)strlen(places[p]) - 2, places[p] + 1);
    for (size_t n = 0; n < name_count; n++) {
      const char *whole = arena_format(arena, "%s%s", names[n], places[p]), *cell = "";
      for (size_t i = 0; i < result->derived_count; i++) {
        const struct fit_derived *d = &result->derived[i];
        if (strcmp(d->name, whole) != 0) continue;
        const char *interval = interval_text(arena, d->low, d->high, 3);
        cell = d->status == COEFFICIENT_UNIDENTIFIED
                   ? "not determined"
                   : arena_format(arena, "%s%s%s%s", digits(arena, d->value, 4), *interval ? " (" : "", interval,
                                  *interval ? ")" : "");
      }
      text_table_cell(&table, "%s", cell);
    }
  }
  fprintf(out, "\n");
  text_table_print(&table, out);
  text_table_free(&table);
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
  for (size_t i = 0; i < result->global_count; i++)
    print_filled(out, fit_global_sentence(arena, result, &result->globals[i]), fprintf(out, "  "), 4);
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

// All rows, or the largest of a long table.
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
               const struct fit_print_options *options, FILE *out) {
  static const struct fit_print_options screen = {0};
  struct arena arena = {0};
  char number[40];
  if (!options) options = &screen;
  if (result->answer) fprintf(out, "%s\n\n", result->answer);
  fprintf(out, "%s: %s = %s\n", result->name, result->target, result->formula);
  fprintf(out, "  %s; %s\n", fit_rows_sentence(&arena, result), fit_loss_sentence(&arena, result));
  if (result->duplicates) fprintf(out, "  rows that repeat others count once; --keep-duplicates counts all\n");
  if (notes && notes->rows_before) fprintf(out, "  %zu rows before best_over and average_over\n", notes->rows_before);
  if (notes && !isnan(notes->noise))
    fprintf(out, "  runs that differ only in the axes averaged over scatter by %s in ln(%s) (%zu degrees of freedom)\n",
            number_digits(notes->noise, 3, number), result->target, notes->noise_degrees);
  fprintf(out, "\n");
  print_coefficients(result, law, &arena, out);
  print_at_values(result, &arena, out);
  fprintf(out, "\n");
  print_search(result, &arena, out);
  print_exclusions(result, out);
  for (size_t i = 0; i < result->warning_count; i++)
    print_filled(out, result->warnings[i], fprintf(out, "  warning: "), 4);
  fit_print_diagnosis(result, options, out);
  if (options->residuals || options->details) print_residuals(result, options->residuals, &arena, out);
  const char *made = fit_made_sentence(&arena, result);
  if (made) fprintf(out, "\n  %s\n", made);
  fprintf(out, "\n");
  arena_free(&arena);
}
