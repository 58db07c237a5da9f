// Specs and plans as commands open them: with the laws and plots that ship, mistakes printed.
#include <stdio.h>

#include "base/options.h"
#include "base/terminal.h"
#include "plots/plots.h"
#include "runner/plan/plan.h"
#include "runner/spec/spec.h"

bool spec_open(struct spec *spec, const char *path, const struct option_list *overrides, struct error *error) {
  struct diagnostics diagnostics = {0};
  struct arena arena = {0};
  const char *plots[64];
  struct spec_options options = {.plots = plots};
  if (overrides) {
    options.overrides = overrides->items;
    options.override_count = overrides->count;
  }
  options.laws = spec_law_names(&arena, &options.law_count);
  while (options.plot_count < 64 && plot_kinds[options.plot_count].name) {
    plots[options.plot_count] = plot_kinds[options.plot_count].name;
    options.plot_count++;
  }
  bool fine = spec_load(spec, path, &options, &diagnostics, error);
  if (!fine && diagnostics.errors) {
    plan_check(spec, &diagnostics);
    *error = (struct error){0};
    diagnostics_check(&diagnostics, path, error);
  }
  diagnostics_print(&diagnostics, stderr, colour_wanted(stderr));
  diagnostics_free(&diagnostics);
  arena_free(&arena);
  return fine;
}

bool plan_open(struct plan *plan, const struct spec *spec, const struct plan_options *options, struct error *error) {
  struct diagnostics diagnostics = {0};
  bool fine = plan_make(plan, spec, options, &diagnostics, error);
  diagnostics_print(&diagnostics, stderr, colour_wanted(stderr));
  diagnostics_free(&diagnostics);
  return fine;
}
