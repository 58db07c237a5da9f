// See time_left.h.
#include "runner/execute/time_left.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/plan/trunks.h"
#include "runner/spec/spec.h"

// Of an experiment's runs: what is still to be trained, and how fast those that are done went.
struct work {
  double flops_left, flops_done, seconds_done;
  double slots;  // runs at work
};

// Whether trainings of the experiment's spec, as it was stored, share trunks.
static bool shares_trunks(struct store *store, const char *experiment, struct error *error) {
  struct spec spec = {0};
  struct diagnostics diagnostics = {0};
  struct spec_options options = {.experiment = experiment};
  struct error unread = {0};
  struct arena arena = {0};
  const char *text = NULL, *path = NULL;
  struct store_rows *rows = store_experiments(store, experiment, error);
  if (rows && store_rows_next(rows, error)) {
    text = arena_string(&arena, store_rows_get(rows, "spec_text").text);
    path = arena_string(&arena, store_rows_get(rows, "spec_path").text);
  }
  store_rows_close(rows);
  // One that this version cannot read says nothing of trunks: then each run is counted by itself.
  bool shares =
      text && spec_parse(&spec, path, text, strlen(text), &options, &diagnostics, &unread) && spec_shares_trunks(&spec);
  spec_free(&spec);
  diagnostics_free(&diagnostics);
  arena_free(&arena);
  return shares;
}

// What branches begin after, of runs that have not begun.
static bool take_trunks_off(struct store *store, const char *experiment, struct work *work, struct error *error) {
  struct value value = store_text(experiment);
  struct trunk_savings savings = {0};
  struct arena arena = {0};
  size_t count, groups;
  struct store_rows *rows = store_select(
      store,
      "SELECT r.config, r.corpus_digest, r.flops, r.state = 'running' OR coalesce(r.step, 0) > 0 FROM experiment_runs e "
      "JOIN runs r ON r.id = e.run LEFT JOIN marks m ON m.run = r.id WHERE e.experiment = ?1 AND r.stage = 'train' AND "
      "r.state IN ('pending', 'killed', 'running') AND (m.mark IS NULL OR m.mark = 'retry')",
      &value, 1, error);
  while (rows && store_rows_next(rows, error)) {
    struct value config = store_rows_value(rows, 0), digest = store_rows_value(rows, 1),
                 flops = store_rows_value(rows, 2);
    struct run_config resolved;
    struct error unread = {0};
    if (config.kind != VALUE_TEXT || digest.kind != VALUE_TEXT || flops.kind != VALUE_NUMBER ||
        !config_read(&arena, config.text, &resolved, &unread))
      continue;
    bool begun = store_rows_value(rows, 3).number != 0;
    trunk_savings_add(&savings, 0, &resolved, digest.text, begun ? 0 : flops.number, 0);
  }
  store_rows_close(rows);
  struct trunk_branch *branches = trunk_branches(&savings, false, &count, &groups);
  for (size_t i = 0; i < count; i++) work->flops_left -= branches[i].flops;
  free(branches);
  trunk_savings_free(&savings);
  arena_free(&arena);
  return !error->code;
}

static bool count_work(struct store *store, const char *experiment, struct work *work, struct error *error) {
  struct value value = store_text(experiment);
  struct store_rows *rows = store_select(
      store,
      "SELECT sum(CASE WHEN r.state IN ('pending', 'killed', 'running') AND r.halved_at IS NULL THEN r.flops * (1 - "
      "coalesce(1.0 * r.step / r.steps, 0)) * (m.mark IS NULL OR m.mark = 'retry') END), "
      "sum(CASE WHEN r.state = 'done' AND r.wall_seconds > 0 THEN r.flops * (1 - coalesce(1.0 * r.trunk_step / r.steps, "
      "0)) END), sum(CASE WHEN r.state = 'done' AND r.wall_seconds > 0 THEN r.wall_seconds - coalesce(r.trunk_seconds, "
      "0) END), sum(r.state = 'running') "
      "FROM experiment_runs e JOIN runs r ON r.id = e.run LEFT JOIN marks m ON m.run = r.id WHERE e.experiment = ?1",
      &value, 1, error);
  if (rows && store_rows_next(rows, error)) {
    double *const numbers[] = {&work->flops_left, &work->flops_done, &work->seconds_done, &work->slots};
    for (int i = 0; i < 4; i++) {
      struct value number = store_rows_value(rows, i);
      *numbers[i] = number.kind == VALUE_NUMBER ? number.number : NAN;
    }
  }
  store_rows_close(rows);
  return !error->code;
}

double experiment_time_left(struct store *store, const char *experiment, struct error *error) {
  struct work work = {NAN, NAN, NAN, NAN};
  if (!count_work(store, experiment, &work, error) || !(work.flops_left >= 0) || !(work.flops_done > 0)) return NAN;
  if (shares_trunks(store, experiment, error) && !take_trunks_off(store, experiment, &work, error)) return NAN;
  if (error->code) return NAN;
  return work.flops_left * work.seconds_done / work.flops_done / fmax(work.slots, 1);
}
