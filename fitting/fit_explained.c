// What else goes with the residuals: columns whose values lie above or below the law together, and what all runs have
// in common along tokens, which no interval contains.
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_dependence_internal.h"

static const double level = 0.01;  // at which a correlation of residuals counts
enum { NAMED_COLUMNS = 3 };        // that the residuals go with, in a warning

// The residuals' means over the groups of rows, where the column is the same within each group; else the rows.
static size_t units_of(const struct dependence *d, struct partition partition, int *of, double *values) {
  const struct fit *fit = d->fit;
  double *sum = memory_get((size_t)(fit->group_count + 1) * sizeof *sum);
  size_t *size = memory_get((size_t)(fit->group_count + 1) * sizeof *size), count = 0;
  int *level_of = memory_get((size_t)(fit->group_count + 1) * sizeof *level_of);
  bool constant = fit->grouped;
  for (size_t i = 0; i < d->rows && constant; i++) {
    int group = fit->row_group[d->row[i]], here = partition.of[d->row[i]];
    if (size[group] && level_of[group] != here) constant = false;
    level_of[group] = here;
    sum[group] += d->residual[i];
    size[group]++;
  }
  for (int g = 0; g < fit->group_count && constant; g++) {
    if (!size[g]) continue;
    of[count] = level_of[g];
    values[count++] = sum[g] / (double)size[g];
  }
  for (size_t i = 0; i < d->rows && !constant; i++) {
    of[count] = partition.of[d->row[i]];
    values[count++] = d->residual[i];
  }
  free(sum);
  free(size);
  free(level_of);
  return count;
}

struct explained {
  int column;
  double correlation, p;
};

static int by_p(const void *a, const void *b) {
  const struct explained *x = a, *y = b;
  return (x->p > y->p) - (x->p < y->p);
}

// Columns are named whose values go with the residuals at 1 % over all of them together (Holm 1979).
static void name_columns(struct dependence *d) {
  const struct table *table = d->fit->table;
  struct explained *explained = arena_array(d->arena, table->column_count + 1, sizeof *explained);
  int *of = arena_array(d->arena, d->rows + 1, sizeof *of), count = 0;
  double *values = arena_array(d->arena, d->rows + 1, sizeof *values);
  struct partition groups = {d->fit->row_group, d->fit->group_count};
  for (int c = 0; c < (int)table->column_count; c++) {
    if (!may_explain(d, c)) continue;
    struct partition partition = partition_by(d, &c, 1);
    if (partition.count < 2 || 2 * (size_t)partition.count > d->rows) continue;
    if (d->fit->grouped && same_partition(d, groups, partition)) continue;
    size_t units = units_of(d, partition, of, values);
    struct explained *out = &explained[count++];
    out->column = c;
    intraclass(of, partition.count, values, units, &out->correlation, &out->p);
  }
  qsort(explained, (size_t)count, sizeof *explained, by_p);
  int named = 0;
  const char *names = "";
  for (; named < count && explained[named].p <= level / (count - named); named++)
    if (named < NAMED_COLUMNS)
      names = arena_format(d->arena, "%s%s%s (%s%.2f)", names, named ? ", " : "",
                           table->columns[explained[named].column].original, named ? "" : "intraclass correlation ",
                           explained[named].correlation);
  if (named > NAMED_COLUMNS) names = arena_format(d->arena, "%s and %d more columns", names, named - NAMED_COLUMNS);
  if (named)
    fit_result_warn(d->fit->result,
                    "residuals go with %s: rows with one of %s values lie above or below the law together; a "
                    "coefficient for each value, --where or --group %s takes it into account",
                    names, named == 1 ? "its" : "their",
                    named == 1 ? table->columns[explained[0].column].original : "COLUMN");
}

// Runs that all have checkpoints at the same tokens: how the runs differ says nothing of what they have in common.
static void warn_of_shared_tokens(struct dependence *d) {
  static const double shared = 0.8;  // of all pairs of a run and a value of tokens
  const struct fit *fit = d->fit;
  int tokens = table_find(fit->table, "tokens");
  double correlation, p;
  struct partition runs = {fit->row_group, fit->group_count};
  if (!fit->grouped || tokens < 0 || fit->table->columns[tokens].kind != COLUMN_NUMBER || !is_of_law(fit, "tokens"))
    return;
  if (fit->group_count < 2 || !along_tokens(d, runs, tokens, &correlation, &p)) return;
  int values = partition_by(d, &tokens, 1).count;
  if (values < LEAST_ROWS || (double)d->rows < shared * values * fit->group_count) return;
  fit_result_warn(
      fit->result,
      "all %d runs have checkpoints at the same tokens: what they have in common along tokens, as a warm-up or "
      "a learning rate that has not come down yet, the law takes for its own, and no interval contains it; "
      "runs of several durations, the last row of each, would tell",
      fit->group_count);
}

void fit_explain_residuals(struct dependence *d) {
  if (d->fit->options->bare || d->fit->rounding) return;
  if (d->spread > 0) name_columns(d);
  warn_of_shared_tokens(d);
}
