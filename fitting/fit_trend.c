// Residuals against every numeric column: do they rise or fall with it, do they grow? Rank correlations (Spearman),
// their significance corrected for the number of tests (Holm 1979).
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { ROWS = 20000 };  // of a larger table every k-th row is looked at
static const double level = 0.05;

struct ranked {
  double value;
  size_t place;
};

static int by_value(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  return (x->value > y->value) - (x->value < y->value);
}

// Ranks, equal values sharing their mean rank. Returns the number of distinct values.
static size_t rank(const double *values, size_t count, double *ranks) {
  struct ranked *sorted = memory_get((count + 1) * sizeof *sorted);
  size_t distinct = 0;
  for (size_t i = 0; i < count; i++) sorted[i] = (struct ranked){values[i], i};
  qsort(sorted, count, sizeof *sorted, by_value);
  for (size_t i = 0, end; i < count; i = end, distinct++) {
    for (end = i; end < count && sorted[end].value <= sorted[i].value; end++) {
    }
    for (size_t k = i; k < end; k++) ranks[sorted[k].place] = 0.5 * (double)(i + end - 1);
  }
  free(sorted);
  return distinct;
}

static void moments(const double *a, const double *b, size_t count, double *slope, double *correlation) {
  double n = (double)count, ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < count; i++) {
    ma += a[i] / n;
    mb += b[i] / n;
  }
  for (size_t i = 0; i < count; i++) {
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
    ab += (a[i] - ma) * (b[i] - mb);
  }
  *slope = aa > 0 ? ab / aa : NAN;
  *correlation = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

// Two-sided, by Student's t with count - 2 degrees of freedom.
static double significance(double correlation, size_t count) {
  double degrees = (double)count - 2, left = 1 - correlation * correlation;
  if (!(left > 0)) return 0;
  return 2 * gsl_cdf_tdist_Q(fabs(correlation) * sqrt(degrees / left), degrees);
}

struct look {
  size_t count;
  double *column, *residual, *size, *ranks[3], *kept[3];
};

static bool look_at(const struct look *look, const char *name, struct fit_trend *trend) {
  size_t count = 0;
  bool positive = true;
  for (size_t i = 0; i < look->count; i++) {
    if (!isfinite(look->column[i]) || !isfinite(look->residual[i])) continue;
    look->kept[0][count] = look->column[i];
    look->kept[1][count] = look->residual[i];
    look->kept[2][count++] = fabs(look->residual[i]);
    positive &= look->column[i] > 0;
  }
  if (count < 8 || rank(look->kept[0], count, look->ranks[0]) < 3) return false;
  for (int k = 1; k < 3; k++) rank(look->kept[k], count, look->ranks[k]);
  for (size_t i = 0; positive && i < count; i++) look->kept[0][i] = log10(look->kept[0][i]);
  *trend = (struct fit_trend){.column = name, .logarithmic = positive};
  double unused;
  moments(look->kept[0], look->kept[1], count, &trend->slope, &unused);
  moments(look->ranks[0], look->ranks[1], count, &unused, &trend->correlation);
  moments(look->ranks[0], look->ranks[2], count, &unused, &trend->spread_correlation);
  trend->p = significance(trend->correlation, count);
  trend->spread_p = significance(trend->spread_correlation, count);
  return true;
}

// Holm: the k-th smallest of m significances is compared with level / (m - k + 1), until the first that fails.
static void correct(struct fit_trend *trends, size_t count) {
  size_t tests = 2 * count;
  double *sorted = memory_get((tests + 1) * sizeof *sorted), limit = -1;
  for (size_t i = 0; i < count; i++) {
    sorted[2 * i] = trends[i].p;
    sorted[2 * i + 1] = trends[i].spread_p;
  }
  qsort(sorted, tests, sizeof *sorted, compare_numbers);
  for (size_t k = 0; k < tests && sorted[k] <= level / (double)(tests - k); k++) limit = sorted[k];
  free(sorted);
  for (size_t i = 0; i < count; i++) {
    trends[i].significant = trends[i].p <= limit;
    trends[i].spread_significant = trends[i].spread_p <= limit;
  }
}

// Columns that cannot be the cause: what is predicted, other outcomes, and columns that another one equals.
static bool looked_at(const struct fit *fit, size_t c) {
  const struct table_column *column = &fit->table->columns[c];
  if (column->kind != COLUMN_NUMBER || column->role == ROLE_OUTCOME || (int)c == fit->target_column) return false;
  for (size_t other = 0; other < c; other++)
    if (fit->table->columns[other].kind == COLUMN_NUMBER &&
        memcmp(fit->table->columns[other].numbers, column->numbers, fit->table->row_count * sizeof(double)) == 0)
      return false;
  return true;
}

void fit_trends(struct fit *fit) {
  struct fit_result *result = fit->result;
  const struct table *table = fit->table;
  size_t step = result->rows / ROWS + 1, seen = 0, place = 0;
  struct look look = {0};
  double **arrays[] = {&look.column,   &look.residual, &look.ranks[0], &look.ranks[1],
                       &look.ranks[2], &look.kept[0],  &look.kept[1],  &look.kept[2]};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    *arrays[i] = arena_array(&fit->arena, result->rows / step + 2, sizeof(double));
  size_t *rows = arena_array(&fit->arena, result->rows / step + 2, sizeof *rows);
  for (size_t row = 0; row < table->row_count; row++) {
    if (!fit->selected[row]) continue;
    const struct fit_row *out = &result->table[place++];
    if (out->use != ROW_FITTED || seen++ % step) continue;
    rows[look.count] = row;
    look.residual[look.count++] = out->residual;
  }
  result->trends = arena_array(&result->arena, table->column_count + 1, sizeof *result->trends);
  for (size_t c = 0; c < table->column_count; c++) {
    if (!looked_at(fit, c)) continue;
    for (size_t i = 0; i < look.count; i++) look.column[i] = table->columns[c].numbers[rows[i]];
    const char *name = arena_string(&result->arena, table->columns[c].name);
    result->trend_count += look_at(&look, name, &result->trends[result->trend_count]);
  }
  int n = table_find(table, "parameters"), d = table_find(table, "tokens");
  if (n >= 0 && d >= 0 && table->columns[n].kind == COLUMN_NUMBER && table->columns[d].kind == COLUMN_NUMBER) {
    for (size_t i = 0; i < look.count; i++)
      look.column[i] = table->columns[d].numbers[rows[i]] / table->columns[n].numbers[rows[i]];
    result->trend_count += look_at(&look, "D/N", &result->trends[result->trend_count]);
  }
  correct(result->trends, result->trend_count);
}
