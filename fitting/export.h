// Fitted laws as source text. Part of the public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fitting/fit.h"
#include "fitting/law.h"

enum export_language { EXPORT_C, EXPORT_PYTHON, EXPORT_LATEX };
bool export_parse(const char *text, enum export_language *language, struct error *error);
// Writes the law with these coefficients as a function of its columns (EXPORT_C: C11; EXPORT_PYTHON: no imports but
// math), called by the name of the fit, or as a formula and a table row a coefficient (EXPORT_LATEX). Numbers
// round-trip; a category without coefficient gives NAN. `about` stands in a comment.
bool law_export(const struct law *law, const struct coefficient *coefficients, size_t count,
                enum export_language language, const char *name, const char *about, struct text *out,
                struct error *error);
