// Finished runs as a table of observations.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/experiment.h"
#include "runner/fits/format_errors.h"
#include "runner/fits/internal.h"

// Fields of a configuration that can change the result are settings; what follows from them are quantities.
static enum column_role role_of(const char *name) {
  static const char *const quantities[] = {"tokens",
                                           "targets",
                                           "steps",
                                           "epochs",
                                           "flops",
                                           "step",
                                           "flops_6nd",
                                           "tokens_per_parameter",
                                           "bytes_per_token",
                                           "unique_tokens",
                                           "sparsity",
                                           "weight_bits",
                                           "activation_bits",
                                           "gradient_bits",
                                           "kv_bits",
                                           "gmse_weights",
                                           "gmse_activations",
                                           "gmse_gradients"};
  static const char *const outcomes[] = {
      "loss",          "bits_per_byte",     "oracle_loss", "train_loss",      "wall_seconds",
      "train_seconds", "tokens_per_second", "peak_memory", "irreducible_loss"};
  const struct run_field *field = field_find(name, NULL);
  if (field) return field->affects_result ? ROLE_SETTING : ROLE_UNKNOWN;
  if (strcmp(name, "corpus_digest") == 0) return ROLE_SETTING;
  if (starts_with(name, "parameters")) return ROLE_QUANTITY;
  for (size_t i = 0; i < sizeof quantities / sizeof *quantities; i++)
    if (strcmp(quantities[i], name) == 0) return ROLE_QUANTITY;
  for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
    if (strcmp(outcomes[i], name) == 0) return ROLE_OUTCOME;
  return ROLE_UNKNOWN;
}

static struct store_rows *finished_runs(const struct spec *spec, struct store *store, struct error *error) {
  return store_runs(store, &(struct run_query){.experiment = spec->name, .state = "done"}, error);
}

// Counts the rows and finds which columns hold texts.
static bool measure(const struct spec *spec, struct store *store, struct arena *arena, size_t *count, bool **texts,
                    struct error *error) {
  struct store_rows *rows = finished_runs(spec, store, error);
  if (!rows) return false;
  int columns = store_rows_columns(rows);
  *texts = arena_array(arena, (size_t)columns + 1, sizeof **texts);
  for (*count = 0; store_rows_next(rows, error); (*count)++)
    for (int c = 0; c < columns; c++) (*texts)[c] |= store_rows_value(rows, c).kind == VALUE_TEXT;
  store_rows_close(rows);
  return !error->code;
}

static bool fill(struct table *table, const struct spec *spec, struct store *store, const bool *texts,
                 struct error *error) {
  struct store_rows *rows = finished_runs(spec, store, error);
  if (!rows) return false;
  int columns = store_rows_columns(rows);
  for (int c = 0; c < columns; c++) {
    const char *name = store_rows_name(rows, c);
    if (texts[c])
      table_add_category(table, name, role_of(name));
    else
      table_add_number(table, name, role_of(name));
  }
  for (size_t row = 0; row < table->row_count && store_rows_next(rows, error); row++) {
    for (int c = 0; c < columns; c++) {
      struct value value = store_rows_value(rows, c);
      if (texts[c])
        table_set_category(table, (size_t)c, row, value.kind == VALUE_TEXT ? value.text : NULL);
      else
        table->columns[c].numbers[row] = value.kind == VALUE_MISSING ? NAN : value.number;
    }
    struct value id = store_rows_get(rows, "id");
    if (id.kind == VALUE_TEXT) table_name_row(table, row, id.text);
  }
  store_rows_close(rows);
  return !error->code;
}

// N as the entry counts it.
static bool count_parameters(struct table *table, const char *parameter_count, struct error *error) {
  static const struct {
    const char *count, *column;
  } counts[] = {{"non-embedding", "parameters"},
                {"total", "parameters_total"},
                {"prunable", "parameters_prunable"},
                {"active", "parameters_active"},
                {"average-active", "parameters_active_average"}};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    if (strcmp(counts[i].count, parameter_count) != 0) continue;
    int from = table_find(table, counts[i].column), to = table_find(table, "parameters");
    if (from < 0 || to < 0) break;
    memcpy(table->columns[to].numbers, table->columns[from].numbers, table->row_count * sizeof(double));
    table->columns[to].original = table->columns[from].name;
    return true;
  }
  return error_set(error, EXIT_USAGE_ERROR,
                   "parameter_count '%s' is none of non-embedding, total, prunable, active, average-active",
                   parameter_count);
}

bool reduce_table(struct table *table, const char *target, const struct reductions *reductions, struct fit_notes *notes,
                  struct error *error) {
  // Averages come first: the best learning rate is chosen by the mean over seeds, not by the luckiest of them.
  const char *const *axes[] = {reductions->average_over, reductions->best_over};
  const size_t counts[] = {reductions->average_over_count, reductions->best_over_count};
  for (int step = 0; step < 2; step++) {
    if (!counts[step]) continue;
    struct reduction reduction;
    size_t key_count = reductions->key_count;
    const char **keys = memory_get((key_count + reductions->best_over_count + 1) * sizeof *keys);
    for (size_t k = 0; k < reductions->key_count; k++) keys[k] = reductions->keys[k];
    for (size_t k = 0; step == 0 && k < reductions->best_over_count; k++) keys[key_count++] = reductions->best_over[k];
    bool fine = step == 0 ? table_average_over(table, target, axes[0], counts[0], keys, key_count, &reduction, error)
                          : table_best_over(table, target, axes[1], counts[1], keys, key_count, &reduction, error);
    free(keys);
    if (!fine) return false;
    notes->rows_before = notes->rows_before ? notes->rows_before : reduction.rows_before;
    if (step == 0) {
      notes->noise = reduction.noise;
      notes->noise_degrees = reduction.noise_degrees;
    }
    for (size_t i = 0; i < reduction.warning_count && notes->warning_count < FIT_NOTES; i++)
      notes->warnings[notes->warning_count++] = reduction.warnings[i];
  }
  return true;
}

// Rows that a condition leaves out must neither win nor be averaged.
static bool keep_where(struct table *table, const char *where, struct error *error) {
  if (!where) return true;
  bool *keep = memory_get(table->row_count + 1);
  bool fine = table_where(table, where, keep, error);
  if (fine) table_keep_rows(table, keep);
  free(keep);
  return fine;
}

bool finished_runs_table(const struct spec *spec, struct store *store, struct table *table, struct error *error) {
  struct arena arena = {0};
  *table = (struct table){0};
  size_t count;
  bool *texts;
  bool fine = format_errors_measure(store, error) && measure(spec, store, &arena, &count, &texts, error);
  if (fine) {
    table_init(table, arena_format(&arena, "runs of %s", spec->name), count);
    fine = fill(table, spec, store, texts, error);
  }
  arena_free(&arena);
  return fine;
}

bool fit_entry_table(const struct spec *spec, const struct spec_fit *entry, const char *where, struct store *store,
                     struct table *table, struct fit_notes *notes, struct error *error) {
  *notes = (struct fit_notes){.noise = NAN};
  if (!finished_runs_table(spec, store, table, error)) return false;
  if (!table->row_count)
    return error_set(error, EXIT_USAGE_ERROR, "no run of %s is done yet (isoloss run %s)", spec->name, spec->path);
  return count_parameters(table, entry->parameter_count ? entry->parameter_count : "non-embedding", error) &&
         keep_where(table, entry->where_text, error) && keep_where(table, where, error) &&
         reduce_table(table, "loss",
                      &(struct reductions){.best_over = entry->best_over,
                                           .best_over_count = entry->best_over_count,
                                           .average_over = entry->average_over,
                                           .average_over_count = entry->average_over_count},
                      notes, error);
}

bool fit_experiment_table(const struct spec *spec, const struct spec_fit *entry, struct store *store,
                          struct table *table, struct error *error) {
  struct fit_notes notes;
  return fit_entry_table(spec, entry, NULL, store, table, &notes, error);
}
