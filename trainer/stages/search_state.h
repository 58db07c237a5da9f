// Where a search is: what its next generation depends on, and what its events and its end tell. Kept in the run's
// folder while it is at work, so that one that was stopped or killed goes on to the same bits.
#pragma once
#include "trainer/stages/work.h"

struct search_state {
  int64_t generation;  // done so far
  int64_t asked;       // evaluations
  int64_t tokens;      // gone forward, three times those trained on included
  int64_t trained;     // tokens that candidates were trained on
  double worth;        // of the choice; NAN: not known
  double seconds;      // of the run
  int64_t log_size;    // bytes of the event log before
  int count;
  int *choice;  // [count], the caller's or the arena's
};

// Writes the state, after the log is made durable.
bool search_state_write(struct stage_work *work, struct search_state *state, struct error *error);
// Whether there is a whole one of this very run, whose log is there; in the run's arena.
bool search_state_read(struct stage_work *work, struct search_state *state);
void search_state_remove(struct stage_work *work);
