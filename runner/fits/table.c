// Finished runs as a table of observations.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/execute/halved.h"
#include "runner/fits/chain_ends.h"
#include "runner/fits/experiment.h"
#include "runner/fits/format_errors.h"
#include "runner/fits/internal.h"
#include "runner/fits/made.h"

// A column that is in no table is a field of a spec's own: rows that differ in it are not alike.
static enum column_role role_of(const char *name) {
  if (!run_column_find(name) && !field_find(name, NULL) && !run_column_is_result(name)) return ROLE_SETTING;
  static const enum column_role roles[] = {[RUN_NOTE] = ROLE_UNKNOWN,
                                           [RUN_SETTING] = ROLE_SETTING,
                                           [RUN_QUANTITY] = ROLE_QUANTITY,
                                           [RUN_OUTCOME] = ROLE_OUTCOME};
  return roles[run_column_role(name)];
}

static void fill_row(struct table *table, size_t row, const struct store_rows *rows) {
  for (size_t c = 0; c < table->column_count; c++) {
    struct value value = store_rows_value(rows, (int)c);
    if (table->columns[c].kind == COLUMN_CATEGORY)
      table_set_category(table, c, row, value.kind == VALUE_TEXT ? value.text : NULL);
    else
      table->columns[c].numbers[row] = value.kind == VALUE_NUMBER || value.kind == VALUE_BOOLEAN ? value.number : NAN;
  }
  struct value id = store_rows_get(rows, "id");
  if (id.kind == VALUE_TEXT) table_name_row(table, row, id.text);
}

// A seed of a later stage that is each run's own seed says nothing that `seed` does not: runs that differ in the seed
// alone differ in it too.
static void follow_seeds(struct table *table) {
  int seed = table_find(table, "seed");
  for (size_t c = 0; c < table->column_count && seed >= 0; c++) {
    struct table_column *column = &table->columns[c];
    if (column->role != ROLE_SETTING || column->kind != COLUMN_NUMBER || !ends_with(column->name, ".seed")) continue;
    bool follows = true;
    for (size_t row = 0; row < table->row_count; row++)
      follows &= isnan(column->numbers[row]) || column->numbers[row] == table->columns[seed].numbers[row];
    if (follows) column->role = ROLE_UNKNOWN;
  }
}

static bool fill(struct table *table, const struct spec *spec, struct store *store, struct error *error) {
  struct run_query query = {.experiment = spec->name, .state = run_state_name(RUN_DONE)};
  struct store_rows *rows = store_runs(store, &query, error);
  if (!rows) return false;
  for (int c = 0; c < store_rows_columns(rows); c++) {
    const char *name = store_rows_name(rows, c);
    if (store_rows_is_text(rows, c))
      table_add_category(table, name, role_of(name));
    else
      table_add_number(table, name, role_of(name));
  }
  size_t count = 0;
  while (store_rows_next(rows, error)) {
    if (count == table->row_count) table_resize(table, count ? 2 * count : 64);
    fill_row(table, count++, rows);
  }
  table_resize(table, count);
  store_rows_close(rows);
  follow_seeds(table);
  return !error->code;
}

// N as the entry counts it.
static bool count_parameters(struct table *table, const char *parameter_count, struct error *error) {
  const char *column = parameter_count_column(parameter_count);
  int from = column ? table_find(table, column) : -1, to = table_find(table, "parameters");
  if (from >= 0 && to >= 0) {
    memcpy(table->columns[to].numbers, table->columns[from].numbers, table->row_count * sizeof(double));
    table->columns[to].original = table->columns[from].name;
    return true;
  }
  struct text list = {0};
  for (size_t i = 0; parameter_count_names[i]; i++) text_format(&list, "%s%s", i ? ", " : "", parameter_count_names[i]);
  error_set(error, EXIT_USAGE_ERROR, "parameter_count '%s' is none of %s", parameter_count, text_string(&list));
  text_free(&list);
  return false;
}

const char **reduction_outcomes(struct arena *arena, const char *best_by, size_t *count) {
  struct error unused = {0};
  const struct expression *expression = expression_parse(arena, best_by ? best_by : "loss", &unused);
  *count = expression ? (size_t)expression->name_count : 0;
  const char **names = arena_array(arena, *count + 1, sizeof *names);
  for (size_t i = 0; i < *count; i++) names[i] = expression->names[i].name;
  return names;
}

static void take_warnings(const struct reduction *reduction, struct fit_notes *notes) {
  notes->rows_before = notes->rows_before ? notes->rows_before : reduction->rows_before;
  for (size_t i = 0; i < reduction->warning_count && notes->warning_count < FIT_NOTES; i++)
    notes->warnings[notes->warning_count++] = reduction->warnings[i];
}

// Averages the target and what the best is taken by; a target that is an axis of best_over is no outcome.
static bool average(struct table *table, const char *target, const struct reductions *reductions,
                    struct fit_notes *notes, struct error *error) {
  struct reduction reduction;
  size_t target_count = 0, key_count = reductions->key_count, outcome_count = 0;
  const char **outcomes = NULL;
  if (reductions->best_over_count) outcomes = reduction_outcomes(&table->arena, reductions->best_by, &outcome_count);
  const char **keys = memory_get((key_count + reductions->best_over_count + 1) * sizeof *keys),
             **targets = memory_get((outcome_count + 2) * sizeof *targets);
  int column = table_find(table, target);
  bool chosen = false;
  for (size_t k = 0; k < key_count; k++) keys[k] = reductions->keys[k];
  for (size_t k = 0; k < reductions->best_over_count; k++) {
    keys[key_count++] = reductions->best_over[k];
    chosen |= column >= 0 && table_find(table, reductions->best_over[k]) == column;
  }
  if (!chosen) targets[target_count++] = target;
  for (size_t i = 0; i < outcome_count; i++) targets[target_count++] = outcomes[i];
  bool fine = table_average_over(table, targets, target_count, reductions->average_over, reductions->average_over_count,
                                 keys, key_count, reductions->keep_empty, &reduction, error);
  free(keys);
  free(targets);
  if (!fine) return false;
  notes->noise = reduction.noise;
  notes->noise_degrees = reduction.noise_degrees;
  take_warnings(&reduction, notes);
  return true;
}

bool reduce_table(struct table *table, const char *target, const struct reductions *reductions, struct fit_notes *notes,
                  struct error *error) {
  // Averages come first: the best learning rate is chosen by the mean over seeds, not by the luckiest of them.
  if (reductions->average_over_count && !average(table, target, reductions, notes, error)) return false;
  if (!reductions->best_over_count && reductions->best_by)
    return error_set(error, EXIT_USAGE_ERROR,
                     "best_by (--best-by) says by what best_over takes the best: name its columns (--best-over)");
  if (!reductions->best_over_count) return true;
  struct reduction reduction;
  if (!table_best_over(table, reductions->best_by, reductions->best_over, reductions->best_over_count, reductions->keys,
                       reductions->key_count, &reduction, error))
    return false;
  take_warnings(&reduction, notes);
  return true;
}

// Rows that a condition leaves out must neither win nor be averaged. `parsed`: the same, where a spec has it.
static bool keep_where(struct table *table, const char *text, const struct expression *parsed, struct error *error) {
  if (!text) return true;
  struct text what = {0};
  text_format(&what, "condition '%s'", text);
  bool *keep = memory_get(table->row_count + 1);
  bool fine = parsed ? table_where_expression(table, parsed, text_string(&what), keep, error)
                     : table_where(table, text, keep, error);
  if (fine) table_keep_rows(table, keep);
  free(keep);
  text_free(&what);
  return fine;
}

// Rows of several stages never mix unseen: without a word on `stage` only ends of chains stay; and where rows of
// several are left, a warning says so.
static bool keep_chain_ends(const struct spec *spec, const struct expression *where, const char *further,
                            struct table *table, struct error *error) {
  if (!spec->stage_count) return true;
  struct expression *parsed = further ? table_expression(table, &table->arena, further, error) : NULL;
  if (further && !parsed) return error_context(error, "condition '%s'", further);
  if (names_stage(where) || names_stage(parsed)) return true;
  bool *ends = memory_get(table->row_count + 1);
  mark_chain_ends(spec, table, ends);
  table_keep_rows(table, ends);
  free(ends);
  return true;
}

// Whether a law itself tells a training from what follows it: by a column of how weights were compressed.
static bool tells_stages_apart(const struct law *law) {
  for (int i = 0; i < law->column_count; i++)
    if (strcmp(law->columns[i], "compression") == 0 || strcmp(law->columns[i], "stage") == 0 ||
        starts_with(law->columns[i], "compress."))
      return true;
  return false;
}

static void warn_of_stages(struct table *table, const struct law *laws, size_t law_count, struct fit_notes *notes) {
  struct text said = {0};
  bool apart = law_count > 0;
  for (size_t i = 0; i < law_count; i++) apart &= tells_stages_apart(&laws[i]);
  if (!apart && tell_stages(table, &said) && notes->warning_count < FIT_NOTES)
    notes->warnings[notes->warning_count++] = arena_string(&table->arena, text_string(&said));
  text_free(&said);
}

bool finished_runs_table(const struct spec *spec, struct store *store, struct table *table, struct error *error) {
  struct text source = {0};
  text_format(&source, "runs of %s", spec->name);
  table_init(table, text_string(&source), 0);
  text_free(&source);
  table->spell = spec_text_spelling;
  table->spell_context = (void *)(uintptr_t)spec;  // which is only read
  return format_errors_measure(store, error) && fill(table, spec, store, error);
}

// Runs that halving stopped have no final loss and are never the best, but they bound the grid of an axis. With their
// number and shares goes the warning that is said of every choice among the others.
static bool add_halved(struct table *table, const struct spec *spec, const struct spec_fit *entry, struct store *store,
                       struct fit_notes *notes, size_t *added, struct error *error) {
  const char *words;
  size_t halved;
  *added = 0;
  if (!entry->best_over.count) return true;
  if (!halved_words(store, spec->name, &table->arena, &halved, &words, error)) return false;
  if (!halved) return true;
  if (notes->warning_count < FIT_NOTES)
    notes->warnings[notes->warning_count++] = arena_format(
        &table->arena,
        "%s: the best run is taken among those that were trained to their ends, which early losses chose; final losses "
        "need not rank alike",
        words);
  struct run_query query = {.experiment = spec->name, .state = run_state_name(RUN_KILLED), .where = "halved_at > 0"};
  struct store_rows *rows = store_runs(store, &query, error);
  size_t count = table->row_count;
  if (rows) table_resize(table, count + halved);
  while (rows && count < table->row_count && store_rows_next(rows, error)) fill_row(table, count++, rows);
  if (rows) table_resize(table, count);
  *added = rows ? halved : 0;
  store_rows_close(rows);
  return !error->code;
}

bool fit_entry_table(const struct spec *spec, const struct spec_fit *entry, const struct law *laws, size_t law_count,
                     const char *where, struct store *store, struct table *table, struct fit_notes *notes,
                     struct error *error) {
  *notes = (struct fit_notes){.noise = NAN};
  if (!finished_runs_table(spec, store, table, error)) return false;
  static const char *const cells[] = {"parameters", "tokens", "loss"};
  notes->rows_read = table->row_count;
  notes->digest = table_digest_of(table, cells, sizeof cells / sizeof *cells);
  if (!table->row_count)
    return error_set(error, EXIT_USAGE_ERROR, "no run of %s is done yet (isoloss run %s)", spec->name, spec->call);
  size_t halved;
  if (!add_halved(table, spec, entry, store, notes, &halved, error) ||
      !count_parameters(table, entry->parameter_count, error) ||
      !keep_chain_ends(spec, entry->where.tree, where, table, error) ||
      !keep_where(table, entry->where.text, entry->where.tree, error) || !keep_where(table, where, NULL, error))
    return false;
  if (spec->stage_count) warn_of_stages(table, laws, law_count, notes);
  if (!spec->task) table_check_runs(table);  // a task counts what it counts
  for (size_t i = 0; i < table->note_count && notes->warning_count < FIT_NOTES; i++)
    notes->warnings[notes->warning_count++] = table->notes[i];
  return reduce_table(table, "loss",
                      &(struct reductions){.best_over = entry->best_over.items,
                                           .best_over_count = entry->best_over.count,
                                           .best_by = entry->best_by.text,
                                           .average_over = entry->average_over.items,
                                           .average_over_count = entry->average_over.count,
                                           .keep_empty = halved > 0},
                      notes, error);
}

bool fit_experiment_table(const struct spec *spec, const struct spec_fit *entry, struct store *store,
                          struct table *table, struct error *error) {
  struct fit_notes notes;
  return fit_entry_table(spec, entry, NULL, 0, NULL, store, table, &notes, error);
}
