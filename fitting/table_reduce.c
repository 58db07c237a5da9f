// Reductions of a table: groups of rows that are equal in all but some axes, and their averages. The best of them is in
// table_best.c.
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "fitting/table_reduce_internal.h"

static int compare_cells(const struct table_column *column, size_t a, size_t b) {
  if (column->kind == COLUMN_CATEGORY)
    return (column->codes[a] > column->codes[b]) - (column->codes[a] < column->codes[b]);
  double x = column->numbers[a], y = column->numbers[b];
  if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
  return (x > y) - (x < y);
}

static int compare_rows(const void *left, const void *right, void *context) {
  const struct grouping *grouping = context;
  size_t a = *(const size_t *)left, b = *(const size_t *)right;
  for (size_t k = 0; k < grouping->key_count; k++) {
    int order = compare_cells(&grouping->table->columns[grouping->keys[k]], a, b);
    if (order) return order;
  }
  return (a > b) - (a < b);
}

static bool same_group(const struct grouping *grouping, size_t a, size_t b) {
  for (size_t k = 0; k < grouping->key_count; k++)
    if (compare_cells(&grouping->table->columns[grouping->keys[k]], a, b)) return false;
  return true;
}

void grouping_free(struct grouping *grouping) {
  free(grouping->keys);
  free(grouping->order);
  free(grouping->axes);
}

bool grouping_make(struct grouping *grouping, struct table *table, const char *what, const bool *outcome,
                   const char *const *axes, size_t axis_count, const char *const *keys, size_t key_count,
                   const bool *takes, struct error *error) {
  *grouping = (struct grouping){.table = table};
  grouping->axes = memory_get((axis_count + 1) * sizeof *grouping->axes);
  for (size_t i = 0; i < axis_count; i++) {
    grouping->axes[i] = table_find(table, axes[i]);
    struct error inner = {0};
    if (grouping->axes[i] < 0) {
      unknown_column(table, axes[i], "there is", &inner);
      return error_set(error, EXIT_USAGE_ERROR, "%s: %s", what, inner.text);
    }
  }
  grouping->axis_count = axis_count;
  grouping->keys = memory_get((table->column_count + 1) * sizeof *grouping->keys);
  for (size_t c = 0; c < table->column_count; c++) {
    bool key = table->columns[c].role == ROLE_SETTING, axis = outcome[c];
    for (size_t k = 0; k < key_count; k++) key |= table_find(table, keys[k]) == (int)c;
    for (size_t i = 0; i < axis_count; i++) axis |= grouping->axes[i] == (int)c;
    if (key && !axis) grouping->keys[grouping->key_count++] = (int)c;
  }
  grouping->order = memory_get((table->row_count + 1) * sizeof *grouping->order);
  for (size_t row = 0; row < table->row_count; row++)
    if (!takes || takes[row]) grouping->order[grouping->count++] = row;
  qsort_r(grouping->order, grouping->count, sizeof *grouping->order, compare_rows, grouping);
  return true;
}

size_t grouping_end(const struct grouping *grouping, size_t begin) {
  size_t end = begin + 1;
  while (end < grouping->count && same_group(grouping, grouping->order[begin], grouping->order[end])) end++;
  return end;
}

void reduction_warn(struct table *table, struct reduction *reduction, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  reduction->warnings = arena_grow(&table->arena, reduction->warnings, reduction->warning_count,
                                   reduction->warning_count + 1, sizeof *reduction->warnings);
  reduction->warnings[reduction->warning_count++] = arena_vformat(&table->arena, format, arguments);
  va_end(arguments);
}

static double mean_of(const double *values, const size_t *rows, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += values[rows[i]];
  return sum / (double)count;
}

// The columns of the targets: false with an error for one that is not there or holds texts.
static bool find_targets(const struct table *table, const char *const *targets, size_t count, bool *outcome,
                         struct error *error) {
  for (size_t t = 0; t < count; t++) {
    int column = table_find(table, targets[t]);
    if (column < 0) return unknown_column(table, targets[t], "there is", error);
    if (table->columns[column].kind != COLUMN_NUMBER)
      return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s' is not numeric", table->source, targets[t]);
    outcome[column] = true;
  }
  return true;
}

// An average has no seed.
static void forget_axes(const struct grouping *grouping, size_t row) {
  for (size_t i = 0; i < grouping->axis_count; i++) {
    struct table_column *axis = &grouping->table->columns[grouping->axes[i]];
    if (axis->kind == COLUMN_NUMBER)
      axis->numbers[row] = NAN;
    else
      axis->codes[row] = -1;
  }
}

// Puts the rows of one group into the first of them; returns the sum of squares of ln(target) about their mean.
static double average_group(const struct grouping *grouping, const size_t *rows, size_t count, size_t target,
                            const bool *outcome) {
  struct table *table = grouping->table;
  size_t first = rows[0];
  const double *losses = table->columns[target].numbers;
  double log_mean = 0, apart = 0;
  int members = 0;
  for (size_t i = 0; i < count; i++) log_mean += log(losses[rows[i]]) / (double)count;
  for (size_t i = 0; i < count; i++) apart += pow(log(losses[rows[i]]) - log_mean, 2);
  for (size_t i = 0; i < count; i++) members += table->row_members[rows[i]];
  for (size_t c = 0; c < table->column_count; c++) {
    struct table_column *column = &table->columns[c];
    if (column->kind == COLUMN_NUMBER && (outcome[c] || column->role == ROLE_OUTCOME))
      column->numbers[first] = mean_of(column->numbers, rows, count);
  }
  if (count > 1) forget_axes(grouping, first);
  table->row_members[first] = members;
  table->row_squares[first] = apart;
  return apart;
}

bool table_average_over(struct table *table, const char *const *targets, size_t target_count, const char *const *axes,
                        size_t axis_count, const char *const *keys, size_t key_count, bool keep_empty,
                        struct reduction *reduction, struct error *error) {
  *reduction = (struct reduction){.rows_before = table->row_count, .noise = NAN};
  struct grouping grouping = {0};
  bool *outcome = memory_get(table->column_count + 1), *keep = memory_get(table->row_count + 1),
       *takes = memory_get(table->row_count + 1);
  bool fine = find_targets(table, targets, target_count, outcome, error);
  size_t target = fine ? (size_t)table_find(table, targets[0]) : 0, short_of = 0, empty = 0;
  for (size_t row = 0; fine && row < table->row_count; row++)
    takes[row] = isfinite(table->columns[target].numbers[row]);
  fine =
      fine && grouping_make(&grouping, table, "average_over", outcome, axes, axis_count, keys, key_count, NULL, error);
  double squares = 0;
  for (size_t begin = 0, end; fine && begin < grouping.count; begin = end) {
    end = grouping_end(&grouping, begin);
    size_t *rows = grouping.order + begin, count = 0;
    for (size_t i = begin; i < end; i++)
      if (takes[grouping.order[i]]) rows[count++] = grouping.order[i];
    short_of += count && count < end - begin;
    if (!count && keep_empty) {
      keep[rows[0]] = true;
      if (end - begin > 1) forget_axes(&grouping, rows[0]);
      continue;
    }
    empty += !count;
    if (!count) continue;
    squares += average_group(&grouping, rows, count, target, outcome);
    reduction->noise_degrees += count - 1;
    keep[rows[0]] = true;  // the first row of a group stands for it
  }
  if (fine) {
    table_keep_rows(table, keep);
    reduction->rows_after = table->row_count;
    if (reduction->noise_degrees) reduction->noise = sqrt(squares / (double)reduction->noise_degrees);
    if (short_of)
      reduction_warn(table, reduction,
                     "%zu of %zu averages %s of fewer rows than there are: the others have no finite %s", short_of,
                     table->row_count, short_of == 1 ? "is" : "are", targets[0]);
    if (empty)
      reduction_warn(table, reduction, "%zu configuration%s no finite %s and %s left out", empty,
                     empty == 1 ? " has" : "s have", targets[0], empty == 1 ? "is" : "are");
  }
  free(outcome);
  free(keep);
  free(takes);
  grouping_free(&grouping);
  return fine;
}
