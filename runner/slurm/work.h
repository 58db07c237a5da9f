// What a job does: the local executor inside an allocation of Slurm's.
#pragma once
#include "base/base.h"

// Trains the runs of task `task` of the submission in this folder that are not finished and nobody else has: as many
// side by side as the allocation's cores and GPUs hold, with a private store that is thrown away. It writes into the
// runs' own folders and the submission's: never into the home's store. SIGTERM, SIGUSR1 and the end of the job's time
// stop the runs, which write a checkpoint first. EXIT_DONE also where another job is at work on the task.
enum exit_code slurm_work(const char *folder, int64_t task, struct error *error);
