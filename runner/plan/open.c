// Specs and plans as commands open them: with the laws and plots that ship, mistakes printed.
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "base/terminal.h"
#include "plots/plots.h"
#include "results/store.h"
#include "runner/plan/plan.h"
#include "runner/spec/spec.h"

bool spec_is_file(const char *named) {
  return ends_with(named, ".yaml") || ends_with(named, ".yml") || (strchr(named, '/') && file_exists(named));
}

// The spec of an experiment as it was stored, into the spec's arena; NULL with an error where there is none.
static const char *stored_spec(struct spec *spec, const char *name, const char **path, struct error *error) {
  const char *text = NULL;
  struct store *store = store_exists_home() ? store_open_home(STORE_READ, error) : NULL;
  struct store_rows *rows = store ? store_experiments(store, name, error) : NULL;
  if (rows && store_rows_next(rows, error)) {
    text = arena_string(&spec->arena, store_rows_get(rows, "spec_text").text);
    *path = arena_string(&spec->arena, store_rows_get(rows, "spec_path").text);
  }
  store_rows_close(rows);
  if (!text && !error->code) {
    error_set(error, EXIT_USAGE_ERROR, "'%s' is neither a file nor an experiment of the store", name);
    error_hint(error, store ? store_nearest_experiment(store, &spec->arena, name) : NULL,
               " (isoloss status lists them)");
  }
  store_close(store);
  return text;
}

static bool load(struct spec *spec, const char *named, const struct spec_options *options,
                 struct diagnostics *diagnostics, struct error *error) {
  *spec = (struct spec){0};
  if (spec_is_file(named) || file_exists(named)) return spec_load(spec, named, options, diagnostics, error);
  const char *path = named, *text = stored_spec(spec, named, &path, error);
  if (!text) return false;
  struct spec_options stored = *options;
  stored.experiment = named;
  return spec_parse(spec, path, text, strlen(text), &stored, diagnostics, error);
}

bool spec_open(struct spec *spec, const char *named, const struct spec_choices *choices, struct error *error) {
  struct diagnostics diagnostics = {0};
  struct arena arena = {0};
  const char *plots[64];
  struct spec_options options = {.plots = plots};
  if (choices) {
    options.preset = choices->preset;
    options.overrides = choices->set.items;
    options.override_count = choices->set.count;
  }
  options.laws = spec_law_names(&arena, &options.law_count);
  while (options.plot_count < 64 && plot_kinds[options.plot_count].name) {
    plots[options.plot_count] = plot_kinds[options.plot_count].name;
    options.plot_count++;
  }
  bool fine = load(spec, named, &options, &diagnostics, error);
  if (!fine && diagnostics.errors) {
    plan_check(spec, &diagnostics);
    error_clear(error);
    diagnostics_check(&diagnostics, spec->path ? spec->path : named, error);
  }
  diagnostics_tell(&diagnostics, error);
  diagnostics_free(&diagnostics);
  arena_free(&arena);
  return fine;
}

bool plan_open(struct plan *plan, const struct spec *spec, const struct plan_options *options, struct error *error) {
  struct diagnostics diagnostics = {0};
  bool fine = plan_make(plan, spec, options, &diagnostics, error);
  diagnostics_tell(&diagnostics, error);
  diagnostics_free(&diagnostics);
  return fine && run_terms_find(spec, &plan->arena, &plan->terms, error);
}
