// Checkpoint averaging, the alternative to a cooldown: a run's result is the mean of its weights after its last K
// updates that are `every` apart, the last one among them (train.average), in place of the weights after the last. This
// is LAWA (Kaddour 2022, arXiv 2209.14981; Sanyal et al. 2023, arXiv 2306.03241) with a window that ends with the run,
// and stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407) at a rate that need not be cyclic.
//
// The weights are added up in float32, in the order of the updates, and divided by their number at the end: the same
// bits on every backend that trains to the same bits, interrupted or not. What is trained, and evaluated on the way, is
// not touched.
#pragma once
#include "trainer/model.h"

// Bytes of the sum; 0 where nothing is averaged.
int64_t average_bytes(const struct run_config *resolved);
// Updates done when the first weights are added; 0 where nothing is averaged.
int64_t average_first(const struct run_config *resolved);
// How many have been added after `done` updates.
int64_t average_count(const struct run_config *resolved, int64_t done);
// Whether those after `done` updates are.
bool average_takes(const struct run_config *resolved, int64_t done);
// Whether a checkpoint after `done` updates holds a sum: the last one holds the mean in the weights' place.
bool average_is_pending(const struct run_config *resolved, int64_t done);

// Adds the model's weights to its sum; after the last update puts the mean in their place, rounded to nearest where
// masters are narrower, and prepares it.
bool average_take(struct model *model, int64_t done, struct error *error);
