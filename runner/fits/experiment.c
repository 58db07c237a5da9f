// Fits of a spec's experiment: table, fit, print, store.
#include "runner/fits/experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "base/terminal.h"
#include "runner/fits/compare.h"
#include "runner/fits/internal.h"
#include "runner/fits/isoflop_runs.h"

// Runs that have ended without a loss are listed with the excluded ones.
static bool list_lost_runs(const struct spec *spec, struct store *store, struct fit_result *result,
                           struct error *error) {
  for (enum run_state state = 0; state < RUN_STATES; state++) {
    if (!run_state_ended_without_loss(state)) continue;
    const char *name = run_state_name(state);
    struct store_rows *rows = store_runs(store, &(struct run_query){.experiment = spec->name, .state = name}, error);
    if (!rows) return false;
    while (store_rows_next(rows, error)) fit_result_exclude(result, store_rows_get(rows, "id").text, name);
    store_rows_close(rows);
    if (error->code) return false;
  }
  return true;
}

// The entry's law against those of its `compare`, on the same rows (the table is narrowed to them).
static bool compare_laws(const struct spec_fit *entry, const struct fit_options *options, struct table *table,
                         struct fit_result *result, FILE *report, struct error *error) {
  size_t count = entry->compare.count + 1;
  struct law *laws = memory_get(count * sizeof *laws);
  struct comparison *comparison = result->comparison = arena_alloc(&result->arena, sizeof *result->comparison);
  *comparison = (struct comparison){0};
  bool fine = true;
  for (size_t l = 0; l < count && fine; l++)
    fine = law_open(&laws[l], l ? entry->compare.items[l - 1] : entry->law, error);
  fine = fine && laws_compare(laws, count, table, &(struct compare_options){.fit = *options}, comparison, error);
  if (fine && report) {
    comparison_print(comparison, report);
    fprintf(report, "\n");
  }
  for (size_t l = 0; l < count; l++) law_free(&laws[l]);
  free(laws);
  return fine ? true : error_context(error, "compare");
}

static bool keep_result(const struct spec *spec, const struct spec_fit *entry, struct store *store,
                        const struct fit_result *result, struct json_writer *array, struct error *error) {
  struct text document = {0};
  struct json_writer writer = json_writer(&document, false);
  fit_result_json(result, &writer);
  bool fine = store_fit_put(store, spec->name, result->name, entry->law, text_string(&document), error);
  if (array) json_put_raw(array, text_string(&document));
  text_free(&document);
  return fine;
}

// The held-out error of every resample: its coefficients, on held-out rows drawn with replacement.
static bool resample_holdout(const struct law *law, const struct table *table, struct fitted *fitted,
                             struct error *error) {
  struct fit_result *result = &fitted->result;
  if (!result->replicates || !result->held_out) return true;
  struct arena scratch = {0};
  size_t n = table->row_count, count = 0, *held = arena_array(&scratch, n + 1, sizeof *held);
  double *observed = arena_array(&scratch, n + 1, sizeof *observed),
         *predicted = arena_array(&scratch, n + 1, sizeof *predicted),
         *errors = arena_array(&result->arena, (size_t)result->bootstrap, sizeof *errors);
  struct coefficient *coefficients = arena_array(&scratch, result->coefficient_count, sizeof *coefficients);
  memcpy(coefficients, result->coefficients, result->coefficient_count * sizeof *coefficients);
  for (size_t i = 0; i < result->table_count; i++)
    for (size_t row = 0; row < n && result->table[i].use == ROW_HELD_OUT; row++)
      if (strcmp(table->row_names[row], result->table[i].name) == 0) {
        observed[count] = result->table[i].observed;
        held[count++] = row;
        break;
      }
  bool fine = count > 0;
  for (long b = 0; b < result->bootstrap && fine; b++) {
    for (size_t c = 0; c < result->coefficient_count; c++)
      coefficients[c].value = result->replicates[(size_t)b * result->coefficient_count + c];
    fine = law_predict(law, coefficients, result->coefficient_count, table, predicted, error);
    errors[b] = 0;
    for (size_t i = 0; i < count; i++) {
      uint32_t words[4];
      random_words(0, RANDOM_STREAM_BOOTSTRAP, (uint64_t)b, i, words);
      size_t drawn = words[0] % count;
      errors[b] += fabs(predicted[held[drawn]] / observed[drawn] - 1) / (double)count;
    }
  }
  if (fine) fitted->holdout_replicates = errors;
  arena_free(&scratch);
  return !error->code;
}

// Fits one entry; the result is released by the caller in any case.
static bool fit_entry(const struct spec *spec, const struct spec_fit *entry, struct store *store,
                      const struct fit_experiment_options *options, struct json_writer *array, struct fitted *fitted,
                      struct error *error) {
  struct fit_result *result = &fitted->result;
  struct law law = {0};
  struct table table = {0};
  struct fit_notes notes;
  const char *where = options->overrides ? options->overrides->where : NULL;
  struct fit_options fit_options = fit_entry_options(entry, options->overrides);
  bool fine = law_open(&law, entry->law, error) && fit_entry_table(spec, entry, where, store, &table, &notes, error) &&
              fit_run(&law, &table, &fit_options, result, error) && resample_holdout(&law, &table, fitted, error) &&
              list_lost_runs(spec, store, result, error);
  if (fine) {
    for (size_t i = 0; i < notes.warning_count; i++) fit_result_warn(result, "%s", notes.warnings[i]);
    warn_of_mixture(&table, result);
    if (options->report) fit_print(result, &law, &notes, options->residuals, options->report);
    if (entry->compare.count) fine = compare_laws(entry, &fit_options, &table, result, options->report, error);
    fine = fine && keep_result(spec, entry, store, result, array, error);
  }
  if (!fine) {
    error_context(error, "fit %s", entry->name);
  }
  table_free(&table);
  law_free(&law);
  return fine;
}

static bool names_isoflop(const struct spec *spec, const char *name) {
  for (size_t i = 0; i < spec->isoflop_count && name; i++)
    if (strcmp(spec->isoflops[i].name, name) == 0) return true;
  return false;
}

// Fits the entries that are asked for; results gets one each. The first error is kept, the others are told at once.
static bool fit_entries(const struct spec *spec, struct store *store, const struct fit_experiment_options *options,
                        struct json_writer *array, struct fitted *results, size_t *count, struct error *error) {
  bool fine = true;
  size_t asked = 0;
  for (size_t i = 0; i <= spec->fit_count; i++) {
    const struct spec_fit own = spec_fit_of_law(options->law);
    const struct spec_fit *entry = i < spec->fit_count ? &spec->fits[i] : &own;
    // The last one: a law that the spec does not name, on its own.
    if (i == spec->fit_count && (!options->law || asked || names_isoflop(spec, options->law))) break;
    if (options->law && strcmp(entry->law, options->law) != 0 && strcmp(entry->name, options->law) != 0) continue;
    asked++;
    struct error here = {0};
    struct fitted result = {0};
    if (fit_entry(spec, entry, store, options, array, &result, &here)) {
      results[(*count)++] = result;
      continue;
    }
    fit_result_free(&result.result);
    if (fine)
      *error = here;
    else
      error_print("isoloss", &here);
    fine = false;
  }
  return fine;
}

// The entries of method isoflop, printed and put behind the fits. They are not kept in the store: what they tell
// follows from the runs in no time.
static bool fit_isoflops(const struct spec *spec, struct store *store, const struct fit_experiment_options *options,
                         struct json_writer *array, struct error *error) {
  for (size_t i = 0; i < spec->isoflop_count; i++) {
    const struct spec_isoflop *entry = &spec->isoflops[i];
    if (options->law && strcmp(entry->name, options->law) != 0) continue;
    struct isoflop result = {0};
    const char *where = options->overrides ? options->overrides->where : NULL;
    bool fine = isoflop_of_entry(spec, entry, where, store, &result, error);
    if (fine && options->report) {
      fprintf(options->report, "%s: compute-optimal sizes\n", entry->name);
      isoflop_print(&result, options->report);
      fprintf(options->report, "\n");
    }
    if (fine && array) {
      json_object_begin(array);
      json_key_string(array, "name", entry->name);
      json_key(array, "law");
      json_put_null(array);
      json_key(array, "isoflop");
      isoflop_json(&result, array);
      json_object_end(array);
    }
    isoflop_free(&result);
    if (!fine) return false;
  }
  return true;
}

bool fit_experiment(const struct spec *spec, struct store *store, const struct fit_experiment_options *options,
                    struct error *error) {
  static const struct fit_experiment_options nothing = {0};
  if (!options) options = &nothing;
  struct json_writer array = {0};
  if (options->json) {
    array = json_writer(options->json, false);
    json_array_begin(&array);
  }
  struct fitted *results = memory_get((spec->fit_count + 1) * sizeof *results);
  size_t count = 0, not_held = 0;
  bool fine = fit_entries(spec, store, options, options->json ? &array : NULL, results, &count, error);
  struct error isoflop_error = {0};
  bool found = fit_isoflops(spec, store, options, options->json ? &array : NULL, &isoflop_error);
  if (!found && fine) *error = isoflop_error;
  fine = fine && found;
  if (options->json) json_array_end(&array);
  struct error claim_error = {0};
  bool judged = options->law || !spec->claim_count ||
                fit_claims(spec, results, count, store, options->report, &not_held, &claim_error);
  if (!judged && fine) *error = claim_error;
  if (options->claims_not_held) *options->claims_not_held = not_held;
  for (size_t i = 0; i < count; i++) fit_result_free(&results[i].result);
  free(results);
  return fine && judged;
}
