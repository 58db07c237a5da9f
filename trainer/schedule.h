// Learning-rate schedules, and the steps at which a run evaluates and writes checkpoints. All are functions of the
// configuration and the step alone, so that a resumed run needs no state for them. Steps are numbered from 0 here: step
// s is the update that turns s updates into s + 1.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trainer/config.h"

// The learning rate of update `step`, 0 <= step < steps (clamped to that range). With w = warm-up steps and
// p = (step - w) / (last - w) from 0 at the first update after warm-up to 1 at the last one, last = steps - 1:
//   warm-up   lr (step + 1) / (w + 1)        never 0, and lr itself is first reached at step w
//   cosine    lr (r + (1 - r) (1 + cos(pi p)) / 2)    r = final_lr_ratio; ends at r lr exactly
//   linear    lr (1 - (1 - r) p)                      ends at r lr exactly
//   constant  lr
//   wsd       lr until the last c = round(cooldown_fraction steps) updates, then lr (1 - sqrt(k / (c + 1))) at the
//             k-th of them, k = 1..c (Haegele et al. 2024, eq. 1, whose 0 would stand after the last update: no update
//             is wasted on a rate of 0)
// A warm-up that is longer than the run is cut to end with it.
double schedule_learning_rate(const struct run_config *resolved, int64_t steps, int64_t step);

// The first updates whose rates do not depend on `steps`, as long as that is no less: those before the cooldown of wsd
// (without one, all but the last), all but the last of constant; 0 for schedules that know no such part, and where
// warm-up is cut by the run's end.
int64_t schedule_steady_steps(const struct run_config *resolved, int64_t steps);

// Updates after which the run evaluates: at most `count` different numbers of updates done, increasing, evenly spaced
// in the logarithm from steps / 100 to `steps` without the end itself (the full evaluation is there). Returns how
// many; `out` has room for `count`.
size_t schedule_evaluations(int64_t steps, int64_t count, int64_t *out);

// Whether a checkpoint follows when `done` updates are done: every checkpoint_steps, and at the end.
bool schedule_checkpoint(const struct run_config *resolved, int64_t steps, int64_t done);
