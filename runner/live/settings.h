// In which settings the runs of an experiment differ.
#pragma once
#include "base/base.h"
#include "results/store.h"

// The run fields, and fields of the spec's own, that do not have one value in all runs of the experiment, in the arena;
// those that follow from one before them (a width of the MLP from the model's) are left out. NULL on error.
const char **differing_settings(struct store *store, const char *experiment, struct arena *arena, size_t *count,
                                struct error *error);
