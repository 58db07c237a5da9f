// See standing.h.
#include "runner/slurm/standing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/store.h"
#include "runner/plan/trunks.h"

static enum standing stand(const struct slurm_request *request, const struct collection *collection,
                           struct store_rows *row, const char *id, struct slurm_outcome *outcome) {
  enum run_state state = row ? run_state_parse(store_rows_value(row, 0).text) : RUN_PENDING;
  struct value word = row ? store_rows_value(row, 1) : (struct value){.kind = VALUE_MISSING};
  enum run_mark mark = word.kind == VALUE_TEXT ? run_mark_parse(word.text) : MARK_NONE;
  const struct submitted_run *submitted = collection_find(collection, id);
  const struct task_view *task = submitted ? collection_task(collection, submitted) : NULL;
  outcome->total++;
  outcome->done += state == RUN_DONE;
  outcome->diverged += state == RUN_DIVERGED;
  if (run_state_has_result(state)) return STANDS_DONE;
  if (run_mark_holds(mark)) {
    outcome->cancelled += mark == MARK_CANCELLED;
    outcome->total -= mark == MARK_CANCELLED;
    outcome->held += mark == MARK_PAUSED;
    return STANDS_HELD;
  }
  if (task && task->state != TASK_ENDED && state != RUN_FAILED) {
    outcome->at_work += task->state == TASK_AT_WORK;
    outcome->queued += task->state == TASK_QUEUED;
    return STANDS_IN_JOB;
  }
  if (state == RUN_FAILED && !request->retry_failed && mark != MARK_RETRY) {
    outcome->failed++;
    return STANDS_FAILED;
  }
  return task && task->state != TASK_ENDED ? STANDS_IN_JOB : STANDS_MISSING;
}

// [plan->count] in the arena. The store may be NULL: then nothing was ever trained.
struct run_standing *find_missing(const struct slurm_request *request, const struct collection *collection,
                                  struct store *store, const struct halving_standing *halving, struct arena *arena,
                                  struct slurm_outcome *outcome, struct error *error) {
  size_t count = request->set->plan->count;
  struct run_standing *runs = arena_array(arena, count, sizeof *runs);
  for (size_t i = 0; i < count && !error->code; i++) {
    struct planned_run planned;
    plan_run(request->set->plan, i, &planned);
    runs[i] = (struct run_standing){.id = arena_string(arena, planned.id),
                                    .parent = planned.parent,
                                    .with = i,
                                    .stop_step = halving ? halving[i].stop_step : 0,
                                    .standing = STANDS_LEFT_OUT};
    if (request->chosen && !request->chosen[i]) continue;
    struct value id = store_text(planned.id);
    struct store_rows *rows =
        store ? store_select(store,
                             "SELECT r.state, m.mark FROM runs r LEFT JOIN marks m ON m.run = r.id WHERE r.id = ?1",
                             &id, 1, error)
              : NULL;
    bool there = rows && store_rows_next(rows, error);
    runs[i].standing = stand(request, collection, there ? rows : NULL, runs[i].id, outcome);
    store_rows_close(rows);
    bool missing = runs[i].standing == STANDS_MISSING;
    if (missing && halving && (halving[i].halved || halving[i].waiting)) {
      runs[i].standing = halving[i].halved ? STANDS_HALVED : STANDS_WAITING;
      outcome->halved += halving[i].halved;
      outcome->waiting += halving[i].waiting;
    }
    // What follows a run goes with it, or once it is done.
    enum standing before = runs[i].parent == SIZE_MAX ? STANDS_DONE : runs[runs[i].parent].standing;
    if (runs[i].standing != STANDS_MISSING || before == STANDS_DONE || before == STANDS_MISSING) continue;
    outcome->blocked += before != STANDS_IN_JOB && before != STANDS_WAITING;
    outcome->queued += before == STANDS_IN_JOB || before == STANDS_WAITING;
    runs[i].standing = STANDS_BLOCKED;
  }
  return error->code ? NULL : runs;
}

static size_t root_of(const struct run_standing *runs, size_t i) {
  while (runs[i].parent != SIZE_MAX) i = runs[i].parent;
  return runs[i].with;
}

// Trainings that begin from one another's checkpoints go into one job.
void join_trunks(const struct plan *plan, struct run_standing *runs) {
  struct trunk_savings savings = {0};
  size_t count, groups;
  if (!spec_shares_trunks(plan->spec)) return;
  for (size_t i = 0; i < plan->count; i++) {
    struct planned_run run;
    if (runs[i].standing != STANDS_MISSING) continue;
    plan_run_quick(plan, i, &run);
    if (!run.stage && run.resolved)
      trunk_savings_add(&savings, i, &run.config, run.corpus->facts.digest, run.quantities.flops, NAN);
  }
  struct trunk_branch *branches = trunk_branches(&savings, false, &count, &groups);
  for (size_t i = 0; i < count; i++) runs[branches[i].run].with = branches[i].trunk;
  for (size_t i = 0; i < plan->count; i++)  // a branch may be another's trunk
    while (runs[runs[i].with].with != runs[i].with) runs[i].with = runs[runs[i].with].with;
  free(branches);
  trunk_savings_free(&savings);
}

// The missing runs in tasks: a training, all that follows it and all that shares its trunk stay together.
struct submitted_task *bundle(const struct run_standing *runs, size_t count, int64_t per_job, struct arena *arena,
                              size_t *task_count) {
  size_t *sizes = arena_array(arena, count, sizeof *sizes), *task_of = arena_array(arena, count, sizeof *task_of);
  size_t tasks = 0, held = 0;
  for (size_t i = 0; i < count; i++) sizes[root_of(runs, i)] += runs[i].standing == STANDS_MISSING;
  for (size_t i = 0; i < count; i++) {
    if (!sizes[i]) continue;
    if (held == 0 || held + sizes[i] > (size_t)per_job) {
      tasks++;
      held = 0;
    }
    task_of[i] = tasks - 1;
    held += sizes[i];
  }
  struct submitted_task *list = arena_array(arena, tasks + 1, sizeof *list);
  for (size_t i = 0; i < count; i++) list[task_of[i]].run_count += sizes[i];
  for (size_t i = 0; i < tasks; i++) {
    list[i].runs = arena_array(arena, list[i].run_count + 1, sizeof *list->runs);
    list[i].stops = arena_array(arena, list[i].run_count + 1, sizeof *list->stops);
    list[i].run_count = 0;
  }
  for (size_t i = 0; i < count; i++) {
    if (runs[i].standing != STANDS_MISSING) continue;
    struct submitted_task *task = &list[task_of[root_of(runs, i)]];
    task->stops[task->run_count] = runs[i].stop_step;
    task->runs[task->run_count++] = runs[i].id;
  }
  for (size_t i = 0; i < tasks; i++) {
    bool any = false;
    for (size_t j = 0; j < list[i].run_count; j++) any = any || list[i].stops[j];
    if (!any) list[i].stops = NULL;
  }
  *task_count = tasks;
  return list;
}
