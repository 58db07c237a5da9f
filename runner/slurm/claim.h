// Which task has a run's folder: a task that Slurm starts twice, and a run that two tasks have, are trained once.
//
// RUN/claim-G names the task, as "SUBMISSION/K"; it holds while that task's lease does. RUN/verdict.json is what the
// task's job says of a run that did not come to a result: its event log has the results. RUN/held, written by whoever
// follows the marks of the store, asks the job to leave the run, or to stop it.
#pragma once
#include "results/store.h"
#include "runner/slurm/lease.h"

struct claim {
  char task[160];  // "" where nobody ever claimed the run
  int generation;
  struct lease_holder holder;  // of the task's lease
};
// Who has the run, and whether the task's lease holds. `base` is HOME/slurm; `now` from lease_now(base).
struct claim claim_look(const char *folder, const char *base, double now);
// Claims the run's folder (made if missing) for the task. False without an error when another task has it: *claim says
// which.
bool claim_take(const char *folder, const char *base, const char *task, double now, struct claim *claim,
                struct error *error);

struct verdict {
  char task[160];
  enum run_state state;
  int64_t attempts;
  const char *message;  // in the arena; NULL: none
};
bool verdict_write(const char *folder, const struct verdict *verdict, struct error *error);
// False where there is none that can be read.
bool verdict_read(const char *folder, struct verdict *verdict, struct arena *arena);

// What is asked of a run by its folder: MARK_NONE, MARK_PAUSED or MARK_CANCELLED, and by whom.
enum run_mark held_read(const char *folder, char by[96]);
// Asks it, or takes it back (MARK_NONE). Nothing is written where it is so already.
bool held_write(const char *folder, enum run_mark mark, const char *by, struct error *error);
