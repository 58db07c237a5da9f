// `isoloss fit --export`: a fitted law as source text, on standard output or in a file.
#pragma once
#include "fitting/fitting.h"

bool fit_export(const struct law *law, const struct fit_result *result, const char *language, const char *path,
                struct error *error);
