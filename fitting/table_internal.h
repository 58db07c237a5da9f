// Tables, as fitting's own files see them.
#pragma once
#include <stdlib.h>

#include "fitting/fitting.h"

// Numbers of names. The texts stay the caller's.
struct name_map {
  struct name_entry *entries;
  size_t size, count;
};
// The name's number, or -1.
int name_map_get(const struct name_map *map, const char *name);
// Gives a name a number; false, and nothing happens, when it has one. Memory is the arena's.
bool name_map_put(struct arena *arena, struct name_map *map, const char *name, int number);

// Whether a column's name says that it holds how runs ended: "state", "status", "diverged".
bool table_column_says_how_it_ended(const struct table_column *column);

// "SOURCE: CONTEXT no column 'x'; did you mean 'y'?" Always false.
bool unknown_column(const struct table *table, const char *name, const char *context, struct error *error);
// The column of every name of an expression; an unknown one is an error that starts with `what`.
bool table_columns_of(const struct table *table, const struct expression *expression, const char *what, int *columns,
                      struct error *error);
// The row's values for these columns: a missing number is NaN, a missing text "".
void table_slots(const struct table *table, const struct expression *expression, const int *columns, size_t row,
                 struct value *slots);
