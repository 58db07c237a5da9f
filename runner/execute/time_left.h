// How long an experiment of the store still takes.
#pragma once
#include "base/base.h"
#include "results/store.h"

// Seconds, from the FLOP/s of the experiment's finished runs on as many slots as are at work now (one where none is).
// Of a stage's run that is what goes through the model in it, not what its chain trained before. Counted are the steps
// that are still to be trained: not those of runs that halving stopped, that wait for `isoloss resume` or were
// cancelled, nor those that a branch begins after in its trunk's checkpoint; of runs that compete, what halving leaves
// on average. NAN: not known, as before any run is done or where FLOPs are not; then, and when the store cannot be
// read, which `error` tells.
double experiment_time_left(struct store *store, const char *experiment, struct error *error);
