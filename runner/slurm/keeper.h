// What continues next to the coordinator of a job: it keeps the task's lease, watches the job's time, and tells the
// coordinator what is asked of its runs. The thread of its own writes nothing but the lease and the job's private
// store.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "runner/slurm/lease.h"

struct keeper {
  struct lease *lease;
  const char *home, *store_path;
  const char *const *ids;  // runs, [count]
  size_t count;
  double deadline;  // seconds since 1970, when the runs are asked to stop; 0: none
  bool time_over;   // they were, for this or by SIGUSR1
  // its own
  pthread_t thread, coordinator;
  atomic_bool ending;
};

// SIGUSR1, which says that the job's time ends, means the same as SIGTERM from here on.
void keeper_signals(void);
bool keeper_start(struct keeper *keeper, struct error *error);
void keeper_stop(struct keeper *keeper);
