// Shared trunks: trainings that differ only in what comes later are the same to the bit until it does. One may begin
// from the checkpoint that another, the trunk, wrote there: its result is that of the same run trained alone. It is a
// way of execution, no part of a run's identity. docs/running.md is the manual.
#pragma once
#include "trainer/config.h"

// What two trainings of one key may differ in besides what comes at their ends: the format that begins after a
// full-precision phase, and what is averaged.
enum trunk_kind {
  TRUNK_SAME_LENGTH,  // nothing: their schedules and lengths are the same, whatever the schedule
  TRUNK_ANY_LENGTH,   // their length, schedule and cooldown, as long as the learning rate does not depend on it
  TRUNK_BY_SHARE,     // also in the steps that warm up, where these are a share of the length: if they did not
  TRUNK_KINDS,
};

// The optimizer steps of a resolved training that no other of the same key trains otherwise: those before its format
// begins and before the first weights that it averages; of those of the same length all but the last, else those before
// the cooldown (wsd) or all but the last (constant). 0: there are none, trunk_hindrance says why.
int64_t trunk_steps(const struct run_config *resolved, enum trunk_kind kind);
// Why trunk_steps is 0, as the end of "cannot share a trunk: ..."; NULL where it is not.
const char *trunk_hindrance(const struct run_config *resolved, enum trunk_kind kind);
// A hash of all that these steps and what events tell of them depend on: two trainings of one key are the same for the
// lesser of their trunk_steps. Where runs are by share, the share of the length that warms up stands for the steps.
struct digest trunk_key(const struct run_config *resolved, const char *corpus_digest, enum trunk_kind kind);
