// Removing runs: which ones, what goes with them, and doing it.
#pragma once
#include "base/base.h"
#include "results/store.h"
#include "runner/execute/named_runs.h"

struct removal_run {
  const char *id, *state, *folder;
  const char **experiments;  // that it belongs to
  size_t experiment_count;
  double bytes;  // of its folder, links not followed
  bool alive;    // a worker is at work on it
};

struct removal {
  struct arena arena;
  const char *experiment;  // removed with its claims and fits, or NULL
  struct removal_run *runs;
  size_t count, alive;
  const char **kept;  // runs of the experiment that stay, since other experiments have them too
  size_t kept_count;
  size_t fits, claims;  // of the experiment
  size_t orphans;       // runs of later stages that stay and follow one that goes
  double bytes;
};

// Finds what the request means and changes nothing: an experiment goes with the runs that it alone has. False with an
// error when it names nothing. removal_free in either case.
bool removal_find(struct removal *removal, struct store *store, const char *home, const struct runs_request *request,
                  struct error *error);
// Removes the rows in one transaction, then the folders. Nothing is removed when a worker is at work on any of the
// runs. The caller holds the home's lock, and found `removal` since. An error of a folder tells that the rows are gone.
bool removal_do(const struct removal *removal, struct store *store, struct error *error);
void removal_free(struct removal *removal);
