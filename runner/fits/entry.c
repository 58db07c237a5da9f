// One entry of a spec's fits, as far as the commands share it: its law, its options, what its rows must not mix.
#include <string.h>

#include "base/terminal.h"
#include "runner/fits/internal.h"

bool law_open(struct law *law, const char *name_or_path, struct error *error) {
  struct diagnostics diagnostics = {0};
  bool fine = law_load(law, name_or_path, &diagnostics, error);
  diagnostics_tell(&diagnostics, error);
  diagnostics_free(&diagnostics);
  return fine;
}

struct spec_fit fit_entry_merged(const struct spec_fit *entry, const struct spec_fit *said, const char *law) {
  struct spec_fit merged = *entry;
  if (law) merged.law = law;
  if (said && said->best_over.count) merged.best_over = said->best_over;
  if (said && said->best_by.text) merged.best_by = said->best_by;
  if (said && said->average_over.count) merged.average_over = said->average_over;
  if (said && said->by) merged.by = said->by;
  return merged;
}

const struct spec_fit *fit_entry_find(const struct spec *spec, const char *named, const char *law,
                                      struct error *error) {
  struct text list = {0};
  const struct spec_fit *found = !named && spec->fit_count == 1 ? &spec->fits[0] : NULL;
  for (size_t i = 0; i < spec->fit_count && !found; i++) {
    const struct spec_fit *entry = &spec->fits[i];
    bool wanted = named ? strcmp(entry->name, named) == 0
                        : law && (strcmp(entry->law, law) == 0 || strcmp(entry->name, law) == 0);
    if (wanted) found = entry;
    text_format(&list, "%s%s", i ? ", " : "", entry->name);
  }
  if (!found && named)
    error_set(error, EXIT_USAGE_ERROR, "%s has no fit entry '%s'; it has: %s", spec->path, named,
              list.length ? text_string(&list) : "none");
  else if (!found && spec->fit_count)
    error_set(error, EXIT_USAGE_ERROR, "%s has several fit entries (%s); name one: %s:%s", spec->path,
              text_string(&list), spec->path, spec->fits[0].name);
  else if (!found)
    error_set(error, EXIT_USAGE_ERROR, "%s has no fit entries; name a law with --law", spec->path);
  text_free(&list);
  return found;
}

static void take_list(const struct option_list *list, const char *const **items, size_t *count) {
  if (*count) return;
  *items = (const char *const *)list->items;
  *count = list->count;
}

struct fit_options fit_entry_options(const struct spec_fit *entry, const struct fit_options *overrides) {
  struct fit_options options = {.bootstrap = -1};
  if (overrides) options = *overrides;
  options.name = entry->name;
  options.where = NULL;  // the table has only the rows wanted
  if (!options.by) options.by = entry->by;
  if (!options.holdout) options.holdout = entry->holdout.text;
  if (!options.objective) options.objective = entry->objective;
  if (!options.residual) options.residual = entry->residual;
  if (options.bootstrap < 0) options.bootstrap = (int)entry->bootstrap;
  if (options.interval == INTERVAL_BY_DEFAULT && entry->interval)
    interval_parse(entry->interval, &options.interval, &(struct error){0});  // checked where it was read
  if (!options.profile_count && !options.profile_all) {
    options.profiles = (const char *const *)entry->profile.items;
    options.profile_count = entry->profile.count;
    for (size_t i = 0; i < options.profile_count; i++) options.profile_all |= strcmp(options.profiles[i], "all") == 0;
    if (options.profile_all) options.profile_count = 0;
  }
  take_list(&entry->leave_out, &options.leave_out, &options.leave_out_count);
  take_list(&entry->score, &options.scores, &options.score_count);
  take_list(&entry->contour, &options.contours, &options.contour_count);
  take_list(&entry->ratio, &options.ratios, &options.ratio_count);
  take_list(&entry->tie, &options.ties, &options.tie_count);
  take_list(&entry->low, &options.lows, &options.low_count);
  take_list(&entry->high, &options.highs, &options.high_count);
  take_list(&entry->prior, &options.priors, &options.prior_count);
  take_list(&entry->partial_pooling, &options.pooled, &options.pooled_count);
  options.global_check |= entry->global_check;
  if (!options.parameter_count) options.parameter_count = entry->parameter_count;
  return options;
}

// True when the fitted rows have several values of a category column.
static bool differ(const struct table *table, const struct fit_result *result, const char *name) {
  int column = table_find(table, name), first = -1;
  if (column < 0 || table->columns[column].kind != COLUMN_CATEGORY) return false;
  for (size_t i = 0; i < result->table_count; i++) {
    int code = table->columns[column].codes[result->table[i].place];
    if (result->table[i].use != ROW_FITTED || code < 0) continue;
    if (first >= 0 && code != first) return true;
    first = code;
  }
  return false;
}

static void warn_of(const struct table *table, struct fit_result *result, const char *name) {
  if (differ(table, result, name))
    fit_result_warn(result, "the runs differ in %s: their losses may differ for that reason (where: narrows the fit)",
                    name);
}

// One fit over runs of different arithmetic compares more than N and D.
void warn_of_mixture(const struct table *table, struct fit_result *result) {
  for (size_t i = 0; i < run_column_count; i++)
    if (run_columns[i].mixed) warn_of(table, result, run_columns[i].name);
  // A field and its resolved value are one difference.
  if (!differ(table, result, "dtype")) warn_of(table, result, "model.dtype");
}
