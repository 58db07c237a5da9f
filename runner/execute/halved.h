// What successive halving did to an experiment's runs, in words: for status, fits and the report.
#pragma once
#include "results/store.h"

// Runs of the experiment that halving stopped, and the sentence about them, without a full stop: "3 runs were stopped
// by halving (2 at 0.25 of their steps, 1 at 0.5)"; NULL for none. In the arena. False when the store cannot be read.
bool halved_words(struct store *store, const char *experiment, struct arena *arena, size_t *count, const char **words,
                  struct error *error);
// Why a run has no final loss, from its row of the store: "stopped by halving at 0.25 of its steps", or its state.
const char *halved_reason(const struct store_rows *row, const char *state, struct arena *arena);
