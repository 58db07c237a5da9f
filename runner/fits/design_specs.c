// See design_specs.h.
#include "runner/fits/design_specs.h"

#include <math.h>
#include <string.h>

#include "runner/plan/print.h"

// ---- runs ----

// Every run counts as done, with a loss that nothing reads; what it is in truth is kept.
static bool finish_all(struct design_spec *spec, struct error *error) {
  struct selection *selection = &spec->selection;
  struct store_field fields[] = {{"state", store_text(run_state_name(RUN_DONE))}, {"loss", store_number(1)}};
  bool fine = store_begin(selection->store, error);
  spec->states = arena_array(&spec->arena, selection->plan.count + 1, sizeof *spec->states);
  for (size_t i = 0; i < selection->plan.count && fine; i++) {
    struct planned_run run;
    struct run_outcome outcome;
    plan_run(&selection->plan, i, &run);
    fine = run_outcome_find(selection->store, run.id, &outcome, error);
    spec->states[i] = outcome.state;
    fine = fine && store_run_update(selection->store, run.id, fields, 2, error);
  }
  return fine && store_commit(selection->store, error);
}

bool design_spec_of_plan(struct design_spec *spec, const struct spec *of, const struct plan *plan,
                         struct error *error) {
  *spec = (struct design_spec){.selection = {.experiment = of->name, .spec = *of, .plan = *plan, .planned = true},
                               .shared = true,
                               .label = of->path};
  spec->selection.store = store_of_plan(plan, error);
  return spec->selection.store && finish_all(spec, error);
}

bool design_spec_open(struct design_spec *spec, const char *path, const char *label, const struct spec_choices *choices,
                      struct error *error) {
  *spec = (struct design_spec){.label = label};
  if (!ends_with(path, ".yaml") && !ends_with(path, ".yml") && file_exists(path))
    return error_set(error, EXIT_USAGE_ERROR, "design: %s is no spec (.yaml)", path);
  if (!selection_plan(&spec->selection, path, choices, error) || !finish_all(spec, error)) return false;
  struct plan *plan = &spec->selection.plan;
  plan_measure_speed(plan);
  spec->cost.runs = plan->count;
  for (size_t i = 0; i < plan->count; i++) {
    struct planned_run run;
    plan_run_quick(plan, i, &run);
    if (!run.stage) spec->cost.flops += run.quantities.flops;
    spec->cost.seconds += run.seconds;
  }
  return true;
}

struct fit_options design_fit_options(const struct spec_fit *entry) {
  const struct fit_options all = fit_entry_options(entry, NULL);
  return (struct fit_options){.objective = all.objective,
                              .residual = all.residual,
                              .holdout = all.holdout,
                              .ties = all.ties,
                              .tie_count = all.tie_count,
                              .lows = all.lows,
                              .low_count = all.low_count,
                              .highs = all.highs,
                              .high_count = all.high_count};
}

void design_spec_close(struct design_spec *spec) {
  if (spec->shared)
    store_close(spec->selection.store);
  else
    selection_close(&spec->selection);
  arena_free(&spec->arena);
}

// ---- assumptions ----

// The fit's scatter as a share of the loss, which is what the noise of a design is.
static double relative_rms(const struct fit_result *fit) {
  double squares = 0;
  size_t count = 0;
  if (fit->residual == RESIDUAL_LOG) return fit->residual_rms;
  for (size_t i = 0; i < fit->table_count; i++) {
    if (fit->table[i].use != ROW_FITTED) continue;
    squares += pow(fit->table[i].residual / fit->table[i].observed, 2);
    count++;
  }
  return count ? sqrt(squares / (double)count) : NAN;
}

// Coefficients and the scatter of a fit's document; `source` is what errors call it.
static bool read_document(struct design_truth *truth, const char *document, const char *source, struct arena *arena,
                          struct error *error) {
  struct fit_result fit;
  bool fine = fit_result_read(&fit, document, error);
  if (fine) {
    truth->assumptions = arena_array(arena, fit.coefficient_count + 1, sizeof *truth->assumptions);
    for (size_t i = 0; i < fit.coefficient_count; i++)
      if (isfinite(fit.coefficients[i].value))
        truth->assumptions[truth->count++] =
            (struct design_assumption){arena_string(arena, fit.coefficients[i].name), fit.coefficients[i].value};
    truth->noise = relative_rms(&fit);
    truth->of_fit = true;
  }
  truth->source = source;
  fit_result_free(&fit);
  return fine || error_context(error, "%s", source);
}

static bool read_file(struct design_truth *truth, const char *path, struct arena *arena, struct error *error) {
  struct error damage = {0};
  const char *document = file_read(arena, path, NULL, error);
  if (!document) return false;
  if (read_document(truth, document, arena_string(arena, path), arena, &damage)) return true;
  return error_set(error, EXIT_USAGE_ERROR, "%s", damage.text);
}

// The stored fit of this name (or law), first of the experiment, then of any source; *found says.
static bool find_stored(struct design_truth *truth, const char *experiment, const char *name, const char *law,
                        bool anywhere, struct arena *arena, bool *found, struct error *error) {
  *found = false;
  if (!store_exists_home()) return true;
  struct store *store = store_open_home(STORE_READ, error);
  if (!store) return false;
  for (int pass = 0; pass < (anywhere ? 2 : 1) && !*found && !error->code; pass++) {
    struct store_rows *rows = store_fits(store, pass ? NULL : experiment, error);
    while (rows && !*found && store_rows_next(rows, error)) {
      struct value fit = store_rows_get(rows, "name"), of = store_rows_get(rows, "law");
      if (fit.kind != VALUE_TEXT || strcmp(fit.text, name) != 0) continue;
      if (law && (of.kind != VALUE_TEXT || strcmp(of.text, law) != 0)) continue;
      *found = true;
      const char *source = arena_format(arena, "fit %s of %s", name, store_rows_get(rows, "source").text);
      read_document(truth, store_rows_get(rows, "document").text, source, arena, error);
    }
    store_rows_close(rows);
  }
  store_close(store);
  return !error->code;
}

bool design_truth_read(struct design_truth *truth, const char *text, const char *experiment, const char *fit,
                       const char *law, struct arena *arena, struct error *error) {
  *truth = (struct design_truth){.noise = NAN, .source = "given"};
  bool found;
  if (text && strchr(text, '=')) {
    struct design_truth stored = {.noise = NAN};
    if (!design_assumptions_parse(arena, text, &truth->assumptions, &truth->count, error)) return false;
    // the scatter of a fit that is there says what the noise is
    if (!find_stored(&stored, experiment, fit, law, false, arena, &found, error)) return false;
    truth->noise = stored.noise;
    return true;
  }
  if (text && ends_with(text, ".json")) return read_file(truth, text, arena, error);
  if (!find_stored(truth, experiment, text ? text : fit, text ? NULL : law, text != NULL, arena, &found, error))
    return false;
  if (found) return true;
  if (text)
    return error_set(error, EXIT_USAGE_ERROR,
                     "--assume %s: there is no stored fit of this name (and it is no list NAME=NUMBER,... and no .json "
                     "file)",
                     text);
  return error_set(error, EXIT_USAGE_ERROR,
                   "nothing is assumed and experiment %s has no fit %s yet: give the law's parameters with --assume "
                   "\"E=1.69,A=406.4,...\", or the name of a fit",
                   experiment, fit);
}
