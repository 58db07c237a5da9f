// Submitting tasks as job arrays.
#pragma once
#include "base/options.h"
#include "runner/plan/plan.h"
#include "runner/slurm/submission.h"
#include "runner/spec/slurm.h"

struct submit_request {
  const struct plan *plan;
  const struct slurm_profile *profile;
  const char *home;
  const struct provenance_source *source;  // NULL: not known
  struct option_list set;
  int64_t retries;
  bool keep_going;
  bool dry_run;  // prints the scripts on standard output
};
// Submits the tasks in as many arrays as Slurm's MaxArraySize asks for, as far as MaxJobCount leaves room; *begun tells
// how many of them, from the first, are in Slurm's hands or may be. In the arena.
bool submit_tasks(const struct submit_request *request, struct arena *arena, struct submitted_task *tasks, size_t count,
                  size_t *begun, struct error *error);
