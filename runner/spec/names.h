// Names that expressions over runs may use: every run field by its dotted path, and the columns of runs
// (results/columns.h): in plans those that follow from a configuration (parameters, tokens, flops, ...), in fits all.
#pragma once
#include "base/base.h"
#include "results/columns.h"
#include "runner/spec/spec.h"
#include "trainer/config.h"

// What a name of an expression stands for: one of the two, or nothing.
struct run_name {
  const struct run_field *field;
  const struct run_column *column;  // one that plans know
};
// `spec` brings its own fields; NULL: none.
bool run_name_find(const struct spec *spec, const char *name, struct run_name *found);

// Whether it is a column that only a finished run has ("loss", "wall_seconds", ...), for the expressions of fits;
// `spec` brings the results of its task.
bool run_result_known(const struct spec *spec, const char *name);

// The nearest of all those names (results too when asked), or NULL.
const char *run_name_nearest(const struct spec *spec, const char *name, bool with_results);
