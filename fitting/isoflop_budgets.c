// From a table to budgets: which rows can be used, which belong to one budget, one loss a size.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/isoflop_internal.h"
#include "fitting/table_internal.h"

// ---- rows ----

// The numbers of a column, or NULL when there is none of this name. An error when it holds texts.
static bool numbers_of(const struct table *table, const char *name, const double **numbers, struct error *error) {
  int column = table_find(table, name);
  *numbers = NULL;
  if (column < 0) return true;
  if (table->columns[column].kind != COLUMN_NUMBER)
    return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s' holds texts, not numbers", table->source, name);
  *numbers = table->columns[column].numbers;
  return true;
}

static bool number_curves(const struct table *table, const char *name, struct isoflop *result,
                          struct isoflop_rows *rows, struct error *error) {
  rows->curve_names = arena_array(&result->arena, rows->count + 1, sizeof *rows->curve_names);
  if (!name) {
    for (size_t i = 0; i < rows->count; i++) {
      rows->curve[i] = (int)i;
      rows->curve_names[i] = arena_string(&result->arena, table->row_names[rows->row[i]]);
    }
    rows->curve_count = (int)rows->count;
    return true;
  }
  int column = table_find(table, name);
  if (column < 0) return unknown_column(table, name, "there is", error);
  struct table names;  // a category column gives every distinct value a number
  table_init(&names, "curves", rows->count);
  size_t category = table_add_category(&names, "curve", ROLE_UNKNOWN);
  for (size_t i = 0; i < rows->count; i++) {
    struct value value = table_value(table, (size_t)column, rows->row[i]);
    char number[32] = "";
    if (value.kind == VALUE_NUMBER) number_shortest(value.number, number);
    table_set_category(&names, category, i, value.kind == VALUE_TEXT ? value.text : number);
    rows->curve[i] = names.columns[category].codes[i];
  }
  rows->curve_count = names.columns[category].category_count;
  for (int c = 0; c < rows->curve_count; c++)
    rows->curve_names[c] = arena_string(&result->arena, names.columns[category].categories[c]);
  table_free(&names);
  return true;
}

bool isoflop_read(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                  struct isoflop_rows *rows, struct error *error) {
  const double *parameters, *tokens, *flops, *loss, *budget = NULL;
  if (!numbers_of(table, "parameters", &parameters, error) || !numbers_of(table, "tokens", &tokens, error) ||
      !numbers_of(table, "flops", &flops, error) || !numbers_of(table, "loss", &loss, error))
    return false;
  if (options->budget) {
    if (!numbers_of(table, options->budget, &budget, error)) return false;
    if (!budget) return unknown_column(table, options->budget, "there is", error);
  }
  if (!parameters) return unknown_column(table, "parameters", "sizes are needed, but there is", error);
  if (!loss) return unknown_column(table, "loss", "losses are needed, but there is", error);
  if (!flops && !budget && !tokens)
    return unknown_column(table, "flops", "flops (or tokens, or a budget) are needed, but there is", error);
  struct arena *arena = &result->arena;
  size_t n = table->row_count + 1;
  size_t *kept = arena_array(arena, n, sizeof *kept);
  *rows = (struct isoflop_rows){.row = kept};
  double **columns[] = {&rows->parameters, &rows->tokens, &rows->flops, &rows->loss};
  for (size_t c = 0; c < 4; c++) *columns[c] = arena_array(arena, n, sizeof(double));
  rows->curve = arena_array(arena, n, sizeof *rows->curve);
  for (size_t row = 0; row < table->row_count; row++) {
    double N = parameters[row], L = loss[row], C = budget ? budget[row] : flops ? flops[row] : 6 * N * tokens[row];
    double D = tokens ? tokens[row] : C / (6 * N);
    if (!(N > 0 && C > 0 && D > 0 && L > 0) || !isfinite(N) || !isfinite(C) || !isfinite(D) || !isfinite(L)) {
      result->excluded++;
      continue;
    }
    size_t i = rows->count++;
    kept[i] = row;
    rows->parameters[i] = N;
    rows->tokens[i] = D;
    rows->flops[i] = C;
    rows->loss[i] = L;
  }
  result->rows = rows->count;
  if (!rows->count)
    return error_set(error, EXIT_USAGE_ERROR, "%s: no row has parameters, flops (or tokens) and loss, all above zero",
                     table->source);
  if (result->excluded)
    isoflop_warn(result, "%zu row%s without parameters, flops or loss above zero left out", result->excluded,
                 result->excluded == 1 ? "" : "s");
  return number_curves(table, options->curve, result, rows, error);
}

// ---- curves ----

static int compare_points(const void *a, const void *b, void *context) {
  const struct isoflop_rows *rows = context;
  size_t left = *(const size_t *)a, right = *(const size_t *)b;
  if (rows->curve[left] != rows->curve[right]) return rows->curve[left] < rows->curve[right] ? -1 : 1;
  if (rows->flops[left] != rows->flops[right]) return rows->flops[left] < rows->flops[right] ? -1 : 1;
  return left < right ? -1 : left > right;
}

void curve_points(struct arena *arena, const struct isoflop_rows *rows, size_t **points, size_t **start) {
  *points = arena_array(arena, rows->count + 1, sizeof **points);
  *start = arena_array(arena, (size_t)rows->curve_count + 2, sizeof **start);
  for (size_t i = 0; i < rows->count; i++) {
    (*points)[i] = i;
    (*start)[rows->curve[i] + 1]++;
  }
  qsort_r(*points, rows->count, sizeof **points, compare_points, (void *)rows);
  for (int c = 0; c < rows->curve_count; c++) (*start)[c + 1] += (*start)[c];
}

bool curve_at(const struct isoflop_rows *rows, const size_t *points, size_t count, double flops, double tolerance,
              double *loss, double *tokens) {
  size_t after = 0;
  while (after < count && rows->flops[points[after]] < flops) after++;
  size_t end = after == count ? points[count - 1] : points[after];
  if ((after < count && rows->flops[end] == flops) || after == 0 || after == count) {
    if (fabs(log(rows->flops[end] / flops)) > log1p(tolerance)) return false;
    *loss = rows->loss[end];
    *tokens = rows->tokens[end];
    return true;
  }
  size_t before = points[after - 1];
  double share = log(flops / rows->flops[before]) / log(rows->flops[end] / rows->flops[before]);
  *loss = exp(log(rows->loss[before]) + share * log(rows->loss[end] / rows->loss[before]));
  *tokens = exp(log(rows->tokens[before]) + share * log(rows->tokens[end] / rows->tokens[before]));
  return true;
}

// ---- budgets ----

struct entry {  // a run at a budget
  size_t budget;
  double parameters, tokens, loss, flops;
};

static int compare_entries(const void *a, const void *b) {
  const struct entry *x = a, *y = b;
  if (x->budget != y->budget) return x->budget < y->budget ? -1 : 1;
  if (x->parameters != y->parameters) return x->parameters < y->parameters ? -1 : 1;
  if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
  return x->tokens < y->tokens ? -1 : x->tokens > y->tokens;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// The budgets: those given, or buckets of the budget column or of flops.
static double *budget_values(const struct isoflop_options *options, struct arena *arena,
                             const struct isoflop_rows *rows, size_t *count) {
  double *values = arena_array(arena, rows->count + options->budget_count + 1, sizeof *values);
  *count = 0;
  if (options->budgets) {
    memcpy(values, options->budgets, options->budget_count * sizeof *values);
    *count = options->budget_count;
    return values;
  }
  double *sorted = arena_array(arena, rows->count + 1, sizeof *sorted);
  memcpy(sorted, rows->flops, rows->count * sizeof *sorted);
  qsort(sorted, rows->count, sizeof *sorted, ascending);
  double width = 1 + options->tolerance;
  for (size_t i = 0, end; i < rows->count; i = end) {
    double sum = 0;
    for (end = i; end < rows->count && sorted[end] <= sorted[i] * width; end++) sum += log(sorted[end]);
    values[(*count)++] = sorted[i] == sorted[end - 1] ? sorted[i] : exp(sum / (double)(end - i));
  }
  return values;
}

static size_t nearest_budget(const double *budgets, size_t count, double flops) {
  size_t best = 0;
  for (size_t b = 1; b < count; b++)
    if (fabs(log(flops / budgets[b])) < fabs(log(flops / budgets[best]))) best = b;
  return best;
}

// One loss a size: the mean, or the lowest (entries of one size come by rising loss).
static void fill_budget(struct arena *arena, struct isoflop_budget *budget, const struct entry *entries, size_t count,
                        bool average) {
  budget->rows = count;
  budget->parameters = arena_array(arena, count + 1, sizeof(double));
  budget->tokens = arena_array(arena, count + 1, sizeof(double));
  budget->loss = arena_array(arena, count + 1, sizeof(double));
  budget->counted = arena_array(arena, count + 1, sizeof(double));
  for (size_t i = 0, end; i < count; i = end) {
    double loss = 0, tokens = 0, flops = 0;
    for (end = i; end < count && entries[end].parameters == entries[i].parameters; end++) {
      loss += entries[end].loss;
      tokens += entries[end].tokens;
      flops += entries[end].flops;
    }
    double n = (double)(end - i);
    budget->parameters[budget->sizes] = entries[i].parameters;
    budget->tokens[budget->sizes] = average ? tokens / n : entries[i].tokens;
    budget->counted[budget->sizes] = average ? flops / n : entries[i].flops;
    budget->loss[budget->sizes++] = average ? loss / n : entries[i].loss;
  }
}

bool isoflop_budgets(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                     const struct isoflop_rows *rows, struct error *error) {
  struct arena *arena = &result->arena;
  if (options->curve && !options->budgets && !options->budget)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s: rows of one '%s' are a curve, so the budgets at which curves are compared must be given",
                     table->source, options->curve);
  size_t count, entry_count = 0;
  const double *values = budget_values(options, arena, rows, &count);
  size_t most = options->curve && options->budgets ? (size_t)rows->curve_count * count : rows->count;
  struct entry *entries = arena_array(arena, most + 1, sizeof *entries);
  if (options->curve && options->budgets) {
    size_t *points, *start;
    curve_points(arena, rows, &points, &start);
    for (int c = 0; c < rows->curve_count; c++)
      for (size_t b = 0; b < count; b++) {
        struct entry *entry = &entries[entry_count];
        size_t last = points[start[c + 1] - 1];  // for what a token costs in this training
        *entry = (struct entry){.budget = b, .parameters = rows->parameters[points[start[c]]]};
        bool reached = curve_at(rows, points + start[c], start[c + 1] - start[c], values[b], options->tolerance,
                                &entry->loss, &entry->tokens);
        entry->flops = entry->tokens * rows->flops[last] / rows->tokens[last];
        entry_count += reached;
      }
  } else {
    size_t outside = 0;
    for (size_t i = 0; i < rows->count; i++) {
      size_t b = nearest_budget(values, count, rows->flops[i]);
      if (options->budgets && fabs(log(rows->flops[i] / values[b])) > log1p(options->tolerance)) {
        outside++;
        continue;
      }
      entries[entry_count++] = (struct entry){b, rows->parameters[i], rows->tokens[i], rows->loss[i], rows->flops[i]};
    }
    if (outside)
      isoflop_warn(result, "%zu row%s at none of the budgets (within %g %%)", outside, outside == 1 ? " lies" : "s lie",
                   100 * options->tolerance);
  }
  if (!entry_count) return error_set(error, EXIT_USAGE_ERROR, "%s: no run reaches any of the budgets", table->source);
  qsort(entries, entry_count, sizeof *entries, compare_entries);
  result->budgets = arena_array(arena, count + 1, sizeof *result->budgets);
  for (size_t b = 0, i = 0; b < count; b++) {
    size_t end = i;
    while (end < entry_count && entries[end].budget == b) end++;
    struct isoflop_budget *budget = &result->budgets[result->budget_count++];
    *budget = (struct isoflop_budget){.flops = values[b]};
    fill_budget(arena, budget, entries + i, end - i, options->average);
    i = end;
  }
  return true;
}
