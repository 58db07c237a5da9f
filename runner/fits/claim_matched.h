// Claims with match_on, judged by the p-value of the comparison that they ask for.
#pragma once
#include "results/store.h"
#include "runner/spec/spec.h"

// "held" or "not held" where the mean difference of the pairs (or ladders) is on the claim's side or the other, with a
// two-sided p of 0.05 at most; else "undecided". Appends to `detail` the difference, its interval and p, or why there
// is none.
const char *claim_matched_judge(const struct spec_claim *claim, const char *experiment, struct store *store,
                                struct text *detail);
