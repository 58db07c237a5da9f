// Gathering a report: the experiment, its runs and their curves, claims; then what the other files gather. See data.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/execute/halved.h"
#include "runner/report/data.h"

static struct value keep(struct arena *arena, struct value value) {
  if (value.kind == VALUE_TEXT) value.text = arena_string(arena, value.text);
  return value;
}

static bool gather_experiment(struct report *report, struct store *store, const char *name, const struct spec *spec,
                              const char *spec_text, struct error *error) {
  struct store_rows *rows = store_experiments(store, name, error);
  if (!rows) return false;
  bool found = store_rows_next(rows, error);
  if (found) {
    struct arena *arena = &report->arena;
    struct value about = store_rows_get(rows, "about");
    report->name = arena_string(arena, name);
    report->spec_path = arena_string(arena, store_rows_get(rows, "spec_path").text);
    report->spec_text = arena_string(arena, store_rows_get(rows, "spec_text").text);
    report->about = about.kind == VALUE_TEXT ? arena_string(arena, about.text) : "";
    report->created_at = store_rows_get(rows, "created_at").number;
  }
  store_rows_close(rows);
  if (error->code) return false;
  if (!found) {
    const char *near = store_nearest_experiment(store, &report->arena, name);
    error_set(error, EXIT_USAGE_ERROR, "there is no experiment '%s' in %s", name, store_path(store));
    return error_hint(error, near, "; isoloss run SPEC starts one");
  }
  if (spec_text && strcmp(spec_text, report->spec_text) != 0) report->spec_changed = true;
  if (spec) {
    report->spec_path = spec->path;
    report->preset = spec->preset;
    if (*spec->about) report->about = spec->about;
  }
  if (spec_text) report->spec_text = arena_string(&report->arena, spec_text);
  report->title = spec && spec->title ? spec->title : report->name;
  return true;
}

static struct report_run *add_run(struct arena *arena, struct report_run **runs, size_t *count, size_t *room) {
  if (*count == *room) {
    *room = *room ? *room * 2 : 64;
    *runs = arena_grow(arena, *runs, *count, *room, sizeof **runs);
  }
  return &(*runs)[(*count)++];
}

static bool gather_runs(struct report *report, struct store *store, struct error *error) {
  struct arena *arena = &report->arena;
  report->columns = store_run_columns(store, &report->column_count);
  struct store_rows *rows = store_runs(store, &(struct run_query){.experiment = report->name}, error);
  if (!rows) return false;
  size_t room = 0, stage_room = 0;
  for (size_t position = 0; store_rows_next(rows, error); position++) {
    bool stage = store_rows_get(rows, "parent").kind == VALUE_TEXT;
    struct report_run *run = stage ? add_run(arena, &report->stages.runs, &report->stages.count, &stage_room)
                                   : add_run(arena, &report->runs, &report->count, &room);
    run->values = arena_array(arena, (size_t)report->column_count, sizeof *run->values);
    for (int i = 0; i < report->column_count; i++) run->values[i] = keep(arena, store_rows_value(rows, i));
    const char *format = report_text(report, run, "format"), *state = report_text(report, run, "state");
    run->position = position;
    run->id = report_text(report, run, "id");
    run->message = report_text(report, run, "message");
    run->format = format ? format : "none";
    run->state = run_state_parse(state);
    if (!stage) report->states[run->state]++;
    run->parameters = report_number(report, run, "parameters");
    run->tokens = report_number(report, run, "tokens");
    run->flops = report_number(report, run, "flops");
    run->loss = run->state == RUN_DONE ? report_number(report, run, "loss") : NAN;
    run->bits_per_byte = run->state == RUN_DONE ? report_number(report, run, "bits_per_byte") : NAN;
    run->oracle_loss = report_number(report, run, "oracle_loss");
    run->irreducible_loss = report_number(report, run, "irreducible_loss");
    run->learning_rate = report_number(report, run, "train.lr");
    run->wall_seconds = report_number(report, run, "wall_seconds");
    run->tokens_per_second = report_number(report, run, "tokens_per_second");
    run->finished_at = report_number(report, run, "finished_at");
    run->epochs = report_number(report, run, "epochs");
  }
  store_rows_close(rows);
  if (error->code || !halved_words(store, report->name, arena, &report->halved, &report->halved_words, error))
    return false;
  if (report->count) report->task = measure_task(report_text(report, &report->runs[0], "stage"));
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    if (isfinite(run->loss) && (!report->best || run->loss < report->best->loss)) report->best = run;
  }
  return true;
}

// Points of one run, before how many they are is known.
struct points {
  double *tokens, *loss;
  size_t count, room;
};

static void add_point(struct points *points, double tokens, double loss) {
  if (points->count == points->room) {
    points->room = points->room ? 2 * points->room : 256;
    points->tokens = memory_grow(points->tokens, points->room * sizeof *points->tokens);
    points->loss = memory_grow(points->loss, points->room * sizeof *points->loss);
  }
  points->tokens[points->count] = tokens;
  points->loss[points->count++] = loss;
}

static struct plot_curve curve_of(struct arena *arena, const struct points *points) {
  if (!points->count) return (struct plot_curve){0};
  double *tokens = arena_array(arena, points->count, sizeof *tokens),
         *loss = arena_array(arena, points->count, sizeof *loss);
  memcpy(tokens, points->tokens, points->count * sizeof *tokens);
  memcpy(loss, points->loss, points->count * sizeof *loss);
  return (struct plot_curve){points->count, tokens, loss};
}

// The final evaluation is in the run's row: it ends the curve.
static void end_curve(const struct report_run *run, struct points *points) {
  if (isfinite(run->loss) && points->count && points->tokens[points->count - 1] < 0.9999 * run->tokens)
    add_point(points, run->tokens, run->loss);
}

// The curves of one kind of all runs, by one query in the order of the runs.
static bool gather_kind(struct report *report, struct store *store, enum metric_kind kind, struct error *error) {
  struct store_rows *rows = store_curves(store, report->name, kind, error);
  if (!rows) return false;
  struct points points = {0};
  bool more = store_rows_next(rows, error);
  for (size_t i = 0; i < report->count; i++) {
    struct report_run *run = &report->runs[i];
    points.count = 0;
    // Runs of later stages have no place among the runs.
    while (more && store_rows_value(rows, 0).number < (double)run->position) more = store_rows_next(rows, error);
    for (; more && store_rows_value(rows, 0).number == (double)run->position; more = store_rows_next(rows, error)) {
      struct value tokens = store_rows_value(rows, 1), loss = store_rows_value(rows, 2);
      if (run->state != RUN_PENDING && tokens.kind == VALUE_NUMBER && loss.kind == VALUE_NUMBER)
        add_point(&points, tokens.number, loss.number);
    }
    if (kind == METRIC_EVAL) end_curve(run, &points);
    *(kind == METRIC_EVAL ? &run->validation : &run->training) = curve_of(&report->arena, &points);
  }
  store_rows_close(rows);
  free(points.tokens);
  free(points.loss);
  return error->code == EXIT_DONE;
}

// The training loss is shown where no run has been evaluated on its way.
static bool gather_curves(struct report *report, struct store *store, struct error *error) {
  if (!gather_kind(report, store, METRIC_EVAL, error)) return false;
  for (size_t i = 0; i < report->count; i++)
    if (report->runs[i].validation.count > 1) return true;
  return gather_kind(report, store, METRIC_TRAIN, error);
}

static bool same_value(struct value a, struct value b) {
  if (a.kind != b.kind) return false;
  if (a.kind == VALUE_TEXT) return strcmp(a.text, b.text) == 0;
  return a.kind == VALUE_MISSING || a.number == b.number;
}

static bool swept(const struct spec *spec, const struct run_field *field) {
  for (size_t s = 0; s < spec->sweep_count; s++) {
    const struct spec_sweep *sweep = &spec->sweeps[s];
    for (size_t g = 0; g < sweep->group_count; g++)
      for (size_t a = 0; a < sweep->groups[g].axis_count; a++)
        if (sweep->groups[g].axes[a].field == field) return true;
    for (size_t d = 0; d < sweep->set_count; d++)
      if (sweep->set[d].field == field) return true;
  }
  return false;
}

// The run fields that distinguish the runs: those that the spec sweeps or sets, or without a spec all that differ but
// for those that follow from others. Tokens have a column of their own.
static void gather_axes(struct report *report) {
  unsigned left = GROUP_BUDGET | (report->spec ? 0 : GROUP_FOLLOWS);
  report->axes = arena_array(&report->arena, spec_field_count(report->spec), sizeof(struct run_field *));
  for (size_t f = 0; f < spec_field_count(report->spec); f++) {
    const struct run_field *field = spec_field_at(report->spec, f);
    int column = report_column(report, field->path);
    bool left_out = column < 0 || (report->spec && !swept(report->spec, field)) || field->groups & left;
    bool differs = false;
    for (size_t i = 1; i < report->count && !left_out; i++)
      differs |= !same_value(report->runs[0].values[column], report->runs[i].values[column]);
    if (differs) report->axes[report->axis_count++] = field;
  }
}

static bool gather_claims(struct report *report, struct store *store, struct error *error) {
  struct store_rows *rows = store_claims(store, report->name, error);
  if (!rows) return false;
  while (store_rows_next(rows, error)) {
    report->claims = arena_grow(&report->arena, report->claims, report->claim_count, report->claim_count + 1,
                                sizeof *report->claims);
    struct report_claim *claim = &report->claims[report->claim_count++];
    struct value detail = store_rows_get(rows, "detail");
    claim->claim = arena_string(&report->arena, store_rows_get(rows, "claim").text);
    claim->outcome = arena_string(&report->arena, store_rows_get(rows, "outcome").text);
    claim->detail = detail.kind == VALUE_TEXT ? arena_string(&report->arena, detail.text) : "";
  }
  store_rows_close(rows);
  return error->code == EXIT_DONE;
}

bool report_gather(struct report *report, struct store *store, const char *name, const struct spec *spec,
                   const char *spec_text, struct error *error) {
  report->spec = spec;
  report->outcome = "loss";
  report->home = isoloss_home(&report->arena);
  if (!gather_experiment(report, store, name, spec, spec_text, error) ||
      (spec && !standing_find(spec, store, &report->arena, &report->standing, error)) ||
      !gather_runs(report, store, error) || !report_gather_stages(report, store, error) ||
      !gather_curves(report, store, error) || !gather_claims(report, store, error))
    return false;
  gather_axes(report);
  report_gather_settings(report);
  if (!report_gather_fits(report, store, error) || !report_gather_known(report, store, error) ||
      !report_gather_figures(report, store, error))
    return false;
  report_gather_comparisons(report, store);
  report_gather_isoflops(report, store);
  report_gather_rates(report);
  report_find(report);
  report_environment(report);
  return true;
}
