// Sequential design: which one run more lowers the error of a target most, by the linearised information matrix,
// verified by simulation.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/design_internal.h"
#include "fitting/table_internal.h"

enum { MOST_LEVELS = 10 };

struct candidate {
  size_t template;  // row whose other columns it takes
  double parameters, tokens, flops;
};

// The values a column takes among the fitted rows, thinned, with half the least and twice the largest.
static size_t levels_of(const struct design *design, const double *numbers, double levels[MOST_LEVELS + 2]) {
  size_t count = 0, n = 0;
  double *values = memory_get((design->table->row_count + 1) * sizeof *values);
  for (size_t row = 0; row < design->table->row_count; row++)
    if (design->fit.selected[row] && design->fit.use[row] == ROW_FITTED) values[count++] = numbers[row];
  qsort(values, count, sizeof *values, compare_numbers);
  for (size_t i = 0; i < count; i++)
    if (!n || values[i] > values[n - 1] * 1.001) values[n++] = values[i];
  size_t kept = n < MOST_LEVELS ? n : MOST_LEVELS;
  for (size_t i = 0; i < kept; i++) levels[i + 1] = values[kept > 1 ? i * (n - 1) / (kept - 1) : 0];
  levels[0] = levels[1] / 2;
  levels[kept + 1] = levels[kept] * 2;
  free(values);
  return kept + 2;
}

// The categories of a row in the law's columns: "w4a4".
static const char *categories_of(const struct design *design, size_t row, struct arena *arena) {
  struct text text = {0};
  for (int i = 0; i < design->law->column_count; i++) {
    struct value value = table_value(design->table, (size_t)table_find(design->table, design->law->columns[i]), row);
    if (value.kind == VALUE_TEXT) text_format(&text, "%s%s", text.length ? " / " : "", value.text);
  }
  const char *made = arena_string(arena, text_string(&text));
  text_free(&text);
  return made;
}

static const double *numbers_of(const struct table *table, const char *name) {
  int column = table_find(table, name);
  return column >= 0 && table->columns[column].kind == COLUMN_NUMBER ? table->columns[column].numbers : NULL;
}

// Sizes and tokens of the sweep, crossed, for every kind of row, at no more than the compute of its largest run.
static struct candidate *candidates_of(struct design *design, size_t *count) {
  const struct table *table = design->table;
  const double *N = numbers_of(table, "parameters"), *D = numbers_of(table, "tokens"), *C = numbers_of(table, "flops");
  double sizes[MOST_LEVELS + 2], tokens[MOST_LEVELS + 2], most = 0;
  *count = 0;
  if (!N || !D) return NULL;
  size_t size_count = levels_of(design, N, sizes), token_count = levels_of(design, D, tokens);
  struct arena *arena = &design->arena;
  size_t *templates = arena_array(arena, table->row_count + 1, sizeof *templates), template_count = 0;
  for (size_t row = 0; row < table->row_count; row++) {
    bool known = false;
    if (!design->fit.selected[row] || design->fit.use[row] != ROW_FITTED) continue;
    most = fmax(most, C ? C[row] : 6 * N[row] * D[row]);
    for (size_t t = 0; t < template_count && !known; t++)
      known = strcmp(categories_of(design, templates[t], arena), categories_of(design, row, arena)) == 0;
    if (!known && template_count < 50) templates[template_count++] = row;
  }
  struct candidate *candidates = arena_array(arena, template_count * size_count * token_count + 1, sizeof *candidates);
  for (size_t t = 0; t < template_count; t++)
    for (size_t s = 0; s < size_count; s++)
      for (size_t d = 0; d < token_count; d++) {
        size_t row = templates[t];
        double flops = 6 * sizes[s] * tokens[d];
        if (C) flops *= C[row] / (6 * N[row] * D[row]);
        if (flops > 1.001 * most) continue;
        candidates[(*count)++] = (struct candidate){row, sizes[s], tokens[d], flops};
      }
  return candidates;
}

// The table with the candidates after its rows.
static void extend(struct table *out, const struct table *table, const struct candidate *candidates, size_t count) {
  table_init(out, table->source, table->row_count + count);
  for (size_t c = 0; c < table->column_count; c++) {
    const struct table_column *from = &table->columns[c];
    if (from->kind == COLUMN_NUMBER)
      table_add_number(out, from->name, from->role);
    else
      table_add_category(out, from->name, from->role);
    for (size_t row = 0; row < table->row_count + count; row++) {
      const struct candidate *candidate = row < table->row_count ? NULL : &candidates[row - table->row_count];
      size_t source = candidate ? candidate->template : row;
      if (from->kind != COLUMN_NUMBER) {
        int code = from->codes[source];
        table_set_category(out, c, row, code < 0 ? NULL : from->categories[code]);
        continue;
      }
      double value = from->numbers[source];
      if (candidate && strcmp(from->name, "parameters") == 0) value = candidate->parameters;
      if (candidate && strcmp(from->name, "tokens") == 0) value = candidate->tokens;
      if (candidate && strcmp(from->name, "flops") == 0) value = candidate->flops;
      out->columns[c].numbers[row] = value;
    }
  }
  for (size_t row = 0; row < table->row_count; row++) {
    table_name_row(out, row, table->row_names[row]);
    out->row_members[row] = table->row_members[row];
  }
  for (size_t i = 0; i < count; i++) table_name_row(out, table->row_count + i, "the added run");
}

// The spread of the target over simulated fits with the run added.
static bool verify(struct design *design, const struct candidate *candidate, struct design_addition *addition,
                   struct error *error) {
  struct table table;
  struct design_result result;
  struct design_options options = *design->options;
  options.target = NULL;
  options.bootstrap = 0;
  extend(&table, design->table, candidate, 1);
  bool fine = design_run(design->law, &table, design->fit_options, &options, &result, error);
  for (size_t q = 0; fine && q < result.quantity_count; q++)
    if (strcmp(result.quantities[q].name, design->options->target) == 0) addition->sd_after = result.quantities[q].sd;
  if (fine && result.interrupted) design->result->interrupted = true;
  design_free(&result);
  table_free(&table);
  return fine;
}

static bool choose(struct design *whole, const struct candidate *candidates, size_t count, size_t target,
                   size_t best[2], double after[2], double *before, struct error *error) {
  size_t n = (size_t)whole->count, rows = whole->table->row_count, own = rows - count;
  double *jacobian = design_jacobian(whole), least = INFINITY, most_gain = 0;
  struct linear linear = {.covariance = arena_array(&whole->arena, n * n + 1, sizeof(double)),
                          .score = arena_array(&whole->arena, n * rows + 1, sizeof(double)),
                          .unidentified = arena_array(&whole->arena, n + 1, sizeof(bool))};
  int *include = arena_array(&whole->arena, rows + 1, sizeof *include);
  for (size_t row = 0; row < own; row++) include[row] = 1;
  if (!design_linear(whole, jacobian, include, &linear, false, error)) return false;
  *before = design_error_of(whole, &linear, target);
  after[0] = after[1] = NAN;
  for (size_t c = 0; c < count; c++) {
    include[own + c] = 1;
    if (!design_linear(whole, jacobian, include, &linear, false, error)) return false;
    include[own + c] = 0;
    double se = design_error_of(whole, &linear, target);
    double gain = (isfinite(*before) ? log(*before / se) : 0) / candidates[c].flops;
    if (se < least) {
      least = after[0] = se;
      best[0] = c;
    }
    if (gain > most_gain && log(*before / se) > 0.01) {
      most_gain = gain;
      after[1] = se;
      best[1] = c;
    }
  }
  return true;
}

bool design_search(struct design *design, struct error *error) {
  struct design_result *result = design->result;
  int target = design_target(design, design->options->target, error);
  if (target < 0) return false;
  size_t count;
  struct candidate *candidates = candidates_of(design, &count);
  if (!count) return true;
  struct table table;
  struct design whole = {.law = design->law,
                         .table = &table,
                         .fit_options = design->fit_options,
                         .options = design->options,
                         .result = result};
  extend(&table, design->table, candidates, count);
  size_t rows = result->rows, best[2];
  double before, after[2];
  bool fine =
      design_begin(&whole, error) && choose(&whole, candidates, count, (size_t)target, best, after, &before, error);
  result->rows = rows;
  struct design_addition *additions[] = {&result->addition, &result->cheap_addition};
  for (int i = 0; i < 2 && fine; i++) {
    if (isnan(after[i])) continue;
    const struct candidate *candidate = &candidates[best[i]];
    *additions[i] = (struct design_addition){.found = true,
                                             .parameters = candidate->parameters,
                                             .tokens = candidate->tokens,
                                             .flops = candidate->flops,
                                             .category = categories_of(design, candidate->template, &result->arena),
                                             .se_before = before,
                                             .se_after = after[i],
                                             .sd_before = result->quantities[target].sd,
                                             .sd_after = NAN};
    if (i == 0 && design->options->repeats > 0 && !result->interrupted)
      fine = verify(design, candidate, additions[i], error);
  }
  arena_free(&whole.fit.arena);
  arena_free(&whole.fit_result.arena);
  arena_free(&whole.arena);
  table_free(&table);
  return fine;
}
