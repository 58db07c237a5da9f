// See standing.h.
#include "runner/fits/standing.h"

#include <math.h>

#include "runner/plan/plan.h"

static const char **ids_of(const struct plan *plan, struct arena *arena) {
  const char **ids = arena_array(arena, plan->count + 1, sizeof *ids);
  for (size_t i = 0; i < plan->count; i++) {
    struct planned_run run;
    plan_run(plan, i, &run);
    ids[i] = arena_string(arena, run.id);
  }
  return ids;
}

// Why the runs have no ids: a corpus that is used is not prepared.
static const char *missing_corpus(const struct plan *plan, struct arena *arena) {
  for (size_t i = 0; i < plan->corpus_count; i++) {
    const struct plan_corpus *corpus = &plan->corpora[i];
    if (corpus->facts.known || corpus->unused || corpus->refused) continue;
    return arena_string(arena, corpus->reason ? corpus->reason : "the corpus is not prepared");
  }
  return NULL;
}

bool standing_find(const struct spec *spec, struct store *store, struct arena *arena, struct standing *standing,
                   struct error *error) {
  struct plan plan = {0};
  struct plan_options options = {.prepare = false};
  struct diagnostics diagnostics = {0};  // whoever plans or runs the spec is told
  struct error trouble = {0};
  *standing = (struct standing){0};
  if (spec->stored) return true;
  bool fine = true, planned = plan_make(&plan, spec, &options, &diagnostics, &trouble);
  standing->unknown = planned ? missing_corpus(&plan, arena) : arena_string(arena, trouble.text);
  if (!standing->unknown) {
    standing->planned = plan.count;
    fine = store_view_experiment(store, spec->name, ids_of(&plan, arena), plan.count, &standing->view, error);
  }
  diagnostics_free(&diagnostics);
  plan_free(&plan);
  return fine;
}

const char *standing_pending(const struct spec *spec, const struct standing *standing, struct arena *arena) {
  if (standing->unknown)
    return arena_format(arena, "which runs %s has is not known (%s): these are all finished runs of experiment %s",
                        spec->call, standing->unknown, spec->name);
  size_t pending = standing->planned - standing->view.done - standing->view.ended;
  if (!standing->planned || !pending) return NULL;
  return arena_format(arena, "%zu of the %zu runs of %s are not done yet (isoloss run %s trains them)", pending,
                      standing->planned, spec->call, spec->call);
}

const char *standing_left_out(const struct spec *spec, const struct standing *standing, struct arena *arena) {
  size_t left_out = standing->view.left_out;
  if (!left_out) return NULL;
  return arena_format(arena,
                      "%zu finished run%s of experiment %s %s not in %s as it is now and left out (the experiment's "
                      "name instead of the file takes all)",
                      left_out, left_out == 1 ? "" : "s", spec->name, left_out == 1 ? "is" : "are", spec->call);
}

const char *standing_at_chance(size_t count, size_t runs, struct arena *arena) {
  if (!count) return NULL;
  return arena_format(arena,
                      "%zu of %zu runs ended above the loss of a uniform guess, log(model.vocabulary): they learnt "
                      "nothing, and no law describes them together with others (where: \"loss < "
                      "log(model.vocabulary)\" leaves them out)",
                      count, runs);
}

void standing_tell_chance(const struct spec *spec, const struct table *table, struct fit_result *result) {
  int loss = table_find(table, "loss"), vocabulary = table_find(table, "model.vocabulary");
  size_t count = 0;
  if (!spec_trains_model(spec) || loss < 0 || vocabulary < 0) return;
  for (size_t i = 0; i < table->row_count; i++)
    count += table->columns[loss].numbers[i] > log(table->columns[vocabulary].numbers[i]);
  const char *text = standing_at_chance(count, table->row_count, &result->arena);
  if (text) fit_result_warn(result, "%s", text);
}

void standing_tell(const struct spec *spec, const struct standing *standing, struct fit_result *result) {
  struct arena *arena = &result->arena;
  const char *const texts[] = {standing_pending(spec, standing, arena), standing_left_out(spec, standing, arena)};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i]) fit_result_warn(result, "%s", texts[i]);
}
