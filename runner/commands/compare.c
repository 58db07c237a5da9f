// isoloss compare: two groups of runs, paired on what they share.
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"
#include "runner/commands.h"
#include "runner/fits/paired.h"
#include "runner/report/data.h"
#include "runner/spec/spec.h"

struct pairing_options {
  struct option_list wheres, ignored;
  const char *match, *along, *measure, *figure;
  bool json;
};

static bool choose(const char *option, const char *given, const char *const *names, int *chosen, struct error *error) {
  size_t count = 0;
  for (; names[count]; count++)
    if (strcmp(names[count], given) == 0) {
      *chosen = (int)count;
      return true;
    }
  error_set(error, EXIT_USAGE_ERROR, "compare: %s cannot be '%s'", option, given);
  return error_hint(error, nearest_name(given, names, count), NULL);
}

static bool read_match(const struct pairing_options *a, struct paired_request *request, struct error *error) {
  int match = -1, along = 0, measure = MATCH_FLOPS - 1;
  if (!a->match && (a->along || a->measure))
    return error_set(error, EXIT_USAGE_ERROR, "compare: --match-along and --measure need --match-on");
  if (a->match && !choose("--match-on", a->match, paired_match_names + 1, &match, error)) return false;
  if (a->along && !choose("--match-along", a->along, paired_along_names, &along, error)) return false;
  if (a->measure && !choose("--measure", a->measure, paired_match_names + 1, &measure, error)) return false;
  if (a->measure && (match + 1 != MATCH_LOSS || measure + 1 == MATCH_LOSS))
    return error_set(error, EXIT_USAGE_ERROR,
                     "compare: --measure says what is compared at matched loss: flops, tokens or train_seconds");
  request->match = (enum paired_match)(match + 1);
  request->along = (enum paired_along)along;
  request->measure = (enum paired_match)(measure + 1);
  return true;
}

static bool read_groups(const struct command_line *line, const struct pairing_options *a,
                        struct paired_request *request, struct error *error) {
  if (a->wheres.count > 2) return error_set(error, EXIT_USAGE_ERROR, "compare: --where at most twice: of A and of B");
  if (line->count < 2 && a->wheres.count < 2)
    return error_set(error, EXIT_USAGE_ERROR,
                     "compare: give two experiments, or --where twice, for A and for B (isoloss compare --help says "
                     "more)");
  for (int g = 0; g < 2; g++) {
    size_t last = a->wheres.count ? a->wheres.count - 1 : 0;
    request->experiments[g] = line->count ? line->arguments[line->count == 2 ? g : 0] : NULL;
    request->wheres[g] = a->wheres.count ? a->wheres.items[(size_t)g < last ? (size_t)g : last] : NULL;
  }
  request->ignored = a->ignored.items;
  request->ignored_count = a->ignored.count;
  return true;
}

// ---- the comparisons of a spec ----

static void put_one(const struct spec_comparison *comparison, const struct paired *paired, const struct error *trouble,
                    struct json_writer *json) {
  json_object_begin(json);
  json_key_string(json, "name", comparison->name);
  json_key_string(json, "trouble", trouble->code ? trouble->text : NULL);
  json_key(json, "comparison");
  if (trouble->code)
    json_put_null(json);
  else
    paired_json(paired, json);
  json_object_end(json);
}

static bool compare_one(const struct spec *spec, size_t i, struct store *store, const struct pairing_options *a,
                        struct json_writer *json, struct error *error) {
  const struct spec_comparison *comparison = &spec->comparisons[i];
  struct paired_request request = paired_request_of(comparison, spec->name);
  struct paired paired = {0};
  struct arena arena = {0};
  struct error trouble = {0};
  bool fine = paired_find(&paired, store, &request, &trouble);
  if (a->json) {
    put_one(comparison, &paired, &trouble, json);
  } else {
    printf("%s== %s ==\n", i ? "\n" : "", visible(&arena, comparison->name));
    if (fine)
      paired_print(&paired, stdout);
    else
      printf("cannot be compared: %s\n", visible(&arena, trouble.text));
  }
  // The others are reported all the same; what hinders one is the command's error.
  if (!fine && !error->code) {
    struct diagnostics *told = error->told;
    *error = trouble;
    error->told = told;
    error_context(error, "%s", comparison->name);
  }
  if (fine && a->figure) {
    const char *name = arena_format(&arena, "compare-%s", report_file_stem(&arena, comparison->name));
    fine = paired_draw(&paired, name, a->figure, error->code ? &trouble : error);
  }
  paired_free(&paired);
  arena_free(&arena);
  return fine;
}

static void compare_of_spec(const char *named, const struct pairing_options *a, struct error *error) {
  struct spec spec = {0};
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  if (a->match || a->along || a->measure || a->ignored.count) {
    error_set(error, EXIT_USAGE_ERROR,
              "compare: of a spec's comparisons the spec says how they are made (docs/spec.md)");
    return;
  }
  struct store *store = spec_open(&spec, named, NULL, error) ? store_open_home(STORE_READ, error) : NULL;
  if (store && !spec.comparison_count)
    error_set(error, EXIT_USAGE_ERROR,
              "compare: %s has no comparisons; give two experiments, or --where twice, for A and for B", spec.call);
  json_object_begin(&json);
  json_key(&json, "comparisons");
  json_array_begin(&json);
  for (size_t i = 0; store && i < spec.comparison_count; i++) compare_one(&spec, i, store, a, &json, error);
  json_array_end(&json);
  json_object_end(&json);
  if (a->json && store && spec.comparison_count) {
    text_char(&text, '\n');
    fputs(text_string(&text), stdout);
    if (error->code) error->told = NULL;
  }
  text_free(&text);
  store_close(store);
  spec_free(&spec);
}

static void compare(const struct paired_request *request, const struct pairing_options *a, struct error *error) {
  struct paired paired = {0};
  struct store *store = store_open_home(STORE_READ, error);
  bool fine = store && paired_find(&paired, store, request, error);
  if (fine && a->json) {
    struct text text = {0};
    struct json_writer json = json_writer(&text, true);
    paired_json(&paired, &json);
    text_char(&text, '\n');
    fputs(text_string(&text), stdout);
    text_free(&text);
  } else if (fine) {
    paired_print(&paired, stdout);
  }
  if (fine && a->figure && !paired_draw(&paired, "compare", a->figure, error)) error->told = NULL;
  paired_free(&paired);
  store_close(store);
}

void command_compare(struct command_line *line) {
  struct pairing_options a = {0};
  const struct option options[] = {
      {"where", 'w', OPTION_LIST, &a.wheres, "EXPR", "runs for which this holds; given twice: of A, then of B"},
      {"ignore", 0, OPTION_LIST, &a.ignored, "SETTING", "do not pair on this setting, such as train.lr (repeatable)"},
      {"match-on", 0, OPTION_TEXT, &a.match, "loss|flops|tokens|train_seconds",
       "compare at the same loss or compute, in place of the runs' ends"},
      {"match-along", 0, OPTION_TEXT, &a.along, "curves|ladders",
       "between the evaluations of each run (default), or between the ends of a group's runs"},
      {"measure", 0, OPTION_TEXT, &a.measure, "flops|tokens|train_seconds",
       "what is compared at matched loss (default flops)"},
      {"figure", 'f', OPTION_TEXT, &a.figure, "FOLDER", "draw the differences as FOLDER/compare.svg"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON object, with all pairs"},
      {0}};
  const struct command_usage usage = {
      "isoloss compare A B [--where EXPR] [options] | [EXPERIMENT] --where EXPR --where EXPR [options] | SPEC",
      "Of a spec or an experiment alone: the comparisons that it lists.\n"
      "A and B are experiments of the store, or the runs of two conditions (those of isoloss runs). Runs are paired on all\n"
      "settings that both groups share, seeds included; settings of which the groups have no value in common are what is\n"
      "compared. Prints the differences of losses (or, with --match-on loss, of compute), their mean, its interval, a\n"
      "p-value, the noise of seeds, and what could not be paired. docs/running.md defines all of it.",
      0, 2, "two experiments, or one or none with two --where"};
  struct paired_request request = {0};
  if (!command_begin(line, &usage, options)) return;
  if (line->count == 1 && !a.wheres.count)
    compare_of_spec(line->arguments[0], &a, &line->error);
  else if (read_groups(line, &a, &request, &line->error) && read_match(&a, &request, &line->error))
    compare(&request, &a, &line->error);
}
