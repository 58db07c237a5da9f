// The best of equal rows: the one where an expression is lowest, loss unless something else is asked for. Runs that
// diverged, failed or are still running are never the best, and never what a law predicts decides.
#include <math.h>
#include <string.h>

#include "fitting/table_reduce_internal.h"

struct choosing {
  struct table *table;
  struct grouping grouping;
  struct reduction *reduction;
  const char *by;  // what is lowest in the best row
  double *value;   // [rows] of it; NAN where the row cannot be the best
  bool *outcome;   // [columns] that `by` is made of
  bool *keep;      // [rows]
  size_t *best;    // [configurations]: the row kept
  size_t *begin;   // [configurations + 1], in grouping.order; the last one is where the rows end
  size_t count;    // of configurations with a best row
};

// ---- by what ----

static bool evaluate(struct choosing *choosing, struct error *error) {
  struct table *table = choosing->table;
  if (!choosing->by) {
    choosing->by = "loss";
    if (table_find(table, "loss") < 0)
      return error_set(
          error, EXIT_USAGE_ERROR,
          "%s: best_over takes the best by loss, and there is no column 'loss': best_by (--best-by) says by "
          "what, a minus where larger is better: -accuracy",
          table->source);
  }
  const char *what = arena_format(&table->arena, "best_by '%s'", choosing->by);
  struct expression *expression = table_expression(table, &table->arena, choosing->by, error);
  if (!expression) return error_context(error, "%s", what);
  int *columns = arena_array(&table->arena, (size_t)expression->name_count + 1, sizeof *columns);
  struct value *slots = arena_array(&table->arena, (size_t)expression->name_count + 1, sizeof *slots);
  if (!table_columns_of(table, expression, what, columns, error)) return false;
  for (int i = 0; i < expression->name_count; i++) {
    choosing->outcome[columns[i]] = true;
    if (table->columns[columns[i]].kind != COLUMN_NUMBER)
      return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s' of %s is not numeric", what,
                       table->columns[columns[i]].name, table->source);
  }
  for (size_t row = 0; row < table->row_count; row++) {
    table_slots(table, expression, columns, row, slots);
    if (!expression_number(expression, slots, &choosing->value[row], error)) return error_context(error, "%s", what);
  }
  return true;
}

// Rows that cannot be the best lose their value, and are reported.
static void pass_over(struct choosing *choosing) {
  struct table *table = choosing->table;
  size_t infinite = 0, failed = 0;
  const char *words = NULL;
  bool *bad = memory_get(table->row_count + 1);
  table_find_failed(table, bad, &words);
  for (size_t row = 0; row < table->row_count; row++) {
    bool finite = isfinite(choosing->value[row]);
    infinite += !finite;
    failed += finite && bad[row];
    if (!finite || bad[row]) choosing->value[row] = NAN;
  }
  free(bad);
  if (infinite)
    reduction_warn(table, choosing->reduction, "%zu of %zu rows %s no finite %s and %s never the best", infinite,
                   table->row_count, infinite == 1 ? "has" : "have", choosing->by, infinite == 1 ? "is" : "are");
  if (failed)
    reduction_warn(table, choosing->reduction, "%zu of %zu rows %s failed or did not end (%s): %s never the best",
                   failed, table->row_count, failed == 1 ? "is of a run that" : "are of runs that", words,
                   failed == 1 ? "it is" : "they are");
}

static void choose(struct choosing *choosing) {
  const struct grouping *grouping = &choosing->grouping;
  size_t none = 0;
  for (size_t begin = 0, end; begin < grouping->count; begin = end) {
    end = grouping_end(grouping, begin);
    size_t best = grouping->order[begin];
    for (size_t i = begin; i < end; i++) {
      size_t row = grouping->order[i];
      if (isnan(choosing->value[best]) || choosing->value[row] < choosing->value[best]) best = row;
    }
    if (isnan(choosing->value[best])) {
      none++;
      continue;
    }
    choosing->keep[best] = true;
    choosing->best[choosing->count] = best;
    choosing->begin[2 * choosing->count] = begin;
    choosing->begin[2 * choosing->count + 1] = end;
    choosing->count++;
  }
  if (none)
    reduction_warn(choosing->table, choosing->reduction,
                   "%zu configuration%s no row that can be the best and %s left out", none,
                   none == 1 ? " has" : "s have", none == 1 ? "is" : "are");
}

// ---- where the best lies among the values of an axis ----

// The grid is that of all runs: one that diverged beyond the best bounds it.
static void warn_of_edges(struct choosing *choosing, const char *name, int column) {
  struct table *table = choosing->table;
  const struct table_column *axis = &table->columns[column];
  size_t at_low = 0, at_high = 0, single = 0;
  for (size_t g = 0; g < choosing->count; g++) {
    double low = INFINITY, high = -INFINITY, value = axis->numbers[choosing->best[g]];
    for (size_t i = choosing->begin[2 * g]; i < choosing->begin[2 * g + 1]; i++) {
      low = fmin(low, axis->numbers[choosing->grouping.order[i]]);
      high = fmax(high, axis->numbers[choosing->grouping.order[i]]);
    }
    single += !(low < high);
    at_low += low < high && value == low;
    at_high += low < high && value == high;
  }
  if (at_low + at_high)
    reduction_warn(table, choosing->reduction,
                   "the best %s lies on the edge of its grid in %zu of %zu configurations (%zu at the lowest, %zu at "
                   "the highest value): widen the grid there",
                   name, at_low + at_high, choosing->count, at_low, at_high);
  if (single)
    reduction_warn(table, choosing->reduction, "%zu of %zu configurations %s a single value of %s to choose from",
                   single, choosing->count, single == 1 ? "has" : "have", name);
}

// ---- how far off the choice is ----

struct placed {
  double x, value;
};

static int by_place(const void *a, const void *b) {
  const struct placed *p = a, *q = b;
  if (p->x != q->x) return p->x < q->x ? -1 : 1;
  return (p->value > q->value) - (p->value < q->value);
}

// The lowest values of one configuration along an axis, by ascending x; returns how many.
static size_t profile_of(const struct choosing *choosing, size_t g, int column, bool logarithms,
                         struct placed *placed) {
  const double *numbers = choosing->table->columns[column].numbers;
  size_t count = 0, kept = 0;
  for (size_t i = choosing->begin[2 * g]; i < choosing->begin[2 * g + 1]; i++) {
    size_t row = choosing->grouping.order[i];
    if (isnan(choosing->value[row]) || isnan(numbers[row])) continue;
    placed[count++] = (struct placed){logarithms ? log(numbers[row]) : numbers[row], choosing->value[row]};
  }
  qsort(placed, count, sizeof *placed, by_place);
  for (size_t i = 0; i < count; i++)
    if (!kept || placed[i].x != placed[kept - 1].x) placed[kept++] = placed[i];
  return kept;
}

static void measure_choice(struct choosing *choosing, int column, struct table_choice *choice) {
  struct table *table = choosing->table;
  const double *numbers = table->columns[column].numbers;
  size_t rows = table->row_count, points = 0;
  bool logarithms = true;
  for (size_t i = 0; i < rows; i++) logarithms &= isnan(numbers[i]) || numbers[i] > 0;
  struct placed *placed = memory_get((rows + 1) * sizeof *placed);
  double *x = memory_get((rows + 1) * sizeof *x), *value = memory_get((rows + 1) * sizeof *value);
  struct choice_points *configurations = memory_get((choosing->count + 1) * sizeof *configurations);
  double *deviation = memory_get((choosing->count + 1) * sizeof *deviation),
         *offset = memory_get((choosing->count + 1) * sizeof *offset);
  for (size_t g = 0; g < choosing->count; g++) {
    size_t row = choosing->best[g], count = profile_of(choosing, g, column, logarithms, placed);
    configurations[g] = (struct choice_points){points, count, row, logarithms ? log(numbers[row]) : numbers[row]};
    for (size_t i = 0; i < count; i++, points++) {
      x[points] = placed[i].x;
      value[points] = placed[i].value;
    }
  }
  choice_deviations(x, value, configurations, choosing->count, deviation, offset);
  *choice = (struct table_choice){column, logarithms, arena_array(&table->arena, rows + 1, sizeof(double)),
                                  arena_array(&table->arena, rows + 1, sizeof(double))};
  for (size_t g = 0; g < choosing->count; g++) {
    choice->deviation[choosing->best[g]] = deviation[g];
    choice->offset[choosing->best[g]] = offset[g];
  }
  free(placed);
  free(x);
  free(value);
  free(configurations);
  free(deviation);
  free(offset);
}

static void look_at_axes(struct choosing *choosing, const char *const *axes) {
  struct table *table = choosing->table;
  const struct grouping *grouping = &choosing->grouping;
  table->choices = arena_array(&table->arena, grouping->axis_count + 1, sizeof *table->choices);
  table->choice_count = 0;
  for (size_t i = 0; i < grouping->axis_count; i++) {
    if (table->columns[grouping->axes[i]].kind != COLUMN_NUMBER) continue;
    warn_of_edges(choosing, axes[i], grouping->axes[i]);
    measure_choice(choosing, grouping->axes[i], &table->choices[table->choice_count++]);
  }
}

bool table_best_over(struct table *table, const char *by, const char *const *axes, size_t axis_count,
                     const char *const *keys, size_t key_count, struct reduction *reduction, struct error *error) {
  *reduction = (struct reduction){.rows_before = table->row_count, .noise = NAN};
  struct choosing choosing = {.table = table, .reduction = reduction, .by = by};
  choosing.value = memory_get((table->row_count + 1) * sizeof *choosing.value);
  choosing.outcome = memory_get(table->column_count + 1);
  choosing.keep = memory_get(table->row_count + 1);
  choosing.best = memory_get((table->row_count + 1) * sizeof *choosing.best);
  choosing.begin = memory_get(2 * (table->row_count + 1) * sizeof *choosing.begin);
  bool fine = evaluate(&choosing, error) && grouping_make(&choosing.grouping, table, "best_over", choosing.outcome,
                                                          axes, axis_count, keys, key_count, NULL, error);
  if (fine) {
    pass_over(&choosing);
    choose(&choosing);
    look_at_axes(&choosing, axes);
    table_keep_rows(table, choosing.keep);
    reduction->rows_after = table->row_count;
  }
  free(choosing.value);
  free(choosing.outcome);
  free(choosing.keep);
  free(choosing.best);
  free(choosing.begin);
  grouping_free(&choosing.grouping);
  return fine;
}
