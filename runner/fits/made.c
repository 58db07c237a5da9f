// See made.h.
#include "runner/fits/made.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/version.h"

bool fit_option_matters(const char *option) {
  static const char *const shown[] = {"--json",         "--no-json", "--details", "--no-details", "--residuals",
                                      "--no-residuals", "--export",  "--output",  "--as",         "--threads",
                                      "--again",        "--figures", "--open"};
  for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
    if (strcmp(option, shown[i]) == 0) return false;
  return true;
}

// The options that matter, behind the source.
static void put_arguments(struct fit_made *made, struct arena *arena, const struct fit_source *source) {
  size_t given = source->arguments ? source->arguments->given_count : 0;
  made->arguments = arena_array(arena, 2 * given + 1, sizeof *made->arguments);
  made->arguments[made->argument_count++] = arena_string(arena, source->source);
  for (size_t i = 0; i < given; i++) {
    const struct option_given *word = &source->arguments->given[i];
    if (!fit_option_matters(word->option)) continue;
    made->arguments[made->argument_count++] = arena_string(arena, word->option);
    if (word->value) made->arguments[made->argument_count++] = arena_string(arena, word->value);
  }
  made->command = command_for_shell(arena, "isoloss fit", made->arguments, made->argument_count);
}

// ---- settings ----

static void put(struct fit_made *made, struct arena *arena, const char *name, const char *value) {
  if (!value || !*value) return;
  made->settings[made->setting_count++] = (struct fit_setting){name, arena_string(arena, value)};
}

static const char *joined(struct arena *arena, const struct option_list *list) {
  const char *text = "";
  for (size_t i = 0; i < list->count; i++)
    text = arena_format(arena, "%s%s%s", text, *text ? ", " : "", list->items[i]);
  return text;
}

static const char *number(struct arena *arena, double value) {
  char digits[32];
  number_shortest(value, digits);
  return arena_string(arena, digits);
}

// The value of a key as text; NULL where it is not given.
static const char *key_text(struct arena *arena, const struct entry_key *key, const struct spec_fit *entry) {
  const void *member = (const char *)entry + key->place;
  if (entry_key_is_list(key)) return joined(arena, member);
  switch (key->type) {
    case ENTRY_INTEGER:
      return *(const int64_t *)member < 0 ? NULL : number(arena, (double)*(const int64_t *)member);
    case ENTRY_FACTOR:
      return *(const double *)member > 0 ? number(arena, *(const double *)member) : NULL;
    case ENTRY_BOOLEAN:
      return *(const bool *)member ? "true" : NULL;
    case ENTRY_CONDITION:
      return ((const struct spec_condition *)member)->text;
    default:
      return *(const char *const *)member;
  }
}

// What the fit settled on takes the place of what was asked for.
static const char *settled(struct arena *arena, const char *key, const struct fit_result *result) {
  char objective[OBJECTIVE_TEXT];
  objective_text(result->objective_kind, objective);
  if (strcmp(key, "law") == 0) return result->law;
  if (strcmp(key, "objective") == 0) return arena_string(arena, objective);
  if (strcmp(key, "residual") == 0) return result->residual == RESIDUAL_LOG ? "log" : "plain";
  if (strcmp(key, "bootstrap") == 0) return number(arena, result->bootstrap);
  return strcmp(key, "interval") == 0 ? interval_kind_name(result->interval) : NULL;
}

static void put_fixes(struct fit_made *made, struct arena *arena, const struct fit_options *options) {
  const char *held = "", *freed = "", *pinned = "";
  for (size_t i = 0; i < options->fix_count; i++) {
    const struct fit_fix *fix = &options->fixes[i];
    const char **list = isnan(fix->value) ? &freed : &held, *comma = **list ? ", " : "";
    *list = isnan(fix->value) ? arena_format(arena, "%s%s%s", *list, comma, fix->name)
                              : arena_format(arena, "%s%s%s=%s", *list, comma, fix->name, number(arena, fix->value));
  }
  for (size_t i = 0; i < options->baseline_count; i++)
    pinned = arena_format(arena, "%s%s%s=%s", pinned, *pinned ? ", " : "", options->baselines[i].column,
                          options->baselines[i].category);
  put(made, arena, "fix", held);
  put(made, arena, "free", freed);
  put(made, arena, "baseline", pinned);
}

void fit_made_fill(struct fit_result *result, const struct fit_options *options, const struct fit_source *source) {
  struct arena *arena = &result->arena;
  struct fit_made *made = &result->made;
  const struct fit_arguments *arguments = source->arguments;
  *made = (struct fit_made){.version = ISOLOSS_VERSION};
  put_arguments(made, arena, source);
  made->data = arena_array(arena, source->data_count + 1, sizeof *made->data);
  for (size_t i = 0; i < source->data_count; i++)
    made->data[made->data_count++] = (struct fit_data){.name = arena_string(arena, source->data[i].name),
                                                       .digest = arena_string(arena, source->data[i].digest),
                                                       .rows = source->data[i].rows};
  struct spec_fit entry = *source->entry;
  const char *own = entry.where.text, *said = arguments ? arguments->entry.where.text : NULL;
  if (own && said && source->entry != &arguments->entry)
    entry.where.text = arena_format(arena, "(%s) and (%s)", own, said);
  else if (said)
    entry.where.text = said;
  made->settings = arena_array(arena, fit_entry.count + 16, sizeof *made->settings);
  for (const struct entry_key *key = fit_entry.keys; key < fit_entry.keys + fit_entry.count; key++) {
    const char *settles = settled(arena, key->name, result);
    if (strcmp(key->name, "best_by") == 0 && entry.best_over.count && !entry.best_by.text) settles = "loss";
    if (strcmp(key->name, "name") != 0) put(made, arena, key->name, settles ? settles : key_text(arena, key, &entry));
  }
  if (arguments) {
    put(made, arena, "map", arguments->map);
    put(made, arena, "pool", joined(arena, &arguments->pools));
    put(made, arena, "set", joined(arena, &arguments->choices.set));
    put(made, arena, "preset", arguments->choices.preset);
    put(made, arena, "duplicates", arguments->keep_duplicates ? "kept" : "counted once");
  }
  put(made, arena, "weight", options->weight);
  put(made, arena, "std", options->std);
  put(made, arena, "group", result->grouped_by ? result->grouped_by : "none");
  put_fixes(made, arena, options);
  put(made, arena, "starts", number(arena, (double)result->starts));
  put(made, arena, "confidence", number(arena, result->confidence));
  put(made, arena, "seed", arena_format(arena, "%llu", (unsigned long long)options->seed));
}

struct digest table_digest_of(const struct table *table, const char *const *columns, size_t count) {
  struct hasher *hasher = hasher_new();
  for (size_t row = 0; row < table->row_count; row++) {
    hasher_add(hasher, table->row_names[row], strlen(table->row_names[row]) + 1);
    for (size_t i = 0; i < count; i++) {
      int column = table_find(table, columns[i]);
      if (column < 0) continue;
      struct value value = table_value(table, (size_t)column, row);
      char digits[32] = "";
      if (value.kind == VALUE_NUMBER) number_shortest(value.number, digits);
      const char *cell = value.kind == VALUE_TEXT ? value.text : digits;
      hasher_add(hasher, cell, strlen(cell) + 1);
    }
  }
  return hasher_end(hasher);
}

bool fit_made_compare(const struct fit_made *expected, const struct fit_made *made, struct error *error) {
  for (size_t i = 0; i < expected->data_count; i++) {
    const char *now = i < made->data_count ? made->data[i].digest : "none";
    if (strcmp(expected->data[i].digest, now) != 0)
      return error_set(error, EXIT_ENVIRONMENT,
                       "%s has changed since the document was made (digest %s then, %s now): the fit would be another",
                       expected->data[i].name, expected->data[i].digest, now);
  }
  if (strcmp(expected->version, made->version) != 0)
    fprintf(stderr, "isoloss: the document is of version %s, this is %s: numbers may differ\n", expected->version,
            made->version);
  return true;
}
