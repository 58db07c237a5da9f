// The JSON form of a plan; and what the store knows of its runs.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/store.h"
#include "runner/plan/halving.h"
#include "runner/plan/print.h"
#include "runner/plan/prunings.h"
#include "runner/plan/trunks.h"
#include "runner/spec/names.h"

enum { FLUSH_BYTES = 1 << 20 };

bool run_outcome_find(struct store *store, const char *id, struct run_outcome *outcome, struct error *error) {
  *outcome = (struct run_outcome){
      .state = RUN_PENDING, .loss = NAN, .bits_per_byte = NAN, .wall_seconds = NAN, .halved_at = NAN};
  if (!store || !*id) return true;
  struct value wanted = store_text(id);
  struct store_rows *rows = store_select(
      store, "SELECT state, loss, bits_per_byte, wall_seconds, halved_at FROM runs WHERE id = ?1", &wanted, 1, error);
  if (rows && store_rows_next(rows, error)) {
    double *const numbers[] = {&outcome->loss, &outcome->bits_per_byte, &outcome->wall_seconds, &outcome->halved_at};
    struct value state = store_rows_value(rows, 0);
    if (state.kind == VALUE_TEXT) outcome->state = run_state_parse(state.text);
    for (int i = 0; i < 4; i++) {
      struct value value = store_rows_value(rows, i + 1);
      if (value.kind == VALUE_NUMBER) *numbers[i] = value.number;
    }
  }
  store_rows_close(rows);
  return error->code == EXIT_DONE;
}

static void put_quantities(struct json_writer *json, const struct planned_run *run) {
  for (size_t i = 0; i < run_column_count; i++) {
    if (!run_columns[i].planned) continue;
    struct value value = {.kind = VALUE_MISSING};
    if (run->resolved) value = run_columns[i].planned(&run->quantities, &run->corpus->facts);
    json_key_number(json, run_columns[i].name, value.kind == VALUE_NUMBER ? value.number : NAN);
  }
}

// Whom each run of the plan competes with: 1 + its group, 0 for none; the caller frees it. NULL without halving.
static size_t *groups_of_runs(const struct plan_halving *halving, size_t count) {
  if (!halving) return NULL;
  size_t *of = memory_get((count + 1) * sizeof *of);
  for (size_t g = 0; g < halving->group_count; g++)
    for (size_t m = 0; m < halving->groups[g].count; m++) of[halving->groups[g].runs[m]] = g + 1;
  return of;
}

static void put_halving(struct json_writer *json, const struct plan_halving *halving, size_t of) {
  json_key(json, "halving");
  if (!of) {
    json_put_null(json);
    return;
  }
  const struct halving_group *group = &halving->groups[of - 1];
  json_object_begin(json);
  json_key_string(json, "over", halving->over);
  json_key_integer(json, "group", (int64_t)of);
  json_key_string(json, "average_over", halving->average);
  json_key_integer(json, "runs", (int64_t)group->count);
  json_key_integer(json, "candidates", (int64_t)group->candidate_count);
  json_key(json, "rungs");
  json_array_begin(json);
  for (size_t r = 0; r < halving->rule->rung_count; r++) {
    json_object_begin(json);
    json_key_number(json, "share", halving->rule->at[r]);
    json_key_integer(json, "step", group->rungs[r]);
    json_key_integer(json, "go_on", (int64_t)group->survive[r]);
    json_object_end(json);
  }
  json_array_end(json);
  json_object_end(json);
}

// Which runs to do begin from another's checkpoint: [plan->count], those that do not with step 0; NULL where none can.
// The caller frees it. False only when the store cannot be read.
static bool find_trunks(const struct plan *plan, struct store *store, struct trunk_branch **of, struct error *error) {
  struct trunk_savings savings = {0};
  *of = NULL;
  if (!spec_shares_trunks(plan->spec)) return true;
  for (size_t i = 0; i < plan->count; i++) {
    struct planned_run run;
    struct run_outcome outcome;
    plan_run(plan, i, &run);
    if (run.stage || !run.resolved) continue;
    if (!run_outcome_find(store, run.id, &outcome, error)) break;
    if (outcome.state == RUN_DONE)
      trunk_savings_add_done(&savings, i, &run.config, run.corpus->facts.digest, run.id);
    else if (!run_state_has_result(outcome.state))
      trunk_savings_add(&savings, i, &run.config, run.corpus->facts.digest, run.quantities.flops, run.seconds);
  }
  size_t count, groups;
  struct trunk_branch *branches = trunk_branches(&savings, false, &count, &groups);
  *of = memory_get((plan->count + 1) * sizeof **of);
  for (size_t i = 0; i < plan->count; i++) (*of)[i] = (struct trunk_branch){0};
  for (size_t i = 0; i < count; i++) (*of)[branches[i].run] = branches[i];
  free(branches);
  trunk_savings_free(&savings);
  return error->code == EXIT_DONE;
}

// {"id":...,"step":...} of the run to begin from, or null.
static void put_trunk(struct json_writer *json, const struct plan *plan, const struct trunk_branch *branch) {
  json_key(json, "trunk");
  if (!branch || !branch->step) {
    json_put_null(json);
    return;
  }
  struct planned_run trunk;
  plan_run(plan, branch->trunk, &trunk);
  json_object_begin(json);
  json_key_string(json, "id", *trunk.id ? trunk.id : NULL);
  json_key_integer(json, "step", branch->step);
  json_object_end(json);
}

// What is known of the plan as a whole, by run.
struct of_runs {
  const size_t *groups;               // of halving; NULL without
  const struct trunk_branch *trunks;  // NULL where none is shared
};

static void put_run(struct json_writer *json, const struct plan *plan, const struct planned_run *run,
                    const struct of_runs *of, const struct run_outcome *outcome) {
  json_object_begin(json);
  json_key_string(json, "id", *run->id ? run->id : NULL);
  json_key_string(json, "state", run_state_name(outcome->state));
  json_key_string(json, "stage", run->stage ? run->stage->name : plan->stage);
  json_key_string(json, "parent", *run->parent_id ? run->parent_id : NULL);
  put_quantities(json, run);
  json_key_number(json, "loss", outcome->loss);
  json_key_number(json, "bits_per_byte", outcome->bits_per_byte);
  json_key_string(json, "format", run->config.format);
  json_key_integer(json, "seed", run->config.seed);
  json_key_number(json, "wall_seconds", outcome->wall_seconds);
  json_key_number(json, "estimated_seconds", run->seconds);
  json_key_number(json, "memory_bytes", run->memory);
  json_key_string(json, "memory_without", plan_memory_without(run));
  json_key(json, "fits_gpu");
  int card = plan_gpu_card(plan, run);
  if (card)
    json_put_integer(json, card);
  else
    json_put_null(json);
  if (of->groups) put_halving(json, plan->halving, of->groups[run->number]);
  put_trunk(json, plan, of->trunks ? &of->trunks[run->number] : NULL);
  json_key(json, "prunings");
  int64_t prunings = plan_prunings(plan, run);
  if (prunings)
    json_put_integer(json, prunings);
  else
    json_put_null(json);
  json_key_string(json, "corpus_digest", run->corpus->facts.known ? run->corpus->facts.digest : NULL);
  for (size_t i = 0; i < spec_field_count(plan->spec); i++) {
    const struct run_field *field = spec_field_at(plan->spec, i);
    if (strcmp(field->path, "format") == 0 || strcmp(field->path, "seed") == 0) continue;
    json_key(json, field->path);
    field_json(json, field, field_get(&run->config, field));
  }
  json_object_end(json);
}

bool plan_print_json(const struct plan *plan, struct store *store, FILE *out, struct error *error) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  size_t *groups = groups_of_runs(plan->halving, plan->count);
  struct trunk_branch *trunks = NULL;
  struct of_runs of = {.groups = groups};
  if (find_trunks(plan, store, &trunks, error)) of.trunks = trunks;
  json_array_begin(&json);
  for (size_t i = 0; i < plan->count && error->code == EXIT_DONE; i++) {
    struct planned_run run;
    struct run_outcome outcome;
    plan_run(plan, i, &run);
    if (!run_outcome_find(store, run.id, &outcome, error)) break;
    put_run(&json, plan, &run, &of, &outcome);
    if (text.length > FLUSH_BYTES) {
      fwrite(text.bytes, 1, text.length, out);
      text_clear(&text);
    }
  }
  json_array_end(&json);
  free(groups);
  free(trunks);
  if (error->code == EXIT_DONE) fwrite(text_string(&text), 1, text.length, out);
  text_free(&text);
  return error->code == EXIT_DONE;
}
