// What a sweep's fits will identify, before anything runs: one line a fit, for isoloss plan.
#pragma once
#include <stdio.h>

#include "base/base.h"
#include "runner/plan/plan.h"

enum { IDENTIFIED_LIMIT = 2000 };  // runs; of larger plans nothing is worked out

// Prints for each fit entry of the spec which coefficients of its law these runs determine (linearised, at the stored
// fit of the experiment, else at the starting values of the law), and says what is assumed; where it cannot be worked
// out, why. Every run of the plan has an id.
void identified_print(const struct spec *spec, const struct plan *plan, FILE *out);
