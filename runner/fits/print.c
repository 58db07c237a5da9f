// A fit in words and tables, for people.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"
#include "runner/fits/internal.h"
#include "runner/terminal/table.h"

enum { SHOWN_RESIDUALS = 40, LARGEST_RESIDUALS = 12 };

struct estimates {
  struct text_table table;
  bool parts;      // of several fits: their values of the column have one
  bool resampled;  // standard errors have a column
  bool robust;     // errors of grouped rows have one
};

static const char *digits(struct arena *arena, double value, int count) {
  char text[40];
  return isnan(value) ? "" : arena_string(arena, number_digits(value, count, text));
}

static const char *interval_text(struct arena *arena, double low, double high, int count) {
  if (isnan(low) && isnan(high)) return "";
  count = interval_digits(low, high, count);
  return arena_format(arena, "%s .. %s", isnan(low) ? "-" : digits(arena, low, count),
                      isnan(high) ? "-" : digits(arena, high, count));
}

// A side on which the data set no limit is a dash; the value of what they do not determine is in brackets.
static void put_estimate(struct estimates *estimates, struct arena *arena, const struct fit_result *result,
                         const char *name, enum coefficient_status status, double value, double low, double high,
                         double se, double robust_se, const char *note) {
  struct text_table *table = &estimates->table;
  text_table_cell(table, "  %s", name);
  if (estimates->parts) text_table_cell(table, "%s", result->part);
  text_table_cell(table, "%s", fit_value_words(arena, status, value, high, interval_digits(low, high, 6)));
  if (result->bootstrap || !isnan(low) || !isnan(high))
    text_table_cell(table, "%s", interval_text(arena, low, high, 4));
  else
    text_table_cell(table, "%s", "");
  if (estimates->resampled) text_table_cell(table, "%s", digits(arena, se, 3));
  if (estimates->robust) text_table_cell(table, "%s", isnan(se) ? "" : digits(arena, robust_se, 3));
  text_table_cell(table, "%s", note);
}

static void put_coefficient(struct estimates *estimates, struct arena *arena, const struct fit_result *result,
                            const struct law *law, const char *name) {
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *c = &result->coefficients[i];
    if (strcmp(c->name, name) == 0)
      put_estimate(estimates, arena, result, c->name, c->status, c->value, c->low, c->high, c->se,
                   c->intervals.robust_se, fit_coefficient_note(arena, result, law, c));
  }
}

static void put_derived(struct estimates *estimates, struct arena *arena, const struct fit_result *result,
                        const struct law *law, const char *name) {
  for (size_t i = 0; i < result->derived_count; i++) {
    const struct fit_derived *d = &result->derived[i];
    if (strcmp(d->name, name) == 0)
      put_estimate(estimates, arena, result, d->name, d->status, d->value, d->low, d->high, d->se,
                   d->intervals.robust_se, fit_derived_note(arena, result, estimates->parts ? NULL : law, d));
  }
}

// Whether an earlier fit has a coefficient, or a derived quantity, of that name.
static bool is_known(const struct fit_result *results, size_t count, const char *name, bool derived) {
  for (size_t r = 0; r < count; r++) {
    for (size_t i = 0; i < results[r].coefficient_count && !derived; i++)
      if (strcmp(results[r].coefficients[i].name, name) == 0) return true;
    for (size_t i = 0; i < results[r].derived_count && derived; i++)
      if (strcmp(results[r].derived[i].name, name) == 0) return true;
  }
  return false;
}

// The coefficients and derived quantities of one fit, or of several: those of one name stand beneath each other.
static void print_coefficients(const struct fit_result *results, size_t count, const struct law *law,
                               struct arena *arena, FILE *out) {
  struct estimates estimates = {.table = {.gap = 2}, .parts = results->part != NULL};
  struct text_table *table = &estimates.table;
  for (size_t r = 0; r < count; r++) {
    estimates.resampled |= results[r].bootstrap > 0;
    estimates.robust |= results[r].grouped_by && results[r].bootstrap;
  }
  text_table_column(table, (struct text_column){"  parameter"});
  if (estimates.parts) text_table_column(table, (struct text_column){arena_string(&table->arena, results->by)});
  text_table_column(table, (struct text_column){"value", .right = true});
  text_table_column(table, (struct text_column){arena_format(arena, "%g %% interval", 100 * results->confidence)});
  if (estimates.resampled) text_table_column(table, (struct text_column){"se", .right = true});
  if (estimates.robust) text_table_column(table, (struct text_column){"robust se", .right = true});
  text_table_column(table, (struct text_column){""});
  for (size_t r = 0; r < count; r++)
    for (size_t i = 0; i < results[r].coefficient_count; i++) {
      const char *name = results[r].coefficients[i].name;
      for (size_t k = r; k < count && !is_known(results, r, name, false); k++)
        put_coefficient(&estimates, arena, &results[k], law, name);
    }
  for (size_t r = 0; r < count; r++)
    for (size_t i = 0; i < results[r].derived_count; i++) {
      const char *name = results[r].derived[i].name;
      for (size_t k = r; k < count && !strchr(name, '[') && !is_known(results, r, name, true); k++)
        put_derived(&estimates, arena, &results[k], law, name);
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
  text_table_column(&table, (struct text_column){""});
  for (size_t p = 0; p < place_count; p++) {
    const char *mark = "";
    text_table_cell(&table, "  %.*s", (int)strlen(places[p]) - 2, places[p] + 1);
    for (size_t n = 0; n < name_count; n++) {
      const char *whole = arena_format(arena, "%s%s", names[n], places[p]), *cell = "";
      for (size_t i = 0; i < result->derived_count; i++) {
        const struct fit_derived *d = &result->derived[i];
        if (strcmp(d->name, whole) != 0) continue;
        const char *interval = interval_text(arena, d->low, d->high, 3), *outside = derived_outside_sentence(arena, d);
        if (outside) mark = outside;
        cell = !isfinite(d->value)        ? "not determined"
               : range_is_far(d->outside) ? arena_format(arena, "(%s)", digits(arena, d->value, 4))
               : d->status == COEFFICIENT_UNIDENTIFIED
                   ? "not determined"
                   : arena_format(arena, "%s%s%s%s", digits(arena, d->value, 4), *interval ? " (" : "", interval,
                                  *interval ? ")" : "");
      }
      text_table_cell(&table, "%s", cell);
    }
    text_table_cell(&table, "%s", mark);
  }
  fprintf(out, "\n");
  text_table_print(&table, out);
  text_table_free(&table);
  const char *held_back = derived_held_back_sentence(arena, result);
  if (held_back) print_filled(out, held_back, fprintf(out, "  "), 2);
}

static void print_search(const struct fit_result *result, struct arena *arena, FILE *out) {
  char number[40], other[40];
  print_filled(out, fit_objective_sentence(arena, result), fprintf(out, "  "), 4);
  print_filled(out, fit_starts_sentence(arena, result), fprintf(out, "  "), 4);
  const char *next = fit_runner_up_sentence(arena, result);
  if (next) print_filled(out, next, fprintf(out, "  "), 4);
  fprintf(out, "  stationary: %s (%s)", result->stationary ? "yes" : "NO",
          number_digits(result->stationarity, 2, number));
  if (!isnan(result->trust_region_objective) || !isnan(result->bfgs_objective))
    fprintf(out, "; GSL's trust region reaches %s, its BFGS %s%s",
            number_digits(result->trust_region_objective, 9, number), number_digits(result->bfgs_objective, 9, other),
            result->stage_count > 1 ? " (of one stage)" : "");
  fprintf(out, "\n");
  for (size_t i = 0; i < result->global_count; i++)
    print_filled(out, fit_global_sentence(arena, result, &result->globals[i]), fprintf(out, "  "), 4);
  if (!isnan(result->holdout_error)) fprintf(out, "  %s\n", fit_holdout_sentence(arena, result));
  const char *const more[] = {fit_std_sentence(arena, result),
                              fit_interval_sentence(arena, result),
                              result->grouping,
                              result->interval_reason,
                              fit_replication_sentence(arena, result),
                              fit_correlation_sentence(arena, result)};
  for (size_t i = 0; i < sizeof more / sizeof *more; i++)
    if (more[i]) print_filled(out, more[i], fprintf(out, "  "), 4);
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
  const struct text_column columns[] = {
      {"row", .least = 34},
      {"observed", .right = true, .least = 10},
      {"predicted", .right = true, .least = 10},
      {result->residual == RESIDUAL_LOG ? "difference" : "residual", .right = true, .least = 10},
      {""},
      {0}};
  struct text_table table = {.gap = 1, .indent = 2};
  text_table_columns(&table, columns);
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
    text_table_cell(&table, "%s", fit_row_label(arena, row));
    text_table_cell(&table, "%s", number_digits(row->observed, 6, observed));
    text_table_cell(&table, "%s", number_digits(row->predicted, 6, predicted));
    text_table_cell(&table, "%s", isnan(row->predicted) ? "-" : difference);
    text_table_cell(&table, "%s", uses[row->use]);
  }
  fprintf(out, "\n");
  text_table_print(&table, out);
  text_table_free(&table);
  if (shown < result->table_count)
    fprintf(out, "  (the %zu largest of %zu; --residuals prints all)\n", shown, result->table_count);
  free(rows);
}

static void print_exclusions(const struct fit_result *result, struct arena *arena, FILE *out) {
  size_t shown = result->excluded_count < 20 ? result->excluded_count : 20;
  if (shown) fprintf(out, "  excluded:\n");
  for (size_t i = 0; i < shown; i++)
    fprintf(out, "    %s: %s\n", visible(arena, result->exclusions[i].row),
            visible(arena, result->exclusions[i].reason));
  if (shown < result->excluded_count) fprintf(out, "    and %zu more\n", result->excluded_count - shown);
}

// What each of several fits is made on, and how well it stands.
static void print_parts_table(const struct fit_parts *parts, struct arena *arena, FILE *out) {
  struct text_table table = {.gap = 2};
  char number[40];
  text_table_column(&table, (struct text_column){arena_format(arena, "  %s", parts->results[0].by)});
  text_table_columns(&table, (const struct text_column[]){{"rows", .right = true},
                                                          {"excluded", .right = true},
                                                          {"objective", .right = true},
                                                          {"residual rms", .right = true},
                                                          {"stationary"},
                                                          {"starts that agree"},
                                                          {0}});
  for (size_t i = 0; i < parts->count; i++) {
    const struct fit_result *result = &parts->results[i];
    text_table_cell(&table, "  %s", result->part);
    text_table_cell(&table, "%zu", result->rows);
    text_table_cell(&table, "%zu", result->excluded_count);
    text_table_cell(&table, "%s", number_digits(result->objective, 6, number));
    text_table_cell(&table, "%s", fit_residual_words(arena, result, result->residual_rms));
    text_table_cell(&table, "%s", result->stationary ? "yes" : "NO");
    text_table_cell(&table, "%lld of %lld%s", (long long)result->starts_agreeing, (long long)result->starts_descended,
                    result->starts_elsewhere ? arena_format(arena, "; %lld reach it at other coefficients",
                                                            (long long)result->starts_elsewhere)
                                             : "");
  }
  text_table_print(&table, out);
  text_table_free(&table);
}

// A warning that all fits give is said once.
static bool all_warn(const struct fit_parts *parts, const char *warning) {
  for (size_t i = 0; i < parts->count; i++) {
    bool found = false;
    for (size_t w = 0; w < parts->results[i].warning_count; w++)
      found |= strcmp(parts->results[i].warnings[w], warning) == 0;
    if (!found) return false;
  }
  return true;
}

static void print_parts_warnings(const struct fit_parts *parts, struct arena *arena, FILE *out) {
  bool any = false;
  for (size_t i = 0; i < parts->count; i++) any |= parts->results[i].warning_count > 0;
  if (any) fprintf(out, "\n");
  for (size_t i = 0; i < parts->count; i++) {
    const struct fit_result *result = &parts->results[i];
    for (size_t w = 0; w < result->warning_count; w++) {
      bool all = parts->count > 1 && all_warn(parts, result->warnings[w]);
      if (all && i) continue;
      print_filled(out, result->warnings[w],
                   all ? fprintf(out, "  warning: ") : fprintf(out, "  warning, %s: ", visible(arena, result->part)),
                   4);
    }
  }
}

void fit_parts_print(const struct fit_parts *parts, const struct law *law, FILE *out) {
  struct arena arena = {0};
  char objective[OBJECTIVE_TEXT];
  const struct fit_result *first = &parts->results[0];
  const char *answer = fit_parts_answer(&arena, parts, law);
  objective_text(first->objective_kind, objective);
  if (answer) print_filled(out, visible(&arena, answer), 0, 2);
  if (answer) fprintf(out, "\n");
  fprintf(out, "%s by %s: %s = %s\n", first->law, visible(&arena, first->by), first->target, first->formula);
  fprintf(out, "  %zu fit%s on rows of %s; %s on %s\n\n", parts->count, parts->count == 1 ? "" : "s",
          visible(&arena, first->source), objective,
          first->residual == RESIDUAL_LOG ? "the difference of logarithms" : "the difference");
  print_coefficients(parts->results, parts->count, law, &arena, out);
  fprintf(out, "\n");
  print_parts_table(parts, &arena, out);
  if (parts->left_out_count) fprintf(out, "\n  left out:\n");
  for (size_t i = 0; i < parts->left_out_count; i++) {
    struct text text = {0};
    text_format(&text, "    %s: ", visible(&arena, parts->left_out[i].row));
    fputs(text_string(&text), out);
    print_filled(out, parts->left_out[i].reason, (int)text.length, 6);
    text_free(&text);
  }
  print_parts_warnings(parts, &arena, out);
  const char *made = fit_made_sentence(&arena, first);
  if (made) fprintf(out, "\n");
  if (made) print_filled(out, made, fprintf(out, "  "), 4);
  arena_free(&arena);
}

// All there is.
static void print_details(const struct fit_result *result, const struct law *law, const struct fit_notes *notes,
                          struct arena *arena, FILE *out) {
  char number[40];
  if (result->answer) print_filled(out, result->answer, 0, 2);
  if (result->answer) fprintf(out, "\n");
  print_filled(out, arena_format(arena, "%s: %s = %s", result->name, result->target, result->formula), 0, 2);
  print_filled(out, arena_format(arena, "%s; %s", fit_rows_sentence(arena, result), fit_loss_sentence(arena, result)),
               fprintf(out, "  "), 4);
  if (result->duplicates) fprintf(out, "  rows that repeat others count once; --keep-duplicates counts all\n");
  if (notes && notes->rows_before) fprintf(out, "  %zu rows before best_over and average_over\n", notes->rows_before);
  if (notes && !isnan(notes->noise))
    fprintf(out,
            "  runs that differ only in the axes averaged over scatter by %s in ln(%s) (%zu degree%s of freedom)\n",
            number_digits(notes->noise, 3, number), result->target, notes->noise_degrees,
            notes->noise_degrees == 1 ? "" : "s");
  fprintf(out, "\n");
  print_coefficients(result, 1, law, arena, out);
  print_at_values(result, arena, out);
  fprintf(out, "\n");
  print_search(result, arena, out);
  print_exclusions(result, arena, out);
  for (size_t i = 0; i < result->warning_count; i++)
    if (!fit_warning_is_told(result, result->warnings[i]))
      print_filled(out, result->warnings[i], fprintf(out, "  warning: "), 4);
}

void fit_print(const struct fit_result *result, const struct law *law, const struct fit_notes *notes,
               const struct fit_print_options *options, FILE *out) {
  static const struct fit_print_options screen = {0};
  struct arena arena = {0};
  if (!options) options = &screen;
  if (options->details)
    print_details(result, law, notes, &arena, out);
  else
    fit_print_screen(result, law, notes, out);
  fit_print_diagnosis(result, options, out);
  if (options->residuals || options->details) print_residuals(result, options->residuals, &arena, out);
  const char *made = fit_made_sentence(&arena, result);
  const char *settings = fit_settings_sentence(&arena, result);
  if (made && options->details) {
    fprintf(out, "\n");
    print_filled(out, made, fprintf(out, "  "), 4);
    if (settings) print_filled(out, settings, fprintf(out, "  "), 4);
  }
  arena_free(&arena);
}
