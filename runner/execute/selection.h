// Which runs a command speaks of: those of a spec (what is not trained yet is pending), of an experiment of the store,
// or all of the store.
#pragma once
#include "base/base.h"
#include "base/options.h"
#include "results/store.h"
#include "runner/execute/coordinator.h"
#include "runner/plan/plan.h"
#include "runner/spec/spec.h"

struct selection {
  struct store *store;     // the home's, or a private one with the plan's runs and what the home's knows of them
  const char *experiment;  // NULL: all runs
  struct spec spec;        // when made from a spec
  struct plan plan;
  bool planned;
};

// `argument`: path of a spec, name of an experiment, or NULL. selection_close in either case.
bool selection_open(struct selection *selection, const char *argument, const struct spec_choices *choices,
                    struct error *error);
// The plan of a spec, also of one that is named as an experiment of the store (as it was stored).
bool selection_plan(struct selection *selection, const char *named, const struct spec_choices *choices,
                    struct error *error);
// A private store with the plan's runs and what the home's knows of them; NULL with an error.
struct store *store_of_plan(const struct plan *plan, struct error *error);
void selection_close(struct selection *selection);

// The runs of a plan, as the coordinator asks for them. plan_set_begin checks that every run has an id.
struct plan_set {
  const struct plan *plan;
  struct arena arena;
  const char *command;  // JSON array of a custom trainer, or NULL
  struct planned_run run;
};
bool plan_set_begin(struct plan_set *set, const struct plan *plan, struct error *error);
// Marks the runs for which the condition holds, [plan->count] in the set's arena. The condition is that of `isoloss
// runs`, over what the plan and the home's store know of each run. Bad usage when it holds for none.
bool plan_set_choose(struct plan_set *set, const char *where, bool **chosen, struct error *error);
// The runs whose ids begin so, full ids, in the set's arena; each of at least 4 characters names one run of the plan.
// Of those that are not `chosen` (NULL: all are) it is bad usage.
bool plan_set_find(struct plan_set *set, const struct option_list *prefixes, const bool *chosen, const char ***ids,
                   struct error *error);
void plan_set_describe(void *plan_set, size_t i, struct coordinator_run *run);
void plan_set_end(struct plan_set *set);
