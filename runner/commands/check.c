// isoloss check: every mistake of a spec, with file, line and column.
#include <limits.h>

#include "plots/plots.h"
#include "runner/commands.h"
#include "runner/fits/category_check.h"
#include "runner/fits/claim_names.h"
#include "runner/fits/entry_check.h"
#include "runner/plan/kept_blocks.h"
#include "runner/plan/plan.h"
#include "runner/plan/prunings.h"

struct checked {
  const char *path;
  struct diagnostics diagnostics;
  struct error error;
  size_t runs, filtered, united, undecided;
  bool fine;
};

static void check_one(struct checked *checked, const struct spec_options *options) {
  struct spec spec;
  checked->fine = spec_load(&spec, checked->path, options, &checked->diagnostics, &checked->error);
  fit_entries_check(&spec, &checked->diagnostics);
  if (checked->fine && checked->diagnostics.errors)
    checked->fine = diagnostics_check(&checked->diagnostics, checked->path, &checked->error);
  if (checked->fine) {
    struct plan plan;
    checked->fine =
        plan_make(&plan, &spec, &(struct plan_options){.dtype = "float32"}, &checked->diagnostics, &checked->error);
    checked->runs = plan.count;
    checked->filtered = plan.filtered;
    checked->united = plan.united;
    checked->undecided = plan.undecided;
    categories_check(&spec, checked->fine ? &plan : NULL, &checked->diagnostics);
    claims_check(&spec, checked->fine ? &plan : NULL, &checked->diagnostics);
    struct arena arena = {0};
    const char *coarse = checked->fine ? plan_prunings_doubt(&plan, &arena) : NULL;
    if (coarse) diagnostics_add(&checked->diagnostics, true, checked->path, 0, 0, NULL, "%s", coarse);
    const char *no_blocks = checked->fine ? plan_kept_blocks_doubt(&plan, &arena) : NULL;
    if (no_blocks) diagnostics_add(&checked->diagnostics, true, checked->path, 0, 0, NULL, "%s", no_blocks);
    arena_free(&arena);
    plan_free(&plan);
  } else if (checked->diagnostics.errors) {
    plan_check(&spec, &checked->diagnostics);
  }
  if (checked->diagnostics.errors && checked->error.code != EXIT_ENVIRONMENT) {
    checked->error = (struct error){0};
    checked->fine = diagnostics_check(&checked->diagnostics, checked->path, &checked->error);
  }
  spec_free(&spec);
}

static void print_one(struct checked *checked, bool several) {
  diagnostics_print(&checked->diagnostics, stderr, colour_wanted(stderr));
  if (!checked->fine) {
    error_print("isoloss", &checked->error);
    return;
  }
  if (several) printf("%s: ", checked->path);
  printf("%zu run%s, ok", checked->runs, checked->runs == 1 ? "" : "s");
  if (checked->filtered) printf("; where leaves out %zu combinations", checked->filtered);
  if (checked->united) printf("; %zu combinations are runs that are there already", checked->united);
  if (checked->undecided)
    printf("; %zu could not be checked to the end before the corpus is prepared (isoloss plan does)",
           checked->undecided);
  printf("\n");
}

static void print_json(struct checked *list, int count) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_array_begin(&json);
  for (int i = 0; i < count; i++) {
    const struct checked *checked = &list[i];
    json_object_begin(&json);
    json_key_string(&json, "spec", checked->path);
    json_key_boolean(&json, "ok", checked->fine);
    json_key(&json, "runs");
    if (checked->fine)
      json_put_integer(&json, (int64_t)checked->runs);
    else
      json_put_null(&json);
    json_key_string(&json, "error", checked->fine ? NULL : checked->error.text);
    json_key(&json, "diagnostics");
    diagnostics_json(&checked->diagnostics, &json);
    json_object_end(&json);
  }
  json_array_end(&json);
  fwrite(text.bytes, 1, text.length, stdout);
  text_free(&text);
}

static enum exit_code check(const char *const *paths, int count, const struct spec_choices *choices, bool as_json,
                            struct arena *arena) {
  enum exit_code code = EXIT_DONE;
  const char *plots[64];
  struct spec_options options = {
      .preset = choices->preset, .overrides = choices->set.items, .override_count = choices->set.count, .plots = plots};
  options.laws = spec_law_names(arena, &options.law_count);
  for (size_t i = 0; i < 64 && plot_kinds[i].name; i++) plots[options.plot_count++] = plot_kinds[i].name;
  struct checked *list = arena_array(arena, (size_t)count, sizeof *list);
  for (int i = 0; i < count; i++) {
    list[i].path = paths[i];
    check_one(&list[i], &options);
    if (!as_json) print_one(&list[i], count > 1);
    if (!list[i].fine && code != EXIT_ENVIRONMENT) code = list[i].error.code;
  }
  if (as_json) print_json(list, count);
  for (int i = 0; i < count; i++) diagnostics_free(&list[i].diagnostics);
  return code;
}

void command_check(struct command_line *line) {
  struct spec_choices choices = {0};
  bool as_json = false;
  const struct option options[] = {
      {"set", 0, OPTION_LIST, &choices.set, "PATH=VALUE", "give a field of base another value (repeatable)"},
      {"preset", 0, OPTION_TEXT, &choices.preset, "NAME", "with what this preset of the spec changes"},
      {"json", 0, OPTION_FLAG, &as_json, NULL, "one JSON document: specs, their runs and diagnostics"},
      {0}};
  const struct command_usage usage = {
      "isoloss check SPEC... [--set PATH=VALUE]... [--preset NAME]",
      "Each mistake comes with its reason and the nearest valid name. Nothing is prepared or trained. Exit code 2 when a\n"
      "spec has mistakes.",
      1, INT_MAX, "one or more specs"};
  if (command_begin(line, &usage, options))
    line->code = check(line->arguments, line->count, &choices, as_json, &line->arena);
}
