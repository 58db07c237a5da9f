// Categories that settings of a spec's fits name, held against the runs of its plan.
#pragma once
#include "runner/plan/plan.h"
#include "runner/spec/spec.h"

// Adds an error at each coefficient of a category that no run will have (tie, low, high, ratio, prior, profile, score),
// and a warning at each condition (where, holdout of a fit, conditions of claims) that compares a column with such a
// category: it is then always true, or never. plan: NULL checks nothing.
void categories_check(const struct spec *spec, const struct plan *plan, struct diagnostics *diagnostics);
