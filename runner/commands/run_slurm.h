// isoloss run --executor slurm.
#pragma once
#include "runner/slurm/executor.h"

// Collects and submits, and prints the outcome in words unless `json` is set.
enum exit_code run_slurm(const struct slurm_request *request, bool json, struct error *error);
// An error when jobs have runs of the set that are not finished.
bool run_refuses_slurms(const struct plan_set *set, const char *home, struct error *error);
