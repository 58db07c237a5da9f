// What a validation set is worth, in words: for plans, runs and reports.
#pragma once
#include "runner/plan/plan.h"

// "51 documents, 392k tokens"; documents are left out where they are not known (-1).
const char *validation_words(int64_t documents, int64_t tokens, struct arena *arena);
// Why losses on it say little, with the consequence; NULL where nothing is wrong: fewer than 20 documents, or than 20
// thousand tokens.
const char *validation_doubt(int64_t documents, int64_t tokens, struct arena *arena);
// A line for each validation set of the plan, then its doubts; with `doubts_only` only those.
void plan_print_validation(const struct plan *plan, bool doubts_only, FILE *out);
