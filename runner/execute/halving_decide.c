// Decisions of halving for runs that are trained elsewhere; see coordinator_halving.h.
#include <stdlib.h>
#include <string.h>

#include "runner/execute/coordinator_halving.h"

// The job as the store has it: nobody looks for workers, and what follows a run is left to the caller.
static bool read_job(struct coordinator *c, size_t i, struct error *error) {
  struct job *job = &c->jobs[i];
  job->index = i;
  coordinator_describe(c, job);
  memcpy(job->id, c->described.file.id, sizeof job->id);
  job->parent = job->child = job->sibling = job->trunk = job->branch = job->next_branch = NO_JOB;
  struct value id = store_text(job->id);
  struct store_rows *rows = store_select(
      c->store, "SELECT r.state, m.mark FROM runs r LEFT JOIN marks m ON m.run = r.id WHERE r.id = ?1", &id, 1, error);
  if (rows && store_rows_next(rows, error)) {
    struct value mark = store_rows_value(rows, 1);
    job->state = run_state_parse(store_rows_value(rows, 0).text);
    job->mark = mark.kind == VALUE_TEXT ? run_mark_parse(mark.text) : MARK_NONE;
  }
  store_rows_close(rows);
  return !error->code;
}

bool halving_decide(const struct coordinator_set *set, const struct coordinator_options *options, struct store *store,
                    struct halving_standing *standings, struct error *error) {
  struct coordinator *c = memory_get(sizeof *c);
  c->set = set;
  c->options = options;
  c->store = store;
  c->set_count = c->job_count = set->count;
  c->jobs = arena_array(&c->arena, set->count, sizeof *c->jobs);
  c->queue = arena_array(&c->arena, set->count, sizeof *c->queue);
  c->retries = arena_array(&c->arena, set->count, sizeof *c->retries);
  c->progress =
      progress_start(options->messages ? options->messages : stderr, options->experiment->name, options->quiet);
  bool fine = true;
  for (size_t i = 0; i < set->count && fine; i++) fine = read_job(c, i, error);
  fine = fine && coordinator_halving_begin(c, error);
  for (size_t i = 0; i < set->count && fine; i++)
    standings[i] = (struct halving_standing){c->jobs[i].rung_step, c->jobs[i].waiting, c->jobs[i].halved};
  progress_end(&c->progress);
  arena_free(&c->arena);
  free(c);
  return fine;
}
