// The executor that hands runs to Slurm: what `isoloss run --executor slurm` does.
#pragma once
#include <stdio.h>

#include "base/base.h"
#include "runner/execute/provenance.h"
#include "runner/execute/selection.h"
#include "runner/spec/slurm.h"

struct slurm_request {
  struct plan_set *set;
  const bool *chosen;                      // [plan->count]; NULL: all
  const struct provenance_source *source;  // git revisions, for what the runs keep
  struct option_list options;              // --set, as given
  const char *home;
  int64_t retries;
  bool keep_going, retry_failed;
  bool dry_run;  // print the scripts on standard output, and change nothing
  bool follow;   // collect and submit until nothing is left
  bool quiet;
};

struct slurm_outcome {
  size_t total, done, diverged, failed, held;  // runs of the set that are chosen
  size_t at_work, queued;                      // in Slurm's hands: in jobs at work, in jobs that wait
  size_t submitted, jobs;                      // by this call: runs, and the jobs that have them
  size_t blocked;                              // follow a run that failed or diverged
  size_t no_room;                              // wait for Slurm to have room for more jobs
  size_t cancelled;                            // left out: not in `total`
  char words[500];                             // on all jobs of the home
  bool interrupted;
};

// The profile for a spec: what ~/.config/isoloss/slurm.yaml ($XDG_CONFIG_HOME) says, and the spec's `run: {slurm: ...}`
// over it.
bool slurm_profile_of(const struct spec *spec, struct slurm_profile *profile, struct arena *arena, struct error *error);

// Collects what jobs did, then submits the runs that are missing and in no job's hands. EXIT_DONE when every run is
// done, diverged or in Slurm's hands; EXIT_RUNS_FAILED when some failed or are held.
enum exit_code slurm_run(const struct slurm_request *request, struct slurm_outcome *outcome, struct error *error);

// How many of the set's runs that are not finished are in the hands of jobs, by the files of the home alone: a local
// coordinator must not train them.
bool slurm_has_runs(const struct plan_set *set, const char *home, size_t *count, struct error *error);
