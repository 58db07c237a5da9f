// isoloss fit compare: laws against each other on the same rows.
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/fits/compare.h"
#include "runner/fits/input.h"
#include "runner/fits/table_parts.h"

static void show_progress(void *context, size_t done, size_t total) {
  (void)context;
  fprintf(stderr, "\rfit %zu of %zu ", done + 1, total);
  fflush(stderr);
}

struct compare_arguments {
  struct fit_arguments fit;
  struct option_list laws, maps;
  const char *by;  // column: the laws on the rows of each of its values by themselves
  int64_t folds;
  bool json;
};

// The rows of one value of the column, and where its comparison is written; no value: all rows.
struct part {
  const char *value;
  struct json_writer *writer;
};

// Puts what happened to the rows into the comparison.
static void tell(const struct fit_input *input, struct comparison *comparison) {
  comparison->duplicates = input->notes.duplicates;
  for (size_t i = 0; i < input->notes.warning_count; i++) comparison_warn(comparison, "%s", input->notes.warnings[i]);
}

// The laws by the columns of one --map, or by none: a table of their own.
struct mapping {
  struct fit_arguments arguments;
  struct fit_input input;
};

// What is compared: every law with every mapping.
struct entrants {
  size_t count;
  struct law *laws;
  struct table **tables;
  const char **labels;
};

static bool read_mapping(const char *source, const struct compare_arguments *arguments,
                         const struct fit_options *options, const char *map, struct law *laws, struct mapping *mapping,
                         struct error *error) {
  mapping->arguments = arguments->fit;
  mapping->arguments.map = map;
  mapping->arguments.entry.law = arguments->laws.items[0];
  bool fine = fit_input_begin(&mapping->input, source, &mapping->arguments, options, error);
  for (size_t l = 0; l < arguments->laws.count && fine; l++) fine = law_open(&laws[l], arguments->laws.items[l], error);
  return fine && fit_input_read(&mapping->input, laws, arguments->laws.count, error);
}

static void put_comparison(const struct compare_arguments *arguments, const struct part *part,
                           const struct comparison *comparison) {
  if (!arguments->json) {
    if (part->value) printf("%s = %s: ", arguments->by, part->value);
    comparison_print(comparison, stdout);
    return;
  }
  if (part->value) {
    json_object_begin(part->writer);
    json_key_string(part->writer, "column", arguments->by);
    json_key_string(part->writer, "value", part->value);
    json_key(part->writer, "comparison");
  }
  comparison_json(comparison, part->writer);
  if (part->value) json_object_end(part->writer);
}

static bool compare_entrants(const struct compare_arguments *arguments, const struct fit_options *options,
                             const struct fit_input *input, const struct entrants *entrants, const struct part *part,
                             struct error *error) {
  struct comparison comparison = {0};
  bool live = isatty(STDERR_FILENO) && !arguments->json;
  struct compare_options compare_options = {.fit = input->options,
                                            .folds = (int)arguments->folds,
                                            .tables = entrants->tables,
                                            .labels = entrants->labels,
                                            .progress = live ? show_progress : NULL};
  if (input->has_spec) {  // every law on one scale: the first one's, unless the command line says otherwise
    compare_options.fit.objective = options->objective;
    compare_options.fit.residual = options->residual;
  }
  bool fine = laws_compare(entrants->laws, entrants->count, entrants->tables[0], &compare_options, &comparison, error);
  if (live) fprintf(stderr, "\r                        \r");
  if (fine) tell(input, &comparison);
  if (fine) put_comparison(arguments, part, &comparison);
  comparison_free(&comparison);
  return fine;
}

static bool compare_part(const char *source, const struct compare_arguments *arguments,
                         const struct fit_options *options, const struct part *part, struct arena *arena,
                         struct error *error) {
  size_t law_count = arguments->laws.count, map_count = arguments->maps.count ? arguments->maps.count : 1;
  struct mapping *mappings = arena_array(arena, map_count, sizeof *mappings);
  struct entrants entrants = {0};
  entrants.laws = arena_array(arena, map_count * law_count, sizeof *entrants.laws);
  entrants.tables = arena_array(arena, map_count * law_count, sizeof *entrants.tables);
  entrants.labels = arena_array(arena, map_count * law_count, sizeof *entrants.labels);
  bool fine = true;
  for (size_t m = 0; m < map_count && fine; m++) {
    const char *map = arguments->maps.count ? arguments->maps.items[m] : NULL;
    struct law *laws = entrants.laws + m * law_count;
    fine = read_mapping(source, arguments, options, map, laws, &mappings[m], error);
    if (fine && part->value) table_keep_part(&mappings[m].input.table, arguments->by, part->value);
    for (size_t l = 0; l < law_count && fine; l++, entrants.count++) {
      entrants.tables[entrants.count] = &mappings[m].input.table;
      entrants.labels[entrants.count] =
          map_count > 1 ? arena_format(arena, "%s with %s", laws[l].name, map) : laws[l].name;
    }
    if (!fine && map_count > 1) error_context(error, "--map %s", map);
  }
  fine = fine && compare_entrants(arguments, options, &mappings[0].input, &entrants, part, error);
  for (size_t l = 0; l < map_count * law_count; l++) law_free(&entrants.laws[l]);
  for (size_t m = 0; m < map_count; m++) fit_input_free(&mappings[m].input);
  return fine;
}

// The values of the column, by the first mapping.
static bool find_parts(const char *source, const struct compare_arguments *arguments, const struct fit_options *options,
                       struct arena *arena, struct table_parts *parts, struct error *error) {
  struct mapping first = {0};
  size_t count = arguments->laws.count;
  struct law *laws = arena_array(arena, count, sizeof *laws);
  const char *map = arguments->maps.count ? arguments->maps.items[0] : NULL;
  bool fine = read_mapping(source, arguments, options, map, laws, &first, error) &&
              table_parts_find(arena, &first.input.table, arguments->by, parts, error);
  for (size_t l = 0; l < count; l++) law_free(&laws[l]);
  fit_input_free(&first.input);
  return fine;
}

// Values whose rows cannot be compared are reported and left out; the first one's error where none can.
static bool compare_parts(const char *source, const struct compare_arguments *arguments,
                          const struct fit_options *options, struct json_writer *writer, struct arena *arena,
                          struct error *error) {
  struct table_parts parts = {0};
  struct error first = {0};
  size_t made = 0;
  if (!find_parts(source, arguments, options, arena, &parts, error)) return false;
  json_array_begin(writer);
  for (size_t i = 0; i < parts.count; i++) {
    struct error own = {0};
    if (made && !arguments->json) printf("\n");
    if (compare_part(source, arguments, options, &(struct part){parts.names[i], writer}, arena, &own)) {
      made++;
      continue;
    }
    fprintf(stderr, "isoloss: %s = %s is left out: %s\n", arguments->by, parts.names[i], own.text);
    if (!first.code) first = own;
  }
  json_array_end(writer);
  if (!made && parts.count) *error = first;
  if (!parts.count) error_set(error, EXIT_USAGE_ERROR, "fit compare: no row has a value of '%s'", arguments->by);
  return made > 0;
}

static void compare(const char *source, const struct compare_arguments *arguments, const struct fit_options *options,
                    struct arena *arena, struct error *error) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  bool fine = arguments->by ? compare_parts(source, arguments, options, &writer, arena, error)
                            : compare_part(source, arguments, options, &(struct part){NULL, &writer}, arena, error);
  if (fine && arguments->json) printf("%s\n", text_string(&text));
  text_free(&text);
}

static bool check(const struct compare_arguments *a, struct error *error) {
  if (a->laws.count < 2 && !(a->laws.count && a->maps.count > 1))
    return error_set(error, EXIT_USAGE_ERROR,
                     "fit compare: name at least two laws: --law chinchilla --law power-sum, or one law and two --map");
  return (a->folds >= 0 && a->folds <= 1000) ||
         error_set(error, EXIT_USAGE_ERROR, "fit compare: --folds takes 1 to 1000");
}

void command_fit_compare(struct command_line *line) {
  struct compare_arguments a = {0};
  struct option options[FIT_ARGUMENT_OPTIONS + 8] = {
      {"law", 'l', OPTION_LIST, &a.laws, "NAME", "a law; give it several times"},
      {"by", 0, OPTION_TEXT, &a.by, "COLUMN", "compare on the rows of each value of a column by themselves"},
      {"folds", 'k', OPTION_INTEGER, &a.folds, "K",
       "of the cross-validation (default 5; 1: none), whole groups (--group)"}};
  size_t count = 3 + fit_arguments_options(&a.fit, OF_COMPARE, options + 3);
  for (size_t i = 0; i < count; i++)  // several mappings are conventions to compare
    if (strcmp(options[i].name, "map") == 0) {
      options[i].type = OPTION_LIST;
      options[i].target = &a.maps;
      options[i].help = "columns by other names, or computed: parameters=N_total; given twice, both are compared";
    }
  a.fit.entry.bootstrap = 0;  // laws are compared without intervals unless they are asked for
  const struct option own[] = {{"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"}, {0}};
  memcpy(options + count, own, sizeof own);
  const struct command_usage usage = {
      "isoloss fit compare SPEC.yaml[:ENTRY]|TABLE.csv|IMPORT --law NAME --law NAME ... [options]",
      "Every law is fitted on the rows that all of them can use, on one residual and one objective (those of the first law,\n"
      "unless --residual and --objective say otherwise), and judged by AICc and by rows that it was not fitted to: those of\n"
      "--holdout, or every row once in --folds folds. A --fix applies to the laws that have the parameter.\n"
      "With several --map every law is fitted by the columns of each: the same rows under two conventions of N, say.",
      1, 1, "one spec, table or imported table"};
  struct fit_options fit_options;
  if (command_begin(line, &usage, options) && check(&a, &line->error) &&
      fit_arguments_read("fit compare", &a.fit, &line->arena, &fit_options, &line->error))
    compare(line->arguments[0], &a, &fit_options, &line->arena, &line->error);
}
