#pragma once
#include "fitting/law.h"

// Checks that the parts of a law fit together (names, indices, functions, bounds, starts) and fills law->columns.
void law_check(struct law *law, const struct node *root, struct diagnostics *diagnostics);
