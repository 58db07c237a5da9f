// Successive halving over a plan's runs: who competes with whom, and at which steps the worst are stopped. Which they
// are, runner/execute decides by their losses.
#pragma once
#include "runner/plan/plan.h"

struct halving_group {
  size_t *runs;  // [count] of the plan, in its order: they differ in the axes of `over` and `average_over` alone
  size_t count;
  size_t *candidates;             // [count] which of the candidates each run is of: what continues, or not, as one
  size_t candidate_count;         // as many as runs, unless the rule averages over seeds, say
  int64_t steps;                  // of each
  int64_t rungs[HALVING_RUNGS];   // step of each rung; the losses there are those of the last evaluation up to it
  size_t survive[HALVING_RUNGS];  // how many candidates go on from it
  double trained;                 // share of all its runs' steps that are trained
};

struct plan_halving {
  const struct spec_halving *rule;
  const char *over;     // "train.lr", or "train.lr and train.beta2"
  const char *average;  // "seed", what candidates are means over; NULL: over nothing
  struct halving_group *groups;
  size_t group_count;
  size_t alone;         // runs that nobody competes with: trained to their ends
  size_t unresolved;    // runs of which nothing is known until the corpus is prepared
  double flops, saved;  // of the runs in groups, trained to their ends; what halving saves of them. NAN: not known
  bool stops_by_step;   // the trainer stops at a step that it is told; else it is asked to when it is there
};

// The groups of a plan whose spec has halving, in the plan's arena; plan->halving stays NULL without. False after
// diagnostics: nobody competes, lengths differ, or a rung has no evaluation.
bool plan_halving_make(struct plan *plan, struct diagnostics *diagnostics);
// For each run of the plan the share of its steps that halving leaves, on average of those it competes with; 1 without
// competitors. The caller frees it; NULL without halving.
double *plan_halving_shares(const struct plan *plan);
// Steps that a competitor at this step still trains, on average of those that are as far: all of them up to the next
// rung, a share beyond it.
double halving_steps_left(const struct halving_group *group, size_t rung_count, int64_t step);
// "halving over train.lr: 4 groups of 3 to 5 runs, ...", with the compute that it saves; nothing without halving.
void plan_print_halving(const struct plan *plan, FILE *out);
