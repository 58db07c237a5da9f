// The scripts that Slurm gets.
#pragma once
#include "base/options.h"
#include "runner/slurm/submission.h"
#include "runner/spec/slurm.h"

// The text of job.sh: the profile as #SBATCH lines, the prologue as it is, and the command that works on a task's runs.
void script_write(const struct slurm_profile *profile, const struct submission *submission, struct text *out);

// The small job that collects, and submits what is missing, once arrays have ended.
struct follow_up {
  const char *folder, *home, *experiment, *preset, *job_name;
  const char *arrays;  // "12:13"
  struct option_list set;
  int64_t retries;
  bool keep_going;
};
void script_follow_up(const struct slurm_profile *profile, const struct follow_up *follow, struct text *out);
