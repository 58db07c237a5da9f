// Fits of a spec's experiment: table, fit, print, store.
#include "runner/fits/experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/philox.h"
#include "base/terminal.h"
#include "runner/execute/halved.h"
#include "runner/fits/compare.h"
#include "runner/fits/internal.h"
#include "runner/fits/isoflop_runs.h"
#include "runner/fits/made.h"
#include "runner/fits/standing.h"
#include "runner/fits/table_parts.h"
#include "runner/fits/unused.h"

// Runs that have ended without a loss are listed with the excluded ones.
static bool list_lost_runs(const struct spec *spec, struct store *store, struct fit_result *result,
                           struct error *error) {
  // of a fit by a column's values: those of its value
  char digits[32];
  for (enum run_state state = 0; state < RUN_STATES; state++) {
    if (!run_state_ended_without_loss(state)) continue;
    const char *name = run_state_name(state);
    struct store_rows *rows = store_runs(store, &(struct run_query){.experiment = spec->name, .state = name}, error);
    if (!rows) return false;
    while (store_rows_next(rows, error)) {
      struct value value = result->by ? store_rows_get(rows, column_canonical(result->by)) : (struct value){0};
      if (value.kind == VALUE_NUMBER) number_shortest(value.number, digits);
      const char *part = value.kind == VALUE_TEXT ? value.text : value.kind == VALUE_NUMBER ? digits : "";
      if (!result->by || strcmp(part, result->part) == 0)
        fit_result_exclude(result, store_rows_get(rows, "id").text, halved_reason(rows, name, &result->arena));
    }
    store_rows_close(rows);
    if (error->code) return false;
  }
  return true;
}

// The entry's law against those of its `compare`, on the same rows (the table is narrowed to them).
static bool compare_laws(const struct spec_fit *entry, const struct fit_options *options, struct table *table,
                         struct fit_result *result, struct error *error) {
  size_t count = entry->compare.count + 1;
  struct law *laws = memory_get(count * sizeof *laws);
  struct comparison *comparison = result->comparison = arena_alloc(&result->arena, sizeof *result->comparison);
  *comparison = (struct comparison){0};
  bool fine = true;
  for (size_t l = 0; l < count && fine; l++)
    fine = law_open(&laws[l], l ? entry->compare.items[l - 1] : entry->law, error);
  fine = fine && laws_compare(laws, count, table, &(struct compare_options){.fit = *options}, comparison, error);
  for (size_t l = 0; l < count; l++) law_free(&laws[l]);
  free(laws);
  return fine ? true : error_context(error, "compare");
}

static void tell_comparison(const struct fit_result *result, FILE *report) {
  if (!result->comparison || !report) return;
  if (result->by) fprintf(report, "%s = %s: ", result->by, result->part);
  comparison_print(result->comparison, report);
  fprintf(report, "\n");
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
      double of = fit_errors_absolute(result) ? 1 : fabs(observed[drawn]);
      errors[b] += fabs(predicted[held[drawn]] - observed[drawn]) / of / (double)count;
    }
  }
  if (fine) fitted->holdout_replicates = errors;
  arena_free(&scratch);
  return !error->code;
}

struct fitting {
  const struct spec *spec;
  struct store *store;
  const struct fit_experiment_options *options;
  const struct standing *standing;
  struct json_writer *array;  // or NULL
};

static bool put_result(const struct fitting *fitting, const struct spec_fit *entry, const struct fit_result *result,
                       struct error *error) {
  const struct fit_experiment_options *options = fitting->options;
  struct text document = {0};
  struct json_writer writer = json_writer(&document, false);
  bool kept = !options->ad_hoc || options->as, fine = true, copy = store_is_copy(fitting->store);
  fit_result_json(result, &writer);
  if (kept)
    fine = store_fit_put(fitting->store, fitting->spec->name, result->name, entry->law, text_string(&document), error);
  if (kept && copy)
    notice_print("isoloss", "%s:%s is not kept: the store in %s may only be read", fitting->spec->name, result->name,
                 store_path(fitting->store));
  else if (!kept && options->report)
    fprintf(options->report,
            "  not kept: the options make it another fit than the spec's (--as NAME keeps it under a name)\n\n");
  if (fitting->array) json_put_raw(fitting->array, text_string(&document));
  text_free(&document);
  return fine;
}

static void tell(const struct fitting *fitting, const struct spec_fit *entry, const struct fit_options *fit_options,
                 const struct fit_notes *notes, const struct table *table, struct fit_result *result) {
  const struct spec *spec = fitting->spec;
  struct arena *arena = &result->arena;
  for (size_t i = 0; i < notes->warning_count; i++) fit_result_warn(result, "%s", notes->warnings[i]);
  warn_of_mixture(table, result);
  standing_tell(spec, fitting->standing, result);
  standing_tell_chance(spec, table, result);
  struct error ignored = {0};  // the store was read a moment ago
  const char *unused = NULL;
  if (unused_axes(spec, fitting->store, arena, &unused, &ignored) && unused) fit_result_warn(result, "%s", unused);
  const struct fit_data data = {arena_format(arena, "runs of %s", spec->name), notes->digest.hex, notes->rows_read};
  const char *file = spec->stored ? spec->name : spec->path;
  fit_made_fill(result, fit_options,
                &(struct fit_source){.source = arena_format(arena, "%s:%s", file, entry->name),
                                     .arguments = fitting->options->arguments,
                                     .entry = entry,
                                     .data = &data,
                                     .data_count = 1});
}

// Fits that are made: they grow.
struct fitted_list {
  struct fitted *items;
  size_t count;
};

static void keep_fitted(struct fitted_list *list, const struct fitted *fitted) {
  list->items = memory_grow(list->items, (list->count + 1) * sizeof *list->items);
  list->items[list->count++] = *fitted;
}

// An entry with its law and its table.
struct entry_fit {
  const struct fitting *fitting;
  const struct spec_fit *entry;
  const char *where;  // besides the entry's own
  struct fit_options options;
  struct law law;
  struct table table;
  struct fit_notes notes;
};

// What follows a fit: errors of held-out runs, lost runs, where it comes from.
static bool complete(struct entry_fit *made, struct fitted *fitted, struct error *error) {
  const struct fitting *fitting = made->fitting;
  const struct fit_made *expected = fitting->options->expected;
  struct fit_result *result = &fitted->result;
  if (!resample_holdout(&made->law, &made->table, fitted, error) ||
      !list_lost_runs(fitting->spec, fitting->store, result, error))
    return false;
  tell(fitting, made->entry, &made->options, &made->notes, &made->table, result);
  return !expected || fit_made_compare(expected, &result->made, error);
}

static bool fit_whole(struct entry_fit *made, struct fitted_list *list, struct error *error) {
  const struct fit_experiment_options *options = made->fitting->options;
  struct fitted fitted = {0};
  struct fit_print_options print = options->print;
  print.profiles |= made->options.profile_all || made->options.profile_count;
  bool fine =
      fit_run(&made->law, &made->table, &made->options, &fitted.result, error) && complete(made, &fitted, error);
  if (fine && options->report) {
    fit_print(&fitted.result, &made->law, &made->notes, &print, options->report);
    fputc('\n', options->report);
  }
  if (fine && made->entry->compare.count)
    fine = compare_laws(made->entry, &made->options, &made->table, &fitted.result, error);
  if (fine) tell_comparison(&fitted.result, options->report);
  fine = fine && put_result(made->fitting, made->entry, &fitted.result, error);
  if (fine)
    keep_fitted(list, &fitted);
  else
    fit_result_free(&fitted.result);
  return fine;
}

// The laws of the entry's `compare` on the rows of one value. Where one of them cannot be fitted there, that is a
// warning of the value's fit.
static bool compare_part(const struct entry_fit *made, struct fit_result *result, struct error *error) {
  struct table own = {0};
  struct fit_notes notes = {0};
  struct error inner = {0};
  if (!fit_entry_table(made->fitting->spec, made->entry, NULL, 0, made->where, made->fitting->store, &own, &notes,
                       error))
    return false;
  table_keep_part(&own, made->options.by, result->part);
  if (!compare_laws(made->entry, &made->options, &own, result, &inner)) {
    fit_result_warn(result, "no comparison: %s", inner.text);
    comparison_free(result->comparison);
    result->comparison = NULL;
  }
  table_free(&own);
  return true;
}

// One fit for each value of the entry's column.
static bool fit_by(struct entry_fit *made, struct fitted_list *list, struct error *error) {
  const struct fit_experiment_options *options = made->fitting->options;
  struct fit_parts parts;
  size_t kept = 0;
  bool fine = fit_run_by(&made->law, &made->table, &made->options, &parts, error);
  struct fitted *fitted = memory_get((parts.count + 1) * sizeof *fitted);
  for (size_t i = 0; i < parts.count && fine; i++) {
    fitted[i].result = parts.results[i];
    fine = complete(made, &fitted[i], error) &&
           (!made->entry->compare.count || compare_part(made, &fitted[i].result, error));
    parts.results[i] = fitted[i].result;  // what was added to it
  }
  if (fine && options->report) {
    fit_parts_print(&parts, &made->law, options->report);
    fputc('\n', options->report);
  }
  for (size_t i = 0; i < parts.count && fine; i++) tell_comparison(&parts.results[i], options->report);
  for (size_t i = 0; i < parts.left_out_count && fine && !options->report; i++)
    fprintf(stderr, "isoloss: fit %s: %s %s is left out: %s\n", made->entry->name, made->options.by,
            parts.left_out[i].row, parts.left_out[i].reason);
  for (; kept < parts.count && fine; kept++) {
    fine = put_result(made->fitting, made->entry, &parts.results[kept], error);
    keep_fitted(list, &fitted[kept]);
  }
  for (size_t i = 0; i < kept; i++) parts.results[i] = (struct fit_result){0};  // the list's now
  free(fitted);
  fit_parts_free(&parts);
  return fine;
}

// Fits one entry; its results come to the list.
static bool fit_one_entry(const struct fitting *fitting, const struct spec_fit *own, struct fitted_list *list,
                          struct error *error) {
  const struct fit_experiment_options *options = fitting->options;
  const struct spec_fit *said = options->arguments ? &options->arguments->entry : NULL;
  bool other = options->law && strcmp(options->law, own->name) != 0;
  const struct spec_fit merged = fit_entry_merged(own, said, other ? options->law : NULL);
  const char *where = options->overrides ? options->overrides->where : NULL;
  struct entry_fit made = {fitting, &merged, where, .options = fit_entry_options(&merged, options->overrides)};
  if (options->as) made.options.name = options->as;
  bool fine =
      law_open(&made.law, merged.law, error) &&
      fit_entry_table(fitting->spec, &merged, &made.law, 1, where, fitting->store, &made.table, &made.notes, error);
  fine = fine && (made.options.by ? fit_by(&made, list, error) : fit_whole(&made, list, error));
  if (!fine) error_context(error, "fit %s", merged.name);
  table_free(&made.table);
  law_free(&made.law);
  return fine;
}

static bool names_isoflop(const struct spec *spec, const char *name) {
  for (size_t i = 0; i < spec->isoflop_count && name; i++)
    if (strcmp(spec->isoflops[i].name, name) == 0) return true;
  return false;
}

// The entries that are asked for: all; the one named; with a law the one it names, else the only one.
static const struct spec_fit **asked_entries(const struct fitting *fitting, const struct spec_fit *own,
                                             struct arena *arena, size_t *count, struct error *error) {
  const struct spec *spec = fitting->spec;
  const struct fit_experiment_options *options = fitting->options;
  const struct spec_fit **entries = arena_array(arena, spec->fit_count + 1, sizeof *entries);
  *count = 0;
  if (names_isoflop(spec, options->entry) || names_isoflop(spec, options->law)) return entries;
  if (options->entry || (options->law && spec->fit_count)) {
    const struct spec_fit *entry = fit_entry_find(spec, options->entry, options->law, error);
    if (entry) entries[(*count)++] = entry;
  } else if (options->law) {
    entries[(*count)++] = own;
  } else {
    for (size_t i = 0; i < spec->fit_count; i++) entries[(*count)++] = &spec->fits[i];
  }
  return entries;
}

// An entry that cannot be fitted has its place in the document too.
static void put_failure(const struct fitting *fitting, const struct spec_fit *entry, const struct error *error) {
  struct json_writer *array = fitting->array;
  if (!array) return;
  json_object_begin(array);
  json_key_string(array, "name", entry->name);
  json_key_string(array, "law", entry->law);
  failure_json(error, array);
  json_object_end(array);
}

// Fits the entries that are asked for. The first error is kept, the others are reported at once.
static bool fit_entries(const struct fitting *fitting, struct fitted_list *list, struct error *error) {
  struct arena arena = {0};
  const struct spec_fit own = spec_fit_of_law(fitting->options->law);
  size_t asked;
  const struct spec_fit **entries = asked_entries(fitting, &own, &arena, &asked, error);
  bool fine = !error->code;
  for (size_t i = 0; i < asked; i++) {
    struct diagnostics told = {0};
    struct error here = {.told = fitting->array ? &told : NULL};
    if (asked > 1 && fitting->options->as)
      error_set(&here, EXIT_USAGE_ERROR, "--as keeps one fit; name its entry: %s:%s", fitting->spec->path,
                entries[i]->name);
    bool done = !here.code && fit_one_entry(fitting, entries[i], list, &here);
    if (!done && asked > 1) put_failure(fitting, entries[i], &here);
    if (!done && fine)
      error_take(error, &here);
    else if (!done)
      error_print("isoloss", &here);
    fine &= done;
    diagnostics_free(&told);
  }
  arena_free(&arena);
  return fine;
}

// The entries of method isoflop, printed and put behind the fits. They are not kept in the store: what they tell
// follows from the runs in no time.
static bool fit_isoflops(const struct spec *spec, struct store *store, const struct fit_experiment_options *options,
                         struct json_writer *array, struct error *error) {
  for (size_t i = 0; i < spec->isoflop_count; i++) {
    const struct spec_isoflop *entry = &spec->isoflops[i];
    const char *named = options->entry ? options->entry : options->law;
    if (named && strcmp(entry->name, named) != 0) continue;
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

// A name that an entry has would hide it.
static bool name_is_free(const struct spec *spec, const char *name, struct error *error) {
  for (size_t i = 0; i < spec->fit_count && name; i++)
    if (strcmp(spec->fits[i].name, name) == 0)
      return error_set(error, EXIT_USAGE_ERROR, "--as %s: %s has a fit entry of that name; take another", name,
                       spec->path);
  return true;
}

static bool fit_all(struct fitting *fitting, struct error *error) {
  const struct spec *spec = fitting->spec;
  const struct fit_experiment_options *options = fitting->options;
  struct fitted_list list = {0};
  size_t not_held = 0;
  bool fine = fit_entries(fitting, &list, error);
  struct error isoflop_error = {0}, claim_error = {0};
  bool found = fit_isoflops(spec, fitting->store, options, fitting->array, &isoflop_error);
  if (!found && fine) error_take(error, &isoflop_error);
  fine = fine && found;
  bool judged = options->law || options->entry || options->ad_hoc || !spec->claim_count ||
                fit_claims(spec, list.items, list.count, fitting->store, options->report, &not_held, &claim_error);
  if (!judged && fine) error_take(error, &claim_error);
  if (options->claims_not_held) *options->claims_not_held = not_held;
  for (size_t i = 0; i < list.count; i++) fit_result_free(&list.items[i].result);
  free(list.items);
  return fine && judged;
}

bool fit_experiment(const struct spec *spec, struct store *store, const struct fit_experiment_options *options,
                    struct error *error) {
  static const struct fit_experiment_options nothing = {0};
  if (!options) options = &nothing;
  struct arena arena = {0};
  struct json_writer array = {0};
  struct standing standing = {0};
  struct fitting fitting = {spec, store, options, &standing, options->json ? &array : NULL};
  bool fine = name_is_free(spec, options->as, error) &&
              (!options->as_file || standing_find(spec, store, &arena, &standing, error));
  if (fine && options->json) {
    array = json_writer(options->json, false);
    json_array_begin(&array);
  }
  if (fine) fine = fit_all(&fitting, error);
  if (array.out) json_array_end(&array);
  arena_free(&arena);
  return fine;
}
