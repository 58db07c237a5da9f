// Rows that are not independent: checkpoints of one run share its noise, and intervals that resample them one by one
// are too narrow. Which rows belong together is found from the columns, and where those leave it open, from the
// residuals: by the intraclass correlation (one-way analysis of variance; Fisher 1925) and the correlation of
// neighbours along tokens.
#include <ctype.h>
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

static const double level = 0.01;   // at which a correlation of residuals counts
enum { FEW = 20, LEAST_ROWS = 3 };  // values of a few-valued numeric column; rows of a run with checkpoints
enum { NAMED_COLUMNS = 3 };         // that the residuals go with, in a warning

// A partition of the fitted rows.
struct partition {
  int *of;  // [table rows]: group, -1 for rows that are not fitted
  int count;
};

struct dependence {
  struct fit *fit;
  struct arena *arena;
  size_t rows, *row;  // the fitted rows' places in the table
  bool *fitted;       // [table rows]
  double *residual;   // [rows], clipped: one outlier is no run
};

static struct partition partition_by(const struct dependence *d, const int *columns, int count) {
  struct partition made = {.of = arena_array(d->arena, d->fit->table->row_count + 1, sizeof *made.of)};
  made.count = table_partition(d->fit->table, columns, count, d->fitted, made.of);
  return made;
}

static bool same_partition(const struct dependence *d, struct partition a, struct partition b) {
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

// Every value of the units' groups: the share of the variance that lies between groups, and how often independent
// residuals would show as large a one.
static void intraclass(const int *of, int groups, const double *values, size_t count, double *correlation, double *p) {
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

static void intraclass_of(const struct dependence *d, struct partition partition, double *correlation, double *p) {
  int *of = memory_get((d->rows + 1) * sizeof *of);
  for (size_t i = 0; i < d->rows; i++) of[i] = partition.of[d->row[i]];
  intraclass(of, partition.count, d->residual, d->rows, correlation, p);
  free(of);
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

// Neighbours along tokens within a group: the correlation of their residuals and its one-sided significance, and
// whether the tokens of every group differ from row to row, with most rows in groups of LEAST_ROWS or more.
static bool along_tokens(const struct dependence *d, struct partition partition, int tokens, double *correlation,
                         double *p) {
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

// ---- which rows belong together ----

// "Run Name", "run_name" and "run-name" are one name.
static bool named(const char *name, const char *plain) {
  for (; *name; name++) {
    if (strchr(" _-./", *name)) continue;
    if (tolower((unsigned char)*name) != *plain) return false;
    plain++;
  }
  return !*plain;
}

static bool names_runs(const struct table_column *column) {
  static const char *const names[] = {"run",     "runid",   "runname", "id",           "name",          "displayname",
                                      "modelid", "trialid", "trial",   "experimentid", "experimentname"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (named(column->name, names[i]) || named(column->original, names[i])) return true;
  return false;
}

static bool of_law(const struct fit *fit, const char *name) {
  for (int i = 0; i < fit->law->column_count; i++)
    if (strcmp(fit->law->columns[i], name) == 0) return true;
  return false;
}

static void group_by(struct dependence *d, struct partition partition, const char *by, const char *words) {
  struct fit *fit = d->fit;
  fit->grouped = true;
  fit->group_count = partition.count;
  memcpy(fit->row_group, partition.of, fit->table->row_count * sizeof *fit->row_group);
  fit->result->grouped_by = arena_string(&fit->result->arena, by);
  fit->result->grouping = arena_string(&fit->result->arena, words);
}

// A column that names runs: 1 grouped, 0 there is none, -1 its values differ in every row, which are runs then.
static int group_by_name(struct dependence *d) {
  const struct table *table = d->fit->table;
  int found = 0;
  for (int c = 0; c < (int)table->column_count; c++) {
    if (!names_runs(&table->columns[c]) || of_law(d->fit, table->columns[c].name)) continue;
    struct partition partition = partition_by(d, &c, 1);
    if (partition.count == (int)d->rows) found = -1;
    if (partition.count == (int)d->rows || partition.count < 2) continue;
    char *words =
        arena_format(d->arena,
                     "the %zu rows are %d runs (column %s): rows of a run are resampled together (--group none "
                     "takes every row by itself)",
                     d->rows, partition.count, table->columns[c].original);
    group_by(d, partition, table->columns[c].name, words);
    return 1;
  }
  return found;
}

// The columns that tell configurations apart: those of the law but for what grows in a training, and texts.
static int setting_columns(const struct dependence *d, int tokens, int *columns) {
  const struct table *table = d->fit->table;
  int count = 0;
  for (int c = 0; c < (int)table->column_count; c++) {
    const struct table_column *column = &table->columns[c];
    if (c == tokens || c == d->fit->target_column || column->role == ROLE_OUTCOME) continue;
    if (column->kind == COLUMN_CATEGORY ? column->category_count < (int)d->rows
                                        : of_law(d->fit, column->name) && strcmp(column->name, "flops") != 0)
      columns[count++] = c;
  }
  return count;
}

// "model", or "parameters, format": the first column that says the same as all of them, else all that differ.
static const char *name_of(const struct dependence *d, struct partition partition, const int *columns, int count) {
  const struct table *table = d->fit->table;
  struct text names = {0};
  for (int kind = 0; kind < 2; kind++)
    for (int i = 0; i < count; i++) {
      const struct table_column *column = &table->columns[columns[i]];
      if ((column->kind == COLUMN_CATEGORY) == (kind == 0) &&
          same_partition(d, partition, partition_by(d, &columns[i], 1)))
        return column->name;
    }
  for (int i = 0; i < count; i++)
    if (partition_by(d, &columns[i], 1).count > 1)
      text_format(&names, "%s%s", names.length ? ", " : "", table->columns[columns[i]].name);
  const char *made = arena_string(d->arena, text_string(&names));
  text_free(&names);
  return made;
}

// Whether a column takes part at all: no outcome, no argument of the law, of few values. Numbers are counted here,
// since a partition of each column of a wide table would take long.
static bool may_explain(const struct dependence *d, int c) {
  const struct table_column *column = &d->fit->table->columns[c];
  double seen[FEW];
  int count = 0;
  if (c == d->fit->target_column || column->role == ROLE_OUTCOME || of_law(d->fit, column->name)) return false;
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

// A way to put rows into runs.
struct runs {
  struct partition partition;
  const char *by;  // in words
};

static bool are_runs(const struct dependence *d, struct partition partition, int tokens) {
  double correlation, p;
  return partition.count > 1 && partition.count < (int)d->rows && along_tokens(d, partition, tokens, &correlation, &p);
}

// Where tokens come twice within equal settings, a numeric column of few values (a seed, a learning rate) may tell the
// runs apart, or all such columns together. columns[] has room for them.
static bool runs_by_numbers(const struct dependence *d, int tokens, int *columns, int count, struct runs *runs) {
  const struct table *table = d->fit->table;
  int all = count;
  for (int pass = 0; pass < 2; pass++) {
    for (int c = 0; c < (int)table->column_count; c++) {
      if (table->columns[c].kind != COLUMN_NUMBER || c == tokens || !may_explain(d, c)) continue;
      columns[pass ? all++ : count] = c;
      if (pass) continue;
      runs->partition = partition_by(d, columns, count + 1);
      if (!are_runs(d, runs->partition, tokens)) continue;
      runs->by = name_of(d, runs->partition, columns, count + 1);
      return true;
    }
    if (!pass) continue;
    runs->partition = partition_by(d, columns, all);
    runs->by = name_of(d, runs->partition, columns, all);
  }
  return all > count + 1 && are_runs(d, runs->partition, tokens);
}

// Nothing tells them apart: within equal settings a run begins where tokens fall from one row to the next.
static bool runs_by_order(const struct dependence *d, int tokens, struct partition settings, const char *by,
                          struct runs *runs) {
  const double *numbers = d->fit->table->columns[tokens].numbers;
  int *run_of = arena_array(d->arena, (size_t)settings.count + 1, sizeof *run_of);
  double *last = arena_array(d->arena, (size_t)settings.count + 1, sizeof *last);
  runs->partition = (struct partition){arena_array(d->arena, d->fit->table->row_count + 1, sizeof(int)), 0};
  for (size_t row = 0; row < d->fit->table->row_count; row++) runs->partition.of[row] = -1;
  for (int g = 0; g < settings.count; g++) last[g] = INFINITY;
  for (size_t i = 0; i < d->rows; i++) {
    int g = settings.of[d->row[i]];
    if (!(numbers[d->row[i]] > last[g])) run_of[g] = runs->partition.count++;
    last[g] = numbers[d->row[i]];
    runs->partition.of[d->row[i]] = run_of[g];
  }
  runs->by = arena_format(d->arena, "%s and of one run in the order of the table", by);
  return are_runs(d, runs->partition, tokens);
}

// Where tokens come twice in equal settings, what the law misses there is told from what a run misses it by: of rows
// that are equal in the law's columns, the distances from their mean. With too few of those, the residuals as they are.
static struct dependence within_settings(const struct dependence *d, const int *columns, int count, int tokens) {
  enum { LEAST = 12 };
  struct dependence apart = *d;
  int *all = arena_array(d->arena, (size_t)count + 2, sizeof *all);
  memcpy(all, columns, (size_t)count * sizeof *all);
  all[count] = tokens;
  struct partition cells = partition_by(d, all, count + 1);
  double *sum = arena_array(d->arena, (size_t)cells.count + 1, sizeof *sum);
  size_t *size = arena_array(d->arena, (size_t)cells.count + 1, sizeof *size);
  for (size_t i = 0; i < d->rows; i++) {
    sum[cells.of[d->row[i]]] += d->residual[i];
    size[cells.of[d->row[i]]]++;
  }
  apart.row = arena_array(d->arena, d->rows + 1, sizeof *apart.row);
  apart.residual = arena_array(d->arena, d->rows + 1, sizeof *apart.residual);
  apart.rows = 0;
  for (size_t i = 0; i < d->rows; i++) {
    int cell = cells.of[d->row[i]];
    if (size[cell] < 2) continue;
    apart.row[apart.rows] = d->row[i];
    apart.residual[apart.rows++] = d->residual[i] - sum[cell] / (double)size[cell];
  }
  return apart.rows < LEAST ? *d : apart;
}

static void group_by_residuals(struct dependence *d) {
  const struct table *table = d->fit->table;
  int tokens = table_find(table, "tokens");
  if (tokens < 0 || table->columns[tokens].kind != COLUMN_NUMBER) return;
  int *columns = arena_array(d->arena, 2 * table->column_count + 2, sizeof *columns);
  int count = setting_columns(d, tokens, columns);
  struct partition settings = partition_by(d, columns, count);
  double within, within_p, serial, serial_p;
  if (!count || settings.count == (int)d->rows) return;
  const char *by = name_of(d, settings, columns, count);
  struct runs runs = {settings, by};
  struct dependence told = *d;
  if (!are_runs(d, settings, tokens)) {
    if (!runs_by_numbers(d, tokens, columns, count, &runs) && !runs_by_order(d, tokens, settings, by, &runs)) return;
    told = within_settings(d, columns, count, tokens);
  }
  along_tokens(&told, runs.partition, tokens, &serial, &serial_p);
  intraclass_of(&told, runs.partition, &within, &within_p);
  if (within_p > level && serial_p > level) return;
  char *words = arena_format(
      d->arena,
      "rows of equal %s with growing tokens miss the law together (intraclass correlation %.2f, of neighbours %.2f): they "
      "are taken for checkpoints of %d runs and resampled together (--group none takes every row by itself)",
      runs.by, within, serial, runs.partition.count);
  group_by(d, runs.partition, runs.by, words);
}

// ---- what else explains the residuals ----

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
  if (!fit->grouped || tokens < 0 || fit->table->columns[tokens].kind != COLUMN_NUMBER || !of_law(fit, "tokens"))
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

void fit_depend(struct fit *fit) {
  struct arena arena = {0};
  struct dependence d = {.fit = fit, .arena = &arena};
  d.row = arena_array(&arena, fit->result->table_count + 1, sizeof *d.row);
  d.fitted = arena_array(&arena, fit->table->row_count + 1, sizeof *d.fitted);
  d.residual = arena_array(&arena, fit->result->table_count + 1, sizeof *d.residual);
  double *sizes = arena_array(&arena, fit->result->table_count + 1, sizeof *sizes);
  for (size_t i = 0; i < fit->result->table_count; i++) {
    const struct fit_row *row = &fit->result->table[i];
    if (row->use != ROW_FITTED || !isfinite(row->residual)) continue;
    d.row[d.rows] = row->place;
    d.fitted[row->place] = true;
    d.residual[d.rows] = row->residual * row->scale * sqrt(fit->row_weight[row->place]);
    sizes[d.rows] = fabs(d.residual[d.rows]);
    d.rows++;
  }
  qsort(sizes, d.rows, sizeof *sizes, compare_numbers);
  double limit = 3 * 1.4826 * quantile(sizes, d.rows, 0.5);
  for (size_t i = 0; i < d.rows; i++) d.residual[i] = fmax(-limit, fmin(limit, d.residual[i]));
  if (d.rows > LEAST_ROWS) {
    bool automatic = !fit->options->group;
    // the steps of a grid make neighbours of rows that were chosen from it alike, whatever their runs
    if (automatic && group_by_name(&d) == 0 && limit > 0 && !fit_chosen(fit)) group_by_residuals(&d);
    if (!fit->options->bare && limit > 0) name_columns(&d);
    if (!fit->options->bare) warn_of_shared_tokens(&d);
  }
  arena_free(&arena);
}
