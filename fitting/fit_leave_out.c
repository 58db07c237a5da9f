// Prediction of what was left out: the fit is made anew without the rows of each value of a column, and of a numeric
// column on its k smallest values for every k (a rollout: from small runs to larger ones), and predicts the rest.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/table_internal.h"

enum {
  VALUES = 100,      // categories at most
  MANY_VALUES = 24,  // more numbers are left out by bins
  BINS = 10,
  STARTS = 256
};

struct errors {
  double sum, signed_sum, largest;
  size_t count;
};

struct leaving_out {
  struct fit *fit;
  int column;
  struct value *values;  // distinct, of the fitted rows; numbers ascending; of bins the largest
  double *lows;          // of bins the smallest; NULL: there are none
  size_t count;
  bool *held_out;  // [table rows]
};

static bool same_value(struct value a, struct value b) {
  if (a.kind != b.kind) return false;
  return a.kind == VALUE_NUMBER ? a.number == b.number : strcmp(a.text, b.text) == 0;
}

static int by_number(const void *a, const void *b) {
  const struct value *x = a, *y = b;
  return (x->number > y->number) - (x->number < y->number);
}

// Numbers of many values are left out in bins of about equal numbers of rows; equal numbers stay together. False where
// there are few.
static bool find_bins(struct leaving_out *leaving, struct fit_leave_out *out) {
  const struct fit *fit = leaving->fit;
  const struct table_column *column = &fit->table->columns[leaving->column];
  if (column->kind != COLUMN_NUMBER) return false;
  double *sorted = memory_get((fit->table->row_count + 1) * sizeof *sorted);
  size_t rows = 0, distinct = 0;
  for (size_t row = 0; row < fit->table->row_count; row++)
    if (fit->selected[row] && fit->use[row] == ROW_FITTED && !isnan(column->numbers[row]))
      sorted[rows++] = column->numbers[row];
  qsort(sorted, rows, sizeof *sorted, compare_numbers);
  for (size_t i = 0; i < rows; i++) distinct += !i || sorted[i] != sorted[i - 1];
  if (distinct > MANY_VALUES) {
    leaving->values = arena_array(&leaving->fit->arena, BINS + 1, sizeof *leaving->values);
    leaving->lows = arena_array(&leaving->fit->arena, BINS + 1, sizeof *leaving->lows);
    for (size_t begin = 0; begin < rows;) {
      size_t end = rows * (leaving->count + 1) / BINS;
      if (end <= begin) end = begin + 1;
      if (leaving->count + 1 == BINS) end = rows;
      while (end < rows && sorted[end] == sorted[end - 1]) end++;
      leaving->lows[leaving->count] = sorted[begin];
      leaving->values[leaving->count++] = (struct value){.kind = VALUE_NUMBER, .number = sorted[end - 1]};
      begin = end;
    }
    out->note = arena_format(&fit->result->arena,
                             "%s has %zu values: they are left out in %zu bins of about equal "
                             "numbers of rows",
                             column->name, distinct, leaving->count);
  }
  free(sorted);
  return leaving->lows != NULL;
}

static bool find_values(struct leaving_out *leaving, struct error *error) {
  const struct fit *fit = leaving->fit;
  const struct table *table = fit->table;
  leaving->values = arena_array(&leaving->fit->arena, VALUES + 1, sizeof *leaving->values);
  for (size_t row = 0; row < table->row_count; row++) {
    if (!fit->selected[row] || fit->use[row] != ROW_FITTED) continue;
    struct value value = table_value(table, (size_t)leaving->column, row);
    if (value.kind == VALUE_MISSING) continue;
    bool known = false;
    for (size_t i = 0; i < leaving->count && !known; i++) known = same_value(leaving->values[i], value);
    if (known) continue;
    if (leaving->count == VALUES)
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s: column '%s' has more than %d values; leaving out one after the other is for columns of few "
                       "values",
                       table->source, table->columns[leaving->column].name, VALUES);
    leaving->values[leaving->count++] = value;
  }
  if (leaving->count < 2)
    return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s' has %s among the fitted rows; nothing can be left out",
                     table->source, table->columns[leaving->column].name, leaving->count ? "one value" : "no value");
  if (table->columns[leaving->column].kind == COLUMN_NUMBER)
    qsort(leaving->values, leaving->count, sizeof *leaving->values, by_number);
  return true;
}

static const char *value_words(struct arena *arena, struct value value) {
  char number[32];
  if (value.kind == VALUE_TEXT) return arena_string(arena, value.text);
  number_shortest(value.number, number);
  return arena_string(arena, number);
}

static void add_error(struct errors *errors, bool absolute, double observed, double predicted) {
  double off = (predicted - observed) / (absolute ? 1 : fabs(observed));
  errors->sum += fabs(off);
  errors->signed_sum += off;
  if (fabs(off) > fabs(errors->largest)) errors->largest = off;
  errors->count++;
}

// Fits without the rows marked in held_out, and measures the predictions of those that the whole fit is made on.
static void fit_without(struct leaving_out *leaving, struct fit_left_out *out, struct errors *all) {
  struct fit *fit = leaving->fit;
  struct fit_options options = *fit->options;
  struct fit_result result;
  struct error error = {0};
  struct errors errors = {0};
  options.bootstrap = 0;
  options.bare = true;
  options.global_check = false;
  // no interval is asked for; priors are weighed by groups
  if (!options.prior_count && !options.pooled_count) options.group = "none";
  options.profile_all = false;
  options.profile_count = options.leave_out_count = options.score_count = options.ratio_count = 0;
  options.contour_count = 0;
  options.held_out_rows = leaving->held_out;
  if (!options.starts || options.starts > STARTS) options.starts = STARTS;
  bool fine = fit_run(fit->law, fit->table, &options, &result, &error);
  for (size_t i = 0; i < result.table_count && fine; i++) {
    const struct fit_row *row = &result.table[i];
    if (row->use != ROW_HELD_OUT || fit->use[row->place] != ROW_FITTED || isnan(row->predicted)) continue;
    add_error(&errors, fit_errors_absolute(fit->result), row->observed, row->predicted);
    if (all) add_error(all, fit_errors_absolute(fit->result), row->observed, row->predicted);
  }
  out->fitted_rows = fine ? result.rows : 0;
  out->predicted = errors.count;
  out->error = errors.count ? errors.sum / (double)errors.count : NAN;
  out->bias = errors.count ? errors.signed_sum / (double)errors.count : NAN;
  out->largest = errors.count ? errors.largest : NAN;
  if (!fine)
    out->trouble = arena_string(&fit->result->arena, error.text);
  else if (!errors.count)
    out->trouble = "no fitted row has its category: nothing predicts it";
  fit_result_free(&result);
}

static void mark(struct leaving_out *leaving, size_t k, bool rollout) {
  const struct fit *fit = leaving->fit;
  for (size_t row = 0; row < fit->table->row_count; row++) {
    struct value value = table_value(fit->table, (size_t)leaving->column, row);
    bool out = leaving->lows && !rollout ? value.kind == VALUE_NUMBER && value.number >= leaving->lows[k] &&
                                               value.number <= leaving->values[k].number
               : rollout ? value.kind == VALUE_NUMBER && value.number > leaving->values[k].number
                         : same_value(value, leaving->values[k]);
    leaving->held_out[row] = out && value.kind != VALUE_MISSING;
  }
}

static bool leave_out_column(struct fit *fit, const char *name, struct fit_leave_out *out, struct error *error) {
  struct fit_result *result = fit->result;
  struct leaving_out leaving = {.fit = fit, .column = table_find(fit->table, name)};
  struct errors all = {0};
  if (leaving.column < 0) return unknown_column(fit->table, name, "leave out: there is", error);
  if (leaving.column == fit->target_column)
    return error_set(error, EXIT_USAGE_ERROR,
                     "leave out: %s is what the law predicts; name a column that distinguishes runs", name);
  const struct table_column *column = &fit->table->columns[leaving.column];
  *out = (struct fit_leave_out){.column = arena_string(&result->arena, column->name)};
  if (!find_bins(&leaving, out) && !find_values(&leaving, error)) return false;
  leaving.held_out = arena_array(&fit->arena, fit->table->row_count + 1, sizeof *leaving.held_out);
  out->values = arena_array(&result->arena, leaving.count, sizeof *out->values);
  for (size_t k = 0; k < leaving.count; k++) {
    struct fit_left_out *one = &out->values[out->value_count++];
    one->value = value_words(&result->arena, leaving.values[k]);
    if (leaving.lows)
      one->value = arena_format(&result->arena, "%.4g .. %.4g", leaving.lows[k], leaving.values[k].number);
    mark(&leaving, k, false);
    fit_without(&leaving, one, &all);
  }
  out->error = all.count ? all.sum / (double)all.count : NAN;
  out->bias = all.count ? all.signed_sum / (double)all.count : NAN;
  if (column->kind != COLUMN_NUMBER || leaving.count < 3) return true;
  out->rollout = arena_array(&result->arena, leaving.count, sizeof *out->rollout);
  for (size_t k = 0; k + 1 < leaving.count; k++) {
    struct fit_left_out *one = &out->rollout[out->rollout_count++];
    one->value = value_words(&result->arena, leaving.values[k]);
    mark(&leaving, k, true);
    fit_without(&leaving, one, NULL);
  }
  return true;
}

bool fit_leave_out(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  size_t count = fit->options->leave_out_count;
  if (!count) return true;
  result->leave_out = arena_array(&result->arena, count, sizeof *result->leave_out);
  for (size_t i = 0; i < count; i++) {
    if (!leave_out_column(fit, fit->options->leave_out[i], &result->leave_out[i], error)) return false;
    result->leave_out_count++;
  }
  return true;
}
