// `isoloss fit --export`: fitted laws as source text, on standard output or in a file.
#pragma once
#include "fitting/fitting.h"

// One law fitted `count` times: to all rows, or to those of each value of a column, whose functions (or tables) stand
// one after the other under the fits' names; where two come to the same identifier the second ends in _2.
bool fit_export(const struct law *law, const struct fit_result *results, size_t count, const char *language,
                const char *path, struct error *error);
