// See curves.h.
#include "fitting/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/program_internal.h"
#include "fitting/table_internal.h"

static const double knot_tolerance = 5e-4;  // of a schedule's highest rate

static const double few_steps = 10;  // that a log may begin at without a word

static const struct expression_node *find_sum(const struct expression_node *node) {
  if (expression_is_sum_over(node)) return node;
  for (int i = 0; i < node->count; i++) {
    const struct expression_node *found = find_sum(node->arguments[i]);
    if (found) return found;
  }
  return NULL;
}

bool law_schedule(const struct law *law, const char **schedule, const char **step) {
  const struct expression_node *sum = find_sum(law->formula->root);
  if (!sum || sum->count != 3 || sum->arguments[0]->kind != EXPRESSION_NAME) return false;
  *schedule = sum->arguments[0]->text;
  *step = sum->arguments[1]->kind == EXPRESSION_NAME ? sum->arguments[1]->text : NULL;
  return true;
}

int table_run_column(const struct table *table) {
  static const char *const names[] = {"run", "run_id", "id", "name"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    int column = table_find(table, names[i]);
    if (column >= 0) return column;
  }
  return -1;
}

// ---- rows by run ----

// Rows in order of run and step.
struct ordered {
  const int *group;     // [rows]
  const double *steps;  // [rows], or NULL
};

static int by_run_and_step(const void *a, const void *b, void *context) {
  const struct ordered *ordered = context;
  size_t left = *(const size_t *)a, right = *(const size_t *)b;
  if (ordered->group[left] != ordered->group[right]) return ordered->group[left] < ordered->group[right] ? -1 : 1;
  double from = ordered->steps ? ordered->steps[left] : 0, to = ordered->steps ? ordered->steps[right] : 0;
  if (from != to) return from < to ? -1 : 1;
  return left < right ? -1 : left > right;
}

// The rows in that order, in the arena; group[row] from 0, all rows one run without a column of runs.
static size_t *order_rows(const struct table *table, int run, const double *steps, struct arena *arena, int **group) {
  size_t *order = arena_array(arena, table->row_count + 1, sizeof *order);
  *group = arena_array(arena, table->row_count + 1, sizeof **group);
  if (run >= 0) table_partition(table, &run, 1, NULL, *group);
  for (size_t row = 0; row < table->row_count; row++) order[row] = row;
  qsort_r(order, table->row_count, sizeof *order, by_run_and_step, &(struct ordered){*group, steps});
  return order;
}

static const char *run_name(const struct table *table, int run, size_t row, char number[32]) {
  if (run < 0) return "all rows";
  struct value value = table_value(table, (size_t)run, row);
  if (value.kind == VALUE_TEXT) return value.text;
  if (value.kind != VALUE_NUMBER) return "";
  number_shortest(value.number, number);
  return number;
}

// ---- schedules ----

static const double *numbers_of(const struct table *table, const char *name) {
  int column = table_find(table, name);
  return column >= 0 && table->columns[column].kind == COLUMN_NUMBER ? table->columns[column].numbers : NULL;
}

static const double *rates_of(const struct table *table) {
  const double *rates = numbers_of(table, "train.lr");
  if (!rates) rates = numbers_of(table, "lr");
  return rates ? rates : numbers_of(table, "learning_rate");
}

struct made {
  const char **text;  // of each run of the source, by its group
  const char **name;
  size_t count;
  double worst;  // largest share that is left
  double first;  // the latest of the runs' first logged steps
};

// The schedules of a table of logged rates, a run each.
static bool make_schedules(const struct table *source, const double *steps, const double *rates, struct arena *arena,
                           struct made *made, struct error *error) {
  int run = table_run_column(source), *group;
  size_t *order = order_rows(source, run, steps, arena, &group), rows = source->row_count;
  double *at = arena_array(arena, rows + 1, sizeof *at), *rate = arena_array(arena, rows + 1, sizeof *rate);
  made->text = arena_array(arena, rows + 1, sizeof *made->text);
  made->name = arena_array(arena, rows + 1, sizeof *made->name);
  for (size_t from = 0, to; from < rows; from = to) {
    size_t count = 0;
    double left;
    char number[32];
    for (to = from; to < rows && group[order[to]] == group[order[from]]; to++) {
      size_t row = order[to];
      if (isnan(steps[row]) || isnan(rates[row]) || (count && steps[row] == at[count - 1])) continue;
      if (steps[row] < 0 || steps[row] != floor(steps[row]) || !(rates[row] >= 0) || !isfinite(rates[row]))
        return error_set(error, EXIT_USAGE_ERROR,
                         "%s: %s: steps are whole numbers and learning rates not below 0, not step %g at %g",
                         source->source, source->row_names[row], steps[row], rates[row]);
      at[count] = steps[row];
      rate[count++] = rates[row];
    }
    if (!count) continue;
    made->first = fmax(made->first, at[0]);
    made->name[made->count] = arena_string(arena, run_name(source, run, order[from], number));
    made->text[made->count++] = rate_schedule_text(arena, at, rate, count, knot_tolerance, &left);
    made->worst = fmax(made->worst, left);
  }
  return true;
}

// The schedules of a table that has them as texts.
static void take_schedules(const struct table *source, int column, struct arena *arena, struct made *made) {
  int run = table_run_column(source);
  made->text = arena_array(arena, source->row_count + 1, sizeof *made->text);
  made->name = arena_array(arena, source->row_count + 1, sizeof *made->name);
  for (size_t row = 0; row < source->row_count; row++) {
    struct value value = table_value(source, (size_t)column, row);
    char number[32];
    if (value.kind != VALUE_TEXT) continue;
    made->name[made->count] = arena_string(arena, run_name(source, run, row, number));
    made->text[made->count++] = value.text;
  }
}

static bool check_schedules(const struct table *table, int column, struct error *error) {
  const struct table_column *cells = &table->columns[column];
  if (cells->kind != COLUMN_CATEGORY)
    return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s' holds numbers, not schedules such as '%s'",
                     table->source, cells->name, "0:0,100:3e-4,10000:3e-5");
  for (int i = 0; i < cells->category_count; i++) {
    struct arena arena = {0};
    struct rate_schedule schedule;
    bool fine = rate_schedule_parse(&arena, cells->categories[i], &schedule, error);
    arena_free(&arena);
    if (fine) continue;
    size_t row = 0;
    while (cells->codes[row] != i) row++;
    char clipped[72];
    return error_context(error, "%s: %s: the schedule '%s'", table->source, table->row_names[row],
                         text_clipped(cells->categories[i], clipped));
  }
  return true;
}

static bool complete(struct table *table, const char *schedule, const struct table *from, const double *steps,
                     const double *rates, const char *origin, struct error *error) {
  struct arena arena = {0};
  struct made made = {0};
  char percent[32];
  int run = table_run_column(table), given = table_find(from, schedule);
  bool fine = true;
  if (from != table && given >= 0)
    take_schedules(from, given, &arena, &made);
  else
    fine = make_schedules(from, steps, rates, &arena, &made, error);
  if (fine && run < 0 && made.count > 1)
    fine = error_set(error, EXIT_USAGE_ERROR, "%s: there is no column 'run' that says which schedule is whose",
                     table->source);
  size_t column = fine ? table_add_category(table, schedule, ROLE_SETTING) : 0, without = 0;
  for (size_t row = 0; fine && row < table->row_count; row++) {
    char number[32];
    const char *name = run_name(table, run, row, number), *text = NULL;
    for (size_t i = 0; i < made.count && !text; i++)
      if (run < 0 || strcmp(made.name[i], name) == 0) text = made.text[i];
    table_set_category(table, column, row, text);
    without += !text;
  }
  if (fine && without == table->row_count)
    fine = error_set(error, EXIT_USAGE_ERROR, "%s: no run of %s is in it", origin, table->source);
  if (fine && given >= 0 && from != table)
    table_note(table, "schedules of %zu run%s are %s's", made.count, made.count == 1 ? "" : "s", origin);
  else if (fine)
    table_note(table,
               "schedules of %zu run%s are made of the learning rates in %s, linear between logged steps; with at most "
               "%d knots they are off by %s %% of the peak at most",
               made.count, made.count == 1 ? "" : "s", origin, RATE_KNOTS, number_digits(100 * made.worst, 2, percent));
  if (fine && made.first > few_steps)
    table_note(
        table,
        "learning rates up to step %.0f were not logged in every run and are taken for the first one that was: a "
        "warm-up that is missing counts as if it had not been (--schedules gives it)",
        made.first);
  arena_free(&arena);
  return fine;
}

bool curves_add_schedules(struct table *table, const char *schedule, const struct table *logged, struct error *error) {
  return complete(table, schedule, logged, numbers_of(logged, "step"), rates_of(logged), logged->source, error);
}

bool curves_complete(struct table *table, const struct law *law, const struct table *schedules, struct error *error) {
  const char *schedule, *step;
  if (!law_schedule(law, &schedule, &step)) return true;
  int column = table_find(table, schedule);
  if (column >= 0 && schedules)
    return error_set(error, EXIT_USAGE_ERROR, "%s has a column '%s' already; leave out %s", table->source, schedule,
                     schedules->source);
  if (column < 0) {
    const struct table *from = schedules ? schedules : table;
    const double *steps = step ? numbers_of(from, step) : NULL, *rates = rates_of(from);
    bool texts = schedules && table_find(schedules, schedule) >= 0;
    if (!texts && (!steps || !rates)) {
      if (schedules)
        return error_set(error, EXIT_USAGE_ERROR,
                         "%s: a table of schedules has the columns run and %s, or run, %s and train.lr (or lr)",
                         schedules->source, schedule, step ? step : "step");
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s: the law %s needs the learning rates of each run: a column '%s' of texts such as "
                       "'0:0,100:3e-4,10000:3e-5', a column 'lr' next to '%s', or --schedules FILE",
                       table->source, law->name, schedule, step ? step : "step");
    }
    if (!complete(table, schedule, from, steps, rates, from->source, error)) return false;
    column = table_find(table, schedule);
  }
  return check_schedules(table, column, error);
}

// ---- fewer points ----

static void copy_cell(const struct table *from, size_t column, size_t row, struct table *to, size_t made, size_t at) {
  struct value value = table_value(from, column, row);
  if (to->columns[made].kind == COLUMN_NUMBER)
    to->columns[made].numbers[at] = value.kind == VALUE_NUMBER ? value.number : NAN;
  else
    table_set_category(to, made, at, value.kind == VALUE_TEXT ? value.text : NULL);
}

// The rows that are not kept, with the columns that the law reads and predicts.
static void copy_left_out(const struct table *table, const struct law *law, const bool *keep, struct table *left_out) {
  size_t count = 0, at = 0;
  for (size_t row = 0; row < table->row_count; row++) count += !keep[row];
  table_init(left_out, table->source, count);
  for (int c = 0; c <= law->column_count; c++) {
    int column = table_find(table, c < law->column_count ? law->columns[c] : law->target);
    if (column < 0) continue;
    const struct table_column *cells = &table->columns[column];
    size_t made = cells->kind == COLUMN_NUMBER ? table_add_number(left_out, cells->name, cells->role)
                                               : table_add_category(left_out, cells->name, cells->role);
    at = 0;
    for (size_t row = 0; row < table->row_count; row++)
      if (!keep[row]) copy_cell(table, (size_t)column, row, left_out, made, at++);
  }
}

bool curves_thin(struct table *table, const struct law *law, size_t most, struct table *left_out, struct error *error) {
  const char *schedule, *step;
  if (!law_schedule(law, &schedule, &step) || most < 2) return true;
  struct arena arena = {0};
  const double *steps = step ? numbers_of(table, step) : NULL, *target = numbers_of(table, law->target);
  int run = table_run_column(table), *group;
  size_t *order = order_rows(table, run, steps, &arena, &group), rows = table->row_count, kept = 0, runs = 0;
  bool *keep = arena_array(&arena, rows + 1, sizeof *keep);
  (void)error;
  for (size_t from = 0, to; from < rows; from = to, runs++) {
    size_t count = 0, place = 0;
    for (to = from; to < rows && group[order[to]] == group[order[from]]; to++)
      count += !target || isfinite(target[order[to]]);
    for (size_t i = from; i < to; i++) {  // rows without a loss stay, and are reported as such
      bool point = !target || isfinite(target[order[i]]);
      // of `count` points the ones at which a new one of `most` parts begins, from the end
      size_t behind = count - 1 - place;
      bool chosen =
          count <= most || behind == 0 || behind * (most - 1) / (count - 1) != (behind - 1) * (most - 1) / (count - 1);
      keep[order[i]] = !point || chosen;
      place += point;
    }
  }
  for (size_t row = 0; row < rows; row++) kept += keep[row];
  if (kept < rows) {
    copy_left_out(table, law, keep, left_out);
    table_keep_rows(table, keep);
    table_note(table, "%zu of %zu points are taken, at most %zu of each of the %zu run%s (--curve-points)", kept, rows,
               most, runs, runs == 1 ? "" : "s");
  }
  arena_free(&arena);
  return true;
}

// ---- what pieces and points left out are off by ----

static int make_elements(const struct law *law, const struct coefficient *coefficients, size_t count,
                         struct arena *arena, struct element **elements, double **x) {
  int made = 0;
  *elements = arena_array(arena, count + 1, sizeof **elements);
  *x = arena_array(arena, count + 1, sizeof **x);
  for (size_t i = 0; i < count; i++) {
    int parameter = law_find_parameter(law, coefficients[i].parameter);
    if (parameter < 0 || isnan(coefficients[i].value)) continue;
    bool logarithmic = law->parameters[parameter].positive;
    (*x)[made] = logarithmic ? log(coefficients[i].value) : coefficients[i].value;
    (*elements)[made] = (struct element){.name = coefficients[i].name,
                                         .parameter = parameter,
                                         .category = coefficients[i].category,
                                         .logarithmic = logarithmic,
                                         .value = (*x)[made]};
    made++;
  }
  return made;
}

bool curves_piece_error(const struct law *law, const struct coefficient *coefficients, size_t count,
                        const struct table *table, double *largest, struct error *error) {
  enum { ROWS = 64 };
  static const double most_steps = 2e6;
  const char *schedule, *step;
  *largest = 0;
  if (!law_schedule(law, &schedule, &step) || !step) return true;
  struct arena arena = {0};
  struct element *elements;
  double *x, values[2][ROWS], total = 0;
  const double *steps = numbers_of(table, step);
  int columns = law->column_count, element_count = make_elements(law, coefficients, count, &arena, &elements, &x);
  size_t rows[ROWS], taken = 0, wanted = table->row_count < ROWS ? table->row_count : ROWS;
  for (size_t i = 0; i < wanted && steps; i++) {
    size_t row = table->row_count - 1 - i * table->row_count / wanted;
    bool whole = total + steps[row] <= most_steps || !taken;
    for (int c = 0; c < columns && whole; c++) {
      int column = table_find(table, law->columns[c]);
      whole = column >= 0 && table_value(table, (size_t)column, row).kind != VALUE_MISSING;
    }
    if (!whole) continue;
    total += steps[row];
    rows[taken++] = row;
  }
  bool fine = true;
  for (int every = 0; every < 2 && fine && taken; every++) {
    struct program *program = program_compile(&arena, law, table, (struct row_list){rows, taken, NULL, every}, elements,
                                              element_count, RESIDUAL_PLAIN, error);
    fine = program != NULL;
    if (!fine) break;
    struct program_state *state = program_state_new(&arena, program);
    program_begin(state, x);
    memcpy(values[every], program_forward(state, 0, program->padded), taken * sizeof **values);
  }
  for (size_t i = 0; i < taken && fine; i++)
    if (isfinite(values[0][i])) *largest = fmax(*largest, fabs(values[0][i] / values[1][i] - 1));
  arena_free(&arena);
  return fine;
}

double curves_residual(const struct law *law, const struct coefficient *coefficients, size_t count,
                       const struct table *table) {
  enum { MOST = 20000 };
  struct error error = {0};
  size_t rows = table->row_count, step = rows / MOST + 1, used = 0;
  const double *target = numbers_of(table, law->target);
  if (!rows || !target) return NAN;
  bool *keep = memory_get((rows + 1) * sizeof *keep);
  struct table some;
  for (size_t row = 0; row < rows; row++) keep[row] = row % step != 0;
  copy_left_out(table, law, keep, &some);
  double *predicted = memory_get((some.row_count + 1) * sizeof *predicted), squares = 0;
  const double *observed = numbers_of(&some, law->target);
  bool fine = law_predict(law, coefficients, count, &some, predicted, &error);
  for (size_t row = 0; row < some.row_count && fine; row++) {
    double residual = log(observed[row] / predicted[row]);
    if (!isfinite(residual)) continue;
    squares += residual * residual;
    used++;
  }
  table_free(&some);
  free(predicted);
  free(keep);
  return used ? sqrt(squares / (double)used) : NAN;
}
