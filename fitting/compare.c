// Laws against each other on the same rows: likelihood with a penalty for coefficients, and held-out error.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/compare_internal.h"
#include "fitting/table_internal.h"

enum { FOLD_STARTS = 1000 };

struct comparing {
  const struct law *laws;
  size_t count;
  struct table *table;
  const struct compare_options *options;
  struct fit_options fit;
  struct comparison *result;
  struct arena arena;
  double *weights;     // [rows], or NULL
  int *group;          // [rows]
  double **held_out;   // [laws][rows]: residual of a held-out prediction, or NAN
  double **predicted;  // [laws][rows]: and the prediction
  size_t done, total;  // fits
};

void comparison_warn(struct comparison *comparison, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  comparison->warnings = arena_grow(&comparison->arena, comparison->warnings, comparison->warning_count,
                                    comparison->warning_count + 1, sizeof *comparison->warnings);
  comparison->warnings[comparison->warning_count++] = arena_vformat(&comparison->arena, format, arguments);
  va_end(arguments);
}

static struct table *table_of(const struct comparing *comparing, size_t law) {
  return comparing->options->tables ? comparing->options->tables[law] : comparing->table;
}

static const char *label_of(const struct comparing *comparing, size_t law) {
  return comparing->options->labels ? comparing->options->labels[law] : comparing->laws[law].name;
}

// ---- rows ----

static bool usable(const struct table *table, const char *name, size_t row) {
  int column = table_find(table, name);
  if (column < 0) return true;  // the fit says so
  struct value value = table_value(table, (size_t)column, row);
  return value.kind == VALUE_TEXT || (value.kind == VALUE_NUMBER && isfinite(value.number));
}

static bool find_weights(struct comparing *comparing, struct error *error) {
  const char *text = comparing->fit.weight;
  const struct table *table = comparing->table;
  if (!text) return true;
  struct expression *expression = table_expression(table, &comparing->arena, text, error);
  if (!expression) return error_context(error, "weight '%s'", text);
  int *columns = arena_array(&comparing->arena, (size_t)expression->name_count + 1, sizeof *columns);
  struct value *slots = arena_array(&comparing->arena, (size_t)expression->name_count + 1, sizeof *slots);
  comparing->weights = arena_array(&comparing->arena, table->row_count + 1, sizeof *comparing->weights);
  if (!table_columns_of(table, expression, "weight", columns, error)) return false;
  for (size_t row = 0; row < table->row_count; row++) {
    table_slots(table, expression, columns, row, slots);
    if (!expression_number(expression, slots, &comparing->weights[row], error)) return error_context(error, "weight");
  }
  return true;
}

static void keep_rows(struct comparing *comparing, const bool *keep) {
  size_t kept = 0;
  for (size_t row = 0; row < comparing->table->row_count; row++) {
    if (!keep[row]) continue;
    if (comparing->weights) comparing->weights[kept] = comparing->weights[row];
    kept++;
  }
  for (size_t l = 0; l < comparing->count; l++) {
    bool first = true;  // laws may share a table
    for (size_t k = 0; k < l; k++) first &= table_of(comparing, k) != table_of(comparing, l);
    if (first) table_keep_rows(table_of(comparing, l), keep);
  }
}

// Several tables are of the same rows, and of the same target.
static bool same_rows(const struct comparing *comparing, struct error *error) {
  const struct table *first = table_of(comparing, 0);
  int target = table_find(first, comparing->result->target);
  for (size_t l = 1; l < comparing->count && target >= 0; l++) {
    const struct table *table = table_of(comparing, l);
    int own = table_find(table, comparing->result->target);
    if (table == first || own < 0) continue;  // the fit says so
    bool same = table->row_count == first->row_count;
    for (size_t row = 0; row < first->row_count && same; row++)
      same = strcmp(table->row_names[row], first->row_names[row]) == 0;
    if (!same)
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s and %s are of different rows: one of them drops rows that repeat others, or averages "
                       "(--keep-duplicates keeps all)",
                       label_of(comparing, 0), label_of(comparing, l));
    for (size_t row = 0; row < first->row_count; row++) {
      struct value a = table_value(first, (size_t)target, row), b = table_value(table, (size_t)own, row);
      if (a.kind != b.kind || (a.kind == VALUE_NUMBER && a.number != b.number))
        return error_set(error, EXIT_USAGE_ERROR, "%s and %s do not predict the same %s (row %s)",
                         label_of(comparing, 0), label_of(comparing, l), comparing->result->target,
                         first->row_names[row]);
    }
  }
  return true;
}

// Rows that every law can use: the condition holds, and no column is missing.
static bool common_rows(struct comparing *comparing, struct error *error) {
  struct table *table = comparing->table;
  bool *keep = arena_array(&comparing->arena, table->row_count + 1, sizeof *keep);
  for (size_t row = 0; row < table->row_count; row++) keep[row] = true;
  if (comparing->fit.where && !table_where(table, comparing->fit.where, keep, error)) return false;
  comparing->fit.where = NULL;
  if (!find_weights(comparing, error)) return false;
  int target = table_find(table, comparing->result->target);
  size_t dropped = 0;
  for (size_t row = 0; row < table->row_count; row++) {
    if (!keep[row]) continue;
    keep[row] = usable(table, comparing->result->target, row);
    for (size_t l = 0; l < comparing->count; l++)
      for (int c = 0; c < comparing->laws[l].column_count; c++)
        keep[row] = keep[row] && usable(table_of(comparing, l), comparing->laws[l].columns[c], row);
    if (keep[row] && comparing->result->residual == RESIDUAL_LOG && target >= 0 &&
        table->columns[target].kind == COLUMN_NUMBER)
      keep[row] = table->columns[target].numbers[row] > 0;
    if (keep[row] && comparing->weights) keep[row] = comparing->weights[row] > 0 && isfinite(comparing->weights[row]);
    dropped += !keep[row];
  }
  if (dropped)
    comparison_warn(comparing->result, "%zu row%s a value that one of the laws needs; left out for every law", dropped,
                    dropped == 1 ? " lacks" : "s lack");
  keep_rows(comparing, keep);
  return true;
}

static bool find_groups(struct comparing *comparing, struct error *error) {
  const struct table *table = comparing->table;
  const char *list = comparing->fit.group;
  int *columns, count;
  comparing->group = arena_array(&comparing->arena, table->row_count + 1, sizeof *comparing->group);
  for (size_t row = 0; row < table->row_count; row++) comparing->group[row] = (int)row;
  comparing->result->groups = table->row_count;
  if (!list || strcmp(list, "none") == 0) return true;
  if (!table_columns_listed(table, list, &comparing->arena, &columns, &count, error)) return false;
  comparing->result->groups = (size_t)table_partition(table, columns, count, NULL, comparing->group);
  return true;
}

// ---- fits ----

static bool fit_law(struct comparing *comparing, size_t law, const struct fit_options *options,
                    struct fit_result *result, struct error *error) {
  if (comparing->options->progress)
    comparing->options->progress(comparing->options->context, comparing->done, comparing->total);
  comparing->done++;
  struct fit_options own = compare_settings_of(&comparing->arena, &comparing->laws[law], options);
  bool fine = fit_run(&comparing->laws[law], table_of(comparing, law), &own, result, error);
  return fine ? true : error_context(error, "law %s", label_of(comparing, law));
}

static void keep_held_out(struct comparing *comparing, size_t law, const struct fit_result *result) {
  for (size_t i = 0; i < result->table_count; i++) {
    const struct fit_row *row = &result->table[i];
    if (row->use != ROW_HELD_OUT) continue;
    comparing->held_out[law][row->place] = row->residual * row->scale;
    comparing->predicted[law][row->place] = row->predicted;
  }
}

static void fill_standing(struct comparing *comparing, size_t law, const struct fit_result *result) {
  struct comparison *all = comparing->result;
  struct law_standing *standing = &all->laws[law];
  *standing = (struct law_standing){.objective = result->objective, .residual_rms = result->residual_rms};
  standing->law = arena_string(&all->arena, label_of(comparing, law));
  compare_keep_estimates(&all->arena, &comparing->laws[law], result, standing);
  standing->formula = arena_string(&all->arena, result->formula);
  for (int s = 0; s < result->stage_count; s++) standing->parameters += result->stages[s].parameters;
  if (all->objective.kind != OBJECTIVE_STUDENT_T) standing->parameters++;  // the scale, which Student's t brings
  double *weights = NULL;
  if (comparing->weights) {
    weights = arena_array(&comparing->arena, result->rows + 1, sizeof *weights);
    size_t fitted = 0;
    for (size_t i = 0; i < result->table_count; i++)
      if (result->table[i].use == ROW_FITTED) weights[fitted++] = comparing->weights[result->table[i].place];
  }
  double n = (double)result->rows, k = (double)standing->parameters;
  standing->log_likelihood =
      objective_log_likelihood(all->objective, result->objective, result->rows, weights, &standing->scale);
  standing->aic = 2 * k - 2 * standing->log_likelihood;
  standing->aicc = n > k + 1 ? standing->aic + 2 * k * (k + 1) / (n - k - 1) : INFINITY;
  standing->bic = k * log(n) - 2 * standing->log_likelihood;
  all->rows = result->rows;
  standing->warnings = arena_array(&all->arena, result->warning_count + 1, sizeof *standing->warnings);
  for (size_t i = 0; i < result->warning_count; i++)
    standing->warnings[standing->warning_count++] = arena_string(&all->arena, result->warnings[i]);
}

// Every law on all rows. Rows that are in no stage of one law, or where it gives no number, are dropped, and *again is
// set.
static bool fit_all(struct comparing *comparing, bool *again, struct error *error) {
  struct fit_options options = comparing->fit;
  options.bootstrap = 0;
  if (comparing->options->tables && options.holdout) {  // the first table's rows, whatever columns the others have
    bool *held_out = arena_array(&comparing->arena, comparing->table->row_count + 1, sizeof *held_out);
    if (!table_where(comparing->table, options.holdout, held_out, error)) return false;
    options.held_out_rows = held_out;
    options.holdout = NULL;
  }
  bool *keep = arena_array(&comparing->arena, comparing->table->row_count + 1, sizeof *keep);
  bool *used = arena_array(&comparing->arena, comparing->table->row_count + 1, sizeof *used);
  for (size_t row = 0; row < comparing->table->row_count; row++) keep[row] = true;
  bool fine = true;
  size_t dropped = 0;
  for (size_t l = 0; l < comparing->count && fine; l++) {
    struct fit_result result;
    fine = fit_law(comparing, l, &options, &result, error);
    if (fine) {
      for (size_t row = 0; row < comparing->table->row_count; row++) used[row] = false;
      for (size_t i = 0; i < result.table_count; i++) used[result.table[i].place] = result.table[i].use != ROW_UNUSED;
      for (size_t row = 0; row < comparing->table->row_count; row++) {
        dropped += keep[row] && !used[row];
        keep[row] = keep[row] && used[row];
      }
      fill_standing(comparing, l, &result);
      if (!comparing->fit.group && result.grouping) {  // found in the rows: the folds keep runs whole
        comparing->fit.group = arena_string(&comparing->arena, result.grouped_by);
        comparison_warn(comparing->result, "%s", result.grouping);
      }
      keep_held_out(comparing, l, &result);
    }
    fit_result_free(&result);
  }
  *again = dropped > 0;
  if (fine && dropped) {
    comparison_warn(comparing->result,
                    "%zu row%s in no stage of one of the laws, or it gives no number there; left out for every law",
                    dropped, dropped == 1 ? " is" : "s are");
    keep_rows(comparing, keep);
  }
  return fine;
}

static void forget_held_out(struct comparing *comparing) {
  for (size_t l = 0; l < comparing->count; l++)
    for (size_t row = 0; row < comparing->table->row_count; row++)
      comparing->held_out[l][row] = comparing->predicted[l][row] = NAN;
}

// Deals the groups, in random order, to the folds; returns the fold of each.
static const int *deal_folds(struct comparing *comparing, int folds) {
  size_t groups = comparing->result->groups;
  size_t *order = arena_array(&comparing->arena, groups + 1, sizeof *order);
  int *fold = arena_array(&comparing->arena, groups + 1, sizeof *fold);
  for (size_t g = 0; g < groups; g++) order[g] = g;
  for (size_t g = groups; g > 1; g--) {
    size_t other = random_below(comparing->fit.seed, RANDOM_STREAM_BOOTSTRAP, (1ull << 33), g, g), kept = order[g - 1];
    order[g - 1] = order[other];
    order[other] = kept;
  }
  for (size_t g = 0; g < groups; g++) fold[order[g]] = (int)(g % (size_t)folds);
  return fold;
}

static bool cross_validate(struct comparing *comparing, struct error *error) {
  int folds = comparing->result->folds;
  const int *fold = deal_folds(comparing, folds);
  bool *held_out = arena_array(&comparing->arena, comparing->table->row_count + 1, sizeof *held_out);
  struct fit_options options = comparing->fit;
  options.bootstrap = 0;
  options.group = "none";  // no interval is asked for
  if (!options.starts || options.starts > FOLD_STARTS) options.starts = FOLD_STARTS;
  options.held_out_rows = held_out;
  for (int f = 0; f < folds; f++) {
    for (size_t row = 0; row < comparing->table->row_count; row++) held_out[row] = fold[comparing->group[row]] == f;
    for (size_t l = 0; l < comparing->count; l++) {
      struct fit_result result;
      struct error trouble = {0};
      if (fit_law(comparing, l, &options, &result, &trouble))
        keep_held_out(comparing, l, &result);
      else if (trouble.code == EXIT_USAGE_ERROR)  // too few rows without the fold, or no baseline
        comparison_warn(comparing->result, "fold %d is left out: %s", f + 1, trouble.text);
      else
        error_take(error, &trouble);
      fit_result_free(&result);
      if (error->code) return false;
    }
  }
  return true;
}

// ---- standings ----

// Mean of the differences between two laws' losses on held-out rows, and its standard error over groups.
static void paired(struct comparing *comparing, const bool *common, const double *a, const double *b, double *mean,
                   double *se) {
  struct objective objective = comparing->result->objective;
  size_t groups = comparing->result->groups, rows = 0, used = 0;
  double *sum = arena_array(&comparing->arena, groups + 1, sizeof *sum), total = 0, squares = 0;
  size_t *count = arena_array(&comparing->arena, groups + 1, sizeof *count);
  for (size_t row = 0; row < comparing->table->row_count; row++) {
    if (!common[row]) continue;
    double weight = comparing->weights ? comparing->weights[row] : 1;
    double difference = weight * (objective_loss(objective, a[row]) - objective_loss(objective, b[row]));
    sum[comparing->group[row]] += difference;
    count[comparing->group[row]]++;
    total += difference;
    rows++;
  }
  *mean = rows ? total / (double)rows : NAN;
  for (size_t g = 0; g < groups; g++) {
    if (!count[g]) continue;
    double deviation = sum[g] - (double)count[g] * *mean;
    squares += deviation * deviation;
    used++;
  }
  *se = used > 1 ? sqrt(squares * (double)used / (double)(used - 1)) / (double)rows : NAN;
}

static void held_out_scores(struct comparing *comparing, const bool *common, size_t law) {
  struct law_standing *standing = &comparing->result->laws[law];
  int target = table_find(comparing->table, comparing->result->target);
  double loss = 0, error = 0, squares = 0, n = (double)comparing->result->held_out;
  const double *values = comparing->table->columns[target].numbers;
  for (size_t row = 0; row < comparing->table->row_count; row++)
    comparing->result->errors_absolute |=
        comparing->result->residual == RESIDUAL_PLAIN && common[row] && !(values[row] > 0);
  for (size_t row = 0; row < comparing->table->row_count; row++) {
    if (!common[row]) continue;
    double observed = comparing->table->columns[target].numbers[row], predicted = comparing->predicted[law][row];
    double weight = comparing->weights ? comparing->weights[row] : 1;
    loss += weight * objective_loss(comparing->result->objective, comparing->held_out[law][row]);
    error += fabs(predicted - observed) / (comparing->result->errors_absolute ? 1 : fabs(observed));
    squares += log(observed / predicted) * log(observed / predicted);
  }
  standing->held_out_loss = n > 0 ? loss / n : NAN;
  standing->held_out_error = n > 0 ? error / n : NAN;
  standing->held_out_rms = n > 0 ? sqrt(squares / n) : NAN;
}

static int by_aicc(const void *a, const void *b) {
  const struct law_standing *x = a, *y = b;
  if (isnan(x->aicc) || isnan(y->aicc)) return isnan(x->aicc) - isnan(y->aicc);
  return (x->aicc > y->aicc) - (x->aicc < y->aicc);
}

static void rank(struct comparing *comparing) {
  struct comparison *result = comparing->result;
  size_t rows = comparing->table->row_count, best = 0;
  bool *common = arena_array(&comparing->arena, rows + 1, sizeof *common);
  size_t asked = 0;
  for (size_t row = 0; row < rows; row++) {
    common[row] = true;
    bool any = false;
    for (size_t l = 0; l < comparing->count; l++) {
      common[row] = common[row] && isfinite(comparing->held_out[l][row]);
      any |= isfinite(comparing->held_out[l][row]);
    }
    result->held_out += common[row];
    asked += any;
  }
  if (asked > result->held_out)
    comparison_warn(comparing->result, "%zu held-out rows are not predicted by every law; they count for none",
                    asked - result->held_out);
  for (size_t l = 0; l < comparing->count; l++) {
    held_out_scores(comparing, common, l);
    if (by_aicc(&result->laws[l], &result->laws[best]) < 0) best = l;
  }
  static const double rounding = 1e-6;
  const struct law_standing first = result->laws[best];
  for (size_t l = 0; l < comparing->count; l++) {
    struct law_standing *standing = &result->laws[l];
    standing->aicc_behind = standing->aicc - first.aicc;
    standing->bic_behind = standing->bic - first.bic;
    paired(comparing, common, comparing->held_out[l], comparing->held_out[best], &standing->held_out_behind,
           &standing->held_out_behind_se);
    bool scored = isfinite(standing->held_out_behind_se);
    // laws that predict alike to rounding are not told apart by it
    double twice = fmax(2 * standing->held_out_behind_se, rounding * fabs(first.held_out_loss));
    standing->told_apart = l != best && standing->aicc_behind >= 4 && (!scored || standing->held_out_behind > twice);
    standing->predicts_better = l != best && scored && standing->held_out_behind < -twice;
  }
  qsort(result->laws, result->count, sizeof *result->laws, by_aicc);
}

static bool begin(struct comparing *comparing, struct error *error) {
  struct comparison *result = comparing->result;
  const struct law *first = &comparing->laws[0];
  if (comparing->count < 2) return error_set(error, EXIT_USAGE_ERROR, "name at least two laws to compare");
  for (size_t l = 1; l < comparing->count; l++) {
    if (strcmp(comparing->laws[l].target, first->target) != 0)
      return error_set(error, EXIT_USAGE_ERROR, "the laws %s and %s do not predict the same: %s and %s", first->name,
                       comparing->laws[l].name, first->target, comparing->laws[l].target);
    for (size_t k = 0; k < l; k++)
      if (strcmp(label_of(comparing, l), label_of(comparing, k)) == 0)
        return error_set(error, EXIT_USAGE_ERROR, "the law %s is named twice", label_of(comparing, l));
  }
  result->residual = first->residual;
  result->objective = first->objective;
  if (comparing->fit.residual && !residual_parse(comparing->fit.residual, &result->residual, error)) return false;
  if (comparing->fit.objective && !objective_parse(comparing->fit.objective, &result->objective, error)) return false;
  if (result->objective.kind == OBJECTIVE_STUDENT_T && isnan(result->objective.scale))
    return error_set(error, EXIT_USAGE_ERROR,
                     "laws are compared under one loss: give the scale of Student's t too (student-t:%g:0.003; a fit "
                     "prints the one it estimates)",
                     result->objective.degrees);
  char text[OBJECTIVE_TEXT];
  objective_text(result->objective, text);
  comparing->fit.objective = arena_string(&comparing->arena, text);
  comparing->fit.bare = true;
  comparing->fit.global_check = false;
  comparing->fit.profile_all = false;
  comparing->fit.profile_count = comparing->fit.leave_out_count = 0;
  comparing->fit.score_count = comparing->fit.ratio_count = comparing->fit.contour_count = 0;
  if (comparing->fit.prior_count || comparing->fit.pooled_count)
    comparison_warn(result, "priors and partial pooling take no part in the comparison of laws");
  comparing->fit.prior_count = comparing->fit.pooled_count = 0;
  comparing->fit.residual = result->residual == RESIDUAL_LOG ? "log" : "plain";
  result->source = arena_string(&result->arena, comparing->table->source);
  result->target = arena_string(&result->arena, first->target);
  result->count = comparing->count;
  result->laws = arena_array(&result->arena, comparing->count, sizeof *result->laws);
  result->holdout = comparing->fit.holdout != NULL;
  return true;
}

bool laws_compare(const struct law *laws, size_t count, struct table *table, const struct compare_options *options,
                  struct comparison *comparison, struct error *error) {
  *comparison = (struct comparison){0};
  struct comparing comparing = {
      .laws = laws, .count = count, .table = table, .options = options, .fit = options->fit, .result = comparison};
  bool again = false, fine = begin(&comparing, error) && same_rows(&comparing, error) && common_rows(&comparing, error);
  if (fine) {
    comparing.held_out = arena_array(&comparing.arena, count, sizeof *comparing.held_out);
    comparing.predicted = arena_array(&comparing.arena, count, sizeof *comparing.predicted);
    for (size_t l = 0; l < count; l++) {
      comparing.held_out[l] = arena_array(&comparing.arena, table->row_count + 1, sizeof(double));
      comparing.predicted[l] = arena_array(&comparing.arena, table->row_count + 1, sizeof(double));
    }
    forget_held_out(&comparing);
    int folds = options->folds ? options->folds : 5;
    comparison->folds = comparison->holdout || folds == 1 ? 0 : folds;
    comparing.total = count * (1 + (size_t)comparison->folds);
    fine = fit_all(&comparing, &again, error);
  }
  if (fine && again) {
    forget_held_out(&comparing);
    comparing.total += count;
    fine = fit_all(&comparing, &again, error);
  }
  fine = fine && find_groups(&comparing, error);
  if (fine && comparison->folds) {
    if ((size_t)comparison->folds > comparison->groups) comparison->folds = (int)comparison->groups;
    fine = comparison->folds < 2 || cross_validate(&comparing, error);
  }
  if (fine) rank(&comparing);
  arena_free(&comparing.arena);
  return fine;
}
