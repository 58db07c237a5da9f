// The script of a job array.
#pragma once
#include "runner/slurm/submission.h"
#include "runner/spec/slurm.h"

// The text of job.sh: the profile as #SBATCH lines, the prologue as it is, and the command that works on a task's runs.
void script_write(const struct slurm_profile *profile, const struct submission *submission, struct text *out);
