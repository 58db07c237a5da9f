// Runs as a person names them on the command line: by the beginnings of their ids, by their experiment, by a condition.
#pragma once
#include "base/base.h"
#include "results/store.h"

// An experiment alone, runs by the beginnings of their ids, or with `where` those runs of the experiment (or of the
// whole store) for which the condition of `isoloss runs` holds.
struct runs_request {
  const char *const *names;
  size_t count;
  const char *where;  // or NULL
};

struct named_run {
  const char *id;
  enum run_state state;
  enum run_mark mark;
};

struct named_runs {
  struct arena arena;
  const char *experiment;  // when it was named without a condition
  struct named_run *runs;  // each once, in the order of the names, of the experiment or of the store
  size_t count, room;
};

// False with an error (bad usage, with the nearest name) when a name means nothing or the condition holds for no run.
// named_runs_free in either case.
bool named_runs_find(struct named_runs *named, struct store *store, const struct runs_request *request,
                     struct error *error);
void named_runs_free(struct named_runs *named);
