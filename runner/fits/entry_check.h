// Fit entries of a spec held against their laws, for `isoloss check`.
#pragma once
#include "runner/spec/spec.h"

// Adds the mistakes of all fit entries that can be found without rows: a law that cannot be loaded, names that are no
// parameters of the law, settings (tie, low, high, ratio, score, prior, partial_pooling, profile, objective) that are
// not of their form. The spec is one that was loaded, with or without mistakes.
void fit_entries_check(const struct spec *spec, struct diagnostics *diagnostics);
