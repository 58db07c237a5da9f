// How the runs of a plan stand with Slurm, and which of them go into which job.
#pragma once
#include "runner/execute/coordinator_halving.h"
#include "runner/slurm/collect.h"
#include "runner/slurm/executor.h"

// How each run of the set stands.
enum standing {
  STANDS_DONE,
  STANDS_FAILED,
  STANDS_HELD,
  STANDS_IN_JOB,
  STANDS_BLOCKED,
  STANDS_MISSING,
  STANDS_HALVED,
  STANDS_WAITING,
  STANDS_LEFT_OUT
};

struct run_standing {
  const char *id;
  size_t parent;  // SIZE_MAX: none
  size_t with;    // the run in whose job it goes; itself, or one whose checkpoints it begins from
  int64_t stop_step;
  enum standing standing;
};

// [plan->count] in the arena, with the outcome's counts. The store may be NULL: then nothing was ever trained.
// `halving` [plan->count]: what has been decided; NULL: nobody competes, or it is not known.
struct run_standing *find_missing(const struct slurm_request *request, const struct collection *collection,
                                  struct store *store, const struct halving_standing *halving, struct arena *arena,
                                  struct slurm_outcome *outcome, struct error *error);
// Trainings that begin from one another's checkpoints go into one job.
void join_trunks(const struct plan *plan, struct run_standing *runs);
// The missing runs in tasks: a training, all that follows it and all that shares its trunk stay together.
struct submitted_task *bundle(const struct run_standing *runs, size_t count, int64_t per_job, struct arena *arena,
                              size_t *task_count);
