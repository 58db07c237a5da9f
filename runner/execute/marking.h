// Pausing, resuming, cancelling runs and trying them again: marks in the store, which a coordinator at work follows
// within a second and the next one from its start. No command here writes anything else of a run.
#pragma once
#include "base/base.h"
#include "results/store.h"
#include "runner/execute/named_runs.h"

enum marking_verb { MARKING_PAUSE, MARKING_RESUME, MARKING_CANCEL, MARKING_RETRY };

// What a command does to one run.
struct marked_run {
  struct named_run run;  // as it was
  enum run_mark becomes;
  bool changed;
  bool alive;             // a worker is at work on it
  bool signalled;         // which was asked to stop by us, since no coordinator is there
  const char *unchanged;  // why nothing changed, for one run: "done: a result"; NULL: something did
};

struct marking {
  struct arena arena;
  struct named_runs named;
  struct marked_run *runs;
  size_t count, changed;
};

// Finds what the command would do and changes nothing. marking_free in either case.
bool marking_find(struct marking *marking, struct store *store, const char *home, enum marking_verb verb,
                  const struct runs_request *request, struct error *error);
// Writes the marks in one transaction. A worker of a run that is now held is asked to stop (SIGTERM) when no
// coordinator is at work on the home who would; it writes its checkpoint first.
bool marking_do(struct marking *marking, struct store *store, const char *home, struct error *error);
void marking_free(struct marking *marking);
