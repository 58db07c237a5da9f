// Names that expressions over runs may use: every run field by its dotted path, and the quantities that follow from a
// configuration, under the store's column names (parameters, tokens, flops, ...).
#pragma once
#include "base/base.h"
#include "trainer/config.h"

// A quantity that follows from a resolved configuration and its corpus.
struct run_quantity {
  const char *name;  // the store's column
  const char *unit;
  const char *help;
  // The value, VALUE_MISSING when it needs a corpus that is not prepared.
  struct value (*get)(const struct run_quantities *quantities, const struct corpus_facts *facts);
};
extern const struct run_quantity run_quantities_table[];
extern const size_t run_quantity_count;

// What a name of an expression stands for: one of the two, or nothing.
struct run_name {
  const struct run_field *field;
  const struct run_quantity *quantity;
};
bool run_name_find(const char *name, struct run_name *found);

// Columns that only a finished run has ("loss", "wall_seconds", ...), for the expressions of fits.
extern const char *const result_columns[];
extern const size_t result_column_count;

// The nearest of all those names (results too when asked), or NULL.
const char *run_name_nearest(const char *name, bool with_results);
