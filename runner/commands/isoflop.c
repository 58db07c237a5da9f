// isoloss isoflop: compute-optimal sizes without a law of loss, from a spec's runs or anybody's table.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/fits/input.h"
#include "runner/fits/internal.h"
#include "runner/fits/isoflop_runs.h"

struct isoflop_arguments {
  struct spec_isoflop entry;  // what an entry of a spec says by its keys
  struct spec_choices choices;
  const char *map, *budgets, *curve, *plot;
  double tolerance, confidence;
  int64_t seed;
  bool json, keep_duplicates;
  const struct option_given *given;
  size_t given_count;
};

static bool is_given(const struct isoflop_arguments *a, const char *option) {
  for (size_t i = 0; i < a->given_count; i++)
    if (strcmp(a->given[i].option + 2, option) == 0) return true;
  return false;
}

// ---- options ----

// "1e16,2e16" or "1e16:2.56e19:12" (so many, evenly in the logarithm).
static bool read_budgets(const char *text, struct arena *arena, double **budgets, size_t *count, struct error *error) {
  bool range = strchr(text, ':') != NULL;
  size_t items;
  const char **names = text_split(arena, text, range ? ":" : ", ", &items);
  double *numbers = arena_array(arena, items, sizeof *numbers);
  bool fine = items > 0;
  for (size_t i = 0; i < items && fine; i++)
    fine = number_parse(names[i], &numbers[i]) && numbers[i] > 0 && isfinite(numbers[i]);
  *budgets = numbers;
  *count = items;
  if (range && fine) {
    fine = items == 3 && numbers[2] >= 2 && numbers[2] <= 1000 && numbers[2] == floor(numbers[2]) &&
           numbers[1] > numbers[0];
    *count = fine ? (size_t)numbers[2] : 0;
    *budgets = arena_array(arena, *count, sizeof **budgets);
    for (size_t i = 0; i < *count; i++)
      (*budgets)[i] = numbers[0] * pow(numbers[1] / numbers[0], (double)i / (numbers[2] - 1));
  }
  if (!fine)
    return error_set(error, EXIT_USAGE_ERROR,
                     "isoflop: --budgets %s is neither a list of FLOPs (1e16,2e16) nor LOW:HIGH:COUNT "
                     "(1e16:2.56e19:12)",
                     text);
  for (size_t i = 1; i < *count; i++)
    if ((*budgets)[i] <= (*budgets)[i - 1])
      return error_set(error, EXIT_USAGE_ERROR, "isoflop: --budgets must rise: %s", text);
  return true;
}

static bool read_options(const struct isoflop_arguments *a, struct arena *arena, struct isoflop_noise *noise,
                         struct isoflop_options *options, struct error *error) {
  const struct spec_isoflop *entry = &a->entry;
  if (!isoflop_entry_options(entry, noise, options, error)) return error_context(error, "isoflop");
  options->curve = a->curve;
  options->tolerance = a->tolerance;
  options->confidence = a->confidence;
  options->seed = (uint64_t)a->seed;
  if (entry->copies < -1 || entry->copies > 100000)
    return error_set(error, EXIT_USAGE_ERROR, "isoflop: --copies takes 0 to 100000 copies");
  if (!(a->tolerance > 0 && a->tolerance < 1))
    return error_set(error, EXIT_USAGE_ERROR, "isoflop: --tolerance lies between 0 and 1 (0.1)");
  if (entry->window && !(entry->window > 1))
    return error_set(error, EXIT_USAGE_ERROR, "isoflop: --window is a factor above 1 (6), or 0 for all sizes");
  if (!(a->confidence > 0 && a->confidence < 1))
    return error_set(error, EXIT_USAGE_ERROR, "isoflop: --confidence lies between 0 and 1 (0.95)");
  if (entry->budget && a->budgets)
    return error_set(error, EXIT_USAGE_ERROR, "isoflop: give --budget COLUMN or --budgets LIST, not both");
  double *budgets;
  if (!a->budgets) return true;
  if (!read_budgets(a->budgets, arena, &budgets, &options->budget_count, error)) return false;
  options->budgets = budgets;
  return true;
}

// ---- where the numbers come from ----

// The spec's entry, but for what options say; --where narrows its rows further. Of several entries that of --method.
static struct spec_isoflop entry_of_spec(const struct spec *spec, const struct isoflop_arguments *a) {
  const struct spec_isoflop *found = spec->isoflop_count == 1 ? &spec->isoflops[0] : NULL, *own = &a->entry;
  for (size_t i = 0; i < spec->isoflop_count && !found; i++)
    if (strcmp(spec->isoflops[i].minimum, own->minimum) == 0) found = &spec->isoflops[i];
  if (!found) return *own;
  struct spec_isoflop merged = *found;
  if (is_given(a, "method")) merged.minimum = own->minimum;
  if (is_given(a, "budget") || a->budgets) merged.budget = own->budget;
  if (is_given(a, "noise")) merged.noise = own->noise;
  if (is_given(a, "window")) merged.window = own->window;
  if (is_given(a, "copies")) merged.copies = own->copies;
  if (is_given(a, "pin")) merged.pin = own->pin;
  if (is_given(a, "average")) merged.average = own->average;
  if (is_given(a, "parameter-count")) merged.parameter_count = own->parameter_count;
  return merged;
}

static bool solve_spec(const char *path, const struct isoflop_arguments *a, struct isoflop *result,
                       struct error *error) {
  if (a->map || a->curve || a->keep_duplicates)
    return error_set(error, EXIT_USAGE_ERROR,
                     "isoflop: --map, --curve and --keep-duplicates are for tables; a spec's runs have the store's "
                     "names, their curves are known, and none is there twice");
  struct spec spec;
  struct arena arena = {0};
  struct store *store = NULL;
  struct standing standing = {0};
  struct isoflop_arguments merged = *a;
  struct isoflop_options options;
  struct isoflop_noise noise;
  bool fine = spec_open(&spec, path, &a->choices, error);
  if (fine) merged.entry = entry_of_spec(&spec, a);
  const char *where = fine && merged.entry.node ? a->entry.where.text : NULL;
  fine = fine && read_options(&merged, &arena, &noise, &options, error);
  if (fine && a->plot && options.method == ISOFLOP_ENVELOPE)
    fine = error_set(error, EXIT_USAGE_ERROR, "isoflop: --plot draws budgets, and the envelope has none");
  if (fine && !store_exists_home())
    fine = error_set(error, EXIT_USAGE_ERROR, "nothing has run yet (isoloss run %s)", spec.call);
  fine = fine && (store = store_open_home(STORE_READ, error)) != NULL &&
         standing_find(&spec, store, &arena, &standing, error) &&
         isoflop_of_runs(&spec, &merged.entry, where, store, &options, result, error);
  const char *const texts[] = {fine ? standing_pending(&spec, &standing, &arena) : NULL,
                               fine ? standing_left_out(&spec, &standing, &arena) : NULL};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i]) isoflop_warn(result, "%s", texts[i]);
  arena_free(&arena);
  store_close(store);
  spec_free(&spec);
  return fine;
}

static void isoflop(const struct isoflop_arguments *a, const char *source, struct arena *arena, struct error *error) {
  struct isoflop_options options;
  struct isoflop_noise noise;
  struct isoflop result = {0};
  bool spec;
  bool fine = source_find(source, &spec, error) && read_options(a, arena, &noise, &options, error);
  if (fine && !spec && a->choices.preset)
    fine = error_set(error, EXIT_USAGE_ERROR, "isoflop: --preset is for specs; %s is a table", source);
  if (fine && a->plot && options.method == ISOFLOP_ENVELOPE)
    fine = error_set(error, EXIT_USAGE_ERROR, "isoflop: --plot draws budgets, and the envelope has none");
  fine =
      fine && (spec ? solve_spec(source, a, &result, error)
                    : isoflop_of_table(&(struct isoflop_table){source, a->map, a->entry.where.text, a->keep_duplicates},
                                       &options, &result, error));
  if (fine && a->json) {
    struct text json = {0};
    struct json_writer writer = json_writer(&json, false);
    isoflop_json(&result, &writer);
    printf("%s\n", text_string(&json));
    text_free(&json);
  } else if (fine) {
    isoflop_print(&result, stdout);
  }
  if (fine && a->plot) isoflop_draw(&result, a->plot, error);
  isoflop_free(&result);
}

void command_isoflop(struct command_line *line) {
  struct isoflop_arguments a = {.tolerance = 0.1, .confidence = 0.95};
  struct option options[32];
  entry_default(&isoflop_entry, &a.entry);
  a.entry.name = "isoflop";
  size_t count = entry_options(&isoflop_entry, OF_ISOFLOP, &a.entry, options);
  const struct option own[] = {
      {"map", 0, OPTION_TEXT, &a.map, "LIST", "columns by other names: parameters=N_total,tokens=D_seen"},
      {"budgets", 0, OPTION_TEXT, &a.budgets, "LIST", "the budgets: 1e16,2e16 or LOW:HIGH:COUNT"},
      {"tolerance", 0, OPTION_NUMBER, &a.tolerance, "T", "rows within this share of FLOPs are one budget (0.1)"},
      {"curve", 0, OPTION_TEXT, &a.curve, "COLUMN", "rows of equal COLUMN are points of one training"},
      {"keep-duplicates", 0, OPTION_FLAG, &a.keep_duplicates, NULL,
       "count rows that repeat others as often as they come"},
      {"confidence", 0, OPTION_NUMBER, &a.confidence, "P", "of the intervals (0.95)"},
      {"seed", 's', OPTION_INTEGER, &a.seed, "N", "of the noise"},
      {"preset", 0, OPTION_TEXT, &a.choices.preset, "NAME", "of a spec: with what this preset changes"},
      {"plot", 0, OPTION_TEXT, &a.plot, "FOLDER", "draw the curves and the optima there (SVG)"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"},
      {0}};
  memcpy(options + count, own, sizeof own);
  const struct command_usage usage = {
      "isoloss isoflop SPEC.yaml|TABLE.csv [--method NAME] [--budget COLUMN] [options]",
      "For every FLOP budget the size and token count of lowest loss, with intervals under seed noise; then power laws of\n"
      "these optima in compute. Budgets whose minimum lies at the smallest or largest size are rejected, and listed.\n"
      "parabola: loss as a parabola in ln N (Hoffmann et al., approach 2); akima: Akima's interpolation of ln loss over\n"
      "ln N (Porian et al.); envelope: the lowest of all training curves at 1500 FLOP values (approach 1).\n"
      "On the law chinchilla, fitted to the same rows, each method is tried without noise on the same sizes and budgets: its\n"
      "bias there is said, and exponents without it.\n"
      "An entry \"method: isoflop\" in a spec's fit list does the same in isoloss fit and in the report; of such a spec its\n"
      "entry is taken here too, but for what options say, and --where narrows its runs further.",
      1, 1, "one spec (.yaml) or one table (.csv)"};
  if (!command_begin(line, &usage, options)) return;
  a.given = line->given;
  a.given_count = line->given_count;
  isoflop(&a, line->arguments[0], &line->arena, &line->error);
}
