// What is looked at before any run of a plan is started.
#pragma once
#include "runner/execute/gpus.h"
#include "runner/plan/plan.h"

// `chosen`: [plan->count], the runs that are meant; NULL: all.
// True when every run is done or diverged: nothing is left to train, and this machine's speed need not be measured.
bool plan_finished(const struct plan *plan, const bool *chosen);
// False and an error when the content of a corpus is not what its digest says: the runs would have losses of other
// data.
bool plan_verify_corpora(const struct plan *plan, struct error *error);
// False and an error when a run that is not finished needs more than `bytes` of this machine's memory, which is what
// `limit` says ("this machine"). Plans for GPUs and a custom trainer's runs are not looked at.
bool plan_fits_memory(const struct plan *plan, const bool *chosen, double bytes, const char *limit,
                      struct error *error);
// False and an error when a run needs more memory than any of the GPUs has. GPUs whose memory is not known are not
// looked at, nor are a custom trainer's runs.
bool plan_fits_gpus(const struct plan *plan, const bool *chosen, const struct gpu_list *gpus, struct error *error);
