// Trainings that share a trunk (trainer/trunk.h), in groups; and what that saves.
#pragma once
#include "runner/plan/plan.h"

enum { NO_TRUNK = -1 };

struct trunk_member {
  // By kind, of those of the same length and of any: of trunk_key, equal where a trunk can be shared; the steps that
  // others may share, 0: none.
  uint64_t exact, key;
  int64_t shared_exact, shared;
  int64_t steps;  // in all
  size_t number;  // the caller's
  // Set by the caller: whether it is to be trained or under way, so that others may wait for it; and whether it may
  // begin from another's checkpoint, as it is to be trained and has not begun.
  bool leads, branches;
  // Found: the member that it begins from, by its place, and after which of its steps.
  ptrdiff_t from;
  int64_t step;
};
// What a resolved training shares; false where it shares nothing. What the caller sets is left to it.
bool trunk_member_of(const struct run_config *resolved, const char *corpus_digest, struct trunk_member *member);
// Whether a member's checkpoint after this step is there already.
typedef bool trunk_has_checkpoint(void *context, size_t number, int64_t step);
// Sorts the members, and finds for each what it begins from: that which saves most. Of those of the same length the one
// that shares most leads the others; of the leaders of one key, again, that which shares most; so a branch may be
// another's trunk. `has` may be NULL: nothing is there yet.
void trunk_members_link(struct trunk_member *members, size_t count, trunk_has_checkpoint *has, void *context);

// What sharing saves of the trainings that are to be done.
struct trunk_savings {
  struct trunk_costs {
    struct trunk_member member, by_share;  // by_share: where warm-up were no share of the length
    size_t number;                         // the caller's
    double flops, seconds;                 // of the whole training
    double shared_flops;                   // of one of its steps that others share
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
  double flops, seconds;  // that need not be trained
};
// All of them, [*count]; the caller frees them. *groups gets the number of trunks.
struct trunk_branch *trunk_branches(const struct trunk_savings *savings, bool by_share, size_t *count, size_t *groups);
// `by_share`: what would be saved if runs that differ in warm-up for their length alone shared a trunk as well.
struct trunk_saved trunk_savings_find(const struct trunk_savings *savings, bool by_share);
// Says so below a plan: what is saved, and what else would be and how.
void trunk_savings_print(const struct trunk_savings *savings, const struct plan *plan, FILE *out);
void trunk_savings_free(struct trunk_savings *savings);
