// A law fitted by the values of a column: one fit for the rows of each.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/table_internal.h"

enum { VALUES = 200 };

struct part {
  const char *value;
  double number;  // of a numeric column, by which parts are ordered; else the place of the first row
  int group;
};

static int in_order(const void *a, const void *b) {
  const struct part *x = a, *y = b;
  return (x->number > y->number) - (x->number < y->number);
}

static const char *value_text(struct arena *arena, struct value value) {
  char number[32];
  if (value.kind == VALUE_TEXT) return arena_string(arena, value.text);
  number_shortest(value.number, number);
  return arena_string(arena, number);
}

// The values of the column that rows with `rows` have, in order; group[row] says which group a row is in.
static struct part *find_parts(struct arena *arena, const struct table *table, int column, const bool *rows, int *group,
                               size_t *count) {
  size_t groups = (size_t)table_partition(table, &column, 1, rows, group);
  struct part *parts = arena_array(arena, groups + 1, sizeof *parts);
  bool *seen = arena_array(arena, groups + 1, sizeof *seen);
  *count = 0;
  for (size_t row = 0; row < table->row_count; row++) {
    if (group[row] < 0 || seen[group[row]]) continue;
    struct value value = table_value(table, (size_t)column, row);
    seen[group[row]] = true;
    if (value.kind == VALUE_MISSING) continue;  // told of below
    parts[(*count)++] =
        (struct part){value_text(arena, value), value.kind == VALUE_NUMBER ? value.number : (double)row, group[row]};
  }
  qsort(parts, *count, sizeof *parts, in_order);
  return parts;
}

// One value's fit; what its rows do not allow is kept in `left_out`.
static void fit_part(const struct law *law, const struct table *table, const struct fit_options *all,
                     const struct part *part, const bool *rows, struct fit_parts *parts, struct error *first) {
  struct fit_options options = *all;
  struct fit_result *result = &parts->results[parts->count];
  struct error error = {0};
  options.part = part->value;
  options.part_rows = rows;
  options.name = arena_format(&parts->arena, "%s[%s]", all->name ? all->name : law->name, part->value);
  if (fit_run(law, table, &options, result, &error)) {
    parts->count++;
    return;
  }
  fit_result_free(result);
  if (!first->code) *first = error;
  parts->left_out[parts->left_out_count++] =
      (struct fit_exclusion){part->value, arena_string(&parts->arena, error.text)};
}

bool fit_run_by(const struct law *law, const struct table *table, const struct fit_options *options,
                struct fit_parts *parts, struct error *error) {
  *parts = (struct fit_parts){0};
  size_t rows = table->row_count, count;
  int column = table_find(table, options->by), *group = arena_array(&parts->arena, rows + 1, sizeof *group);
  if (column < 0) return unknown_column(table, options->by, "the fit is made by it, but there is", error);
  bool *taken = arena_array(&parts->arena, rows + 1, sizeof *taken),
       *own = arena_array(&parts->arena, rows + 1, sizeof *own);
  for (size_t row = 0; row < rows; row++) taken[row] = true;
  if (options->where && !table_where(table, options->where, taken, error)) return false;
  struct part *values = find_parts(&parts->arena, table, column, taken, group, &count);
  if (!count)
    return error_set(error, EXIT_USAGE_ERROR, "%s: no row that takes part has a value in column '%s'", table->source,
                     options->by);
  if (count > VALUES)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s: column '%s' has %zu values; a fit by each value is for columns of at most %d", table->source,
                     options->by, count, VALUES);
  parts->results = arena_array(&parts->arena, count, sizeof *parts->results);
  parts->left_out = arena_array(&parts->arena, count + 1, sizeof *parts->left_out);
  struct error first = {0};
  for (size_t i = 0; i < count; i++) {
    for (size_t row = 0; row < rows; row++) own[row] = group[row] == values[i].group;
    fit_part(law, table, options, &values[i], own, parts, &first);
  }
  size_t missing = 0;
  for (size_t row = 0; row < rows; row++)
    missing += taken[row] && table_value(table, (size_t)column, row).kind == VALUE_MISSING;
  if (missing)
    parts->left_out[parts->left_out_count++] = (struct fit_exclusion){
        "(none)", arena_format(&parts->arena, "%zu row%s no value there", missing, missing == 1 ? " has" : "s have")};
  if (parts->count) return true;
  *error = first;
  return error_context(error, "by %s: %s", options->by, parts->left_out[0].row);
}

void fit_parts_free(struct fit_parts *parts) {
  for (size_t i = 0; i < parts->count; i++) fit_result_free(&parts->results[i]);
  arena_free(&parts->arena);
}

bool fit_check_part(const struct fit *fit, struct error *error) {
  const struct fit_options *options = fit->options;
  if (!options->by || options->part) return true;
  int column = table_find(fit->table, options->by);
  if (column < 0) return unknown_column(fit->table, options->by, "the fit is made by it, but there is", error);
  struct arena arena = {0};
  size_t count;
  int *group = arena_array(&arena, fit->table->row_count + 1, sizeof *group);
  find_parts(&arena, fit->table, column, fit->selected, group, &count);
  arena_free(&arena);
  if (count <= 1) return true;
  error_set(error, EXIT_USAGE_ERROR,
            "the law %s is fitted to each value of '%s' by itself, and here one fit is needed; take the rows of one "
            "(--where \"%s == ...\")",
            fit->law->name, options->by, options->by);
  return false;
}
