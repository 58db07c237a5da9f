// How jobs of Slurm's stand, for whoever shows it.
#pragma once
#include "runner/slurm/collect.h"

struct slurm_status {
  struct arena arena;
  bool any;           // something was ever submitted from this home
  bool collected;     // what the jobs did is in the store now
  const char *why;    // ... or why it is not: somebody else collects, the home may only be read; NULL
  const char *said;   // what squeue said in place of an answer; NULL
  const char *words;  // as collection_words has them
  struct task_counts counts;
};
// Collects, where the right to is free, else only looks: no lock is waited for, and an error only means `why`. Where
// nothing was ever submitted this costs one look at a folder.
void slurm_status_take(struct slurm_status *status, const char *home);
void slurm_status_free(struct slurm_status *status);
// An object, or null where nothing was submitted: collected, answered, at_work, queued, restarts, strange, ended.
void slurm_status_json(const struct slurm_status *status, struct json_writer *json);
// False with an error when jobs are at work on any of these runs: `what` is not to be done to them ("removed"). The
// locks of workers, which others ask for, do not reach to all machines.
bool slurm_leaves_alone(const char *home, const char *const *ids, size_t count, const char *what, struct error *error);
// The machine on which a job works on the run, in the arena; NULL: none does, as far as its lease says.
const char *slurm_run_host(struct arena *arena, const char *home, const char *id);
