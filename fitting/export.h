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
// A fitted law: its coefficients, and what follows from them (for tables; may be none).
struct exported {
  const struct coefficient *coefficients;
  size_t coefficient_count;
  const struct fit_derived *derived;
  size_t derived_count;
};
// Writes the law with these coefficients as a function of its columns (EXPORT_C: C11; EXPORT_PYTHON: no imports but
// math), called by the name of the fit, or as a formula and a table row a coefficient (EXPORT_LATEX). Numbers
// round-trip; a category without coefficient gives NAN. What the data do not determine, or limit on one side, and what
// lies at a bound is said next to the number. `about` is in a comment.
bool law_export(const struct law *law, const struct exported *fitted, enum export_language language, const char *name,
                const char *about, struct text *out, struct error *error);
