// Trainings that share a trunk (trainer/trunk.h), in groups; and what that saves.
#pragma once
#include "runner/plan/plan.h"

struct trunk_member {
  uint64_t key;           // of trunk_key; equal where a trunk can be shared
  int64_t shared, steps;  // that others may share; in all
  size_t number;          // the caller's
};
// What a resolved training shares; false where it shares nothing. `number` is left to the caller.
bool trunk_member_of(const struct run_config *resolved, const char *corpus_digest, struct trunk_member *member);
// Brings those of one key together, first that which shares most: the trunk of the others.
void trunk_members_sort(struct trunk_member *members, size_t count);
// How many of them, from the first on, have the first one's key.
size_t trunk_members_group(const struct trunk_member *members, size_t count);

// What sharing saves of the trainings that are to be done.
struct trunk_savings {
  struct trunk_costs {
    struct trunk_member member, by_share;  // by_share: where warm-up were no share of the length
    size_t number;                         // the caller's
    double flops, seconds;                 // of the whole training
    char done[40];                         // the id of one that is done, from whose checkpoints others may begin; or ""
  } * runs;
  size_t count, capacity;
  double flops;  // of all trainings added
};
struct trunk_saved {
  size_t groups, branches;
  double flops, seconds;  // that need not be trained; seconds NAN where not known
};
// Adds a resolved training, which the caller knows by `number`; one that shares nothing counts in the FLOPs alone.
void trunk_savings_add(struct trunk_savings *savings, size_t number, const struct run_config *resolved,
                       const char *corpus_digest, double flops, double seconds);
// Adds one that is done: others begin from the checkpoints that it still has in the home.
void trunk_savings_add_done(struct trunk_savings *savings, size_t number, const struct run_config *resolved,
                            const char *corpus_digest, const char *id);
// A training that begins from another's checkpoint, after so many of its steps; runs by the callers' numbers.
struct trunk_branch {
  size_t run, trunk;
  int64_t step, steps;    // steps: of the branch, in all
  double flops, seconds;  // of the branch, in all
};
// All of them, [*count]; the caller frees them. *groups gets the number of trunks.
struct trunk_branch *trunk_branches(const struct trunk_savings *savings, bool by_share, size_t *count, size_t *groups);
// `by_share`: what would be saved if runs that differ in warm-up for their length alone shared a trunk as well.
struct trunk_saved trunk_savings_find(const struct trunk_savings *savings, bool by_share);
// Says so below a plan: what is saved, and what else would be and how.
void trunk_savings_print(const struct trunk_savings *savings, const struct plan *plan, FILE *out);
void trunk_savings_free(struct trunk_savings *savings);
