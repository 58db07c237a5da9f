// What the claims of a spec may name, known before anything is trained: coefficients, derived quantities and numbers of
// its fits. What they say of runs is checked where the spec is read.
#pragma once
#include "runner/plan/plan.h"
#include "runner/spec/spec.h"

// Adds an error at each name that no fit of the spec will have, or several: its law has no such coefficient, none for
// that category, or no run of the plan is of it. Mistakes of a law are errors too, at their places in its file. `plan`
// may be NULL: categories are not checked then, nor those of columns that only a trained run has.
void claims_check(const struct spec *spec, const struct plan *plan, struct diagnostics *diagnostics);

// Why a name is of no fit: "the name of fit X reads as a difference ..." where it is the beginning of one that does; in
// the arena, or NULL.
const char *claim_difference(struct arena *arena, const char *fit, const char *name);
