// Tables, as fitting's own files see them.
#pragma once
#include <stdlib.h>

#include "fitting/fitting.h"

// "SOURCE: CONTEXT no column 'x'; did you mean 'y'?" Always false.
bool unknown_column(const struct table *table, const char *name, const char *context, struct error *error);
// The column of every name of an expression; an unknown one is an error that starts with `what`.
bool table_columns_of(const struct table *table, const struct expression *expression, const char *what, int *columns,
                      struct error *error);
// The row's values for these columns: a missing number is NaN, a missing text "".
void table_slots(const struct table *table, const struct expression *expression, const int *columns, size_t row,
                 struct value *slots);
