// A plan on paper: the table for people, the JSON document for scripts.
#pragma once
#include <stdio.h>

#include "results/store.h"
#include "runner/plan/plan.h"

// What the store knows of a run of the plan.
struct run_outcome {
  enum run_state state;                      // RUN_PENDING when the store does not know it
  double loss, bits_per_byte, wall_seconds;  // NAN: not known
  double halved_at;                          // share of its steps at which halving stopped it; NAN: it did not
};
// `store` may be NULL. False only when the store cannot be read.
bool run_outcome_find(struct store *store, const char *id, struct run_outcome *outcome, struct error *error);

// The table, at most `limit` runs of it (0: all), with parameters by component when `counts`, then totals and notes.
bool plan_print_table(const struct plan *plan, struct store *store, bool counts, size_t limit, FILE *out,
                      struct error *error);
// The array of design.md's contract: one object a run.
bool plan_print_json(const struct plan *plan, struct store *store, FILE *out, struct error *error);
