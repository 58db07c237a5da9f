// Residuals by groups of rows: partitions of the fitted rows by columns, the intraclass correlation (one-way analysis
// of variance; Fisher 1925) and the correlation of neighbours along tokens. See fit_dependence_internal.h.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_dependence_internal.h"

enum { FEW = 20 };  // values of a few-valued numeric column

struct partition partition_by(const struct dependence *d, const int *columns, int count) {
  struct partition made = {.of = arena_array(d->arena, d->fit->table->row_count + 1, sizeof *made.of)};
  made.count = table_partition(d->fit->table, columns, count, d->fitted, made.of);
  return made;
}

bool same_partition(const struct dependence *d, struct partition a, struct partition b) {
  if (a.count != b.count) return false;
  int *match = memory_get((size_t)(a.count + 1) * sizeof *match);
  bool same = true;
  for (int g = 0; g < a.count; g++) match[g] = -1;
  for (size_t i = 0; i < d->rows && same; i++) {
    int *to = &match[a.of[d->row[i]]];
    if (*to < 0) *to = b.of[d->row[i]];
    same = *to == b.of[d->row[i]];
  }
  free(match);
  return same;
}

void intraclass(const int *of, int groups, const double *values, size_t count, double *correlation, double *p) {
  double *sum = memory_get((size_t)(groups + 1) * sizeof *sum), mean = 0, between = 0, within = 0, squares = 0;
  size_t *size = memory_get((size_t)(groups + 1) * sizeof *size);
  for (size_t i = 0; i < count; i++) {
    sum[of[i]] += values[i];
    size[of[i]]++;
    mean += values[i] / (double)count;
  }
  for (size_t i = 0; i < count; i++) {
    double center = sum[of[i]] / (double)size[of[i]];
    within += (values[i] - center) * (values[i] - center);
  }
  for (int g = 0; g < groups; g++) {
    if (!size[g]) continue;
    double off = sum[g] / (double)size[g] - mean;
    between += (double)size[g] * off * off;
    squares += (double)size[g] * (double)size[g];
  }
  free(sum);
  free(size);
  *correlation = 0;
  *p = 1;
  if (groups < 2 || count <= (size_t)groups) return;
  double above = groups - 1, below = (double)count - groups,
         typical = ((double)count - squares / (double)count) / above;
  between /= above;
  within /= below;
  if (!(between > within)) return;
  *correlation = (between - within) / (between + (typical - 1) * within);
  *p = within > 0 ? gsl_cdf_fdist_Q(between / within, above, below) : 0;
}

struct placed {
  int group;
  double tokens, residual;
};

static int by_group_and_tokens(const void *a, const void *b) {
  const struct placed *x = a, *y = b;
  if (x->group != y->group) return x->group < y->group ? -1 : 1;
  return (x->tokens > y->tokens) - (x->tokens < y->tokens);
}

bool along_tokens(const struct dependence *d, struct partition partition, int tokens, double *correlation, double *p) {
  struct placed *sorted = memory_get((d->rows + 1) * sizeof *sorted);
  double products = 0, variance = 0, squares = 0;
  size_t in_runs = 0;
  bool growing = true;
  for (size_t i = 0; i < d->rows; i++)
    sorted[i] =
        (struct placed){partition.of[d->row[i]], d->fit->table->columns[tokens].numbers[d->row[i]], d->residual[i]};
  qsort(sorted, d->rows, sizeof *sorted, by_group_and_tokens);
  for (size_t from = 0, to; from < d->rows; from = to) {
    for (to = from + 1; to < d->rows && sorted[to].group == sorted[from].group; to++) {
      double product = sorted[to].residual * sorted[to - 1].residual;
      products += product;
      variance += product * product;
      growing &= sorted[to].tokens > sorted[to - 1].tokens;
    }
    for (size_t i = from; i < to; i++) squares += sorted[i].residual * sorted[i].residual;
    in_runs += to - from >= LEAST_ROWS ? to - from : 0;
  }
  free(sorted);
  *correlation = squares > 0 ? products / squares : 0;
  *p = variance > 0 ? gsl_cdf_ugaussian_Q(products / sqrt(variance)) : 1;
  return growing && 2 * in_runs >= d->rows;
}

bool is_of_law(const struct fit *fit, const char *name) {
  for (int i = 0; i < fit->law->column_count; i++)
    if (strcmp(fit->law->columns[i], name) == 0) return true;
  return false;
}

// Numbers are counted here, since a partition of each column of a wide table would take long.
bool may_explain(const struct dependence *d, int c) {
  const struct table_column *column = &d->fit->table->columns[c];
  double seen[FEW];
  int count = 0;
  if (c == d->fit->target_column || column->role == ROLE_OUTCOME || is_of_law(d->fit, column->name)) return false;
  if (column->kind != COLUMN_NUMBER) return true;
  for (size_t i = 0; i < d->rows; i++) {
    double value = column->numbers[d->row[i]];
    int k = 0;
    while (k < count && seen[k] != value && !(isnan(seen[k]) && isnan(value))) k++;
    if (k < count) continue;
    if (count == FEW) return false;
    seen[count++] = value;
  }
  return true;
}
