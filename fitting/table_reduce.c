// Reductions of a table: the best over some axes, the average over others.
#include <math.h>
#include <string.h>

#include "fitting/table_internal.h"

struct grouping {
  struct table *table;
  size_t target;
  int *keys;
  size_t key_count;
  size_t *order;  // rows, equal ones together
  size_t count;
  int *axes;
  size_t axis_count;
};

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

static void grouping_free(struct grouping *grouping) {
  free(grouping->keys);
  free(grouping->order);
  free(grouping->axes);
}

// Finds target, axes and keys, and sorts the rows that have a target by key.
static bool grouping_make(struct grouping *grouping, struct table *table, const char *what, const char *target,
                          const char *const *axes, size_t axis_count, const char *const *keys, size_t key_count,
                          struct error *error) {
  *grouping = (struct grouping){.table = table};
  int target_column = table_find(table, target);
  if (target_column < 0) return unknown_column(table, target, "there is", error);
  if (table->columns[target_column].kind != COLUMN_NUMBER)
    return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s' is not numeric", table->source, target);
  grouping->target = (size_t)target_column;
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
    bool key = table->columns[c].role == ROLE_SETTING, axis = c == grouping->target;
    for (size_t k = 0; k < key_count; k++) key |= table_find(table, keys[k]) == (int)c;
    for (size_t i = 0; i < axis_count; i++) axis |= grouping->axes[i] == (int)c;
    if (key && !axis) grouping->keys[grouping->key_count++] = (int)c;
  }
  grouping->order = memory_get((table->row_count + 1) * sizeof *grouping->order);
  for (size_t row = 0; row < table->row_count; row++)
    if (isfinite(table->columns[target_column].numbers[row])) grouping->order[grouping->count++] = row;
  qsort_r(grouping->order, grouping->count, sizeof *grouping->order, compare_rows, grouping);
  return true;
}

static size_t group_end(const struct grouping *grouping, size_t begin) {
  size_t end = begin + 1;
  while (end < grouping->count && same_group(grouping, grouping->order[begin], grouping->order[end])) end++;
  return end;
}

static void warn(struct table *table, struct reduction *reduction, const char *text) {
  reduction->warnings = arena_grow(&table->arena, reduction->warnings, reduction->warning_count,
                                   reduction->warning_count + 1, sizeof *reduction->warnings);
  reduction->warnings[reduction->warning_count++] = text;
}

// Where the best value of one axis lies among the values of its group.
struct edges {
  size_t low, high, inside, single;
};

static void count_edge(const struct table_column *axis, const size_t *rows, size_t count, size_t best,
                       struct edges *edges) {
  double low = INFINITY, high = -INFINITY, value = axis->numbers[best];
  for (size_t i = 0; i < count; i++) {
    low = fmin(low, axis->numbers[rows[i]]);
    high = fmax(high, axis->numbers[rows[i]]);
  }
  if (!(low < high))
    edges->single++;
  else if (value == low)
    edges->low++;
  else if (value == high)
    edges->high++;
  else
    edges->inside++;
}

bool table_best_over(struct table *table, const char *target, const char *const *axes, size_t axis_count,
                     const char *const *keys, size_t key_count, struct reduction *reduction, struct error *error) {
  *reduction = (struct reduction){.rows_before = table->row_count, .noise = NAN};
  struct grouping grouping;
  bool fine = grouping_make(&grouping, table, "best_over", target, axes, axis_count, keys, key_count, error);
  bool *keep = memory_get(table->row_count + 1);
  struct edges *edges = memory_get((axis_count + 1) * sizeof *edges);
  for (size_t begin = 0, end; fine && begin < grouping.count; begin = end) {
    end = group_end(&grouping, begin);
    const double *losses = table->columns[grouping.target].numbers;
    size_t best = grouping.order[begin];
    for (size_t i = begin; i < end; i++)
      if (losses[grouping.order[i]] < losses[best]) best = grouping.order[i];
    keep[best] = true;
    for (size_t i = 0; i < axis_count; i++) {
      const struct table_column *axis = &table->columns[grouping.axes[i]];
      if (axis->kind == COLUMN_NUMBER) count_edge(axis, grouping.order + begin, end - begin, best, &edges[i]);
    }
  }
  if (fine) {
    table_keep_rows(table, keep);
    for (size_t i = 0; i < axis_count; i++) {
      struct edges *e = &edges[i];
      if (e->low + e->high)
        warn(table, reduction,
             arena_format(&table->arena,
                          "the best %s lies on the edge of its grid in %zu of %zu configurations (%zu at the lowest, "
                          "%zu at the highest value): widen the grid there",
                          axes[i], e->low + e->high, table->row_count, e->low, e->high));
      if (e->single)
        warn(table, reduction,
             arena_format(&table->arena, "%zu of %zu configurations have a single value of %s to choose from",
                          e->single, table->row_count, axes[i]));
    }
    reduction->rows_after = table->row_count;
  }
  free(edges);
  free(keep);
  grouping_free(&grouping);
  return fine;
}

static double mean_of(const double *values, const size_t *rows, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += values[rows[i]];
  return sum / (double)count;
}

bool table_average_over(struct table *table, const char *target, const char *const *axes, size_t axis_count,
                        const char *const *keys, size_t key_count, struct reduction *reduction, struct error *error) {
  *reduction = (struct reduction){.rows_before = table->row_count, .noise = NAN};
  struct grouping grouping;
  bool fine = grouping_make(&grouping, table, "average_over", target, axes, axis_count, keys, key_count, error);
  bool *keep = memory_get(table->row_count + 1);
  double squares = 0;
  for (size_t begin = 0, end; fine && begin < grouping.count; begin = end) {
    end = group_end(&grouping, begin);
    const size_t *rows = grouping.order + begin;
    size_t count = end - begin, first = rows[0];  // the first row of a group stands for it
    const double *losses = table->columns[grouping.target].numbers;
    double log_mean = 0, apart = 0;
    for (size_t i = 0; i < count; i++) log_mean += log(losses[rows[i]]) / (double)count;
    for (size_t i = 0; i < count; i++) apart += pow(log(losses[rows[i]]) - log_mean, 2);
    squares += apart;
    reduction->noise_degrees += count - 1;
    int members = 0;
    for (size_t i = 0; i < count; i++) members += table->row_members[rows[i]];
    for (size_t c = 0; c < table->column_count; c++) {
      struct table_column *column = &table->columns[c];
      if (column->kind == COLUMN_NUMBER && (c == grouping.target || column->role == ROLE_OUTCOME))
        column->numbers[first] = mean_of(column->numbers, rows, count);
    }
    for (size_t i = 0; i < axis_count && count > 1; i++) {  // an average has no seed
      struct table_column *axis = &table->columns[grouping.axes[i]];
      if (axis->kind == COLUMN_NUMBER)
        axis->numbers[first] = NAN;
      else
        axis->codes[first] = -1;
    }
    table->row_members[first] = members;
    table->row_squares[first] = apart;
    keep[first] = true;
  }
  if (fine) {
    table_keep_rows(table, keep);
    reduction->rows_after = table->row_count;
    if (reduction->noise_degrees) reduction->noise = sqrt(squares / (double)reduction->noise_degrees);
  }
  free(keep);
  grouping_free(&grouping);
  return fine;
}
