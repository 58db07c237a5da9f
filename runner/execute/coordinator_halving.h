// Successive halving inside the coordinator: runs that compete stop at a rung and wait there; once all of them have
// come or ended, the best go on. What is decided is in the store (table halvings), is made once, and follows from
// the losses alone, whatever the order in which the runs came, the slots, or who was killed.
#pragma once
#include "runner/execute/coordinator_state.h"

// A group of the plan, as far as it is decided.
struct competition {
  const struct halving_group *group;
  char id[40];     // hash of its runs and of the rule
  bool *out;       // [group->count] does not go on
  bool *absent;    // [group->count] ... since the others' losses were compared without it
  size_t decided;  // rungs
  bool told;       // that nothing could be compared
};

struct halving {
  const struct plan_halving *plan;
  struct competition *competitions;
  size_t count;
  size_t *of_job;  // [set_count] 1 + its competition; 0: none
};

enum arrival { ON_THE_WAY, ARRIVED, ENDED_BEFORE };
// Whether a member has come to its competition's next rung.
bool competition_arrival(const struct coordinator *c, const struct competition *one, size_t member,
                         enum arrival *arrival, struct error *error);
// Decides the next rung when all members have come, or reads what was decided, and sets `out`; *done says whether.
bool competition_decide(struct coordinator *c, struct competition *one, bool *done, struct error *error);

// ---- what the coordinator calls; all of them do nothing without halving ----

// After the runs are registered: takes out of the queue what waits or is stopped.
bool coordinator_halving_begin(struct coordinator *c, struct error *error);
// Has the worker of the built-in trainer stop at its job's rung.
void coordinator_halving_command(const struct coordinator *c, const struct job *job, struct arena *arena,
                                 struct worker_command *command);
// The part of a run's work that is left at this step, on average of those that it competes with; `alone`: without any.
double coordinator_halving_left(const struct coordinator *c, const struct job *job, int64_t step, double alone);
// Asks a worker beyond its rung to stop.
void coordinator_halving_watch(struct worker *worker);
// Whether a worker ended since its run has come to its rung; and what becomes of the run then, in the transaction.
bool coordinator_halving_arrived(const struct coordinator *c, const struct worker *worker);
bool coordinator_halving_wait(struct coordinator *c, struct worker *worker, struct error *error);
// A run that was decided without, and may be trained again: it is not, and says so.
bool coordinator_halving_left_out(struct coordinator *c, struct job *job, struct error *error);
// What halving decides of a set by its store alone, without training: by whoever collects from other machines' workers.
struct halving_standing {
  int64_t stop_step;     // of the next rung that the run must wait at; 0: none
  bool waiting, halved;  // it waits there, for others that are not there yet; it does not go on
};
// [set->count] into `standings`. Decisions, and the ends of runs that they stop, are written to the store.
bool halving_decide(const struct coordinator_set *set, const struct coordinator_options *options, struct store *store,
                    struct halving_standing *standings, struct error *error);

// After a worker was settled: decides what can be decided, and queues those that go on.
bool coordinator_halving_next(struct coordinator *c, const struct job *job, struct error *error);
