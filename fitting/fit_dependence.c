// Rows that are not independent: checkpoints of one run share its noise, and intervals that resample them one by one
// are too narrow. Which rows belong together is found from the columns, and where those leave it open, from the
// residuals: by the intraclass correlation (one-way analysis of variance; Fisher 1925) and the correlation of
// neighbours along tokens.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_dependence_internal.h"
#include "fitting/table_internal.h"

static const double level = 0.01;  // at which a correlation of residuals counts

static void intraclass_of(const struct dependence *d, struct partition partition, double *correlation, double *p) {
  int *of = memory_get((d->rows + 1) * sizeof *of);
  for (size_t i = 0; i < d->rows; i++) of[i] = partition.of[d->row[i]];
  intraclass(of, partition.count, d->residual, d->rows, correlation, p);
  free(of);
}

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
    if (!names_runs(&table->columns[c]) || is_of_law(d->fit, table->columns[c].name)) continue;
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
    if (table_column_says_how_it_ended(column)) continue;  // which is no setting
    if (column->kind == COLUMN_CATEGORY ? column->category_count < (int)d->rows
                                        : is_of_law(d->fit, column->name) && strcmp(column->name, "flops") != 0)
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

// Nothing distinguishes them: within equal settings a run begins where tokens fall from one row to the next.
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
  d.spread = 1.4826 * quantile(sizes, d.rows, 0.5);
  double limit = 3 * d.spread;
  for (size_t i = 0; i < d.rows; i++) d.residual[i] = fmax(-limit, fmin(limit, d.residual[i]));
  if (d.rows > LEAST_ROWS) {
    bool automatic = !fit->options->group;
    // the steps of a grid make neighbours of rows that were chosen from it alike, whatever their runs
    if (automatic && group_by_name(&d) == 0 && limit > 0 && !fit->rounding && !fit_chosen(fit)) group_by_residuals(&d);
    fit_explain_residuals(&d);
  }
  arena_free(&arena);
}
