// See arguments.h.
#include "runner/fits/arguments.h"

#include <math.h>
#include <string.h>

#include "runner/fits/internal.h"

static enum option_type option_type_of(const struct entry_key *key) {
  if (entry_key_is_list(key)) return OPTION_LIST;
  switch (key->type) {
    case ENTRY_INTEGER:
      return OPTION_INTEGER;
    case ENTRY_FACTOR:
      return OPTION_NUMBER;
    case ENTRY_BOOLEAN:
      return OPTION_FLAG;
    default:
      return OPTION_TEXT;  // of a condition: its first member
  }
}

size_t entry_options(const struct entry_kind *kind, enum entry_command command, void *entry, struct option *options) {
  size_t count = 0;
  for (size_t k = 0; k < kind->count; k++) {
    const struct entry_key *key = &kind->keys[k];
    if (!key->option.name || !(key->option.commands & command)) continue;
    options[count++] = (struct option){key->option.name,
                                       key->option.letter,
                                       option_type_of(key),
                                       (char *)entry + key->place,
                                       key->option.argument,
                                       key->option.help,
                                       key->option.choices ? key->option.choices : key->choices};
  }
  return count;
}

size_t fit_arguments_options(struct fit_arguments *a, enum entry_command command, struct option *options) {
  const struct option own[] = {
      {"map", 'm', OPTION_TEXT, &a->map, "LIST",
       "columns by other names, or computed: parameters=N_total,tokens=D_billions*1e9"},
      {"pool", 0, OPTION_LIST, &a->pools, "SOURCE", "rows of another table too, distinguished by a column 'pool'"},
      {"curves", 0, OPTION_TEXT, &a->curves, "KIND",
       "of a spec, with a law of loss curves: points of its runs' evaluations (eval) or of training (train)",
       (const char *const[]){"eval", "train", NULL}},
      {"schedules", 0, OPTION_TEXT, &a->schedules, "FILE",
       "of a law of loss curves: the runs' learning rates, in columns run and schedule, or run, step and lr"},
      {"curve-points", 0, OPTION_INTEGER, &a->points, "N",
       "of a law of loss curves: of each run at most (default 100)"},
      {"keep-duplicates", 0, OPTION_FLAG, &a->keep_duplicates, NULL,
       "count rows that repeat others as often as they come"},
      {"weight", 0, OPTION_TEXT, &a->weight, "EXPR", "weight of a row in the objective: \"1 / std ^ 2\""},
      {"std", 0, OPTION_TEXT, &a->std, "EXPR",
       "standard deviation of a row's target, which its residual is divided by"},
      {"group", 0, OPTION_TEXT, &a->group, "COLUMN", "resample rows of equal COLUMN together (points of one run)"},
      {"fix", 0, OPTION_LIST, &a->fixes, "NAME=VALUE", "hold a parameter: E=1.69 (may be given several times)"},
      {"free", 0, OPTION_LIST, &a->frees, "NAME", "fit a parameter that the law fixes"},
      {"baseline", 0, OPTION_LIST, &a->baselines, "COLUMN=CATEGORY", "the category that others are relative to"},
      {"confidence", 0, OPTION_NUMBER, &a->confidence, "P", "of the intervals (default 0.95)"},
      {"seed", 's', OPTION_INTEGER, &a->seed, "N", "of resamples and random starts"},
      {"starts", 0, OPTION_INTEGER, &a->starts, "N", "at most this many starts (default: the law's grid, up to 5000)"},
      {"set", 0, OPTION_LIST, &a->choices.set, "PATH=VALUE",
       "of a spec: give a field of base another value, as run --set does"},
      {"preset", 0, OPTION_TEXT, &a->choices.preset, "NAME", "of a spec: with what this preset changes"},
      {"threads", 'j', OPTION_INTEGER, &a->threads, "N", "threads (default: all cores); the result is the same"}};
  *a = (struct fit_arguments){0};
  entry_clear(&fit_entry, &a->entry);
  size_t count = entry_options(&fit_entry, command, &a->entry, options);
  memcpy(options + count, own, sizeof own);
  return count + sizeof own / sizeof *own;
}

// What an option gave as "a,b", once or several times, becomes a, b.
static void split_lists(struct spec_fit *entry, struct arena *arena) {
  for (const struct entry_key *key = fit_entry.keys; key < fit_entry.keys + fit_entry.count; key++) {
    struct option_list *list = (struct option_list *)((char *)entry + key->place);
    struct text all = {0};
    if (!entry_key_is_list(key) || key->type == ENTRY_TEXTS) continue;
    for (size_t i = 0; i < list->count; i++) text_format(&all, "%s,", list->items[i]);
    if (all.length) list->items = text_split(arena, text_string(&all), ", ", &list->count);
    text_free(&all);
  }
}

// ---- fix NAME=VALUE, --free NAME, --baseline COLUMN=CATEGORY ----
static bool read_settings(const char *name, const struct fit_arguments *arguments, struct arena *arena,
                          struct fit_options *options, struct error *error) {
  struct fit_fix *fixes = arena_array(arena, arguments->fixes.count + arguments->frees.count + 1, sizeof *fixes);
  struct fit_baseline *baselines = arena_array(arena, arguments->baselines.count + 1, sizeof *baselines);
  for (size_t i = 0; i < arguments->fixes.count; i++) {
    const char *text = arguments->fixes.items[i], *equals = strrchr(text, '=');
    double value;
    if (!equals || equals == text || !number_parse(equals + 1, &value) || !isfinite(value))
      return error_set(error, EXIT_USAGE_ERROR, "%s: --fix %s is not of the form NAME=NUMBER", name, text);
    fixes[options->fix_count++] = (struct fit_fix){arena_copy(arena, text, (size_t)(equals - text)), value};
  }
  for (size_t i = 0; i < arguments->frees.count; i++)
    fixes[options->fix_count++] = (struct fit_fix){arguments->frees.items[i], NAN};
  for (size_t i = 0; i < arguments->baselines.count; i++) {
    const char *text = arguments->baselines.items[i], *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
      return error_set(error, EXIT_USAGE_ERROR, "%s: --baseline %s is not of the form COLUMN=CATEGORY", name, text);
    baselines[options->baseline_count++] =
        (struct fit_baseline){arena_copy(arena, text, (size_t)(equals - text)), equals + 1};
  }
  options->fixes = fixes;
  options->baselines = baselines;
  return true;
}

bool fit_arguments_read(const char *name, struct fit_arguments *arguments, struct arena *arena,
                        struct fit_options *options, struct error *error) {
  const struct spec_fit *entry = &arguments->entry;
  if (entry->bootstrap < -1 || entry->bootstrap > 1000000)
    return error_set(error, EXIT_USAGE_ERROR, "%s: --bootstrap takes 0 to 1000000 resamples", name);
  if (arguments->threads < 0 || arguments->starts < 0 || arguments->starts > 10000000)
    return error_set(error, EXIT_USAGE_ERROR, "%s: --threads and --starts are not negative (at most 10000000 starts)",
                     name);
  if (arguments->confidence && !(arguments->confidence > 0 && arguments->confidence < 1))
    return error_set(error, EXIT_USAGE_ERROR, "%s: --confidence lies between 0 and 1 (0.95)", name);
  enum interval_kind interval;
  if (entry->interval && !interval_parse(entry->interval, &interval, error)) return error_context(error, "%s", name);
  split_lists(&arguments->entry, arena);
  const struct fit_options others = {.weight = arguments->weight,
                                     .std = arguments->std,
                                     .group = arguments->group,
                                     .bootstrap = -1,
                                     .confidence = arguments->confidence,
                                     .seed = (uint64_t)arguments->seed,
                                     .threads = (int)(arguments->threads > 256 ? 256 : arguments->threads),
                                     .starts = (int)arguments->starts};
  *options = fit_entry_options(entry, &others);
  options->where = entry->where.text;
  options->profile_all |= arguments->profile_all;
  return read_settings(name, arguments, arena, options, error);
}
