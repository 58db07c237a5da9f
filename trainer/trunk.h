// Shared trunks: trainings that differ in nothing but their length are the same to the bit until the learning rate
// begins to depend on it. A shorter one may begin from the checkpoint that a longer one, the trunk, wrote there: its
// result is that of the same run trained alone. It is a way of execution, no part of a run's identity.
// docs/running.md is the manual.
#pragma once
#include "trainer/config.h"

// The optimizer steps of a resolved training that no longer run of the same settings trains otherwise: those before the
// cooldown (wsd), all but the last (constant). 0: there are none, trunk_hindrance says why.
int64_t trunk_steps(const struct run_config *resolved);
// Why trunk_steps is 0, as the end of "cannot share a trunk: ..."; NULL where it is not.
const char *trunk_hindrance(const struct run_config *resolved);
// A hash of all that these steps and what events tell of them depend on: two trainings of one key are the same for the
// lesser of their trunk_steps. Length, schedule and cooldown are left out of it, and without `warmup` the steps that
// warm up, for which their share of the length then stands.
struct digest trunk_key(const struct run_config *resolved, const char *corpus_digest, bool warmup);
