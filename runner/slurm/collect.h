// Reading what jobs of Slurm's did into the store. One process at a time does, wherever it is started: it holds the
// lease HOME/slurm/collector, and on its own machine the home's lock.
#pragma once
#include <stdio.h>

#include "results/store.h"
#include "runner/slurm/lease.h"
#include "runner/slurm/queue.h"
#include "runner/slurm/submission.h"

// How a task stands.
enum task_state { TASK_QUEUED, TASK_AT_WORK, TASK_ENDED };
struct task_view {
  enum task_state state;
  const struct queued *queued;  // what Slurm says; NULL: nothing
  struct lease_holder holder;   // of its lease
};

// Tasks that ended, by why.
struct task_counts {
  size_t queued, at_work;
  size_t ended[SLURM_ENDS];
  size_t restarts;       // begun again: requeued by Slurm
  size_t never_started;  // failed before isoloss work began
  size_t strange;        // in a state that we do not know: left alone
};

// A run and the last task that has it.
struct submitted_run {
  const char *id;
  size_t submission, task;
};

struct collection {
  struct arena arena;
  const char *home, *base;
  struct submission *submissions;
  size_t count;
  struct task_view **tasks;  // [count][task_count]
  struct queue queue;        // asked only where a submission is open
  struct submitted_run *runs;
  size_t run_count;  // sorted by id
  struct task_counts counts;
};

// The right to write: the collector's lease and the home's lock.
struct collector {
  struct lease lease;
  int lock;
};
// LEASE_HELD: somebody else collects (told by *holder), or a local `isoloss run` is at work on the home.
enum lease_answer collector_begin(struct collector *collector, struct arena *arena, const char *home,
                                  struct lease_holder *holder, struct error *error);
void collector_end(struct collector *collector);

// Looks at all submissions of the home, and asks Slurm where one is open. Changes nothing. collection_free in either
// case.
bool collection_look(struct collection *collection, const char *home, struct error *error);
// Reads event logs and verdicts into the store, notes which tasks have ended, and hands marks to jobs. Under the
// collector's right. `messages` (NULL: nobody) is told what happened to runs.
bool collection_read(struct collection *collection, struct store *store, FILE *messages, struct error *error);
void collection_free(struct collection *collection);
// The run's last task; NULL: it was never submitted.
const struct submitted_run *collection_find(const struct collection *collection, const char *id);
const struct task_view *collection_task(const struct collection *collection, const struct submitted_run *run);

// Hands the store's marks to the jobs of open submissions and cancels tasks in which nothing is left to do.
bool collection_hand_marks(struct collection *collection, struct store *store, struct error *error);
// The same for whoever has just set marks; where nothing was ever submitted, nothing.
bool slurm_follow_marks(const char *home, struct store *store, struct error *error);
// One line on the tasks, without its end: "3 jobs at work, 5 wait, 2 reached their time limit"; "" without submissions.
void collection_words(const struct collection *collection, struct text *out);
