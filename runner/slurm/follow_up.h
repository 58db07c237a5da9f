// The job that follows arrays: `isoloss run` once more, so that what waits for them is submitted when they have ended.
#pragma once
#include "runner/slurm/executor.h"

// Whether the profile asks for one, or else the plan's runs wait at rungs of halving.
bool follow_up_wanted(const struct slurm_profile *profile, const struct plan *plan);
// Submits it for these arrays ("12:13"; "" where their numbers are not known: then none is); its script and output are
// in the submission's folder. In a dry run it is printed.
bool follow_up_submit(const struct slurm_profile *profile, const struct slurm_request *request, const char *arrays,
                      const char *folder, struct arena *arena, struct error *error);
